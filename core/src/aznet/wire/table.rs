//! aztable's rows: a chunk split into binary properties (wire page `aznet`, "aztable").

use crate::error::{Class, Error};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};

/// Largest binary property.
pub const LARGEST_PROPERTY: usize = 65_536;
/// Properties a chunk may take: `Data`, `Data01` … `Data14`.
pub const PROPERTIES: usize = 15;
/// Rows a table may hold: past it the 9-digit key would wrap.
pub const ROWS: u64 = 1_000_000_000;

const DIGITS: usize = 9;
/// Base64 text of the largest property.
const LARGEST_TEXT: usize = LARGEST_PROPERTY.div_ceil(3).saturating_mul(4);

/// A chunk as a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// RowKey: the sequence number in 9 digits.
    pub key: String,
    /// Data properties in order: name and base64 text.
    pub properties: Vec<(String, String)>,
}

/// A property's value as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Text, which should be base64.
    Text(&'a str),
    /// A number, null, or anything else that is not text.
    Other,
}

fn name(index: usize) -> String {
    if index == 0 {
        String::from("Data")
    } else {
        format!("Data{index:02}")
    }
}

/// The RowKey of a sequence number; from 10^9 on [`Class::Limit`].
pub fn key(sequence: u64) -> Result<String, Error> {
    if sequence >= ROWS {
        return Err(Error::limit(
            Class::Limit,
            "the table's row keys are used up",
        ));
    }
    Ok(format!("{sequence:09}"))
}

/// A chunk as a row. More than 15 properties, or sequence 10^9 and above, is [`Class::Limit`].
pub fn encode(sequence: u64, chunk: &[u8]) -> Result<Row, Error> {
    let key = key(sequence)?;
    if chunk.len() > LARGEST_PROPERTY.saturating_mul(PROPERTIES) {
        return Err(Error::limit(Class::Limit, "a chunk does not fit in a row"));
    }
    let mut properties: Vec<_> = chunk
        .chunks(LARGEST_PROPERTY)
        .enumerate()
        .map(|(index, part)| (name(index), Base64::encode_string(part)))
        .collect();
    if properties.is_empty() {
        properties.push((name(0), String::new()));
    }
    Ok(Row { key, properties })
}

/// Sequence number and chunk of a row; `find` looks a property up by name.
///
/// Joins `Data`, `Data01` … up to the first that is missing. A key that is not 9 digits, or a value
/// that is not base64 text, is [`Class::Encoding`]; a property above 65,536 bytes is
/// [`Class::Limit`]; no `Data` is [`Class::Truncated`].
pub fn decode<'a>(
    key: &str,
    find: impl Fn(&str) -> Option<Value<'a>>,
) -> Result<(u64, Vec<u8>), Error> {
    const KEY: Error = Error::peer(Class::Encoding, "a row key is not nine digits");
    const BASE64: Error = Error::peer(Class::Encoding, "a data property is not base64 text");
    if key.len() != DIGITS || !key.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(KEY);
    }
    let sequence = key.parse().map_err(|_| KEY)?;
    let mut chunk = Vec::new();
    for index in 0..PROPERTIES {
        let text = match find(&name(index)) {
            Some(Value::Text(text)) => text,
            Some(Value::Other) => return Err(BASE64),
            None if index == 0 => {
                return Err(Error::peer(Class::Truncated, "a row holds no data"));
            }
            None => break,
        };
        if text.len() > LARGEST_TEXT {
            return Err(TOO_LARGE);
        }
        let part = Base64::decode_vec(text).map_err(|_| BASE64)?;
        if part.len() > LARGEST_PROPERTY {
            return Err(TOO_LARGE);
        }
        chunk.extend_from_slice(&part);
    }
    Ok((sequence, chunk))
}

const TOO_LARGE: Error = Error::peer(
    Class::Limit,
    "a data property is larger than a table allows",
);
