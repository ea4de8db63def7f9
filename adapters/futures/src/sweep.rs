//! Cleaning up after listeners that were killed.

use crate::driver::Driver;
use crate::platform::Platform;
use crate::store::Store;
use futures_core::Stream;
use futures_util::StreamExt;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use stillwire_core::Error;
use stillwire_core::aznet::{self, Config, SweepEvent};
use stillwire_pump::Pump;

/// One look through a store for sessions that dead listeners left: a [`Stream`] of what it finds
/// and removes, ending with [`SweepEvent::Finished`]. Does nothing unless polled; dropped, it
/// stops where it is.
pub struct Sweep(Driver<aznet::Sweep>);

impl Store {
    /// Removes sessions that bear a listener's mark and in which nothing has happened for
    /// `older`; with `dry_run` they are only told. Both ends of a connection in use write to it
    /// every ping interval, so `older` should be several of these.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the store takes HTTP and the platform has no client.
    pub fn sweep(
        &self,
        platform: &Platform,
        config: Config,
        older: Duration,
        dry_run: bool,
    ) -> Result<Sweep, Error> {
        let runtime = platform.runtime();
        let machine = aznet::Sweep::new(config, older, dry_run, runtime.now());
        let pump = Arc::new(Pump::with_end(machine, aznet::Sweep::is_finished));
        let carrier = self.carrier(platform)?;
        Ok(Sweep(Driver::new(pump, runtime.clone(), carrier)))
    }
}

impl Stream for Sweep {
    type Item = SweepEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SweepEvent>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep").finish_non_exhaustive()
    }
}
