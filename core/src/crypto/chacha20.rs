//! ChaCha20 with the nonce of RFC 8439, and HChaCha20.

use super::Secret;
use crate::error::{Class, Error};
use chacha20::ChaCha20 as Cipher;
use chacha20::R20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use zeroize::{Zeroize, Zeroizing};

/// The keystream of one key and nonce, from block 0 on. Zeroized on drop.
pub struct ChaCha20(Cipher);

impl ChaCha20 {
    /// Stands before block 0.
    pub fn new(key: &Secret, nonce: &[u8; 12]) -> Self {
        Self(Cipher::new(key.as_bytes().into(), nonce.into()))
    }

    /// XORs the next bytes of the keystream into `data`. Past its 256 GiB it is
    /// [`Class::Limit`], and `data` is as it was.
    pub fn apply(&mut self, data: &mut [u8]) -> Result<(), Error> {
        self.0
            .try_apply_keystream(data)
            .map_err(|_| Error::limit(Class::Limit, "a message is too long for ChaCha20"))
    }
}

/// HChaCha20: a key from a key and 16 bytes.
pub fn hchacha20(key: &Secret, input: &[u8; 16]) -> Secret {
    let mut derived = chacha20::hchacha::<R20>(key.as_bytes().into(), input.into());
    let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(derived.into());
    derived.as_mut_slice().zeroize();
    Secret::from(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::{hex, hex32};

    #[test]
    fn rfc_8439_section_2_4_2_counts_from_block_0() {
        // The RFC's example starts with block 1: block 0 is passed over here.
        let key = hex32("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let nonce = hex("000000000000004a00000000").try_into().unwrap();
        let mut cipher = ChaCha20::new(&Secret::from(key), &nonce);
        cipher.apply(&mut [0; 64]).unwrap();
        let mut text = *b"Ladies and Gentlemen of the clas";
        cipher.apply(&mut text).unwrap();
        assert_eq!(
            text.to_vec(),
            hex("6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b")
        );
    }

    #[test]
    fn xchacha_draft_section_2_2_1() {
        let key = hex32("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let input = hex("000000090000004a0000000031415927").try_into().unwrap();
        assert_eq!(
            hchacha20(&Secret::from(key), &input).as_bytes(),
            &hex32("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc")
        );
    }
}
