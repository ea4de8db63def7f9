//! The table service: rows under keys, pages with continuation tokens, transactions.

mod batch;
mod query;
#[cfg(test)]
mod tests;

use super::call::{Call, Response};
use super::sas::{self, Caller};
use super::{Change, Effect, KEY, Sort, http_date};
use crate::rng::Rng;
use azure_core::http::Method;
use base64ct::{Base64, Encoding};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::Role;

const SECOND: u64 = 1_000_000;
/// Bytes of one binary property.
const LARGEST_PROPERTY: usize = 65_536;

/// Who may write several rows at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Batches {
    #[default]
    Everybody,
    /// 403 for those with a grant for one table, as the emulator does.
    Owner,
    /// Not known at all.
    Nobody,
}

/// How the service answers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habit {
    /// A page holds at most so many rows.
    pub(crate) page: usize,
    /// Every query begins with an empty page and a token.
    pub(crate) empty_first: bool,
    /// How often any other page is empty, with a token, in thousandths.
    pub(crate) empty: u32,
    /// A row of a stream is seen at most so long (µs) after it was stored, the rows of one
    /// writer in any order.
    pub(crate) late_rows: u64,
    pub(crate) batches: Batches,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    properties: Map<String, Value>,
    /// Queries see it from then on.
    visible: u64,
    stored: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) creator: usize,
    pub(crate) rows: BTreeMap<(String, String), Row>,
}

#[derive(Debug)]
pub(crate) struct Tables {
    habit: Habit,
    rng: Rng,
    pub(crate) all: BTreeMap<String, Table>,
}

type Served = (Response, Option<Change>);

/// What a call asks for, and of which table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verb {
    Create,
    Delete(String),
    Batch,
    Insert(String),
    Query(String),
    /// One row, by its keys.
    Get(String, (String, String)),
    Remove(String, (String, String)),
    Other,
}

fn verb(call: &Call) -> Verb {
    let resource = call.container.as_str();
    if !call.blob.is_empty() {
        return Verb::Other;
    }
    let inner = resource
        .split_once('(')
        .and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?)));
    match (call.method, resource, inner) {
        (Method::Post, "Tables", _) => Verb::Create,
        (Method::Post, "$batch", _) => Verb::Batch,
        (Method::Delete, _, Some(("Tables", name))) => Verb::Delete(name.replace('\'', "")),
        (Method::Post, name, None) => Verb::Insert(name.to_owned()),
        (Method::Get, _, Some((name, ""))) => Verb::Query(name.to_owned()),
        (method, _, Some((name, inner))) => match (method, keys(inner)) {
            (Method::Get, Some(keys)) => Verb::Get(name.to_owned(), keys),
            (Method::Delete, Some(keys)) => Verb::Remove(name.to_owned(), keys),
            _ => Verb::Other,
        },
        _ => Verb::Other,
    }
}

/// `PartitionKey='a',RowKey='b'`.
fn keys(text: &str) -> Option<(String, String)> {
    let rest = text.strip_prefix("PartitionKey='")?;
    let (partition, row) = rest.split_once("',RowKey='")?;
    let row = row.strip_suffix('\'')?;
    Some((partition.replace("''", "'"), row.replace("''", "'")))
}

/// The table a call is about.
fn table_of(call: &Call) -> String {
    match verb(call) {
        Verb::Create => body_of(call)
            .get("TableName")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        Verb::Batch => batch::table(&call.body).unwrap_or_default(),
        Verb::Delete(name)
        | Verb::Insert(name)
        | Verb::Query(name)
        | Verb::Get(name, _)
        | Verb::Remove(name, _) => name,
        Verb::Other => String::new(),
    }
}

/// The session whose table this is, and who writes into it.
pub(super) fn session(table: &str) -> Option<(ConnectionId, Option<Role>)> {
    let role = match table.get(..3)? {
        "req" => Role::Dialer,
        "res" => Role::Listener,
        _ => return None,
    };
    let mut id = table.get(3..).filter(|id| id.len() == 32)?.to_owned();
    for at in [8, 13, 18, 23] {
        id.insert(at, '-');
    }
    Some((ConnectionId::parse(id.as_bytes()).ok()?, Some(role)))
}

