//! Who listens to everything, and repeats or alters it.

use super::cluster::{Act, Cluster};
use super::scene::{ATTACKER, address};
use super::tcp::{Tcp, Who, Wire};
use std::net::SocketAddr;

/// How many connections and datagrams are kept in mind.
const TAPES: usize = 64;

/// What the attacker has recorded.
#[derive(Default)]
pub(super) struct Attacker {
    /// Both directions of finished or running connections between nodes.
    pub(super) tapes: Vec<[Vec<Vec<u8>>; 2]>,
    pub(super) datagrams: Vec<Vec<u8>>,
}

impl Attacker {
    pub(super) fn hear(&mut self, datagram: &[u8]) {
        if self.datagrams.len() < TAPES {
            self.datagrams.push(datagram.to_vec());
        }
    }
}

impl Cluster {
    /// One of its attempts.
    pub(super) fn attack(&mut self) {
        self.attacks += 1;
        self.record();
        match self.rng.below(3) {
            0 => self.replay_datagram(),
            _ => self.replay_client(),
        }
    }

    /// Takes down what connections have said so far.
    fn record(&mut self) {
        for tcp in self.wires.values() {
            let plain = !tcp.with_attacker() && !tcp.tape[0].is_empty();
            if plain && self.attacker.tapes.len() < TAPES {
                self.attacker.tapes.push(tcp.tape.clone());
            }
        }
    }

    /// A recorded discovery message, from its own or from anybody's address.
    fn replay_datagram(&mut self) {
        let count = self.attacker.datagrams.len() as u64;
        let index = self.rng.below(count) as usize;
        let Some(bytes) = self.attacker.datagrams.get(index).cloned() else {
            return;
        };
        let from = if self.rng.chance(500) {
            ATTACKER
        } else {
            address(self.rng.below(self.nodes.len() as u64) as usize).ip()
        };
        let to = self.rng.below(self.nodes.len() as u64) as usize;
        let at = self.now + self.rng.below(self.scene.delay);
        self.plan(at, Act::Datagram(to, from, bytes));
    }

    fn tape(&mut self) -> Option<[Vec<Vec<u8>>; 2]> {
        let count = self.attacker.tapes.len() as u64;
        let index = self.rng.below(count) as usize;
        self.attacker.tapes.get(index).cloned()
    }

    /// What a client once said, said again to some node.
    fn replay_client(&mut self) {
        let Some([said, _]) = self.tape() else {
            return;
        };
        let to = self.rng.below(self.nodes.len() as u64) as usize;
        let from = SocketAddr::new(ATTACKER, 40_000);
        let now = self.instant();
        let Ok((id, machine)) = self.nodes[to].node.accept(now, from) else {
            return;
        };
        let server = self.end(to, id, machine);
        let mut rest = said.into_iter();
        let first = rest.next().unwrap_or_default();
        let answers = rest.collect();
        let wire = self.add(Tcp::new([Who::Attacker(answers), server]));
        self.carry(wire, 0, first);
    }

    /// A node dials the attacker: what a server once said waits for it.
    pub(super) fn dialed(&mut self) -> Who {
        self.record();
        self.attacks += 1;
        let said = self.tape().map(|[_, said]| said).unwrap_or_default();
        Who::Attacker(said)
    }

    /// Bytes have reached the attacker: it goes on with its script.
    pub(super) fn heard(&mut self, wire: Wire, side: usize) {
        let Some(tcp) = self.wires.get_mut(&wire) else {
            return;
        };
        let Some(Who::Attacker(script)) = tcp.ends.get_mut(side) else {
            return;
        };
        if !script.is_empty() {
            let next = script.remove(0);
            self.carry(wire, side, next);
        }
    }

    /// What becomes of a piece on its way, where the attacker has its hands on the wire.
    pub(super) fn altered(&mut self, bytes: &mut Vec<u8>) {
        self.attacks += 1;
        match self.rng.below(4) {
            0 => {
                let bit = self.rng.below(bytes.len() as u64 * 8) as usize;
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            1 => bytes.extend_from_within(..),
            2 => bytes.clear(),
            _ => {
                // A frame of its own: DATA at the beginning of a stream of its own.
                let frame = [
                    1, 1, 0, 0, 3, 0xe7, 0, 0, 0, 0, 0, 0, 0, 4, b'e', b'v', b'i', b'l',
                ];
                bytes.extend_from_slice(&frame);
            }
        }
    }
}
