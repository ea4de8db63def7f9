//! Percent escapes in queries.

use crate::error::{Class, Error};
use alloc::string::String;
use alloc::vec::Vec;
use zeroize::Zeroize;

/// Longest escape of one byte.
pub(super) const LONGEST: usize = 3;

const FAULT: Error = Error::peer(
    Class::Encoding,
    "a parameter of the connection URL is not percent-encoded text",
);

/// Escapes everything but RFC 3986's unreserved characters, as Go's `QueryEscape` does.
pub(super) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                out.push(digit.to_ascii_uppercase());
            }
        }
    }
}

/// Undoes escapes. `+` is a space, as everywhere in queries.
pub(super) fn decode(text: &str) -> Result<String, Error> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = digit(bytes.next())?;
                let low = digit(bytes.next())?;
                high << 4 | low
            }
            byte => byte,
        });
    }
    String::from_utf8(out).map_err(|error| {
        error.into_bytes().zeroize();
        FAULT
    })
}

fn digit(byte: Option<u8>) -> Result<u8, Error> {
    let digit = byte.and_then(|byte| char::from(byte).to_digit(16));
    digit
        .and_then(|digit| u8::try_from(digit).ok())
        .ok_or(FAULT)
}
