//! Security events, fit for an audit log, and counters by peer. Nothing here holds a secret.

use super::key::KeyId;
use super::node_id::NodeId;
use crate::error::{Class, Error};
use crate::time::{Instant, UnixTime};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::net::IpAddr;
use core::time::Duration;

/// One security event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub time: UnixTime,
    /// What.
    pub kind: AuditKind,
    /// The node it is about, as far as it is known: a UUID that passed a MAC.
    pub node: Option<NodeId>,
    /// The address that it came from or went to.
    pub address: Option<IpAddr>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditKind {
    /// A handshake was completed.
    Success {
        /// Whether we listened.
        incoming: bool,
        /// Whether the peer has proven to be there now (hardened profile).
        proven: bool,
        /// The key under which it was done.
        key: KeyId,
    },
    /// A handshake or a message failed.
    Failure(Error),
    /// Something authentic came a second time.
    Replay,
    /// An authentic node that is not on the list of allowed ones.
    UnexpectedNode,
    /// A limit was reached.
    Limited(Error),
    /// An address was locked out after failed authentications.
    LockedOut,
    /// So many failures came within the alert's span.
    Alert {
        /// How many.
        failures: usize,
    },
    /// A server answered with a session token that it or another one has used before (trap 3).
    RepeatedToken,
    /// A known node announces itself from another address, which is dialed before it is believed
    /// (trap 6).
    Moving,
    /// The node was reached at its new address.
    Moved,
    /// A peer announced a key that is not installed here.
    UnknownKey(KeyId),
    /// A peer announced the next key for another time than the first one did, which stands.
    DifferentActivation(KeyId),
    /// A key is now the one to speak under.
    KeyActivated(KeyId),
    /// An old key is no longer accepted.
    KeyPurged(KeyId),
    /// A peer has the key that was announced.
    KeyAcknowledged(KeyId),
}

impl AuditKind {
    /// One word for logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Success { .. } => "success",
            Self::Failure(_) => "failure",
            Self::Replay => "replay",
            Self::UnexpectedNode => "unexpected_node",
            Self::Limited(_) => "limited",
            Self::LockedOut => "locked_out",
            Self::Alert { .. } => "alert",
            Self::RepeatedToken => "repeated_token",
            Self::Moving => "moving",
            Self::Moved => "moved",
            Self::UnknownKey(_) => "unknown_key",
            Self::DifferentActivation(_) => "different_activation",
            Self::KeyActivated(_) => "key_activated",
            Self::KeyPurged(_) => "key_purged",
            Self::KeyAcknowledged(_) => "key_acknowledged",
        }
    }

    /// The class of the error that it reports, if it reports one.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Failure(error) | Self::Limited(error) => error.class(),
            Self::Replay => Some(Class::Replay),
            Self::UnexpectedNode => Some(Class::Identity),
            _ => None,
        }
    }

    /// The kind for an error that a peer has caused.
    pub(crate) fn of(error: &Error) -> Self {
        match error.class() {
            Some(Class::Replay) => Self::Replay,
            Some(Class::Limit) => Self::Limited(error.clone()),
            _ if *error == UNEXPECTED => Self::UnexpectedNode,
            _ => Self::Failure(error.clone()),
        }
    }
}

/// An authentic node that is not on the list.
pub(crate) const UNEXPECTED: Error = Error::peer(
    Class::Identity,
    "an unexpected node: its UUID is not on the list of allowed ones",
);

/// What is counted of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Failed authentications.
    pub failures: u64,
    /// Connections that were established.
    pub connections: u64,
    /// Bytes of streams that came.
    pub received: u64,
    /// Bytes of streams that went.
    pub sent: u64,
}

/// Whom a counter is about: a node once it has authenticated itself, an address before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A UUID that has passed a MAC.
    Node(NodeId),
    /// An address.
    Address(IpAddr),
}

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// The only nodes that are let in; [`None`]: every node that holds the key.
    pub allowed: Option<BTreeSet<NodeId>>,
    /// Failures within [`AuditConfig::alert_span`] that raise an alert.
    pub alert_failures: usize,
    /// The alert's span. At most one alert is raised within it.
    pub alert_span: Duration,
    /// Peers that are counted; no counters are kept for more.
    pub counted: usize,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            allowed: None,
            alert_failures: 10,
            alert_span: Duration::from_secs(60),
            counted: 10_000,
        }
    }
}

/// Collects events and counts.
pub(crate) struct Audit {
    config: AuditConfig,
    events: VecDeque<AuditEvent>,
    counters: BTreeMap<Peer, Counters>,
    failures: VecDeque<Instant>,
    alerted: Option<Instant>,
}

/// Events that wait to be polled. A flood of failures must not fill the memory: what is dropped
/// is still counted.
const MOST_EVENTS: usize = 4096;

impl Audit {
    pub(crate) const fn new(config: AuditConfig) -> Self {
        Self {
            config,
            events: VecDeque::new(),
            counters: BTreeMap::new(),
            failures: VecDeque::new(),
            alerted: None,
        }
    }

    pub(crate) fn allows(&self, node: NodeId) -> Result<(), Error> {
        match &self.config.allowed {
            Some(allowed) if !allowed.contains(&node) => Err(UNEXPECTED),
            _ => Ok(()),
        }
    }

    pub(crate) fn report(&mut self, event: AuditEvent) {
        if self.events.len() < MOST_EVENTS {
            self.events.push_back(event);
        }
    }

    /// Counts an authentication that failed; it may raise an alert.
    pub(crate) fn failed(&mut self, now: Instant, time: UnixTime, peer: Peer) {
        self.count(peer, |counters| {
            counters.failures = counters.failures.saturating_add(1);
        });
        let span = self.config.alert_span;
        while self
            .failures
            .front()
            .is_some_and(|at| now >= at.after(span))
        {
            self.failures.pop_front();
        }
        if self.failures.len() >= self.config.alert_failures {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        let quiet = self.alerted.is_none_or(|at| now >= at.after(span));
        if quiet && self.failures.len() >= self.config.alert_failures {
            self.alerted = Some(now);
            let failures = self.failures.len();
            self.report(AuditEvent {
                time,
                kind: AuditKind::Alert { failures },
                node: None,
                address: None,
            });
        }
    }

    pub(crate) fn count(&mut self, peer: Peer, change: impl FnOnce(&mut Counters)) {
        if self.counters.len() < self.config.counted || self.counters.contains_key(&peer) {
            change(self.counters.entry(peer).or_default());
        }
    }

    pub(crate) fn next(&mut self) -> Option<AuditEvent> {
        self.events.pop_front()
    }

    pub(crate) const fn counters(&self) -> &BTreeMap<Peer, Counters> {
        &self.counters
    }
}
