//! Errors say whose fault it was: the caller's, the peer's, the carrier's, or nobody's (time).

use crate::store::Failure;
use core::fmt;

/// What was wrong, in the closed set of words that the conformance vectors use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Bytes end before the thing they announce does.
    Truncated,
    /// A length field names an impossible length.
    Length,
    /// A protocol version we do not speak.
    Version,
    /// A type, magic or algorithm that does not belong there.
    Type,
    /// Right bytes at the wrong time.
    State,
    /// An authentication tag, MAC or signature does not verify.
    Auth,
    /// Seen before.
    Replay,
    /// A timestamp too far in the past.
    Stale,
    /// A timestamp too far in the future.
    Future,
    /// An identity that is not the expected one, or our own.
    Identity,
    /// A key that gives no security: low order, all zero, too short.
    WeakKey,
    /// The nonces of a key are used up.
    NonceLimit,
    /// The byte budget of a key is used up.
    DataLimit,
    /// Text or structure that does not parse.
    Encoding,
    /// A name that is not allowed.
    Name,
    /// The two ends do not agree on what was negotiated.
    Downgrade,
    /// The stream ended without the protocol's own end mark.
    Eof,
    /// Larger than the configured or protocol limit.
    Limit,
}

impl Class {
    /// The word used in vectors and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Length => "length",
            Self::Version => "version",
            Self::Type => "type",
            Self::State => "state",
            Self::Auth => "auth",
            Self::Replay => "replay",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::Identity => "identity",
            Self::WeakKey => "weak_key",
            Self::NonceLimit => "nonce_limit",
            Self::DataLimit => "data_limit",
            Self::Encoding => "encoding",
            Self::Name => "name",
            Self::Downgrade => "downgrade",
            Self::Eof => "eof",
            Self::Limit => "limit",
        }
    }
}

/// Which clock ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The handshake did not finish in time.
    Connect,
    /// Nothing authentic came from the peer for the idle time.
    Idle,
    /// The peer did not end its direction in time after we ended ours.
    Close,
    /// The peer did not take what we had to send.
    Send,
}

/// Why a call or a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something impossible now. Nothing changed.
    Misuse(&'static str),
    /// The peer sent something that the protocol forbids.
    Peer {
        /// The kind of fault.
        class: Class,
        /// What exactly, in words that hold no secret.
        detail: &'static str,
    },
    /// A limit of our own was reached (key budget, sequence space, buffer).
    Limit {
        /// The kind of limit.
        class: Class,
        /// What exactly.
        detail: &'static str,
    },
    /// Time ran out.
    Timeout(Timer),
    /// The carrier failed for good.
    Store(Failure),
    /// The connection is over.
    Closed,
}

impl Error {
    /// A fault of the peer.
    pub const fn peer(class: Class, detail: &'static str) -> Self {
        Self::Peer { class, detail }
    }

    /// A limit of ours.
    pub const fn limit(class: Class, detail: &'static str) -> Self {
        Self::Limit { class, detail }
    }

    /// Authentication failed; the detail never says more than that.
    pub const fn auth() -> Self {
        Self::peer(
            Class::Auth,
            "authentication failed: wrong key or altered bytes",
        )
    }

    /// The conformance class, where there is one.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Peer { class, .. } | Self::Limit { class, .. } => Some(*class),
            Self::Misuse(_) | Self::Closed => Some(Class::State),
            Self::Timeout(_) | Self::Store(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(what) => write!(f, "misuse: {what}"),
            Self::Peer { class, detail } => write!(f, "peer fault ({}): {detail}", class.as_str()),
            Self::Limit { class, detail } => {
                write!(f, "limit reached ({}): {detail}", class.as_str())
            }
            Self::Timeout(Timer::Connect) => f.write_str("the peer did not answer in time"),
            Self::Timeout(Timer::Idle) => f.write_str("the peer has been silent for too long"),
            Self::Timeout(Timer::Close) => {
                f.write_str("the peer did not end its side of the stream in time")
            }
            Self::Timeout(Timer::Send) => f.write_str("the peer does not take what is sent to it"),
            Self::Store(failure) => write!(f, "storage: {failure}"),
            Self::Closed => f.write_str("the connection is closed"),
        }
    }
}

impl core::error::Error for Error {}
