//! How a thread waits for what wakers tell.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A waker that any number of threads may wait for.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<u64>,
    changed: Condvar,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls until ready. [`None`] when that takes longer than `limit`.
    pub(crate) fn wait<T>(
        self: &Arc<Self>,
        limit: Option<Duration>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        // A limit past the end of time is none.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let waker = Waker::from(self.clone());
        let mut cx = Context::from_waker(&waker);
        loop {
            // Looked at before the poll: what rings in between is not missed.
            let before = *self.lock();
            if let Poll::Ready(value) = poll(&mut cx) {
                return Some(value);
            }
            let mut rung = self.lock();
            while *rung == before {
                let Some(deadline) = deadline else {
                    rung = self
                        .changed
                        .wait(rung)
                        .unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                rung = self
                    .changed
                    .wait_timeout(rung, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut rung = self.lock();
        *rung = rung.wrapping_add(1);
        drop(rung);
        self.changed.notify_all();
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let bell = Arc::new(Bell::default());
    loop {
        if let Some(output) = bell.wait(None, |cx| future.as_mut().poll(cx)) {
            return output;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn everybody_who_waits_is_told() {
        let bell = Arc::new(Bell::default());
        let open = Arc::new(AtomicBool::new(false));
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let (bell, open) = (bell.clone(), open.clone());
                std::thread::spawn(move || {
                    bell.wait(None, |_| {
                        if open.load(Ordering::SeqCst) {
                            Poll::Ready(7)
                        } else {
                            Poll::Pending
                        }
                    })
                })
            })
            .collect();
        open.store(true, Ordering::SeqCst);
        bell.wake_by_ref();
        for one in waiting {
            assert_eq!(one.join().unwrap(), Some(7));
        }
    }

    #[test]
    fn a_ring_during_the_poll_is_not_missed() {
        let bell = Arc::new(Bell::default());
        let mut polls = 0;
        let value = bell.wait(None, |cx| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready(polls);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!(value, Some(3));
    }

    #[test]
    fn waiting_has_its_limit() {
        let bell = Arc::new(Bell::default());
        let limit = Some(Duration::from_millis(5));
        assert_eq!(bell.wait(limit, |_| Poll::<()>::Pending), None);
        assert_eq!(
            bell.wait(Some(Duration::ZERO), |_| Poll::Ready(1)),
            Some(1),
            "what is ready needs no time"
        );
        assert_eq!(bell.wait(Some(Duration::MAX), |_| Poll::Ready(2)), Some(2));
    }
}
