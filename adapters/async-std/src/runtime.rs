//! async-std as a [`Runtime`].

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant as Clock};
use stillwire_core::Instant;
use stillwire_futures::Runtime;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// async-std's global runtime; its threads start with the first task.
#[derive(Clone, Debug)]
pub struct AsyncStdRuntime {
    origin: Clock,
}

impl AsyncStdRuntime {
    /// The runtime, with a clock that starts now.
    pub fn new() -> Self {
        Self {
            origin: Clock::now(),
        }
    }
}

impl Default for AsyncStdRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for AsyncStdRuntime {
    fn spawn(&self, task: BoxFuture<()>) {
        drop(async_std::task::spawn(task));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(async_std::task::sleep(duration))
    }

    fn now(&self) -> Instant {
        let micros = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn unblock(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<()> {
        Box::pin(async_std::task::spawn_blocking(work))
    }
}
