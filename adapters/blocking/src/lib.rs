//! Stillwire on plain threads: an encrypted byte stream between two programs that share nothing
//! but storage, without an async runtime.
//!
//! A [`Store`] is where the bytes go: `dir:PATH`, `memory:`, `azblob`. The listener's side opens
//! one and hands its [`Ticket`] to whoever shall dial.
//!
//! ```
//! use std::io::{Read, Write};
//! use stillwire_blocking::{Config, Options, Store, dial};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::from_address("memory:", &Options::default())?;
//! let listener = store.listen(Config::default())?;
//! let ticket = listener.ticket().clone();
//!
//! let dialer = std::thread::spawn(move || {
//!     let mut connection = dial(&ticket, Config::default())?;
//!     connection.write_all(b"hello")?;
//!     connection.close_write()?;
//!     let mut answer = String::new();
//!     connection.read_to_string(&mut answer)?;
//!     connection.closed()?;
//!     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
//! });
//!
//! let connection = listener.accept()?;
//! std::io::copy(&mut &connection, &mut &connection)?;
//! connection.close_write()?;
//! connection.closed()?;
//!
//! let answer = dialer.join().expect("no panic");
//! assert_eq!(answer.map_err(|e| e.to_string())?, "hello");
//! drop(connection);
//! listener.stop()?;
//! # Ok(()) }
//! ```
//!
//! The machines, the pump and the loop around them are those of every adapter; a task is a thread
//! here, and a request that blocks is on another one. [`Threads`] says how many there are.

pub mod asoc;
mod bell;
mod connection;
mod datagram;
#[cfg(feature = "azure")]
mod http;
mod secure;
mod threads;

pub use connection::Connection;
pub use datagram::{DatagramSession, OverDatagrams};
#[cfg(feature = "azure")]
pub use http::http_client;
pub use secure::{
    Control, MessageReceiver, MessageSender, Secure, SecureReader, SecureStream, SecureWriter,
};
pub use stillwire_core::store::{Failure, FailureKind};
pub use stillwire_futures::{
    AddressError, Class, Config, ConnectionId, Driver, Error, ListenerMonitor, ListenerStats,
    Options, Platform, Policy, Role, Stats, SweepEvent, Ticket, Timer, io_error, source_of,
};
pub use threads::Threads;

use bell::{Bell, block_on};
use futures_util::StreamExt;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stillwire_futures as futures;

/// The platform of this process's threads, with an HTTP client if `http`.
#[cfg_attr(
    not(feature = "azure"),
    allow(clippy::unnecessary_wraps, reason = "HTTP clients can fail")
)]
fn platform(http: bool) -> Result<Platform, Error> {
    let platform = Platform::new(Threads::shared());
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

    /// Listens; returns when tickets work.
    ///
    /// # Errors
    /// [`Error::Store`] when storage refuses or stays out of reach.
    pub fn listen(&self, config: Config) -> Result<Listener, Error> {
        let platform = platform(self.0.needs_http())?;
        let (listener, ticket) = block_on(self.0.listen(&platform, config))?;
        Ok(Listener {
            inner: Mutex::new(listener),
            accepting: Arc::default(),
            ticket,
        })
    }

    /// Prepares the meeting place and gives a ticket, without listening.
    ///
    /// # Errors
    /// As [`Store::listen`].
    pub fn prepare(&self, config: Config) -> Result<Ticket, Error> {
        let platform = platform(self.0.needs_http())?;
        block_on(self.0.prepare(&platform, config))
    }

    /// Removes what dead listeners left; see [`stillwire_futures::Store::sweep`].
    ///
    /// # Errors
    /// [`FailureKind::Tls`] when TLS cannot be set up.
    pub fn sweep(&self, config: Config, older: Duration, dry_run: bool) -> Result<Sweep, Error> {
        let platform = platform(self.0.needs_http())?;
        self.0.sweep(&platform, config, older, dry_run).map(Sweep)
    }
}

