//! The queue service: at least once, in about the order of the puts.

use super::call::{Call, Response};
use super::sas::{self, Caller};
use super::{Change, Effect, KEY, Sort, http_date};
use crate::rng::Rng;
use azure_core::http::Method;
use base64ct::{Base64, Encoding};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt::Write;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::Role;

const SECOND: u64 = 1_000_000;

/// How the service delivers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habit {
    /// How often a get passes a message over, in thousandths: what is behind it comes first.
    pub(crate) passed_over: u32,
    /// How often a message that is given out stays in sight all the same, in thousandths.
    pub(crate) twice: u32,
    /// A page of a listing holds at most so many queues.
    pub(crate) page: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    id: String,
    pub(crate) text: String,
    expires: u64,
    visible: u64,
    /// Changes with every get: only the last one deletes.
    pop: u64,
    gets: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) creator: usize,
    metadata: BTreeMap<String, String>,
    pub(crate) messages: Vec<Message>,
}

#[derive(Debug)]
pub(crate) struct Queues {
    habit: Habit,
    rng: Rng,
    last: u64,
    pub(crate) all: BTreeMap<String, Queue>,
}

type Served = (Response, Option<Change>);

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    List,
    Create,
    Delete,
    Metadata,
    SetMetadata,
    Put,
    Get,
    Peek,
    DeleteMessage,
    Other,
}

fn verb(call: &Call) -> Verb {
    let comp = call.query("comp");
    if call.container.is_empty() {
        return if comp == "list" {
            Verb::List
        } else {
            Verb::Other
        };
    }
    match (call.method, call.blob.as_str(), comp) {
        (Method::Put, "", "") => Verb::Create,
        (Method::Put, "", "metadata") => Verb::SetMetadata,
        (Method::Get, "", "metadata") => Verb::Metadata,
        (Method::Delete, "", "") => Verb::Delete,
        (Method::Post, "messages", "") => Verb::Put,
        (Method::Get, "messages", "") if call.query("peekonly") == "true" => Verb::Peek,
        (Method::Get, "messages", "") => Verb::Get,
        (Method::Delete, blob, "") if blob.starts_with("messages/") => Verb::DeleteMessage,
        _ => Verb::Other,
    }
}

/// The session whose queue this is, and who writes into it.
pub(super) fn session(queue: &str) -> Option<(ConnectionId, Option<Role>)> {
    let (role, id) = match queue.strip_prefix("req-") {
        Some(id) => (Role::Dialer, id),
        None => (Role::Listener, queue.strip_prefix("res-")?),
    };
    Some((ConnectionId::parse(id.as_bytes()).ok()?, Some(role)))
}

pub(super) fn sort(call: &Call) -> Sort {
    let verb = verb(call);
    let stream = session(&call.container).is_some();
    let (absurd, name): (&[(u16, &str)], _) = match verb {
        Verb::Put => (
            &[(404, "QueueNotFound"), (403, "AuthorizationFailure")],
            "put",
        ),
        Verb::Get => (
            &[(404, "QueueNotFound"), (403, "AuthorizationFailure")],
            "get",
        ),
        Verb::DeleteMessage => (
            &[
                (404, "MessageNotFound"),
                (400, "PopReceiptMismatch"),
                (403, "AuthorizationFailure"),
            ],
            "delete message",
        ),
        Verb::Create => (
            &[(409, "QueueAlreadyExists"), (409, "QueueBeingDeleted")],
            "create queue",
        ),
        Verb::Peek => (&[(404, "QueueNotFound")], "peek"),
        Verb::Delete => (&[(404, "QueueNotFound")], "delete queue"),
        Verb::SetMetadata => (&[(412, "ConditionNotMet")], "set metadata"),
        Verb::Metadata => (&[(404, "QueueNotFound")], "metadata"),
        Verb::List => (&[(403, "AuthorizationFailure")], "list"),
        Verb::Other => (&[(400, "InvalidUri")], "?"),
    };
    Sort {
        reads: matches!(verb, Verb::Get | Verb::Peek | Verb::List),
        stream: stream && matches!(verb, Verb::Put | Verb::Get),
        missing: "QueueNotFound",
        absurd,
        creates: verb == Verb::Create,
        verb: name,
        place: call.container.clone(),
    }
}

