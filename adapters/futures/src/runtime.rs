//! What an async runtime must offer.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stillwire_core::Instant;

/// An async runtime, in four methods. Adapters share one behind `Arc<dyn Runtime>`.
pub trait Runtime: Send + Sync + 'static {
    /// Runs a task in the background, to its end.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Ready after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Monotonic time since an origin that never changes.
    fn now(&self) -> Instant;

    /// Runs blocking work where it holds up nobody; ready when it is done. The work may go on
    /// when the future is dropped.
    fn unblock(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
}

/// [`Runtime::unblock`] with a result; [`None`] when the runtime dropped the work undone.
pub(crate) fn unblock<T: Send + 'static>(
    runtime: &dyn Runtime,
    work: impl FnOnce() -> T + Send + 'static,
) -> BoxFuture<'static, Option<T>> {
    let slot = Arc::new(Mutex::new(None));
    let filled = slot.clone();
    runtime
        .unblock(Box::new(move || {
            let result = work();
            *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }))
        .map(move |()| slot.lock().unwrap_or_else(PoisonError::into_inner).take())
        .boxed()
}
