//! Payloads of the repair channel.

use crate::error::{Class, Error};
use bytes::{Buf, Bytes};

const REQUEST: u8 = 1;
const ANSWER: u8 = 2;

/// Bytes of an answer before the window's own.
pub const ANSWER_HEAD: usize = 5;

/// What a repair record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// `01`: this window failed or is missing.
    Request(u32),
    /// `02`: its bytes.
    Answer(u32, Bytes),
}

impl Repair {
    /// Reads a payload. [`Class::Type`] for another kind, [`Class::Truncated`] and
    /// [`Class::Length`] for too few and too many bytes.
    pub fn decode(mut payload: Bytes) -> Result<Self, Error> {
        let truncated = |_| Error::peer(Class::Truncated, "a repair record ends early");
        let kind = payload.try_get_u8().map_err(truncated)?;
        if kind != REQUEST && kind != ANSWER {
            return Err(Error::peer(
                Class::Type,
                "no such repair record: 1 is a request, 2 an answer",
            ));
        }
        let index = payload.try_get_u32().map_err(truncated)?;
        match kind {
            ANSWER => Ok(Self::Answer(index, payload)),
            _ if payload.is_empty() => Ok(Self::Request(index)),
            _ => Err(Error::peer(Class::Length, "bytes follow a repair request")),
        }
    }
}

/// The payload that asks for window `index`.
pub const fn request(index: u32) -> [u8; 5] {
    let [a, b, c, d] = index.to_be_bytes();
    [REQUEST, a, b, c, d]
}

/// The start of the payload that answers with window `index`; its bytes follow.
pub const fn answer(index: u32) -> [u8; ANSWER_HEAD] {
    let [a, b, c, d] = index.to_be_bytes();
    [ANSWER, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        let read = |payload: &'static [u8]| Repair::decode(Bytes::from_static(payload));
        assert_eq!(request(258), [1, 0, 0, 1, 2]);
        assert_eq!(read(&[1, 0, 0, 1, 2]).unwrap(), Repair::Request(258));
        assert_eq!(answer(258), [2, 0, 0, 1, 2]);
        let window = Bytes::from_static(&[9, 8]);
        assert_eq!(
            read(&[2, 0, 0, 1, 2, 9, 8]).unwrap(),
            Repair::Answer(258, window)
        );
        for (payload, expected) in [
            (&[][..], Class::Truncated),
            (&[1, 0, 0, 1], Class::Truncated),
            (&[2, 0, 0], Class::Truncated),
            (&[1, 0, 0, 1, 2, 0], Class::Length),
            (&[0, 0, 0, 0, 0], Class::Type),
            (&[3], Class::Type),
        ] {
            let class = read(payload).err().and_then(|e| e.class());
            assert_eq!(class, Some(expected), "{payload:?}");
        }
    }
}
