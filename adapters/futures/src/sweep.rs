//! Cleaning up after listeners that were killed.

use crate::driver::Driver;
use crate::platform::Platform;
use crate::seed;
use crate::store::Store;
use futures_core::Stream;
use futures_util::StreamExt;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use stillwire_core::Error;
use stillwire_core::aznet::{self, Config, ConnectionId, SweepEvent};
use stillwire_core::store::{FailureKind, Operation, Request, RequestId};
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

impl Store {
    /// Asks for an answer that nobody has left: shows whether the store can be reached, and whether
    /// the account lets us in. A meeting place that nobody has prepared is no failure. Changes
    /// nothing; tried once.
    ///
    /// # Errors
    /// [`Error::Store`] when storage refuses or cannot be reached.
    pub async fn probe(&self, platform: &Platform, config: &Config) -> Result<(), Error> {
        let random = seed()?.first_chunk().copied().unwrap_or_default();
        let request = Request {
            id: RequestId(0),
            operation: Operation::GetToken {
                id: ConnectionId::from_random(random),
            },
            may_have_landed: false,
            timeout: config.request_timeout,
        };
        match self.carrier(platform)?.perform(request).await {
            Err(failure) if failure.kind != FailureKind::NotFound => Err(Error::Store(failure)),
            _ => Ok(()),
        }
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
