//! Stillwire on tokio: an encrypted byte stream between two programs that share nothing but
//! storage.
//!
//! A [`Store`] is where the bytes go: `dir:PATH`, `memory:`, `azblob`, `azqueue`, `aztable`. The
//! listener's side opens one and hands its [`Ticket`] to whoever shall dial.
//!
//! ```
//! use stillwire_tokio::{Config, Options, Store, dial};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let config = || Config { accept_poll: std::time::Duration::from_millis(5), ..Config::default() };
//! let store = Store::from_address("memory:", &Options::default())?;
//! let mut listener = store.listen(Config::default()).await?;
//! let ticket = listener.ticket().clone();
//!
//! let dialer = tokio::spawn(async move {
//!     let mut connection = dial(&ticket, Config::default()).await?;
//!     connection.write_all(b"hello").await?;
//!     connection.shutdown().await?;
//!     let mut answer = String::new();
//!     connection.read_to_string(&mut answer).await?;
//!     connection.closed().await?;
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
//! });
//!
//! let connection = listener.accept().await?;
//! let (mut read, mut write) = connection.split();
//! tokio::io::copy(&mut read, &mut write).await?;
//! write.shutdown().await?;
//! write.closed().await?;
//!
//! assert_eq!(dialer.await?.map_err(|e| e.to_string())?, "hello");
//! drop((read, write));
//! listener.stop().await?;
//! # Ok(()) }
//! ```

pub mod asoc;
pub mod datagram;
#[cfg(feature = "azure")]
mod http;
mod runtime;
mod secure;
mod stream;

#[cfg(feature = "azure")]
pub use http::http_client;
pub use runtime::TokioRuntime;
pub use secure::{
    Control, MessageReceiver, MessageSender, Secure, SecureReader, SecureStream, SecureWriter,
};
pub use stillwire_core::store::{Failure, FailureKind, Profile};
pub use stillwire_futures::{
    AddressError, Class, Config, ConnectionId, Driver, Error, ListenerMonitor, ListenerStats,
    Options, Platform, Policy, Role, Stats, Sweep, SweepEvent, Ticket, Timer, io_error, source_of,
};
pub use stream::{Connection, ReadHalf, WriteHalf};

use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use stillwire_futures as futures;

/// The platform of the tokio runtime this code runs on, with an HTTP client if `http`.
///
/// Panics outside a tokio runtime, like tokio itself.
#[cfg_attr(
    not(feature = "azure"),
    allow(clippy::unnecessary_wraps, reason = "HTTP clients can fail")
)]
fn platform(http: bool) -> Result<Platform, Error> {
    let platform = Platform::new(TokioRuntime::new(tokio::runtime::Handle::current()));
    #[cfg(feature = "azure")]
    if http {
        let client = http_client().map_err(|error| {
            Error::Store(Failure::new(
                FailureKind::Tls,
                format!("TLS cannot be set up: {error}"),
            ))
        })?;
        return Ok(platform.with_http(client));
    }
    let _ = http;
    Ok(platform)
}

/// Where the bytes go, as the listener's side opens it: with the account's key, if it has one.
#[derive(Clone, Debug)]
pub struct Store(futures::Store);

impl Store {
    /// Opens `dir:PATH`, `memory:`, or `azblob`, `azqueue` and `aztable`, which take an endpoint as
    /// in `azblob+https://…`. Nothing is sent yet.
    ///
    /// Each `memory:` is a store of its own; its tickets work only as values, within this
    /// process.
    ///
    /// # Errors
    /// An address that means nothing, or an environment that holds no credential for it.
    pub fn from_address(address: &str, options: &Options) -> Result<Self, AddressError> {
        futures::Store::from_address(address, options).map(Self)
    }

    /// Listens; ready when tickets work.
    ///
    /// # Errors
    /// [`Error::Store`] when storage refuses or stays out of reach.
    pub async fn listen(&self, config: Config) -> Result<Listener, Error> {
        let platform = platform(self.0.needs_http())?;
        let (listener, ticket) = self.0.listen(&platform, config).await?;
        Ok(Listener { listener, ticket })
    }

    /// Prepares the meeting place and gives a ticket, without listening.
    ///
    /// # Errors
    /// As [`Store::listen`].
    pub async fn prepare(&self, config: Config) -> Result<Ticket, Error> {
        let platform = platform(self.0.needs_http())?;
        self.0.prepare(&platform, config).await
    }

    /// The numbers its carrier plans with.
    pub fn profile(&self) -> Profile {
        self.0.profile()
    }

