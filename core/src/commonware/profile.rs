//! The four eras of the wire. Nothing is negotiated: both ends are told.

use super::wire::Prefix;
use core::fmt;

/// Which era both ends speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// commonware-stream 0.0.60 to 0.0.62: Hello and Confirmation, HKDF-SHA256.
    A,
    /// 0.0.63: Syn, SynAck, Ack over BLAKE3; the application's namespace is not bound.
    B,
    /// 0.0.64 to 2026.7, and version 0 of 2026.10.0.
    #[default]
    V0,
    /// Version 1 of 2026.10.0: lengths of records are sealed.
    V1,
}

impl Profile {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::V0, Self::V1];

    /// The name in vectors and on the command line: `a`, `b`, `v0`, `v1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::V0 => "v0",
            Self::V1 => "v1",
        }
    }

    /// The profile of a [`Profile::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// How handshake frames, and records before V1, say their length.
    pub const fn prefix(self) -> Prefix {
        match self {
            Self::A | Self::B => Prefix::Fixed,
            Self::V0 | Self::V1 => Prefix::Varint,
        }
    }

    /// Whether the end of the time window still counts as inside.
    pub(super) const fn includes_the_end(self) -> bool {
        matches!(self, Self::A)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
