//! How a reply is compared with what a vector expects.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a reply was worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every key that the vector names is there and equal.
    Match,
    /// Not so; the text says which key and why.
    Mismatch(String),
    /// The implementation does not know the operation.
    Unsupported,
}

/// Compares `reply` with `expect`.
///
/// A subset match: keys that `expect` does not name are free, save that an error never matches
/// an expectation that names none. `{"error":{}}` matches any error. A number equals the decimal
/// string of itself.
pub fn verdict(expect: &Map<String, Value>, reply: &Map<String, Value>) -> Verdict {
    if reply.get("unsupported") == Some(&Value::Bool(true)) && !expect.contains_key("unsupported") {
        return Verdict::Unsupported;
    }
    if reply.contains_key("error") && !expect.contains_key("error") {
        return Verdict::Mismatch("an error instead of an answer".to_owned());
    }
    for (key, wanted) in expect {
        let Some(got) = reply.get(key) else {
            return Verdict::Mismatch(format!("`{key}` is missing"));
        };
        let same = match (key.as_str(), wanted, got) {
            ("error", Value::Object(wanted), Value::Object(got)) => wanted
                .iter()
                .all(|(key, value)| got.get(key).is_some_and(|got| equal(value, got))),
            _ => equal(wanted, got),
        };
        if !same {
            return Verdict::Mismatch(format!("`{key}` differs"));
        }
    }
    Verdict::Match
}

/// Equality of JSON values in which a number equals its decimal string.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(number), Value::String(text))
        | (Value::String(text), Value::Number(number)) => number.to_string() == *text,
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// Puts bound values in place of `"$name"`, at any depth. A name that nothing bound stays as it
/// is: `$root` is also the name of a container.
pub fn substitute(value: &Value, bound: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::String(text) => text
            .strip_prefix('$')
            .and_then(|name| bound.get(name))
            .unwrap_or(value)
            .clone(),
        Value::Array(items) => items.iter().map(|item| substitute(item, bound)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), substitute(value, bound)))
            .collect(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compare(expect: &Value, reply: &Value) -> Verdict {
        verdict(expect.as_object().unwrap(), reply.as_object().unwrap())
    }

    #[test]
    fn keys_not_named_are_free() {
        let reply = json!({"a": 1, "b": "x", "c": [1, {"d": 2}]});
        assert_eq!(compare(&json!({}), &reply), Verdict::Match);
        assert_eq!(compare(&json!({"a": 1}), &reply), Verdict::Match);
        assert_eq!(
            compare(&json!({"c": [1, {"d": 2}]}), &reply),
            Verdict::Match
        );
        for wrong in [
            json!({"a": 2}),
            json!({"e": 1}),
            json!({"c": [1]}),
            json!({"c": [1, {}]}),
            json!({"b": "X"}),
        ] {
            assert!(
                matches!(compare(&wrong, &reply), Verdict::Mismatch(_)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn numbers_and_decimal_strings_are_one() {
        assert_eq!(
            compare(&json!({"n": "7"}), &json!({"n": 7})),
            Verdict::Match
        );
        assert_eq!(
            compare(
                &json!({"n": u64::MAX}),
                &json!({"n": "18446744073709551615"})
            ),
            Verdict::Match
        );
        assert!(matches!(
            compare(&json!({"n": "07"}), &json!({"n": 7})),
            Verdict::Mismatch(_)
        ));
    }

    #[test]
    fn an_error_matches_only_where_one_is_expected() {
        let reply = json!({"error": {"class": "auth", "detail": "x"}});
        assert_eq!(
            compare(&json!({"error": {"class": "auth"}}), &reply),
            Verdict::Match
        );
        assert_eq!(compare(&json!({"error": {}}), &reply), Verdict::Match);
        for wrong in [json!({}), json!({"error": {"class": "length"}})] {
            assert!(matches!(compare(&wrong, &reply), Verdict::Mismatch(_)));
        }
        assert!(matches!(
            compare(&json!({"error": {}}), &json!({"plain": ""})),
            Verdict::Mismatch(_)
        ));
    }

    #[test]
    fn unsupported_is_neither() {
        let reply = json!({"unsupported": true});
        assert_eq!(compare(&json!({"a": 1}), &reply), Verdict::Unsupported);
        assert_eq!(compare(&json!({"error": {}}), &reply), Verdict::Unsupported);
    }

    #[test]
    fn only_bound_names_are_replaced() {
        let bound = BTreeMap::from([("h".to_owned(), json!(7))]);
        let asked = json!({"handle": "$h", "id": "$root", "list": ["$h", "h"]});
        assert_eq!(
            substitute(&asked, &bound),
            json!({"handle": 7, "id": "$root", "list": [7, "h"]})
        );
    }
}
