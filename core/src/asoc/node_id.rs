//! The UUID of a node.

use crate::error::{Class, Error};
use core::fmt;
use uuid::Uuid;

/// A node's UUID, in RFC 4122 byte order. Any 16 bytes will do; the nil UUID is a node like any
/// other (wire page `asoc`, "HELLO and ACCEPT").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 16]);

impl NodeId {
    /// From the bytes of the wire.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A version 4 UUID of 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(
            uuid::Builder::from_random_bytes(bytes)
                .into_uuid()
                .into_bytes(),
        )
    }

    /// The bytes of the wire.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the hyphenated text form, in either case; anything else is [`Class::Encoding`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        const FAULT: Error = Error::peer(
            Class::Encoding,
            "a node is named by a hyphenated UUID of 36 characters",
        );
        if text.len() != 36 {
            return Err(FAULT);
        }
        let uuid = Uuid::try_parse(text).map_err(|_| FAULT)?;
        Ok(Self(uuid.into_bytes()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    const TEXT: &str = "a1b2c3d4-e5f6-0718-2930-a1b2c3d4e5f6";

    #[test]
    fn bytes_stand_in_the_order_of_the_text() {
        let node = NodeId::parse(TEXT).unwrap();
        assert_eq!(
            node.as_bytes(),
            &[
                0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18, 0x29, 0x30, 0xa1, 0xb2, 0xc3, 0xd4,
                0xe5, 0xf6
            ]
        );
        assert_eq!(node.to_string(), TEXT);
        assert_eq!(NodeId::parse(&TEXT.to_uppercase()).unwrap(), node);
    }

    #[test]
    fn only_the_hyphenated_form_is_a_name() {
        for bad in [
            "",
            "a1b2c3d4e5f607182930a1b2c3d4e5f6",
            "{a1b2c3d4-e5f6-0718-2930-a1b2c3d4e5f6}",
            "a1b2c3d4-e5f6-0718-2930-a1b2c3d4e5f",
            "a1b2c3d4-e5f6-0718-2930-a1b2c3d4e5g6",
            "a1b2c3d4e-5f6-0718-2930-a1b2c3d4e5f6",
        ] {
            let fault = NodeId::parse(bad).unwrap_err();
            assert_eq!(fault.class(), Some(Class::Encoding), "{bad}");
        }
    }
}
