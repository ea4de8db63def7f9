//! Queries: a filter, columns, pages and where they go on.

use super::{Call, Response, Row, Tables, error};
use crate::service::timestamp;
use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};

const SECOND: u64 = 1_000_000;

/// What the filters ask for that this service is asked with.
#[derive(Default)]
struct Filter {
    partition: Option<String>,
    from: Option<String>,
    behind: Option<String>,
}

impl Filter {
    /// Comparisons joined by `and`; [`None`] for any other.
    fn parse(text: &str) -> Option<Self> {
        let mut filter = Self::default();
        for comparison in text.split(" and ").filter(|text| !text.is_empty()) {
            let mut words = comparison.splitn(3, ' ');
            let (name, how) = (words.next()?, words.next()?);
            let value = words.next()?.strip_prefix('\'')?.strip_suffix('\'')?;
            let value = Some(value.replace("''", "'"));
            match (name, how) {
                ("PartitionKey", "eq") => filter.partition = value,
                ("RowKey", "ge") => filter.from = value,
                ("RowKey", "gt") => filter.behind = value,
                _ => return None,
            }
        }
        Some(filter)
    }

    fn takes(&self, (partition, row): &(String, String)) -> bool {
        self.partition
            .as_ref()
            .is_none_or(|wanted| wanted == partition)
            && self.from.as_ref().is_none_or(|from| row >= from)
            && self.behind.as_ref().is_none_or(|behind| row > behind)
    }
}

/// As opaque as Azure's.
fn token(text: &str) -> String {
    format!(
        "1!{}!{}",
        text.len(),
        Base64::encode_string(text.as_bytes())
    )
}

fn untoken(text: &str) -> Option<String> {
    let (_, text) = text.strip_prefix("1!")?.split_once('!')?;
    String::from_utf8(Base64::decode_vec(text).ok()?).ok()
}

impl Tables {
    /// One page.
    pub(super) fn query(&mut self, name: &str, call: &Call, now: u64) -> Response {
        let Some(filter) = Filter::parse(call.query("$filter")) else {
            return error(400, "InvalidInput");
        };
        let begun = call.query.contains_key("NextPartitionKey");
        let begin = if begun {
            let part = |name: &str| untoken(call.query(name));
            match (part("NextPartitionKey"), part("NextRowKey")) {
                (Some(partition), Some(row)) => (partition, row),
                _ => return error(400, "InvalidInput"),
            }
        } else {
            (String::new(), String::new())
        };
        let top = call.query("$top").parse().unwrap_or(1_000_usize).min(1_000);
        let most = top.min(self.habit.page.max(1));
        let empty = (self.habit.empty_first && !begun) || self.rng.chance(self.habit.empty);
        let Some(table) = self.all.get(name) else {
            return error(404, "TableNotFound");
        };
        let seen = table.rows.range(begin.clone()..);
        let mut seen = seen.filter(|(keys, row)| filter.takes(keys) && row.visible <= now);
        let mut values = Vec::new();
        let mut next = None;
        if empty {
            next = Some(begin);
        } else {
            for (keys, row) in seen.by_ref() {
                if values.len() == most {
                    next = Some(keys.clone());
                    break;
                }
                values.push(selected(keys, row, call));
            }
        }
        let mut response = Response::new(200).with("content-type", "application/json");
        if let Some((partition, row)) = next {
            response = response
                .with("x-ms-continuation-nextpartitionkey", token(&partition))
                .with("x-ms-continuation-nextrowkey", token(&row));
        }
        response.body = json!({ "value": values }).to_string().into();
        response
    }

    /// One row.
    pub(super) fn row(&self, name: &str, keys: &(String, String), call: &Call) -> Response {
        let row = self.all.get(name).and_then(|table| table.rows.get(keys));
        match row {
            Some(row) => Response {
                body: selected(keys, row, call).to_string().into(),
                ..Response::new(200).with("content-type", "application/json")
            },
            None => error(404, "ResourceNotFound"),
        }
    }
}

/// The columns that were asked for; one that a row does not have is null.
fn selected((partition, row): &(String, String), found: &Row, call: &Call) -> Value {
    let mut all = found.properties.clone();
    all.insert("PartitionKey".into(), partition.as_str().into());
    all.insert("RowKey".into(), row.as_str().into());
    all.insert("Timestamp".into(), timestamp(found.stored / SECOND).into());
    let columns = call.query("$select");
    if columns.is_empty() {
        return all.into();
    }
    let columns = columns.split(',');
    let picked: Map<String, Value> = columns
        .map(|name| {
            (
                name.to_owned(),
                all.get(name).cloned().unwrap_or(Value::Null),
            )
        })
        .collect();
    picked.into()
}
