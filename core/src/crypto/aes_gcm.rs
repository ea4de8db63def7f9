//! AES-256-GCM, in place and with the tag apart.

use super::Secret;
use crate::error::Error;

/// An AEAD key with its key schedule. Zeroized on drop.
pub struct Aes256Gcm(backend::Key);

impl Aes256Gcm {
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
        self.0
            .seal(nonce, aad, buf)
            .ok_or(Error::Misuse("the plaintext is too long for AES-GCM"))
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
    use aes_gcm::aead::{AeadInOut, KeyInit};
    use alloc::boxed::Box;

    /// Boxed: the round keys take a kilobyte, and moving them would leave copies behind.
    pub(super) struct Key(Box<aes_gcm::Aes256Gcm>);

    impl Key {
        pub(super) fn new(key: &Secret) -> Self {
            Self(Box::new(aes_gcm::Aes256Gcm::new(key.as_bytes().into())))
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
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    /// `None` if aws-lc could not allocate the key: then nothing seals and nothing opens.
    pub(super) struct Key(Option<LessSafeKey>);

    impl Key {
        pub(super) fn new(key: &Secret) -> Self {
            let key = UnboundKey::new(&AES_256_GCM, key.as_bytes());
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
    fn gcm_specification_test_case_16() {
        let key = Secret::from(hex32(
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        ));
        let nonce = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plain = hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let sealed = hex(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        );
        let cipher = Aes256Gcm::new(&key);
        let mut buf = plain.clone();
        let tag = cipher.seal_in_place(&nonce, &aad, &mut buf).unwrap();
        assert_eq!(buf, sealed);
        assert_eq!(tag.to_vec(), hex("76fc6ece0f4e1768cddf8853bb2d551b"));
        cipher.open_in_place(&nonce, &aad, &mut buf, &tag).unwrap();
        assert_eq!(buf, plain);
    }

    #[test]
    fn nothing_of_a_forgery_is_left() {
        let cipher = Aes256Gcm::new(&Secret::from([1; 32]));
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
