//! When to look for new data.
//!
//! Storage cannot call us, so every look costs a request and every pause costs latency. The poller
//! learns how long after the last event data comes (a block of a bulk stream after the one before
//! it, an answer after our question) and looks shortly before that; when nothing is there it backs
//! off.

use super::config::{Pauses, Policy};
use crate::store::Role;
use crate::time::Instant;
use core::time::Duration;

const SILENT: Duration = Duration::from_secs(60);

/// How long a new connection is looked at closely.
const GREETING: Duration = Duration::from_secs(2);

/// Shortest pauses between two looks then: the dialer has yet to find its token.
const GREETING_PAUSE: u32 = 8;

/// A read of so many bytes belongs to a bulk stream.
const BULK: usize = 1 << 18;

/// Decides the pause between reads of one direction.
#[derive(Clone, Debug)]
pub(crate) struct Poller {
    pauses: Pauses,
    /// When to look next.
    due: Instant,
    /// The pause that led to `due`; zero before the first miss.
    pause: Duration,
    /// How long after `anchor` data is expected, as learnt.
    wait: Duration,
    /// Last arrival, or our last question.
    anchor: Instant,
    /// When the look that is out began.
    asked: Instant,
    /// Last arrival.
    last: Instant,
    bulk: bool,
    /// What our last write took.
    took: Duration,
    /// Nothing has come yet from a dialer that must be about to write.
    greeting: bool,
}

fn part(time: Duration, of: u32) -> Duration {
    time.checked_div(of).unwrap_or_default()
}

impl Poller {
    /// `role`: a listener's peer has yet to find its token, so the first look can wait a little,
    /// and those after it must not lose their pace before the dialer has come.
    pub(crate) fn new(policy: Policy, carrier: Duration, role: Role, now: Instant) -> Self {
        // A carrier that names no pause must not make us spin.
        let pauses = policy.pauses(carrier.max(Duration::from_micros(10)));
        let greeting = role == Role::Listener;
        let first = if greeting {
            pauses.shortest
        } else {
            Duration::ZERO
        };
        Self {
            due: now.after(first.saturating_mul(GREETING_PAUSE)),
            greeting,
            pauses,
            pause: Duration::ZERO,
            wait: Duration::ZERO,
            anchor: now,
            asked: now,
            last: now,
            bulk: false,
            took: Duration::ZERO,
        }
    }

    /// The longest that passes between two looks.
    pub(crate) fn longest_pause(&self) -> Duration {
        self.pauses.longest
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// A look begins.
    pub(crate) fn looking(&mut self, now: Instant) {
        self.asked = now;
    }

    /// Data came; `more` when more is known to be waiting.
    pub(crate) fn found(&mut self, now: Instant, bytes: usize, more: bool) {
        let trip = now.since(self.asked);
        let steady = self.bulk && bytes >= BULK;
        self.bulk = bytes >= BULK;
        self.wait = if !self.bulk {
            // An answer takes its sender a round trip or so. Learning longer waits would have
            // both ends wait for each other's waiting; looking sooner only costs.
            trip.saturating_add(part(trip, 5))
        } else if self.pause.is_zero() && steady {
            // A hit at the first look may have come late, so aim a little earlier.
            self.wait.saturating_sub(part(self.wait, 16))
        } else {
            // A hit after misses tells the time; the look's own round trip comes on top.
            self.asked.since(self.anchor)
        };
        self.wait = self.wait.min(self.pauses.longest);
        self.greeting = false;
        self.last = now;
        self.restart(now, self.wait);
        if more {
            self.due = now;
        }
    }

    /// Looks again at once: the peer has moved on to a new place.
    pub(crate) fn soon(&mut self, now: Instant) {
        self.due = now;
    }

    fn restart(&mut self, now: Instant, wait: Duration) {
        self.anchor = now;
        self.pause = Duration::ZERO;
        self.due = now.after(wait);
    }

    /// Nothing was there.
    pub(crate) fn missed(&mut self, now: Instant) {
        let silent = now.since(self.last);
        let longest = if silent > SILENT {
            self.pauses.silent
        } else if self.greeting && silent < GREETING {
            self.pauses.shortest.saturating_mul(GREETING_PAUSE)
        } else {
            self.pauses.longest
        };
        self.pause = if self.pause.is_zero() {
            let least = part(self.pauses.shortest, 10);
            // A block late in a bulk stream is no hurry; an answer is.
            let share = if self.bulk { 6 } else { 20 };
            let first = part(self.wait, share).clamp(least, self.pauses.shortest);
            if self.greeting { longest } else { first }
        } else {
            self.pause.saturating_mul(2).min(longest)
        };
        self.due = now.after(self.pause);
    }

    /// Our question is stored, which took so long; an answer may follow: start the back-off anew.
    pub(crate) fn expect(&mut self, now: Instant, took: Duration) {
        self.took = took;
        // In a bulk stream our own writes say nothing about the peer's.
        if !self.bulk {
            // Half a trip has the peer's look and its answer's way in it, when it looks as often
            // as we do.
            self.restart(now, part(took, 2).min(self.pauses.longest));
        }
    }

    /// Nothing is to come but the news that the peer has read everything, which is in no hurry.
    pub(crate) fn linger(&mut self, now: Instant) {
        // It reads what we have just written, which takes about as long.
        let reading = self.took.saturating_mul(2);
        let least = self.pauses.shortest.saturating_mul(4);
        self.pause = reading.max(least).min(self.pauses.longest);
        self.due = now.after(self.pause);
    }
}
