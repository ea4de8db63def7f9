//! Describing an object by pieces of the blob.
//!
//! An [`Index`] of the blob is made once; an [`Encoder`] then goes over the object, looks up the
//! places that its rolling hash picks, and holds what it finds against the blob byte for byte. What
//! matches becomes a reference, the rest literals: nothing is ever lost because the blob does not
//! contain it.

mod index;
#[cfg(test)]
mod tests;

pub use index::Index;

use super::blob::Blob;
use super::blueprint::{Blueprint, Builder, DIGEST, Transform, WINDOW};
use crate::crypto::blake3;
use crate::error::Error;
use alloc::vec::Vec;
use index::{Family, Rolling, SPAN};

/// Shortest piece that is worth a reference, which takes 15 bytes, and a literal's head behind it.
const SHORTEST: usize = SPAN;

/// Bytes of the blob compared at once.
const BLOCK: usize = 16 << 10;

/// A reference that may still grow.
#[derive(Clone, Copy)]
struct Reference {
    offset: u64,
    length: u32,
    transform: Transform,
}

/// Describes one object, handed in as segments of any size; longer ones are better, for a piece
/// cut in two must be found twice.
///
/// Holds the blueprint, a block of 16 KiB and the digests.
pub struct Encoder<'a, B> {
    index: &'a Index,
    blob: &'a B,
    builder: Builder,
    reference: Option<Reference>,
    block: Vec<u8>,
    hasher: blake3::Hasher,
    hashed: usize,
    digests: Vec<[u8; DIGEST]>,
}

impl<'a, B: Blob> Encoder<'a, B> {
    /// For a blueprint of at most `limit` bytes.
    pub fn new(index: &'a Index, blob: &'a B, limit: usize) -> Self {
        Self {
            index,
            blob,
            builder: Builder::new(limit),
            reference: None,
            block: alloc::vec![0; BLOCK],
            hasher: blake3::Hasher::new(),
            hashed: 0,
            digests: Vec::new(),
        }
    }

    /// Takes the next bytes of the object. [`crate::Class::Limit`] when the blueprint would grow
    /// over its limit: the object is then described no further.
    pub fn push(&mut self, segment: &[u8]) -> Result<(), Error> {
        self.digest(segment);
        // The piece that the last segment ended with may go on.
        let mut start = self.resume(segment);
        let mut at = start;
        let mut rolling = Rolling::new();
        while let Some(rest) = segment.get(at..).filter(|rest| !rest.is_empty()) {
            let (taken, hashes) = rolling.run(self.index.gear(), self.index.threshold(), rest);
            at = at.saturating_add(taken);
            let [xor, add] = hashes;
            let found = self
                .look(segment, start, at, xor, Family::Xor)
                .or_else(|| self.look(segment, start, at, add, Family::Add));
            if let Some((first, reference)) = found {
                self.literal(segment.get(start..first).unwrap_or_default())?;
                self.refer(reference)?;
                start = first.saturating_add(reference.length as usize);
                at = start;
                rolling = Rolling::new();
            }
        }
        self.literal(segment.get(start..).unwrap_or_default())
    }

    /// The blueprint of everything handed in.
    pub fn finish(mut self) -> Result<Encoded, Error> {
        self.flush()?;
        if self.hashed > 0 {
            let digest = self.hasher.finish_reset();
            self.digests.push(digest);
        }
        let referenced = self.builder.referenced();
        Ok(Encoded {
            referenced,
            blueprint: self.builder.finish(&self.digests)?,
        })
    }

