//! Prefaces and keys. Wire page `packetfs`, "Preface" and "Keys".
//!
//! Each step consumes the one before: an [`Initiator`] or a [`Responder`] becomes a [`Schedule`],
//! which gives the key of every direction, channel and epoch.

use super::wire::preface::Preface;
use super::wire::{Algorithm, ChannelId, Direction};
use crate::crypto::{Rng, Secret, hkdf, x25519};
use crate::error::{Class, Error};
use alloc::vec::Vec;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Fewest bytes of a pre-shared key.
pub const SHORTEST_PSK: usize = 32;

const LABEL: &[u8; 16] = b"stillwire pfs v1";

/// A pre-shared key of at least 32 bytes. Zeroized on drop.
pub struct Psk(Zeroizing<Vec<u8>>);

impl Psk {
    /// Takes the key; fewer than 32 bytes are [`Class::WeakKey`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, Error> {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < SHORTEST_PSK {
            return Err(Error::limit(
                Class::WeakKey,
                "the pre-shared key is shorter than 32 bytes: make a longer one",
            ));
        }
        Ok(Self(bytes))
    }
}

/// A key of one direction, channel and epoch, with the base of its nonces. Zeroized on drop.
pub struct Key {
    /// The AEAD key.
    pub key: Secret,
    /// The base of the nonces; the first [`Algorithm::nonce`] bytes count.
    pub nonce: Zeroizing<[u8; 24]>,
}

/// The keys of a session.
pub struct Schedule {
    algorithm: Algorithm,
    prk: Secret,
    prefaces: [u8; 32],
}

impl Schedule {
    /// Derives the session from both prefaces, the pre-shared key and, with forward secrecy, the
    /// X25519 result.
    ///
    /// Prefaces that name another algorithm or flag are [`Class::Downgrade`]; a result present or
    /// absent against the flag is [`Class::State`]; an all-zero one [`Class::WeakKey`].
    pub fn derive(
        psk: &Psk,
        initiator: &Preface,
        responder: &Preface,
        dh: Option<&[u8; 32]>,
    ) -> Result<Self, Error> {
        agree(initiator, responder)?;
        if dh.is_some() != initiator.ephemeral.is_some() {
            return Err(Error::peer(
                Class::State,
                "a DH result belongs to a session with the forward-secrecy flag, and only there",
            ));
        }
        let mut ikm = Zeroizing::new(Vec::with_capacity(psk.0.len().saturating_add(32)));
        ikm.extend_from_slice(&psk.0);
        if let Some(dh) = dh {
            if dh.iter().fold(0, |all, byte| all | byte) == 0 {
                return Err(Error::peer(
                    Class::WeakKey,
                    "an all-zero DH result is no secret",
                ));
            }
            ikm.extend_from_slice(dh);
        }
        let mut salt = [0; 64];
        for (to, from) in salt
            .iter_mut()
            .zip(initiator.salt.iter().chain(&responder.salt))
        {
            *to = *from;
        }
        let mut hash = Sha256::new();
        hash.update(initiator.encode());
        hash.update(responder.encode());
        Ok(Self {
            algorithm: initiator.algorithm,
            prk: hkdf::extract(&salt, &ikm),
            prefaces: hash.finalize().into(),
        })
    }

    /// The AEAD of the session.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key of one direction, channel and epoch.
    pub fn key(&self, direction: Direction, channel: ChannelId, epoch: u32) -> Result<Key, Error> {
        let mut okm = Zeroizing::new([0; 32 + 24]);
        let length = self.algorithm.nonce().saturating_add(32);
        let info: [&[u8]; 5] = [
            LABEL,
            &[self.algorithm.number(), channel.number()],
            direction.label().as_bytes(),
            &epoch.to_be_bytes(),
            &self.prefaces,
        ];
        let okm = okm.get_mut(..length).unwrap_or_default();
        hkdf::expand(&self.prk, &info, okm)?;
        let (key, rest) = okm.split_first_chunk::<32>().unwrap_or((&[0; 32], &[]));
        let mut nonce = Zeroizing::new([0; 24]);
        for (to, from) in nonce.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(Key {
            key: Secret::from(*key),
            nonce,
        })
    }
}

