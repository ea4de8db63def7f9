//! Where pieces of the blob are, found by what XOR and addition leave alone.
//!
//! XOR with one byte keeps the XOR of neighbours, addition keeps their difference modulo 256. A
//! rolling hash of 64 such neighbours picks places by its own value (its highest bits are zero),
//! so that the same places are picked in the blob and in a piece of it, at whatever offset the
//! piece lies and whichever byte was added or XORed.

use super::super::blob::{Blob, Missing};
use alloc::vec::Vec;

/// Neighbours that a hash covers; older ones have left it.
pub(super) const SPAN: usize = 64;

/// The densest sampling: one place in 256, so that a piece of 4 KiB has 15 on average.
const DENSEST: u32 = 8;

/// The sparsest: one in 64 KiB.
const SPARSEST: u32 = 16;

/// Places looked at for one entry.
const PROBES: usize = 8;

/// An entry: 24 bits of the hash, 40 bits of the place plus one; 0 is none.
const PLACE_BITS: u32 = 40;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

const BLOCK: usize = 64 << 10;

/// What a family of hashes leaves out of account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Xor,
    Add,
}

/// Rolling hashes of both families.
#[derive(Clone)]
pub(super) struct Rolling {
    xor: u64,
    add: u64,
    last: u8,
    /// Bytes taken; hashes count from [`SPAN`] neighbours on.
    taken: usize,
}

impl Rolling {
    pub(super) const fn new() -> Self {
        Self {
            xor: 0,
            add: 0,
            last: 0,
            taken: 0,
        }
    }

    /// Takes bytes until a place is picked; gives how many were taken and the hash and family of
    /// the last one, if it was picked.
    pub(super) fn run(
        &mut self,
        gear: &[u64; 256],
        threshold: u64,
        bytes: &[u8],
    ) -> (usize, [Option<u64>; 2]) {
        let (mut xor, mut add, mut last) = (self.xor, self.add, self.last);
        let warm = SPAN.saturating_sub(self.taken);
        for (at, byte) in bytes.iter().enumerate() {
            let one = gear.get(usize::from(last ^ byte)).unwrap_or(&0);
            let other = gear.get(usize::from(byte.wrapping_sub(last))).unwrap_or(&0);
            xor = (xor << 1).wrapping_add(*one);
            add = (add << 1).wrapping_add(*other);
            last = *byte;
            if (xor < threshold || add < threshold) && at >= warm {
                let taken = at.saturating_add(1);
                *self = Self {
                    xor,
                    add,
                    last,
                    taken: self.taken.saturating_add(taken),
                };
                let picked = |hash: u64| (hash < threshold).then_some(hash);
                return (taken, [picked(xor), picked(add)]);
            }
        }
        *self = Self {
            xor,
            add,
            last,
            taken: self.taken.saturating_add(bytes.len()),
        };
        (bytes.len(), [None, None])
    }
}

/// An index of a blob, of bounded size.
pub struct Index {
    gear: alloc::boxed::Box<[u64; 256]>,
    table: Vec<u64>,
    bits: u32,
}

impl Index {
    /// Bytes of memory with which a blob of `size` bytes is indexed as densely as is of use: about
    /// a tenth of it. With less, short pieces are found less surely.
    pub fn memory_for(size: u64) -> usize {
        usize::try_from(slots(size, DENSEST)).map_or(usize::MAX, |slots| slots.saturating_mul(8))
    }

