//! X25519 (RFC 7748) that refuses to agree on nothing.

use super::Secret;
use crate::error::{Class, Error};
use x25519_dalek::{PublicKey, StaticSecret};

/// The public key of a secret scalar; the scalar is clamped in use.
pub fn public(secret: &Secret) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret.as_bytes())).to_bytes()
}

/// The shared secret with a peer's public key.
///
/// An all-zero result, which every low-order public key gives, is [`Class::WeakKey`].
pub fn dh(secret: &Secret, public: &[u8; 32]) -> Result<Secret, Error> {
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
}