/// The text of a message that is put.
pub(super) fn text(body: &[u8]) -> Option<&str> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once("<MessageText>")?;
    Some(rest.split_once("</MessageText>")?.0)
}

/// The number and the chunk in a message's text.
fn chunk(text: &str) -> Option<(u64, Bytes)> {
    let bytes = Base64::decode_vec(text).ok()?;
    let (number, chunk) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), Bytes::copy_from_slice(chunk)))
}

/// The id that message 1 or the text of message 2 is about.
fn about(queue: &str, text: &str) -> String {
    let id = if queue == "handshake" {
        let message = Base64::decode_vec(text).unwrap_or_default();
        message.last_chunk::<36>().map(|id| id.to_vec())
    } else {
        text.split_once(':').map(|(id, _)| id.as_bytes().to_vec())
    };
    String::from_utf8(id.unwrap_or_default()).unwrap_or_default()
}

fn metadata_of(call: &Call) -> BTreeMap<String, String> {
    let pairs = call.headers.iter();
    pairs
        .filter_map(|(name, value)| {
            let name = name.strip_prefix("x-ms-meta-")?;
            Some((name.to_owned(), value.clone()))
        })
        .collect()
}

impl Queues {
    pub(crate) fn new(habit: Habit, seed: u64) -> Self {
        Self {
            habit,
            rng: Rng::new(seed),
            last: 0,
            all: BTreeMap::new(),
        }
    }

    pub(super) fn serve(&mut self, party: usize, caller: Caller, call: &Call, now: u64) -> Served {
        let secs = now / SECOND;
        let (response, change) = match Self::authorized(caller, call, secs) {
            Ok(()) => self.dispatch(party, call, now),
            Err(code) => (Response::error(403, code), None),
        };
        let length = response.body.len().to_string();
        let response = response
            .with("date", http_date(secs))
            .with("server", "Windows-Azure-Queue/1.0")
            .with("content-length", length);
        (response, change)
    }

    fn authorized(caller: Caller, call: &Call, secs: u64) -> Result<(), sas::Denied> {
        if !call.query.contains_key("sig") {
            return match caller {
                Caller::Owner => Ok(()),
                Caller::Stranger => Err("NoAuthenticationInformation"),
            };
        }
        let letters = match verb(call) {
            Verb::Put => "a",
            Verb::Get | Verb::DeleteMessage => "p",
            Verb::Peek | Verb::Metadata => "r",
            _ => "",
        };
        sas::check_queue(call, &call.container, KEY, secs, letters)
    }

