//! How much a stranger may ask of us (wire page `asoc`, "Timeouts, reconnection, limits"): rates by
//! address and by node, and lock-out after failed authentications.
//!
//! Everything is bounded: past [`Limits::tracked`] addresses, all further ones count as one.

use super::node_id::NodeId;
use crate::error::{Class, Error};
use crate::time::Instant;
use alloc::collections::{BTreeMap, VecDeque};
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

/// The limits, with the defaults of the wire page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Discovery messages that are accepted from one node within a second.
    pub discovery_per_node: usize,
    /// Discovery messages that are looked at from one address within a second.
    pub discovery_per_address: usize,
    /// Connections from one address within an hour.
    pub connections_per_hour: usize,
    /// Connections at once, from all addresses and in both directions.
    pub connections: usize,
    /// Connections at once that have the same UUID at the other end (trap 5).
    pub connections_per_node: usize,
    /// Failed authentications of one address after which it is locked out.
    pub failures: u32,
    /// For how long; as long without a failure forgets the failures before.
    pub lock_out: Duration,
    /// Addresses and nodes that are kept account of.
    pub tracked: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            discovery_per_node: 1,
            discovery_per_address: 10,
            connections_per_hour: 100,
            connections: 100,
            connections_per_node: 16,
            failures: 5,
            lock_out: Duration::from_secs(300),
            tracked: 10_000,
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// At most so many within a span that ends now.
#[derive(Default)]
struct Rate(VecDeque<Instant>);

impl Rate {
    fn take(&mut self, most: usize, span: Duration, now: Instant) -> bool {
        self.expire(span, now);
        if self.0.len() >= most {
            return false;
        }
        self.0.push_back(now);
        true
    }

    fn expire(&mut self, span: Duration, now: Instant) {
        while self.0.front().is_some_and(|at| now >= at.after(span)) {
            self.0.pop_front();
        }
    }
}

/// Accounts by some key, and one for all that find no room.
struct Ledger<K, V> {
    most: usize,
    by_key: BTreeMap<K, V>,
    others: V,
}

impl<K: Ord, V: Default> Ledger<K, V> {
    fn new(most: usize) -> Self {
        Self {
            most,
            by_key: BTreeMap::new(),
            others: V::default(),
        }
    }

    /// The account of `key`; `idle` says which ones can be closed to make room.
    fn of(&mut self, key: K, mut idle: impl FnMut(&mut V) -> bool) -> &mut V {
        if !self.by_key.contains_key(&key) && self.by_key.len() >= self.most {
            self.by_key.retain(|_, account| !idle(account));
            if self.by_key.len() >= self.most {
                return &mut self.others;
            }
        }
        self.by_key.entry(key).or_default()
    }
}

#[derive(Default)]
struct Caller {
    connections: Rate,
    failures: u32,
    failed: Option<Instant>,
    locked: Option<Instant>,
}

/// Keeps the account.
pub struct Gate {
    limits: Limits,
    callers: Ledger<IpAddr, Caller>,
    senders: Ledger<IpAddr, Rate>,
    refused: Ledger<IpAddr, Rate>,
    nodes: Ledger<NodeId, Rate>,
}

impl Gate {
    /// A gate that has seen nobody.
    pub fn new(limits: Limits) -> Self {
        Self {
            callers: Ledger::new(limits.tracked),
            senders: Ledger::new(limits.tracked),
            refused: Ledger::new(limits.tracked),
            nodes: Ledger::new(limits.tracked),
            limits,
        }
    }

    /// What it goes by.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A connection comes from an address while `open` others are there. [`Class::Limit`] when it
    /// is one too many, or the address locked out: close it without a word.
    pub fn connection(&mut self, now: Instant, from: IpAddr, open: usize) -> Result<(), Error> {
        let (most, at_once) = (self.limits.connections_per_hour, self.limits.connections);
        let caller = self.caller(now, from);
        if caller.locked.is_some_and(|until| now < until) {
            return Err(Error::limit(
                Class::Limit,
                "the address is locked out after failed authentications",
            ));
        }
        if open >= at_once {
            return Err(Error::limit(
                Class::Limit,
                "there are as many connections as are allowed at once",
            ));
        }
        if !caller.connections.take(most, HOUR, now) {
            return Err(Error::limit(
                Class::Limit,
                "too many connections from this address within an hour",
            ));
        }
        Ok(())
    }

    /// An authentication failed. True when the address is locked out for it.
    pub fn failed(&mut self, now: Instant, from: IpAddr) -> bool {
        let (most, lock_out) = (self.limits.failures, self.limits.lock_out);
        let caller = self.caller(now, from);
        if caller.failed.is_some_and(|at| now >= at.after(lock_out)) {
            caller.failures = 0;
        }
        caller.failures = caller.failures.saturating_add(1);
        caller.failed = Some(now);
        if caller.failures < most {
            return false;
        }
        caller.failures = 0;
        caller.locked = Some(now.after(lock_out));
        true
    }

    /// An authentication succeeded: the failures before it were somebody's mistakes.
    pub fn succeeded(&mut self, now: Instant, from: IpAddr) {
        let caller = self.caller(now, from);
        caller.failures = 0;
        caller.failed = None;
    }

    /// Whether the address is locked out.
    pub fn is_locked(&mut self, now: Instant, from: IpAddr) -> bool {
        let caller = self.caller(now, from);
        caller.locked.is_some_and(|until| now < until)
    }

