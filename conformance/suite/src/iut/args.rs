//! The arguments of an operation, read with their types.

use super::Fault;
use crate::hex;
use serde_json::{Map, Value};
use stillwire_core::Class;

/// The keys of a request.
pub(crate) struct Args(Map<String, Value>);

fn encoding(name: &str, what: &str) -> Fault {
    Fault::new(Class::Encoding, format!("`{name}` {what}"))
}

impl Args {
    pub(crate) fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// The keys of an object inside a request.
    pub(crate) fn of(value: &Value) -> Result<Self, Fault> {
        let fields = value.as_object().cloned();
        fields
            .map(Self)
            .ok_or_else(|| Fault::new(Class::Encoding, "an item is not an object"))
    }

    pub(crate) fn value(&self, name: &str) -> Result<&Value, Fault> {
        self.0.get(name).ok_or_else(|| encoding(name, "is missing"))
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Fault> {
        let value = self.value(name)?;
        value.as_str().ok_or_else(|| encoding(name, "is not text"))
    }

    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, Fault> {
        hex::decode(self.text(name)?).ok_or_else(|| encoding(name, "is not lowercase hex"))
    }

    /// Exactly `N` bytes; another number is of class `length`.
    pub(crate) fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], Fault> {
        let bytes = self.bytes(name)?;
        <[u8; N]>::try_from(bytes)
            .map_err(|_| Fault::new(Class::Length, format!("`{name}` is not {N} bytes")))
    }

    /// A whole number, as a JSON number or as a decimal string.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Fault> {
        integer(self.value(name)?).ok_or_else(|| encoding(name, "is not a whole number"))
    }

    pub(crate) fn size(&self, name: &str) -> Result<usize, Fault> {
        let number = self.number(name)?;
        usize::try_from(number).map_err(|_| encoding(name, "does not fit"))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Fault> {
        let value = self.value(name)?.as_bool();
        value.ok_or_else(|| encoding(name, "is neither true nor false"))
    }

    pub(crate) fn list(&self, name: &str) -> Result<&[Value], Fault> {
        let value = self.value(name)?.as_array();
        Ok(value.ok_or_else(|| encoding(name, "is not a list"))?)
    }

    pub(crate) fn object(&self, name: &str) -> Result<&Map<String, Value>, Fault> {
        let value = self.value(name)?.as_object();
        value.ok_or_else(|| encoding(name, "is not an object"))
    }

    /// The value that `read` gives, or `None` where the key is absent or null.
    pub(crate) fn optional<'a, T>(
        &'a self,
        name: &str,
        read: impl FnOnce(&'a Self, &str) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => read(self, name).map(Some),
        }
    }
}

/// A whole number below 2^64 in either of its forms.
pub(crate) fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|c| c.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// The form in which a number is answered: from 2^53 on it is text.
pub(crate) fn number(value: u64) -> Value {
    if value < 1 << 53 {
        value.into()
    } else {
        value.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_in_both_forms() {
        assert_eq!(integer(&json!(7)), Some(7));
        assert_eq!(integer(&json!("7")), Some(7));
        assert_eq!(integer(&json!("18446744073709551615")), Some(u64::MAX));
        assert_eq!(integer(&json!(u64::MAX)), Some(u64::MAX));
        for bad in [
            json!("18446744073709551616"),
            json!("-1"),
            json!("+1"),
            json!(""),
            json!(-1),
            json!(1.5),
            json!(null),
        ] {
            assert_eq!(integer(&bad), None, "{bad}");
        }
        assert_eq!(number((1 << 53) - 1), json!(9_007_199_254_740_991_u64));
        assert_eq!(number(1 << 53), json!("9007199254740992"));
    }
}
