//! The queue carrier: two bootstrap queues, and per session a queue for each direction (wire page
//! `aznet`, azqueue).
//!
//! Reading a queue takes messages out of everybody's sight for a while, in about the order in which
//! they were put. The session puts them into order, within [`WINDOW`], and names those that can be
//! deleted; the machine decides when that is done ([`Operation::Release`]).
//!
//! [`Operation::Release`]: stillwire_core::store::Operation::Release

mod alive;
mod exchange;
mod inbox;
mod messages;
mod plan;
mod receipts;
mod session;
mod sweep;
mod task;
#[cfg(test)]
mod tests;
mod wire;

pub use crate::names::Names;
pub use crate::store::Ticket;
pub use alive::DATED_EVERY;
pub use exchange::Exchange;
pub use session::QueueSession;
pub use wire::VERSION;

use crate::credential::{Credential, Sas};
use crate::exchange::{Outcome, Step};
use crate::home::Home;
use crate::store::{AzureExchange, AzureSession, AzureStore};
use crate::{Error, Service};
use alive::Register;
use azure_core::http::Url;
use core::time::Duration;
use receipts::Receipts;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, Profile, Request, Role};

/// What the dialer may do in the queue it writes to: add.
pub const SESSION_REQ_PERMISSIONS: &str = "a";
/// What the dialer may do in the queue it reads from: take messages and delete them.
pub const SESSION_RES_PERMISSIONS: &str = "rp";
/// What the holder of a ticket may do in the handshake queue: add.
pub const HANDSHAKE_PERMISSIONS: &str = "a";
/// What the holder of a ticket may do in the token queue: look, without taking.
pub const TOKEN_PERMISSIONS: &str = "r";

/// Largest chunk, its prefix included: with the sequence number it fits into a message's 64 KiB of
/// base64, and the Go program leaves 64 bytes to spare.
pub const LARGEST_CHUNK: usize = 49_080;
/// Messages one request gets, or shows, at the most.
pub const BATCH: usize = 32;
/// How far ahead of the next chunk a message may be to be kept; also how many chunks a writer may
/// have under way.
pub const WINDOW: u16 = 256;

/// Numbers that a carrier plans with. The defaults are for the real service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages under way at once: 1 to [`WINDOW`].
    pub writes_in_flight: u16,
    /// Deletions of read messages under way at once. 0: none are deleted, they go with their queue
    /// at the end; see [`Limits::leaving`].
    pub deletes_in_flight: u16,
    /// For how long messages that were got stay out of sight. When the answer to a request is lost,
    /// its messages come back after this long. Whole seconds, 1 at the least.
    pub visibility: Duration,
    /// How long the grants for a session hold.
    pub grant_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            writes_in_flight: 16,
            // More than writes: whoever reads keeps up with whoever writes.
            deletes_in_flight: 32,
            visibility: Duration::from_secs(5),
            grant_lifetime: Duration::from_secs(24 * 3_600),
        }
    }
}

impl Limits {
    /// Deletes nothing: a third of the requests of a transfer less. The price: what was read stays
    /// hidden for five minutes and is then got and dropped once more, and a lost answer holds the
    /// stream up for as long.
    pub fn leaving() -> Self {
        Self {
            deletes_in_flight: 0,
            visibility: Duration::from_secs(300),
            ..Self::default()
        }
    }
}

#[derive(Debug)]
struct Inner {
    home: Home,
    limits: Limits,
    /// What deletes the handshakes we have listed, by the names they were given.
    handshakes: Mutex<Receipts<String>>,
    /// What deletes the tokens we have left.
    tokens: Mutex<Receipts<ConnectionId>>,
    /// The sessions we have made, and when their queues were last dated.
    register: Register,
}

/// A queue account as aznet uses it. Cheap to clone; clones are the same store.
#[derive(Clone, Debug)]
pub struct QueueStore {
    inner: Arc<Inner>,
}

impl QueueStore {
    /// A listener's store: the account at `endpoint`, which begins
    /// `https://account.queue.core.windows.net` or `http://host:port/account`.
    ///
    /// # Errors
    /// An endpoint that cannot be used.
    pub fn listener(
        endpoint: &Url,
        credential: Credential,
        names: Names,
        limits: Limits,
    ) -> Result<Self, Error> {
        Home::owner(Service::Queue, endpoint, credential, names).map(|home| Self::at(home, limits))
    }

