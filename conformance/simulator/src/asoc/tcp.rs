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
    /// The attacker, who says what it hears.
    Mirror,
    /// Nobody any more; what was sent from here may still be on its way.
    Gone(BTreeMap<u32, Sent>),
}

/// What the attacker has done to a piece on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    None,
    /// Said a whole frame again, and changed nothing.
    Repeated,
    Altered,
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
    /// Whether somebody has said a whole frame of a direction again.
    pub(super) repeated: [bool; 2],
    /// The node that was to be reached, where discovery has named it.
    pub(super) meant: Option<usize>,
    /// Whether it leads to another node than the one whose address was dialed.
    pub(super) routed: bool,
    /// It began with a HELLO that nobody has said.
    pub(super) forged: bool,
}

impl Tcp {
    pub(super) fn new(ends: [Who; 2]) -> Self {
        Self {
            ends,
            busy: [0; 2],
            tape: [Vec::new(), Vec::new()],
            altered: [false; 2],
            repeated: [false; 2],
            meant: None,
            routed: false,
            forged: false,
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

    pub(super) fn mirrored(&self) -> bool {
        self.ends.iter().any(|who| matches!(who, Who::Mirror))
    }

    pub(super) fn with_attacker(&self) -> bool {
        let attacks = |who: &Who| matches!(who, Who::Attacker(_) | Who::Mirror);
        self.ends.iter().any(attacks)
    }
}
