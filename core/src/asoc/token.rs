//! The optional token check: the ACCEPT payload before some DATA payloads (wire page `asoc`,
//! "Timeouts, reconnection, limits").

use super::config::TokenCheck;
use super::wire::ACCEPT;
use crate::error::{Class, Error};
use bytes::Bytes;

/// Counts DATA frames of both directions and knows the token.
pub(crate) struct Check {
    policy: TokenCheck,
    token: [u8; ACCEPT],
    sent: u64,
    received: u64,
}

impl Check {
    pub(crate) const fn new(policy: TokenCheck) -> Self {
        Self {
            policy,
            token: [0; ACCEPT],
            sent: 0,
            received: 0,
        }
    }

    /// The payload of this connection's ACCEPT.
    pub(crate) fn arm(&mut self, token: [u8; ACCEPT]) {
        self.token = token;
    }

    /// Whether the next DATA frame that comes is checked.
    pub(crate) fn receives(&self) -> bool {
        self.policy.covers(self.received)
    }

    /// Counts a DATA frame that has come.
    pub(crate) fn received(&mut self) {
        self.received = self.received.saturating_add(1);
    }

    /// Compares what stands before a payload; in constant time.
    pub(crate) fn verify(&self, token: &[u8]) -> Result<(), Error> {
        let mut differs = token.len() ^ ACCEPT;
        for (a, b) in self.token.iter().zip(token) {
            differs |= usize::from(a ^ b);
        }
        if core::hint::black_box(differs) == 0 {
            return Ok(());
        }
        Err(Error::peer(
            Class::Auth,
            "a DATA frame does not carry the session's token; do both ends check alike?",
        ))
    }

    /// Counts a DATA frame that goes out, and gives what must stand before its payload.
    pub(crate) fn send(&mut self) -> Option<Bytes> {
        let index = self.sent;
        self.sent = index.saturating_add(1);
        self.policy
            .covers(index)
            .then(|| Bytes::copy_from_slice(&self.token))
    }
}
