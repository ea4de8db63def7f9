//! What an exchange is at: the HTTP request of each step.

use super::BlobStore;
use super::session::{BlobSession, Place};
use super::sweep::Sweep;
use super::wire::Target;
use crate::failure::Shown;
use crate::home::Room;
use azure_core::http::Request;
use bytes::Bytes;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Direction, Failure, Reply};

/// One of the two blobs a session begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    Req,
    Res,
}

impl First {
    const fn blob(self) -> &'static str {
        match self {
            Self::Req => "req-0",
            Self::Res => "res-0",
        }
    }
}

/// The step an exchange is at.
#[derive(Clone)]
pub(super) enum Task {
    /// Before anything is created: is this blob storage at all?
    LookAround,
    PrepareHandshake,
    PrepareToken {
        created: bool,
    },
    RemoveHandshakes,
    RemoveTokens,
    PutHandshake {
        id: ConnectionId,
        payload: String,
    },
    List {
        after: Option<String>,
        limit: u16,
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
    CreateContainer {
        id: ConnectionId,
        mark: String,
    },
    /// After an ambiguous creation: whose container is it?
    CheckMark {
        id: ConnectionId,
        mark: String,
    },
    CreateBlob {
        id: ConnectionId,
        first: First,
    },
    /// Before deleting a session that this store does not remember: is it one of ours at all?
    CheckOurs {
        id: ConnectionId,
    },
    DeleteContainer {
        id: ConnectionId,
    },
    /// Looking for what dead listeners left.
    Sweep(Sweep),
    Append {
        session: BlobSession,
        place: Place,
        bytes: Bytes,
    },
    /// After an ambiguous append: is the blob as long as if it had landed?
    Measure {
        session: BlobSession,
        place: Place,
        appended: u64,
    },
    Read {
        session: BlobSession,
        place: Place,
        limit: usize,
    },
    CreateNext {
        session: BlobSession,
        place: Place,
        number: u32,
    },
    /// After a refused creation: is the blob there?
    FindNext {
        session: BlobSession,
        place: Place,
        number: u32,
    },
    Done(Result<Reply, Failure>),
}

impl Task {
    /// The request of this step; [`None`] when it is over.
    pub(super) fn request(&self, store: &BlobStore, now: UnixTime) -> Option<Request> {
        let room = self.room()?;
        let name;
        let container = match &room {
            Room::Handshake => store.names().handshake(),
            Room::Token => store.names().token(),
            Room::Session(id, _) => {
                name = id.to_string();
                &name
            }
            Room::Account => "",
        };
        let target = Target {
            endpoint: store.endpoint(),
            container,
            sas: match store.home().shown(&room) {
                Shown::Sas(sas) => Some(sas),
                Shown::Key(_) => None,
            },
        };
        Some(match self {
            Self::PrepareHandshake | Self::PrepareToken { .. } => target.create_container(),
            Self::PutHandshake { id, payload } => {
                target.put_metadata_blob(&id.to_string(), payload)
            }
            Self::List { after, limit } => target.list(*limit, after.as_deref()),
            Self::DeleteHandshake { name } => target.delete_blob(name),
            Self::PutToken { id, message } => target.put_blob(&id.to_string(), message.clone()),
            Self::GetToken { id } => target.read_blob(&id.to_string()),
            Self::DeleteToken { id } => target.delete_blob(&id.to_string()),
            Self::CreateContainer { mark, .. } => target.create_session(mark, now.as_secs()),
            Self::LookAround | Self::CheckMark { .. } | Self::CheckOurs { .. } => {
                target.container_properties()
            }
            Self::CreateBlob { first, .. } => target.create_append_blob(first.blob()),
            Self::RemoveHandshakes | Self::RemoveTokens | Self::DeleteContainer { .. } => {
                target.delete_container()
            }
            Self::Sweep(Sweep::List { after, limit }) => {
                target.list_containers(*limit, after.as_deref())
            }
            Self::Sweep(Sweep::Mark { .. }) => target.container_properties(),
            Self::Sweep(Sweep::Age { .. }) => target.list(5_000, None),
            Self::Append {
                session,
                place,
                bytes,
            } => target.append(
                &session.blob(Direction::Outbound, place.number),
                place.offset,
                bytes.clone(),
            ),
            Self::Measure { session, place, .. } => {
                target.blob_properties(&session.blob(Direction::Outbound, place.number))
            }
            Self::Read {
                session,
                place,
                limit,
            } => target.read_range(
                &session.blob(Direction::Inbound, place.number),
                place.offset,
                *limit,
            ),
            Self::CreateNext {
                session, number, ..
            } => target.create_append_blob(&session.blob(Direction::Outbound, *number)),
            Self::FindNext {
                session, number, ..
            } => target.blob_properties(&session.blob(Direction::Outbound, *number)),
            Self::Done(_) => return None,
        })
    }

