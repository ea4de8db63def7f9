//! A connection and its halves.

use crate::carrier::Perform;
use crate::count;
use crate::driver::Driver;
use crate::runtime::Runtime;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::StreamExt;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use stillwire_core::aznet::{self, ConnectionEvent, ConnectionId, Stats};
use stillwire_core::store::Role;
use stillwire_core::{Channel, Error, Instant};
use stillwire_pump::Pump;
use tracing::Instrument;

/// What a listener is told of its connections.
pub(crate) enum Milestone {
    /// The dialer has shown that it holds the key.
    Confirmed,
    /// The connection's task is done. `clean`: nothing is left behind.
    Ended { clean: bool },
}

pub(crate) type OnMilestone = Box<dyn Fn(Milestone) + Send>;

/// A connection from afar, which does not keep it.
#[derive(Clone)]
pub(crate) struct Remote(Weak<Pump<aznet::Connection>>);

impl Remote {
    /// True when nobody drives the connection any more, or soon will not.
    pub(crate) fn is_over(&self) -> bool {
        let pump = self.0.upgrade();
        pump.is_none_or(|pump| pump.with(aznet::Connection::is_finished))
    }

    /// Drops the connection, whoever holds it.
    pub(crate) fn abort(&self, now: Instant) {
        if let Some(pump) = self.0.upgrade() {
            pump.update(|connection| connection.abort(now));
        }
    }

    /// Ends the connection at once, whoever holds it.
    pub(crate) fn cut(&self, now: Instant) {
        if let Some(pump) = self.0.upgrade() {
            pump.update(|connection| connection.cut(now));
        }
    }
}

/// What the application holds; with the last one gone, the connection is dropped.
struct Handle {
    pump: Arc<Pump<aznet::Connection>>,
    runtime: Arc<dyn Runtime>,
    id: ConnectionId,
    role: Role,
    binding: [u8; 32],
}

impl Drop for Handle {
    fn drop(&mut self) {
        let now = self.runtime.now();
        self.pump.update(|connection| connection.abort(now));
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Starts the background task of a new connection.
pub(crate) fn start(
    runtime: &Arc<dyn Runtime>,
    carrier: Arc<dyn Perform>,
    machine: aznet::Connection,
    tell: OnMilestone,
) -> (Connection, Remote) {
    let handle = Handle {
        id: machine.id(),
        role: machine.role(),
        binding: machine.channel_binding(),
        runtime: runtime.clone(),
        pump: Arc::new(Pump::new(machine)),
    };
    let ending = Ending {
        pump: handle.pump.clone(),
        tell,
    };
    let remote = Remote(Arc::downgrade(&handle.pump));
    let mut driver = Driver::new(handle.pump.clone(), runtime.clone(), carrier);
    let id = handle.id;
    let span = tracing::debug_span!("connection", %id, role = ?handle.role);
    let open = count::Open::new(handle.role);
    let task = async move {
        let _open = open;
        // Dropped with the task, even if the runtime goes away under it.
        let ending = ending;
        while let Some(event) = driver.next().await {
            match event {
                ConnectionEvent::Confirmed => {
                    tracing::debug!(%id, "the peer is confirmed");
                    (ending.tell)(Milestone::Confirmed);
                }
                ConnectionEvent::PeerFinished => tracing::debug!(%id, "the peer has finished"),
                ConnectionEvent::DataBudgetWarning => {
                    tracing::warn!(%id, "most of the bytes one key may protect are used");
                }
                ConnectionEvent::Closed(Ok(())) => tracing::debug!(%id, "closed"),
                ConnectionEvent::Closed(Err(error)) => tracing::debug!(%id, %error, "closed"),
            }
        }
    };
    runtime.spawn(Box::pin(task.instrument(span)));
    let handle = Arc::new(handle);
    (Connection { handle }, remote)
}

struct Ending {
    pump: Arc<Pump<aznet::Connection>>,
    tell: OnMilestone,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let clean = self.pump.with(aznet::Connection::is_clean);
        (self.tell)(Milestone::Ended { clean });
        self.pump.end();
    }
}

/// An encrypted, ordered byte stream in both directions.
///
/// Reads and writes are buffered; a background task moves the bytes, so pings go out and
/// time-outs are kept whether or not the application reads. It is [`AsyncRead`] and
/// [`AsyncWrite`]; for both at once use [`Connection::split`].
///
/// # Ending
///
/// [`Connection::close_write`] ends our direction, reading goes on until the peer ends its own
/// (`Ok(0)`). Dropping the connection (the last half of it) delivers what was written, within the
/// configured close time-out, and sends **no** end mark unless `close_write` was called: the peer
/// then sees an error, never a shortened stream that looks whole. Dropping one half does nothing
/// by itself.
///
/// # Cancel safety
///
/// Every method that waits may be given up (its future dropped) at any time and called again:
/// no byte is lost or doubled. Details are on each method.
#[derive(Debug)]
pub struct Connection {
    handle: Arc<Handle>,
}

/// The reading half of a [`Connection`].
#[derive(Debug)]
pub struct ReadHalf {
    handle: Arc<Handle>,
}

/// The writing half of a [`Connection`].
#[derive(Debug)]
pub struct WriteHalf {
    handle: Arc<Handle>,
}

impl Connection {
    /// Two halves for use in two tasks.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        let handle = self.handle.clone();
        (
            ReadHalf { handle },
            WriteHalf {
                handle: self.handle,
            },
        )
    }
}

