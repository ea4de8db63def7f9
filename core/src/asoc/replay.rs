//! What has been seen before: a bounded memory of (UUID, challenge) that forgets by time only
//! (wire page `asoc`, trap 2 and "Discovery").

use super::node_id::NodeId;
use crate::error::{Class, Error};
use crate::time::UnixTime;
use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

/// A cache of (UUID, challenge). When it is full, what is new is refused until something expires:
/// to forget early would be to let a replay through.
pub struct Seen {
    capacity: usize,
    ttl: Duration,
    /// The latest time that was handed in: a clock that is set back opens no window.
    now: UnixTime,
    since: BTreeMap<(NodeId, u64), UnixTime>,
    oldest: VecDeque<(NodeId, u64)>,
}

impl Seen {
    /// An empty cache of at most `capacity` entries, each of which is forgotten when it is `ttl`
    /// old. For discovery take more than 120 s: twice the tolerance of its clock.
    pub const fn new(capacity: usize, ttl: Duration) -> Self {
        Self {
            capacity,
            ttl,
            now: UnixTime::from_secs(0),
            since: BTreeMap::new(),
            oldest: VecDeque::new(),
        }
    }

    /// Remembers a pair. One that is remembered already is [`Class::Replay`]; a new one that has
    /// no room is [`Class::Limit`].
    pub fn admit(&mut self, node: NodeId, challenge: u64, now: UnixTime) -> Result<(), Error> {
        self.expire(now);
        let pair = (node, challenge);
        if self.since.contains_key(&pair) {
            return Err(Error::peer(
                Class::Replay,
                "the message was seen before: somebody repeats what a node has said",
            ));
        }
        if self.since.len() >= self.capacity {
            return Err(Error::limit(
                Class::Limit,
                "the replay cache is full; nobody new is taken until its oldest entry expires",
            ));
        }
        self.since.insert(pair, self.now);
        self.oldest.push_back(pair);
        Ok(())
    }

    /// Entries that are remembered.
    pub fn len(&self) -> usize {
        self.since.len()
    }

    /// True when nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.since.is_empty()
    }

    fn expire(&mut self, now: UnixTime) {
        self.now = self.now.max(now);
        let limit = self.now.before(self.ttl);
        while let Some(pair) = self.oldest.front() {
            let since = self.since.get(pair).copied().unwrap_or_default();
            // `before` stops at the epoch: nothing is old then.
            if since > limit || self.now.as_millis() < millis(self.ttl) {
                return;
            }
            self.since.remove(pair);
            self.oldest.pop_front();
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId::from_bytes([1; 16]);
    const B: NodeId = NodeId::from_bytes([2; 16]);

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(1_700_000_000 + secs)
    }

    fn class(result: Result<(), Error>) -> Option<Class> {
        result.err().and_then(|fault| fault.class())
    }

    #[test]
    fn trap_02_a_pair_is_taken_once_until_it_expires() {
        let mut seen = Seen::new(10, Duration::from_secs(300));
        assert_eq!(class(seen.admit(A, 1, at(0))), None);
        assert_eq!(class(seen.admit(A, 1, at(299))), Some(Class::Replay));
        assert_eq!(class(seen.admit(B, 1, at(299))), None);
        assert_eq!(class(seen.admit(A, 2, at(299))), None);
        // A replay that was refused does not live longer for it.
        assert_eq!(class(seen.admit(A, 1, at(300))), None);
        assert_eq!(class(seen.admit(A, 1, at(301))), Some(Class::Replay));
    }

    #[test]
    fn trap_02_a_full_cache_refuses_and_does_not_forget() {
        let mut seen = Seen::new(2, Duration::from_secs(300));
        assert_eq!(class(seen.admit(A, 1, at(0))), None);
        assert_eq!(class(seen.admit(A, 2, at(10))), None);
        assert_eq!(class(seen.admit(A, 3, at(20))), Some(Class::Limit));
        assert_eq!(class(seen.admit(A, 1, at(20))), Some(Class::Replay));
        assert_eq!(class(seen.admit(A, 3, at(300))), None);
        assert_eq!(seen.len(), 2);
        let mut none = Seen::new(0, Duration::from_secs(300));
        assert_eq!(class(none.admit(A, 1, at(0))), Some(Class::Limit));
    }

    #[test]
    fn replay_after_10_001_other_entries_is_still_a_replay() {
        let mut seen = Seen::new(20_000, Duration::from_secs(300));
        for challenge in 0..=10_001 {
            assert_eq!(class(seen.admit(A, challenge, at(1))), None);
        }
        assert_eq!(class(seen.admit(A, 0, at(2))), Some(Class::Replay));
    }

    #[test]
    fn a_clock_that_is_set_back_opens_no_window() {
        let mut seen = Seen::new(10, Duration::from_secs(300));
        assert_eq!(class(seen.admit(A, 1, at(1000))), None);
        assert_eq!(class(seen.admit(B, 1, at(0))), None);
        assert_eq!(class(seen.admit(B, 1, at(299))), Some(Class::Replay));
        assert_eq!(class(seen.admit(A, 1, at(1299))), Some(Class::Replay));
        assert_eq!(class(seen.admit(A, 1, at(1300))), None);
        assert_eq!(class(seen.admit(B, 1, at(1300))), None);
    }

    #[test]
    fn nothing_expires_in_the_first_seconds_of_1970() {
        let mut seen = Seen::new(10, Duration::from_secs(300));
        for now in [0, 1, 299] {
            let expected = (now > 0).then_some(Class::Replay);
            assert_eq!(class(seen.admit(A, 1, UnixTime::from_secs(now))), expected);
        }
        assert_eq!(class(seen.admit(A, 1, UnixTime::from_secs(300))), None);
    }
}
