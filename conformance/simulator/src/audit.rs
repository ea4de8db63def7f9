//! One number for a whole run, and the trace of it.

use crate::rng::mix;
use std::io::Write;

/// Hashes bytes, eight at a time. Not for adversaries.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9fb2_1c65_1e98_df25;
    let mut words = bytes.chunks_exact(8);
    let mut hash = bytes.len() as u64 ^ FACTOR;
    for word in words.by_ref() {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        hash = (hash ^ u64::from_le_bytes(eight)).wrapping_mul(FACTOR);
        hash ^= hash >> 29;
    }
    for byte in words.remainder() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(FACTOR);
        hash ^= hash >> 31;
    }
    mix(hash)
}

/// Hashes every event, so that two runs compare by one value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audit {
    hash: u64,
    pub(crate) events: u64,
    trace: bool,
}

impl Audit {
    pub(crate) fn new(trace: bool) -> Self {
        Self {
            trace,
            ..Self::default()
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Notes an event by its numbers.
    pub(crate) fn note(&mut self, numbers: &[u64]) {
        self.events += 1;
        for number in numbers {
            self.hash = mix(self.hash ^ number);
        }
    }

    /// Prints a line when the run is traced.
    pub(crate) fn line(&self, now: u64, line: impl FnOnce() -> String) {
        if self.trace {
            let (secs, micros) = (now / 1_000_000, now % 1_000_000);
            // A reader that has seen enough closes the pipe: no reason to fail.
            let _ = writeln!(std::io::stdout(), "{secs:>6}.{micros:06}  {}", line());
        }
    }
}
