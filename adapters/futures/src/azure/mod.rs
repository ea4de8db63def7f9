//! Azure storage as a carrier.

mod http;
mod service;
mod ticket;

pub(crate) use service::Limits;
pub(crate) use ticket::{Ticket, carrier, open, place, reload};

use crate::carrier::{Carrier, Outcome, Perform};
use crate::runtime::{Runtime, unblock};
use azure_core::http::headers::CLIENT_REQUEST_ID;
use azure_core::http::policies::Policy;
use azure_core::http::{HttpClient, Pipeline};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use stillwire_azure::{AzureExchange, AzureSession, AzureStore, Step, TransportError};
use stillwire_azure::{Clock, Credential, Error, SharedKeyPolicy};
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::wire::tokens::Grants;
use stillwire_core::store::{Failure, FailureKind, Profile, Request, Role};

/// The wall clock, for signatures and SAS. Before 1970 it is 1970.
pub(crate) fn wall_clock() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    UnixTime::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Sends what a driver asks for through `azure_core`'s pipeline: signed when the store
/// has an account key, each try on its own, within the request's time.
#[derive(Clone)]
pub struct Azure {
    store: Arc<dyn AzureStore>,
    sender: Sender,
}

#[derive(Clone)]
struct Sender {
    pipeline: Arc<Pipeline>,
    runtime: Arc<dyn Runtime>,
    reload: Option<Reload>,
}

/// Reads the account's key again.
#[derive(Clone)]
pub(crate) struct Reload {
    pub(crate) again: Arc<dyn Fn() + Send + Sync>,
    /// How often it was another one by then.
    pub(crate) changes: Arc<AtomicU64>,
}

impl Reload {
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }
}

impl Azure {
    /// A carrier for this store over somebody's HTTP client.
    ///
    /// # Errors
    /// When the store's credential cannot sign what it should.
    pub fn new(
        store: Arc<dyn AzureStore>,
        client: Arc<dyn HttpClient>,
        runtime: Arc<dyn Runtime>,
    ) -> Result<Self, Error> {
        let mut per_try: Vec<Arc<dyn Policy>> = Vec::new();
        if let Some(credential @ Credential::SharedKey { .. }) = store.credential() {
            let clock: Clock = Arc::new(wall_clock);
            let policy = SharedKeyPolicy::from_credential(store.service(), credential, clock)?;
            per_try.push(Arc::new(policy));
        }
        let pipeline = Arc::new(http::pipeline(client, per_try));
        let sender = Sender {
            pipeline,
            runtime,
            reload: None,
        };
        Ok(Self { store, sender })
    }

    /// The same, with a key that is read again when the service refuses it.
    pub(crate) fn reloading(mut self, reload: Option<Reload>) -> Self {
        self.sender.reload = reload;
        self
    }

    /// The store.
    pub fn store(&self) -> &dyn AzureStore {
        &*self.store
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.store, f)
    }
}

impl Sender {
    /// Runs one exchange to its end.
    async fn run(
        self,
        mut exchange: Box<dyn AzureExchange>,
        request: Request,
        about: Option<ConnectionId>,
        known: u64,
    ) -> Outcome {
        let mut time = self.runtime.sleep(request.timeout);
        // In the service's logs, a session is found by this.
        let about = about.map(|id| id.to_string());
        loop {
            let mut http = match exchange.step() {
                Step::Done(result) => return self.look_again(result, known).await,
                Step::Send(http) => http,
            };
            if let Some(about) = &about {
                http.insert_header(CLIENT_REQUEST_ID, about.clone());
            }
            let limit = exchange.body_limit();
            let sent = http::send(&self.pipeline, http, limit).boxed();
            let outcome = match select(sent, time).await {
                Either::Left((outcome, rest)) => {
                    time = rest;
                    outcome
                }
                Either::Right(((), _)) => {
                    let secs = request.timeout.as_secs_f32();
                    let detail = format!("no answer within {secs} s");
                    time = self.runtime.sleep(request.timeout);
                    Err(TransportError::sent(FailureKind::TimedOut, detail))
                }
            };
            exchange.handle(outcome);
        }
    }

    /// A key that is refused may have been changed: with the new one, the machine may try again.
    /// Many may be refused at once, of which only one finds it changed: `known` is how often it had
    /// been when the try began.
    async fn look_again(&self, result: Outcome, known: u64) -> Outcome {
        let (Err(failure), Some(reload)) = (&result, &self.reload) else {
            return result;
        };
        if failure.kind != FailureKind::Denied {
            return result;
        }
        if reload.changes() == known {
            // It may come from a file.
            let again = reload.again.clone();
            unblock(self.runtime.as_ref(), move || again()).await;
        }
        if reload.changes() == known {
            return result;
        }
        tracing::info!("the account key was refused, and is another one now: trying that");
        let detail = "the account key was changed; it has been read again";
        let mut again = Failure::new(FailureKind::Busy, detail);
        // Steps before the refused one may have made something, which the next try must know as ours.
        again.may_have_landed = failure.may_have_landed;
        Err(again)
    }

    fn perform(
        &self,
        exchange: Result<Box<dyn AzureExchange>, Failure>,
        request: Request,
        about: Option<ConnectionId>,
    ) -> BoxFuture<'static, Outcome> {
        match exchange {
            Ok(exchange) => {
                let known = self.reload.as_ref().map_or(0, Reload::changes);
                self.clone().run(exchange, request, about, known).boxed()
            }
            Err(failure) => std::future::ready(Err(failure)).boxed(),
        }
    }
}

impl Perform for Azure {
    fn perform(&self, request: Request) -> BoxFuture<'static, Outcome> {
        let exchange = self.store.begin_exchange(&request, wall_clock());
        let about = request.operation.connection();
        self.sender.perform(exchange, request, about)
    }
}

impl Carrier for Azure {
    fn profile(&self) -> Profile {
        self.store.profile()
    }

    fn session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<&Grants>,
    ) -> Result<Arc<dyn Perform>, Failure> {
        let grants = grants.map(|grants| (grants.req.as_str(), grants.res.as_str()));
        let session = self.store.open_session(id, role, grants).map_err(|error| {
            let detail = format!("the listener's grant for the session: {error}");
            Failure::new(FailureKind::Malformed, detail)
        })?;
        let sender = self.sender.clone();
        Ok(Arc::new(Session {
            id,
            azure: session,
            sender,
        }))
    }
}

struct Session {
    id: ConnectionId,
    azure: Arc<dyn AzureSession>,
    sender: Sender,
}

impl Perform for Session {
    fn perform(&self, request: Request) -> BoxFuture<'static, Outcome> {
        let exchange = self.azure.begin_exchange(&request, wall_clock());
        self.sender.perform(exchange, request, Some(self.id))
    }
}

#[cfg(test)]
mod tests;
