//! The bytes around a session (wire page `ziti`, "Stream"): multipart payloads, what a peer says
//! about its encryption, and our own frames over byte streams. Parse and emit; no state.

use super::kx::PUBLIC_KEY;
use super::secretstream::{HEADER, OVERHEAD};
use crate::error::{Class, Error};
use alloc::vec::Vec;

/// The flag of an edge message whose payload is a list of parts.
///
/// Flags lie outside the encryption: whoever carries the message can change them. A changed flag
/// alters how the receiver cuts the authentic payload, never a byte of it.
pub const MULTIPART: u32 = 16;

/// Bytes of the length in front of a frame.
pub const FRAME_PREFIX: usize = 4;

const PART_PREFIX: usize = 2;

/// Joins parts into a multipart payload: `u16 LE length ‖ part` each.
///
/// A part over 65,535 bytes is [`Class::Limit`].
pub fn encode_parts<P: AsRef<[u8]>>(parts: &[P]) -> Result<Vec<u8>, Error> {
    let size = |part: &P| part.as_ref().len().saturating_add(PART_PREFIX);
    let mut out = Vec::with_capacity(parts.iter().map(size).fold(0, usize::saturating_add));
    for part in parts {
        let part = part.as_ref();
        let length = u16::try_from(part.len())
            .map_err(|_| Error::limit(Class::Limit, "a part is longer than 65,535 bytes"))?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(part);
    }
    Ok(out)
}

/// The parts of a multipart payload. All of it is checked first: one that breaks off is
/// [`Class::Truncated`]. No bytes are no parts; empty parts are legal.
pub fn decode_parts(bytes: &[u8]) -> Result<Parts<'_>, Error> {
    let mut rest = Parts(bytes);
    while !rest.0.is_empty() {
        if rest.next().is_none() {
            return Err(Error::peer(
                Class::Truncated,
                "a multipart payload breaks off inside a part",
            ));
        }
    }
    Ok(Parts(bytes))
}

/// The parts of a payload that has been checked.
#[derive(Clone, Debug)]
pub struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<PART_PREFIX>()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (part, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}

/// How a peer wants to encrypt. There is one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `crypto_kx` and `crypto_secretstream`.
    Libsodium,
}

impl Method {
    /// Reads the crypto method of a connect or dial message: absent, the byte 0 and the word
    /// `libsodium` say the same. Anything else is [`Class::Type`] (trap 4).
    pub fn parse(method: Option<&[u8]>) -> Result<Self, Error> {
        match method {
            None | Some([0] | b"libsodium") => Ok(Self::Libsodium),
            Some(_) => Err(Error::peer(
                Class::Type,
                "the peer names a crypto method that we do not have",
            )),
        }
    }
}

/// The peer's public key as a controller hands it over.
///
/// None where encryption is required is [`Class::Downgrade`]: going on in the clear is what
/// somebody in the middle would want (trap 4). Another length than 32 is [`Class::Length`].
pub fn peer_key(key: Option<&[u8]>) -> Result<[u8; PUBLIC_KEY], Error> {
    let key = key.ok_or(Error::peer(
        Class::Downgrade,
        "encryption is required and no peer key came",
    ))?;
    let wrong = Error::peer(Class::Length, "a public key has 32 bytes");
    key.try_into().map_err(|_| wrong)
}

/// The header of a direction: exactly 24 bytes, else [`Class::Length`] (trap 4).
pub fn header(message: &[u8]) -> Result<[u8; HEADER], Error> {
    let wrong = Error::peer(Class::Length, "a secretstream header has 24 bytes");
    message.try_into().map_err(|_| wrong)
}

/// Bytes of the message that a frame's prefix declares, before any of them is there.
///
/// A message whose plaintext is longer than `largest` is [`Class::Limit`]; one too short for a MAC
/// is [`Class::Truncated`].
pub fn declared(prefix: [u8; FRAME_PREFIX], largest: usize) -> Result<usize, Error> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if length < OVERHEAD {
        return Err(Error::peer(
            Class::Truncated,
            "a message is too short for a MAC",
        ));
    }
    if length > largest.saturating_add(OVERHEAD) {
        return Err(Error::peer(
            Class::Limit,
            "a message is larger than we take; raise `largest_message`, or send smaller ones",
        ));
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
