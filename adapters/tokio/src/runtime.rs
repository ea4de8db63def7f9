//! tokio as a [`Runtime`].

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use stillwire_core::Instant;
use stillwire_futures::Runtime;
use tokio::runtime::{Handle, TryCurrentError};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A tokio runtime, with time enabled. Its time is tokio's, so paused clocks work in tests.
#[derive(Clone, Debug)]
pub struct TokioRuntime {
    handle: Handle,
    origin: tokio::time::Instant,
}

impl TokioRuntime {
    /// The runtime that `handle` belongs to.
    pub fn new(handle: Handle) -> Self {
        let origin = {
            let _inside = handle.enter();
            tokio::time::Instant::now()
        };
        Self { handle, origin }
    }

    /// The runtime this code runs on.
    ///
    /// # Errors
    /// Outside any tokio runtime.
    pub fn current() -> Result<Self, TryCurrentError> {
        Handle::try_current().map(Self::new)
    }
}

impl Runtime for TokioRuntime {
    fn spawn(&self, task: BoxFuture<()>) {
        drop(self.handle.spawn(task));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        let _inside = self.handle.enter();
        Box::pin(tokio::time::sleep(duration))
    }

    fn now(&self) -> Instant {
        let micros = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn unblock(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<()> {
        let work = self.handle.spawn_blocking(work);
        Box::pin(async move {
            // Work that panicked or never ran left no result, which the caller sees.
            let _ = work.await;
        })
    }
}