    /// A datagram comes from an address. False when it is one too many to be looked at.
    pub fn datagram(&mut self, now: Instant, from: IpAddr) -> bool {
        let most = self.limits.discovery_per_address;
        let rate = self.senders.of(block(from), |rate| {
            rate.expire(SECOND, now);
            rate.0.is_empty()
        });
        rate.take(most, SECOND, now)
    }

    /// Whether it is news that a datagram from an address is one too many: once a second. Nobody
    /// has to prove anything to send a million of them.
    pub fn is_news(&mut self, now: Instant, from: IpAddr) -> bool {
        let told = self.refused.of(block(from), |told| {
            told.expire(SECOND, now);
            told.0.is_empty()
        });
        told.take(1, SECOND, now)
    }

    /// A discovery message of a node is authentic. False when it is one too many.
    pub fn announcement(&mut self, now: Instant, node: NodeId) -> bool {
        let most = self.limits.discovery_per_node;
        let rate = self.nodes.of(node, |rate| {
            rate.expire(SECOND, now);
            rate.0.is_empty()
        });
        rate.take(most, SECOND, now)
    }

    fn caller(&mut self, now: Instant, from: IpAddr) -> &mut Caller {
        let lock_out = self.limits.lock_out;
        self.callers.of(block(from), |caller| {
            caller.connections.expire(HOUR, now);
            caller.connections.0.is_empty()
                && caller.failed.is_none_or(|at| now >= at.after(lock_out))
                && caller.locked.is_none_or(|until| now >= until)
        })
    }
}

/// The address that is kept account of: an IPv6 network of 64 bits is one caller, for it costs
/// nothing to have all of its addresses. IPv4 within IPv6 is IPv4.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn ip(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    fn sec(at: u64) -> Instant {
        Instant::from_millis(at * 1000)
    }

    #[test]
    fn one_discovery_message_a_second_of_a_node() {
        let mut gate = Gate::new(Limits::default());
        let (a, b) = (NodeId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
        assert!(gate.announcement(sec(0), a));
        assert!(gate.announcement(sec(0), b));
        assert!(!gate.announcement(Instant::from_millis(999), a));
        assert!(gate.announcement(sec(1), a));
    }

    #[test]
    fn ten_datagrams_a_second_of_an_address() {
        let mut gate = Gate::new(Limits::default());
        for _ in 0..10 {
            assert!(gate.datagram(sec(0), ip(1)));
        }
        assert!(!gate.datagram(Instant::from_millis(999), ip(1)));
        assert!(gate.datagram(sec(0), ip(2)));
        assert!(gate.datagram(sec(1), ip(1)));
    }

    #[test]
    fn a_hundred_connections_an_hour_of_an_address_and_a_hundred_at_once() {
        let mut gate = Gate::new(Limits::default());
        for _ in 0..100 {
            gate.connection(sec(0), ip(1), 0).unwrap();
        }
        let class = |result: Result<(), Error>| result.unwrap_err().class();
        assert_eq!(
            class(gate.connection(sec(3599), ip(1), 0)),
            Some(Class::Limit)
        );
        gate.connection(sec(3600), ip(1), 0).unwrap();
        gate.connection(sec(0), ip(2), 99).unwrap();
        assert_eq!(
            class(gate.connection(sec(0), ip(2), 100)),
            Some(Class::Limit)
        );
    }

    #[test]
    fn five_failed_authentications_lock_an_address_out_for_a_while() {
        let mut gate = Gate::new(Limits::default());
        for _ in 0..4 {
            assert!(!gate.failed(sec(0), ip(1)));
        }
        gate.connection(sec(0), ip(1), 0).unwrap();
        assert!(gate.failed(sec(0), ip(1)));
        assert!(gate.connection(sec(299), ip(1), 0).is_err());
        gate.connection(sec(299), ip(2), 0).unwrap();
        gate.connection(sec(300), ip(1), 0).unwrap();
        // A success in between forgives, and so does time.
        for _ in 0..4 {
            gate.failed(sec(400), ip(1));
        }
        gate.succeeded(sec(400), ip(1));
        for _ in 0..4 {
            assert!(!gate.failed(sec(400), ip(1)));
        }
        assert!(!gate.failed(sec(700), ip(1)));
    }

    #[test]
    fn the_account_is_bounded_and_what_finds_no_room_counts_as_one() {
        let mut gate = Gate::new(Limits {
            tracked: 3,
            connections_per_hour: 2,
            ..Limits::default()
        });
        for last in 1..=3 {
            gate.connection(sec(0), ip(last), 0).unwrap();
        }
        gate.connection(sec(0), ip(4), 0).unwrap();
        gate.connection(sec(0), ip(5), 0).unwrap();
        assert!(gate.connection(sec(0), ip(6), 0).is_err());
        gate.connection(sec(0), ip(1), 0).unwrap();
        // Later there is room again.
        gate.connection(sec(3600), ip(6), 0).unwrap();
        assert!(gate.callers.by_key.len() <= 3);
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one() {
        let mut gate = Gate::new(Limits {
            connections_per_hour: 1,
            ..Limits::default()
        });
        let near = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        gate.connection(sec(0), near(1), 0).unwrap();
        assert!(gate.connection(sec(0), near(2), 0).is_err());
        let mapped = IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        gate.connection(sec(0), ip(1), 0).unwrap();
        assert!(gate.connection(sec(0), mapped, 0).is_err());
    }
}
