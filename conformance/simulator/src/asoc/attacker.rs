//! Who listens to everything, and repeats or alters it.

use super::cluster::{Act, Cluster};
use super::scene::{ATTACKER, HEAD, SECOND, address};
use super::tcp::{Side, Tcp, Touch, Who, Wire};
use crate::Violation;
use crate::rng::Rng;
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
    pub(super) fn attack(&mut self) -> Result<(), Violation> {
        self.attacks += 1;
        self.record();
        match self.rng.below(6) {
            0 => self.replay_datagram(),
            1 => self.forge_datagram(),
            2 => {
                // Again and again, as somebody does who guesses.
                let to = self.rng.below(self.nodes.len() as u64) as usize;
                for turn in 0..9 {
                    self.plan(self.now + turn * SECOND, Act::Forge(to));
                }
            }
            _ => return self.replay_client(),
        }
        Ok(())
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

    /// A discovery message with one bit changed.
    fn forge_datagram(&mut self) {
        let count = self.attacker.datagrams.len() as u64;
        let index = self.rng.below(count) as usize;
        let Some(mut bytes) = self.attacker.datagrams.get(index).cloned() else {
            return;
        };
        flip(&mut self.rng, &mut bytes, 0);
        let to = self.rng.below(self.nodes.len() as u64) as usize;
        let at = self.now + self.rng.below(self.scene.delay);
        self.plan(at, Act::Datagram(to, ATTACKER, bytes));
    }

    /// What a client once said, with one bit of its HELLO changed.
    pub(super) fn forge_client(&mut self, to: usize) -> Result<(), Violation> {
        let hello = self.tape().and_then(|[said, _]| said.into_iter().next());
        // Not one that somebody has changed on its way, which may be longer.
        let whole = |hello: &Vec<u8>| self.record.hellos.contains(hello);
        let Some(mut hello) = hello.filter(whole) else {
            return Ok(());
        };
        flip(&mut self.rng, &mut hello, HEAD);
        if self.record.hellos.contains(&hello) {
            return Ok(());
        }
        self.knock(to, hello, Vec::new(), true)
    }

    /// Which node a dial really leads to: an attacker may sit on the way. In the default profile
    /// nobody would notice (the book names that), and nobody would look for the right node either.
    pub(super) fn routed(&mut self, meant: usize) -> usize {
        let attacks = self.troubled() && self.scene.hardened;
        if attacks && self.rng.chance(self.scene.alter) {
            self.attacks += 1;
            return self.rng.below(self.nodes.len() as u64) as usize;
        }
        meant
    }

    fn tape(&mut self) -> Option<[Vec<Vec<u8>>; 2]> {
        let count = self.attacker.tapes.len() as u64;
        let index = self.rng.below(count) as usize;
        self.attacker.tapes.get(index).cloned()
    }

    /// What a client once said, said again to some node.
    fn replay_client(&mut self) -> Result<(), Violation> {
        let Some([said, _]) = self.tape() else {
            return Ok(());
        };
        let to = self.rng.below(self.nodes.len() as u64) as usize;
        let mut rest = said.into_iter();
        let first = rest.next().unwrap_or_default();
        self.knock(to, first, rest.collect(), false)
    }

    /// Connects to a node and begins to speak.
    fn knock(
        &mut self,
        to: usize,
        first: Vec<u8>,
        answers: Vec<Vec<u8>>,
        forged: bool,
    ) -> Result<(), Violation> {
        let from = SocketAddr::new(ATTACKER, 40_000);
        let now = self.instant();
        let Ok((id, machine)) = self.nodes[to].node.accept(now, from) else {
            return Ok(());
        };
        self.check_let_in(to)?;
        let server = self.end(to, id, machine);
        let mut tcp = Tcp::new([Who::Attacker(answers), server]);
        tcp.forged = forged;
        let wire = self.add(tcp);
        self.carry(wire, 0, first);
        Ok(())
    }

    /// A node dials the attacker: what a server once said waits for it.
    pub(super) fn dialed(&mut self) -> Who {
        self.record();
        self.attacks += 1;
        if self.rng.chance(300) {
            return Who::Mirror;
        }
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
    pub(super) fn tamper(&mut self, wire: Wire, from: Side, bytes: &mut Vec<u8>) -> Touch {
        self.attacks += 1;
        match self.rng.below(7) {
            0 => bytes.extend_from_within(..),
            1 => bytes.clear(),
            2 => {
                // A frame of its own: DATA at the beginning of a stream of its own.
                let frame = [
                    1, 1, 0, 0, 3, 0xe7, 0, 0, 0, 0, 0, 0, 0, 4, b'e', b'v', b'i', b'l',
                ];
                bytes.extend_from_slice(&frame);
            }
            3 if self.say_again(wire, from, bytes) => return Touch::Repeated,
            4 => {
                // What the other side has said last comes back to it.
                let tcp = self.wires.get(&wire);
                if let Some(last) = tcp.and_then(|tcp| tcp.tape[1 - from].last()) {
                    last.clone_into(bytes);
                }
            }
            5 => self.say_other_time(wire, from, bytes),
            _ => flip(&mut self.rng, bytes, 0),
        }
        Touch::Altered
    }

    /// Says a DATA frame of the default profile twice, where `bytes` is the payload of one.
    fn say_again(&self, wire: Wire, from: Side, bytes: &mut Vec<u8>) -> bool {
        let Some(tcp) = self.wires.get(&wire).filter(|tcp| !tcp.altered[from]) else {
            return false;
        };
        let Some(head) = tcp.tape[from].last() else {
            return false;
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        let fits = head.len() == HEAD && head.starts_with(&[1, 1]) && head.ends_with(&length);
        if fits && !self.scene.hardened {
            let payload = bytes.clone();
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(&payload);
        }
        fits && !self.scene.hardened
    }
}

/// Changes one bit, of those from byte `from` on.
fn flip(rng: &mut Rng, bytes: &mut [u8], from: usize) {
    let bits = bytes.len().saturating_sub(from) as u64 * 8;
    let bit = rng.below(bits) as usize;
    if let Some(byte) = bytes.get_mut(from + bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}
