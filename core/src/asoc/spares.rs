//! Buffers that are used again once nobody holds a piece of them.

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};

/// Keeps a few buffers whose pieces were given away, and hands one out again when all of its pieces
/// are gone. It allocates and clears less, and what is used again is still in the processor's cache.
#[derive(Default)]
pub struct Spares {
    kept: VecDeque<Bytes>,
    used: bool,
}

/// Buffers that are kept at the most.
const MOST: usize = 6;

impl Spares {
    /// A buffer of at least `length` bytes, whatever they are, and of at most twice as many.
    pub fn take(&mut self, length: usize) -> BytesMut {
        self.used = true;
        for _ in 0..self.kept.len() {
            let Some(whole) = self.kept.pop_front() else {
                break;
            };
            match whole.try_into_mut() {
                Ok(free) if free.len() >= length && free.len() / 2 <= length => return free,
                // Of no use: what is wanted is of another size now.
                Ok(_) => {}
                Err(held) => self.kept.push_back(held),
            }
        }
        BytesMut::zeroed(length)
    }

    /// Remembers a buffer whose pieces are about to be given away.
    pub fn keep(&mut self, whole: &Bytes) {
        if self.kept.len() >= MOST {
            self.kept.pop_front();
        }
        self.kept.push_back(whole.clone());
    }

    /// Forgets all buffers if none was wanted since the last call: one connection of many that are
    /// idle holds no memory for what it once moved.
    pub fn rest(&mut self) {
        if !core::mem::take(&mut self.used) {
            self.kept = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_pieces_are_gone_and_not_before() {
        let mut spares = Spares::default();
        let mut first = spares.take(100);
        first.fill(7);
        let first = first.freeze();
        let at = first.as_ptr();
        spares.keep(&first);
        let piece = first.slice(10..20);
        drop(first);
        let second = spares.take(100);
        assert_ne!(second.as_ptr(), at, "a piece of it is still held");
        assert_eq!(piece, [7; 10][..]);
        drop(piece);
        let again = spares.take(90);
        assert_eq!(again.as_ptr(), at);
        assert_eq!(again.len(), 100);
    }

    #[test]
    fn what_does_not_fit_is_forgotten() {
        for wanted in [101, 49] {
            let mut spares = Spares::default();
            let buffer = spares.take(100).freeze();
            spares.keep(&buffer);
            drop(buffer);
            assert_eq!(spares.take(wanted).len(), wanted);
            assert!(spares.kept.is_empty());
        }
    }

    #[test]
    fn it_keeps_few_and_none_when_it_rests() {
        let mut spares = Spares::default();
        let buffers: [Bytes; MOST + 3] = core::array::from_fn(|_| spares.take(10).freeze());
        for buffer in &buffers {
            spares.keep(buffer);
        }
        assert_eq!(spares.kept.len(), MOST);
        spares.rest();
        assert_eq!(
            spares.kept.len(),
            MOST,
            "they were in use since the last call"
        );
        spares.rest();
        assert!(spares.kept.is_empty());
    }
}
