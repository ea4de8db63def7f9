//! Ed25519 as ZIP-215 has it: cofactored verification, any encoding of a point.

use super::Secret;
use crate::error::{Class, Error};
use alloc::boxed::Box;
use ed25519_zebra::{Signature, VerificationKey};
use zeroize::Zeroizing;

/// Every `y` of a point of small order, canonical or not (p and p + 1), without the sign bit.
const SMALL_ORDER: [[u8; 32]; 7] = [
    y(0x00, 0x00, 0x00),
    y(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    y(0xec, 0xff, 0x7f),
    y(0xed, 0xff, 0x7f),
    y(0xee, 0xff, 0x7f),
];

const fn y(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

fn is_small_order(public: &[u8; 32]) -> bool {
    let mut bytes = *public;
    if let Some(last) = bytes.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER.contains(&bytes)
}

/// A key that signs. Zeroized on drop.
pub struct SigningKey(Box<Zeroizing<ed25519_zebra::SigningKey>>);

impl SigningKey {
    /// From the 32-byte seed of RFC 8032.
    pub fn new(seed: &Secret) -> Self {
        let key = ed25519_zebra::SigningKey::from(*seed.as_bytes());
        Self(Box::new(Zeroizing::new(key)))
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        VerificationKey::from(&**self.0).into()
    }

    /// Signs; the same message always gives the same signature.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Whether a public key can be somebody's identity: a point, of no small order.
///
/// A small-order key verifies a fixed signature over any message; it and what is no point are
/// [`Class::Identity`]. A point with a torsion part passes, and so does any encoding.
pub fn check(public: &[u8; 32]) -> Result<(), Error> {
    if is_small_order(public) {
        return Err(Error::peer(
            Class::Identity,
            "an identity of small order proves nothing; the peer must use a real key",
        ));
    }
    point(public).map(|_| ())
}

fn point(public: &[u8; 32]) -> Result<VerificationKey, Error> {
    VerificationKey::try_from(*public).map_err(|_| {
        Error::peer(
            Class::Identity,
            "an identity is no point of the curve; check the key",
        )
    })
}

/// Verifies as ZIP-215 says: `[8][s]B = [8]R + [8][k]A`, with `s` below the group order.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), Error> {
    let signature = Signature::from_bytes(signature);
    let verified = point(public)?.verify(&signature, message);
    verified.map_err(|_| Error::auth())
}

#[cfg(test)]
mod tests;
