//! What a user may tune.

use super::wire::Algorithm;
use super::wire::header::LIMIT;
use core::time::Duration;

/// Settings of a session. Both sides must name the same algorithm and the same forward secrecy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The AEAD.
    pub algorithm: Algorithm,
    /// Mix in an X25519 exchange: without it, whoever learns the pre-shared key reads everything
    /// that was ever recorded.
    pub forward_secrecy: bool,
    /// How long prefaces and the first authentic record of the peer may take.
    pub handshake_timeout: Duration,
    /// Largest length field (ciphertext and tag) sent or taken; at least 32.
    pub limit: u32,
    /// Bytes of plaintext that a written byte stream is cut into at the most.
    pub record: usize,
    /// Received plaintext held for the application, in bytes, before the carrier is left alone;
    /// one reading of the carrier and one record can come on top.
    pub receive_buffer: usize,
    /// Written plaintext held until the carrier takes it, in bytes; one record can come on top.
    pub send_buffer: usize,
    /// Bytes of records after which we advance our epoch.
    pub epoch_bytes: u64,
    /// Records after which we advance our epoch.
    pub epoch_records: u64,
    /// How long the peer's old epoch is accepted after the peer has advanced.
    pub grace: Duration,
    /// Datagrams only: how long until a preface is sent again.
    pub resend: Duration,
    /// Datagrams only: no authentic record for this long ends the session; an empty control
    /// record is sent after a third of it.
    pub idle_timeout: Duration,
    /// Largest blueprint sent or taken, in bytes.
    pub blueprint: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Aes256Gcm,
            forward_secrecy: true,
            handshake_timeout: Duration::from_secs(10),
            limit: LIMIT,
            record: 64 << 10,
            receive_buffer: 1 << 20,
            send_buffer: 1 << 20,
            epoch_bytes: 64 << 30,
            epoch_records: 1 << 32,
            grace: Duration::from_secs(30),
            resend: Duration::from_millis(500),
            idle_timeout: Duration::from_secs(60),
            blueprint: 64 << 20,
        }
    }
}

impl Config {
    /// Bytes of the longest plaintext of one record.
    pub(super) fn longest(&self) -> usize {
        (self.limit as usize).saturating_sub(super::wire::TAG)
    }
}
