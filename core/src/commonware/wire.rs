//! Varints and frames (wire page `commonware`, "V0" and "Era a").
//!
//! Parsing and emitting only; nothing here keeps state.

use crate::error::{Class, Error};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

const NOT_CANONICAL: Error = Error::peer(
    Class::Encoding,
    "a varint is too long or has a needless zero byte",
);

/// Appends the LEB128 varint of `value`: 1 to 10 bytes.
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a varint of at most `bits` bits (32 or 64) and says how many bytes it took; [`None`] when
/// its last byte has not come yet.
///
/// Canonical only: a value that needs more bits, a sixth byte of a 32-bit one, an eleventh of a
/// 64-bit one or a needless zero byte at the end is [`Class::Encoding`], as soon as it is seen.
pub fn varint(bytes: &[u8], bits: u32) -> Result<Option<(u64, usize)>, Error> {
    let mut value = 0_u64;
    let mut shift = 0_u32;
    for (index, byte) in bytes.iter().enumerate() {
        let part = u64::from(byte & 0x7f);
        let more = byte & 0x80 != 0;
        let room = bits.saturating_sub(shift);
        let last = room <= 7;
        if (last && more) || part.checked_shr(room).unwrap_or(0) != 0 {
            return Err(NOT_CANONICAL);
        }
        value |= part.checked_shl(shift).ok_or(NOT_CANONICAL)?;
        if !more {
            if *byte == 0 && index > 0 {
                return Err(NOT_CANONICAL);
            }
            return Ok(Some((value, index.saturating_add(1))));
        }
        shift = shift.saturating_add(7);
    }
    Ok(None)
}

/// How a frame says its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// A canonical varint of 32 bits: V0, and the handshake of V1.
    Varint,
    /// Four bytes, big-endian: eras a and b.
    Fixed,
}

impl Prefix {
    /// Bytes of the longest prefix.
    pub const LONGEST: usize = 5;

    /// Appends the prefix of a body of `length` bytes.
    pub fn put(self, length: u32, out: &mut Vec<u8>) {
        match self {
            Self::Varint => put_varint(u64::from(length), out),
            Self::Fixed => out.extend_from_slice(&length.to_be_bytes()),
        }
    }

    /// Reads a prefix: the length it declares and how many bytes it took; [`None`] when it has not
    /// all come yet. A varint that is not canonical is [`Class::Encoding`].
    pub fn read(self, bytes: &[u8]) -> Result<Option<(usize, usize)>, Error> {
        match self {
            Self::Varint => {
                let read = varint(bytes, u32::BITS)?;
                Ok(read.map(|(value, used)| (usize::try_from(value).unwrap_or(usize::MAX), used)))
            }
            Self::Fixed => Ok(bytes.first_chunk::<4>().map(|prefix| {
                let length = u32::from_be_bytes(*prefix);
                (usize::try_from(length).unwrap_or(usize::MAX), prefix.len())
            })),
        }
    }
}

/// Appends a whole frame. A body over 2^32 − 1 bytes is misuse.
pub fn put_frame(prefix: Prefix, body: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let length = u32::try_from(body.len()).map_err(|_| Error::Misuse("a frame is too long"))?;
    prefix.put(length, out);
    out.extend_from_slice(body);
    Ok(())
}

/// How many bytes the first frame takes with its prefix, or [`None`] while that is unknown.
///
/// A declared size outside `sizes` is [`Class::Length`], before any of the body is there.
pub fn frame_size(
    prefix: Prefix,
    bytes: &[u8],
    sizes: &RangeInclusive<usize>,
) -> Result<Option<usize>, Error> {
    let Some((length, used)) = prefix.read(bytes)? else {
        return Ok(None);
    };
    if sizes.contains(&length) {
        return Ok(Some(used.saturating_add(length)));
    }
    Err(Error::peer(
        Class::Length,
        "a handshake frame has the wrong size; the peer may speak another era",
    ))
}

/// A frame's body, and the bytes behind the frame.
pub type BodyAndRest<'a> = (&'a [u8], &'a [u8]);

/// Splits the first frame off; [`None`] when it has not all come yet. Refuses as [`frame_size`].
pub fn split_frame<'a>(
    prefix: Prefix,
    bytes: &'a [u8],
    sizes: &RangeInclusive<usize>,
) -> Result<Option<BodyAndRest<'a>>, Error> {
    let Some(size) = frame_size(prefix, bytes, sizes)? else {
        return Ok(None);
    };
    let Some((frame, rest)) = bytes.split_at_checked(size) else {
        return Ok(None);
    };
    let used = prefix.read(frame)?.map_or(0, |(_, used)| used);
    Ok(frame.get(used..).map(|body| (body, rest)))
}

#[cfg(test)]
mod tests;
