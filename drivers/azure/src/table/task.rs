//! What an exchange is at: the HTTP request of each step.

use super::TableStore;
use super::batch;
use super::session::{Side, TableSession};
use super::sweep::Sweep;
use super::wire::{Cursor, Target};
use crate::failure::Shown;
use crate::home::Room;
use azure_core::http::Request;
use bytes::Bytes;
use std::sync::Arc;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::wire::table;
use stillwire_core::store::{Direction, Failure, Reply};

/// Rows on their way.
#[derive(Clone)]
pub(super) struct Insert {
    pub(super) session: TableSession,
    /// Of the first chunk that is not stored yet.
    pub(super) sequence: u64,
    /// Lengths of those left, and the bytes of them.
    pub(super) chunks: Arc<[u32]>,
    pub(super) bytes: Bytes,
    /// One row at a time.
    pub(super) alone: bool,
}

impl Insert {
    /// Rows that the next request carries.
    pub(super) fn rows(&self) -> usize {
        let most = if self.alone {
            1
        } else {
            batch::rows_in_one(&self.chunks).max(1)
        };
        most.min(self.chunks.len())
    }

    fn next(&self) -> Vec<&[u8]> {
        let mut rest: &[u8] = &self.bytes;
        let mut rows = Vec::new();
        for length in self.chunks.iter().take(self.rows()) {
            let Some((row, tail)) = rest.split_at_checked(*length as usize) else {
                break;
            };
            rows.push(row);
            rest = tail;
        }
        rows
    }

    /// What is left when the next request's rows are stored; [`None`] when nothing is.
    pub(super) fn stored(&self) -> Option<Self> {
        let rows = self.rows();
        let (gone, left) = self.chunks.split_at_checked(rows)?;
        let length = gone.iter().map(|length| *length as usize);
        let length = length.fold(0, usize::saturating_add).min(self.bytes.len());
        (!left.is_empty()).then(|| Self {
            session: self.session.clone(),
            sequence: self.sequence.saturating_add(rows as u64),
            chunks: left.into(),
            bytes: self.bytes.slice(length..),
            alone: self.alone,
        })
    }
}

/// A look at the peer's rows.
#[derive(Clone)]
pub(super) struct Query {
    pub(super) session: TableSession,
    /// Sequence number of the first row wanted.
    pub(super) next: u64,
    /// Bytes wanted at the most.
    pub(super) limit: usize,
    /// Rows asked for.
    pub(super) rows: usize,
    pub(super) after: Option<Cursor>,
    /// Empty pages so far.
    pub(super) hops: u8,
}

/// The step an exchange is at.
#[derive(Clone)]
pub(super) enum Task {
    PrepareHandshake,
    PrepareToken {
        created: bool,
    },
    RemoveHandshakes,
    RemoveTokens,
    PutHandshake {
        id: ConnectionId,
        message: Bytes,
    },
    List {
        after: Option<Cursor>,
        limit: usize,
        /// Empty pages so far.
        hops: u8,
    },
    DeleteHandshake {
        name: String,
    },
    PutToken {
        id: ConnectionId,
        message: Bytes,
    },
    GetToken {
        id: ConnectionId,
    },
    DeleteToken {
        id: ConnectionId,
    },
    CreateTable {
        id: ConnectionId,
        mark: String,
        side: Side,
    },
    InsertMark {
        id: ConnectionId,
        mark: String,
        side: Side,
    },
    /// After an ambiguous creation: whose table is it?
    CheckMark {
        id: ConnectionId,
        mark: String,
        side: Side,
        /// There are rows, seen after the mark was missed.
        rows: bool,
    },
    /// There is no mark: did an earlier try of ours break off before it?
    CheckEmpty {
        id: ConnectionId,
        mark: String,
        side: Side,
        after: Option<Cursor>,
        /// Empty pages so far.
        hops: u8,
    },
    /// The second table is somebody else's: take the first, which is ours, back.
    TakeBack {
        id: ConnectionId,
        failure: Failure,
    },
    /// Before deleting a table that this store does not remember: is it one of ours at all?
    CheckOurs {
        id: ConnectionId,
        side: Side,
    },
    DeleteTable {
        id: ConnectionId,
        side: Side,
    },
    Insert(Insert),
    Read(Query),
    /// Clean-up of what others left.
    Sweep(Sweep),
    Done(Result<Reply, Failure>),
}

