//! The real drivers, whichever service they speak to.

use crate::Violation;
use crate::rng::Rng;
use crate::scenario::{Driver, Scenario};
use crate::service::blob::Blobs;
use crate::service::queue::Queues;
use crate::service::table::Tables;
use crate::service::{ACCOUNT, KEY, Service};
use base64ct::{Base64, Encoding};
use std::sync::Arc;
use std::time::Duration;
use stillwire_azure::blob::{self, BlobStore};
use stillwire_azure::http::Url;
use stillwire_azure::queue::{self, QueueSession, QueueStore};
use stillwire_azure::table::TableStore;
use stillwire_azure::{AzureExchange, AzureSession, AzureStore, Credential, Error, Names};
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, Operation, Request, Role};

/// A store of one of the three services.
#[derive(Clone)]
pub(crate) struct Store {
    inner: Arc<dyn AzureStore>,
    queue: Option<QueueStore>,
}

/// One end of a session in it.
#[derive(Clone)]
pub(crate) struct Session {
    inner: Arc<dyn AzureSession>,
    /// Again, where there is something to look at.
    pub(crate) queue: Option<QueueSession>,
}

fn endpoint() -> Url {
    Url::parse(&format!("http://127.0.0.1:10000/{ACCOUNT}")).expect("a literal")
}

fn blob_limits(scenario: &Scenario) -> blob::Limits {
    let profile = &scenario.profile;
    blob::Limits {
        bytes_per_write: profile.bytes_per_write,
        bytes_per_read: profile.bytes_per_read,
        writes_before_rotation: profile.writes_before_rotation.unwrap_or(49_990),
        ..blob::Limits::default()
    }
}

impl From<BlobStore> for Store {
    fn from(store: BlobStore) -> Self {
        Self {
            inner: Arc::new(store),
            queue: None,
        }
    }
}

impl From<QueueStore> for Store {
    fn from(store: QueueStore) -> Self {
        Self {
            inner: Arc::new(store.clone()),
            queue: Some(store),
        }
    }
}

impl From<TableStore> for Store {
    fn from(store: TableStore) -> Self {
        Self {
            inner: Arc::new(store),
            queue: None,
        }
    }
}

impl Store {
    /// A listener's.
    pub(crate) fn listener(scenario: &Scenario) -> Self {
        let key = Base64::encode_string(KEY);
        let credential = Credential::shared_key(ACCOUNT, &key).expect("a valid key");
        let (at, names) = (endpoint(), Names::default());
        let made: Result<Self, Error> = match &scenario.driver {
            Driver::Blob => {
                BlobStore::listener(&at, credential, names, blob_limits(scenario)).map(Into::into)
            }
            Driver::Queue(limits, _) => {
                QueueStore::listener(&at, credential, names, limits.clone()).map(Into::into)
            }
            Driver::Table(limits, _) => {
                TableStore::listener(&at, credential, names, limits.clone()).map(Into::into)
            }
        };
        made.expect("a valid endpoint")
    }

    /// A dialer's, made from a ticket of this one.
    pub(crate) fn guest(&self, scenario: &Scenario, now: UnixTime) -> Result<Self, Violation> {
        let fault = |what: Error| Violation::new("a ticket can be made and used", what.to_string());
        let day = Duration::from_secs(24 * 3600);
        let ticket = self.inner.ticket(now, day).map_err(fault)?;
        let (handshake, token) = (ticket.handshake, ticket.token);
        let (at, names) = (endpoint(), Names::default());
        let made: Result<Self, Error> = match &scenario.driver {
            Driver::Blob => {
                let limits = blob_limits(scenario);
                BlobStore::dialer(&at, handshake, token, names, limits).map(Into::into)
            }
            Driver::Queue(limits, _) => {
                QueueStore::dialer(&at, handshake, token, names, limits.clone()).map(Into::into)
            }
            Driver::Table(limits, _) => {
                TableStore::dialer(&at, handshake, token, names, limits.clone()).map(Into::into)
            }
        };
        made.map_err(fault)
    }

    pub(crate) fn session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<(&str, &str)>,
    ) -> Result<Session, Violation> {
        let fault = |what: Error| Violation::new("grants can be used", what.to_string());
        if let Some(store) = &self.queue {
            let session = store.session(id, role, grants).map_err(fault)?;
            return Ok(Session {
                inner: Arc::new(session.clone()),
                queue: Some(session),
            });
        }
        let inner = self.inner.open_session(id, role, grants).map_err(fault)?;
        Ok(Session { inner, queue: None })
    }

    pub(crate) fn begin(
        &self,
        request: &Request,
        now: UnixTime,
    ) -> Result<Box<dyn AzureExchange>, Failure> {
        self.inner.begin_exchange(request, now)
    }
}

impl Session {
    pub(crate) fn begin(
        &self,
        request: &Request,
        now: UnixTime,
    ) -> Result<Box<dyn AzureExchange>, Failure> {
        let mut request = request.clone();
        // The machine plans with smaller chunks than a queue's own, so that there are many of them.
        // A machine that knows the queue never asks for less than one of those.
        if let (Some(_), Operation::Read { limit, .. }) = (&self.queue, &mut request.operation) {
            *limit = (*limit).max(queue::LARGEST_CHUNK);
        }
        self.inner.begin_exchange(&request, now)
    }
}

/// The service that a scenario asks for.
pub(crate) fn service(scenario: &Scenario, rng: &mut Rng) -> Service {
    match &scenario.driver {
        // Draws nothing: what a seed means over blobs is to stay.
        Driver::Blob => Service::Blob(Blobs::new(ACCOUNT, KEY, scenario.habit, scenario.page)),
        Driver::Queue(_, habit) => Service::Queue(Queues::new(*habit, rng.next())),
        Driver::Table(_, habit) => Service::Table(Tables::new(*habit, rng.next())),
    }
}
