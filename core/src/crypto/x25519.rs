//! X25519 (RFC 7748) that refuses to agree on nothing.

use super::Secret;
use crate::error::{Class, Error};
use x25519_dalek::{PublicKey, StaticSecret};

/// The public key of a secret scalar; the scalar is clamped in use.
pub fn public(secret: &Secret) -> [u8; 32] {
    #[cfg(feature = "aws-lc")]
    if let Some(public) = fast::public(secret) {
        return public;
    }
    PublicKey::from(&StaticSecret::from(*secret.as_bytes())).to_bytes()
}

/// The shared secret with a peer's public key.
///
/// An all-zero result, which every low-order public key gives, is [`Class::WeakKey`].
pub fn dh(secret: &Secret, public: &[u8; 32]) -> Result<Secret, Error> {
    #[cfg(feature = "aws-lc")]
    if let Some(shared) = fast::dh(secret, public) {
        return Ok(shared);
    }
    let shared = StaticSecret::from(*secret.as_bytes()).diffie_hellman(&PublicKey::from(*public));
    if shared.was_contributory() {
        Ok(Secret::from(shared.to_bytes()))
    } else {
        Err(Error::peer(
            Class::WeakKey,
            "a public key of low order gives no shared secret",
        ))
    }
}

/// The same by aws-lc, in less than half the time. Nothing comes where it refuses, as it does a key
/// of low order, or finds no memory: the caller then goes the ordinary way, which says why.
#[cfg(feature = "aws-lc")]
mod fast {
    use super::Secret;
    use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};

    fn key(secret: &Secret) -> Option<PrivateKey> {
        PrivateKey::from_private_key(&X25519, secret.as_bytes()).ok()
    }

    pub(super) fn public(secret: &Secret) -> Option<[u8; 32]> {
        let public = key(secret)?.compute_public_key().ok()?;
        public.as_ref().try_into().ok()
    }

    pub(super) fn dh(secret: &Secret, public: &[u8; 32]) -> Option<Secret> {
        let public = UnparsedPublicKey::new(&X25519, public);
        let shared = agree(&key(secret)?, public, (), |shared| {
            <[u8; 32]>::try_from(shared).map_err(|_| ())
        });
        shared.ok().map(Secret::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::{hex32, low_order};

    #[test]
    fn rfc_7748_section_6_1() {
        let alice = Secret::from(hex32(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let bob = Secret::from(hex32(
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        ));
        let alice_public =
            hex32("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let bob_public = hex32("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let shared = hex32("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        assert_eq!(public(&alice), alice_public);
        assert_eq!(public(&bob), bob_public);
        assert_eq!(dh(&alice, &bob_public).unwrap().as_bytes(), &shared);
        assert_eq!(dh(&bob, &alice_public).unwrap().as_bytes(), &shared);
    }

    #[test]
    fn every_low_order_encoding_is_refused() {
        for encoding in low_order() {
            let fault = dh(&Secret::from([9; 32]), &encoding).err().unwrap();
            assert_eq!(fault.class(), Some(Class::WeakKey), "{encoding:02x?}");
        }
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn both_implementations_agree() {
        let mut rng = crate::crypto::Rng::from_seed([1; 32]);
        for round in 0..1_000_u32 {
            let secret = Secret::from(rng.array());
            // Any 32 bytes are a public key; the highest bit does not count.
            let mut public: [u8; 32] = rng.array();
            if round % 4 == 0 {
                public[1..].fill(0xff);
            }
            let other = StaticSecret::from(*secret.as_bytes());
            let shared = other.diffie_hellman(&PublicKey::from(public));
            let expected = shared.was_contributory().then(|| *shared.as_bytes());
            let fast = fast::dh(&secret, &public);
            assert_eq!(fast.map(|shared| *shared.as_bytes()), expected);
            let own = PublicKey::from(&other).to_bytes();
            assert_eq!(fast::public(&secret), Some(own));
        }
        for encoding in low_order() {
            assert!(fast::dh(&Secret::from([9; 32]), &encoding).is_none());
        }
    }
}
