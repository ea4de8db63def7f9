//! Whom to dial, when, and when to stop (wire page `asoc`, "Timeouts, reconnection, limits", traps
//! 5 and 6).

use super::{ConnectionId, DialId, Node, NodeEvent, NodeOutput};
use crate::asoc::audit::AuditKind;
use crate::asoc::connection::Connection;
use crate::asoc::event::Fresh;
use crate::asoc::node_id::NodeId;
use crate::error::Error;
use crate::time::Instant;
use core::net::SocketAddr;
use core::time::Duration;

/// Names a place that is dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TargetId(u64);

/// A place that is dialed.
pub(super) struct Target {
    address: SocketAddr,
    /// The discovered node that is said to be there; [`None`]: a static peer.
    node: Option<NodeId>,
    /// Dialed only to see whether the node has moved there.
    candidate: bool,
    state: State,
    failures: u32,
    pause: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Wait(Instant),
    Trying(DialId, Instant),
    /// A connection is there, established or not.
    Busy(ConnectionId),
}

/// A discovered node.
pub(super) struct Found {
    pub(super) address: SocketAddr,
    heard: Instant,
    target: Option<TargetId>,
    candidate: Option<TargetId>,
    /// Until then no other address is tried.
    settled: Instant,
}

impl Found {
    pub(super) const fn new(address: SocketAddr, now: Instant, target: Option<TargetId>) -> Self {
        Self {
            address,
            heard: now,
            target,
            candidate: None,
            settled: now,
        }
    }
}

impl Node {
    pub(super) fn add_target(
        &mut self,
        address: SocketAddr,
        node: Option<NodeId>,
        at: Instant,
    ) -> TargetId {
        let id = TargetId(self.number());
        let target = Target {
            address,
            node,
            candidate: false,
            state: State::Wait(at),
            failures: 0,
            pause: None,
        };
        self.targets.insert(id, target);
        id
    }

    /// The target for a node that was discovered, unless it does not listen or is dialed anyway.
    pub(super) fn target_for(
        &mut self,
        now: Instant,
        node: NodeId,
        address: SocketAddr,
    ) -> Option<TargetId> {
        let known = |target: &Target| target.node.is_none() && target.address == address;
        if address.port() == 0 || self.targets.values().any(known) {
            return None;
        }
        // Both ends hear of each other at the same time: only one of them dials at once.
        let at = if self.id < node {
            now
        } else {
            now.after(self.first_pause())
        };
        Some(self.add_target(address, Some(node), at))
    }

    /// A known node announces itself again.
    pub(super) fn heard_again(&mut self, now: Instant, node: NodeId, address: SocketAddr) {
        let Some(found) = self.found.get_mut(&node) else {
            return;
        };
        if found.address == address {
            found.heard = now;
            return;
        }
        if found.candidate.is_some() || now < found.settled || address.port() == 0 {
            return;
        }
        found.settled = now.after(self.config.longest_retry);
        self.report(now, AuditKind::Moving, Some(node), Some(address.ip()));
        // Where we are connected there is nothing to move.
        if self.is_reached(node) || !self.config.dial_discovered {
            return;
        }
        let id = self.add_target(address, Some(node), now);
        if let Some(target) = self.targets.get_mut(&id) {
            target.candidate = true;
        }
        if let Some(found) = self.found.get_mut(&node) {
            found.candidate = Some(id);
        }
    }

    /// Established connections with a node, dialed ones to where it is said to be included.
    pub(super) fn together(&self, node: NodeId) -> usize {
        let with = |link: &&super::Link| link.established && link.node == Some(node);
        self.links.values().filter(with).count()
    }

    /// Whether a connection with the node makes it needless to dial: one that is proven, or that is
    /// with the address where the node is known to be. A HELLO that somebody replays from elsewhere
    /// must not keep us from the node itself.
    pub(super) fn is_reached(&self, node: NodeId) -> bool {
        let known = self.found.get(&node).map(|found| found.address.ip());
        self.links.values().any(|link| {
            link.established
                && link.node == Some(node)
                && (link.proven || known == Some(link.address.ip().to_canonical()))
        })
    }

    /// The attempt has succeeded: here is its connection. An error means: close the socket.
    pub fn dialed(
        &mut self,
        now: Instant,
        dial: DialId,
    ) -> Result<(ConnectionId, Connection), Error> {
        let id = self.trying(dial)?;
        let Some(target) = self.targets.get(&id) else {
            return Err(OVER);
        };
        let (address, node) = (target.address, target.node);
        if self.links.len() >= self.config.limits.connections {
            self.failed(now, id);
            return Err(Error::limit(
                crate::error::Class::Limit,
                "there are as many connections as are allowed at once",
            ));
        }
        let config = self.config.connection.clone();
        let unix = self.unix(now);
        let fresh = Fresh::draw(&mut self.rng, unix);
        let connection = Connection::client(config, self.identity(), fresh, now)?;
        let link = self.link(address, false, node, Some(id));
        if let Some(target) = self.targets.get_mut(&id) {
            target.state = State::Busy(link);
        }
        Ok((link, connection))
    }

    /// The attempt has failed.
    pub fn dial_failed(&mut self, now: Instant, dial: DialId) -> Result<(), Error> {
        let id = self.trying(dial)?;
        self.failed(now, id);
        Ok(())
    }

    fn trying(&self, dial: DialId) -> Result<TargetId, Error> {
        let tries = |target: &Target| matches!(target.state, State::Trying(id, _) if id == dial);
        let found = self.targets.iter().find(|(_, target)| tries(target));
        found.map(|(id, _)| *id).ok_or(OVER)
    }