    /// A dialer's store: the endpoint and the two SAS of a connection URL.
    ///
    /// # Errors
    /// An endpoint that cannot be used.
    pub fn dialer(
        endpoint: &Url,
        handshake: Sas,
        token: Sas,
        names: Names,
        limits: Limits,
    ) -> Result<Self, Error> {
        Home::guest(Service::Queue, endpoint, handshake, token, names)
            .map(|home| Self::at(home, limits))
    }

    fn at(home: Home, limits: Limits) -> Self {
        let inner = Inner {
            home,
            limits,
            handshakes: Mutex::default(),
            tokens: Mutex::default(),
            register: Register::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What the machine plans with.
    pub fn profile(&self) -> Profile {
        let limits = &self.inner.limits;
        Profile {
            name: "azqueue",
            largest_chunk: LARGEST_CHUNK,
            bytes_per_write: LARGEST_CHUNK,
            bytes_per_read: LARGEST_CHUNK.saturating_mul(BATCH),
            writes_in_flight: limits.writes_in_flight.clamp(1, WINDOW),
            releases_in_flight: limits.deletes_in_flight,
            writes_before_rotation: None,
            sequences: None,
            tokens_in_sight: u16::try_from(BATCH).ok(),
            shortest_poll: Duration::from_millis(10),
        }
    }

    /// The names of the bootstrap queues.
    pub fn names(&self) -> &Names {
        self.home().names()
    }

    /// Our end of a session, at the beginning of both its directions; as
    /// [`AzureStore::open_session`].
    ///
    /// # Errors
    /// Grants that are none, or missing.
    pub fn session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<(&str, &str)>,
    ) -> Result<QueueSession, Error> {
        let grants = self.home().grants(grants)?;
        Ok(QueueSession::new(self.clone(), id, role, grants))
    }

    /// One try of an operation that needs no session: all but those about the stream.
    ///
    /// # Errors
    /// A failure that shows before anything is sent.
    pub fn begin(&self, request: &Request, now: UnixTime) -> Result<Exchange, Failure> {
        Exchange::begin(self, None, request, now)
    }

    fn home(&self) -> &Home {
        &self.inner.home
    }

    fn register(&self) -> &Register {
        &self.inner.register
    }

    fn handshakes(&self) -> MutexGuard<'_, Receipts<String>> {
        let lock = self.inner.handshakes.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, Receipts<ConnectionId>> {
        let lock = self.inner.tokens.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

impl AzureStore for QueueStore {
    fn service(&self) -> Service {
        Service::Queue
    }

    fn profile(&self) -> Profile {
        Self::profile(self)
    }

    fn endpoint(&self) -> &Url {
        self.home().endpoint()
    }

    fn credential(&self) -> Option<&Credential> {
        self.home().credential()
    }

    fn ticket(&self, now: UnixTime, lifetime: Duration) -> Result<Ticket, Error> {
        let permissions = (HANDSHAKE_PERMISSIONS, TOKEN_PERMISSIONS);
        self.home().ticket(permissions, now, lifetime)
    }

    fn open_session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<(&str, &str)>,
    ) -> Result<Arc<dyn AzureSession>, Error> {
        Ok(Arc::new(self.session(id, role, grants)?))
    }

    fn begin_exchange(
        &self,
        request: &Request,
        now: UnixTime,
    ) -> Result<Box<dyn AzureExchange>, Failure> {
        Ok(Box::new(self.begin(request, now)?))
    }
}

impl AzureSession for QueueSession {
    fn begin_exchange(
        &self,
        request: &Request,
        now: UnixTime,
    ) -> Result<Box<dyn AzureExchange>, Failure> {
        Ok(Box::new(self.begin(request, now)?))
    }
}

impl AzureExchange for Exchange {
    fn step(&self) -> Step {
        Self::step(self)
    }

    fn body_limit(&self) -> usize {
        Self::body_limit(self)
    }

    fn handle(&mut self, outcome: Outcome) {
        Self::handle(self, outcome);
    }
}
