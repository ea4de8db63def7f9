//! The blob carrier: two bootstrap containers, and per session a container with two runs of append
//! blobs (wire page `aznet`, azblob).

mod answer;
mod exchange;
mod listing;
mod plan;
mod session;
mod sweep;
mod task;
#[cfg(test)]
mod tests;
mod wire;

pub use exchange::Exchange;
pub use session::BlobSession;
pub use wire::{APPEND_VERSION, VERSION};

pub use crate::home::SAS_BACKDATE;
pub use crate::names::Names;
pub use crate::store::Ticket;

use crate::credential::{Credential, Sas};
use crate::exchange::{Outcome, Step};
use crate::home::Home;
use crate::store::{AzureExchange, AzureSession, AzureStore};
use crate::{Error, Service};
use azure_core::http::Url;
use core::time::Duration;
use std::sync::Arc;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, Profile, Request, Role};

/// What the dialer may do in its session's container with the grant it writes with: append to
/// `req-0`, and create the next blob when it rotates. No delete, no list, no overwriting. Read is
/// in it because the Go dialer reads with this grant as well: without, its first read is refused.
pub const SESSION_REQ_PERMISSIONS: &str = "rac";
/// What the dialer may do in its session's container with the grant it reads with.
pub const SESSION_RES_PERMISSIONS: &str = "r";
/// What the holder of a ticket may do in the handshake container: create entries.
pub const HANDSHAKE_PERMISSIONS: &str = "c";
/// What the holder of a ticket may do in the token container: read an entry whose name it knows.
pub const TOKEN_PERMISSIONS: &str = "r";

/// Largest chunk, its prefix included.
pub const LARGEST_CHUNK: usize = 4_194_304;
/// Numbers that a carrier plans with. The defaults are for the real service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes one append carries at the most: [`LARGEST_CHUNK`] to 100 MiB.
    pub bytes_per_write: usize,
    /// Bytes one ranged read asks for at the most.
    pub bytes_per_read: usize,
    /// Appends a blob takes before it must be rotated; the service's own limit is 50,000.
    pub writes_before_rotation: u32,
    /// How long the grants for a session hold.
    pub grant_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_per_write: 16 * 1_024 * 1_024,
            bytes_per_read: 16 * 1_024 * 1_024,
            writes_before_rotation: 49_990,
            grant_lifetime: Duration::from_secs(24 * 3_600),
        }
    }
}

#[derive(Debug)]
struct Inner {
    home: Home,
    limits: Limits,
}

/// A blob account as aznet uses it. Cheap to clone; clones are the same store.
#[derive(Clone, Debug)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

impl BlobStore {
    /// A listener's store: the account at `endpoint`, which begins
    /// `https://account.blob.core.windows.net` or `http://host:port/account`.
    ///
    /// Requests must go through [`crate::SharedKeyPolicy`] when the credential is a key; a SAS
    /// is put into their URLs.
    pub fn listener(
        endpoint: &Url,
        credential: Credential,
        names: Names,
        limits: Limits,
    ) -> Result<Self, Error> {
        Home::owner(Service::Blob, endpoint, credential, names).map(|home| Self::at(home, limits))
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
        Home::guest(Service::Blob, endpoint, handshake, token, names)
            .map(|home| Self::at(home, limits))
    }

    fn at(home: Home, limits: Limits) -> Self {
        let inner = Arc::new(Inner { home, limits });
        Self { inner }
    }

    /// What the machine plans with.
    pub fn profile(&self) -> Profile {
        let limits = &self.inner.limits;
        Profile {
            name: "azblob",
            largest_chunk: LARGEST_CHUNK,
            bytes_per_write: limits.bytes_per_write,
            bytes_per_read: limits.bytes_per_read,
            writes_in_flight: 1,
            releases_in_flight: 0,
            writes_before_rotation: Some(limits.writes_before_rotation),
            sequences: None,
            tokens_in_sight: None,
            shortest_poll: Duration::from_millis(10),
        }
    }

    /// The endpoint, without a credential in it.
    pub fn endpoint(&self) -> &Url {
        self.inner.home.endpoint()
    }

    /// The names of the bootstrap containers.
    pub fn names(&self) -> &Names {
        self.inner.home.names()
    }

    /// The account's credential, for a listener's store.
    pub fn credential(&self) -> Option<&Credential> {
        self.inner.home.credential()
    }

    /// Our end of a session, at the beginning of both its directions.
    ///
    /// A dialer's store needs `grants`, the two SAS texts (`req`, `res`) of message 2; a
    /// listener's does without.
    pub fn session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<(&str, &str)>,
    ) -> Result<BlobSession, Error> {
        let grants = self.inner.home.grants(grants)?;
        Ok(BlobSession::new(self.clone(), id, role, grants))
    }

    /// One try of an operation that needs no session: all but write, read and rotate.
    ///
    /// # Errors
    /// A failure that shows before anything is sent.
    pub fn begin(&self, request: &Request, now: UnixTime) -> Result<Exchange, Failure> {
        Exchange::begin(self, None, request, now)
    }

    /// Makes the pieces of a connection URL; the SAS begin [`SAS_BACKDATE`] before `now`.
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

impl AzureStore for BlobStore {
    fn service(&self) -> Service {
        Service::Blob
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

impl AzureSession for BlobSession {
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
