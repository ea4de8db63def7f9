//! The blob: bytes that both sides hold. Wire page `packetfs`, "Offset-only flow".

use crate::crypto::Secret;
use crate::error::{Class, Error};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherCore, StreamCipherSeek};
use chacha20::variants::Ietf;
use chacha20::{ChaCha20, ChaChaCore, R20};
use zeroize::Zeroizing;

/// Most bytes of a blob from a seed: 256 GiB, what one ChaCha20 key and nonce give.
pub const LARGEST_SEEDED: u64 = 256 << 30;

/// Where the last block of the keystream begins.
const LAST_BLOCK: u64 = LARGEST_SEEDED - 64;

/// These bytes cannot be read now: the holder of the blob lacks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing;

/// Bytes at offsets. Whoever implements it may read a file; the core only asks.
pub trait Blob {
    /// Bytes of the blob.
    fn size(&self) -> u64;

    /// Fills `out` from `offset` on. The caller stays within the size.
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Missing>;
}

impl<B: Blob + ?Sized> Blob for &B {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Missing> {
        (**self).read(offset, out)
    }
}

impl<B: Blob + ?Sized> Blob for Box<B> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Missing> {
        (**self).read(offset, out)
    }
}

impl Blob for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Missing> {
        let start = usize::try_from(offset).map_err(|_| Missing)?;
        let end = start.checked_add(out.len()).ok_or(Missing)?;
        out.copy_from_slice(self.get(start..end).ok_or(Missing)?);
        Ok(())
    }
}

impl Blob for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Missing> {
        self.as_slice().read(offset, out)
    }
}

impl Blob for Bytes {
    fn size(&self) -> u64 {
        self.as_ref().size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Missing> {
        self.as_ref().read(offset, out)
    }
}

/// The first `size` bytes of a ChaCha20 keystream, computed where they are needed.
///
/// RFC 8439: the key is the seed, the nonce 12 zero bytes, the counter starts at 0.
pub struct Seeded {
    seed: Secret,
    size: u64,
}

impl Seeded {
    /// A blob of `size` bytes; more than 256 GiB are [`Class::Limit`].
    pub fn new(seed: Secret, size: u64) -> Result<Self, Error> {
        if size > LARGEST_SEEDED {
            return Err(Error::limit(
                Class::Limit,
                "a blob from a seed has at most 256 GiB",
            ));
        }
        Ok(Self { seed, size })
    }
}

impl Blob for Seeded {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Missing> {
        let key = self.seed.as_bytes().into();
        let before = LAST_BLOCK.saturating_sub(offset);
        let split = usize::try_from(before).map_or(out.len(), |before| before.min(out.len()));
        let (most, last) = out.split_at_mut_checked(split).ok_or(Missing)?;
        if !most.is_empty() {
            let mut cipher = ChaCha20::new(key, &[0; 12].into());
            cipher.try_seek(offset).map_err(|_| Missing)?;
            most.fill(0);
            cipher.try_apply_keystream(most).map_err(|_| Missing)?;
        }
        if !last.is_empty() {
            // The stream cipher stops before its counter wraps, one block early.
            let mut core = ChaChaCore::<R20, Ietf>::new(key, &[0; 12].into());
            core.set_block_pos(u32::MAX);
            let mut block = Zeroizing::new([0; 64]);
            core.write_keystream_block((&mut *block).into());
            let start = usize::try_from(offset.saturating_sub(LAST_BLOCK)).map_err(|_| Missing)?;
            let end = start.checked_add(last.len()).ok_or(Missing)?;
            last.copy_from_slice(block.get(start..end).ok_or(Missing)?);
        }
        Ok(())
    }
}

/// A reference must lie inside the blob, without wrapping: else [`Class::Length`].
pub fn inside(size: u64, offset: u64, length: u32) -> Result<(), Error> {
    let end = offset.checked_add(u64::from(length));
    if end.is_some_and(|end| end <= size) {
        return Ok(());
    }
    Err(Error::peer(
        Class::Length,
        "a reference lies outside the blob: do both sides hold the same one?",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::{hex, hex32};
    use std::vec;

    // RFC 8439, A.1, test vectors 1 and 2: zero key and nonce, blocks 0 and 1.
    const FIRST: &str = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7\
                         da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586";
    const SECOND: &str = "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed\
                          29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f";

    #[test]
    fn a_seed_gives_the_keystream_of_rfc_8439_at_any_offset() {
        let blob = Seeded::new(Secret::from([0; 32]), 300).unwrap();
        let mut whole = hex(FIRST);
        whole.extend_from_slice(&hex(SECOND));
        for start in 0..whole.len() {
            for end in [start, start + 1, whole.len()] {
                let mut out = vec![0x55; end - start];
                blob.read(start as u64, &mut out).unwrap();
                assert_eq!(out, whole[start..end], "{start}..{end}");
            }
        }
    }

    #[test]
    fn the_last_byte_of_256_gib_is_there() {
        let blob = Seeded::new(Secret::from([0; 32]), LARGEST_SEEDED).unwrap();
        let mut last = [0; 128];
        blob.read(LARGEST_SEEDED - 128, &mut last).unwrap();
        // Computed with OpenSSL's chacha20 at counter 2^32 - 2.
        assert_eq!(last[..32], hex32(SECOND_LAST));
        assert_eq!(last[64..96], hex32(LAST));
        let mut across = [0; 40];
        blob.read(LARGEST_SEEDED - 72, &mut across).unwrap();
        assert_eq!(across, last[56..96]);
        assert_eq!(blob.read(LARGEST_SEEDED - 39, &mut across), Err(Missing));
        assert!(Seeded::new(Secret::from([0; 32]), LARGEST_SEEDED + 1).is_err());
    }

    const SECOND_LAST: &str = "032cc123482c31711f94c941af5ab1f4155784332ed5348fe79aec5ead4c06c3";
    const LAST: &str = "ace4cd09e294d1912d4ad205d06f95d9c2f2bfcf453e8753f128765b62215f4d";

    #[test]
    fn a_slice_is_a_blob() {
        let blob: &[u8] = b"abcdef";
        let mut out = [0; 3];
        blob.read(3, &mut out).unwrap();
        assert_eq!(&out, b"def");
        assert_eq!(blob.read(4, &mut out), Err(Missing));
        assert_eq!(blob.read(u64::MAX, &mut out), Err(Missing));
    }

    #[test]
    fn references_at_the_edges() {
        assert!(inside(200, 0, 200).is_ok());
        assert!(inside(200, 200, 0).is_ok());
        for (offset, length) in [(0, 201), (200, 1), (201, 0), (u64::MAX, 1), (u64::MAX, 0)] {
            let class = inside(200, offset, length).err().and_then(|e| e.class());
            assert_eq!(class, Some(Class::Length), "{offset} {length}");
        }
    }
}