pub(super) fn sort(call: &Call) -> Sort {
    let verb = verb(call);
    let place = table_of(call);
    let stream = session(&place).is_some();
    let (absurd, name): (&[(u16, &str)], _) = match verb {
        Verb::Insert(_) => (
            &[
                (404, "TableNotFound"),
                (409, "EntityAlreadyExists"),
                (403, "AuthorizationFailure"),
            ],
            "insert",
        ),
        Verb::Batch => (
            &[
                (404, "TableNotFound"),
                (403, "AuthorizationFailure"),
                (501, "NotImplemented"),
            ],
            "batch",
        ),
        Verb::Query(_) => (
            &[(404, "TableNotFound"), (403, "AuthorizationFailure")],
            "query",
        ),
        Verb::Get(..) => (
            &[(404, "ResourceNotFound"), (403, "AuthorizationFailure")],
            "get",
        ),
        Verb::Create => (
            &[(409, "TableAlreadyExists"), (409, "TableBeingDeleted")],
            "create table",
        ),
        Verb::Remove(..) => (&[(412, "UpdateConditionNotSatisfied")], "remove"),
        Verb::Delete(_) => (&[(404, "ResourceNotFound")], "delete table"),
        Verb::Other => (&[(400, "InvalidInput")], "?"),
    };
    Sort {
        reads: matches!(verb, Verb::Query(_) | Verb::Get(..)),
        stream: stream && matches!(verb, Verb::Insert(_) | Verb::Batch | Verb::Query(_)),
        missing: "TableNotFound",
        absurd,
        creates: verb == Verb::Create,
        verb: name,
        place,
    }
}

/// An error as tables write it.
pub(super) fn error(status: u16, code: &str) -> Response {
    let body = format!(
        "{{\"odata.error\":{{\"code\":\"{code}\",\"message\":{{\"lang\":\"en-US\",\
         \"value\":\"simulated\"}}}}}}"
    );
    Response {
        body: body.into(),
        ..Response::new(status).with("content-type", "application/json")
    }
}

fn body_of(call: &Call) -> Map<String, Value> {
    serde_json::from_slice(&call.body).unwrap_or_default()
}

/// The first property of a row that is to be inserted.
pub(super) fn data(call: &Call) -> Option<String> {
    Some(body_of(call).get("Data")?.as_str()?.to_owned())
}

/// A row to be inserted: its keys and everything else.
fn row_of(mut body: Map<String, Value>) -> Option<((String, String), Map<String, Value>)> {
    let mut key = |name: &str| Some(body.remove(name)?.as_str()?.to_owned());
    let keys = (key("PartitionKey")?, key("RowKey")?);
    body.retain(|name, _| !name.ends_with("@odata.type"));
    Some((keys, body))
}

/// The bytes in a row's properties, and whether each of them is one.
fn bytes_of(properties: &Map<String, Value>) -> Option<Bytes> {
    let mut bytes = Vec::new();
    for index in 0..15 {
        let name = match index {
            0 => "Data".to_owned(),
            n => format!("Data{n:02}"),
        };
        let Some(text) = properties.get(&name) else {
            break;
        };
        let part = Base64::decode_vec(text.as_str()?).ok()?;
        if part.len() > LARGEST_PROPERTY {
            return None;
        }
        bytes.extend_from_slice(&part);
    }
    Some(bytes.into())
}

impl Tables {
    pub(crate) fn new(habit: Habit, seed: u64) -> Self {
        Self {
            habit,
            rng: Rng::new(seed),
            all: BTreeMap::new(),
        }
    }

    pub(super) fn serve(&mut self, party: usize, caller: Caller, call: &Call, now: u64) -> Served {
        let secs = now / SECOND;
        let (response, change) = match self.authorized(caller, call, secs) {
            Ok(()) => self.dispatch(party, call, now),
            // What stands before the tables writes XML.
            Err(code) => (Response::error(403, code), None),
        };
        let length = response.body.len().to_string();
        let response = response
            .with("date", http_date(secs))
            .with("server", "Windows-Azure-Table/1.0")
            .with("content-length", length);
        (response, change)
    }

    fn authorized(&self, caller: Caller, call: &Call, secs: u64) -> Result<(), sas::Denied> {
        let verb = verb(call);
        if !call.query.contains_key("sig") {
            return match caller {
                Caller::Owner => Ok(()),
                Caller::Stranger => Err("NoAuthenticationInformation"),
            };
        }
        let letters = match verb {
            Verb::Batch if self.habit.batches == Batches::Owner => "",
            Verb::Insert(_) | Verb::Batch => "a",
            Verb::Query(_) | Verb::Get(..) => "r",
            Verb::Remove(..) => "d",
            _ => "",
        };
        sas::check_table(call, &table_of(call), KEY, secs, letters)
    }

