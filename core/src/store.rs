//! What storage is to the core: operations, replies, failures and a carrier profile.
//!
//! A driver turns an [`Operation`] into HTTP requests or file calls and the outcome into a
//! [`Reply`] or a [`Failure`]. It keeps the places (blob, offset) of its own session; the machine
//! keeps sequence numbers, retries and time.

use crate::aznet::ConnectionId;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;

/// Names a request within one machine. Never reused, not even by a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One try of one operation.
#[derive(Clone, Debug)]
pub struct Request {
    /// To be given back with the reply.
    pub id: RequestId,
    /// What to do.
    pub operation: Operation,
    /// True when an earlier try of this very operation may have taken effect.
    pub may_have_landed: bool,
    /// How long this try may take; past it, report [`FailureKind::TimedOut`].
    pub timeout: Duration,
}

/// A direction of a session's stream, as this end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What we write.
    Outbound,
    /// What we read.
    Inbound,
}

/// Which end of a session we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Opened the connection: writes `req`, reads `res`.
    Dialer,
    /// Accepted it: reads `req`, writes `res`.
    Listener,
}

/// What the core asks of storage.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Listener: create the two bootstrap places if they are missing. Reply: [`Reply::Prepared`].
    Prepare,
    /// Listener: remove the two bootstrap places and all in them. Only asked for when this listener
    /// made them and was told to (wire page, trap 19). Reply: Done.
    RemoveBootstrap,
    /// Dialer: leave message 1 under our connection id. Idempotent. Reply: [`Reply::Done`].
    PutHandshake {
        /// Our id.
        id: ConnectionId,
        /// Message 1.
        message: Bytes,
    },
    /// Listener: one page of waiting handshakes. Reply: [`Reply::Handshakes`].
    ListHandshakes {
        /// Where the last page ended.
        after: Option<String>,
        /// Entries a page may hold at the most.
        limit: u16,
    },
    /// Listener: remove an entry by the name it was listed under; gone already is fine. Reply: Done.
    DeleteHandshake {
        /// As listed: untrusted text.
        name: String,
    },
    /// Listener: leave message 2 for this dialer. Idempotent. Reply: Done.
    PutToken {
        /// The dialer's id.
        id: ConnectionId,
        /// Message 2.
        message: Bytes,
    },
    /// Dialer: fetch message 2. Reply: [`Reply::Token`] or [`Reply::Nothing`].
    GetToken {
        /// Our id.
        id: ConnectionId,
    },
    /// Listener: remove message 2; gone already is fine. Reply: Done.
    DeleteToken {
        /// The dialer's id.
        id: ConnectionId,
    },
    /// Listener: create the session's own places, both directions, and grants for the dialer.
    /// Places that exist and do not bear `mark` are [`FailureKind::Exists`] and left untouched.
    /// Reply: [`Reply::Session`].
    CreateSession {
        /// The dialer's id.
        id: ConnectionId,
        /// Random, to tell our own earlier try from somebody else's resource.
        mark: [u8; 16],
    },
    /// Listener: remove what `CreateSession` made; gone already is fine. Reply: Done.
    DeleteSession {
        /// The dialer's id.
        id: ConnectionId,
    },
    /// Clean-up of what others left: one page of the sessions that bear a listener's mark, whoever
    /// made them. Reply: [`Reply::Sessions`].
    ListSessions {
        /// Where the last page ended.
        after: Option<String>,
        /// Sessions a page may hold at the most; it may hold fewer, or none, before the end.
        limit: u16,
    },
    /// Clean-up of what others left: how long ago anything happened in a session that bears a
    /// mark. Reply: [`Reply::Age`].
    SessionAge {
        /// As listed.
        id: ConnectionId,
    },
    /// Clean-up of what others left: remove a session that bears a mark, whoever made it; gone
    /// already is fine. One without a mark is [`FailureKind::Exists`] and left untouched.
    /// Reply: Done.
    SweepSession {
        /// As listed.
        id: ConnectionId,
    },
    /// Append sealed chunks to our direction. Reply: Done.
    Write {
        /// Sequence number of the first chunk.
        sequence: u64,
        /// Length of each chunk with its prefix, in order; they add up to `bytes`.
        chunks: Vec<u32>,
        /// The chunks back to back.
        bytes: Bytes,
    },
    /// Fetch what is next in the peer's direction. Reply: [`Reply::Data`], [`Reply::Nothing`] or
    /// [`Reply::NotYet`].
    Read {
        /// Sequence number of the next chunk not yet received whole.
        sequence: u64,
        /// Bytes wanted at the most.
        limit: usize,
    },
    /// Remove one of the chunks that this end has taken in, where reading leaves them in the way.
    /// Only asked for when [`Profile::releases_in_flight`] is not 0, several at once. Whether it
    /// succeeds makes no difference to the stream. Reply: [`Reply::Released`].
    Release {
        /// Everything before this sequence number has been taken in.
        sequence: u64,
    },
    /// Move a direction on to its next place: create it when outbound (idempotently), only turn to
    /// it when inbound. Reply: Done.
    Rotate {
        /// Which direction.
        direction: Direction,
        /// Number of the new place, from 1.
        number: u32,
    },
}