    fn digest(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = WINDOW.saturating_sub(self.hashed).min(bytes.len());
            let (now, rest) = bytes.split_at(take);
            self.hasher.update(now);
            self.hashed = self.hashed.saturating_add(take);
            if self.hashed == WINDOW {
                let digest = self.hasher.finish_reset();
                self.digests.push(digest);
                self.hashed = 0;
            }
            bytes = rest;
        }
    }

    /// How many bytes of `segment` the last reference goes on for.
    fn resume(&mut self, segment: &[u8]) -> usize {
        let Some(mut last) = self.reference else {
            return 0;
        };
        let room = usize::try_from(u32::MAX.saturating_sub(last.length)).unwrap_or(usize::MAX);
        let segment = segment.get(..room.min(segment.len())).unwrap_or_default();
        let from = last.offset.saturating_add(u64::from(last.length));
        let more = self.forwards(segment, from, last.transform);
        last.length = last.length.saturating_add(more as u32);
        self.reference = Some(last);
        more
    }

    /// Looks up the span that ends before `at`; gives where the piece begins in the segment, not
    /// before `start`, and the reference.
    fn look(
        &mut self,
        segment: &[u8],
        start: usize,
        at: usize,
        hash: Option<u64>,
        family: Family,
    ) -> Option<(usize, Reference)> {
        let place = self.index.find(hash?, family)?;
        let end = at.checked_sub(1)?;
        let mut held = [0];
        self.blob.read(place, &mut held).ok()?;
        let [held] = held;
        let byte = *segment.get(end)?;
        let transform = match (family, byte ^ held, byte.wrapping_sub(held)) {
            (_, 0, _) => Transform::None,
            (Family::Xor, value, _) => Transform::Xor(value),
            (Family::Add, _, value) => Transform::Add(value),
        };
        let before = self.backwards(segment.get(start..end)?, place, transform);
        let after = self.forwards(segment.get(end..)?, place, transform);
        let length = before.saturating_add(after);
        if length < SHORTEST {
            return None;
        }
        let first = end.checked_sub(before)?;
        let reference = Reference {
            offset: place.checked_sub(before as u64)?,
            length: u32::try_from(length).ok()?,
            transform,
        };
        Some((first, reference))
    }

    /// How many bytes at the start of `bytes` are those of the blob from `from` on, transformed.
    fn forwards(&mut self, mut bytes: &[u8], mut from: u64, transform: Transform) -> usize {
        let mut matched: usize = 0;
        // A short look first: most of what does not match does not match at once.
        let mut step = 256;
        loop {
            let left = usize::try_from(self.blob.size().saturating_sub(from)).unwrap_or(BLOCK);
            let length = step.min(bytes.len()).min(left);
            let Some(block) = self
                .block
                .get_mut(..length)
                .filter(|block| !block.is_empty())
            else {
                return matched;
            };
            if self.blob.read(from, block).is_err() {
                return matched;
            }
            transform.apply(block);
            let (now, rest) = bytes.split_at(length);
            let same = common(now, block);
            matched = matched.saturating_add(same);
            if same < length {
                return matched;
            }
            bytes = rest;
            from = from.saturating_add(length as u64);
            step = BLOCK;
        }
    }

    /// How many bytes at the end of `bytes` are those of the blob before `to`, transformed.
    fn backwards(&mut self, mut bytes: &[u8], mut to: u64, transform: Transform) -> usize {
        let mut matched: usize = 0;
        let mut step = 256;
        loop {
            let left = usize::try_from(to).unwrap_or(BLOCK);
            let length = step.min(bytes.len()).min(left);
            let Some(block) = self
                .block
                .get_mut(..length)
                .filter(|block| !block.is_empty())
            else {
                return matched;
            };
            let from = to.saturating_sub(length as u64);
            if self.blob.read(from, block).is_err() {
                return matched;
            }
            transform.apply(block);
            let (rest, now) = bytes.split_at(bytes.len().saturating_sub(length));
            let pairs = now.iter().rev().zip(block.iter().rev());
            let same = pairs.take_while(|(one, other)| one == other).count();
            matched = matched.saturating_add(same);
            if same < length {
                return matched;
            }
            bytes = rest;
            to = from;
            step = BLOCK;
        }
    }

    fn literal(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.flush()?;
        self.builder.literal(bytes)
    }

    /// Adds a reference; one that goes on where the last one ended makes it longer.
    fn refer(&mut self, reference: Reference) -> Result<(), Error> {
        if let Some(last) = &mut self.reference {
            let end = last.offset.saturating_add(u64::from(last.length));
            let joined = last.length.checked_add(reference.length);
            if let Some(length) =
                joined.filter(|_| end == reference.offset && last.transform == reference.transform)
            {
                last.length = length;
                return Ok(());
            }
        }
        self.flush()?;
        self.reference = Some(reference);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        match self.reference.take() {
            Some(last) => self
                .builder
                .reference(last.offset, last.length, last.transform),
            None => Ok(()),
        }
    }
}

/// An object described.
pub struct Encoded {
    /// What goes over the wire.
    pub blueprint: Blueprint,
    /// Bytes of the object that are references.
    pub referenced: u64,
}

/// How many bytes at the start are the same.
fn common(one: &[u8], other: &[u8]) -> usize {
    const STEP: usize = 64;
    let whole = one.chunks_exact(STEP).zip(other.chunks_exact(STEP));
    let same = whole.take_while(|(one, other)| one == other).count();
    let start = same.saturating_mul(STEP);
    let rest = one.iter().zip(other).skip(start);
    start.saturating_add(rest.take_while(|(one, other)| one == other).count())
}
