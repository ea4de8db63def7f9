//! azqueue's message text: `base64(u64 BE sequence ‖ chunk)` (wire page `aznet`, "azqueue").

use crate::error::{Class, Error};
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};

/// Bytes of the sequence number.
const SEQUENCE: usize = 8;

/// The text of a queue message.
pub fn encode(sequence: u64, chunk: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(chunk.len().saturating_add(SEQUENCE));
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(chunk);
    Base64::encode_string(&bytes)
}

/// Sequence number and chunk of a queue message.
///
/// Anything but padded standard base64 is [`Class::Encoding`], fewer than 8 bytes are
/// [`Class::Truncated`]. It allocates no more than the text takes.
pub fn decode(text: &str) -> Result<(u64, Vec<u8>), Error> {
    let mut bytes = Base64::decode_vec(text)
        .map_err(|_| Error::peer(Class::Encoding, "a queue message is not base64"))?;
    let sequence = bytes.first_chunk::<SEQUENCE>().ok_or(Error::peer(
        Class::Truncated,
        "a queue message is shorter than its sequence number",
    ))?;
    let sequence = u64::from_be_bytes(*sequence);
    bytes.drain(..SEQUENCE);
    Ok((sequence, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Option<Class> {
        decode(text).err().and_then(|error| error.class())
    }

    #[test]
    fn messages_come_back() {
        for sequence in [0, 1, 255, 1 << 53, u64::MAX] {
            for length in 0..70 {
                let chunk = std::vec![0xa5; length];
                let text = encode(sequence, &chunk);
                assert_eq!(decode(&text), Ok((sequence, chunk)));
            }
        }
        assert_eq!(encode(1, &[]), "AAAAAAAAAAE=");
        assert_eq!(encode(0, &std::vec![0; 49_080]).len(), 65_452);
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(class(""), Some(Class::Truncated));
        assert_eq!(class("AAAAAAAAAA=="), Some(Class::Truncated));
        for text in [
            "AAAAAAAAAAE",
            "AAAAAAAAAAE==",
            "AAAAAAAAAAE= ",
            "AAAAAAAAAAE=\n",
            "=",
            "====",
            "AAAAAAAAAAF=",
            "AAAA_AAAAAE=",
            "AAAA-AAAAAE=",
            "AAAA*AAAAAE=",
            "AAAAAAAA=AE=",
            "é",
        ] {
            assert_eq!(class(text), Some(Class::Encoding), "{text}");
        }
    }
}
