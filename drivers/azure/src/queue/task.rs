//! What an exchange is at: the HTTP request of each step.

use super::alive::Dates;
use super::receipts::Receipt;
use super::session::{Deletion, QueueSession, Way};
use super::sweep::Sweep;
use super::wire::Target;
use super::{BATCH, LARGEST_CHUNK, QueueStore};
use crate::failure::Shown;
use crate::home::Room;
use azure_core::http::Request;
use bytes::Bytes;
use core::time::Duration;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Direction, Failure, Reply};

/// How long a listed handshake stays out of sight. Shorter than Go's 60 s: when the answer to a
/// listing is lost, its dialers are still there when they are listed again.
const LISTED: Duration = Duration::from_secs(20);
/// How long message 1 is kept: as long as a ticket holds, by default.
const HANDSHAKE_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How long message 2 is kept. Only the 32 oldest can be seen, so those of dialers that are gone
/// must not stay (wire page, trap 10).
const TOKEN_KEPT: Duration = Duration::from_secs(600);

/// The step an exchange is at.
pub(super) enum Task {
    /// Before anything is created: is this queue storage at all?
    LookAround,
    PrepareHandshake,
    PrepareToken {
        created: bool,
    },
    RemoveHandshakes,
    RemoveTokens,
    PutHandshake {
        body: Bytes,
    },
    List {
        count: usize,
    },
    DeleteHandshake {
        name: String,
        receipt: Receipt,
    },
    PutToken {
        id: ConnectionId,
        body: Bytes,
    },
    GetToken {
        id: ConnectionId,
    },
    DeleteToken {
        id: ConnectionId,
        receipt: Receipt,
    },
    Create {
        id: ConnectionId,
        mark: String,
        way: Way,
    },
    /// After an ambiguous creation: whose queue is it?
    CheckMark {
        id: ConnectionId,
        mark: String,
        way: Way,
    },
    /// Before deleting a queue that this store does not remember: is it one of ours at all?
    CheckOurs {
        id: ConnectionId,
        way: Way,
    },
    Delete {
        id: ConnectionId,
        way: Way,
    },
    /// Before a message, when it is time to say that we are there.
    Date {
        session: QueueSession,
        dates: Dates,
        body: Bytes,
    },
    Put {
        session: QueueSession,
        body: Bytes,
    },
    Get {
        session: QueueSession,
        next: u64,
        limit: usize,
    },
    DeleteMessage(Deletion),
    /// Clean-up of what others left.
    Sweep(Sweep),
    Done(Result<Reply, Failure>),
}

impl Task {
    /// Deletes the messages of a handshake one after the other.
    pub(super) fn delete_handshake(store: &QueueStore, name: &String) -> Self {
        match store.handshakes().first(name) {
            Some(receipt) => Self::DeleteHandshake {
                name: name.clone(),
                receipt,
            },
            None => Self::Done(Ok(Reply::Done)),
        }
    }

    /// The same for a token.
    pub(super) fn delete_token(store: &QueueStore, id: ConnectionId) -> Self {
        match store.tokens().first(&id) {
            Some(receipt) => Self::DeleteToken { id, receipt },
            None => Self::Done(Ok(Reply::Done)),
        }
    }

    /// Removes one queue of a session; unasked only if this store made it.
    pub(super) fn remove(store: &QueueStore, id: ConnectionId, way: Way) -> Self {
        if store.home().created().contains(&id) {
            Self::Delete { id, way }
        } else {
            Self::CheckOurs { id, way }
        }
    }

    /// Messages to ask for when so many bytes are wanted.
    pub(super) fn count(limit: usize) -> usize {
        limit
            .checked_div(LARGEST_CHUNK)
            .unwrap_or(1)
            .clamp(1, BATCH)
    }

    /// The request of this step; [`None`] when it is over.
    pub(super) fn request(&self, store: &QueueStore, now: UnixTime) -> Option<Request> {
        let name = self.queue(store)?;
        let room = self.room();
        let target = Target {
            endpoint: store.home().endpoint(),
            queue: &name,
            sas: match store.home().shown(&room) {
                Shown::Sas(sas) => Some(sas),
                Shown::Key(_) => None,
            },
        };
        Some(match self {
            Self::Sweep(Sweep::List { place, limit }) => {
                target.queues(place.way.prefix(), *limit, place.marker.as_deref())
            }
            Self::LookAround | Self::CheckMark { .. } | Self::CheckOurs { .. } | Self::Sweep(_) => {
                target.metadata()
            }
            Self::PrepareHandshake | Self::PrepareToken { .. } => target.create(),
            Self::RemoveHandshakes | Self::RemoveTokens | Self::Delete { .. } => target.delete(),
            Self::PutHandshake { body } => target.put(body.clone(), Some(HANDSHAKE_KEPT)),
            Self::List { count } => target.get(*count, LISTED),
            Self::PutToken { body, .. } => target.put(body.clone(), Some(TOKEN_KEPT)),
            Self::GetToken { .. } => target.peek(BATCH),
            Self::DeleteHandshake { receipt, .. } | Self::DeleteToken { receipt, .. } => {
                target.delete_message(receipt)
            }
            Self::Create { mark, .. } => target.create_session(mark, store.register().seconds(now)),
            Self::Date { dates, .. } => target.set_dates(dates),
            Self::Put { body, .. } => target.put(body.clone(), None),
            Self::Get { limit, .. } => {
                target.get(Self::count(*limit), store.inner.limits.visibility)
            }
            Self::DeleteMessage(deletion) => target.delete_message(deletion.receipt()?),
            Self::Done(_) => return None,
        })
    }