    /// The connection of a target is established.
    pub(super) fn reached(&mut self, now: Instant, id: TargetId) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        target.failures = 0;
        target.pause = None;
        if !core::mem::take(&mut target.candidate) {
            return;
        }
        let (address, Some(node)) = (target.address, target.node) else {
            return;
        };
        if let Some(found) = self.found.get_mut(&node) {
            let old = found.target.replace(id);
            found.candidate = None;
            found.address = address;
            found.heard = now;
            if let Some(old) = old {
                self.targets.remove(&old);
            }
            self.report(now, AuditKind::Moved, Some(node), Some(address.ip()));
        }
    }

    /// The connection of a target is over, or was never made: wait and try again, or give up.
    pub(super) fn failed(&mut self, now: Instant, id: TargetId) {
        let first = self.first_pause();
        let (most, give_up_after) = (self.config.longest_retry, self.config.give_up_after);
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        target.failures = target.failures.saturating_add(1);
        let pause = target
            .pause
            .map_or(first, |pause| pause.saturating_mul(2))
            .min(most);
        target.pause = Some(pause);
        target.state = State::Wait(now.after(pause));
        let Some(node) = target.node else {
            return;
        };
        if target.candidate {
            self.targets.remove(&id);
            if let Some(found) = self.found.get_mut(&node) {
                found.candidate = None;
            }
        } else if target.failures >= give_up_after {
            self.lose(node);
            // Bounded: nobody is in here who was not found before.
            self.given_up.retain(|_, until| now < *until);
            if self.given_up.len() < self.config.discovered_peers {
                self.given_up.insert(node, now.after(most));
            }
        }
    }

    /// An established connection has ended: the next attempt is a first one.
    pub(super) fn ended(&mut self, now: Instant, id: TargetId) {
        let pause = self.first_pause();
        if let Some(target) = self.targets.get_mut(&id) {
            target.pause = Some(pause);
            target.state = State::Wait(now.after(pause));
        }
    }

    fn lose(&mut self, node: NodeId) {
        if let Some(found) = self.found.remove(&node) {
            for id in [found.target, found.candidate].into_iter().flatten() {
                let target = self.targets.remove(&id);
                if let Some(State::Trying(dial, _)) = target.map(|target| target.state) {
                    self.out.push_back(NodeOutput::Abandon(dial));
                }
            }
            self.out
                .push_back(NodeOutput::Event(NodeEvent::Lost { node }));
        }
    }

    fn first_pause(&mut self) -> Duration {
        let (least, most) = self.config.first_retry;
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        let drawn = u64::from(u32::from_be_bytes(self.rng.array()));
        let extra = span.saturating_mul(drawn) >> 32;
        least.saturating_add(Duration::from_micros(extra))
    }

    /// Dials what is due, gives up what takes too long, forgets who is not heard.
    pub(super) fn advance_peers(&mut self, now: Instant) {
        let late =
            |target: &Target| matches!(target.state, State::Trying(_, until) if now >= until);
        while let Some((id, dial)) =
            self.targets
                .iter()
                .find_map(|(id, target)| match target.state {
                    State::Trying(dial, _) if late(target) => Some((*id, dial)),
                    _ => None,
                })
        {
            self.out.push_back(NodeOutput::Abandon(dial));
            self.failed(now, id);
        }
        while let Some(node) = self.stale(now) {
            self.lose(node);
        }
        while let Some(id) = self.due(now) {
            self.dial(now, id);
        }
    }

    fn stale(&self, now: Instant) -> Option<NodeId> {
        let stale = |(node, found): &(&NodeId, &Found)| {
            now >= found.heard.after(self.config.stale_after) && !self.is_busy(**node, found)
        };
        self.found.iter().find(stale).map(|(node, _)| *node)
    }

    /// Whether a connection with the node is there, or being made.
    fn is_busy(&self, node: NodeId, found: &Found) -> bool {
        let busy = |id: TargetId| {
            let target = self.targets.get(&id);
            target.is_some_and(|target| matches!(target.state, State::Busy(_)))
        };
        found.target.is_some_and(busy) || found.candidate.is_some_and(busy) || self.is_reached(node)
    }

    fn due(&self, now: Instant) -> Option<TargetId> {
        let due = |target: &Target| matches!(target.state, State::Wait(at) if now >= at);
        let mut due = self.targets.iter().filter(|(_, target)| due(target));
        due.next().map(|(id, _)| *id)
    }

    fn dial(&mut self, now: Instant, id: TargetId) {
        let again = self.first_pause();
        let dial = DialId(self.number());
        let until = now.after(self.config.connect_timeout);
        let node = self.targets.get(&id).and_then(|target| target.node);
        let reached = node.is_some_and(|node| self.is_reached(node));
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        if reached && !target.candidate {
            // The node has dialed us: look again later.
            target.state = State::Wait(now.after(again));
            return;
        }
        target.state = State::Trying(dial, until);
        let address = target.address;
        self.out.push_back(NodeOutput::Dial { dial, address });
    }

    pub(super) fn peers_deadline(&self) -> Option<Instant> {
        let targets = self
            .targets
            .values()
            .filter_map(|target| match target.state {
                State::Wait(at) | State::Trying(_, at) => Some(at),
                State::Busy(_) => None,
            });
        let found = self
            .found
            .iter()
            .filter(|(node, found)| !self.is_busy(**node, found))
            .map(|(_, found)| found.heard.after(self.config.stale_after));
        targets.chain(found).min()
    }
}

const OVER: Error = Error::Misuse("this attempt to connect is over: close the socket");
