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

/// Name of a data property by its number, from 0.
pub fn name(index: usize) -> String {
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

/// The sequence number of a RowKey; one that is not 9 digits is [`Class::Encoding`].
pub fn sequence(key: &str) -> Result<u64, Error> {
    const KEY: Error = Error::peer(Class::Encoding, "a row key is not nine digits");
    if key.len() != DIGITS || !key.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(KEY);
    }
    key.parse().map_err(|_| KEY)
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
    let sequence = sequence(key)?;
    let mut chunk = Vec::new();
    join(|index| find(&name(index)), &mut chunk)?;
    Ok((sequence, chunk))
}

/// Appends the bytes of a row's data properties to `out` and says how many; `find` looks a
/// property up by its number, from 0. Errors as of [`decode`]; `out` is then as it was.
pub fn join<'a>(
    find: impl Fn(usize) -> Option<Value<'a>>,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    const BASE64: Error = Error::peer(Class::Encoding, "a data property is not base64 text");
    let start = out.len();
    let mut end = start;
    let mut add = |index: usize| {
        let text = match find(index) {
            Some(Value::Text(text)) => text,
            Some(Value::Other) => return Err(BASE64),
            None if index == 0 => {
                return Err(Error::peer(Class::Truncated, "a row holds no data"));
            }
            None => return Ok(false),
        };
        if text.len() > LARGEST_TEXT {
            return Err(TOO_LARGE);
        }
        let most = text.len().div_ceil(4).saturating_mul(3);
        out.resize(end.saturating_add(most), 0);
        let room = out.get_mut(end..).unwrap_or_default();
        let part = Base64::decode(text, room).map_err(|_| BASE64)?.len();
        if part > LARGEST_PROPERTY {
            return Err(TOO_LARGE);
        }
        end = end.saturating_add(part);
        Ok(true)
    };
    let mut outcome = Ok(true);
    for index in 0..PROPERTIES {
        outcome = add(index);
        if outcome != Ok(true) {
            break;
        }
    }
    out.truncate(if outcome.is_ok() { end } else { start });
    outcome.map(|_| end.saturating_sub(start))
}

const TOO_LARGE: Error = Error::peer(
    Class::Limit,
    "a data property is larger than a table allows",
);

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn find<'a>(row: &'a Row, name: &str) -> Option<Value<'a>> {
        let mut properties = row.properties.iter();
        properties.find_map(|(known, text)| (known == name).then_some(Value::Text(text)))
    }

    fn class<T>(result: Result<T, Error>) -> Option<Class> {
        result.err().and_then(|error| error.class())
    }

    #[test]
    fn rows_come_back() {
        for (length, properties) in [
            (0, 1),
            (1, 1),
            (65_536, 1),
            (65_537, 2),
            (15 * 65_536, PROPERTIES),
        ] {
            let chunk = std::vec![0x5a; length];
            let row = encode(42, &chunk).unwrap();
            assert_eq!(row.key, "000000042");
            assert_eq!(row.properties.len(), properties);
            assert_eq!(decode(&row.key, |name| find(&row, name)), Ok((42, chunk)));
        }
        let names = encode(0, &std::vec![0; 983_040]).unwrap().properties;
        assert_eq!(
            (&*names[0].0, &*names[1].0, &*names[14].0),
            ("Data", "Data01", "Data14")
        );
    }

    #[test]
    fn the_row_key_does_not_wrap() {
        assert_eq!(key(ROWS - 1).unwrap(), "999999999");
        assert_eq!(class(key(ROWS)), Some(Class::Limit));
        assert_eq!(class(encode(ROWS, &[])), Some(Class::Limit));
        assert_eq!(class(encode(0, &std::vec![0; 983_041])), Some(Class::Limit));
    }

    #[test]
    fn what_is_refused() {
        let with = |key: &str, value| decode(key, |name| (name == "Data").then_some(value));
        let text = Value::Text("AAAA");
        for key in [
            "",
            "00000001",
            "0000000001",
            "00000000a",
            "+00000001",
            "٠٠٠٠",
        ] {
            assert_eq!(class(with(key, text)), Some(Class::Encoding), "{key}");
        }
        for value in [Value::Other, Value::Text("@@@@"), Value::Text("AAA")] {
            assert_eq!(class(with("000000001", value)), Some(Class::Encoding));
        }
        assert_eq!(class(decode("000000001", |_| None)), Some(Class::Truncated));
        let large = Base64::encode_string(&std::vec![0; 65_537]);
        assert_eq!(
            class(with("000000001", Value::Text(&large))),
            Some(Class::Limit)
        );
        let larger = "A".repeat(LARGEST_TEXT + 4);
        assert_eq!(
            class(with("000000001", Value::Text(&larger))),
            Some(Class::Limit)
        );
    }

    #[test]
    fn joining_appends_or_leaves_all_as_it_was() {
        let mut out = std::vec![7];
        let row = |index| (index < 2).then_some(Value::Text("AQI="));
        assert_eq!(join(row, &mut out), Ok(4));
        assert_eq!(out, [7, 1, 2, 1, 2]);
        let bad = |index| {
            Some(if index == 0 {
                Value::Text("AQI=")
            } else {
                Value::Other
            })
        };
        assert_eq!(class(join(bad, &mut out)), Some(Class::Encoding));
        let broken = |index| Some(Value::Text(if index == 0 { "AQI=" } else { "A" }));
        assert_eq!(class(join(broken, &mut out)), Some(Class::Encoding));
        assert_eq!(out, [7, 1, 2, 1, 2]);
    }

    #[test]
    fn joining_stops_at_the_first_gap() {
        let joined = decode("000000007", |name| match name {
            "Data" | "Data02" => Some(Value::Text("AQ==")),
            _ => None,
        });
        assert_eq!(joined, Ok((7, [1].to_vec())));
        let endless = decode("000000007", |name| {
            assert_ne!(name, "Data15".to_string());
            Some(Value::Text("AQ=="))
        });
        assert_eq!(endless.map(|(_, chunk)| chunk.len()), Ok(PROPERTIES));
    }
}
