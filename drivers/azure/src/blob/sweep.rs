//! Finding what listeners that were killed have left: containers that bear the mark, and when
//! anything was last written into them.

use super::answer::header;
use super::listing::LONGEST_MARKER;
use super::task::Task;
use super::wire::MARK;
use crate::date::parse_rfc1123;
use crate::exchange::Response;
use core::time::Duration;
use serde::Deserialize;
use std::collections::BTreeMap;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, MarkedSession, Reply};

/// The steps.
#[derive(Clone)]
pub(super) enum Sweep {
    /// One page of the account's containers.
    List { after: Option<String>, limit: u16 },
    /// Does this one bear a mark, and when was it made?
    Mark { id: ConnectionId },
    /// When was anything written into it?
    Age {
        id: ConnectionId,
        /// When the container itself last changed.
        changed: UnixTime,
    },
}

#[derive(Deserialize)]
enum Document {
    EnumerationResults(Results),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Results {
    #[serde(default)]
    containers: Containers,
    #[serde(default)]
    blobs: Blobs,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Default, Deserialize)]
struct Containers {
    #[serde(rename = "Container", default)]
    entries: Vec<Entry>,
}

#[derive(Default, Deserialize)]
struct Blobs {
    #[serde(rename = "Blob", default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default)]
    name: Name,
    #[serde(default)]
    properties: Properties,
    // A map, so that no choice of metadata names by others can spoil a whole page.
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
struct Name {
    #[serde(rename = "$text", default)]
    text: String,
}

#[derive(Default, Deserialize)]
struct Properties {
    #[serde(rename = "Last-Modified", default)]
    changed: Option<String>,
}

impl Entry {
    fn changed(&self) -> Option<UnixTime> {
        parse_rfc1123(self.properties.changed.as_deref()?)
    }

    /// A session of ours, by its name and its mark.
    fn session(&self, now: UnixTime) -> Option<MarkedSession> {
        let id = ConnectionId::parse(self.name.text.as_bytes()).ok()?;
        let metadata = self.metadata.as_ref()?;
        let value = |wanted: &str| {
            let mut all = metadata.iter();
            let found = all.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim())
        };
        if !is_mark(value("stillwire")?) {
            return None;
        }
        let created = UnixTime::from_secs(value("created")?.parse().ok()?);
        // The younger of the two: our own clock may have been off when it was made.
        let made = self.changed().map_or(created, |at| at.max(created));
        let age = since(now, made);
        Some(MarkedSession { id, age })
    }
}

fn is_mark(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn since(now: UnixTime, then: UnixTime) -> Duration {
    Duration::from_millis(now.as_millis().saturating_sub(then.as_millis()))
}

fn parse(body: &[u8]) -> Option<Results> {
    let Document::EnumerationResults(results) = azure_core::xml::from_xml(body).ok()?;
    Some(results)
}

impl Sweep {
    /// A container that goes away under us is none.
    pub(super) fn may_be_gone(&self) -> bool {
        !matches!(self, Self::List { .. })
    }

    /// What follows from an answer; [`None`] when it makes no sense. `now` is the service's clock.
    pub(super) fn accept(
        &self,
        (_, headers, body): &Response,
        now: UnixTime,
    ) -> Option<Result<Task, Failure>> {
        let done = |reply| Some(Ok(Task::Done(Ok(reply))));
        match self {
            Self::List { limit, .. } => {
                let results = parse(body)?;
                let entries = results.containers.entries.iter();
                let sessions = entries
                    .take(usize::from(*limit))
                    .filter_map(|entry| entry.session(now))
                    .collect();
                let next = results
                    .next_marker
                    .filter(|marker| !marker.is_empty() && marker.len() <= LONGEST_MARKER);
                done(Reply::Sessions { sessions, next })
            }
            Self::Mark { id } => {
                if !header(headers, &MARK).is_some_and(is_mark) {
                    return done(Reply::Age(None));
                }
                let changed = azure_core::http::headers::HeaderName::from_static("last-modified");
                let changed = parse_rfc1123(header(headers, &changed)?)?;
                Some(Ok(Task::Sweep(Self::Age { id: *id, changed })))
            }
            Self::Age { changed, .. } => {
                let results = parse(body)?;
                // More blobs than one page: in use for so long that somebody should look himself.
                if results.next_marker.is_some_and(|marker| !marker.is_empty()) {
                    return done(Reply::Age(Some(Duration::ZERO)));
                }
                let mut newest = *changed;
                for blob in &results.blobs.entries {
                    newest = newest.max(blob.changed()?);
                }
                done(Reply::Age(Some(since(now, newest))))
            }
        }
    }
}