impl Operation {
    /// A word for it, for counters and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::RemoveBootstrap => "remove_bootstrap",
            Self::PutHandshake { .. } => "put_handshake",
            Self::ListHandshakes { .. } => "list_handshakes",
            Self::DeleteHandshake { .. } => "delete_handshake",
            Self::PutToken { .. } => "put_token",
            Self::GetToken { .. } => "get_token",
            Self::DeleteToken { .. } => "delete_token",
            Self::CreateSession { .. } => "create_session",
            Self::DeleteSession { .. } => "delete_session",
            Self::ListSessions { .. } => "list_sessions",
            Self::SessionAge { .. } => "session_age",
            Self::SweepSession { .. } => "sweep_session",
            Self::Write { .. } => "write",
            Self::Read { .. } => "read",
            Self::Rotate { .. } => "rotate",
            Self::Release { .. } => "release",
        }
    }

    /// The connection it is about, if it says so; those about a stream leave it to their session.
    pub const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::PutHandshake { id, .. }
            | Self::PutToken { id, .. }
            | Self::GetToken { id }
            | Self::DeleteToken { id }
            | Self::CreateSession { id, .. }
            | Self::DeleteSession { id }
            | Self::SessionAge { id }
            | Self::SweepSession { id } => Some(*id),
            _ => None,
        }
    }
}

/// A waiting handshake as it was listed. Nothing in it is to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The name it is listed under.
    pub name: String,
    /// Message 1, or [`None`] when the entry could not be decoded.
    pub message: Option<Bytes>,
}

/// A session that bears a listener's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkedSession {
    /// Its name.
    pub id: ConnectionId,
    /// How long ago it was made, by the store's clock where it tells one. It may be in use.
    pub age: Duration,
}

/// How an operation succeeded.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// The bootstrap is there.
    Prepared {
        /// True when this call made it.
        created: bool,
    },
    /// A page of handshakes.
    Handshakes {
        /// At most as many as were asked for.
        entries: Vec<Handshake>,
        /// Where the next page begins; [`None`] at the end.
        next: Option<String>,
    },
    /// Message 2.
    Token(Bytes),
    /// The session's places exist; the grants let the dialer use them and nothing else.
    Session {
        /// For writing the dialer's direction.
        req: String,
        /// For reading the listener's.
        res: String,
    },
    /// Bytes that follow those of the last `Data`.
    Data {
        /// At least one byte, at most the limit asked for.
        bytes: Bytes,
        /// True when more is known or likely to be waiting right now.
        more: bool,
    },
    /// A page of sessions that bear a mark.
    Sessions {
        /// At most as many as were asked for.
        sessions: Vec<MarkedSession>,
        /// Where the next page begins; [`None`] at the end.
        next: Option<String>,
    },
    /// Time since anything happened in a session; [`None`] when it is gone, or bears no mark.
    Age(Option<Duration>),
    /// Nothing there yet.
    Nothing {
        /// True when the very place is missing, not only empty.
        missing: bool,
    },
    /// What was asked for was not there, though something else was.
    NotYet {
        /// True when something that comes later was among it: what was asked for is missing.
        gap: bool,
        /// True when it was so much that more is likely to be waiting right now.
        more: bool,
    },
    /// A chunk was removed, or there was none to remove.
    Released {
        /// How many it removed: 0 or 1.
        removed: u32,
        /// How many are left to be removed, those under way not counted.
        left: u32,
    },
}