    fn dispatch(&mut self, party: usize, call: &Call, now: u64) -> Served {
        let name = &call.container;
        let changed = |entry: String, effect| {
            Some(Change {
                place: name.clone(),
                entry,
                effect,
            })
        };
        match verb(call) {
            Verb::Create => return self.create(party, call),
            Verb::List => return (self.list(call), None),
            Verb::Other => return (Response::error(400, "InvalidUri"), None),
            _ => {}
        }
        let Some(queue) = self.all.get_mut(name) else {
            return (Response::error(404, "QueueNotFound"), None);
        };
        queue.messages.retain(|message| message.expires > now);
        match verb(call) {
            Verb::Metadata => {
                let mut response = Response::new(200).with("x-ms-approximate-messages-count", "1");
                for (name, value) in &queue.metadata {
                    response = response.with(format!("x-ms-meta-{name}"), value);
                }
                (response, None)
            }
            Verb::SetMetadata => {
                queue.metadata = metadata_of(call);
                let date = queue.metadata.get("alive").and_then(|d| d.parse().ok());
                let off = (now / SECOND).abs_diff(date.unwrap_or(0));
                let change = changed(String::new(), Effect::Marked { off });
                (Response::new(204), change)
            }
            Verb::Delete => {
                self.all.remove(name);
                (Response::new(204), changed(String::new(), Effect::Deleted))
            }
            Verb::Put => self.put(call, now),
            Verb::Get => self.get(call, now),
            Verb::Peek => {
                let count = call.query("numofmessages").parse().unwrap_or(1);
                let seen = queue.messages.iter().filter(|m| m.visible <= now);
                let seen: Vec<_> = seen.take(count).cloned().collect();
                (listed(&seen, false), None)
            }
            _ => {
                let id = call.blob.strip_prefix("messages/").unwrap_or_default();
                let at = queue.messages.iter().position(|message| message.id == id);
                let Some(at) = at else {
                    return (Response::error(404, "MessageNotFound"), None);
                };
                if queue.messages[at].pop.to_string() != call.query("popreceipt") {
                    return (Response::error(400, "PopReceiptMismatch"), None);
                }
                let text = queue.messages.remove(at).text;
                let change = changed(about(name, &text), Effect::Removed);
                (Response::new(204), change)
            }
        }
    }

    fn create(&mut self, party: usize, call: &Call) -> Served {
        let metadata = metadata_of(call);
        if let Some(known) = self.all.get(&call.container) {
            return if known.metadata == metadata {
                (Response::new(204), None)
            } else {
                (Response::error(409, "QueueAlreadyExists"), None)
            };
        }
        let queue = Queue {
            creator: party,
            metadata,
            messages: Vec::new(),
        };
        self.all.insert(call.container.clone(), queue);
        let change = Change {
            place: call.container.clone(),
            entry: String::new(),
            effect: Effect::Created,
        };
        (Response::new(201), Some(change))
    }

    fn put(&mut self, call: &Call, now: u64) -> Served {
        let Some(text) = text(&call.body) else {
            return (Response::error(400, "InvalidXmlDocument"), None);
        };
        if text.len() > 65_536 {
            return (Response::error(413, "RequestBodyTooLarge"), None);
        }
        let kept = match call.query("messagettl") {
            "-1" => u64::MAX,
            text => now.saturating_add(text.parse::<u64>().unwrap_or(604_800) * SECOND),
        };
        let message = self.add(&call.container, text, kept);
        let effect = match (session(&call.container), chunk(text)) {
            (Some(_), Some(stored)) => Effect::Stored(vec![stored]),
            _ => Effect::Put { append: false },
        };
        let change = Change {
            place: call.container.clone(),
            entry: about(&call.container, text),
            effect,
        };
        let listed = listed(&[message], true);
        (
            Response {
                status: 201,
                ..listed
            },
            Some(change),
        )
    }

    /// Puts a message at the end of a queue.
    pub(crate) fn add(&mut self, queue: &str, text: &str, expires: u64) -> Message {
        self.last += 1;
        let message = Message {
            id: format!("{:08x}-{:04x}", self.rng.next() as u32, self.last),
            text: text.to_owned(),
            expires,
            visible: 0,
            pop: self.rng.next(),
            gets: 0,
        };
        if let Some(queue) = self.all.get_mut(queue) {
            queue.messages.push(message.clone());
        }
        message
    }

    fn get(&mut self, call: &Call, now: u64) -> Served {
        let number = |name: &str| call.query(name).parse::<u64>().ok();
        let count = number("numofmessages").unwrap_or(1);
        let hidden = number("visibilitytimeout").unwrap_or(30);
        if !(1..=32).contains(&count) || hidden == 0 {
            let refusal = Response::error(400, "OutOfRangeQueryParameterValue");
            return (refusal, None);
        }
        let (habit, rng) = (self.habit, &mut self.rng);
        let mut given = Vec::new();
        if let Some(queue) = self.all.get_mut(&call.container) {
            for message in queue.messages.iter_mut().filter(|m| m.visible <= now) {
                if given.len() as u64 == count {
                    break;
                }
                if rng.chance(habit.passed_over) {
                    continue;
                }
                message.pop = rng.next();
                message.gets += 1;
                if !rng.chance(habit.twice) {
                    message.visible = now + hidden * SECOND;
                }
                given.push(message.clone());
            }
        }
        (listed(&given, true), None)
    }

