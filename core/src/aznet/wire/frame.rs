//! Frames: what stands in a chunk's plaintext (wire page `aznet`, "Frame").
//!
//! `u32 BE payload length ‖ u8 type ‖ payload`, back to back. Frames of an unknown type are
//! skipped by whoever reads: that is the room for extensions.

use crate::error::{Class, Error};
use alloc::vec::Vec;

/// Bytes of a frame's header.
pub const HEADER: usize = 5;

/// Frame types.
pub mod kind {
    /// Application bytes.
    pub const DATA: u8 = 0;
    /// A sign of life; empty.
    pub const PING: u8 = 1;
    /// Ends this direction; empty.
    pub const FIN: u8 = 2;
    /// The last frame in a blob: what follows is in the next one; empty.
    pub const ROTATE: u8 = 3;
}

/// A frame's header, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload bytes.
    pub length: usize,
    /// Frame type, one of [`kind`] or unknown.
    pub kind: u8,
}

/// Writes a header.
pub fn header(length: u32, kind: u8) -> [u8; HEADER] {
    let [a, b, c, d] = length.to_be_bytes();
    [a, b, c, d, kind]
}

/// Reads a header. A payload above `limit` is [`Class::Limit`], before any of it is there.
pub fn parse_header(bytes: [u8; HEADER], limit: usize) -> Result<Header, Error> {
    let [a, b, c, d, kind] = bytes;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > limit {
        return Err(Error::peer(
            Class::Limit,
            "a frame is larger than its carrier allows",
        ));
    }
    Ok(Header { length, kind })
}

/// A whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Frame type.
    pub kind: u8,
    /// Payload.
    pub payload: &'a [u8],
}

/// Appends a whole frame to `out`. A payload of 4 GiB and more is misuse.
pub fn encode(frame: Frame<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let length = u32::try_from(frame.payload.len())
        .map_err(|_| Error::Misuse("a frame's payload is too long"))?;
    out.extend_from_slice(&header(length, frame.kind));
    out.extend_from_slice(frame.payload);
    Ok(())
}

/// Splits the first whole frame off `bytes`; [`None`] when it has not all come yet.
pub fn split_first(bytes: &[u8], limit: usize) -> Result<Option<(Frame<'_>, &[u8])>, Error> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let Header { length, kind } = parse_header(*head, limit)?;
    Ok(rest
        .split_at_checked(length)
        .map(|(payload, rest)| (Frame { kind, payload }, rest)))
}

/// All whole frames of `bytes`, unknown types too, and the bytes of an unfinished one.
///
/// Syntax only: there are no rules about order here.
pub fn decode(bytes: &[u8], limit: usize) -> Result<(Vec<Frame<'_>>, &[u8]), Error> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some((frame, after)) = split_first(rest, limit)? {
        frames.push(frame);
        rest = after;
    }
    Ok((frames, rest))
}
