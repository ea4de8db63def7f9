//! A rotation of the cluster's key: installed everywhere, announced by one node, and repeated by the
//! attacker with other times.

use super::cluster::{Act, Cluster};
use super::scene::{EPOCH, HEAD, SECOND};
use super::tcp::{Side, Wire};
use crate::Violation;
use stillwire_core::UnixTime;
use stillwire_core::asoc::rotation::Notice;
use stillwire_core::asoc::{ApiKey, AuditEvent, AuditKind, ConnectionId, KeyId};

/// The key that the cluster changes to.
const NEXT: &[u8] = b"the next key of the simulated cluster";

/// How late a node may be in changing over: it is woken every few seconds.
const LATE: u64 = 10;

fn next() -> ApiKey {
    ApiKey::new(NEXT).expect("the key is long enough")
}

impl Cluster {
    /// A node's wall clock, in seconds.
    pub(super) fn clock(&self, node: usize) -> u64 {
        EPOCH + self.now / SECOND + self.scene.clocks[node] - 100
    }

    /// The operator installs the next key on a node, if it is time.
    pub(super) fn install(&mut self, node: usize) {
        if self.scene.rotation.is_some_and(|at| at <= self.now) {
            let member = &mut self.nodes[node];
            // It has it already if it was started anew at this very moment.
            let _ = member.node.install_key(next());
        }
    }

    /// The operator installs the next key everywhere, and has it announced a little later.
    pub(super) fn rotate(&mut self) {
        for node in 0..self.nodes.len() {
            self.install(node);
        }
        self.plan(self.now + 6 * SECOND, Act::AnnounceKey);
    }

    /// One node announces the key.
    pub(super) fn announce_key(&mut self) -> Result<(), Violation> {
        let node = self.rng.below(self.nodes.len() as u64) as usize;
        let activation = self.clock(node) + 15;
        let member = &mut self.nodes[node];
        let announced = member.node.announce_key(UnixTime::from_secs(activation));
        // An attacker of the default profile may have been faster.
        if announced.is_ok() {
            let life = self.nodes[node].life;
            let now = self.clock(node);
            self.record
                .rotations
                .insert((node, life), (activation, now));
        }
        self.drain_node(node)
    }

    /// A node has a notice for a peer.
    pub(super) fn notify(
        &mut self,
        node: usize,
        connection: ConnectionId,
        notice: Notice,
    ) -> Result<(), Violation> {
        let found = self.wires.iter_mut().find_map(|(wire, tcp)| {
            let is = |side: Side, tcp: &mut super::tcp::Tcp| {
                let end = tcp.end(side);
                end.is_some_and(|end| end.node == node && end.id == connection)
            };
            let side = (0..2).find(|side| is(*side, tcp))?;
            Some((*wire, side))
        });
        let Some((wire, side)) = found else {
            return Ok(());
        };
        if let Some(end) = self.wires.get_mut(&wire).and_then(|tcp| tcp.end(side)) {
            // It may be over.
            let _ = end.machine.notify(notice);
        }
        self.drain_end(wire, side)
    }

    /// A node hears an announcement. The first one of its next key stands.
    pub(super) fn heard_key(&mut self, node: usize, key: KeyId, activation: UnixTime) {
        let (life, now) = (self.nodes[node].life, self.clock(node));
        if key == next().id() && self.nodes[node].node.key_ids().contains(&key) {
            let first = self.record.rotations.entry((node, life));
            first.or_insert((activation.as_secs(), now));
        }
    }

    /// A node has changed over.
    pub(super) fn check_audit(&mut self, node: usize, event: &AuditEvent) -> Result<(), Violation> {
        if !matches!(event.kind, AuditKind::KeyActivated(_)) {
            return Ok(());
        }
        let (life, now) = (self.nodes[node].life, self.clock(node));
        let known = self.record.rotations.get(&(node, life));
        // A second on either side: clocks begin within one.
        let good = known
            .is_some_and(|(at, heard)| now + 1 >= *at && now <= at.max(heard).saturating_add(LATE));
        if good {
            return Ok(());
        }
        Err(Violation::new(
            "a key is activated when its first announcement said",
            format!("node {node}: at {now}, announced for {known:?}"),
        ))
    }

    /// Lets an announcement of another time follow a payload of the default profile.
    pub(super) fn say_other_time(&mut self, wire: Wire, from: Side, bytes: &mut Vec<u8>) {
        let after_head = self.wires.get(&wire).and_then(|tcp| tcp.tape[from].last());
        let head = after_head.is_some_and(|head| head.len() == HEAD);
        if bytes.len() == HEAD || !head {
            return;
        }
        let seconds = EPOCH + self.now / SECOND + self.rng.below(200);
        let activation = UnixTime::from_secs(seconds);
        let key = next().id();
        let notice = Notice::Announce { key, activation }.encode();
        bytes.extend_from_slice(&[1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17]);
        bytes.extend_from_slice(&notice);
    }
}