impl fmt::Debug for Reply {
    /// Leaves out grants and bytes: the former are secret, the latter long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Prepared { created } => write!(f, "Prepared {{ created: {created} }}"),
            Self::Handshakes { entries, next } => {
                let more = next.is_some();
                write!(f, "Handshakes {{ {}, more: {more} }}", entries.len())
            }
            Self::Token(message) => write!(f, "Token({} bytes)", message.len()),
            Self::Session { .. } => f.write_str("Session { .. }"),
            Self::Data { bytes, more } => {
                write!(f, "Data {{ {} bytes, more: {more} }}", bytes.len())
            }
            Self::Sessions { sessions, next } => {
                let more = next.is_some();
                write!(f, "Sessions {{ {}, more: {more} }}", sessions.len())
            }
            Self::Age(age) => write!(f, "Age({age:?})"),
            Self::Nothing { missing } => write!(f, "Nothing {{ missing: {missing} }}"),
            Self::NotYet { gap, more } => write!(f, "NotYet {{ gap: {gap}, more: {more} }}"),
            Self::Released { removed, left } => {
                write!(f, "Released {{ removed: {removed}, left: {left} }}")
            }
        }
    }
}

/// Why a try of an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: refused, reset, no such host.
    Unreachable,
    /// TLS or certificate trouble.
    Tls,
    /// No answer within the try's time.
    TimedOut,
    /// The service is overloaded or broken for now (429, 500, 503 …).
    Busy,
    /// The place is not there.
    NotFound,
    /// The place is there already and is not ours.
    Exists,
    /// Somebody else wrote where only we may.
    Conflict,
    /// The credential is wrong, expired or too narrow.
    Denied,
    /// The service refuses the request as such: our mistake or a wrong service.
    Refused,
    /// Larger than the service takes.
    TooLarge,
    /// No room: disk or account full.
    Full,
    /// The answer makes no sense.
    Malformed,
    /// Local I/O trouble.
    Io,
}

/// A failed try. Holds no secret: safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// True when the operation may nevertheless have taken effect, now or later.
    pub may_have_landed: bool,
    /// The service asked to be left alone for so long.
    pub retry_after: Option<Duration>,
    /// What was wrong, and what to try: one line.
    pub detail: String,
}

impl Failure {
    /// A failure that certainly had no effect.
    pub fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            may_have_landed: false,
            retry_after: None,
            detail: detail.into(),
        }
    }

    /// The same failure, of a try that may have taken effect.
    pub fn maybe_landed(mut self) -> Self {
        self.may_have_landed = true;
        self
    }

    /// True when the same operation may well succeed a little later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            FailureKind::Unreachable | FailureKind::TimedOut | FailureKind::Busy | FailureKind::Io
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl core::error::Error for Failure {}

/// What a carrier can do: the numbers the machine plans with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The carrier's name, as in a store address: `azblob`, `dir`, `memory` …
    pub name: &'static str,
    /// Largest chunk, its 4-byte prefix included.
    pub largest_chunk: usize,
    /// Bytes one `Write` may carry: one chunk, or many back to back.
    pub bytes_per_write: usize,
    /// Bytes one `Read` may ask for.
    pub bytes_per_read: usize,
    /// `Write`s that may be in flight at once.
    pub writes_in_flight: u16,
    /// `Release`s that may be in flight at once; 0: reading leaves nothing in the way, and none are
    /// asked for.
    pub releases_in_flight: u16,
    /// `Write`s a place takes before it must be rotated; [`None`]: it never is.
    pub writes_before_rotation: Option<u32>,
    /// Number of sequence numbers there are; [`None`]: all of u64.
    pub sequences: Option<u64>,
    /// Messages 2 among which a dialer finds its own: the oldest so many. [`None`]: it finds it
    /// among any number.
    pub tokens_in_sight: Option<u16>,
    /// The shortest sensible pause between two polls that find nothing.
    pub shortest_poll: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn grants_are_not_printed() {
        let reply = Reply::Session {
            req: "sig=SECRET".into(),
            res: "sig=SECRET".into(),
        };
        assert!(!format!("{reply:?}").contains("SECRET"));
    }
}