    /// Indexes a blob in at most `memory` bytes, of which as much is used as is of use.
    pub fn build(blob: &impl Blob, memory: usize) -> Result<Self, Missing> {
        let size = blob.size().min(PLACE_MASK.saturating_sub(1));
        let most = (memory / 8).max(1) as u64;
        let bits = (DENSEST..SPARSEST)
            .find(|bits| slots(size, *bits) <= most)
            .unwrap_or(SPARSEST);
        let length = slots(size, bits).min(most).max(1);
        let mut index = Self {
            gear: gear(),
            table: alloc::vec![0; usize::try_from(length).unwrap_or(1)],
            bits,
        };
        let mut block = alloc::vec![0; BLOCK];
        let mut rolling = Rolling::new();
        let mut start = 0_u64;
        while start < size {
            let left = usize::try_from(size.saturating_sub(start)).unwrap_or(BLOCK);
            let bytes = block.get_mut(..left.min(BLOCK)).unwrap_or_default();
            blob.read(start, bytes)?;
            let mut rest: &[u8] = bytes;
            let mut at = start;
            while !rest.is_empty() {
                let (taken, hashes) = rolling.run(&index.gear, index.threshold(), rest);
                at = at.saturating_add(taken as u64);
                rest = rest.get(taken..).unwrap_or_default();
                for (hash, family) in hashes.into_iter().zip([Family::Xor, Family::Add]) {
                    if let Some(hash) = hash {
                        index.insert(key(hash, family), at.saturating_sub(1));
                    }
                }
            }
            start = at;
        }
        Ok(index)
    }

    /// Bytes of memory that the index takes.
    pub fn memory(&self) -> usize {
        self.table.len().saturating_mul(8)
    }

    pub(super) fn gear(&self) -> &[u64; 256] {
        &self.gear
    }

    /// Hashes below it are picked.
    pub(super) const fn threshold(&self) -> u64 {
        u64::MAX >> self.bits
    }

    fn slot(&self, key: u64, probe: usize) -> usize {
        let scaled = u128::from(key).wrapping_mul(self.table.len() as u128) >> 64;
        let slot = (scaled as usize).saturating_add(probe);
        if slot < self.table.len() {
            slot
        } else {
            slot.saturating_sub(self.table.len())
        }
    }

    /// The first place with a hash stays: one is enough, and runs of one byte fill no table.
    fn insert(&mut self, key: u64, place: u64) {
        let entry = tag(key) | place.saturating_add(1);
        for probe in 0..PROBES.min(self.table.len()) {
            let slot = self.slot(key, probe);
            match self.table.get_mut(slot) {
                Some(free @ 0) => {
                    *free = entry;
                    return;
                }
                Some(held) if *held & !PLACE_MASK == tag(key) => return,
                _ => {}
            }
        }
    }

    /// Where a piece with this hash may end in the blob: the offset of the last byte of its span.
    pub(super) fn find(&self, hash: u64, family: Family) -> Option<u64> {
        let key = key(hash, family);
        for probe in 0..PROBES.min(self.table.len()) {
            let entry = *self.table.get(self.slot(key, probe))?;
            if entry == 0 {
                return None;
            }
            if entry & !PLACE_MASK == tag(key) {
                return (entry & PLACE_MASK).checked_sub(1);
            }
        }
        None
    }
}

/// Entries for a blob of `size` bytes sampled once in 2^`bits`: two families, three fifths full.
const fn slots(size: u64, bits: u32) -> u64 {
    let samples = (size >> bits).saturating_mul(2);
    let free = (samples / 3).saturating_mul(2);
    samples.saturating_add(free).saturating_add(16)
}

/// Spreads a hash whose highest bits are all zero.
const fn key(hash: u64, family: Family) -> u64 {
    let salted = match family {
        Family::Xor => hash,
        Family::Add => hash ^ 0x5851_f42d_4c95_7f2d,
    };
    mix(salted)
}

const fn tag(key: u64) -> u64 {
    // The slot comes from the highest bits of the key, so the tag takes the lowest.
    key << PLACE_BITS
}

/// The finalizer of splitmix64.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// One random number per difference of neighbours.
fn gear() -> alloc::boxed::Box<[u64; 256]> {
    let mut gear = alloc::boxed::Box::new([0; 256]);
    for (at, slot) in gear.iter_mut().enumerate() {
        *slot = mix((at as u64)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    gear
}
