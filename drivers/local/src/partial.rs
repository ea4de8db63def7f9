//! A chunk larger than what one `Read` may bring, handed out piece by piece.
//!
//! As long as a read's limit is at least the profile's largest chunk, replies hold whole chunks
//! and a lost one is simply asked for again. Pieces need a memory of what was given.

use bytes::Bytes;

#[derive(Debug)]
pub(crate) struct Partial {
    sequence: u64,
    chunk: Bytes,
    given: usize,
    before: usize,
}

impl Partial {
    pub(crate) fn new(sequence: u64, chunk: Bytes) -> Self {
        Self {
            sequence,
            chunk,
            given: 0,
            before: 0,
        }
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The next piece. With `again`, or when nothing is left to give, the last one got lost.
    pub(crate) fn piece(&mut self, limit: usize, again: bool) -> Bytes {
        if again || self.given == self.chunk.len() {
            self.given = self.before;
        }
        let end = self.given.saturating_add(limit).min(self.chunk.len());
        self.before = self.given;
        self.given = end;
        self.chunk.slice(self.before..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_piece_is_given_again() {
        let mut partial = Partial::new(3, Bytes::from_static(b"abcdefg"));
        assert_eq!(partial.piece(3, false), "abc");
        assert_eq!(partial.piece(2, true), "ab");
        assert_eq!(partial.piece(3, false), "cde");
        assert_eq!(partial.piece(9, false), "fg");
        assert_eq!(partial.piece(9, false), "fg");
        assert_eq!(partial.piece(9, true), "fg");
    }
}
