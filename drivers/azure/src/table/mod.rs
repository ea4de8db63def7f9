//! The table carrier: two bootstrap tables, and per session a table for each direction, one row per
//! chunk (wire page `aznet`, aztable).

mod answers;
mod batch;
mod exchange;
mod plan;
mod rows;
mod run;
mod session;
mod sweep;
mod task;
#[cfg(test)]
mod tests;
mod wire;

pub use exchange::Exchange;
pub use session::TableSession;
pub use wire::VERSION;

use crate::credential::{Credential, Sas};
use crate::exchange::{Outcome, Step};
use crate::home::Home;
use crate::{AzureExchange, AzureSession, AzureStore, Error, Names, Service, Ticket};
use azure_core::http::Url;
use core::time::Duration;
use std::sync::Arc;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::wire::table::{LARGEST_PROPERTY, PROPERTIES, ROWS};
use stillwire_core::store::{Failure, Profile, Request, Role};

/// What the dialer may do with the grant for the table it writes: add rows. It can neither read
/// them back nor change them.
pub const SESSION_REQ_PERMISSIONS: &str = "a";
/// What the dialer may do with the grant for the table it reads.
pub const SESSION_RES_PERMISSIONS: &str = "r";
/// What the holder of a ticket may do in the handshake table: add entries.
pub const HANDSHAKE_PERMISSIONS: &str = "a";
/// What the holder of a ticket may do in the token table. A table SAS cannot be narrowed to one
/// row whose key nobody knows yet; what the rows hold is sealed.
pub const TOKEN_PERMISSIONS: &str = "r";

/// Largest chunk, its prefix included: 15 binary properties.
pub const LARGEST_CHUNK: usize = LARGEST_PROPERTY.saturating_mul(PROPERTIES);
/// Rows of the largest chunks that one transaction of 4 MiB takes, with their base64.
const ROWS_OF_A_TRANSACTION: usize = 3;

/// Numbers that a carrier plans with. The defaults are for the real service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows in flight at once, 1 to 256.
    pub rows_in_flight: u16,
    /// Bytes of chunks one query brings at the most.
    pub bytes_per_read: usize,
    /// Write several rows in one transaction under a grant as well, not only with the account's
    /// key. The emulator refuses that; refused once, rows go one by one.
    pub transactions_with_grant: bool,
    /// How long the grants for a session hold.
    pub grant_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows_in_flight: 16,
            // Four of the largest rows: the next are read while these are worked on.
            bytes_per_read: 4 * 1_024 * 1_024,
            transactions_with_grant: false,
            grant_lifetime: Duration::from_secs(24 * 3_600),
        }
    }
}

#[derive(Debug)]
struct Inner {
    home: Home,
    limits: Limits,
}

/// A table account as aznet uses it. Cheap to clone; clones are the same store.
#[derive(Clone, Debug)]
pub struct TableStore {
    inner: Arc<Inner>,
}

impl TableStore {
    /// A listener's store: the account at `endpoint`, which begins
    /// `https://account.table.core.windows.net` or `http://host:port/account`.
    ///
    /// Requests must go through [`crate::SharedKeyPolicy`] when the credential is a key; a SAS
    /// is put into their URLs.
    pub fn listener(
        endpoint: &Url,
        credential: Credential,
        names: Names,
        limits: Limits,
    ) -> Result<Self, Error> {
        let home = Home::owner(Service::Table, endpoint, credential, names)?;
        Ok(Self::new(home, limits))
    }

    /// A dialer's store: the endpoint and the two SAS of a connection URL. Its requests carry
    /// their SAS in the URL and must not be signed.
    pub fn dialer(
        endpoint: &Url,
        handshake: Sas,
        token: Sas,
        names: Names,
        limits: Limits,
    ) -> Result<Self, Error> {
        let home = Home::guest(Service::Table, endpoint, handshake, token, names)?;
        Ok(Self::new(home, limits))
    }

    fn new(home: Home, limits: Limits) -> Self {
        Self {
            inner: Arc::new(Inner { home, limits }),
        }
    }

    /// What the machine plans with.
    pub fn profile(&self) -> Profile {
        let limits = &self.inner.limits;
        let rows = if self.transacts() {
            ROWS_OF_A_TRANSACTION
        } else {
            1
        };
        let writes = usize::from(limits.rows_in_flight)
            .checked_div(rows)
            .unwrap_or_default()
            .clamp(1, 256);
        Profile {
            name: "aztable",
            largest_chunk: LARGEST_CHUNK,
            bytes_per_write: LARGEST_CHUNK.saturating_mul(rows),
            bytes_per_read: limits.bytes_per_read.max(LARGEST_CHUNK),
            writes_in_flight: writes as u16,
            writes_before_rotation: None,
            releases_in_flight: 0,
            sequences: Some(ROWS),
            tokens_in_sight: None,
            shortest_poll: Duration::from_millis(10),
        }
    }

    /// True when several rows are written at once.
    fn transacts(&self) -> bool {
        self.home().owns() || self.inner.limits.transactions_with_grant
    }

    /// The endpoint, without a credential in it.
    pub fn endpoint(&self) -> &Url {
        self.inner.home.endpoint()
    }

    /// The names of the bootstrap tables.
    pub fn names(&self) -> &Names {
        self.inner.home.names()
    }

    /// The account's credential, for a listener's store.
    pub fn credential(&self) -> Option<&Credential> {
        self.inner.home.credential()
    }

    /// Our end of a session.
    ///
    /// A dialer's store needs `grants`, the two SAS texts (`req`, `res`) of message 2; a
    /// listener's does without.
    pub fn session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<(&str, &str)>,
    ) -> Result<TableSession, Error> {
        let grants = self.inner.home.grants(grants)?;
        Ok(TableSession::new(self.clone(), id, role, grants))
    }

    /// One try of an operation that needs no session: all but write, read and rotate.
    ///
    /// # Errors
    /// A failure that shows before anything is sent.
    pub fn begin(&self, request: &Request, now: UnixTime) -> Result<Exchange, Failure> {
        Exchange::begin(self, None, request, now)
    }

    /// Makes the pieces of a connection URL; the SAS begin five minutes before `now`.
    ///
    /// # Errors
    /// [`Error::CannotSign`] without an account key.
    pub fn ticket(&self, now: UnixTime, lifetime: Duration) -> Result<Ticket, Error> {
        let permissions = (HANDSHAKE_PERMISSIONS, TOKEN_PERMISSIONS);
        self.inner.home.ticket(permissions, now, lifetime)
    }

    fn home(&self) -> &Home {
        &self.inner.home
    }
}

impl AzureStore for TableStore {
    fn service(&self) -> Service {
        Service::Table
    }

    fn profile(&self) -> Profile {
        Self::profile(self)
    }

    fn endpoint(&self) -> &Url {
        Self::endpoint(self)
    }

    fn credential(&self) -> Option<&Credential> {
        Self::credential(self)
    }

    fn ticket(&self, now: UnixTime, lifetime: Duration) -> Result<Ticket, Error> {
        Self::ticket(self, now, lifetime)
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

impl AzureSession for TableSession {
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
