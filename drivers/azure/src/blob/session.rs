//! One end of a session: where it writes and where it reads.

use super::{BlobStore, Exchange};
use crate::credential::Sas;
use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Direction, Failure, Request, Role};

/// A place in a direction's run of blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Number of the blob.
    pub(super) number: u32,
    /// Bytes before this place in it.
    pub(super) offset: u64,
}

struct Shared {
    store: BlobStore,
    id: ConnectionId,
    role: Role,
    grants: Option<(Sas, Sas)>,
    outbound: Mutex<Place>,
    inbound: Mutex<Place>,
}

/// Our end of a session. It keeps its own offsets, which move only when a response was accepted,
/// so an exchange may be dropped at any point. One read and one write may be under way at once.
/// Cheap to clone; clones are the same session.
#[derive(Clone)]
pub struct BlobSession {
    shared: Arc<Shared>,
}

impl BlobSession {
    pub(super) fn new(
        store: BlobStore,
        id: ConnectionId,
        role: Role,
        grants: Option<(Sas, Sas)>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                id,
                role,
                grants,
                outbound: Mutex::default(),
                inbound: Mutex::default(),
            }),
        }
    }

    /// One try of any operation; write, read and rotate are about this session.
    ///
    /// # Errors
    /// A failure that shows before anything is sent.
    pub fn begin(&self, request: &Request, now: UnixTime) -> Result<Exchange, Failure> {
        Exchange::begin(&self.shared.store, Some(self), request, now)
    }

    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.shared.id
    }

    /// Number of the blob and offset in it where the next write goes, or the next read begins.
    pub fn position(&self, direction: Direction) -> (u32, u64) {
        let place = self.place(direction);
        (place.number, place.offset)
    }

    pub(super) fn id_ref(&self) -> &ConnectionId {
        &self.shared.id
    }

    pub(super) fn place(&self, direction: Direction) -> Place {
        *self.lock(direction)
    }

    /// Moves from one place to another, unless an exchange that ended earlier did so already.
    /// Says whether it moved.
    pub(super) fn advance(&self, direction: Direction, from: Place, to: Place) -> bool {
        let mut place = self.lock(direction);
        let moved = *place == from;
        if moved {
            *place = to;
        }
        moved
    }

    fn lock(&self, direction: Direction) -> MutexGuard<'_, Place> {
        let lock = match direction {
            Direction::Outbound => self.shared.outbound.lock(),
            Direction::Inbound => self.shared.inbound.lock(),
        };
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Name of a direction's blob.
    pub(super) fn blob(&self, direction: Direction, number: u32) -> String {
        let prefix = match (self.shared.role, direction) {
            (Role::Dialer, Direction::Outbound) | (Role::Listener, Direction::Inbound) => "req",
            (Role::Dialer, Direction::Inbound) | (Role::Listener, Direction::Outbound) => "res",
        };
        format!("{prefix}-{number}")
    }

    /// The grant for writing to the session's container.
    pub(super) fn writing(&self) -> Option<&Sas> {
        self.shared.grants.as_ref().map(|(req, _)| req)
    }

    /// The grant for reading in it.
    pub(super) fn reading(&self) -> Option<&Sas> {
        self.shared.grants.as_ref().map(|(_, res)| res)
    }
}

impl fmt::Debug for BlobSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobSession")
            .field("id", &self.shared.id)
            .field("role", &self.shared.role)
            .field("outbound", &self.place(Direction::Outbound))
            .field("inbound", &self.place(Direction::Inbound))
            .finish_non_exhaustive()
    }
}
