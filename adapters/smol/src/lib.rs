//! Stillwire on smol: an encrypted byte stream between two programs that share nothing but
//! storage.
//!
//! A [`Store`] is where the bytes go: `dir:PATH`, `memory:`, `azblob`. The listener's side opens
//! one and hands its [`Ticket`] to whoever shall dial.
//!
//! ```
//! use smol::io::{AsyncReadExt, AsyncWriteExt};
//! use stillwire_smol::{Config, Options, Store, dial};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> { smol::block_on(async {
//! let store = Store::from_address("memory:", &Options::default())?;
//! let mut listener = store.listen(Config::default()).await?;
//! let ticket = listener.ticket().clone();
//!
//! let dialer = smol::spawn(async move {
//!     let mut connection = dial(&ticket, Config::default()).await?;
//!     connection.write_all(b"hello").await?;
//!     connection.close_write().await?;
//!     let mut answer = String::new();
//!     connection.read_to_string(&mut answer).await?;
//!     connection.closed().await?;
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
//! });
//!
//! let connection = listener.accept().await?;
//! let (mut read, mut write) = connection.split();
//! smol::io::copy(&mut read, &mut write).await?;
//! write.close_write().await?;
//! write.closed().await?;
//!
//! assert_eq!(dialer.await.map_err(|e| e.to_string())?, "hello");
//! drop((read, write));
//! listener.stop().await?;
//! # Ok(()) }) }
//! ```
//!
//! [`Connection`] and its halves are those of `stillwire-futures`: their `AsyncRead` and
//! `AsyncWrite` are the traits of `futures-io`, which are smol's own. `close` is `close_write`.
//!
//! Tasks run on smol's global executor, which has one thread unless `SMOL_THREADS` says more.

pub mod asoc;
pub mod datagram;
#[cfg(feature = "azure")]
mod http;
mod runtime;
pub mod secure;

#[cfg(feature = "azure")]
pub use http::http_client;
pub use runtime::SmolRuntime;
pub use stillwire_core::store::{Failure, FailureKind};
pub use stillwire_futures::{
    AddressError, Class, Config, Connection, ConnectionId, Driver, Error, ListenerMonitor,
    ListenerStats, Options, Platform, Policy, ReadHalf, Role, Stats, Sweep, SweepEvent, Ticket,
    Timer, WriteHalf, io_error, source_of,
};

use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use stillwire_futures as futures;

/// The platform of smol's global runtime, with an HTTP client if `http`.
#[cfg_attr(
    not(feature = "azure"),
    allow(clippy::unnecessary_wraps, reason = "HTTP clients can fail")
)]
fn platform(http: bool) -> Result<Platform, Error> {
    let platform = Platform::new(SmolRuntime::new());
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
    /// Opens `dir:PATH`, `memory:`, `azblob` or `azblob+https://…`. Nothing is sent yet.
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
        self.listener.accept().await
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
        Pin::new(&mut self.listener).poll_next(cx)
    }
}

/// Dials the listener of one ticket, as often as wanted; the connections share an HTTP client.
#[derive(Clone, Debug)]
pub struct Dialer(futures::Dialer);

impl Dialer {
    /// A dialer for this ticket. Nothing is sent yet.
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
        self.0.dial().await
    }
}

/// Opens one connection to the listener of this ticket; see [`Dialer::dial`].
///
/// # Errors
/// As [`Dialer::new`] and [`Dialer::dial`].
pub async fn dial(ticket: &Ticket, config: Config) -> Result<Connection, Error> {
    Dialer::new(ticket, config)?.dial().await
}
