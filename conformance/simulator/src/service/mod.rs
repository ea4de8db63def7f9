//! A storage account in memory, one of the three services of it.
//!
//! Written from the services' published behaviour and from what runs against Azurite showed, not
//! from the drivers: it is the drivers' other side.

pub(crate) mod blob;
pub(crate) mod call;
pub(crate) mod queue;
pub(crate) mod sas;
pub(crate) mod table;

use blob::Blobs;
use bytes::Bytes;
use call::{Call, Response};
use queue::Queues;
use sas::Caller;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::Role;
use table::Tables;

pub(crate) const ACCOUNT: &str = "simulated";
pub(crate) const KEY: &[u8] = b"the simulated account's key";

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A container, queue or table.
    Created,
    Deleted,
    /// An entry was created, or replaced; in a queue, a message that is no chunk.
    Put {
        append: bool,
    },
    /// An entry was deleted.
    Removed,
    /// A block of a blob.
    Appended {
        offset: u64,
    },
    /// Chunks under their numbers: a message, or rows.
    Stored(Vec<(u64, Bytes)>),
    /// A session's mark was written, or its date.
    Marked {
        /// Seconds by which the date differs from the service's clock.
        off: u64,
    },
}

/// Where a change was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The container, queue or table.
    pub(crate) place: String,
    /// The blob, the row, or the id in a message.
    pub(crate) entry: String,
    pub(crate) effect: Effect,
}

/// What a request is to those who spoil it.
pub(crate) struct Sort {
    /// Its answer carries data.
    pub(crate) reads: bool,
    /// It is about a session's stream.
    pub(crate) stream: bool,
    /// The code of the 404 when the place is not there.
    pub(crate) missing: &'static str,
    /// Answers that the service does give to such a request, only not now.
    pub(crate) absurd: &'static [(u16, &'static str)],
    /// It makes a session's place.
    pub(crate) creates: bool,
    /// What it does, for the trace.
    pub(crate) verb: &'static str,
    /// The container, queue or table it is about.
    pub(crate) place: String,
}

/// Whose a place is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belongs {
    Bootstrap,
    /// A session's; who writes there, if it is one direction only.
    Session(ConnectionId, Option<Role>),
    Nobody,
}

/// One of the services.
#[derive(Debug)]
pub(crate) enum Service {
    Blob(Blobs),
    Queue(Queues),
    Table(Tables),
}

impl Service {
    /// Serves one call of `party` at `now` (µs since 1970).
    pub(crate) fn serve(
        &mut self,
        party: usize,
        caller: Caller,
        call: &Call,
        now: u64,
    ) -> (Response, Option<Change>) {
        match self {
            Self::Blob(blobs) => {
                let (response, effect) = blobs.serve(party, caller, call, now / 1_000_000);
                let change = effect.map(|effect| Change {
                    place: call.container.clone(),
                    entry: call.blob.clone(),
                    effect,
                });
                (response, change)
            }
            Self::Queue(queues) => queues.serve(party, caller, call, now),
            Self::Table(tables) => tables.serve(party, caller, call, now),
        }
    }

    pub(crate) fn sort(&self, call: &Call) -> Sort {
        match self {
            Self::Blob(_) => blob::sort(call),
            Self::Queue(_) => queue::sort(call),
            Self::Table(_) => table::sort(call),
        }
    }

    /// An error as this service writes it.
    pub(crate) fn error(&self, status: u16, code: &str) -> Response {
        match self {
            // What turns a request away before the tables see it writes XML.
            Self::Table(_) if status != 403 && status < 500 => table::error(status, code),
            _ => Response::error(status, code),
        }
    }

    pub(crate) fn belongs(&self, place: &str) -> Belongs {
        if matches!(place, "handshake" | "token") {
            return Belongs::Bootstrap;
        }
        let session = match self {
            Self::Blob(_) => ConnectionId::parse(place.as_bytes())
                .ok()
                .map(|id| (id, None)),
            Self::Queue(_) => queue::session(place),
            Self::Table(_) => table::session(place),
        };
        session.map_or(Belongs::Nobody, |(id, role)| Belongs::Session(id, role))
    }

