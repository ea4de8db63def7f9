//! The frame header (wire page `asoc`, "Frame header"), in both of its dialects. All integers are
//! big-endian.

use crate::error::{Class, Error};
use core::ops::Deref;

/// The only protocol version.
pub const VERSION: u8 = 1;

/// Frame types. A header decodes whatever its type: the connection judges types.
pub mod kind {
    /// Bytes of a stream.
    pub const DATA: u8 = 1;
    /// The end of a stream; empty.
    pub const END: u8 = 2;
    /// Keep-alive (empty) and key rotation; stream 0.
    pub const CONTROL: u8 = 3;
    /// The client's first frame.
    pub const HELLO: u8 = 4;
    /// The server's answer to it.
    pub const ACCEPT: u8 = 5;
    /// The client's first frame in the hardened profile.
    pub const SEALED_HELLO: u8 = 16;
    /// The server's answer to that.
    pub const SEALED_ACCEPT: u8 = 17;
    /// The client's proof that it is there now.
    pub const SEALED_PROOF: u8 = 18;
}

/// Payload bytes of HELLO.
pub const HELLO: usize = 36;
/// Payload bytes of ACCEPT.
pub const ACCEPT: usize = 16;
/// Bytes of a discovery message.
pub const DISCOVERY: usize = 50;

/// How version and type are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// A byte each, as running peers do: 14 bytes.
    #[default]
    Octet,
    /// Four bits each, as RFC-0001 also draws them: 13 bytes.
    Nibble,
}

impl Dialect {
    /// Bytes of a header.
    pub const fn header(self) -> usize {
        match self {
            Self::Octet => 14,
            Self::Nibble => 13,
        }
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// One of [`kind`], or unknown; below 16 in the nibble dialect.
    pub kind: u8,
    /// Stream id; 0 for the handshake and for CONTROL.
    pub stream: u32,
    /// Number of the frame in its stream, from 0.
    pub sequence: u32,
    /// Payload bytes.
    pub length: u32,
}

/// The bytes of a header: 14 or 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderBytes {
    bytes: [u8; 14],
    skip: usize,
}

impl Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.skip..).unwrap_or_default()
    }
}

impl Header {
    /// Writes the header. A type of 16 and more in the nibble dialect is [`Class::Type`].
    pub fn encode(&self, dialect: Dialect) -> Result<HeaderBytes, Error> {
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        let [q0, q1, q2, q3] = self.sequence.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        let (first, second, skip) = match dialect {
            Dialect::Octet => (VERSION, self.kind, 0),
            Dialect::Nibble if self.kind < 16 => (0, VERSION << 4 | self.kind, 1),
            Dialect::Nibble => {
                return Err(Error::limit(
                    Class::Type,
                    "the nibble dialect has no frame types above 15",
                ));
            }
        };
        let bytes = [
            first, second, s0, s1, s2, s3, q0, q1, q2, q3, l0, l1, l2, l3,
        ];
        Ok(HeaderBytes { bytes, skip })
    }

    /// Reads bytes that are exactly one header.
    ///
    /// Fewer are [`Class::Truncated`], a version other than 1 is [`Class::Version`], more are
    /// [`Class::Length`].
    pub fn decode(bytes: &[u8], dialect: Dialect) -> Result<Self, Error> {
        let (header, rest) = Self::split(bytes, dialect)?;
        if rest.is_empty() {
            Ok(header)
        } else {
            Err(Error::peer(
                Class::Length,
                "there are bytes behind the header",
            ))
        }
    }

    /// Reads the header that `bytes` begin with, and gives what is behind it.
    pub fn split(bytes: &[u8], dialect: Dialect) -> Result<(Self, &[u8]), Error> {
        let truncated = || Error::peer(Class::Truncated, "the header is not all there");
        let (version, kind, rest) = match dialect {
            Dialect::Octet => {
                let ([version, kind], rest) =
                    bytes.split_first_chunk::<2>().ok_or_else(truncated)?;
                (*version, *kind, rest)
            }
            Dialect::Nibble => {
                let (first, rest) = bytes.split_first().ok_or_else(truncated)?;
                (first >> 4, first & 15, rest)
            }
        };
        let ([s0, s1, s2, s3, q0, q1, q2, q3, l0, l1, l2, l3], rest) =
            rest.split_first_chunk::<12>().ok_or_else(truncated)?;
        if version != VERSION {
            return Err(wrong_version(bytes, dialect));
        }
        let header = Self {
            kind,
            stream: u32::from_be_bytes([*s0, *s1, *s2, *s3]),
            sequence: u32::from_be_bytes([*q0, *q1, *q2, *q3]),
            length: u32::from_be_bytes([*l0, *l1, *l2, *l3]),
        };
        Ok((header, rest))
    }

