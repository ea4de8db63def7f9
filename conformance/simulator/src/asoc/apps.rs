//! What applications and operators do: talk, and restart a node.

use super::cluster::{Act, Cluster};
use super::scene::SECOND;
use super::tcp::{Sent, Side, Who, Wire};
use crate::Violation;
use bytes::Bytes;

impl Cluster {
    /// An application sends a stream, or a part of one that it leaves open for good.
    pub(super) fn talk(&mut self, wire: Wire, side: Side) -> Result<(), Violation> {
        let size = self.rng.below(5_000) as usize;
        let fill: [u8; 8] = self.rng.bytes();
        let again = self.now + self.rng.range(SECOND, 40 * SECOND);
        let Some(end) = self.wires.get_mut(&wire).and_then(|tcp| tcp.end(side)) else {
            return Ok(());
        };
        let Ok(stream) = end.machine.open() else {
            return Ok(());
        };
        let data: Vec<u8> = fill.iter().copied().cycle().take(size).collect();
        let taken = end.machine.write(stream, &Bytes::from(data.clone()));
        let whole = taken == Ok(size) && end.machine.end(stream).is_ok();
        let bytes = data.get(..taken.unwrap_or(0)).unwrap_or_default().to_vec();
        end.sent.insert(
            stream,
            Sent {
                bytes,
                ended: whole,
            },
        );
        if self.troubled() {
            self.plan(again, Act::Talk(wire, side));
        }
        self.drain_end(wire, side)
    }

    /// A node dies and comes back with nothing but its name and keys.
    pub(super) fn restart(&mut self) -> Result<(), Violation> {
        let index = self.rng.below(self.nodes.len() as u64) as usize;
        self.say(format_args!("node {index} is started anew"));
        let mut broken = Vec::new();
        for (wire, tcp) in &mut self.wires {
            for side in [0, 1] {
                if let Some(end) = tcp.end(side).filter(|end| end.node == index) {
                    tcp.ends[side] = Who::Gone(std::mem::take(&mut end.sent));
                    broken.push(*wire);
                }
            }
        }
        self.nodes[index] = self.member(index);
        self.install(index);
        for wire in broken {
            let at = self.later();
            self.plan(at, Act::Cut(wire));
        }
        self.drain_node(index)
    }
}