impl Task {
    /// The request of this step; [`None`] when it is over.
    pub(super) fn request(&self, store: &TableStore, now: UnixTime) -> Option<Request> {
        let room = self.room()?;
        let name;
        let table = match &room {
            Room::Handshake => store.names().handshake(),
            Room::Token => store.names().token(),
            Room::Session(id, _) => {
                name = self.side().table(id);
                &name
            }
            // Whose own resource is the list of tables.
            Room::Account => "Tables",
        };
        let target = Target {
            endpoint: store.endpoint(),
            table,
            sas: match store.home().shown(&room) {
                Shown::Sas(sas) => Some(sas),
                Shown::Key(_) => None,
            },
        };
        Some(match self {
            Self::PrepareHandshake | Self::PrepareToken { .. } | Self::CreateTable { .. } => {
                target.create_table()
            }
            Self::RemoveHandshakes
            | Self::RemoveTokens
            | Self::TakeBack { .. }
            | Self::DeleteTable { .. } => target.delete_table(),
            Self::PutHandshake { id, message } | Self::PutToken { id, message } => {
                target.insert_message(&id.to_string(), message)?
            }
            Self::List { after, limit, .. } => target.messages(*limit, after.as_ref()),
            Self::DeleteHandshake { name } => target.delete_message(name),
            Self::GetToken { id } => target.message(&id.to_string()),
            Self::DeleteToken { id } => target.delete_message(&id.to_string()),
            Self::InsertMark { mark, .. } => target.insert_mark(mark, now.as_secs()),
            Self::CheckMark { .. } | Self::CheckOurs { .. } => target.mark(),
            Self::CheckEmpty { after, .. } => target.any(after.as_ref()),
            Self::Insert(insert) => match insert.next().as_slice() {
                [one] => target.insert(insert.sequence, one)?,
                rows => target.insert_all(insert.sequence, rows)?,
            },
            Self::Read(query) => {
                let from = table::key(query.next).ok()?;
                target.rows(&from, query.rows, query.after.as_ref())
            }
            Self::Sweep(sweep) => sweep.request(&target)?,
            Self::Done(_) => return None,
        })
    }

