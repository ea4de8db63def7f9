//! TCP connections between nodes, or between a node and the attacker: ordered bytes with a delay.

use std::collections::BTreeMap;
use stillwire_core::asoc::{Connection, ConnectionId};

/// Names a simulated TCP connection.
pub(super) type Wire = u64;

/// Names one of its ends: 0 dialed, 1 was dialed.
pub(super) type Side = usize;

/// A stream as its sender knows it.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) bytes: Vec<u8>,
    pub(super) ended: bool,
}

/// A stream as it has arrived.
#[derive(Default)]
pub(super) struct Got {
    pub(super) bytes: usize,
}

/// A node's end of a connection.
pub(super) struct End {
    pub(super) node: usize,
    /// Incarnation of the node: it changes with every restart.
    pub(super) life: u64,
    pub(super) id: ConnectionId,
    pub(super) machine: Connection,
    pub(super) up: bool,
    pub(super) sent: BTreeMap<u32, Sent>,
    pub(super) got: BTreeMap<u32, Got>,
}

/// Who is at an end.
pub(super) enum Who {
    Node(Box<End>),
    /// The attacker, with what it will answer, one piece per piece that it hears.
    Attacker(Vec<Vec<u8>>),
    /// Nobody any more; what was sent from here may still be on its way.
    Gone(BTreeMap<u32, Sent>),
}

/// A TCP connection.
pub(super) struct Tcp {
    pub(super) ends: [Who; 2],
    /// When the last bytes of each direction arrive: later ones do not overtake them.
    pub(super) busy: [u64; 2],
    /// Everything that has been sent from each end, piece by piece: the attacker hears it.
    pub(super) tape: [Vec<Vec<u8>>; 2],
    /// Whether somebody has altered something in a direction (by its sender).
    pub(super) altered: [bool; 2],
}

impl Tcp {
    pub(super) fn new(ends: [Who; 2]) -> Self {
        Self {
            ends,
            busy: [0; 2],
            tape: [Vec::new(), Vec::new()],
            altered: [false; 2],
        }
    }

    pub(super) fn end(&mut self, side: Side) -> Option<&mut End> {
        match self.ends.get_mut(side) {
            Some(Who::Node(end)) => Some(end),
            _ => None,
        }
    }

    pub(super) fn node(&self, side: Side) -> Option<usize> {
        match self.ends.get(side) {
            Some(Who::Node(end)) => Some(end.node),
            _ => None,
        }
    }

    pub(super) fn with_attacker(&self) -> bool {
        self.ends.iter().any(|who| matches!(who, Who::Attacker(_)))
    }
}
