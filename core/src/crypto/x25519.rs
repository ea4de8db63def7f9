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
    let shared =
        StaticSecret::from(*secret.as_bytes()).diffie_hellman(&PublicKey::from(*public));
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
    use crate::crypto::tests::{hex, hex32, low_order};

    #[test]
    fn rfc_7748_section_6_1() {
        let alice = Secret::from(hex32(
            "77076d0a7318a57d3c16c17251b26645df4c2f92ebc099e7d3c16c17251b2664"
        ));
    }

    #[test]
    fn every_low_order_encoding_is_refused() {
        for encoding in low_order() {
            let fault = dh(&Secret::from([9; 32]), &encoding).err().unwrap();
            assert_eq!(fault.class(), Some(Class::WeakKey), "{encoding:02x?}");
        }
    }
}
