//! Connection ids: they become names of other people's containers, so only one spelling passes.

use crate::error::{Class, Error};
use core::fmt;
use uuid::Uuid;

/// A version 4 UUID that names one connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(Uuid);

impl ConnectionId {
    /// Length of the text form.
    pub const TEXT: usize = 36;

    /// Makes an id of 16 random bytes; version and variant bits are set over them.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Accepts exactly the canonical text: lowercase, hyphenated, version 4, RFC 4122 variant.
    ///
    /// Anything else is [`Class::Name`] (wire page, trap 1).
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        const FAULT: Error = Error::peer(
            Class::Name,
            "the connection id is not a canonical lowercase UUIDv4",
        );
        if text.len() != Self::TEXT || text.iter().any(u8::is_ascii_uppercase) {
            return Err(FAULT);
        }
        let text = core::str::from_utf8(text).map_err(|_| FAULT)?;
        let uuid = Uuid::try_parse(text).map_err(|_| FAULT)?;
        let canonical = uuid.get_version_num() == 4 && uuid.get_variant() == uuid::Variant::RFC4122;
        if canonical {
            Ok(Self(uuid))
        } else {
            Err(FAULT)
        }
    }

    /// The 36 ASCII bytes of the text form.
    pub fn text(&self) -> [u8; Self::TEXT] {
        let mut out = [0; Self::TEXT];
        self.0.hyphenated().encode_lower(&mut out);
        out
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