    /// A fresh ticket of a place that was prepared before.
    ///
    /// # Errors
    /// When the store's credential cannot sign one.
    pub fn ticket(&self) -> Result<Ticket, Error> {
        self.0.ticket()
    }

    /// How often the account's key was found to be another one; see
    /// [`stillwire_futures::Store::key_changes`].
    pub fn key_changes(&self) -> u64 {
        self.0.key_changes()
    }

    /// Shows whether the store can be reached; see [`stillwire_futures::Store::probe`].
    ///
    /// # Errors
    /// [`Error::Store`] when storage refuses or cannot be reached.
    pub async fn probe(&self, config: &Config) -> Result<(), Error> {
        let platform = platform(self.0.needs_http())?;
        self.0.probe(&platform, config).await
    }

    /// Removes what dead listeners left; see [`stillwire_futures::Store::sweep`].
    ///
    /// # Errors
    /// [`FailureKind::Tls`] when TLS cannot be set up.
    pub fn sweep(&self, config: Config, older: Duration, dry_run: bool) -> Result<Sweep, Error> {
        let platform = platform(self.0.needs_http())?;
        self.0.sweep(&platform, config, older, dry_run)
    }
}

/// Accepts connections until it is stopped or dropped; see [`stillwire_futures::Listener`].
#[derive(Debug)]
pub struct Listener {
    listener: futures::Listener,
    ticket: Ticket,
}

impl Listener {
    /// What a dialer needs to reach this listener: a secret.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Waits for the next connection, which is unconfirmed at first. Cancel safe.
    ///
    /// # Errors
    /// The error that ended the listener; from then on always the same.
    pub async fn accept(&mut self) -> Result<Connection, Error> {
        self.listener.accept().await.map(Into::into)
    }

    /// Handshakes refused so far: garbage, replays, wrong keys.
    pub fn rejected(&self) -> u64 {
        self.listener.rejected()
    }

    /// Takes no new connection; waits until those handed out are over and what this listener
    /// made is removed. Given up, it goes on in the background.
    ///
    /// # Errors
    /// The error that ended the listener before.
    pub async fn stop(self) -> Result<(), Error> {
        self.listener.stop().await
    }

    /// The same, and connections that are not over after `grace` are dropped.
    ///
    /// # Errors
    /// The error that ended the listener before.
    pub async fn stop_within(self, grace: Duration) -> Result<(), Error> {
        self.listener.stop_within(grace).await
    }

    /// A view of this listener that outlives it: counters, and an end to a stop that takes too long.
    pub fn monitor(&self) -> ListenerMonitor {
        self.listener.monitor()
    }
}

impl Stream for Listener {
    type Item = Result<Connection, Error>;

    /// Connections, then at most one error, then the end.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.listener).poll_next(cx);
        next.map(|item| item.map(|accepted| accepted.map(Into::into)))
    }
}

/// Dials the listener of one ticket, as often as wanted; the connections share an HTTP client.
#[derive(Clone, Debug)]
pub struct Dialer(futures::Dialer);

impl Dialer {
    /// A dialer on the tokio runtime this is called on. Nothing is sent yet.
    ///
    /// # Errors
    /// [`FailureKind::Tls`] when TLS cannot be set up.
    pub fn new(ticket: &Ticket, config: Config) -> Result<Self, Error> {
        let platform = platform(ticket.needs_http())?;
        futures::Dialer::new(ticket, &platform, config).map(Self)
    }

    /// Opens one connection.
    ///
    /// A dial that is given up leaves an entry for the listener to clean up; dialing again makes
    /// a new connection.
    ///
    /// # Errors
    /// [`Error::Timeout`] when nobody answers within the connect time-out; [`Error::Store`] when
    /// storage refuses or stays out of reach; [`Error::Peer`] when the answer does not
    /// authenticate.
    pub async fn dial(&self) -> Result<Connection, Error> {
        self.0.dial().await.map(Into::into)
    }

    /// Shows whether the place can be reached; see [`stillwire_futures::Dialer::probe`].
    ///
    /// # Errors
    /// [`Error::Store`] when storage refuses or cannot be reached.
    pub async fn probe(&self) -> Result<(), Error> {
        self.0.probe().await
    }
}

/// Opens one connection to the listener of this ticket; see [`Dialer::dial`].
///
/// # Errors
/// As [`Dialer::new`] and [`Dialer::dial`].
pub async fn dial(ticket: &Ticket, config: Config) -> Result<Connection, Error> {
    Dialer::new(ticket, config)?.dial().await
}
