//! What a user may tune.

use super::secretstream::Dialect;
use core::time::Duration;

/// When we change the key that we seal with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rekeying {
    /// Never; writing fails before the counter would wrap (trap 3). Right for every peer.
    #[default]
    Never,
    /// When the counter wraps. The peer must be known to do the same, as libsodium does.
    AtWrap,
    /// After every message, by the tag REKEY (trap 1); a libsodium peer follows.
    EveryMessage,
}

/// Settings of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long the whole handshake may take.
    pub handshake_timeout: Duration,
    /// What the peer makes of tags that ask for a new key.
    pub dialect: Dialect,
    /// When we ask for one.
    pub rekeying: Rekeying,
    /// Bytes of plaintext that a written byte stream is cut into at the most.
    pub message: usize,
    /// Longest plaintext of one message, sent or taken.
    pub largest_message: usize,
    /// Received plaintext held for the application, in bytes, before the carrier is left alone;
    /// one reading of the carrier and one message can come on top.
    pub receive_buffer: usize,
    /// Written plaintext held until the carrier takes it, in bytes; one message can come on top.
    pub send_buffer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            dialect: Dialect::default(),
            rekeying: Rekeying::default(),
            message: 64 << 10,
            largest_message: 1 << 20,
            receive_buffer: 1 << 20,
            send_buffer: 1 << 20,
        }
    }
}