/// One look through a store for what dead listeners left: what it finds and removes, ending with
/// [`SweepEvent::Finished`]. Does nothing between two calls; dropped, it stops where it is.
#[derive(Debug)]
pub struct Sweep(futures::Sweep);

impl Iterator for Sweep {
    type Item = SweepEvent;

    fn next(&mut self) -> Option<SweepEvent> {
        block_on(self.0.next())
    }
}

/// Accepts connections until it is stopped or dropped; see [`stillwire_futures::Listener`]. Any
/// number of threads may accept.
pub struct Listener {
    inner: Mutex<futures::Listener>,
    accepting: Arc<Bell>,
    ticket: Ticket,
}

impl Listener {
    /// What a dialer needs to reach this listener: a secret.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Waits for the next connection, which is unconfirmed at first.
    ///
    /// # Errors
    /// The error that ended the listener; from then on always the same.
    pub fn accept(&self) -> Result<Connection, Error> {
        loop {
            if let Some(next) = self.next(None) {
                return next;
            }
        }
    }

    /// As [`accept`](Self::accept); [`None`] when nobody comes within `limit`.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn accept_within(&self, limit: Duration) -> Result<Option<Connection>, Error> {
        self.next(Some(limit)).transpose()
    }

    fn next(&self, limit: Option<Duration>) -> Option<Result<Connection, Error>> {
        let next = self.accepting.wait(limit, |cx| {
            let listener = self.inner.lock();
            let mut listener = listener.unwrap_or_else(PoisonError::into_inner);
            listener.poll_accept(cx)
        })?;
        Some(next.map(Into::into))
    }

    /// Connections as they come, then at most one error, then the end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            ended: false,
        }
    }

    /// Handshakes refused so far: garbage, replays, wrong keys.
    pub fn rejected(&self) -> u64 {
        let listener = self.inner.lock();
        listener.unwrap_or_else(PoisonError::into_inner).rejected()
    }

    /// Takes no new connection; waits until those handed out are over and what this listener
    /// made is removed.
    ///
    /// # Errors
    /// The error that ended the listener before.
    pub fn stop(self) -> Result<(), Error> {
        let listener = self.inner.into_inner();
        block_on(listener.unwrap_or_else(PoisonError::into_inner).stop())
    }

    /// The same, and connections that are not over after `grace` are dropped.
    ///
    /// # Errors
    /// The error that ended the listener before.
    pub fn stop_within(self, grace: Duration) -> Result<(), Error> {
        let listener = self.inner.into_inner();
        let listener = listener.unwrap_or_else(PoisonError::into_inner);
        block_on(listener.stop_within(grace))
    }

    /// A view of this listener that outlives it: counters, and an end to a stop that takes too long.
    pub fn monitor(&self) -> ListenerMonitor {
        let listener = self.inner.lock();
        listener.unwrap_or_else(PoisonError::into_inner).monitor()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

/// The connections of a [`Listener`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a Listener,
    ended: bool,
}

impl Iterator for Incoming<'_> {
    type Item = Result<Connection, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.listener.accept();
        self.ended = next.is_err();
        Some(next).filter(|next| !matches!(next, Err(Error::Closed)))
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
    /// # Errors
    /// [`Error::Timeout`] when nobody answers within the connect time-out; [`Error::Store`] when
    /// storage refuses or stays out of reach; [`Error::Peer`] when the answer does not
    /// authenticate.
    pub fn dial(&self) -> Result<Connection, Error> {
        block_on(self.0.dial()).map(Into::into)
    }
}

/// Opens one connection to the listener of this ticket; see [`Dialer::dial`].
///
/// # Errors
/// As [`Dialer::new`] and [`Dialer::dial`].
pub fn dial(ticket: &Ticket, config: Config) -> Result<Connection, Error> {
    Dialer::new(ticket, config)?.dial()
}
