//! What a listener says in the metadata of the queue it writes to, so that whoever cleans up knows
//! that it is there.
//!
//! It costs one request every [`DATED_EVERY`] per connection: the write that comes next, be it a
//! ping, is preceded by a Set Queue Metadata. What becomes of that makes no difference to the write.

use core::sync::atomic::{AtomicI64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;

/// How old the date may grow that a listener gives the queue it writes to: the write that comes
/// next is preceded by one more request. Clean-up takes nothing that is younger than five minutes,
/// so one that is missed does no harm.
pub const DATED_EVERY: Duration = Duration::from_secs(120);
/// Sessions that are dated; beyond, only their creation is.
const SESSIONS: usize = 65_536;

/// What the metadata of a session's queue say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dates {
    /// 16 random bytes as hex.
    pub(super) mark: String,
    /// Seconds since 1970, by the service's clock.
    pub(super) created: u64,
    pub(super) alive: u64,
}

/// The sessions that a store has made.
#[derive(Debug, Default)]
pub(super) struct Register {
    sessions: Mutex<BTreeMap<ConnectionId, Dates>>,
    /// Milliseconds by which the service's clock is ahead of ours.
    ahead: AtomicI64,
}

impl Register {
    /// Learns the service's clock from an answer to a request of `now`.
    pub(super) fn saw(&self, service: UnixTime, now: UnixTime) {
        let of = |time: UnixTime| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let ahead = of(service).saturating_sub(of(now));
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Seconds since 1970 by the service's clock, as far as it is known.
    pub(super) fn seconds(&self, now: UnixTime) -> u64 {
        let ahead = self.ahead.load(Ordering::Relaxed);
        now.as_millis().saturating_add_signed(ahead) / 1_000
    }

    /// A session was made.
    pub(super) fn made(&self, id: ConnectionId, mark: &str, now: UnixTime) {
        let created = self.seconds(now);
        let mut sessions = self.lock();
        if sessions.len() < SESSIONS {
            let dates = Dates {
                mark: mark.to_owned(),
                created,
                alive: created,
            };
            sessions.insert(id, dates);
        }
    }

    /// A session was removed.
    pub(super) fn removed(&self, id: &ConnectionId) {
        self.lock().remove(id);
    }

    /// What to write into the metadata now, when it is time for that. Given out once.
    pub(super) fn due(&self, id: &ConnectionId, now: UnixTime) -> Option<Dates> {
        let seconds = self.seconds(now);
        let mut sessions = self.lock();
        let dates = sessions.get_mut(id)?;
        // A clock that was set back must not keep it silent.
        if seconds.abs_diff(dates.alive) < DATED_EVERY.as_secs() {
            return None;
        }
        dates.alive = seconds;
        Some(dates.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ConnectionId, Dates>> {
        let lock = self.sessions.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}