    fn room(&self) -> Option<Room<'_>> {
        Some(match self {
            Self::LookAround
            | Self::PrepareHandshake
            | Self::RemoveHandshakes
            | Self::PutHandshake { .. }
            | Self::List { .. }
            | Self::DeleteHandshake { .. } => Room::Handshake,
            Self::PrepareToken { .. }
            | Self::RemoveTokens
            | Self::PutToken { .. }
            | Self::GetToken { .. }
            | Self::DeleteToken { .. } => Room::Token,
            Self::CreateContainer { id, .. }
            | Self::CheckMark { id, .. }
            | Self::CreateBlob { id, .. }
            | Self::CheckOurs { id }
            | Self::DeleteContainer { id }
            | Self::Sweep(Sweep::Mark { id } | Sweep::Age { id, .. }) => Room::Session(id, None),
            Self::Sweep(Sweep::List { .. }) => Room::Account,
            Self::Append { session, .. } | Self::CreateNext { session, .. } => {
                Room::Session(session.id_ref(), session.writing())
            }
            // Even our own blobs are looked at with the grant that lets us read.
            Self::Measure { session, .. }
            | Self::Read { session, .. }
            | Self::FindNext { session, .. } => Room::Session(session.id_ref(), session.reading()),
            Self::Done(_) => return None,
        })
    }

    /// What this step shows to the service.
    pub(super) fn shown<'a>(&'a self, store: &'a BlobStore) -> Shown<'a> {
        let room = self.room();
        store
            .home()
            .shown(room.as_ref().unwrap_or(&Room::Handshake))
    }

    /// True when this step changes something in storage.
    pub(super) fn mutates(&self) -> bool {
        !matches!(
            self,
            Self::LookAround
                | Self::List { .. }
                | Self::GetToken { .. }
                | Self::CheckMark { .. }
                | Self::CheckOurs { .. }
                | Self::Sweep(_)
                | Self::Measure { .. }
                | Self::Read { .. }
                | Self::FindNext { .. }
                | Self::Done(_)
        )
    }

    /// The permission letter this step takes.
    pub(super) fn permission(&self) -> char {
        match self {
            Self::PrepareHandshake
            | Self::PrepareToken { .. }
            | Self::PutHandshake { .. }
            | Self::PutToken { .. }
            | Self::CreateContainer { .. }
            | Self::CreateBlob { .. }
            | Self::CreateNext { .. } => 'c',
            Self::List { .. } | Self::Sweep(Sweep::List { .. } | Sweep::Age { .. }) => 'l',
            Self::RemoveHandshakes
            | Self::RemoveTokens
            | Self::DeleteHandshake { .. }
            | Self::DeleteToken { .. }
            | Self::DeleteContainer { .. } => 'd',
            Self::Append { .. } => 'a',
            _ => 'r',
        }
    }

    /// What this step does, in words that begin a line of advice.
    pub(super) fn action(&self, store: &BlobStore) -> String {
        let names = store.names();
        let what = match self {
            Self::LookAround => format!("looking for container {:?}", names.handshake()),
            Self::PrepareHandshake => format!("creating container {:?}", names.handshake()),
            Self::PrepareToken { .. } => format!("creating container {:?}", names.token()),
            Self::RemoveHandshakes => format!("removing container {:?}", names.handshake()),
            Self::RemoveTokens => format!("removing container {:?}", names.token()),
            Self::PutHandshake { .. } => format!("knocking in container {:?}", names.handshake()),
            Self::List { .. } => format!("listing container {:?}", names.handshake()),
            Self::DeleteHandshake { .. } => {
                format!("removing an entry of container {:?}", names.handshake())
            }
            Self::PutToken { .. } => format!("answering in container {:?}", names.token()),
            Self::GetToken { .. } => format!("fetching from container {:?}", names.token()),
            Self::DeleteToken { .. } => {
                format!("removing an entry of container {:?}", names.token())
            }
            Self::CreateContainer { id, .. }
            | Self::CheckMark { id, .. }
            | Self::CreateBlob { id, .. } => format!("creating session {id}"),
            Self::CheckOurs { id } | Self::DeleteContainer { id } => {
                format!("removing session {id}")
            }
            Self::Sweep(Sweep::List { .. }) => "listing containers".to_owned(),
            Self::Sweep(Sweep::Mark { id } | Sweep::Age { id, .. }) => {
                format!("looking at session {id}")
            }
            Self::Append { session, place, .. } | Self::Measure { session, place, .. } => format!(
                "writing {} of session {}",
                session.blob(Direction::Outbound, place.number),
                session.id()
            ),
            Self::Read { session, place, .. } => format!(
                "reading {} of session {}",
                session.blob(Direction::Inbound, place.number),
                session.id()
            ),
            Self::CreateNext {
                session, number, ..
            }
            | Self::FindNext {
                session, number, ..
            } => format!(
                "creating {} of session {}",
                session.blob(Direction::Outbound, *number),
                session.id()
            ),
            Self::Done(_) => "nothing".to_owned(),
        };
        format!("{what} at {}", store.endpoint())
    }
}
