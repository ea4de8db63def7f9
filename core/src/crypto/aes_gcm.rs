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
