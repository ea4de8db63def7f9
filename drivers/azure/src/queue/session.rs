//! One end of a session: a queue it writes to and one it reads from.

use super::inbox::Inbox;
use super::receipts::Receipt;
use super::{Exchange, QueueStore};
use crate::credential::Sas;
use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Direction, Failure, Request, Role};

/// One of the two queues of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Dialer to listener.
    Req,
    /// Listener to dialer.
    Res,
}

impl Way {
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Req => "req-",
            Self::Res => "res-",
        }
    }
}

struct Shared {
    store: QueueStore,
    id: ConnectionId,
    role: Role,
    grants: Option<(Sas, Sas)>,
    inbox: Mutex<Inbox>,
}

/// Our end of a session. One read may be under way at a time, and any number of writes and
/// releases. Cheap to clone; clones are the same session.
#[derive(Clone)]
pub struct QueueSession {
    shared: Arc<Shared>,
}

impl QueueSession {
    pub(super) fn new(
        store: QueueStore,
        id: ConnectionId,
        role: Role,
        grants: Option<(Sas, Sas)>,
    ) -> Self {
        let shared = Shared {
            store,
            id,
            role,
            grants,
            inbox: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// One try of any operation; those about the stream are about this session.
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

    /// Chunks held here because those before them have not come yet: at most [`WINDOW`].
    ///
    /// [`WINDOW`]: super::WINDOW
    pub fn held(&self) -> usize {
        self.inbox().held()
    }

    pub(super) fn id_ref(&self) -> &ConnectionId {
        &self.shared.id
    }

    /// The queue of a direction.
    pub(super) fn way(&self, direction: Direction) -> Way {
        match (self.shared.role, direction) {
            (Role::Dialer, Direction::Outbound) | (Role::Listener, Direction::Inbound) => Way::Req,
            (Role::Dialer, Direction::Inbound) | (Role::Listener, Direction::Outbound) => Way::Res,
        }
    }

    /// The grant for a direction.
    pub(super) fn grant(&self, direction: Direction) -> Option<&Sas> {
        let (req, res) = self.shared.grants.as_ref()?;
        Some(match direction {
            Direction::Outbound => req,
            Direction::Inbound => res,
        })
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        let lock = self.shared.inbox.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for QueueSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSession")
            .field("id", &self.shared.id)
            .field("role", &self.shared.role)
            .finish_non_exhaustive()
    }
}

/// A message that is to be deleted. Dropped before that is certain, it is remembered again.
pub(super) struct Deletion {
    session: QueueSession,
    receipt: Option<Receipt>,
}

impl Deletion {
    /// The next message that can go.
    pub(super) fn next(session: &QueueSession) -> Option<Self> {
        let receipt = session.inbox().next_deletable()?;
        Some(Self {
            session: session.clone(),
            receipt: Some(receipt),
        })
    }

    pub(super) fn session(&self) -> &QueueSession {
        &self.session
    }

    pub(super) fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// The message is gone, or has another pop receipt by now.
    pub(super) fn done(&mut self) {
        self.receipt = None;
    }
}

impl Drop for Deletion {
    fn drop(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            self.session.inbox().put_back(receipt);
        }
    }
}
