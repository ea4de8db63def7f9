//! Protocols that ride datagrams, over a UDP socket and without an async runtime.

use crate::Threads;
use crate::asoc::net::Udp;
use crate::bell::{Bell, block_on};
use bytes::Bytes;
use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stillwire_core::store::{Failure, FailureKind};
use stillwire_core::{Error, Instant};
use stillwire_futures::{Runtime, datagram};

pub use datagram::OverDatagrams;

/// A session over datagrams: whole messages, which may be lost, doubled on their way or late, and
/// are never altered and never given out twice; see [`datagram::DatagramSession`].
///
/// Any number of threads may use one at once.
pub struct DatagramSession<M: OverDatagrams> {
    inner: datagram::DatagramSession<M>,
    /// Of those who wait.
    bell: Arc<Bell>,
    limit: Mutex<Option<Duration>>,
}

impl<M: OverDatagrams> DatagramSession<M> {
    /// Makes a machine, runs it over this socket, and waits until it is established. `peer`: whom
    /// to talk to; [`None`] for whoever proves to be the peer. `machine` is given the time that it
    /// starts with.
    ///
    /// # Errors
    /// That of `machine`, what ended the handshake, or [`Error::Store`] when the socket cannot be
    /// used.
    pub fn open(
        socket: UdpSocket,
        peer: Option<SocketAddr>,
        machine: impl FnOnce(Instant) -> Result<M, Error>,
    ) -> Result<Self, Error> {
        let threads = Threads::shared();
        let machine = machine(threads.now())?;
        let socket = Udp::new(socket).map_err(|error| {
            let detail = format!("the socket cannot be used: {error}");
            Error::Store(Failure::new(FailureKind::Io, detail))
        })?;
        let opened =
            datagram::DatagramSession::open(Arc::new(threads), Arc::new(socket), peer, machine);
        Ok(Self {
            inner: block_on(opened)?,
            bell: Arc::default(),
            limit: Mutex::default(),
        })
    }

    /// How long [`send`](Self::send) and [`receive`](Self::receive) wait; for ever by default.
    ///
    /// # Errors
    /// Zero is no time-out.
    pub fn set_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        let limit = crate::connection::checked(limit)?;
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner) = limit;
        Ok(())
    }

    fn limit(&self) -> Option<Duration> {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the machine: its counters, its error.
    pub fn with<R>(&self, look: impl FnOnce(&M) -> R) -> R {
        self.inner.with(look)
    }

    /// Calls something of the machine's own; what it then wants to send is sent.
    pub fn update<R>(&self, call: impl FnOnce(&mut M) -> R) -> R {
        self.inner.update(call)
    }

    /// Where the peer is.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.inner.peer_addr()
    }

    /// Datagrams that came from elsewhere and were dropped.
    pub fn strangers(&self) -> u64 {
        self.inner.strangers()
    }

    /// Bytes of the longest message that can be sent.
    pub fn longest_message(&self) -> usize {
        self.inner.longest_message()
    }

    /// Sends a whole message; waits while the socket cannot follow. It may be lost on its way.
    ///
    /// # Errors
    /// As [`datagram::DatagramSession::send`], or the time-out: nothing was taken then.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        self.bell
            .wait(self.limit(), |cx| self.inner.poll_send(cx, message))
            .unwrap_or_else(|| Err(crate::connection::given_up()))
    }

    /// The next message, in the order in which they came; none after the peer's end.
    ///
    /// # Errors
    /// What ended the session, or the time-out.
    pub fn receive(&self) -> io::Result<Option<Bytes>> {
        self.bell
            .wait(self.limit(), |cx| self.inner.poll_receive(cx))
            .unwrap_or_else(|| Err(crate::connection::given_up()))
    }

    /// Ends our direction after everything sent so far; see [`datagram::DatagramSession::close`].
    ///
    /// # Errors
    /// What ended the session.
    pub fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }

    /// Waits until the session is over, and says how it ended.
    ///
    /// # Errors
    /// What ended the session.
    pub fn closed(&self) -> Result<(), Error> {
        loop {
            if let Some(outcome) = self.bell.wait(None, |cx| self.inner.poll_closed(cx)) {
                return outcome;
            }
        }
    }
}

impl<M: OverDatagrams> fmt::Debug for DatagramSession<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
