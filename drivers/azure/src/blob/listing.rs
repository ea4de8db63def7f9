//! The XML of List Blobs, and the handshakes in it.

use crate::encode::unpercent;
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeMap;
use stillwire_core::store::Handshake;

/// Longest message 1 (wire page `aznet`, Noise).
pub(super) const LONGEST_MESSAGE: usize = 65_535;
/// Its base64 text.
const LONGEST_PAYLOAD: usize = LONGEST_MESSAGE.div_ceil(3).saturating_mul(4);
/// Longest continuation marker taken.
pub(super) const LONGEST_MARKER: usize = 8_192;

/// An enum, so that the root's name is checked and any other document refused.
#[derive(Deserialize)]
enum Document {
    EnumerationResults(Results),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Results {
    #[serde(default)]
    blobs: Blobs,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Default, Deserialize)]
struct Blobs {
    #[serde(rename = "Blob", default)]
    blob: Vec<Blob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: Name,
    // A map, so that no choice of metadata names by a peer can spoil a whole page.
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Name {
    #[serde(rename = "@Encoded", default)]
    encoded: bool,
    #[serde(rename = "$text", default)]
    text: String,
}

/// One page: at most `limit` entries, and where the next page begins.
pub(super) fn parse(body: &[u8], limit: usize) -> Option<(Vec<Handshake>, Option<String>)> {
    let Document::EnumerationResults(results) = azure_core::xml::from_xml(body).ok()?;
    let entries = results
        .blobs
        .blob
        .into_iter()
        .take(limit)
        .map(|blob| Handshake {
            message: blob.metadata.as_ref().and_then(message),
            name: blob.name.decode(),
        })
        .collect();
    let next = results
        .next_marker
        .filter(|marker| !marker.is_empty() && marker.len() <= LONGEST_MARKER);
    Some((entries, next))
}

impl Name {
    /// Names with characters that XML cannot hold come percent-encoded, and say so.
    fn decode(self) -> String {
        match self.encoded.then(|| unpercent(&self.text)) {
            Some(Some(name)) => name,
            _ => self.text,
        }
    }
}

/// Message 1 of an entry's metadata; the case of metadata names is not to be relied on.
fn message(metadata: &BTreeMap<String, String>) -> Option<Bytes> {
    let payload = metadata.get("payload").or_else(|| {
        let mut others = metadata.iter();
        let found = others.find(|(name, _)| name.eq_ignore_ascii_case("payload"));
        found.map(|(_, payload)| payload)
    })?;
    if payload.is_empty() || payload.len() > LONGEST_PAYLOAD {
        return None;
    }
    let message = Base64::decode_vec(payload).ok()?;
    (message.len() <= LONGEST_MESSAGE).then(|| Bytes::from(message))
}
