//! Poly1305: a one-time authenticator. A key is used for one message.

use poly1305::universal_hash::{KeyInit, UniversalHash};
use poly1305::{Block, Poly1305 as Hash};
use subtle::ConstantTimeEq;

/// Bytes of a block, and of the result.
pub const BLOCK: usize = 16;

/// A message being authenticated. Zeroized on drop.
pub struct Poly1305(Hash);

impl Poly1305 {
    /// Starts with a one-time key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hash::new(key.into()))
    }

    /// Takes the whole blocks of `data`; gives back what is left over, fewer than [`BLOCK`] bytes.
    pub fn blocks<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let (blocks, rest) = Block::slice_as_chunks(data);
        if !blocks.is_empty() {
            self.0.update(blocks);
        }
        rest
    }

    /// Takes `data` and zeros up to the next block.
    pub fn padded(&mut self, data: &[u8]) {
        self.0.update_padded(data);
    }

    /// Takes the last bytes, of any number, and gives the tag.
    pub fn finish(self, last: &[u8]) -> [u8; BLOCK] {
        self.0.compute_unpadded(last).into()
    }
}

/// Compares two tags in constant time.
pub fn equal(a: &[u8; BLOCK], b: &[u8; BLOCK]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::{hex, hex32};

    #[test]
    fn rfc_8439_section_2_5_2_however_it_is_cut() {
        let key = hex32("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b");
        let text = b"Cryptographic Forum Research Group";
        let tag = hex("a8061dc1305136c6c22b8baf0c0127a9");
        assert_eq!(Poly1305::new(&key).finish(text).to_vec(), tag);
        let mut parts = Poly1305::new(&key);
        let rest = parts.blocks(text);
        assert_eq!(rest.len(), 2);
        assert_eq!(parts.finish(rest).to_vec(), tag);
        // Padding is part of what is authenticated.
        let mut padded = Poly1305::new(&key);
        padded.padded(text);
        assert_ne!(padded.finish(&[]).to_vec(), tag);
    }

    #[test]
    fn every_flipped_bit_is_another_tag() {
        let tag = [0x5a; BLOCK];
        assert!(equal(&tag, &tag));
        for bit in 0..128 {
            let mut other = tag;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!equal(&tag, &other), "{bit}");
        }
    }
}