    fn dispatch(&mut self, party: usize, call: &Call, now: u64) -> Served {
        let verb = verb(call);
        let name = table_of(call);
        let change = |entry: &str, effect| {
            Some(Change {
                place: name.clone(),
                entry: entry.to_owned(),
                effect,
            })
        };
        match verb {
            Verb::Create => {
                if !is_table_name(&name) {
                    return (error(400, "InvalidResourceName"), None);
                }
                if self.all.contains_key(&name) {
                    return (error(409, "TableAlreadyExists"), None);
                }
                let table = Table {
                    creator: party,
                    rows: BTreeMap::new(),
                };
                self.all.insert(name.clone(), table);
                return (Response::new(204), change("", Effect::Created));
            }
            Verb::Batch if self.habit.batches == Batches::Nobody => {
                return (error(501, "NotImplemented"), None);
            }
            Verb::Other => return (error(400, "InvalidInput"), None),
            _ => {}
        }
        if !self.all.contains_key(&name) {
            let code = match verb {
                Verb::Delete(_) => "ResourceNotFound",
                _ => "TableNotFound",
            };
            return (error(404, code), None);
        }
        match verb {
            Verb::Delete(_) => {
                self.all.remove(&name);
                (Response::new(204), change("", Effect::Deleted))
            }
            Verb::Insert(_) => match row_of(body_of(call)) {
                Some((keys, row)) => match self.insert(&name, vec![(keys, row)], now) {
                    Ok(change) => (Response::new(204), Some(change)),
                    Err((_, refusal)) => (refusal, None),
                },
                None => (error(400, "PropertiesNeedValue"), None),
            },
            Verb::Batch => self.batch(&name, call, now),
            Verb::Query(_) => (self.query(&name, call, now), None),
            Verb::Get(_, keys) => (self.row(&name, &keys, call), None),
            Verb::Remove(_, keys) => {
                let rows = self.all.get_mut(&name).map(|table| &mut table.rows);
                if call.header("if-match").is_none() {
                    return (error(400, "MissingRequiredHeader"), None);
                }
                match rows.and_then(|rows| rows.remove(&keys)) {
                    Some(_) => (Response::new(204), change(&keys.1, Effect::Removed)),
                    None => (error(404, "ResourceNotFound"), None),
                }
            }
            _ => (error(400, "InvalidInput"), None),
        }
    }

    /// Inserts rows, all or none; the number of the one that is refused, and the refusal.
    fn insert(
        &mut self,
        name: &str,
        rows: Vec<((String, String), Map<String, Value>)>,
        now: u64,
    ) -> Result<Change, (usize, Response)> {
        let Some(table) = self.all.get_mut(name) else {
            return Err((0, error(404, "TableNotFound")));
        };
        let mut stored = Vec::new();
        for (at, (keys, properties)) in rows.iter().enumerate() {
            if table.rows.contains_key(keys) {
                return Err((at, error(409, "EntityAlreadyExists")));
            }
            let Some(bytes) = bytes_of(properties) else {
                return Err((at, error(400, "PropertyValueTooLarge")));
            };
            if let ("data", Ok(number)) = (&*keys.0, keys.1.parse()) {
                stored.push((number, bytes));
            }
        }
        let mut entry = String::new();
        let mut mark = None;
        for (keys, properties) in rows {
            entry.clone_from(&keys.1);
            let late = match keys.0.as_str() {
                "data" => self.rng.range(0, self.habit.late_rows),
                _ => 0,
            };
            mark = properties
                .get("Created")
                .and_then(Value::as_str)
                .map(str::to_owned);
            let row = Row {
                properties,
                visible: now + late,
                stored: now,
            };
            table.rows.insert(keys, row);
        }
        let effect = match mark {
            _ if !stored.is_empty() => Effect::Stored(stored),
            Some(date) => Effect::Marked {
                off: (now / SECOND).abs_diff(date.parse().unwrap_or(0)),
            },
            None => Effect::Put { append: false },
        };
        Ok(Change {
            place: name.to_owned(),
            entry,
            effect,
        })
    }
}

fn is_table_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// What somebody with the account's key does.
impl Tables {
    /// Makes a table of somebody else's.
    pub(crate) fn furnish(&mut self, creator: usize, name: &str) -> &mut Table {
        let table = self.all.entry(name.to_owned()).or_default();
        table.creator = creator;
        table
    }

    /// Changes one bit of the last row of a stream.
    pub(crate) fn corrupt(&mut self, table: &str, at: u64) {
        let rows = self.all.get_mut(table).map(|table| &mut table.rows);
        let last = rows.and_then(|rows| rows.iter_mut().rfind(|((p, _), _)| p == "data"));
        let Some(data) = last.and_then(|(_, row)| row.properties.get_mut("Data")) else {
            return;
        };
        let Ok(mut bytes) = Base64::decode_vec(data.as_str().unwrap_or_default()) else {
            return;
        };
        if !bytes.is_empty() {
            let at = at as usize % bytes.len();
            bytes[at] ^= 1 << (at % 8);
            *data = Base64::encode_string(&bytes).into();
        }
    }
}

impl Table {
    /// Puts a row, whatever was there.
    pub(crate) fn put(&mut self, partition: &str, row: &str, data: Value) {
        let mut properties = Map::new();
        properties.insert("Data".to_owned(), data);
        let stored = Row {
            properties,
            visible: 0,
            stored: 0,
        };
        self.rows
            .insert((partition.to_owned(), row.to_owned()), stored);
    }
}

/// Name of a session's table.
pub(crate) fn table_name(id: &str, role: Role) -> String {
    let word = match role {
        Role::Dialer => "req",
        Role::Listener => "res",
    };
    format!("{word}{}", id.replace('-', ""))
}