    /// The payload's length in memory.
    pub(crate) fn size(&self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }
}

/// Says so when the peer seems to speak the other dialect.
fn wrong_version(bytes: &[u8], dialect: Dialect) -> Error {
    let detail = match (dialect, bytes.first()) {
        (Dialect::Octet, Some(0x11..=0x15)) => {
            "not version 1: the peer seems to speak the nibble dialect; set it on this end"
        }
        (Dialect::Nibble, Some(1)) => {
            "not version 1: the peer seems to speak the octet dialect; set it on this end"
        }
        _ => "the peer speaks a version of ASoc other than 1",
    };
    Error::peer(Class::Version, detail)
}

/// The payload of one whole frame in the octet dialect, judged in the order of the wire page:
/// version, type, length (on the header alone). Fewer bytes than announced are
/// [`Class::Truncated`], more are [`Class::Length`].
pub fn payload<const N: usize>(frame: &[u8], kind: u8) -> Result<&[u8; N], Error> {
    let (header, rest) = Header::split(frame, Dialect::Octet)?;
    if header.kind != kind {
        return Err(Error::peer(Class::Type, "the frame is of another type"));
    }
    if header.size() != N {
        return Err(wrong_length());
    }
    match rest.split_first_chunk::<N>() {
        Some((payload, [])) => Ok(payload),
        Some(_) => Err(Error::peer(
            Class::Length,
            "there are bytes behind the frame",
        )),
        None => Err(Error::peer(Class::Truncated, "the frame is not all there")),
    }
}

pub(crate) fn wrong_length() -> Error {
    Error::peer(Class::Length, "a payload of this type has another length")
}

/// Joins two arrays.
pub(crate) fn join<const A: usize, const B: usize, const N: usize>(
    a: &[u8; A],
    b: &[u8; B],
) -> [u8; N] {
    const { assert!(A + B == N) };
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(a.iter().chain(b)) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::hex;

    #[test]
    fn both_dialects_by_hand() {
        let header = Header {
            kind: kind::DATA,
            stream: 3,
            sequence: 75,
            length: 77,
        };
        for (dialect, bytes) in [
            (Dialect::Octet, "0101000000030000004b0000004d"),
            (Dialect::Nibble, "11000000030000004b0000004d"),
        ] {
            assert_eq!(header.encode(dialect).unwrap().to_vec(), hex(bytes));
            assert_eq!(Header::decode(&hex(bytes), dialect).unwrap(), header);
        }
    }

    #[test]
    fn any_type_decodes_and_the_nibble_has_only_16() {
        for kind in 0..=255 {
            let header = Header {
                kind,
                stream: 0,
                sequence: 0,
                length: 0,
            };
            let bytes = header.encode(Dialect::Octet).unwrap();
            assert_eq!(Header::decode(&bytes, Dialect::Octet).unwrap(), header);
            match header.encode(Dialect::Nibble) {
                Ok(bytes) => {
                    assert!(kind < 16);
                    assert_eq!(Header::decode(&bytes, Dialect::Nibble).unwrap(), header);
                }
                Err(fault) => assert_eq!((kind >= 16, fault.class()), (true, Some(Class::Type))),
            }
        }
    }

    #[test]
    fn every_shorter_and_longer_header_is_refused() {
        for dialect in [Dialect::Octet, Dialect::Nibble] {
            let header = Header {
                kind: 1,
                stream: 1,
                sequence: 1,
                length: 1,
            };
            let mut bytes = header.encode(dialect).unwrap().to_vec();
            for cut in 0..bytes.len() {
                let fault = Header::decode(&bytes[..cut], dialect).unwrap_err();
                assert_eq!(fault.class(), Some(Class::Truncated));
            }
            bytes.push(0);
            let fault = Header::decode(&bytes, dialect).unwrap_err();
            assert_eq!(fault.class(), Some(Class::Length));
        }
    }

    #[test]
    fn trap_07_a_version_other_than_1_is_refused_and_the_other_dialect_is_named() {
        for version in (0..=255_u8).filter(|version| *version != 1) {
            let mut bytes = hex("0101000000030000004b0000004d");
            bytes[0] = version;
            let fault = Header::decode(&bytes, Dialect::Octet).unwrap_err();
            assert_eq!(fault.class(), Some(Class::Version));
            let named = std::format!("{fault}").contains("nibble");
            assert_eq!(named, (0x11..=0x15).contains(&version));
        }
    }
}
