//! Deterministic random bytes from a seed.

use super::Secret;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use zeroize::Zeroizing;

/// Bytes per key, far below the 256 GiB that one ChaCha20 key and nonce can give.
const PER_KEY: usize = 1 << 20;

/// A deterministic random bit generator: ChaCha20 with fast key erasure.
///
/// Every draw replaces the key by the first 32 bytes of its keystream, so no output repeats and
/// what was drawn before cannot be computed from the state that is left.
pub struct Rng {
    key: Secret,
}

impl Rng {
    /// Starts from a seed, which must come from a cryptographic source and be used once.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            key: Secret::from(seed),
        }
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for part in out.chunks_mut(PER_KEY) {
            let mut cipher = ChaCha20::new(self.key.as_bytes().into(), &[0; 12].into());
            let mut next = Zeroizing::new([0; 32]);
            cipher.apply_keystream(next.as_mut_slice());
            self.key = Secret::from(*next);
            part.fill(0);
            cipher.apply_keystream(part);
        }
    }

    /// `N` random bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec;

    #[test]
    fn same_seed_same_bytes_and_nothing_repeats() {
        let mut a = Rng::from_seed([7; 32]);
        let mut b = Rng::from_seed([7; 32]);
        let mut seen = BTreeSet::new();
        for _ in 0..1000 {
            let drawn = a.array::<32>();
            assert_eq!(drawn, b.array::<32>());
            assert!(seen.insert(drawn));
        }
        assert_ne!(
            Rng::from_seed([7; 32]).array::<16>(),
            Rng::from_seed([8; 32]).array::<16>()
        );
    }

    #[test]
    fn the_first_draw_is_chacha20_behind_the_next_key() {
        // RFC 8439, A.1, test vectors 1 and 2: zero key and nonce, blocks 0 and 1.
        let drawn = Rng::from_seed([0; 32]).array::<64>();
        assert_eq!(drawn[..8], [0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d]);
        assert_eq!(
            drawn[32..40],
            [0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a]
        );
    }

    #[test]
    fn large_draws_cross_keys() {
        let mut out = vec![0; PER_KEY + 64];
        Rng::from_seed([1; 32]).fill(&mut out);
        assert_ne!(out[..64], out[PER_KEY..]);
        assert!(out[PER_KEY..].iter().any(|b| *b != 0));
    }
}
