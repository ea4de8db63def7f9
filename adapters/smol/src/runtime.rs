//! smol as a [`Runtime`].

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant as Clock};
use stillwire_core::Instant;
use stillwire_futures::Runtime;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// smol's global runtime; its threads start with the first task.
#[derive(Clone, Debug)]
pub struct SmolRuntime {
    origin: Clock,
}

impl SmolRuntime {
    /// The runtime, with a clock that starts now.
    pub fn new() -> Self {
        Self {
            origin: Clock::now(),
        }
    }
}

impl Default for SmolRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for SmolRuntime {
    fn spawn(&self, task: BoxFuture<()>) {
        smol::spawn(task).detach();
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(async move {
            smol::Timer::after(duration).await;
        })
    }

    fn now(&self) -> Instant {
        let micros = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn unblock(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<()> {
        Box::pin(smol::unblock(work))
    }
}
