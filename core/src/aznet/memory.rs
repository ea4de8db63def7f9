//! What a listener remembers of handshakes: ids it has met, and names it looks at no more.

use super::ConnectionId;
use crate::time::Instant;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use core::time::Duration;

/// Looks at an entry that does not parse before it is quarantined.
const LOOKS: u8 = 3;

/// Names remembered; past it the oldest is forgotten, and looked at three times again.
const NAMES: usize = 10_000;

/// What is known of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Never met; from now on it is.
    New,
    /// The very same message was met.
    Same,
    /// Its id was met with another message.
    Other,
    /// Not met, and no room to remember it: refuse it.
    Full,
}

pub(super) struct Memory {
    met: BTreeMap<ConnectionId, [u8; 32]>,
    order: VecDeque<(Instant, ConnectionId)>,
    keep: Duration,
    room: usize,
    names: BTreeMap<String, u8>,
    names_order: VecDeque<String>,
    /// Names refused for want of room: each is told once, until there is room again.
    turned_away: BTreeSet<String>,
}

impl Memory {
    pub(super) fn new(keep: Duration, room: usize) -> Self {
        Self {
            met: BTreeMap::new(),
            order: VecDeque::new(),
            keep,
            room,
            names: BTreeMap::new(),
            names_order: VecDeque::new(),
            turned_away: BTreeSet::new(),
        }
    }

    pub(super) fn meet(&mut self, now: Instant, id: ConnectionId, digest: [u8; 32]) -> Known {
        match self.met.get(&id) {
            Some(known) if *known == digest => Known::Same,
            Some(_) => Known::Other,
            None if self.met.len() >= self.room => Known::Full,
            None => {
                self.met.insert(id, digest);
                self.order.push_back((now.after(self.keep), id));
                Known::New
            }
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((until, id)) = self.order.front().copied() {
            if until > now {
                return;
            }
            self.order.pop_front();
            self.met.remove(&id);
            self.turned_away.clear();
        }
    }

    /// Notes that there was no room for an entry; true when that is news.
    pub(super) fn turn_away(&mut self, name: &str) -> bool {
        self.turned_away.len() < NAMES && self.turned_away.insert(name.to_string())
    }

    pub(super) fn is_quarantined(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|looks| *looks >= LOOKS)
    }

    /// Counts a look at an entry that does not parse; true when it was the last one.
    pub(super) fn fault(&mut self, name: &str) -> bool {
        let looks = self.looks(name);
        *looks = looks.saturating_add(1);
        *looks == LOOKS
    }

    pub(super) fn quarantine(&mut self, name: &str) {
        *self.looks(name) = LOOKS;
    }

    fn looks(&mut self, name: &str) -> &mut u8 {
        if !self.names.contains_key(name) {
            if self.names_order.len() >= NAMES
                && let Some(oldest) = self.names_order.pop_front()
            {
                self.names.remove(&oldest);
            }
            self.names_order.push_back(name.to_string());
        }
        self.names.entry(name.to_string()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn trap_16_three_looks_then_quarantine() {
        let mut memory = Memory::new(Duration::from_secs(1), 10);
        assert!(!memory.fault("x"));
        assert!(!memory.fault("x"));
        assert!(!memory.is_quarantined("x"));
        assert!(memory.fault("x"));
        assert!(memory.is_quarantined("x"));
        assert!(!memory.fault("x"), "reported once only");
    }

    #[test]
    fn names_are_bounded() {
        let mut memory = Memory::new(Duration::from_secs(1), 10);
        for n in 0..3 * NAMES {
            memory.quarantine(&format!("junk {n}"));
        }
        assert_eq!(memory.names.len(), NAMES);
        assert!(memory.is_quarantined(&format!("junk {}", 3 * NAMES - 1)));
    }

    #[test]
    fn who_finds_no_room_is_told_of_once_until_there_is_room_again() {
        let mut memory = Memory::new(Duration::from_secs(10), 1);
        let id = ConnectionId::from_random([1; 16]);
        memory.meet(Instant::ZERO, id, [1; 32]);
        assert!(memory.turn_away("x"));
        assert!(!memory.turn_away("x"));
        assert!(memory.turn_away("y"));
        memory.expire(Instant::from_millis(9_999));
        assert!(!memory.turn_away("x"));
        memory.expire(Instant::from_millis(10_000));
        assert!(memory.turn_away("x"));
    }

    #[test]
    fn trap_03_replays_are_known_until_the_memory_ends() {
        let mut memory = Memory::new(Duration::from_secs(10), 2);
        let now = Instant::ZERO;
        let id = |n| ConnectionId::from_random([n; 16]);
        assert_eq!(memory.meet(now, id(1), [1; 32]), Known::New);
        assert_eq!(memory.meet(now, id(1), [1; 32]), Known::Same);
        assert_eq!(memory.meet(now, id(1), [2; 32]), Known::Other);
        assert_eq!(memory.meet(now, id(2), [2; 32]), Known::New);
        assert_eq!(memory.meet(now, id(3), [3; 32]), Known::Full);
        memory.expire(Instant::from_millis(9_999));
        assert_eq!(memory.meet(now, id(3), [3; 32]), Known::Full);
        memory.expire(Instant::from_millis(10_000));
        assert_eq!(memory.meet(now, id(3), [3; 32]), Known::New);
    }
}
