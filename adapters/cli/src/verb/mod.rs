//! The verbs, a file each.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod dial;
pub(crate) mod doctor;
pub(crate) mod estimate;
pub(crate) mod gc;
pub(crate) mod listen;
pub(crate) mod man;
pub(crate) mod packetfs;
pub(crate) mod recv;
pub(crate) mod send;
pub(crate) mod ticket;
