//! An endless deterministic stream, the same that the Go peer makes: splitmix64 from
//! a seed, little-endian. It costs next to nothing, so both sides check every byte.

/// The stream and how far it has been read.
#[derive(Clone, Debug)]
pub struct Pattern {
    state: u64,
    word: [u8; 8],
    /// Bytes of `word` not given out yet.
    left: usize,
}

impl Pattern {
    /// The stream of a seed, from its beginning.
    pub const fn new(seed: u64) -> Self {
        Self {
            state: seed,
            word: [0; 8],
            left: 0,
        }
    }

    fn next(&mut self) -> [u8; 8] {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    }

    /// Fills the buffer with the next bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        let (first, rest) = buffer.split_at_mut(self.left.min(buffer.len()));
        let at = 8 - self.left;
        first.copy_from_slice(&self.word[at..at + first.len()]);
        self.left -= first.len();
        let mut words = rest.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&self.next());
        }
        let tail = words.into_remainder();
        if !tail.is_empty() {
            self.word = self.next();
            tail.copy_from_slice(&self.word[..tail.len()]);
            self.left = 8 - tail.len();
        }
    }

    /// Whether these are the next bytes.
    pub fn matches(&mut self, bytes: &[u8]) -> bool {
        let mut want = [0; 4096];
        bytes.chunks(want.len()).all(|part| {
            let want = &mut want[..part.len()];
            self.fill(want);
            want == part
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_are_splitmix64() {
        // Published outputs of splitmix64 for seed 1234567.
        let mut bytes = [0; 24];
        Pattern::new(1_234_567).fill(&mut bytes);
        let words: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
            .collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(words, published);
    }

    #[test]
    fn any_split_gives_the_same_stream() {
        let mut whole = [0; 1000];
        Pattern::new(7).fill(&mut whole);
        for step in 1..20 {
            let mut parts = Pattern::new(7);
            let mut split = [0; 1000];
            split.chunks_mut(step).for_each(|part| parts.fill(part));
            assert_eq!(split, whole, "in steps of {step}");
            let mut check = Pattern::new(7);
            assert!(whole.chunks(step).all(|part| check.matches(part)));
        }
        whole[999] ^= 1;
        assert!(!Pattern::new(7).matches(&whole));
    }
}
