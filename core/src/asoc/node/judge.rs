//! Events of connections, and what follows from them.

use super::{ConnectionId, Link, Node, NodeEvent, NodeOutput, Verdict};
use crate::asoc::audit::{AuditKind, Peer};
use crate::asoc::event::{ConnectionEvent, Established};
use crate::asoc::key::KeyId;
use crate::asoc::node_id::NodeId;
use crate::asoc::rotation::{Heard, Notice};
use crate::error::{Class, Error};
use crate::time::{Instant, UnixTime};

/// Tokens are remembered as if they all were one node's.
const SERVERS: NodeId = NodeId::from_bytes([0; 16]);

impl Node {
    /// Judges an event of a connection. Hand in every one, and carry out the verdict.
    pub fn hear(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        event: &ConnectionEvent,
    ) -> Verdict {
        if !self.links.contains_key(&connection) {
            return Verdict::Go;
        }
        match event {
            ConnectionEvent::Hello {
                peer, challenge, ..
            } => self.hello(now, connection, *peer, *challenge),
            ConnectionEvent::Established(established) => {
                self.established(now, connection, established)
            }
            ConnectionEvent::Data { bytes, .. } => {
                if let Some(peer) = self.peer(connection) {
                    let bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    self.audit.count(peer, |counters| {
                        counters.received = counters.received.saturating_add(bytes);
                    });
                }
                Verdict::Go
            }
            ConnectionEvent::End { .. } => Verdict::Go,
            ConnectionEvent::Announced { key, activation } => {
                self.key_announced(now, connection, *key, *activation)
            }
            ConnectionEvent::Acknowledged { key } => {
                self.report_on(now, connection, AuditKind::KeyAcknowledged(*key));
                Verdict::Go
            }
            ConnectionEvent::Closed(fault) => {
                self.closed(now, connection, fault.as_ref());
                Verdict::Go
            }
        }
    }

    fn hello(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        peer: NodeId,
        challenge: u64,
    ) -> Verdict {
        let unix = self.unix(now);
        let judged = self
            .hellos
            .admit(peer, challenge, unix)
            .and_then(|()| self.audit.allows(peer))
            .and_then(|()| self.has_room(peer));
        if let Some(link) = self.links.get_mut(&connection) {
            link.node = Some(peer);
        }
        match judged {
            Ok(()) => Verdict::Admit,
            Err(fault) => Verdict::Refuse(fault),
        }
    }

    /// Refuses a connection with a node that has as many as it may.
    fn has_room(&self, node: NodeId) -> Result<(), Error> {
        if self.together(node) < self.config.limits.connections_per_node {
            return Ok(());
        }
        Err(Error::limit(
            Class::Limit,
            "there are as many connections with this node as are allowed",
        ))
    }

    fn established(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        established: &Established,
    ) -> Verdict {
        let unix = self.unix(now);
        let Some(link) = self.links.get_mut(&connection) else {
            return Verdict::Go;
        };
        let (address, incoming, target) = (link.address, link.incoming, link.target);
        if !incoming {
            if let Some(fault) = self.unwanted(connection, established) {
                self.failure(now, &fault, established.peer, address.ip());
                return Verdict::Close(fault);
            }
            let token = u64::from_be_bytes(established.token);
            if let Err(fault) = self.tokens.admit(SERVERS, token, unix)
                && fault.class() == Some(Class::Replay)
            {
                self.report_on(now, connection, AuditKind::RepeatedToken);
            }
        }
        if let Some(link) = self.links.get_mut(&connection) {
            link.established = true;
            link.proven = established.proven;
            link.node = established.peer.or(link.node);
        }
        if incoming {
            self.gate.succeeded(now, address.ip());
        }
        let success = AuditKind::Success {
            incoming,
            proven: established.proven,
            key: established.key,
        };
        self.report(now, success, established.peer, Some(address.ip()));
        if let Some(peer) = self.peer(connection) {
            self.audit.count(peer, |counters| {
                counters.connections = counters.connections.saturating_add(1);
            });
        }
        if let Some(target) = target {
            self.reached(now, target);
        }
        let together = established.peer.map_or(0, |node| self.together(node));
        self.out.push_back(NodeOutput::Event(NodeEvent::Up {
            connection,
            node: established.peer,
            address,
            together,
        }));
        match self.ring.pending() {
            Some(notice) => Verdict::Notify(notice),
            None => Verdict::Go,
        }
    }

    /// Why a server that has told who it is should not be talked to, if there is a reason.
    fn unwanted(&self, connection: ConnectionId, established: &Established) -> Option<Error> {
        let peer = established.peer?;
        if let Err(fault) = self.audit.allows(peer) {
            return Some(fault);
        }
        let wanted = self.links.get(&connection).and_then(|link| link.node);
        if wanted.is_some_and(|wanted| wanted != peer) {
            return Some(Error::peer(
                Class::Identity,
                "another node answers where this one was said to be",
            ));
        }
        self.has_room(peer).err()
    }

    fn key_announced(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        key: KeyId,
        activation: UnixTime,
    ) -> Verdict {
        match self.ring.hear(key, activation) {
            Heard::Scheduled | Heard::Known => {}
            Heard::Differs => {
                self.report_on(now, connection, AuditKind::DifferentActivation(key));
            }
            Heard::Unknown => {
                self.report_on(now, connection, AuditKind::UnknownKey(key));
                return Verdict::Go;
            }
        }
        Verdict::Notify(Notice::Acknowledge { key })
    }

    fn report_on(&mut self, now: Instant, connection: ConnectionId, kind: AuditKind) {
        let link = self.links.get(&connection);
        let (node, address) =
            link.map_or((None, None), |link| (link.node, Some(link.address.ip())));
        self.report(now, kind, node, address);
    }

    fn closed(&mut self, now: Instant, connection: ConnectionId, fault: Option<&Error>) {
        let Some(link) = self.links.remove(&connection) else {
            return;
        };
        let Link {
            address,
            node,
            target,
            established,
            incoming,
            ..
        } = link;
        if let Some(fault) = fault {
            // A UUID that only discovery has named has proven nothing.
            let node = node.filter(|_| incoming || established);
            if established {
                // Who has authenticated itself is not locked out for what others do to its bytes.
                self.report(now, AuditKind::of(fault), node, Some(address.ip()));
            } else {
                self.failure(now, fault, node, address.ip());
            }
        }
        if established {
            self.out
                .push_back(NodeOutput::Event(NodeEvent::Down { connection }));
        }
        if let Some(target) = target {
            if established {
                self.ended(now, target);
            } else {
                self.failed(now, target);
            }
        }
    }

    /// The socket of a connection is gone without an event of its machine.
    pub fn lost(&mut self, now: Instant, connection: ConnectionId) {
        self.closed(now, connection, None);
    }

    /// Whether a connection belongs to this peer; for reading [`Node::counters`].
    pub fn who(&self, connection: ConnectionId) -> Option<Peer> {
        self.peer(connection)
    }
}
