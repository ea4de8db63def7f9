//! Who waits for what, and whom a change concerns.

use std::task::Waker;

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Readable,
    Writable,
    Flushed,
    Ended,
}

/// The wakers of everybody who waits at a pump.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) driver: Option<Waker>,
    reader: Option<Waker>,
    /// The writing side waits for one of two things at a time.
    writer: Option<(Waker, Until)>,
    ender: Option<Waker>,
}

/// Wakers taken out under the lock and woken after it: they run foreign code.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Due {
    pub(crate) driver: Option<Waker>,
    application: [Option<Waker>; 3],
}

impl Waiting {
    /// Keeps a waker; gives back the one it displaces, to be dropped outside the lock.
    pub(crate) fn register(&mut self, until: Until, waker: &Waker) -> Option<Waker> {
        match until {
            Until::Readable => register(&mut self.reader, waker),
            Until::Ended => register(&mut self.ender, waker),
            Until::Writable | Until::Flushed => match &mut self.writer {
                Some((old, what)) if old.will_wake(waker) => {
                    *what = until;
                    None
                }
                slot => slot.replace((waker.clone(), until)).map(|(old, _)| old),
            },
        }
    }

    /// Takes out the application's wakers whose wait is over.
    pub(crate) fn due(&mut self, over: impl Fn(Until) -> bool) -> Due {
        Due {
            driver: None,
            application: [
                self.reader.take_if(|_| over(Until::Readable)),
                self.writer
                    .take_if(|(_, until)| over(*until))
                    .map(|(waker, _)| waker),
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
