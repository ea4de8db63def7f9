//! The XML of Get Messages, Peek Messages and Put Message.

use super::receipts::Receipt;
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use serde::Deserialize;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::Handshake;

/// Longest message 1 or 2 (wire page `aznet`, Noise).
pub(super) const LONGEST_MESSAGE: usize = 65_535;
/// Message 1 in clear: the key, then the id (wire page `aznet`, Noise).
const MESSAGE_1: usize = 68;

/// An enum, so that the root's name is checked and any other document refused.
#[derive(Deserialize)]
enum Document {
    QueueMessagesList(List),
}

#[derive(Deserialize)]
struct List {
    #[serde(rename = "QueueMessage", default)]
    messages: Vec<Message>,
}

/// A message as it is listed. Nothing in it is to be trusted.
#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(rename = "MessageId", default)]
    id: String,
    /// Missing when it was only looked at.
    #[serde(rename = "PopReceipt", default)]
    pop: String,
    #[serde(rename = "MessageText", default)]
    text: String,
}

impl Message {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn receipt(&self) -> Option<Receipt> {
        Receipt::new(&self.id, &self.pop)
    }

    /// A handshake entry. Messages have no names: a decodable one is listed under the id in it,
    /// others under their message id.
    pub(super) fn handshake(&self) -> Handshake {
        let message = Base64::decode_vec(&self.text).ok();
        let message = message.filter(|message| (1..=LONGEST_MESSAGE).contains(&message.len()));
        let id = message
            .as_ref()
            .filter(|message| message.len() == MESSAGE_1)
            .and_then(|message| message.last_chunk::<36>())
            .and_then(|id| ConnectionId::parse(id).ok());
        let name = id.map_or_else(
            || {
                let known = self.id.chars().filter(char::is_ascii_graphic);
                format!("message {}", known.take(64).collect::<String>())
            },
            |id| id.to_string(),
        );
        Handshake {
            name,
            message: message.map(Bytes::from),
        }
    }

    /// Message 2, when this is the token for `id`.
    pub(super) fn token(&self, id: &ConnectionId) -> Option<Bytes> {
        let payload = self.text.strip_prefix(&format!("{id}:"))?;
        let message = Base64::decode_vec(payload).ok()?;
        (1..=LONGEST_MESSAGE)
            .contains(&message.len())
            .then(|| Bytes::from(message))
    }
}

/// The messages of an answer, at most `limit`; [`None`] when it is no such list.
pub(super) fn parse(body: &[u8], limit: usize) -> Option<Vec<Message>> {
    let Document::QueueMessagesList(mut list) = azure_core::xml::from_xml(body).ok()?;
    list.messages.truncate(limit);
    Some(list.messages)
}

/// The body of Put Message. The text is base64 and a UUID, so nothing in it needs escaping.
pub(super) fn body(text: &str) -> Bytes {
    const HEAD: &str = "<QueueMessage><MessageText>";
    const TAIL: &str = "</MessageText></QueueMessage>";
    let length = HEAD
        .len()
        .saturating_add(text.len())
        .saturating_add(TAIL.len());
    let mut body = String::with_capacity(length);
    body.push_str(HEAD);
    body.push_str(text);
    body.push_str(TAIL);
    body.into()
}
