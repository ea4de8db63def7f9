//! Removing what was read, on carriers where it stays in the way.

use super::config::Config;
use super::retry::{Ids, Task};
use super::stats::{Stats, add};
use crate::error::Error;
use crate::store::{Failure, Operation, Profile, Reply, Request, RequestId};
use crate::time::Instant;
use alloc::vec::Vec;
use core::time::Duration;

/// Chunks taken in and not removed from which on nothing more is fetched: they would come back.
const MOST_BEHIND: u32 = 256;
/// Chunks worth removing at once. Fewer wait a little: a stream that ends meanwhile takes them along
/// with its place, and their removals need not be paid for.
const WORTH: u32 = 64;
/// How long fewer wait: well below the time after which a carrier brings them again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Removals of one connection. None of them matters to the stream: what stays is harmless.
pub(super) struct Releases {
    going: Vec<Task>,
    at_once: usize,
    /// Chunks to be removed, as far as we know; the carrier's replies correct it.
    left: u32,
    /// Since when there have been any.
    since: Option<Instant>,
    /// Until none are left.
    removing: bool,
}

impl Releases {
    pub(super) fn new(profile: &Profile) -> Self {
        Self {
            going: Vec::new(),
            at_once: usize::from(profile.releases_in_flight),
            left: 0,
            since: None,
            removing: false,
        }
    }

    /// So many chunks more were taken in.
    pub(super) fn taken_in(&mut self, now: Instant, chunks: u64) {
        if self.at_once > 0 {
            let chunks = u32::try_from(chunks).unwrap_or(u32::MAX);
            self.set_left(now, self.left.saturating_add(chunks));
        }
    }

    fn set_left(&mut self, now: Instant, left: u32) {
        self.left = left;
        if left == 0 {
            self.since = None;
            self.removing = false;
        } else if self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// The peer's stream has ended: what is left goes with its place.
    pub(super) fn stop(&mut self) {
        self.at_once = 0;
        self.left = 0;
        self.since = None;
    }

    /// True when reading should wait for removals; not for ones that fail.
    pub(super) fn is_behind(&self) -> bool {
        self.left >= MOST_BEHIND && self.going.iter().all(|task| task.tries <= 1)
    }

    pub(super) fn owns(&self, id: RequestId) -> bool {
        self.going.iter().any(|task| task.is(id))
    }

    /// When those that are left are to be removed.
    fn due(&self) -> Option<Instant> {
        self.since.map(|since| since.after(PATIENCE))
    }

    pub(super) fn poll(
        &mut self,
        now: Instant,
        sequence: u64,
        config: &Config,
        ids: &mut Ids,
        stats: &mut Stats,
    ) -> Option<Request> {
        self.removing |= self.left >= WORTH || self.due().is_some_and(|due| due <= now);
        if self.removing && self.left > 0 && self.going.len() < self.at_once {
            self.set_left(now, self.left.saturating_sub(1));
            let operation = Operation::Release { sequence };
            self.going.push(Task::new(operation, now));
        }
        let mut due = self.going.iter_mut();
        due.find_map(|task| {
            let request = task.start(now, ids, config.request_timeout)?;
            add(&mut stats.retries, u64::from(task.tries > 1));
            Some(request)
        })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let begin = self.due().filter(|_| !self.removing);
        let tries = self.going.iter().filter_map(Task::deadline);
        tries.chain(begin).min()
    }

    /// A removal came to its end. One that fails for good ends nothing but the removals.
    pub(super) fn reply(
        &mut self,
        now: Instant,
        id: RequestId,
        result: Result<Reply, Failure>,
        config: &Config,
        stats: &mut Stats,
    ) -> Result<(), Error> {
        let Some(at) = self.going.iter().position(|task| task.is(id)) else {
            return Ok(());
        };
        let mut task = self.going.swap_remove(at);
        match result {
            Ok(Reply::Released { removed, left }) => {
                add(&mut stats.deletes, u64::from(removed));
                let left = if self.at_once > 0 { left } else { 0 };
                self.set_left(now, left);
            }
            Ok(_) => return Err(Error::Misuse("the reply does not answer the request")),
            Err(failure) => {
                add(&mut stats.deletes, 1);
                let retryable = failure.is_retryable();
                if task.failed(now, config, failure).is_ok() {
                    self.going.push(task);
                } else if !retryable {
                    self.stop();
                }
            }
        }
        Ok(())
    }
}
