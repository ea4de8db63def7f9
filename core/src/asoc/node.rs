//! A node of a cluster: whom to dial and when, whom to let in, what to announce and what to report
//! (wire page `asoc`, "Discovery", "Timeouts, reconnection, limits", traps 2 to 6).
//!
//! The node makes [`Connection`]s and judges their events; whoever runs it owns sockets and
//! connections:
//!
//! 1. A TCP connection came: [`Node::accept`]. One was made: [`Node::dialed`], or
//!    [`Node::dial_failed`]. A datagram came: [`Node::datagram`].
//! 2. Every event of a connection goes through [`Node::hear`], and its [`Verdict`] is carried out.
//! 3. After any call [`Node::poll`] until it says [`NodeOutput::Wait`].

use super::audit::{Audit, AuditConfig, AuditEvent, AuditKind, Counters, Peer};
use super::config::Config;
use super::connection::Connection;
use super::event::{Fresh, Identity};
use super::key::{ApiKey, KeyId, community_hash};
use super::limits::{Gate, Limits};
use super::node_id::NodeId;
use super::replay::Seen;
use super::rotation::{Change, KeyRing, Notice};
use crate::crypto::Rng;
use crate::error::{Class, Error};
use crate::time::{Instant, UnixTime};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use peers::{Found, Target, TargetId};

mod discover;
mod judge;
mod peers;
#[cfg(test)]
mod tests;

/// Settings of a node, with the defaults of the wire page.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Settings of its connections.
    pub connection: Config,
    /// Rates, counts and lock-out.
    pub limits: Limits,
    /// Allowed nodes, alerts, counters.
    pub audit: AuditConfig,
    /// Name of the cluster.
    pub community: String,
    /// TCP port that is announced; 0: we do not listen.
    pub port: u16,
    /// Whether to announce ourselves and to listen to announcements.
    pub discovery: bool,
    /// Peers that are dialed for ever.
    pub static_peers: Vec<SocketAddr>,
    /// Whether peers that discovery brings are dialed. Without it they are only told of, and one that
    /// moves is lost and found again.
    pub dial_discovered: bool,
    /// Peers that discovery may bring at the most.
    pub discovered_peers: usize,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// Pause between two announcements.
    pub announce_every: Duration,
    /// A discovered peer that has not been heard for so long, and has no connection, is lost.
    pub stale_after: Duration,
    /// Shortest and longest first pause before a peer is dialed again.
    pub first_retry: (Duration, Duration),
    /// Longest pause; it doubles up to this. A discovered peer that was given up is not taken up
    /// again for as long.
    pub longest_retry: Duration,
    /// Failed attempts after which a discovered peer is dropped.
    pub give_up_after: u32,
    /// How long, and how many, HELLOs are remembered (trap 2). They carry no time: a longer
    /// memory is a shorter window for replays.
    pub hello_memory: (Duration, usize),
    /// How long, and how many, discovery messages are remembered: more than 120 s.
    pub discovery_memory: (Duration, usize),
    /// How long an old key is accepted after a new one was activated.
    pub key_grace: Duration,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            connection: Config::default(),
            limits: Limits::default(),
            audit: AuditConfig::default(),
            community: String::new(),
            port: 9000,
            discovery: true,
            static_peers: Vec::new(),
            dial_discovered: true,
            discovered_peers: 1024,
            connect_timeout: Duration::from_secs(10),
            announce_every: Duration::from_secs(3),
            stale_after: Duration::from_secs(15),
            first_retry: (Duration::from_secs(1), Duration::from_secs(5)),
            longest_retry: Duration::from_secs(60),
            give_up_after: 3,
            hello_memory: (Duration::from_secs(6 * 3600), 200_000),
            discovery_memory: (Duration::from_secs(180), 100_000),
            key_grace: Duration::from_secs(24 * 3600),
        }
    }
}

/// Names a connection of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Names an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// What a node wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeOutput {
    /// Send this datagram to the discovery address.
    Broadcast(Bytes),
    /// Connect, and report with [`Node::dialed`] or [`Node::dial_failed`].
    Dial {
        /// Names the attempt.
        dial: DialId,
        /// Where to.
        address: SocketAddr,
    },
    /// The attempt has taken too long: give it up. Nothing needs to be reported.
    Abandon(DialId),
    /// Pass this to [`Connection::notify`].
    Notify {
        /// On which connection.
        connection: ConnectionId,
        /// What.
        notice: Notice,
    },
    /// For the audit log.
    Audit(AuditEvent),
    /// For the application.
    Event(NodeEvent),
    /// Nothing more until something happens, or this instant.
    Wait(Option<Instant>),
}

