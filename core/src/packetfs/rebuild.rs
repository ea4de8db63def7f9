//! Putting an object together, window by window, each held against its digest.

use super::blob::Blob;
use super::blueprint::{Blueprint, Descriptor, Descriptors};
use crate::crypto::blake3;
use alloc::vec::Vec;

/// Rebuilds the windows of an object in order. Holds the blueprint and one descriptor.
pub struct Rebuilder {
    blueprint: Blueprint,
    descriptors: Descriptors,
    current: Option<Descriptor>,
    /// Bytes of the current descriptor that are used up.
    used: u64,
    next: u32,
}

impl Rebuilder {
    /// At the first window.
    pub fn new(blueprint: Blueprint) -> Self {
        Self {
            descriptors: blueprint.descriptors(),
            blueprint,
            current: None,
            used: 0,
            next: 0,
        }
    }

    /// The blueprint.
    pub const fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// Rebuilds the next window into `out`, which is made to fit. Gives its index and whether it
    /// is sound: every byte could be read, and the digest is the one announced. [`None`] behind
    /// the last window.
    pub fn next(&mut self, blob: &impl Blob, out: &mut Vec<u8>) -> Option<(u32, bool)> {
        let index = self.next;
        if u64::from(index) >= self.blueprint.windows() {
            return None;
        }
        self.next = index.saturating_add(1);
        out.clear();
        out.resize(self.blueprint.window_length(index), 0);
        let read = self.fill(blob, out);
        let sound = read && self.blueprint.digest(index) == Some(blake3::digest(out));
        Some((index, sound))
    }

    /// Fills `out` with the object's next bytes; false when some could not be read.
    fn fill(&mut self, blob: &impl Blob, mut out: &mut [u8]) -> bool {
        let mut sound = true;
        while !out.is_empty() {
            if self.current.is_none() {
                self.current = self.descriptors.next();
                self.used = 0;
            }
            let Some(descriptor) = &self.current else {
                return false;
            };
            let left = descriptor.length().saturating_sub(self.used);
            let take = usize::try_from(left).map_or(out.len(), |left| left.min(out.len()));
            let (piece, rest) = core::mem::take(&mut out).split_at_mut(take);
            out = rest;
            match descriptor {
                Descriptor::Literal(bytes) => {
                    let start = usize::try_from(self.used).unwrap_or(usize::MAX);
                    for (to, from) in piece.iter_mut().zip(bytes.iter().skip(start)) {
                        *to = *from;
                    }
                }
                Descriptor::Reference {
                    offset, transform, ..
                } => {
                    let at = offset.saturating_add(self.used);
                    if !piece.is_empty() && blob.read(at, piece).is_err() {
                        sound = false;
                    }
                    transform.apply(piece);
                }
            }
            self.used = self.used.saturating_add(take as u64);
            if take as u64 == left {
                self.current = None;
            }
        }
        sound
    }
}
