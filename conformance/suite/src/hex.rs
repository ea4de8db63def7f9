//! Bytes as lowercase hex, the form they have in vectors.

use std::fmt::Write as _;

/// Lowercase hex of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// The bytes of lowercase hex; `None` for odd lengths and for anything but `0-9a-f`.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// At most `limit` characters of `text`, and how many there were when some are left out.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(limit) else {
        return text.to_owned();
    };
    let mut out = text[..end].to_owned();
    let _ = write!(out, "… ({} characters in all)", text.chars().count());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lowercase_pairs_decode() {
        assert_eq!(decode("00ff7a"), Some(vec![0, 255, 0x7a]));
        assert_eq!(decode(""), Some(vec![]));
        assert_eq!(encode(&[0, 255, 0x7a]), "00ff7a");
        for bad in ["0", "0g", "FF", "é", " 00", "0x00"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn shortening_respects_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 1), "ä… (3 characters in all)");
    }
}
