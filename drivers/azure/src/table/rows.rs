//! The JSON of query answers: rows, as far as a body holds them whole.

use core::fmt;
use core::ops::ControlFlow;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::borrow::Cow;
use stillwire_core::aznet::wire::table::{PROPERTIES, Value};

/// A row as it was found. Nothing in it is to be trusted.
#[derive(Default)]
pub(super) struct Row<'a> {
    /// RowKey, when it is text.
    pub(super) key: Option<Cow<'a, str>>,
    data: [Field<'a>; PROPERTIES],
}

#[derive(Default)]
enum Field<'a> {
    /// Not there, or null.
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Other,
}

impl Row<'_> {
    /// A data property by its number, as [`stillwire_core::aznet::wire::table::join`] asks for it.
    pub(super) fn property(&self, index: usize) -> Option<Value<'_>> {
        match self.data.get(index)? {
            Field::Missing => None,
            Field::Text(text) => Some(Value::Text(text)),
            Field::Other => Some(Value::Other),
        }
    }

    /// Bytes the data properties decode to at the most.
    pub(super) fn most_bytes(&self) -> usize {
        let texts = self.data.iter().map(|field| match field {
            Field::Text(text) => {
                let padding = text.len().saturating_sub(text.trim_end_matches('=').len());
                let most = text.len().div_ceil(4).saturating_mul(3);
                most.saturating_sub(padding.min(2))
            }
            _ => 0,
        });
        texts.fold(0, usize::saturating_add)
    }
}

/// How a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At its end.
    Whole,
    /// Where the taker had enough.
    Enough,
    /// In the middle: the body is not all there.
    Cut,
    /// It is no page of rows.
    Garbage,
}

/// Hands over the rows of a page one by one, until the taker breaks.
pub(super) fn page(body: &[u8], mut take: impl FnMut(&Row<'_>) -> ControlFlow<()>) -> End {
    let mut enough = false;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let visitor = Page {
        enough: &mut enough,
        take: &mut take,
    };
    let result = reader.deserialize_map(visitor);
    match result {
        Ok(true) => End::Whole,
        Err(_) if enough => End::Enough,
        Err(error) if error.classify() == Category::Eof => End::Cut,
        Ok(false) | Err(_) => End::Garbage,
    }
}

/// The one row of an answer that is no page.
pub(super) fn single(body: &[u8]) -> Option<Row<'_>> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    RowSeed.deserialize(&mut reader).ok()
}

/// The mark of a session's own row.
pub(super) fn mark(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Marked {
        #[serde(rename = "Mark")]
        mark: String,
    }
    let marked: Marked = serde_json::from_slice(body).ok()?;
    Some(marked.mark)
}

type Take<'t> = &'t mut dyn FnMut(&Row<'_>) -> ControlFlow<()>;

struct Page<'t> {
    enough: &'t mut bool,
    take: Take<'t>,
}

impl<'de> Visitor<'de> for Page<'_> {
    /// True when there were rows, be it none of them.
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of rows")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name == "value" && !found {
                found = true;
                map.next_value_seed(Rows {
                    enough: &mut *self.enough,
                    take: &mut *self.take,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

struct Rows<'t> {
    enough: &'t mut bool,
    take: Take<'t>,
}

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(row) = seq.next_element_seed(RowSeed)? {
            if (self.take)(&row).is_break() {
                *self.enough = true;
                return Err(de::Error::custom("enough"));
            }
        }
        Ok(())
    }
}

struct RowSeed;

impl<'de> DeserializeSeed<'de> for RowSeed {
    type Value = Row<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row<'de>, A::Error> {
        let mut row = Row::default();
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name == "RowKey" {
                row.key = match field(map.next_value()?) {
                    Field::Text(key) => Some(key),
                    _ => None,
                };
            } else if let Some(place) = number(&name).and_then(|index| row.data.get_mut(index)) {
                *place = field(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(row)
    }
}

/// Number of a data property: `Data` is 0, `Data01` is 1.
fn number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix("Data")?;
    if digits.is_empty() {
        return Some(0);
    }
    let two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
    let number = if two { digits.parse().ok()? } else { 0 };
    (number > 0).then_some(number)
}

/// A value as it stands in the body. Text that is no Unicode (half of a surrogate pair, which
/// tables may hold) spoils its own value only, not the page.
fn field(raw: &RawValue) -> Field<'_> {
    let raw = raw.get();
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Field::Text(Cow::Borrowed(text)),
        Some(_) => {
            serde_json::from_str(raw).map_or(Field::Other, |text| Field::Text(Cow::Owned(text)))
        }
        None if raw == "null" => Field::Missing,
        None => Field::Other,
    }
}
