//! What a connection is made from, and what it tells.

use super::key::{ApiKey, KeyId};
use super::node_id::NodeId;
use crate::crypto::Rng;
use crate::error::Error;
use crate::time::UnixTime;
use alloc::vec::Vec;
use bytes::Bytes;

/// Who we are, and the keys that we hold.
#[derive(Clone)]
pub struct Identity {
    /// Our own UUID.
    pub node: NodeId,
    /// The cluster's keys. A client speaks under the first; a server takes any of them, so that a
    /// key can be rotated.
    pub keys: Vec<ApiKey>,
}

/// What must be random and new for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// A client's challenge.
    pub challenge: u32,
    /// A server's session token.
    pub token: [u8; 8],
}

impl Fresh {
    /// Draws all of it.
    pub fn draw(rng: &mut Rng) -> Self {
        Self {
            challenge: u32::from_be_bytes(rng.array()),
            token: rng.array(),
        }
    }
}

/// A finished handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established {
    /// Whom we talk to: what a server was told. A client of the default profile does not learn it
    /// (trap 4).
    pub peer: Option<NodeId>,
    /// The session token, sent or received.
    pub token: [u8; 8],
    /// The key under which the handshake was done.
    pub key: KeyId,
    /// Whether the peer has proven that it holds the key, here and now. Never so for the server of
    /// the default profile, whose ACCEPT can be a recorded one (trap 3), nor for the client, whose
    /// HELLO can be one that this server has not seen (trap 2).
    pub proven: bool,
}

/// What a connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// Server: an authentic HELLO came, of another node than our own. Ask whoever keeps the replay
    /// cache, limits and lists, and answer with [`Connection::admit`](super::Connection::admit) or
    /// [`Connection::refuse`](super::Connection::refuse).
    Hello {
        /// The node that says so.
        peer: NodeId,
        /// Its challenge.
        challenge: u64,
        /// The key of its MAC.
        key: KeyId,
    },
    /// The handshake is done.
    Established(Established),
    /// A piece of a DATA frame.
    Data {
        /// The peer's stream.
        stream: u32,
        /// The piece; empty only for an empty frame.
        bytes: Bytes,
        /// Bytes of the same frame that are still to come.
        rest: usize,
    },
    /// The peer's stream is complete.
    End {
        /// The peer's stream.
        stream: u32,
    },
    /// The peer announces a key (see [`rotation`](super::rotation)).
    Announced {
        /// Name of the new key.
        key: KeyId,
        /// When it becomes the one to speak under.
        activation: UnixTime,
    },
    /// The peer has the key that we announced.
    Acknowledged {
        /// Name of the new key.
        key: KeyId,
    },
    /// The connection is over: the peer ended it between two streams, or we did ([`None`]), or an
    /// error did.
    Closed(Option<Error>),
}
