//! The blob carrier: two bootstrap containers, and per session a container with two runs of append
//! blobs (wire page `aznet`, azblob).

mod exchange;
mod listing;
mod plan;
mod session;
mod task;
#[cfg(test)]
mod tests;
mod wire;

pub use exchange::Exchange;
pub use session::BlobSession;
pub use wire::{APPEND_VERSION, VERSION};

use crate::credential::{Credential, Sas};
use crate::sas::{self, Protocol, ServiceSas};
use crate::{Error, Service};
use azure_core::http::Url;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
/// How far back a SAS of ours begins, for clocks that differ.
pub const SAS_BACKDATE: Duration = Duration::from_secs(300);
/// Sessions remembered as ours; those beyond are recognised by their mark in storage.
const REMEMBERED: usize = 65_536;

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

/// Names of the two bootstrap containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    handshake: String,
    token: String,
}

impl Names {
    /// Takes two different container names.
    pub fn new(handshake: impl Into<String>, token: impl Into<String>) -> Result<Self, Error> {
        let names = Self {
            handshake: handshake.into(),
            token: token.into(),
        };
        for name in [&names.handshake, &names.token] {
            if !is_container_name(name) {
                return Err(Error::Name(name.clone()));
            }
        }
        if names.handshake == names.token {
            return Err(Error::Name(names.token));
        }
        Ok(names)
    }

    /// The container dialers write to.
    pub fn handshake(&self) -> &str {
        &self.handshake
    }

    /// The container dialers read from.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl Default for Names {
    fn default() -> Self {
        Self {
            handshake: "handshake".into(),
            token: "token".into(),
        }
    }
}

fn is_container_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(good)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// What a dialer needs to know: the pieces of a connection URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The blob endpoint, without a slash at its end.
    pub endpoint: String,
    /// SAS for the handshake container: a secret.
    pub handshake: Sas,
    /// SAS for the token container: a secret.
    pub token: Sas,
    /// Names of the two, which are the parameter names in the URL.
    pub names: Names,
}

/// What a store may show to the service.
#[derive(Debug)]
enum Access {
    /// The whole account.
    Owner(Credential),
    /// The bootstrap containers, one SAS for each.
    Guest { handshake: Sas, token: Sas },
}

#[derive(Debug)]
struct Inner {
    endpoint: Url,
    names: Names,
    limits: Limits,
    access: Access,
    /// Sessions whose container this very store created: these it may delete unasked.
    created: Mutex<BTreeSet<ConnectionId>>,
    /// Both bootstrap containers were created by this very store.
    made_bootstrap: AtomicBool,
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
        Self::new(endpoint, Access::Owner(credential), names, limits)
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
        Self::new(endpoint, Access::Guest { handshake, token }, names, limits)
    }

    fn new(endpoint: &Url, access: Access, names: Names, limits: Limits) -> Result<Self, Error> {
        let endpoint = crate::address::check_endpoint(endpoint)?;
        Ok(Self {
            inner: Arc::new(Inner {
                endpoint,
                names,
                limits,
                access,
                created: Mutex::default(),
                made_bootstrap: AtomicBool::new(false),
            }),
        })
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
            writes_before_rotation: Some(limits.writes_before_rotation),
            sequences: None,
            shortest_poll: Duration::from_millis(10),
        }
    }

    /// The endpoint, without a credential in it.
    pub fn endpoint(&self) -> &Url {
        &self.inner.endpoint
    }

    /// The names of the bootstrap containers.
    pub fn names(&self) -> &Names {
        &self.inner.names
    }

    /// The account's credential, for a listener's store.
    pub fn credential(&self) -> Option<&Credential> {
        match &self.inner.access {
            Access::Owner(credential) => Some(credential),
            Access::Guest { .. } => None,
        }
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
        let grants = match grants {
            Some((req, res)) => Some((Sas::parse(req)?, Sas::parse(res)?)),
            None if matches!(self.inner.access, Access::Guest { .. }) => {
                return Err(Error::NoCredential);
            }
            None => None,
        };
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
        let names = self.inner.names.clone();
        let mint = |resource, permissions| self.mint(resource, permissions, now, lifetime);
        Ok(Ticket {
            endpoint: self.inner.endpoint.as_str().trim_end_matches('/').into(),
            handshake: mint(names.handshake(), HANDSHAKE_PERMISSIONS)?,
            token: mint(names.token(), TOKEN_PERMISSIONS)?,
            names,
        })
    }

    fn mint(
        &self,
        resource: &str,
        permissions: &str,
        now: UnixTime,
        lifetime: Duration,
    ) -> Result<Sas, Error> {
        let Access::Owner(Credential::SharedKey { account, key }) = &self.inner.access else {
            return Err(Error::CannotSign);
        };
        let protocol = match self.inner.endpoint.scheme() {
            "https" => Protocol::Https,
            _ => Protocol::HttpsHttp,
        };
        ServiceSas {
            service: Service::Blob,
            resource,
            permissions,
            start: Some(now.before(SAS_BACKDATE)),
            expiry: now.after(lifetime),
            protocol,
            version: sas::VERSION,
        }
        .sign(account, key)?
        .to_sas()
    }

    fn created(&self) -> MutexGuard<'_, BTreeSet<ConnectionId>> {
        let lock = self.inner.created.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    fn made_bootstrap(&self) -> bool {
        self.inner.made_bootstrap.load(Ordering::Relaxed)
    }

    fn set_made_bootstrap(&self, made: bool) {
        self.inner.made_bootstrap.store(made, Ordering::Relaxed);
    }

    /// Remembers a session's container as made by this store.
    fn remember(&self, id: ConnectionId) {
        let mut created = self.created();
        if created.len() < REMEMBERED {
            created.insert(id);
        }
    }
}