    fn list(&self, call: &Call) -> Response {
        let prefix = call.query("prefix");
        let wanted: usize = call.query("maxresults").parse().unwrap_or(5_000);
        let from = call.query("marker").to_owned();
        let mut xml = String::from(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\
             <EnumerationResults ServiceEndpoint=\"http://simulated/\"><Queues>",
        );
        let mut left = wanted.min(self.habit.page.max(1));
        let mut next = "";
        let named = self.all.range(from..);
        for (name, queue) in named.filter(|(name, _)| name.starts_with(prefix)) {
            if left == 0 {
                next = name;
                break;
            }
            left -= 1;
            let _ = write!(xml, "<Queue><Name>{name}</Name><Metadata>");
            for (key, value) in &queue.metadata {
                let _ = write!(xml, "<{key}>{value}</{key}>");
            }
            xml.push_str("</Metadata></Queue>");
        }
        let _ = write!(
            xml,
            "</Queues><NextMarker>{next}</NextMarker></EnumerationResults>"
        );
        Response {
            body: xml.into(),
            ..Response::new(200).with("content-type", "application/xml")
        }
    }
}

/// The XML of messages; with `taken`, what deletes them.
fn listed(messages: &[Message], taken: bool) -> Response {
    let mut xml =
        String::from("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList>");
    for Message {
        id,
        text,
        pop,
        gets,
        ..
    } in messages
    {
        let _ = write!(xml, "<QueueMessage><MessageId>{id}</MessageId>");
        if taken {
            let _ = write!(xml, "<PopReceipt>{pop}</PopReceipt>");
        }
        let _ = write!(
            xml,
            "<DequeueCount>{gets}</DequeueCount><MessageText>{text}</MessageText></QueueMessage>"
        );
    }
    xml.push_str("</QueueMessagesList>");
    Response {
        body: xml.into(),
        ..Response::new(200).with("content-type", "application/xml")
    }
}

/// What somebody with the account's key does.
impl Queues {
    /// Makes a queue of somebody else's.
    pub(crate) fn furnish(&mut self, creator: usize, name: &str, texts: &[&str]) {
        let queue = Queue {
            creator,
            ..Queue::default()
        };
        self.all.insert(name.to_owned(), queue);
        for text in texts {
            self.add(name, text, u64::MAX);
        }
    }

    /// Changes one bit of the last chunk of a stream.
    pub(crate) fn corrupt(&mut self, queue: &str, at: u64) {
        let Some(queue) = self.all.get_mut(queue) else {
            return;
        };
        if let Some(message) = queue.messages.last_mut()
            && let Ok(mut bytes) = Base64::decode_vec(&message.text)
            && bytes.len() > 12
        {
            let at = 12 + at as usize % (bytes.len() - 12);
            bytes[at] ^= 1 << (at % 8);
            message.text = Base64::encode_string(&bytes);
        }
    }

    /// Replaces the answer for one dialer.
    pub(crate) fn forge(&mut self, id: &str, junk: &[u8]) {
        if let Some(tokens) = self.all.get_mut("token") {
            tokens
                .messages
                .retain(|message| !message.text.starts_with(id));
            let text = format!("{id}:{}", Base64::encode_string(junk));
            self.add("token", &text, u64::MAX);
        }
    }
}

/// Names of a session's queues.
pub(crate) fn queue_of(id: &str, role: Role) -> String {
    match role {
        Role::Dialer => format!("req-{id}"),
        Role::Listener => format!("res-{id}"),
    }
}

#[cfg(test)]
mod tests;