macro_rules! about {
    ($($of:ty),*) => {$(
        impl $of {
            /// The id both ends know this connection by.
            pub fn id(&self) -> ConnectionId {
                self.handle.id
            }

            /// Which end we are.
            pub fn role(&self) -> Role {
                self.handle.role
            }

            /// The Noise handshake hash: equal at both ends, and different when somebody sits
            /// between them. Compare it over another channel to authenticate an anonymous peer.
            pub fn channel_binding(&self) -> [u8; 32] {
                self.handle.binding
            }

            /// Counters so far.
            pub fn stats(&self) -> Stats {
                self.handle.pump.with(|connection| *connection.stats())
            }

            /// True once something authentic came from the peer. A listener gives a connection
            /// out before that: whoever dialed may have replayed somebody else's message.
            pub fn is_confirmed(&self) -> bool {
                self.handle.pump.with(aznet::Connection::is_confirmed)
            }

            /// The error that ended the connection, if one did.
            pub fn error(&self) -> Option<Error> {
                self.handle.pump.with(|connection| connection.error().cloned())
            }
        }
    )*};
}

about!(Connection, ReadHalf, WriteHalf);

macro_rules! reading {
    ($($of:ty),*) => {$(
        impl $of {
            /// Reads plaintext; `Ok(0)` for a buffer that is not empty is the peer's authentic
            /// end. A stream that breaks off without one is an error, with what arrived before
            /// delivered first.
            ///
            /// Cancel safe: as long as this is pending nothing has been taken.
            pub fn poll_read(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let now = self.handle.runtime.now();
                self.handle.pump.poll_read(cx, now, buffer)
            }
        }

        impl AsyncRead for $of {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                <$of>::poll_read(&mut self, cx, buffer)
            }
        }
    )*};
}

reading!(Connection, ReadHalf);

macro_rules! writing {
    ($($of:ty),*) => {$(
        impl $of {
            /// Takes what fits of `data` and says how much that was; pending while the buffer is
            /// full. The bytes go out without a flush.
            ///
            /// Cancel safe: as long as this is pending nothing has been taken. (`write_all` of
            /// the extension traits is not: given up, it does not say how far it came.)
            pub fn poll_write(
                &mut self,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                let now = self.handle.runtime.now();
                self.handle.pump.poll_write(cx, now, data)
            }

            /// Ready when the carrier has stored everything written so far: it survives us, but
            /// the peer need not have read it.
            ///
            /// Cancel safe: given up, the bytes are stored all the same.
            pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.handle.pump.poll_flush(cx)
            }

            /// Polls what [`Self::close_write`] awaits.
            pub fn poll_close_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let now = self.handle.runtime.now();
                self.handle.pump.poll_close_write(cx, now)
            }

            /// Ends our direction after everything written so far; ready when the end is stored.
            /// Reading goes on. Writing afterwards fails with `BrokenPipe`.
            ///
            /// Cancel safe: once polled, the end goes out even if this is given up; call it
            /// again to wait for it.
            pub async fn close_write(&mut self) -> io::Result<()> {
                poll_fn(|cx| self.poll_close_write(cx)).await
            }

            /// Waits until the connection is over and its clean-up done, and says how it ended.
            ///
            /// Ends well only when both directions were ended: by our `close_write` and by the
            /// peer's, read up to its end or not. What a listener's clean-up cannot remove at
            /// once is left to its janitor.
            ///
            /// Cancel safe: it only watches.
            pub async fn closed(&mut self) -> Result<(), Error> {
                poll_fn(|cx| self.handle.pump.poll_closed(cx)).await
            }
        }

        impl AsyncWrite for $of {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                <$of>::poll_write(&mut self, cx, data)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                <$of>::poll_flush(&mut self, cx)
            }

            fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_close_write(cx)
            }
        }
    )*};
}

writing!(Connection, WriteHalf);