/// Nothing is negotiated: both prefaces name the same algorithm and the same flag.
fn agree(one: &Preface, other: &Preface) -> Result<(), Error> {
    if one.algorithm == other.algorithm && one.ephemeral.is_some() == other.ephemeral.is_some() {
        return Ok(());
    }
    Err(Error::peer(
        Class::Downgrade,
        "the two ends are set to different algorithms or forward secrecy: set them alike",
    ))
}

/// One side's preface and what stays secret of it.
struct Side {
    psk: Psk,
    preface: Preface,
    ephemeral: Option<Secret>,
}

impl Side {
    fn new(psk: Psk, algorithm: Algorithm, forward_secrecy: bool, rng: &mut Rng) -> Self {
        let salt = rng.array();
        let ephemeral = forward_secrecy.then(|| Secret::from(rng.array()));
        Self {
            psk,
            preface: Preface {
                algorithm,
                salt,
                ephemeral: ephemeral.as_ref().map(x25519::public),
            },
            ephemeral,
        }
    }

    /// The X25519 result with the peer's ephemeral key, where both have one.
    fn dh(&self, peer: &Preface) -> Result<Option<Secret>, Error> {
        agree(&self.preface, peer)?;
        match (&self.ephemeral, &peer.ephemeral) {
            (Some(secret), Some(public)) => x25519::dh(secret, public).map(Some),
            _ => Ok(None),
        }
    }
}

/// The side that opened the connection; it waits for the responder's preface.
pub struct Initiator(Side);

impl Initiator {
    /// Draws a salt and, with forward secrecy, an ephemeral key; gives the preface to send.
    pub fn start(
        psk: Psk,
        algorithm: Algorithm,
        forward_secrecy: bool,
        rng: &mut Rng,
    ) -> (Self, Vec<u8>) {
        let side = Side::new(psk, algorithm, forward_secrecy, rng);
        let bytes = side.preface.encode();
        (Self(side), bytes)
    }

    /// Takes the responder's preface.
    ///
    /// As [`Schedule::derive`]; a low-order key is [`Class::WeakKey`], and our own preface coming
    /// back is [`Class::Replay`].
    pub fn finish(self, preface: &[u8]) -> Result<Schedule, Error> {
        self.consider(preface)
    }

    /// As [`Initiator::finish`], for a preface that anybody may have sent: one that fails gives no
    /// key and takes nothing away.
    pub(super) fn consider(&self, preface: &[u8]) -> Result<Schedule, Error> {
        let responder = Preface::decode(preface)?;
        if responder == self.0.preface {
            return Err(reflected());
        }
        let dh = self.0.dh(&responder)?;
        let dh = dh.as_ref().map(Secret::as_bytes);
        Schedule::derive(&self.0.psk, &self.0.preface, &responder, dh)
    }
}

/// The side that was connected to; it waits for the initiator's preface.
pub struct Responder(Side);

impl Responder {
    /// Draws a salt and, with forward secrecy, an ephemeral key.
    pub fn new(psk: Psk, algorithm: Algorithm, forward_secrecy: bool, rng: &mut Rng) -> Self {
        Self(Side::new(psk, algorithm, forward_secrecy, rng))
    }

    /// Takes the initiator's preface; gives the session and the preface to send.
    ///
    /// As [`Initiator::finish`].
    pub fn accept(self, preface: &[u8]) -> Result<(Schedule, Vec<u8>), Error> {
        Ok((self.consider(preface)?, self.preface()))
    }

    /// The preface that answers.
    pub(super) fn preface(&self) -> Vec<u8> {
        self.0.preface.encode()
    }

    /// As [`Initiator::consider`].
    pub(super) fn consider(&self, preface: &[u8]) -> Result<Schedule, Error> {
        let initiator = Preface::decode(preface)?;
        let dh = self.0.dh(&initiator)?;
        let dh = dh.as_ref().map(Secret::as_bytes);
        Schedule::derive(&self.0.psk, &initiator, &self.0.preface, dh)
    }
}

fn reflected() -> Error {
    Error::peer(Class::Replay, "our own preface came back to us")
}

#[cfg(test)]
mod tests;
