//! Finding what listeners that were killed have left: tables that bear the mark, and when
//! anything was last written into them.

use super::session::Side;
use super::task::Task;
use super::wire::Target;
use crate::date::{parse_iso8601, parse_rfc1123};
use crate::exchange::Response;
use azure_core::http::Request;
use azure_core::http::headers::{HeaderName, Headers};
use core::time::Duration;
use serde::Deserialize;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::wire::table::{self, ROWS};
use stillwire_core::store::{MarkedSession, Reply};

/// Tables a page looks at: each takes a request of its own, or two.
pub(super) const MOST_TABLES: u16 = 32;
/// Looks at the rows of one table: a search takes twice the digits of the largest row number.
const MOST_LOOKS: u8 = 80;

/// The steps.
#[derive(Clone)]
pub(super) enum Sweep {
    /// One page of the account's tables.
    List { after: Option<String>, limit: u16 },
    /// Which of them bear the mark?
    Marks(Marks),
    /// When was this one made, if it is ours?
    Made {
        id: ConnectionId,
        side: Side,
        /// The latest that is known of the session's other table.
        newest: Option<UnixTime>,
    },
    /// When was its last row written?
    Last(Search),
}

/// A page of tables whose marks are looked for, the last one first.
#[derive(Clone)]
pub(super) struct Marks {
    left: Vec<(ConnectionId, Side)>,
    /// Before a `res` table counts, its `req` table is looked at: with that one it is listed.
    twin: bool,
    found: Vec<MarkedSession>,
    next: Option<String>,
}

/// The search for the last row of a table, whose numbers have no gaps.
#[derive(Clone)]
pub(super) struct Search {
    id: ConnectionId,
    side: Side,
    newest: UnixTime,
    /// There is a row before this one, or it is the first.
    low: u64,
    /// There is none from here on.
    high: u64,
    step: u64,
    looks: u8,
}

