//! The sliding window that datagrams are checked against. Wire page `packetfs`, "Record".

use super::wire::header::UNUSABLE;
use crate::error::{Class, Error};

/// How many sequences the window holds, the highest one included.
pub const WINDOW: u64 = 1_024;

const WORDS: usize = 16;

/// Which of the last 1,024 sequences were accepted.
#[derive(Clone, Debug, Default)]
pub struct Window {
    highest: Option<u64>,
    seen: [u64; WORDS],
}

impl Window {
    /// Nothing was accepted yet: any sequence may be the first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `sequence` may still be accepted. Changes nothing: only what proved authentic may
    /// move the window.
    ///
    /// [`Class::Replay`] when it was accepted before or is 1,024 or more behind;
    /// [`Class::NonceLimit`] for 2^64 - 1.
    pub fn check(&self, sequence: u64) -> Result<(), Error> {
        usable(sequence)?;
        let behind = match self.highest {
            Some(highest) if sequence <= highest => highest.saturating_sub(sequence),
            _ => return Ok(()),
        };
        let (word, bit) = place(sequence);
        let seen = self.seen.get(word).is_some_and(|word| word & bit != 0);
        if behind >= WINDOW || seen {
            return Err(Error::peer(
                Class::Replay,
                "a record came twice or too late for the window",
            ));
        }
        Ok(())
    }

    /// Accepts `sequence`, or says why not as [`Window::check`] does.
    pub fn accept(&mut self, sequence: u64) -> Result<(), Error> {
        self.check(sequence)?;
        let highest = self.highest.unwrap_or(sequence);
        if sequence.saturating_sub(highest) >= WINDOW {
            self.seen = [0; WORDS];
        } else {
            // Places that now stand for newer sequences are free again.
            for passed in highest.saturating_add(1)..sequence {
                let (word, bit) = place(passed);
                if let Some(word) = self.seen.get_mut(word) {
                    *word &= !bit;
                }
            }
        }
        let (word, bit) = place(sequence);
        if let Some(word) = self.seen.get_mut(word) {
            *word |= bit;
        }
        self.highest = Some(highest.max(sequence));
        Ok(())
    }
}

/// Sequence 2^64 - 1 is never sealed or accepted, so that "next" never overflows.
pub(super) fn usable(sequence: u64) -> Result<(), Error> {
    if sequence == UNUSABLE {
        return Err(Error::peer(
            Class::NonceLimit,
            "sequence 2^64 - 1 is never used: the session should have moved on before it",
        ));
    }
    Ok(())
}

/// The word and the bit that stand for a sequence.
const fn place(sequence: u64) -> (usize, u64) {
    // 1,024 places: the low six bits name the bit, the four above them the word.
    (((sequence >> 6) & 0xf) as usize, 1 << (sequence & 0x3f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Rng;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    fn accepted(sequences: &[u64]) -> Vec<bool> {
        let mut window = Window::new();
        let accept = |sequence: &u64| window.accept(*sequence).is_ok();
        sequences.iter().map(accept).collect()
    }

    #[test]
    fn edges_minus_one_zero_1023_1024() {
        assert_eq!(accepted(&[5_000, 5_000]), [true, false]);
        assert_eq!(accepted(&[5_000, 4_999, 4_999]), [true, true, false]);
        assert_eq!(accepted(&[5_000, 3_977, 3_977]), [true, true, false]);
        assert_eq!(accepted(&[5_000, 3_976]), [true, false]);
        assert_eq!(accepted(&[5_000, 6_023, 5_000]), [true, true, false]);
        assert_eq!(
            accepted(&[5_000, 6_024, 5_000, 5_001]),
            [true, true, false, true]
        );
    }

    #[test]
    fn the_last_sequence_is_unusable() {
        assert_eq!(accepted(&[u64::MAX - 1, u64::MAX]), [true, false]);
        let class = Window::new().accept(u64::MAX).err().and_then(|e| e.class());
        assert_eq!(class, Some(Class::NonceLimit));
    }

    /// The page's three sentences, with a set instead of bits.
    #[test]
    fn agrees_with_a_set_on_random_arrivals() {
        for seed in 0..50 {
            let mut rng = Rng::from_seed([seed; 32]);
            let mut window = Window::new();
            let mut seen = BTreeSet::new();
            let mut highest = None::<u64>;
            let mut centre = 3_000_u64;
            for _ in 0..3_000 {
                let drawn = u64::from(u16::from_be_bytes(rng.array()));
                let sequence = match drawn % 40 {
                    0 => centre + drawn % 3_000,
                    1..=5 => centre.saturating_sub(drawn % 1_100),
                    _ => centre - 40 + drawn % 80,
                };
                let fresh = highest.is_none_or(|h| sequence > h)
                    || (highest.is_some_and(|h| h - sequence <= 1_023)
                        && !seen.contains(&sequence));
                assert_eq!(window.accept(sequence).is_ok(), fresh, "{sequence}");
                if fresh {
                    seen.insert(sequence);
                    highest = Some(highest.map_or(sequence, |h| h.max(sequence)));
                    centre = centre.max(sequence);
                }
            }
        }
    }
}
