//! ASoc: streams between the nodes of a cluster over TCP, and discovery over UDP (wire page
//! `asoc`).
//!
//! | What | Where |
//! |---|---|
//! | bytes | [`wire`], [`handshake`], [`Announcement`] |
//! | one TCP connection | [`Connection`] |
//! | what has been seen before | [`Seen`] |
//! | a node of a cluster: peers, limits, audit, rotation | [`Node`] |
//! | keys | [`ApiKey`], [`cluster_key`], [`rotation`] |
//!
//! The default profile talks to running peers and is as weak as they are: see the traps on the
//! protocol's page in the book.

mod audit;
mod config;
mod connection;
mod discovery;
mod event;
pub mod handshake;
pub mod hardened;
mod key;
mod limits;
mod node;
mod node_id;
mod reader;
mod replay;
pub mod rotation;
mod spares;
mod streams;
mod token;
pub mod wire;

pub use audit::{AuditConfig, AuditEvent, AuditKind, Counters, Peer};
pub use config::{Config, Profile, TokenCheck};
pub use connection::{Connection, Place, Role};
pub use discovery::{Announcement, Receiver, TOLERANCE_SECS};
pub use event::{ConnectionEvent, Established, Fresh, Identity};
pub use handshake::{Accept, Hello};
pub use hardened::Suite;
pub use key::{ApiKey, KeyId, cluster_key, cluster_key_text, community_hash};
pub use limits::{Gate, Limits};
pub use node::{ConnectionId, DialId, Node, NodeConfig, NodeEvent, NodeOutput, Verdict};
pub use node_id::NodeId;
pub use replay::Seen;
pub use spares::Spares;
pub use wire::{Dialect, Header};
