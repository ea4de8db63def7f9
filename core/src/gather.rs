//! Gathering what comes in pieces.

use alloc::vec::Vec;

/// Appends a piece to what is held of something that is `most` bytes in all: twice the room each
/// time, and never more than the whole needs.
pub(crate) fn append(held: &mut Vec<u8>, piece: &[u8], most: usize) {
    let needed = held.len().saturating_add(piece.len());
    if needed > held.capacity() {
        let room = held.capacity().saturating_mul(2).min(most).max(needed);
        held.reserve_exact(room.saturating_sub(held.len()));
    }
    held.extend_from_slice(piece);
}
