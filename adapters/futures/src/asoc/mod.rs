//! ASoc over TCP and UDP, on any async runtime (protocol page `asoc`).
//!
//! | What | Where |
//! |---|---|
//! | one connection, dialed by hand | [`connect`] |
//! | a node of a cluster: listens, dials its peers, discovers others | [`Node`] |
//! | a connection, and streams on it | [`Connection`], [`SendStream`], [`ReceiveStream`] |
//! | what a runtime's adapter hands in | [`Net`] |
//!
//! Payloads are not copied on the way in or out: [`SendStream::send`] takes [`bytes::Bytes`] and
//! [`ReceiveStream::chunk`] gives them. `AsyncRead` and `AsyncWrite` copy once.

mod connection;
mod driver;
mod net;
mod node;
mod serve;
mod shared;
mod streams;

pub use connection::{Connection, connect};
pub use net::{Acceptor, Datagrams, Net, Socket, Wrap, Wrapped};
pub use node::{AuditSink, Node, Options};
pub use stillwire_core::asoc::{
    ApiKey, AuditEvent, AuditKind, Config, Counters, Established, Identity, KeyId, NodeConfig,
    NodeEvent, NodeId, Peer, Profile, Suite,
};
pub use streams::{ReceiveStream, SendStream};
