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

/// A read or write of so many bytes belongs to a bulk stream.
pub(super) const BULK: usize = 1 << 18;

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
    /// Our own direction carried a bulk stream when the look began.
    sending: bool,
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
            sending: false,
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

    /// A look begins; `sending` while our own direction carries a bulk stream.
    pub(crate) fn looking(&mut self, now: Instant, sending: bool) {
        self.asked = now;
        self.sending = sending;
    }

    /// Data came, where up to `limit` bytes were asked for; `more` when more is known to be waiting.
    pub(crate) fn found(&mut self, now: Instant, bytes: usize, limit: usize, more: bool) {
        let trip = now.since(self.asked);
        let steady = self.bulk && bytes >= BULK;
        self.bulk = bytes >= BULK;
        self.wait = if !self.bulk {
            // An answer takes its sender a round trip or so. Learning longer waits would have
            // both ends wait for each other's waiting; looking sooner only costs.
            trip.saturating_add(part(trip, 5))
        } else if steady && self.pause.is_zero() {
            // A hit at the first look may have come late, so aim a little earlier; much earlier when
            // more was there than one read takes.
            let earlier = if more { 4 } else { 16 };
            self.wait.saturating_sub(part(self.wait, earlier))
        } else {
            // A hit after misses tells the time; the look's own round trip comes on top.
            let beat = self.asked.since(self.anchor);
            if steady && bytes < limit / 2 {
                beat
            } else {
                // What passed until a stream began says nothing of its pace, and a line that was
                // full may clear: a block is written in about the time in which we read one.
                beat.min(trip.saturating_mul(2))
            }
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
            // While we are in the middle of our question, nobody answers.
            let hurry = if self.sending { 1 } else { 10 };
            let least = part(self.pauses.shortest, hurry);
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 16 << 20;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    /// A dialer's poller and when it was made.
    fn poller() -> (Poller, Instant) {
        let now = Instant::default();
        (
            Poller::new(Policy::Balanced, ms(10), Role::Dialer, now),
            now,
        )
    }

    /// Looks at the instant it is due; after `trip` there are so many bytes. When the look ended.
    fn look(poller: &mut Poller, trip: u64, bytes: usize, more: bool) -> Instant {
        let now = poller.due();
        poller.looking(now, false);
        let end = now.after(ms(trip));
        match bytes {
            0 => poller.missed(end),
            _ => poller.found(end, bytes, LIMIT, more),
        }
        end
    }

    fn wait(poller: &Poller, since: Instant) -> Duration {
        poller.due().since(since)
    }

    #[test]
    fn the_time_before_a_stream_began_is_not_its_pace() {
        let (mut poller, now) = poller();
        poller.looking(now.after(ms(400)), false);
        let end = now.after(ms(420));
        poller.found(end, 1 << 20, LIMIT, false);
        assert_eq!(wait(&poller, end), ms(40), "two such reads");
    }

    #[test]
    fn a_slow_stream_is_looked_at_in_its_own_pace() {
        let (mut poller, _) = poller();
        let end = look(&mut poller, 5, 1 << 20, false);
        // A megabyte each 300 ms, read in 5 ms.
        let mut due = end.after(ms(300));
        poller.looking(due, false);
        poller.missed(due.after(ms(2)));
        due = due.after(ms(2));
        poller.looking(due, false);
        let end = due.after(ms(5));
        poller.found(end, 1 << 20, LIMIT, false);
        assert_eq!(wait(&poller, end), ms(302));
        let end = look(&mut poller, 5, 1 << 20, false);
        let shorter = wait(&poller, end);
        assert!(shorter < ms(302) && shorter > ms(280), "{shorter:?}");
    }

    #[test]
    fn a_full_stream_is_looked_at_after_two_reads_at_the_most_and_sooner_when_late() {
        let (mut poller, _) = poller();
        look(&mut poller, 30, LIMIT, false);
        look(&mut poller, 30, 0, false);
        poller.looking(poller.due().after(ms(200)), false);
        let end = poller.asked.after(ms(30));
        poller.found(end, LIMIT, LIMIT, false);
        assert_eq!(wait(&poller, end), ms(60));
        let end = look(&mut poller, 30, LIMIT, true);
        assert_eq!(poller.due(), end, "more is there");
        let end = look(&mut poller, 30, LIMIT, false);
        let wait = wait(&poller, end);
        assert_eq!(wait.as_millis(), 42, "a quarter off, then a sixteenth");
    }

    #[test]
    fn in_the_middle_of_our_own_stream_an_answer_is_no_hurry() {
        for (sending, pause) in [(false, ms(1)), (true, ms(10))] {
            let (mut poller, now) = poller();
            poller.looking(now, sending);
            poller.missed(now.after(ms(2)));
            assert_eq!(wait(&poller, now.after(ms(2))), pause);
        }
    }
}
