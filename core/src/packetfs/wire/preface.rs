//! The preface: what each side says once, in clear, before any record.

use super::Algorithm;
use crate::error::{Class, Error};
use alloc::vec::Vec;

/// What a preface begins with.
pub const MAGIC: [u8; 4] = *b"PFSO";
const VERSION: u8 = 1;
const FORWARD_SECRECY: u8 = 1;

/// Bytes that say how long the preface is.
const FIXED: usize = 8;

/// Bytes of a preface without an ephemeral key.
pub const SHORT: usize = 40;

/// Bytes of a preface with one.
pub const LONG: usize = 72;

/// What a preface says. Never a secret, never a hash of a blob or an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preface {
    /// The AEAD of the session.
    pub algorithm: Algorithm,
    /// 32 random bytes.
    pub salt: [u8; 32],
    /// The X25519 public key, when the session has forward secrecy.
    pub ephemeral: Option<[u8; 32]>,
}

impl Preface {
    /// The bytes: 40, or 72 with an ephemeral key.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LONG);
        out.extend_from_slice(&MAGIC);
        let flags = if self.ephemeral.is_some() {
            FORWARD_SECRECY
        } else {
            0
        };
        out.extend_from_slice(&[VERSION, self.algorithm.number(), flags, 0]);
        out.extend_from_slice(&self.salt);
        if let Some(key) = &self.ephemeral {
            out.extend_from_slice(key);
        }
        out
    }

    /// Reads a preface that is exactly `bytes`.
    ///
    /// [`Class::Type`] for another magic or algorithm, [`Class::Version`], [`Class::Encoding`] for
    /// reserved bits, [`Class::Truncated`] and [`Class::Length`] for too few and too many bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let truncated = Error::peer(Class::Truncated, "the preface ends early");
        let length = announced(bytes)?.ok_or_else(|| truncated.clone())?;
        if bytes.len() > length {
            return Err(Error::peer(
                Class::Length,
                "a preface is 40 bytes, or 72 with an ephemeral key",
            ));
        }
        let algorithm = bytes.get(5).ok_or_else(|| truncated.clone())?;
        let (salt, rest) = bytes
            .get(FIXED..)
            .and_then(|rest| rest.split_first_chunk::<32>())
            .ok_or_else(|| truncated.clone())?;
        let ephemeral = if length == LONG {
            let key = rest.first_chunk::<32>().copied();
            Some(key.ok_or(truncated)?)
        } else {
            None
        };
        Ok(Self {
            algorithm: Algorithm::from_number(*algorithm)?,
            salt: *salt,
            ephemeral,
        })
    }
}

/// How long the preface is that begins with `start`, or [`None`] while that is not known.
///
/// What is wrong in the bytes that are there is found at once, however few they are.
pub fn announced(start: &[u8]) -> Result<Option<usize>, Error> {
    let fixed = start.get(..FIXED).unwrap_or(start);
    for (at, byte) in fixed.iter().copied().enumerate() {
        match at {
            0..=3 if MAGIC.get(at) == Some(&byte) => {}
            0..=3 => {
                return Err(Error::peer(
                    Class::Type,
                    "not a PacketFS overlay: the preface does not begin with PFSO",
                ));
            }
            4 if byte == VERSION => {}
            4 => {
                return Err(Error::peer(
                    Class::Version,
                    "only version 1 of the overlay is spoken here",
                ));
            }
            5 => {
                Algorithm::from_number(byte)?;
            }
            6 if byte & !FORWARD_SECRECY == 0 => {}
            7 if byte == 0 => {}
            _ => {
                return Err(Error::peer(
                    Class::Encoding,
                    "a reserved bit of the preface is set",
                ));
            }
        }
    }
    if fixed.len() < FIXED {
        return Ok(None);
    }
    let long = fixed.get(6).is_some_and(|flags| *flags != 0);
    Ok(Some(if long { LONG } else { SHORT }))
}

#[cfg(test)]
mod tests;
