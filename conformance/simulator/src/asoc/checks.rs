//! What must hold.

use super::Weakness;
use super::cluster::Cluster;
use super::scene::name;
use super::tcp::{Got, Side, Tcp, Who, Wire};
use crate::Violation;
use stillwire_core::asoc::{ConnectionEvent, Established};

type Checked = Result<(), Violation>;

/// Node and life of the end on that side.
fn own_life(tcp: &Tcp, side: Side) -> Option<(usize, u64)> {
    match tcp.ends.get(side) {
        Some(Who::Node(end)) => Some((end.node, end.life)),
        _ => None,
    }
}

impl Cluster {
    /// Something that only an attacker can have brought about.
    fn achieved(&mut self, weakness: Weakness, detail: &str) -> Checked {
        if self.scene.hardened {
            return Err(Violation::new(
                "the hardened profile has none of the default one's weaknesses",
                format!("{weakness:?}: {detail}"),
            ));
        }
        self.weaknesses.insert(weakness);
        Ok(())
    }

    /// A handshake was completed on this end.
    pub(super) fn check_established(
        &mut self,
        wire: Wire,
        side: Side,
        told: &Established,
    ) -> Checked {
        self.handshakes += 1;
        let Some(tcp) = self.wires.get(&wire) else {
            return Ok(());
        };
        let (own, other) = (tcp.node(side), tcp.node(1 - side));
        let attacker = tcp.with_attacker();
        let own = own.map(name);
        if told.peer.is_some() && told.peer == own {
            return Err(Violation::new("nobody talks to itself", format!("{own:?}")));
        }
        if told.proven != self.scene.hardened {
            return Err(Violation::new(
                "only the hardened profile says that a peer is proven",
                format!("{told:?}"),
            ));
        }
        if tcp.mirrored() {
            return Err(Violation::new(
                "nobody takes its own words for an answer",
                format!("{told:?}"),
            ));
        }
        let astray = tcp.meant.is_some() && other.is_some() && tcp.meant != other;
        if side == 0 && self.scene.hardened && astray {
            return Err(Violation::new(
                "a node that was discovered is who answers at its address",
                format!("{:?} was meant, {other:?} answers", tcp.meant),
            ));
        }
        if attacker && side == 1 {
            let Some(life) = own_life(tcp, side) else {
                return Ok(());
            };
            self.record.failures.remove(&life);
        }
        if attacker {
            return if side == 1 {
                self.achieved(Weakness::ReplayedHello, "a recorded HELLO was taken")
            } else {
                self.achieved(Weakness::ReplayedAccept, "a recorded ACCEPT was taken")
            };
        }
        if let (Some(peer), Some(other)) = (told.peer, other)
            && peer != name(other)
        {
            return Err(Violation::new(
                "a peer is who the handshake says",
                format!("{peer} is {}", name(other)),
            ));
        }
        Ok(())
    }

    /// A HELLO was let in: a node lets in each only once in its life.
    pub(super) fn check_admitted(&mut self, node: usize, life: u64, hello: &[u8]) -> Checked {
        if self.admitted.insert((node, life, hello.to_vec())) {
            return Ok(());
        }
        Err(Violation::new(
            "a node takes a HELLO once in its life",
            format!("node {node}"),
        ))
    }

    /// Bytes or an end of a stream arrived.
    pub(super) fn check_delivered(
        &mut self,
        wire: Wire,
        side: Side,
        event: &ConnectionEvent,
    ) -> Checked {
        let Some(tcp) = self.wires.get_mut(&wire) else {
            return Ok(());
        };
        let altered = tcp.altered[1 - side] || tcp.with_attacker();
        let [a, b] = &mut tcp.ends;
        let (receiver, sender) = if side == 0 { (a, b) } else { (b, a) };
        let Who::Node(receiver) = receiver else {
            return Ok(());
        };
        let sent = match sender {
            Who::Node(sender) => Some(&sender.sent),
            Who::Gone(sent) => Some(&*sent),
            Who::Attacker(_) | Who::Mirror => None,
        };
        let good = match event {
            ConnectionEvent::Data { stream, bytes, .. } => {
                let got: &mut Got = receiver.got.entry(*stream).or_default();
                let from = got.bytes;
                got.bytes += bytes.len();
                let sent = sent.and_then(|sent| sent.get(stream));
                sent.and_then(|sent| sent.bytes.get(from..got.bytes)) == Some(&bytes[..])
            }
            ConnectionEvent::End { stream } => {
                let got = receiver.got.get(stream).map_or(0, |got| got.bytes);
                let sent = sent.and_then(|sent| sent.get(stream));
                let whole = sent.is_some_and(|sent| sent.ended && sent.bytes.len() == got);
                self.streams += u64::from(whole);
                whole
            }
            _ => true,
        };
        if good {
            return Ok(());
        }
        if !altered {
            return Err(Violation::new(
                "what arrives is what was sent, in order",
                format!("wire {wire}: {event:?}"),
            ));
        }
        self.achieved(Weakness::AlteredData, "bytes arrived that nobody sent")
    }

    /// At the end, when nothing has gone wrong for a while.
    pub(super) fn check_found(&self) -> Checked {
        for (index, node) in self.nodes.iter().enumerate() {
            for other in 0..self.nodes.len() {
                if index == other {
                    continue;
                }
                let up = self.wires.values().any(|tcp| {
                    let pair = (tcp.node(0), tcp.node(1));
                    let both =
                        pair == (Some(index), Some(other)) || pair == (Some(other), Some(index));
                    let is_up = |side: Side| match &tcp.ends[side] {
                        Who::Node(end) => end.up,
                        _ => false,
                    };
                    both && is_up(0) && is_up(1)
                });
                if !up {
                    return Err(Violation::new(
                        "nodes that can reach each other are connected in the end",
                        format!(
                            "{index} and {other}; it is known at {:?}",
                            node.node.address(name(other))
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}
