//! One end of a session: which table it writes and which it reads.

use super::{Exchange, LARGEST_CHUNK, TableStore};
use crate::credential::Sas;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Direction, Failure, Request, Role};

/// Rows a query asks for at the most (wire page `aznet`, aztable).
const MOST_ROWS: usize = 100;

/// One of a session's two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// From dialer to listener.
    Req,
    /// From listener to dialer.
    Res,
}

impl Side {
    /// Name of the table: the connection id without its hyphens behind the side's word.
    pub(super) fn table(self, id: &ConnectionId) -> String {
        let word = match self {
            Self::Req => "req",
            Self::Res => "res",
        };
        let id = id.to_string().replace('-', "");
        format!("{word}{id}")
    }
}

struct Shared {
    store: TableStore,
    id: ConnectionId,
    role: Role,
    grants: Option<(Sas, Sas)>,
    /// The service refused a transaction: rows go one by one from then on.
    single: AtomicBool,
    /// Bytes of an average row of the last page, at least 1.
    row: AtomicUsize,
}

/// Our end of a session. A row's key is the machine's sequence number, so there is no place to
/// keep here, and an exchange may be dropped at any point. Any number may be under way at once.
/// Cheap to clone; clones are the same session.
#[derive(Clone)]
pub struct TableSession {
    shared: Arc<Shared>,
}

impl TableSession {
    pub(super) fn new(
        store: TableStore,
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
                single: AtomicBool::new(false),
                row: AtomicUsize::new(1),
            }),
        }
    }

    /// One try of any operation; write and read are about this session.
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

    pub(super) fn id_ref(&self) -> &ConnectionId {
        &self.shared.id
    }

    pub(super) fn side(&self, direction: Direction) -> Side {
        match (self.shared.role, direction) {
            (Role::Dialer, Direction::Outbound) | (Role::Listener, Direction::Inbound) => Side::Req,
            (Role::Dialer, Direction::Inbound) | (Role::Listener, Direction::Outbound) => Side::Res,
        }
    }

    /// The grant for writing, when we are not the account's owner.
    pub(super) fn writing(&self) -> Option<&Sas> {
        self.shared.grants.as_ref().map(|(req, _)| req)
    }

    /// The grant for reading.
    pub(super) fn reading(&self) -> Option<&Sas> {
        self.shared.grants.as_ref().map(|(_, res)| res)
    }

    /// True once a transaction was refused here.
    pub(super) fn writes_single_rows(&self) -> bool {
        self.shared.single.load(Ordering::Relaxed)
    }

    pub(super) fn write_single_rows(&self) {
        self.shared.single.store(true, Ordering::Relaxed);
    }

    /// Rows to ask for when `limit` bytes are wanted, going by the last page: what is beyond the
    /// limit would come over the wire for nothing.
    pub(super) fn rows_for(&self, limit: usize) -> usize {
        let row = self.shared.row.load(Ordering::Relaxed).max(1);
        limit
            .checked_div(row)
            .unwrap_or_default()
            .clamp(1, MOST_ROWS)
    }

    pub(super) fn saw_rows(&self, rows: usize, bytes: usize) {
        if let Some(row) = bytes.checked_div(rows) {
            let row = row.clamp(1, LARGEST_CHUNK);
            self.shared.row.store(row, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for TableSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableSession")
            .field("id", &self.shared.id)
            .field("role", &self.shared.role)
            .finish_non_exhaustive()
    }
}
