//! ChaCha20-Poly1305 (RFC 8439), in place and with the tag apart.

use super::Secret;
use crate::error::Error;

/// An AEAD key. Zeroized on drop.
pub struct ChaCha20Poly1305(backend::Key);

impl ChaCha20Poly1305 {
    /// Prepares a key.
    pub fn new(key: &Secret) -> Self {
        Self(backend::Key::new(key))
    }

    /// Encrypts `buf` in place and gives the tag.
    ///
    /// The caller sees to it that no nonce is ever used twice under one key.
    pub fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        self.0.seal(nonce, aad, buf).ok_or(Error::Misuse(
            "the plaintext is too long for ChaCha20-Poly1305",
        ))
    }

    /// Decrypts `buf` in place. On failure `buf` holds zeros and the error is [`Error::auth`].
    pub fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        if self.0.open(nonce, aad, buf, tag).is_some() {
            return Ok(());
        }
        // One implementation decrypts before it knows, another does not: nobody may tell.
        buf.fill(0);
        Err(Error::auth())
    }
}

#[cfg(not(feature = "aws-lc"))]
mod backend {
    use super::Secret;
    use alloc::boxed::Box;
    use chacha20poly1305::aead::{AeadInOut, KeyInit};

    /// Boxed: moving the key would leave copies behind.
    pub(super) struct Key(Box<chacha20poly1305::ChaCha20Poly1305>);

    impl Key {
        pub(super) fn new(key: &Secret) -> Self {
            Self(Box::new(chacha20poly1305::ChaCha20Poly1305::new(
                key.as_bytes().into(),
            )))
        }

        pub(super) fn seal(
            &self,
            nonce: &[u8; 12],
            aad: &[u8],
            buf: &mut [u8],
        ) -> Option<[u8; 16]> {
            let tag = self.0.encrypt_inout_detached(nonce.into(), aad, buf.into());
            tag.ok().map(Into::into)
        }

        pub(super) fn open(
            &self,
            nonce: &[u8; 12],
            aad: &[u8],
            buf: &mut [u8],
            tag: &[u8; 16],
        ) -> Option<()> {
            self.0
                .decrypt_inout_detached(nonce.into(), aad, buf.into(), tag.into())
                .ok()
        }
    }
}

#[cfg(feature = "aws-lc")]
mod backend {
    use super::Secret;
    use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

    /// `None` if aws-lc could not allocate the key: then nothing seals and nothing opens.
    pub(super) struct Key(Option<LessSafeKey>);

    impl Key {
        pub(super) fn new(key: &Secret) -> Self {
            let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_bytes());
            Self(key.ok().map(LessSafeKey::new))
        }

        pub(super) fn seal(
            &self,
            nonce: &[u8; 12],
            aad: &[u8],
            buf: &mut [u8],
        ) -> Option<[u8; 16]> {
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let tag = self
                .0
                .as_ref()?
                .seal_in_place_separate_tag(nonce, Aad::from(aad), buf)
                .ok()?;
            tag.as_ref().try_into().ok()
        }

        pub(super) fn open(
            &self,
            nonce: &[u8; 12],
            aad: &[u8],
            buf: &mut [u8],
            tag: &[u8; 16],
        ) -> Option<()> {
            let nonce = Nonce::assume_unique_for_key(*nonce);
            self.0
                .as_ref()?
                .open_in_place_separate_tag(nonce, Aad::from(aad), tag, buf)
                .ok()
                .map(|_| ())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::{hex, hex32};
    use crate::error::Class;

    #[test]
    fn rfc_8439_section_2_8_2() {
        let key = Secret::from(hex32(
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        ));
        let nonce = hex("070000004041424344454647").try_into().unwrap();
        let aad = hex("50515253c0c1c2c3c4c5c6c7");
        let plain = b"Ladies and Gentlemen of the class of '99: \
            If I could offer you only one tip for the future, sunscreen would be it.";
        let cipher = ChaCha20Poly1305::new(&key);
        let mut buf = plain.to_vec();
        let tag = cipher.seal_in_place(&nonce, &aad, &mut buf).unwrap();
        assert_eq!(buf[..16], hex("d31a8d34648e60db7b86afbc53ef7ec2"));
        assert_eq!(tag.to_vec(), hex("1ae10b594f09e26a7e902ecbd0600691"));
        cipher.open_in_place(&nonce, &aad, &mut buf, &tag).unwrap();
        assert_eq!(buf, plain);
    }

    #[test]
    fn nothing_of_a_forgery_is_left() {
        let cipher = ChaCha20Poly1305::new(&Secret::from([1; 32]));
        for length in [0, 1, 16, 1000, 70_000] {
            let mut buf = std::vec![0x55; length];
            let mut tag = cipher.seal_in_place(&[0; 12], &[], &mut buf).unwrap();
            tag[15] ^= 1;
            let fault = cipher.open_in_place(&[0; 12], &[], &mut buf, &tag);
            assert_eq!(fault.err().and_then(|e| e.class()), Some(Class::Auth));
            assert!(buf.iter().all(|byte| *byte == 0));
        }
    }
}