/// What an application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A node was discovered.
    Found {
        /// Who.
        node: NodeId,
        /// Where it listens; port 0: it does not.
        address: SocketAddr,
    },
    /// A discovered node has not been heard for too long, or cannot be reached.
    Lost {
        /// Who.
        node: NodeId,
    },
    /// A connection is established. It replaces no other one (trap 5).
    Up {
        /// Which.
        connection: ConnectionId,
        /// Who is there, as far as the handshake tells (trap 4).
        node: Option<NodeId>,
        /// Where.
        address: SocketAddr,
        /// Connections with this node now, this one included; 0 where the node is unknown.
        together: usize,
    },
    /// An established connection is over.
    Down {
        /// Which.
        connection: ConnectionId,
    },
}

/// What is to be done with a connection after one of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Nothing; the event is the application's, if it is one for it.
    Go,
    /// Call [`Connection::admit`].
    Admit,
    /// Call [`Connection::refuse`] with this.
    Refuse(Error),
    /// Call [`Connection::notify`] with this.
    Notify(Notice),
    /// Call [`Connection::close`] and drop the socket: the server is not whom we wanted.
    Close(Error),
}

/// A connection as the node knows it.
struct Link {
    address: SocketAddr,
    incoming: bool,
    node: Option<NodeId>,
    target: Option<TargetId>,
    established: bool,
    /// Whether the node has proven to be there (hardened profile).
    proven: bool,
}

/// A node.
pub struct Node {
    config: NodeConfig,
    id: NodeId,
    community: [u8; 8],
    ring: KeyRing,
    rng: Rng,
    /// An instant and the wall clock at it.
    clock: (Instant, UnixTime),
    gate: Gate,
    audit: Audit,
    hellos: Seen,
    announcements: Seen,
    tokens: Seen,
    given: u64,
    links: BTreeMap<ConnectionId, Link>,
    targets: BTreeMap<TargetId, Target>,
    found: BTreeMap<NodeId, Found>,
    /// Discovered nodes that were given up, and until when they are not taken up again.
    given_up: BTreeMap<NodeId, Instant>,
    announce_at: Instant,
    out: VecDeque<NodeOutput>,
}

impl Node {
    /// A node with one key. `seed` must be random and new; `unix` is the wall clock at `now`.
    pub fn new(
        config: NodeConfig,
        id: NodeId,
        key: ApiKey,
        seed: [u8; 32],
        now: Instant,
        unix: UnixTime,
    ) -> Self {
        let mut made = Self {
            id,
            community: community_hash(&config.community),
            ring: KeyRing::new(key, config.key_grace),
            rng: Rng::from_seed(seed),
            clock: (now, unix),
            gate: Gate::new(config.limits.clone()),
            audit: Audit::new(config.audit.clone()),
            hellos: Seen::new(config.hello_memory.1, config.hello_memory.0),
            announcements: Seen::new(config.discovery_memory.1, config.discovery_memory.0),
            tokens: Seen::new(config.hello_memory.1, config.hello_memory.0),
            given: 0,
            links: BTreeMap::new(),
            targets: BTreeMap::new(),
            found: BTreeMap::new(),
            given_up: BTreeMap::new(),
            announce_at: now,
            out: VecDeque::new(),
            config,
        };
        for address in made.config.static_peers.clone() {
            made.add_target(address, None, now);
        }
        made
    }

    /// Our own UUID.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// The wall clock at `now`.
    pub fn unix(&self, now: Instant) -> UnixTime {
        self.clock.1.after(now.since(self.clock.0))
    }

    /// The wall clock was set: it is `unix` at `now`.
    pub fn set_clock(&mut self, now: Instant, unix: UnixTime) {
        self.clock = (now, unix);
    }

    /// A TCP connection came from `from`. An error means: close it without a word.
    pub fn accept(
        &mut self,
        now: Instant,
        from: SocketAddr,
    ) -> Result<(ConnectionId, Connection), Error> {
        if let Err(fault) = self.gate.connection(now, from.ip(), self.links.len()) {
            self.report(now, AuditKind::of(&fault), None, Some(from.ip()));
            return Err(fault);
        }
        let config = self.config.connection.clone();
        let unix = self.unix(now);
        let fresh = Fresh::draw(&mut self.rng, unix);
        let connection = Connection::server(config, self.identity(), fresh, now)?;
        Ok((self.link(from, true, None, None), connection))
    }

