//! What an adapter needs of a store, whichever service is behind it.

use crate::credential::{Credential, Sas};
use crate::exchange::{Outcome, Step};
use crate::names::Names;
use crate::{Error, Service};
use azure_core::http::Url;
use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, Profile, Request, Role};

/// One storage service of an account, as a listener or a dialer uses it.
///
/// Requests of a store whose [`credential`](Self::credential) is a key must be signed
/// ([`crate::SharedKeyPolicy`], for [`service`](Self::service)); all others carry a SAS in their
/// URL and must not be.
pub trait AzureStore: fmt::Debug + Send + Sync + 'static {
    /// The service.
    fn service(&self) -> Service;

    /// What the machine plans with.
    fn profile(&self) -> Profile;

    /// The endpoint, without a credential in it.
    fn endpoint(&self) -> &Url;

    /// The account's credential, for a listener's store.
    fn credential(&self) -> Option<&Credential>;

    /// Makes the pieces of a connection URL; the SAS begin five minutes before `now`.
    ///
    /// # Errors
    /// [`Error::CannotSign`] without an account key.
    fn ticket(&self, now: UnixTime, lifetime: Duration) -> Result<Ticket, Error>;

    /// Our end of a session, at the beginning of both its directions. A dialer's store needs
    /// `grants`, the two SAS texts (`req`, `res`) of message 2; a listener's does without.
    ///
    /// # Errors
    /// Grants that are none, or missing.
    fn open_session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<(&str, &str)>,
    ) -> Result<Arc<dyn AzureSession>, Error>;

    /// One try of an operation that needs no session.
    ///
    /// # Errors
    /// A failure that shows before anything is sent.
    fn begin_exchange(
        &self,
        request: &Request,
        now: UnixTime,
    ) -> Result<Box<dyn AzureExchange>, Failure>;
}

/// Our end of a session.
pub trait AzureSession: Send + Sync + 'static {
    /// One try of any operation; those about the stream are about this session.
    ///
    /// # Errors
    /// A failure that shows before anything is sent.
    fn begin_exchange(
        &self,
        request: &Request,
        now: UnixTime,
    ) -> Result<Box<dyn AzureExchange>, Failure>;
}

/// One try of one operation, as a machine over HTTP requests and responses.
///
/// Ask [`step`](Self::step) what to do; after sending a request, tell [`handle`](Self::handle)
/// what became of it; repeat until the step is [`Step::Done`]. Dropping an exchange is allowed at
/// any point.
pub trait AzureExchange: Send {
    /// What to do next. Asking again changes nothing.
    fn step(&self) -> Step;

    /// Bytes of the body worth reading of the response to come. Stop past it, and hand over what
    /// is there.
    fn body_limit(&self) -> usize;

    /// Takes the outcome of the request that [`step`](Self::step) asked for last.
    fn handle(&mut self, outcome: Outcome);
}

/// What a dialer needs to know: the pieces of a connection URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The service's endpoint, without a slash at its end.
    pub endpoint: String,
    /// SAS for the handshake place: a secret.
    pub handshake: Sas,
    /// SAS for the token place: a secret.
    pub token: Sas,
    /// Names of the two, which are the parameter names in the URL.
    pub names: Names,
}
