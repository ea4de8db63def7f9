//! What a user may tune on a connection, with the defaults of the wire page.

use super::hardened::Suite;
use super::wire::Dialect;
use core::num::NonZeroU32;
use core::time::Duration;

/// Which DATA frames carry the 16 bytes of the ACCEPT payload before their own (wire page `asoc`,
/// "Timeouts, reconnection, limits"). Both ends must have set the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenCheck {
    /// None.
    #[default]
    Never,
    /// The first DATA frame of the connection in each direction.
    First,
    /// Of the DATA frames of the connection in each direction, the first and then every n-th.
    Every(NonZeroU32),
}

impl TokenCheck {
    /// Whether DATA frame `index` (from 0, per connection and direction) is checked.
    pub(crate) fn covers(self, index: u64) -> bool {
        match self {
            Self::Never => false,
            Self::First => index == 0,
            Self::Every(n) => index.is_multiple_of(u64::from(n.get())),
        }
    }
}

/// How a connection is made and protected. Both ends must have set the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// What running peers speak: authentication once, with the weaknesses that the traps name, and
    /// frames without integrity.
    #[default]
    Default,
    /// Mutual proof of presence, fresh keys and sealed frames. Only Stillwire speaks it. The cipher
    /// is the client's choice.
    Hardened(Suite),
}

/// Settings of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How a connection is made and protected.
    pub profile: Profile,
    /// How headers are written; the hardened profile has the octet dialect only.
    pub dialect: Dialect,
    /// Largest payload of DATA, CONTROL and unknown frames that is accepted, in bytes. The 16 bytes
    /// of a token check or of a seal come on top.
    pub max_frame: usize,
    /// Largest payload of a DATA frame that we send, in bytes; `max_frame` where that is less.
    pub chunk: usize,
    /// Bytes that [`Connection::write`](super::Connection::write) queues at the most.
    pub send_buffer: usize,
    /// Streams that may be open at once, in each direction.
    pub max_streams: usize,
    /// HELLO and ACCEPT must have come and gone by then.
    pub handshake_timeout: Duration,
    /// Silence of the peer that ends a connection on which one of its streams is open.
    pub receive_timeout: Duration,
    /// How long one [`Output::Transmit`](crate::Output::Transmit) may take.
    pub send_timeout: Duration,
    /// Pause between two empty CONTROL frames (trap 1).
    pub keep_alive: Duration,
    /// Token check, off by default; the hardened profile has no use for it.
    pub token_check: TokenCheck,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::Default,
            dialect: Dialect::Octet,
            max_frame: 16 << 20,
            chunk: 1 << 20,
            send_buffer: 16 << 20,
            max_streams: 1024,
            handshake_timeout: Duration::from_secs(10),
            receive_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(10),
            token_check: TokenCheck::Never,
        }
    }
}
