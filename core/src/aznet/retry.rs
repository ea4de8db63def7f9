//! Tries of one operation: when the next one is due, and when to give up.

use super::config::Config;
use crate::store::{Failure, Operation, Request, RequestId};
use crate::time::Instant;
use core::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Tries made at the least, however long one takes.
const FEWEST_TRIES: u32 = 3;

/// Hands out request ids of one machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids(u64);

impl Ids {
    pub(crate) fn next(&mut self) -> RequestId {
        self.0 = self.0.wrapping_add(1);
        RequestId(self.0)
    }
}

/// One operation on its way, over as many tries as it takes.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    operation: Operation,
    /// The try that is out, if one is.
    flying: Option<RequestId>,
    /// When the next try is due, while none is out.
    due: Instant,
    started: Instant,
    pub(crate) tries: u32,
    pub(crate) may_have_landed: bool,
}

impl Task {
    pub(crate) fn new(operation: Operation, now: Instant) -> Self {
        Self {
            operation,
            flying: None,
            due: now,
            started: now,
            tries: 0,
            may_have_landed: false,
        }
    }

    pub(crate) fn operation(&self) -> &Operation {
        &self.operation
    }

    pub(crate) fn into_operation(self) -> Operation {
        self.operation
    }

    /// Asks for less at the next try of a read.
    pub(crate) fn limit_read(&mut self, most: usize) {
        if let Operation::Read { limit, .. } = &mut self.operation {
            *limit = most.min(*limit);
        }
    }

    pub(crate) fn is(&self, id: RequestId) -> bool {
        self.flying == Some(id)
    }

    /// The next try, when one is due.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        ids: &mut Ids,
        timeout: Duration,
    ) -> Option<Request> {
        if self.flying.is_some() || self.due > now {
            return None;
        }
        let id = ids.next();
        self.flying = Some(id);
        self.tries = self.tries.saturating_add(1);
        Some(Request {
            id,
            operation: self.operation.clone(),
            may_have_landed: self.may_have_landed,
            timeout,
        })
    }

    /// When `start` has something, while no try is out.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.flying.is_none().then_some(self.due)
    }

    pub(crate) fn since_start(&self, now: Instant) -> Duration {
        now.since(self.started)
    }

    /// The try that was out failed; plans the next one, or gives the failure back for good.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        config: &Config,
        failure: Failure,
    ) -> Result<(), Failure> {
        self.note(&failure);
        let spent = self.tries >= FEWEST_TRIES && self.since_start(now) > config.retry_window;
        if spent || !failure.is_retryable() {
            return Err(failure);
        }
        let shift = self.tries.saturating_sub(1).min(6);
        let pause = FIRST_PAUSE
            .saturating_mul(1_u32.checked_shl(shift).unwrap_or(1))
            .min(LONGEST_PAUSE);
        self.due = now.after(failure.retry_after.unwrap_or(pause).max(pause));
        Ok(())
    }

    /// Tries again after `pause`, whatever the failure was.
    pub(crate) fn again(&mut self, now: Instant, failure: &Failure, pause: Duration) {
        self.note(failure);
        self.due = now.after(pause);
    }

    /// The try ended without an effect that matters; the next one is due after `pause`.
    pub(crate) fn repeat(&mut self, now: Instant, pause: Duration) {
        self.flying = None;
        self.due = now.after(pause);
    }

    fn note(&mut self, failure: &Failure) {
        self.flying = None;
        self.may_have_landed |= failure.may_have_landed;
    }
}
