//! Received plaintext that waits for the application, as slices of what came in.

use alloc::collections::VecDeque;
use bytes::{Buf, BytesMut};

/// Pieces up to this size are copied together.
const SMALL: usize = 2048;

#[derive(Default)]
pub(super) struct Plain {
    pieces: VecDeque<BytesMut>,
    /// Size of the read whose bytes are being taken in: a slice of it keeps all of it alive.
    pinned: usize,
    length: usize,
}

impl Plain {
    /// Bytes that wait.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// A read of so many bytes is about to be taken in.
    pub(super) fn reading(&mut self, bytes: usize) {
        self.pinned = bytes;
    }

    /// Copies plaintext out.
    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        let mut filled = 0_usize;
        while let Some(front) = self.pieces.front_mut() {
            let Some(space) = out.get_mut(filled..).filter(|space| !space.is_empty()) else {
                break;
            };
            let n = space.len().min(front.len());
            let (Some(to), Some(from)) = (space.get_mut(..n), front.get(..n)) else {
                break;
            };
            to.copy_from_slice(from);
            front.advance(n);
            filled = filled.saturating_add(n);
            if front.is_empty() {
                self.pieces.pop_front();
            }
        }
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
        }
        self.length = self.length.saturating_sub(filled);
        filled
    }

    /// Queues plaintext. Pieces that are small beside the read they came in are copied together,
    /// so that no choice of frames makes us hold many times their weight.
    pub(super) fn keep(&mut self, payload: BytesMut) {
        self.length = self.length.saturating_add(payload.len());
        if payload.len() > SMALL.max(self.pinned / 8) {
            self.pieces.push_back(payload);
            return;
        }
        if let Some(tail) = self.pieces.back_mut()
            && tail.capacity().saturating_sub(tail.len()) >= payload.len()
        {
            tail.extend_from_slice(&payload);
            return;
        }
        let mut tail = BytesMut::with_capacity(payload.len().max(SMALL.saturating_mul(4)));
        tail.extend_from_slice(&payload);
        self.pieces.push_back(tail);
    }
}