    /// The text of message 1 that a call leaves, as anybody with the account's rights sees it.
    pub(crate) fn message_1(&self, call: &Call) -> Option<String> {
        match self {
            Self::Blob(_) => call.header("x-ms-meta-payload").map(str::to_owned),
            Self::Queue(_) => queue::text(&call.body).map(str::to_owned),
            Self::Table(_) => table::data(call),
        }
    }

    /// Who made a place.
    pub(crate) fn creator(&self, place: &str) -> Option<usize> {
        match self {
            Self::Blob(blobs) => blobs.containers.get(place).map(|c| c.creator),
            Self::Queue(queues) => queues.all.get(place).map(|q| q.creator),
            Self::Table(tables) => tables.all.get(place).map(|t| t.creator),
        }
    }

    /// The names of all places.
    pub(crate) fn places(&self) -> Vec<String> {
        match self {
            Self::Blob(blobs) => blobs.containers.keys().cloned().collect(),
            Self::Queue(queues) => queues.all.keys().cloned().collect(),
            Self::Table(tables) => tables.all.keys().cloned().collect(),
        }
    }

    /// Everything in a place, to see whether it changes.
    pub(crate) fn content(&self, place: &str) -> Option<String> {
        Some(match self {
            Self::Blob(blobs) => format!("{:?}", blobs.containers.get(place)?.blobs),
            Self::Queue(queues) => format!("{:?}", queues.all.get(place)?),
            Self::Table(tables) => format!("{:?}", tables.all.get(place)?),
        })
    }

    /// Answers that wait for their dialers.
    pub(crate) fn tokens(&self) -> usize {
        match self {
            Self::Blob(blobs) => blobs.containers.get("token").map_or(0, |c| c.blobs.len()),
            Self::Queue(queues) => queues.all.get("token").map_or(0, |q| q.messages.len()),
            Self::Table(tables) => tables.all.get("token").map_or(0, |t| t.rows.len()),
        }
    }

    /// True when an entry of this name waits among the handshakes.
    pub(crate) fn has_handshake(&self, name: &str) -> bool {
        match self {
            Self::Blob(blobs) => blobs
                .containers
                .get("handshake")
                .is_some_and(|c| c.blobs.contains_key(name)),
            // What was listed and is to be deleted may have come back meanwhile.
            Self::Queue(_) => false,
            Self::Table(tables) => tables.all.get("handshake").is_some_and(|table| {
                let mut keys = table.rows.keys();
                keys.any(|(_, row)| row == name)
            }),
        }
    }
}

/// `2027-01-11T08:00:27Z` as `Mon, 11 Jan 2027 08:00:27 GMT`, from seconds since 1970.
pub(crate) fn http_date(secs: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, day) = civil(secs / 86_400);
    let weekday = DAYS[(secs / 86_400 % 7) as usize];
    let name = MONTHS[(month - 1) as usize];
    let (hour, minute, second) = clock(secs);
    format!("{weekday}, {day:02} {name} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Seconds since 1970 as `2027-01-11T08:00:27.0000000Z`.
pub(crate) fn timestamp(secs: u64) -> String {
    let (year, month, day) = civil(secs / 86_400);
    let (hour, minute, second) = clock(secs);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.0000000Z")
}

fn clock(secs: u64) -> (u64, u64, u64) {
    (secs / 3_600 % 24, secs / 60 % 60, secs % 60)
}

/// Year, month and day of a day since 1970, counted up one year and one month after the other.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + u64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::{http_date, timestamp};

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(951_825_600), "Tue, 29 Feb 2000 12:00:00 GMT");
        assert_eq!(http_date(1_799_654_427), "Mon, 11 Jan 2027 08:00:27 GMT");
        assert_eq!(timestamp(1_799_654_427), "2027-01-11T08:00:27.0000000Z");
    }
}
