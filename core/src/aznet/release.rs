//! Removing what was read, on carriers where it stays in the way.

use super::config::Config;
use super::retry::{Ids, Task};
use super::stats::{Stats, add};
use crate::error::Error;
use crate::store::{Failure, Operation, Profile, Reply, Request, RequestId};
use crate::time::Instant;
use alloc::vec::Vec;

/// Chunks taken in and not removed from which on nothing more is fetched: they would come back.
const MOST_BEHIND: u32 = 256;

/// Removals of one connection. None of them matters to the stream: what stays is harmless.
pub(super) struct Releases {
    going: Vec<Task>,
    at_once: usize,
    /// Chunks to be removed, as far as we know; the carrier's replies correct it.
    left: u32,
}

impl Releases {
    pub(super) fn new(profile: &Profile) -> Self {
        Self {
            going: Vec::new(),
            at_once: usize::from(profile.releases_in_flight),
            left: 0,
        }
    }

    /// So many chunks more were taken in.
    pub(super) fn taken_in(&mut self, chunks: u64) {
        if self.at_once > 0 {
            let chunks = u32::try_from(chunks).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(chunks);
        }
    }

    /// True when reading should wait for removals; not for ones that fail.
    pub(super) fn is_behind(&self) -> bool {
        self.left >= MOST_BEHIND && self.going.iter().all(|task| task.tries <= 1)
    }

    pub(super) fn owns(&self, id: RequestId) -> bool {
        self.going.iter().any(|task| task.is(id))
    }

    pub(super) fn poll(
        &mut self,
        now: Instant,
        sequence: u64,
        config: &Config,
        ids: &mut Ids,
        stats: &mut Stats,
    ) -> Option<Request> {
        if self.left > 0 && self.going.len() < self.at_once {
            self.left = self.left.saturating_sub(1);
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
        self.going.iter().filter_map(Task::deadline).min()
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
                self.left = left;
            }
            Ok(_) => return Err(Error::Misuse("the reply does not answer the request")),
            Err(failure) => {
                add(&mut stats.deletes, 1);
                let retryable = failure.is_retryable();
                if task.failed(now, config, failure).is_ok() {
                    self.going.push(task);
                } else if !retryable {
                    self.at_once = 0;
                    self.left = 0;
                }
            }
        }
        Ok(())
    }
}
