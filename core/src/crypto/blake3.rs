//! BLAKE3-256.

/// BLAKE3-256 of `data`.
pub fn digest(data: &[u8]) -> [u8; 32] {
    *::blake3::hash(data).as_bytes()
}

/// BLAKE3-256 of bytes that come in parts.
#[derive(Default)]
pub struct Hasher(::blake3::Hasher);

impl Hasher {
    /// A hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The digest of all bytes so far; the hasher starts anew.
    pub fn finish_reset(&mut self) -> [u8; 32] {
        let digest = *self.0.finalize().as_bytes();
        self.0.reset();
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::hex32;

    // From the BLAKE3 team's test_vectors.json: inputs of 0 and 1 byte, byte i being i mod 251.
    #[test]
    fn published_vectors() {
        let empty = hex32("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        let zero = hex32("2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213");
        assert_eq!(digest(&[]), empty);
        assert_eq!(digest(&[0]), zero);
        let mut hasher = Hasher::new();
        hasher.update(&[0]);
        assert_eq!(hasher.finish_reset(), zero);
        assert_eq!(hasher.finish_reset(), empty);
    }
}
