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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Rng;
    use std::vec;

    const FRAMES: [Frame<'_>; 5] = [
        Frame {
            kind: kind::DATA,
            payload: b"data",
        },
        Frame {
            kind: kind::PING,
            payload: b"",
        },
        Frame {
            kind: 4,
            payload: b"unknown",
        },
        Frame {
            kind: kind::FIN,
            payload: b"",
        },
        Frame {
            kind: kind::ROTATE,
            payload: b"",
        },
    ];

    fn packed() -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in FRAMES {
            encode(frame, &mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn frames_come_back_whole_and_cut() {
        let bytes = packed();
        assert_eq!(bytes[..9], [0, 0, 0, 4, 0, b'd', b'a', b't', b'a']);
        assert_eq!(decode(&bytes, 7), Ok((FRAMES.to_vec(), &[][..])));
        for end in 0..bytes.len() {
            let (frames, rest) = decode(&bytes[..end], 7).unwrap();
            assert_eq!(frames, FRAMES[..frames.len()]);
            let whole: usize = frames.iter().map(|f| HEADER + f.payload.len()).sum();
            assert_eq!(whole + rest.len(), end);
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_the_payload() {
        let class = |error: Error| error.class();
        let over = header(33, kind::DATA);
        assert_eq!(
            parse_header(over, 32).map_err(class),
            Err(Some(Class::Limit))
        );
        assert_eq!(decode(&over, 32).map_err(class), Err(Some(Class::Limit)));
        let most = parse_header(header(32, 9), 32).unwrap();
        assert_eq!((most.length, most.kind), (32, 9));
        let largest = decode(&[0xff; 5], usize::MAX - 1);
        assert_eq!(largest.map(|(frames, _)| frames.len()), Ok(0));
        // A good frame first does not save the bad one behind it.
        let mut bytes = packed();
        bytes.extend_from_slice(&over);
        assert_eq!(decode(&bytes, 32).map_err(class), Err(Some(Class::Limit)));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut rng = Rng::from_seed([6; 32]);
        for _ in 0..2000 {
            let mut bytes = vec![0; 64];
            rng.fill(&mut bytes);
            for at in [0, 1, 2, 5, 6, 7] {
                bytes[at] = 0;
            }
            if let Ok((frames, rest)) = decode(&bytes, 64) {
                let whole: usize = frames.iter().map(|f| HEADER + f.payload.len()).sum();
                assert_eq!(whole + rest.len(), bytes.len());
            }
        }
    }
}