    fn room(&self) -> Option<Room<'_>> {
        Some(match self {
            Self::PrepareHandshake
            | Self::RemoveHandshakes
            | Self::PutHandshake { .. }
            | Self::List { .. }
            | Self::DeleteHandshake { .. } => Room::Handshake,
            Self::PrepareToken { .. }
            | Self::RemoveTokens
            | Self::PutToken { .. }
            | Self::GetToken { .. }
            | Self::DeleteToken { .. } => Room::Token,
            Self::CreateTable { id, .. }
            | Self::InsertMark { id, .. }
            | Self::CheckMark { id, .. }
            | Self::CheckEmpty { id, .. }
            | Self::CheckOurs { id, .. }
            | Self::DeleteTable { id, .. }
            | Self::TakeBack { id, .. } => Room::Session(id, None),
            Self::Insert(Insert { session, .. }) => {
                Room::Session(session.id_ref(), session.writing())
            }
            Self::Read(Query { session, .. }) => Room::Session(session.id_ref(), session.reading()),
            Self::Sweep(sweep) => match sweep.table() {
                Some((id, _)) => Room::Session(id, None),
                None => Room::Account,
            },
            Self::Done(_) => return None,
        })
    }

    /// Which of a session's two tables this step is about.
    fn side(&self) -> Side {
        match self {
            Self::CreateTable { side, .. }
            | Self::InsertMark { side, .. }
            | Self::CheckMark { side, .. }
            | Self::CheckEmpty { side, .. }
            | Self::CheckOurs { side, .. }
            | Self::DeleteTable { side, .. } => *side,
            Self::Insert(Insert { session, .. }) => session.side(Direction::Outbound),
            Self::Read(Query { session, .. }) => session.side(Direction::Inbound),
            Self::Sweep(sweep) => sweep.table().map_or(Side::Req, |(_, side)| side),
            _ => Side::Req,
        }
    }

    /// What this step shows to the service.
    pub(super) fn shown<'a>(&'a self, store: &'a TableStore) -> Shown<'a> {
        let room = self.room();
        store
            .home()
            .shown(room.as_ref().unwrap_or(&Room::Handshake))
    }

    /// True when this step changes something in storage.
    pub(super) fn mutates(&self) -> bool {
        !matches!(
            self,
            Self::List { .. }
                | Self::GetToken { .. }
                | Self::CheckMark { .. }
                | Self::CheckEmpty { .. }
                | Self::CheckOurs { .. }
                | Self::Read(_)
                | Self::Sweep(_)
                | Self::Done(_)
        )
    }

    /// The permission letter this step takes.
    pub(super) fn permission(&self) -> char {
        match self {
            Self::PrepareHandshake | Self::PrepareToken { .. } | Self::CreateTable { .. } => 'c',
            Self::PutHandshake { .. }
            | Self::PutToken { .. }
            | Self::InsertMark { .. }
            | Self::Insert(_) => 'a',
            Self::RemoveHandshakes
            | Self::RemoveTokens
            | Self::DeleteHandshake { .. }
            | Self::DeleteToken { .. }
            | Self::TakeBack { .. }
            | Self::DeleteTable { .. } => 'd',
            _ => 'r',
        }
    }

    /// What this step does, in words that begin a line of advice.
    pub(super) fn action(&self, store: &TableStore) -> String {
        let names = store.names();
        let what = match self {
            Self::PrepareHandshake => format!("creating table {:?}", names.handshake()),
            Self::PrepareToken { .. } => format!("creating table {:?}", names.token()),
            Self::RemoveHandshakes => format!("removing table {:?}", names.handshake()),
            Self::RemoveTokens => format!("removing table {:?}", names.token()),
            Self::PutHandshake { .. } => format!("knocking in table {:?}", names.handshake()),
            Self::List { .. } => format!("listing table {:?}", names.handshake()),
            Self::DeleteHandshake { .. } => {
                format!("removing an entry of table {:?}", names.handshake())
            }
            Self::PutToken { .. } => format!("answering in table {:?}", names.token()),
            Self::GetToken { .. } => format!("fetching from table {:?}", names.token()),
            Self::DeleteToken { .. } => format!("removing an entry of table {:?}", names.token()),
            Self::CreateTable { id, .. }
            | Self::InsertMark { id, .. }
            | Self::CheckMark { id, .. }
            | Self::CheckEmpty { id, .. } => format!("creating table {}", self.side().table(id)),
            Self::CheckOurs { id, .. }
            | Self::DeleteTable { id, .. }
            | Self::TakeBack { id, .. } => format!("removing table {}", self.side().table(id)),
            Self::Insert(Insert { session, .. }) => {
                format!("writing table {}", self.side().table(session.id_ref()))
            }
            Self::Read(Query { session, .. }) => {
                format!("reading table {}", self.side().table(session.id_ref()))
            }
            Self::Sweep(sweep) => match sweep.table() {
                Some((id, side)) => format!("looking at table {}", side.table(id)),
                None => "listing tables".to_owned(),
            },
            Self::Done(_) => "nothing".to_owned(),
        };
        format!("{what} at {}", store.endpoint())
    }
}

impl TableStore {
    /// The step that removes one of a session's tables.
    pub(super) fn removal(&self, id: ConnectionId, side: Side) -> Task {
        if self.home().created().contains(&id) {
            Task::DeleteTable { id, side }
        } else {
            Task::CheckOurs { id, side }
        }
    }
}
