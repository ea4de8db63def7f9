//! Connections kept open for the next request.

use crate::Origin;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stillwire_core::Instant;
use stillwire_futures::Runtime;

/// Kept to one host: all that a connection over queues has under way.
const IDLE_CONNECTIONS: usize = 64;
/// Below the emulator's keep-alive of 5 s, so that a request rarely meets a closing connection.
const IDLE_TIME: Duration = Duration::from_secs(4);

pub(crate) type Sender = SendRequest<Full<Bytes>>;

struct Idle {
    origin: Origin,
    sender: Sender,
    since: Instant,
}

/// Idle connections, the longest idle first.
pub(crate) struct Pool {
    runtime: Arc<dyn Runtime>,
    idle: Mutex<VecDeque<Idle>>,
}

impl Pool {
    pub(crate) fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            runtime,
            idle: Mutex::default(),
        }
    }

    /// The connection used last: it is the least likely to be closed by the other side.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Sender> {
        let mut idle = self.fresh();
        let index = idle.iter().rposition(|one| one.origin == *origin)?;
        idle.remove(index).map(|one| one.sender)
    }

    /// Keeps a connection whose last answer was read to the end.
    pub(crate) fn give(&self, origin: Origin, sender: Sender) {
        let mut idle = self.fresh();
        if idle.iter().filter(|one| one.origin == origin).count() >= IDLE_CONNECTIONS
            && let Some(oldest) = idle.iter().position(|one| one.origin == origin)
        {
            idle.remove(oldest);
        }
        idle.push_back(Idle {
            origin,
            sender,
            since: self.runtime.now(),
        });
    }

    /// The idle ones without those that are too old or closed. A sender that is dropped closes
    /// its connection.
    fn fresh(&self) -> std::sync::MutexGuard<'_, VecDeque<Idle>> {
        let now = self.runtime.now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| now.since(one.since) < IDLE_TIME && !one.sender.is_closed());
        idle
    }
}
