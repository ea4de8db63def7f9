//! Finding what listeners that were killed have left: queues that bear the mark, and when their
//! listener last said that it is there.
//!
//! A queue does not tell when it was last used: its messages are gone once they were read. So a
//! listener dates the queue it writes to anew, see [`super::alive`].

use super::session::Way;
use super::task::Task;
use super::wire::{ALIVE, CREATED, MARK};
use azure_core::http::headers::{HeaderName, Headers};
use core::time::Duration;
use serde::Deserialize;
use std::collections::BTreeMap;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{MarkedSession, Reply};

/// Queues of a page, which come with their metadata.
pub(super) const MOST_LISTED: u16 = 256;
/// Queues of a page that are looked at one by one.
pub(super) const MOST_LOOKS: u16 = 32;
/// Longest continuation marker taken.
const LONGEST_MARKER: usize = 8_192;

/// Where a listing goes on: first the queues of one direction, then those of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) way: Way,
    pub(super) marker: Option<String>,
}

impl Place {
    /// As the machine hands it back; [`None`] when it is none of ours.
    pub(super) fn parse(after: Option<&str>) -> Option<Self> {
        let Some(after) = after else {
            return Some(Self {
                way: Way::Req,
                marker: None,
            });
        };
        let (word, marker) = match after.split_once(' ') {
            Some((word, marker)) => (word, Some(marker.to_owned())),
            None => (after, None),
        };
        let way = match word {
            "req" => Way::Req,
            "res" => Way::Res,
            _ => return None,
        };
        let sane = marker
            .as_ref()
            .is_none_or(|marker| (1..=LONGEST_MARKER).contains(&marker.len()));
        sane.then_some(Self { way, marker })
    }

    /// The place behind a page that ends at `marker`.
    fn next(&self, marker: Option<String>) -> Option<String> {
        let marker = marker.filter(|marker| (1..=LONGEST_MARKER).contains(&marker.len()));
        match (self.way, marker) {
            (Way::Req, Some(marker)) => Some(format!("req {marker}")),
            (Way::Req, None) => Some("res".to_owned()),
            (Way::Res, Some(marker)) => Some(format!("res {marker}")),
            (Way::Res, None) => None,
        }
    }
}

/// The steps.
#[derive(Clone, Debug)]
pub(super) enum Sweep {
    /// One page of the account's queues.
    List { place: Place, limit: u16 },
    /// `res-` queues that bear the mark, the last one first: one whose `req-` queue bears it too
    /// was listed with that.
    Twins {
        left: Vec<MarkedSession>,
        found: Vec<MarkedSession>,
        next: Option<String>,
    },
    /// When was a session's queue dated, if it is ours?
    Dated {
        id: ConnectionId,
        way: Way,
        /// The latest that is known of the session's other queue.
        newest: Option<UnixTime>,
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
    queues: Queues,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Default, Deserialize)]
struct Queues {
    #[serde(rename = "Queue", default)]
    entries: Vec<Queue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Queue {
    #[serde(default)]
    name: String,
    // A map, so that no choice of metadata names by others can spoil a whole page.
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl Queue {
    /// A session of ours, by its queue's name and mark.
    fn session(&self, way: Way, now: UnixTime) -> Option<MarkedSession> {
        let id = self.name.strip_prefix(way.prefix())?;
        let id = ConnectionId::parse(id.as_bytes()).ok()?;
        let metadata = self.metadata.as_ref()?;
        let dated = dated(|wanted| {
            let mut all = metadata.iter();
            let wanted = wanted.as_str().strip_prefix("x-ms-meta-")?;
            let found = all.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.as_str())
        })?;
        let age = since(now, dated);
        Some(MarkedSession { id, age })
    }
}

/// When a queue was last dated; [`None`] when it does not bear our mark.
fn dated<'a>(value: impl Fn(HeaderName) -> Option<&'a str>) -> Option<UnixTime> {
    let mark = value(MARK)?.trim();
    if mark.len() != 32 || !mark.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let time = |name| value(name)?.trim().parse().ok().map(UnixTime::from_secs);
    let created: UnixTime = time(CREATED)?;
    Some(time(ALIVE).map_or(created, |alive| alive.max(created)))
}

fn since(now: UnixTime, then: UnixTime) -> Duration {
    Duration::from_millis(now.as_millis().saturating_sub(then.as_millis()))
}

impl Sweep {
    /// The queue that this step looks at; [`None`] for the account itself.
    pub(super) fn queue(&self) -> Option<(&ConnectionId, Way)> {
        match self {
            Self::List { .. } => None,
            Self::Twins { left, .. } => left.last().map(|found| (&found.id, Way::Req)),
            Self::Dated { id, way, .. } => Some((id, *way)),
        }
    }

    /// A queue that goes away under us is none.
    pub(super) fn may_be_gone(&self) -> bool {
        !matches!(self, Self::List { .. })
    }

    /// What follows from an answer of success; [`None`] when it makes no sense. `now` is the
    /// service's clock.
    pub(super) fn accept(&self, headers: &Headers, body: &[u8], now: UnixTime) -> Option<Task> {
        match self {
            Self::List { place, limit } => {
                let Document::EnumerationResults(results) = azure_core::xml::from_xml(body).ok()?;
                let queues = results.queues.entries.iter().take(usize::from(*limit));
                let sessions = queues.filter_map(|queue| queue.session(place.way, now));
                let sessions: Vec<_> = sessions.collect();
                let next = place.next(results.next_marker);
                Some(match place.way {
                    Way::Req => Task::Done(Ok(Reply::Sessions { sessions, next })),
                    Way::Res => Self::looked_at(sessions, Vec::new(), next),
                })
            }
            Self::Twins { .. } | Self::Dated { .. } => {
                Some(self.found(dated(|name| headers.get_optional_str(&name)), now))
            }
        }
    }

    /// What follows when the queue is not there.
    pub(super) fn gone(&self, now: UnixTime) -> Task {
        self.found(None, now)
    }

    fn found(&self, dated: Option<UnixTime>, now: UnixTime) -> Task {
        match self {
            // No queue, no sessions.
            Self::List { .. } => Self::looked_at(Vec::new(), Vec::new(), None),
            Self::Twins { left, found, next } => {
                let (mut left, mut found) = (left.clone(), found.clone());
                found.extend(left.pop().filter(|_| dated.is_none()));
                Self::looked_at(left, found, next.clone())
            }
            Self::Dated { id, way, newest } => {
                let newest = (*newest).max(dated);
                match way {
                    Way::Req => Task::Sweep(Self::Dated {
                        id: *id,
                        way: Way::Res,
                        newest,
                    }),
                    Way::Res => Task::Done(Ok(Reply::Age(newest.map(|at| since(now, at))))),
                }
            }
        }
    }

    fn looked_at(
        left: Vec<MarkedSession>,
        found: Vec<MarkedSession>,
        next: Option<String>,
    ) -> Task {
        if left.is_empty() {
            let sessions = found;
            return Task::Done(Ok(Reply::Sessions { sessions, next }));
        }
        Task::Sweep(Self::Twins { left, found, next })
    }
}