    /// Name of the queue this step is about.
    fn queue(&self, store: &QueueStore) -> Option<String> {
        let names = store.home().names();
        let of = |way: Way, id: &ConnectionId| format!("{}{id}", way.prefix());
        Some(match self {
            Self::LookAround
            | Self::PrepareHandshake
            | Self::RemoveHandshakes
            | Self::PutHandshake { .. }
            | Self::List { .. }
            | Self::DeleteHandshake { .. } => names.handshake().to_owned(),
            Self::PrepareToken { .. }
            | Self::RemoveTokens
            | Self::PutToken { .. }
            | Self::GetToken { .. }
            | Self::DeleteToken { .. } => names.token().to_owned(),
            Self::Create { id, way, .. }
            | Self::CheckMark { id, way, .. }
            | Self::CheckOurs { id, way }
            | Self::Delete { id, way } => of(*way, id),
            Self::Date { session, .. } | Self::Put { session, .. } => {
                of(session.way(Direction::Outbound), session.id_ref())
            }
            Self::Get { session, .. } => of(session.way(Direction::Inbound), session.id_ref()),
            Self::DeleteMessage(deletion) => {
                let session = deletion.session();
                of(session.way(Direction::Inbound), session.id_ref())
            }
            Self::Sweep(sweep) => sweep
                .queue()
                .map_or_else(String::new, |(id, way)| of(way, id)),
            Self::Done(_) => return None,
        })
    }

    fn room(&self) -> Room<'_> {
        let session = |session, direction| {
            let session: &QueueSession = session;
            Room::Session(session.id_ref(), session.grant(direction))
        };
        match self {
            Self::PrepareToken { .. }
            | Self::RemoveTokens
            | Self::PutToken { .. }
            | Self::GetToken { .. }
            | Self::DeleteToken { .. } => Room::Token,
            Self::Date { session: of, .. } | Self::Put { session: of, .. } => {
                session(of, Direction::Outbound)
            }
            Self::Get { session: of, .. } => session(of, Direction::Inbound),
            Self::DeleteMessage(deletion) => session(deletion.session(), Direction::Inbound),
            Self::Create { id, .. }
            | Self::CheckMark { id, .. }
            | Self::CheckOurs { id, .. }
            | Self::Delete { id, .. } => Room::Session(id, None),
            Self::Sweep(sweep) => match sweep.queue() {
                Some((id, _)) => Room::Session(id, None),
                None => Room::Account,
            },
            _ => Room::Handshake,
        }
    }

    /// What this step shows to the service.
    pub(super) fn shown<'a>(&'a self, store: &'a QueueStore) -> Shown<'a> {
        store.home().shown(&self.room())
    }

    /// True when this step changes something in storage; getting messages hides them.
    pub(super) fn mutates(&self) -> bool {
        !matches!(
            self,
            Self::LookAround
                | Self::GetToken { .. }
                | Self::CheckMark { .. }
                | Self::CheckOurs { .. }
                // Whether it is dated makes no difference to what is written.
                | Self::Date { .. }
                | Self::Sweep(_)
                | Self::Done(_)
        )
    }

    /// The permission letter this step takes.
    pub(super) fn permission(&self) -> char {
        match self {
            Self::PrepareHandshake | Self::PrepareToken { .. } | Self::Create { .. } => 'c',
            Self::RemoveHandshakes | Self::RemoveTokens | Self::Delete { .. } => 'd',
            Self::Date { .. } => 'w',
            Self::Sweep(Sweep::List { .. }) => 'l',
            Self::PutHandshake { .. } | Self::PutToken { .. } | Self::Put { .. } => 'a',
            Self::List { .. }
            | Self::Get { .. }
            | Self::DeleteHandshake { .. }
            | Self::DeleteToken { .. }
            | Self::DeleteMessage(_) => 'p',
            _ => 'r',
        }
    }

    /// What this step does, in words that begin a line of advice.
    pub(super) fn action(&self, store: &QueueStore) -> String {
        let doing = match self {
            Self::LookAround => "looking for",
            Self::PrepareHandshake | Self::PrepareToken { .. } | Self::Create { .. } => "creating",
            Self::RemoveHandshakes | Self::RemoveTokens | Self::Delete { .. } => "removing",
            Self::PutHandshake { .. } => "knocking in",
            Self::List { .. } => "listing",
            Self::PutToken { .. } => "answering in",
            Self::GetToken { .. } => "fetching from",
            Self::DeleteHandshake { .. } | Self::DeleteToken { .. } | Self::DeleteMessage(_) => {
                "removing a message of"
            }
            Self::Date { .. } => "dating",
            Self::Put { .. } => "writing",
            Self::Sweep(Sweep::List { .. }) => {
                return format!("listing queues at {}", store.home().endpoint());
            }
            Self::CheckMark { .. } | Self::CheckOurs { .. } | Self::Sweep(_) => "looking at",
            Self::Get { .. } => "reading",
            Self::Done(_) => "nothing in",
        };
        let endpoint = store.home().endpoint();
        match self.queue(store) {
            Some(queue) => format!("{doing} queue {queue:?} at {endpoint}"),
            None => format!("{doing} the queues at {endpoint}"),
        }
    }
}
