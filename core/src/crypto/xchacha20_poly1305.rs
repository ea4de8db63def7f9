//! XChaCha20-Poly1305, in place and with the tag apart.

use super::Secret;
use crate::error::Error;
use chacha20poly1305::{AeadInOut, KeyInit};

/// An AEAD key with nonces of 24 bytes. Zeroized on drop.
pub struct XChaCha20Poly1305(Secret);

impl XChaCha20Poly1305 {
    /// Prepares a key.
    pub fn new(key: &Secret) -> Self {
        Self(key.clone())
    }

    fn cipher(&self) -> chacha20poly1305::XChaCha20Poly1305 {
        chacha20poly1305::XChaCha20Poly1305::new(self.0.as_bytes().into())
    }

    /// Encrypts `buf` in place and gives the tag.
    ///
    /// The caller sees to it that no nonce is ever used twice under one key.
    pub fn seal_in_place(
        &self,
        nonce: &[u8; 24],
        aad: &[u8],
        buf: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        let tag = self
            .cipher()
            .encrypt_inout_detached(nonce.into(), aad, buf.into());
        tag.map(Into::into)
            .map_err(|_| Error::Misuse("the plaintext is too long for XChaCha20-Poly1305"))
    }

    /// Decrypts `buf` in place. On failure `buf` holds zeros and the error is [`Error::auth`].
    pub fn open_in_place(
        &self,
        nonce: &[u8; 24],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        let opened =
            self.cipher()
                .decrypt_inout_detached(nonce.into(), aad, (&mut *buf).into(), tag.into());
        opened.map_err(|_| {
            buf.fill(0);
            Error::auth()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::{hex, hex32};
    use crate::error::Class;

    // draft-irtf-cfrg-xchacha-03, A.3.1.
    #[test]
    fn draft_irtf_cfrg_xchacha_example() {
        let key = Secret::from(hex32(
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        ));
        let nonce = hex("404142434445464748494a4b4c4d4e4f5051525354555657")
            .try_into()
            .unwrap();
        let aad = hex("50515253c0c1c2c3c4c5c6c7");
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
                      for the future, sunscreen would be it.";
        let cipher = XChaCha20Poly1305::new(&key);
        let mut buf = plain.to_vec();
        let tag = cipher.seal_in_place(&nonce, &aad, &mut buf).unwrap();
        let sealed = hex(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440b\
             f3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3f\
             ac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e",
        );
        assert_eq!(buf, sealed);
        assert_eq!(tag.to_vec(), hex("c0875924c1c7987947deafd8780acf49"));
        cipher.open_in_place(&nonce, &aad, &mut buf, &tag).unwrap();
        assert_eq!(buf, plain);
    }

    #[test]
    fn nothing_of_a_forgery_is_left() {
        let cipher = XChaCha20Poly1305::new(&Secret::from([1; 32]));
        for length in [0, 1, 16, 1000, 70_000] {
            let mut buf = std::vec![0x55; length];
            let mut tag = cipher.seal_in_place(&[0; 24], &[], &mut buf).unwrap();
            tag[15] ^= 1;
            let fault = cipher.open_in_place(&[0; 24], &[], &mut buf, &tag);
            assert_eq!(fault.err().and_then(|e| e.class()), Some(Class::Auth));
            assert!(buf.iter().all(|byte| *byte == 0));
        }
    }
}
