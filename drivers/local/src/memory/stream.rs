//! One direction of a session in memory.

use crate::limits;
use crate::partial::Partial;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use stillwire_core::store::{Failure, FailureKind, Reply};

/// Below this, writes are gathered into one reply; a larger one is passed on without a copy.
const GATHERED: usize = 64 * 1_024;

/// What was written and not yet taken.
#[derive(Default)]
pub(super) struct Stream {
    /// By the sequence number of the first chunk.
    writes: BTreeMap<u64, Written>,
    /// Everything before this number is with the peer's machine and gone from here.
    taken: u64,
    /// The newest place.
    place: u32,
}

struct Written {
    place: u32,
    chunks: Vec<u32>,
    bytes: Bytes,
}

/// How far one end has read.
#[derive(Default)]
pub(super) struct Cursor {
    place: u32,
    partial: Option<Partial>,
}

impl Cursor {
    pub(super) fn rotate(&mut self, number: u32) -> Result<(), Failure> {
        self.place = limits::check_rotation(self.place, number)?;
        Ok(())
    }
}

impl Stream {
    pub(super) fn open_place(&mut self, number: u32) {
        self.place = self.place.max(number);
    }

    pub(super) fn write(
        &mut self,
        place: u32,
        sequences: Range<u64>,
        chunks: &[u32],
        bytes: &Bytes,
    ) -> Result<Reply, Failure> {
        let before = self.writes.range(..sequences.end).next_back();
        let overlap = before.filter(|(first, written)| written.end(**first) > sequences.start);
        match overlap {
            // A retry of what landed.
            Some((first, written))
                if *first == sequences.start
                    && written.chunks == chunks
                    && written.bytes == bytes => {}
            Some(_) => {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    "other chunks were written under these sequence numbers",
                ));
            }
            // A retry of what was taken already.
            None if sequences.end <= self.taken => {}
            None => {
                let written = Written {
                    place,
                    chunks: chunks.to_vec(),
                    bytes: bytes.clone(),
                };
                self.writes.insert(sequences.start, written);
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor,
        sequence: u64,
        limit: usize,
        again: bool,
    ) -> Reply {
        self.settle(sequence);
        cursor
            .partial
            .take_if(|partial| partial.sequence() != sequence);
        if let Some(partial) = &mut cursor.partial {
            let bytes = partial.piece(limit, again);
            return Reply::Data { bytes, more: true };
        }
        if cursor.place > self.place {
            return Reply::Nothing { missing: true };
        }
        let Some((first, written)) = self.holder(sequence, cursor.place) else {
            return Reply::Nothing { missing: false };
        };
        let skip = sequence.saturating_sub(first) as usize;
        let start = length_of(written.chunks.iter().take(skip));
        let (count, length) = fitting(written.chunks.iter().skip(skip), limit);
        if count == 0 {
            let next = length_of(written.chunks.iter().skip(skip).take(1));
            let chunk = cut(&written.bytes, start, next);
            let mut partial = Partial::new(sequence, chunk);
            let bytes = partial.piece(limit, false);
            cursor.partial = Some(partial);
            return Reply::Data { bytes, more: true };
        }
        let bytes = cut(&written.bytes, start, length);
        let mut next = sequence.saturating_add(count as u64);
        if bytes.len() >= GATHERED || next < written.end(first) {
            let more = next < written.end(first) || self.holder(next, cursor.place).is_some();
            return Reply::Data { bytes, more };
        }
        let mut gathered = Vec::new();
        while let Some((first, written)) = self.holder(next, cursor.place) {
            let used = bytes.len().saturating_add(gathered.len());
            let room = limit.min(GATHERED).saturating_sub(used);
            if first != next || written.bytes.len() > room {
                break;
            }
            gathered.extend_from_slice(&written.bytes);
            next = written.end(first);
        }
        let more = self.holder(next, cursor.place).is_some();
        if gathered.is_empty() {
            return Reply::Data { bytes, more };
        }
        let bytes = [&bytes[..], &gathered].concat().into();
        Reply::Data { bytes, more }
    }

    /// Drops what the reading machine has.
    fn settle(&mut self, sequence: u64) {
        self.taken = self.taken.max(sequence);
        while let Some(write) = self.writes.first_entry() {
            if write.get().end(*write.key()) > sequence {
                break;
            }
            write.remove();
        }
    }

    /// The write in `place` that holds chunk `sequence`.
    fn holder(&self, sequence: u64, place: u32) -> Option<(u64, &Written)> {
        let (first, written) = self.writes.range(..=sequence).next_back()?;
        let holds = sequence < written.end(*first) && written.place <= place;
        holds.then_some((*first, written))
    }
}

impl Written {
    fn end(&self, first: u64) -> u64 {
        first.saturating_add(self.chunks.len() as u64)
    }
}

fn length_of<'a>(chunks: impl Iterator<Item = &'a u32>) -> usize {
    chunks.fold(0, |sum, length| sum.saturating_add(*length as usize))
}

/// How many whole chunks fit, and their length.
fn fitting<'a>(chunks: impl Iterator<Item = &'a u32>, room: usize) -> (usize, usize) {
    let mut fits = (0_usize, 0_usize);
    for length in chunks {
        let sum = fits.1.saturating_add(*length as usize);
        if sum > room {
            break;
        }
        fits = (fits.0.saturating_add(1), sum);
    }
    fits
}

fn cut(bytes: &Bytes, start: usize, length: usize) -> Bytes {
    let start = start.min(bytes.len());
    let end = start.saturating_add(length).min(bytes.len());
    bytes.slice(start..end)
}
