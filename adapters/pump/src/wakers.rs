//! Who waits for what, and whom a change concerns.

use std::task::Waker;

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Readable,
    /// A whole message is there.
    Receivable,
    /// The handshake is done.
    Established,
    Writable,
    Flushed,
    Ended,
}

/// The wakers of everybody who waits at a pump.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) driver: Option<Waker>,
    /// The reading side waits for one of three things at a time.
    reader: Option<(Waker, Until)>,
    /// The writing side may wait for both at once, on two threads.
    writer: Option<Waker>,
    flusher: Option<Waker>,
    ender: Option<Waker>,
}

/// Wakers taken out under the lock and woken after it: they run foreign code.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Due {
    pub(crate) driver: Option<Waker>,
    application: [Option<Waker>; 4],
}

impl Waiting {
    /// Keeps a waker; gives back the one it displaces, to be dropped outside the lock.
    pub(crate) fn register(&mut self, until: Until, waker: &Waker) -> Option<Waker> {
        match until {
            Until::Ended => register(&mut self.ender, waker),
            Until::Readable | Until::Receivable | Until::Established => {
                register_for(&mut self.reader, until, waker)
            }
            Until::Writable => register(&mut self.writer, waker),
            Until::Flushed => register(&mut self.flusher, waker),
        }
    }

    /// Takes out the application's wakers whose wait is over.
    pub(crate) fn due(&mut self, over: impl Fn(Until) -> bool) -> Due {
        let reader = self.reader.take_if(|(_, until)| over(*until));
        Due {
            driver: None,
            application: [
                reader.map(|(waker, _)| waker),
                self.writer.take_if(|_| over(Until::Writable)),
                self.flusher.take_if(|_| over(Until::Flushed)),
                self.ender.take_if(|_| over(Until::Ended)),
            ],
        }
    }
}

impl Due {
    pub(crate) fn wake(self) {
        self.application
            .into_iter()
            .chain([self.driver])
            .flatten()
            .for_each(Waker::wake);
    }
}

/// Puts a waker in a slot unless it is there already; gives back the one it displaces.
pub(crate) fn register(slot: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    match slot {
        Some(old) if old.will_wake(waker) => None,
        _ => slot.replace(waker.clone()),
    }
}

/// As [`register`], for a slot that says what its waker waits for.
fn register_for(slot: &mut Option<(Waker, Until)>, until: Until, waker: &Waker) -> Option<Waker> {
    match slot {
        Some((old, what)) if old.will_wake(waker) => {
            *what = until;
            None
        }
        slot => slot.replace((waker.clone(), until)).map(|(old, _)| old),
    }
}
