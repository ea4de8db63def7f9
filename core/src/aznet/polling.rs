//! When to look for new data.
//!
//! Storage cannot call us, so every look costs a request. The poller learns the rhythm at which
//! data comes and looks just before the next beat; when the beat does not come it backs off.

use super::config::{Pauses, Policy};
use crate::time::Instant;
use core::time::Duration;

const SILENT: Duration = Duration::from_secs(60);

/// Longest rhythm worth sleeping through in one go.
const LONGEST_BEAT: Duration = Duration::from_millis(200);

fn half(time: Duration) -> Duration {
    time.checked_div(2).unwrap_or_default()
}

/// Decides the pause between reads of one direction.
#[derive(Clone, Debug)]
pub(crate) struct Poller {
    pauses: Pauses,
    /// When to look next.
    due: Instant,
    /// The pause that led to `due`, zero right after an arrival.
    pause: Duration,
    /// Time from one arrival to the next, as learnt.
    beat: Duration,
    /// Last arrival, or last reason to expect one.
    last: Instant,
    /// Looks since `last` that found nothing.
    misses: u32,
}

impl Poller {
    pub(crate) fn new(policy: Policy, carrier: Duration, now: Instant) -> Self {
        Self {
            pauses: policy.pauses(carrier),
            due: now,
            pause: Duration::ZERO,
            beat: Duration::ZERO,
            last: now,
            misses: 0,
        }
    }

    /// The longest that passes between two looks.
    pub(crate) fn longest_pause(&self) -> Duration {
        self.pauses.longest
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Data came; `more` when more is known to be waiting.
    pub(crate) fn found(&mut self, now: Instant, more: bool) {
        let gap = now.since(self.last).min(LONGEST_BEAT);
        // A hit at the first look may have come late, so aim earlier next time; a hit after
        // misses tells the beat well.
        self.beat = if self.misses == 0 {
            half(self.beat)
        } else {
            half(self.beat.saturating_add(gap))
        };
        self.last = now;
        self.misses = 0;
        self.pause = Duration::ZERO;
        self.due = if more { now } else { now.after(self.beat) };
    }

    /// Nothing was there.
    pub(crate) fn missed(&mut self, now: Instant) {
        let longest = if now.since(self.last) > SILENT {
            self.pauses.silent
        } else {
            self.pauses.longest
        };
        self.misses = self.misses.saturating_add(1);
        self.pause = if self.pause.is_zero() {
            self.pauses.shortest
        } else {
            self.pause.saturating_mul(2).min(longest)
        };
        self.due = now.after(self.pause);
    }

    /// We sent something, so an answer may follow: start the back-off anew.
    pub(crate) fn expect(&mut self, now: Instant) {
        if self.misses > 0 {
            self.misses = 0;
            self.pause = Duration::ZERO;
            self.last = now;
            self.due = self.due.min(now.after(self.beat));
        }
    }
}