    fn identity(&self) -> Identity {
        Identity {
            node: self.id,
            keys: self.ring.keys(),
            community: self.config.community.clone(),
        }
    }

    fn link(
        &mut self,
        address: SocketAddr,
        incoming: bool,
        node: Option<NodeId>,
        target: Option<TargetId>,
    ) -> ConnectionId {
        let id = ConnectionId(self.number());
        let link = Link {
            address,
            incoming,
            node,
            target,
            established: false,
            proven: false,
        };
        self.links.insert(id, link);
        id
    }

    fn number(&mut self) -> u64 {
        self.given = self.given.saturating_add(1);
        self.given
    }

    /// Connections that exist, established or not.
    pub fn connections(&self) -> usize {
        self.links.len()
    }

    /// Where a discovered node listens, as far as it is confirmed.
    pub fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.found.get(&node).map(|found| found.address)
    }

    /// Counters by peer.
    pub const fn counters(&self) -> &BTreeMap<Peer, Counters> {
        self.audit.counters()
    }

    /// Counts bytes of streams that were sent on a connection.
    pub fn sent(&mut self, connection: ConnectionId, bytes: usize) {
        if let Some(peer) = self.peer(connection) {
            self.audit.count(peer, |counters| {
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                counters.sent = counters.sent.saturating_add(bytes);
            });
        }
    }

    fn peer(&self, connection: ConnectionId) -> Option<Peer> {
        let link = self.links.get(&connection)?;
        Some(match link.node {
            Some(node) => Peer::Node(node),
            None => Peer::Address(link.address.ip()),
        })
    }

    /// Installs the next key: it is accepted at once and announced later.
    pub fn install_key(&mut self, key: ApiKey) -> Result<(), Error> {
        self.ring.install(key)
    }

    /// Takes the next key out again, before it is activated.
    pub fn withdraw_key(&mut self) -> Option<KeyId> {
        self.ring.withdraw()
    }

    /// Announces the next key to all peers, for this time.
    pub fn announce_key(&mut self, activation: UnixTime) -> Result<(), Error> {
        let notice = self.ring.announce(activation)?;
        for (id, link) in &self.links {
            if link.established {
                self.out.push_back(NodeOutput::Notify {
                    connection: *id,
                    notice,
                });
            }
        }
        Ok(())
    }

    /// The keys that are accepted, the one to speak under first.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.ring.keys().iter().map(ApiKey::id).collect()
    }

    /// Drains one output.
    pub fn poll(&mut self, now: Instant) -> NodeOutput {
        self.advance_keys(now);
        self.advance_peers(now);
        self.announce(now);
        if let Some(event) = self.audit.next() {
            return NodeOutput::Audit(event);
        }
        match self.out.pop_front() {
            Some(output) => output,
            None => NodeOutput::Wait(self.deadline(now)),
        }
    }

    fn advance_keys(&mut self, now: Instant) {
        let unix = self.unix(now);
        while let Some(change) = self.ring.advance(unix) {
            let kind = match change {
                Change::Activated(key) => AuditKind::KeyActivated(key),
                Change::Purged(key) => AuditKind::KeyPurged(key),
            };
            self.report(now, kind, None, None);
        }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let unix = self.unix(now);
        let key = self.ring.deadline().map(|at| {
            let millis = at.as_millis().saturating_sub(unix.as_millis());
            now.after(Duration::from_millis(millis))
        });
        let announce = self.config.discovery.then_some(self.announce_at);
        [key, announce, self.peers_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn report(
        &mut self,
        now: Instant,
        kind: AuditKind,
        node: Option<NodeId>,
        address: Option<IpAddr>,
    ) {
        let time = self.unix(now);
        self.audit.report(AuditEvent {
            time,
            kind,
            node,
            address,
        });
    }

    /// An authentication failed: it counts against the address, and is reported.
    fn failure(&mut self, now: Instant, fault: &Error, node: Option<NodeId>, address: IpAddr) {
        self.report(now, AuditKind::of(fault), node, Some(address));
        if !matches!(fault.class(), Some(Class::Auth | Class::Replay)) {
            return;
        }
        let peer = node.map_or(Peer::Address(address), Peer::Node);
        let time = self.unix(now);
        self.audit.failed(now, time, peer);
        if self.gate.failed(now, address) {
            self.report(now, AuditKind::LockedOut, None, Some(address));
        }
    }
}
