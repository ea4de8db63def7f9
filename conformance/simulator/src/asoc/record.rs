//! What the checks must remember of a run, and the checks that need it.

use super::cluster::Cluster;
use super::scene::{HEAD, SECOND};
use super::tcp::{Side, Who, Wire};
use crate::Violation;
use std::collections::{BTreeMap, BTreeSet};
use stillwire_core::{Class, Error};

type Checked = Result<(), Violation>;

/// Failed authentications after which an address is locked out, and for how many seconds at the
/// least: less than the scene's setting, since those under way may end a little later.
const FAILURES: usize = 5;
const LOCKED: u64 = 10;

/// What has really been said, and what came of it.
#[derive(Default)]
pub(super) struct Record {
    /// All discovery messages of nodes.
    pub(super) announced: BTreeSet<Vec<u8>>,
    /// The first words of all clients.
    pub(super) hellos: BTreeSet<Vec<u8>>,
    /// Discovery messages that were taken, by node and life.
    heard: BTreeSet<(usize, u64, Vec<u8>)>,
    /// For when the next key was announced first, and when that was heard, by node and life; both
    /// in seconds of the node's clock.
    pub(super) rotations: BTreeMap<(usize, u64), (u64, u64)>,
    /// When the attacker's forged HELLOs were refused, by node and life.
    pub(super) failures: BTreeMap<(usize, u64), Vec<u64>>,
}

impl Cluster {
    /// A node has taken a discovery message.
    pub(super) fn check_datagram(&mut self, node: usize, bytes: &[u8]) -> Checked {
        if !self.record.announced.contains(bytes) {
            return Err(Violation::new(
                "a discovery message is taken only if a node has said it",
                format!("node {node}"),
            ));
        }
        let life = self.nodes[node].life;
        if !self.record.heard.insert((node, life, bytes.to_vec())) {
            return Err(Violation::new(
                "a node takes a discovery message once",
                format!("node {node}"),
            ));
        }
        let said = bytes.get(26..30).and_then(|said| said.try_into().ok());
        let said = u64::from(u32::from_be_bytes(said.unwrap_or_default()));
        let clock = self.clock(node);
        // Both clocks were started within a second.
        if said.abs_diff(clock) > 62 {
            return Err(Violation::new(
                "a discovery message is taken only in its time",
                format!("node {node}: it says {said}, and it is {clock}"),
            ));
        }
        Ok(())
    }

    /// A node is about to transmit.
    pub(super) fn check_said(&mut self, wire: Wire, side: Side, bytes: &[u8]) -> Checked {
        let Some(tcp) = self.wires.get(&wire) else {
            return Ok(());
        };
        if tcp.forged {
            return Err(Violation::new(
                "a HELLO that nobody has said is not answered",
                format!("wire {wire}: {} bytes", bytes.len()),
            ));
        }
        let said = &tcp.tape[side];
        if side == 0 && said.is_empty() {
            self.record.hellos.insert(bytes.to_vec());
        }
        let sealed = self.scene.hardened && bytes.len() > HEAD;
        if sealed && said.iter().any(|before| before == bytes) {
            return Err(Violation::new(
                "no two sealed frames of a connection are alike: each has a nonce of its own",
                format!("wire {wire}, end {side}: {} bytes", bytes.len()),
            ));
        }
        Ok(())
    }

    /// A connection is over, on one end.
    pub(super) fn check_fault(&mut self, wire: Wire, side: Side, fault: Option<&Error>) -> Checked {
        let (Some(tcp), Some(class)) = (self.wires.get(&wire), fault.and_then(Error::class)) else {
            return Ok(());
        };
        if tcp.forged
            && class == Class::Auth
            && let Some(Who::Node(end)) = tcp.ends.get(side)
        {
            let failures = self.record.failures.entry((end.node, end.life));
            failures.or_default().push(self.now);
        }
        let other = 1 - side;
        let touched = tcp.altered[other] || tcp.repeated[other] || tcp.routed;
        let accuses = [
            Class::Auth,
            Class::Future,
            Class::Length,
            Class::Stale,
            Class::State,
            Class::Type,
            Class::Version,
        ];
        if !touched && !tcp.with_attacker() && accuses.contains(&class) {
            return Err(Violation::new(
                "no node accuses another whose words came as they were said",
                format!("wire {wire}, end {side}: {fault:?}"),
            ));
        }
        Ok(())
    }

    /// The attacker's connection was let in.
    pub(super) fn check_let_in(&mut self, node: usize) -> Checked {
        let life = self.nodes[node].life;
        let Some(failures) = self.record.failures.get_mut(&(node, life)) else {
            return Ok(());
        };
        // As long without a failure forgets the failures before.
        let last = failures.last().copied().unwrap_or(0);
        let Some(fifth) = failures.get(FAILURES - 1).copied() else {
            if self.now > last + LOCKED * SECOND {
                failures.clear();
            }
            return Ok(());
        };
        if self.now < fifth + LOCKED * SECOND {
            return Err(Violation::new(
                "whoever fails five times is locked out for a while",
                format!("node {node}: failures at {failures:?}"),
            ));
        }
        failures.clear();
        Ok(())
    }
}
