//! What a connection is made from, and what it tells.

use super::key::{ApiKey, KeyId};
use super::node_id::NodeId;
use crate::crypto::{Rng, Secret};
use crate::error::Error;
use crate::time::UnixTime;
use alloc::string::String;
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
    /// Name of the cluster; on a connection only the hardened profile uses it.
    pub community: String,
}

/// What must be new for each connection.
#[derive(Clone)]
pub struct Fresh {
    /// A client's challenge (default profile).
    pub challenge: u32,
    /// A server's session token (default profile).
    pub token: [u8; 8],
    /// A random nonce (hardened profile).
    pub nonce: [u8; 32],
    /// A random X25519 scalar (hardened profile).
    pub ephemeral: Secret,
    /// The wall clock at the instant at which the connection is made (hardened profile).
    pub unix: UnixTime,
}

impl Fresh {
    /// Draws all that is random.
    pub fn draw(rng: &mut Rng, unix: UnixTime) -> Self {
        Self {
            challenge: u32::from_be_bytes(rng.array()),
            token: rng.array(),
            nonce: rng.array(),
            ephemeral: Secret::from(rng.array()),
            unix,
        }
    }
}

/// A finished handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established {
    /// Whom we talk to. A client of the default profile does not learn it (trap 4).
    pub peer: Option<NodeId>,
    /// The session token, sent or received; in the hardened profile the beginning of the server's
    /// nonce.
    pub token: [u8; 8],
    /// The key under which the handshake was done.
    pub key: KeyId,
    /// Whether the peer has proven that it holds the key, here and now, which is what the hardened
    /// profile is for. In the default profile the server's ACCEPT can be a recorded one (trap 3),
    /// and the client's HELLO one that this server has not seen (trap 2).
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
        /// Its challenge; in the hardened profile the beginning of its nonce.
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
