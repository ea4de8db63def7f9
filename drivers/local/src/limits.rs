//! What both stores take at the most, and requests that no store can perform.

use std::time::Duration;
use stillwire_core::store::{Failure, FailureKind, Profile, Reply};

/// Largest handshake message (wire page `aznet`, section Noise).
pub(crate) const MESSAGE: usize = 65_535;

/// Largest chunk, its prefix included.
pub(crate) const CHUNK: usize = 4_194_304;

/// Bytes of one `Write`, and of one `Read`.
pub(crate) const TRANSFER: usize = 16 << 20;

/// Chunks of one `Write`: full of the smallest chunks there are, it stays below.
pub(crate) const CHUNKS: usize = 1 << 20;

pub(crate) fn profile(
    name: &'static str,
    writes_before_rotation: Option<u32>,
    shortest_poll: Duration,
) -> Profile {
    Profile {
        name,
        largest_chunk: CHUNK,
        bytes_per_write: TRANSFER,
        bytes_per_read: TRANSFER,
        writes_in_flight: 1,
        releases_in_flight: 0,
        writes_before_rotation,
        sequences: None,
        tokens_in_sight: None,
        shortest_poll,
    }
}

/// Reading takes nothing away here that would have to be removed.
pub(crate) const NOTHING_TO_RELEASE: Reply = Reply::Released {
    removed: 0,
    left: 0,
};

pub(crate) fn check_message(message: &[u8]) -> Result<(), Failure> {
    if message.len() > MESSAGE {
        let detail = format!(
            "a handshake message of {} bytes; {MESSAGE} is the most",
            message.len()
        );
        return Err(Failure::new(FailureKind::TooLarge, detail));
    }
    Ok(())
}

/// Checks a `Write` and says which sequence number follows it.
pub(crate) fn check_write(sequence: u64, chunks: &[u32], bytes: &[u8]) -> Result<u64, Failure> {
    if bytes.len() > TRANSFER || chunks.len() > CHUNKS {
        let detail = format!(
            "a write of {} bytes in {} chunks; {TRANSFER} bytes in {CHUNKS} chunks are the most",
            bytes.len(),
            chunks.len()
        );
        return Err(Failure::new(FailureKind::TooLarge, detail));
    }
    if chunks.iter().any(|length| *length as usize > CHUNK) {
        let detail = format!("a chunk is larger than {CHUNK} bytes");
        return Err(Failure::new(FailureKind::TooLarge, detail));
    }
    let total: u64 = chunks.iter().map(|length| u64::from(*length)).sum();
    if chunks.is_empty() || chunks.contains(&0) || total != bytes.len() as u64 {
        return Err(refused(
            "the lengths of the chunks and of the write do not agree",
        ));
    }
    sequence
        .checked_add(chunks.len() as u64)
        .ok_or_else(|| refused("no sequence numbers are left"))
}

/// The bytes a `Read` may bring.
pub(crate) fn check_limit(limit: usize) -> Result<usize, Failure> {
    match limit.min(TRANSFER) {
        0 => Err(refused("a read of no bytes")),
        limit => Ok(limit),
    }
}

/// Where a direction stands after it was told to move on to place `number`.
pub(crate) fn check_rotation(place: u32, number: u32) -> Result<u32, Failure> {
    if number == place || Some(number) == place.checked_add(1) {
        return Ok(number);
    }
    Err(refused(&format!(
        "a rotation to place {number} while place {place} is in use"
    )))
}

pub(crate) fn no_session() -> Failure {
    refused("the operation needs a session")
}

pub(crate) fn refused(detail: &str) -> Failure {
    Failure::new(FailureKind::Refused, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_that_do_not_add_up_are_refused() {
        assert_eq!(check_write(7, &[2, 3], b"abcde").unwrap(), 9);
        for (chunks, bytes) in [
            (&[][..], &b""[..]),
            (&[2], b"abc"),
            (&[3, 0], b"abc"),
            (&[u32::MAX - 1, 5], b"abc"),
        ] {
            let failure = check_write(0, chunks, bytes).unwrap_err();
            assert!(matches!(
                failure.kind,
                FailureKind::Refused | FailureKind::TooLarge
            ));
        }
        let failure = check_write(u64::MAX, &[1], b"a").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        let large = vec![0; CHUNK + 1];
        let failure = check_write(0, &[CHUNK as u32 + 1], &large).unwrap_err();
        assert_eq!(failure.kind, FailureKind::TooLarge);
    }

    #[test]
    fn places_are_taken_one_after_another() {
        assert_eq!(check_rotation(0, 1).unwrap(), 1);
        assert_eq!(check_rotation(1, 1).unwrap(), 1);
        assert_eq!(check_rotation(1, 0).unwrap_err().kind, FailureKind::Refused);
        assert_eq!(check_rotation(1, 3).unwrap_err().kind, FailureKind::Refused);
    }
}