#[derive(Deserialize)]
struct Names {
    value: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Name {
    table_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Marked {
    mark: String,
    created: String,
    timestamp: String,
}

#[derive(Deserialize)]
struct Rows {
    value: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    row_key: String,
    timestamp: String,
}

impl Marked {
    /// When the table was marked by the service's clock, and when it was made by ours.
    fn parse(body: &[u8]) -> Option<(UnixTime, UnixTime)> {
        let marked: Self = serde_json::from_slice(body).ok()?;
        let good = marked.mark.len() == 32 && marked.mark.bytes().all(|b| b.is_ascii_hexdigit());
        let created = UnixTime::from_secs(marked.created.parse().ok()?);
        good.then_some((parse_iso8601(&marked.timestamp)?, created))
    }
}

impl Marks {
    fn go_on(mut self, marked: Option<Duration>) -> Sweep {
        let at = self.left.last().copied();
        match (at, marked) {
            (Some((_, Side::Res)), None) if self.twin => {
                self.twin = false;
                return Sweep::Marks(self);
            }
            (Some((id, _)), Some(age)) if !self.twin => {
                self.found.push(MarkedSession { id, age });
            }
            _ => {}
        }
        self.left.pop();
        // One whose twin stands in this very page needs no look.
        while let Some((id, Side::Res)) = self.left.last()
            && self.found.iter().any(|found| found.id == *id)
        {
            self.left.pop();
        }
        self.twin = matches!(self.left.last(), Some((_, Side::Res)));
        Sweep::Marks(self)
    }

    /// The table that is looked at.
    fn table(&self) -> Option<(&ConnectionId, Side)> {
        let (id, side) = self.left.last()?;
        Some((id, if self.twin { Side::Req } else { *side }))
    }
}

impl Search {
    /// What to look for next: far ahead while there are rows, then half of what is left.
    fn at(&self) -> u64 {
        let half = self.high.saturating_sub(self.low) / 2;
        self.low.saturating_add(half.min(self.step))
    }

    fn is_over(&self) -> bool {
        self.low >= self.high
    }
}

impl Sweep {
    /// A table that goes away under us is none.
    pub(super) fn may_be_gone(&self) -> bool {
        !matches!(self, Self::List { .. })
    }

    /// The session's table that this step looks at.
    pub(super) fn table(&self) -> Option<(&ConnectionId, Side)> {
        match self {
            Self::List { .. } => None,
            Self::Marks(marks) => marks.table(),
            Self::Made { id, side, .. } | Self::Last(Search { id, side, .. }) => Some((id, *side)),
        }
    }

    pub(super) fn request(&self, target: &Target<'_>) -> Option<Request> {
        Some(match self {
            Self::List { after, limit } => target.tables(*limit, after.as_deref()),
            Self::Marks(_) | Self::Made { .. } => target.dated_mark(),
            Self::Last(search) => target.time_of_row(&table::key(search.at()).ok()?),
        })
    }

    /// What follows from an answer of success; [`None`] when it makes no sense. `now` is the
    /// service's clock.
    pub(super) fn accept(&self, (_, headers, body): &Response, now: UnixTime) -> Option<Task> {
        match self {
            Self::List { limit, .. } => {
                let names: Names = serde_json::from_slice(body).ok()?;
                let names = names.value.iter().take(usize::from(*limit));
                let mut left: Vec<_> = names.filter_map(|name| session(&name.table_name)).collect();
                left.reverse();
                let marks = Marks {
                    twin: matches!(left.last(), Some((_, Side::Res))),
                    left,
                    found: Vec::new(),
                    next: next_table(headers),
                };
                Some(Self::Marks(marks).done_or_on())
            }
            Self::Marks(marks) => {
                let marked = Marked::parse(body);
                // The younger of the two: our own clock may have been off when it was made.
                let age = marked.map(|(at, created)| since(now, at.max(created)));
                Some(marks.clone().go_on(age).done_or_on())
            }
            Self::Made { id, side, newest } => match Marked::parse(body) {
                None => Some(Self::other(*id, *side, *newest, now)),
                Some((made, _)) => Some(Task::Sweep(Self::Last(Search {
                    id: *id,
                    side: *side,
                    newest: newest.map_or(made, |newest| newest.max(made)),
                    low: 0,
                    high: ROWS,
                    step: 0,
                    looks: 0,
                }))),
            },
            Self::Last(search) => {
                let rows: Rows = serde_json::from_slice(body).ok()?;
                let mut search = search.clone();
                let at = search.at();
                search.looks = search.looks.saturating_add(1);
                match rows.value.first() {
                    Some(row) => {
                        search.newest = search.newest.max(parse_iso8601(&row.timestamp)?);
                        // A key that is none stands between two rows, or behind all.
                        let found = table::sequence(&row.row_key).unwrap_or(at).max(at);
                        search.low = found.saturating_add(1);
                        search.step = search.step.saturating_mul(2).max(1);
                    }
                    // The page goes on: it is not known whether there are rows.
                    None if super::run::continuation(headers).is_some() => return None,
                    None => search.high = at,
                }
                let Search {
                    id, side, newest, ..
                } = search;
                Some(if search.is_over() {
                    Self::other(id, side, Some(newest), now)
                } else if search.looks >= MOST_LOOKS {
                    // Stranger than any stream of ours: somebody should look himself.
                    Task::Done(Ok(Reply::Age(Some(Duration::ZERO))))
                } else {
                    Task::Sweep(Self::Last(search))
                })
            }
        }
    }

    /// What follows when the table is not there, or bears no mark.
    pub(super) fn gone(&self, now: UnixTime) -> Option<Task> {
        match self {
            Self::List { .. } => None,
            Self::Marks(marks) => Some(marks.clone().go_on(None).done_or_on()),
            Self::Made { id, side, newest } => Some(Self::other(*id, *side, *newest, now)),
            Self::Last(search) => Some(Self::other(
                search.id,
                search.side,
                Some(search.newest),
                now,
            )),
        }
    }

    fn other(id: ConnectionId, side: Side, newest: Option<UnixTime>, now: UnixTime) -> Task {
        match side {
            Side::Req => Task::Sweep(Self::Made {
                id,
                side: Side::Res,
                newest,
            }),
            Side::Res => Task::Done(Ok(Reply::Age(newest.map(|newest| since(now, newest))))),
        }
    }

    fn done_or_on(self) -> Task {
        match self {
            Self::Marks(marks) if marks.left.is_empty() => Task::Done(Ok(Reply::Sessions {
                sessions: marks.found,
                next: marks.next,
            })),
            other => Task::Sweep(other),
        }
    }
}

/// The session whose table this is, by its name.
fn session(table: &str) -> Option<(ConnectionId, Side)> {
    let side = match table.get(..3)? {
        "req" => Side::Req,
        "res" => Side::Res,
        _ => return None,
    };
    let mut text = table
        .get(3..)
        .filter(|hex| hex.len() == 32 && hex.is_ascii())?
        .to_owned();
    for at in [8, 13, 18, 23] {
        text.insert(at, '-');
    }
    Some((ConnectionId::parse(text.as_bytes()).ok()?, side))
}

fn next_table(headers: &Headers) -> Option<String> {
    let name = HeaderName::from_static("x-ms-continuation-nexttablename");
    headers.get_optional_string(&name)
}

/// The service's own clock.
pub(super) fn date(headers: &Headers) -> Option<UnixTime> {
    let name = HeaderName::from_static("date");
    parse_rfc1123(headers.get_optional_str(&name)?.trim())
}

fn since(now: UnixTime, then: UnixTime) -> Duration {
    Duration::from_millis(now.as_millis().saturating_sub(then.as_millis()))
}
