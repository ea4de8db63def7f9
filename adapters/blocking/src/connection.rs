//! Connections as [`Read`] and [`Write`].

use crate::bell::Bell;
use std::fmt;
use std::io::{self, Read, Write};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use stillwire_core::Error;
use stillwire_futures::{self as futures, ConnectionId, Role, Stats};

/// An encrypted, ordered byte stream in both directions.
///
/// Reads and writes are buffered; a thread in the background moves the bytes, so pings go out and
/// time-outs are kept whether or not the application reads. [`Read`] and [`Write`] are there for
/// `&Connection` as well, and [`try_clone`](Self::try_clone) gives another handle for another
/// thread. Any number of threads may use one connection at once.
///
/// # Ending
///
/// [`close_write`](Self::close_write) ends our direction, reading goes on until the peer ends its
/// own (`Ok(0)`). Dropping the connection (the last clone of it) delivers what was written, within
/// the configured close time-out and as long as the process lives, and sends **no** end mark unless
/// `close_write` was called: the peer then sees an error, never a shortened stream that looks
/// whole.
///
/// # Time-outs
///
/// A call that gave up is [`io::ErrorKind::TimedOut`] without a typed error in it
/// ([`source_of`](crate::source_of) finds none): nothing was lost or doubled, and it can be called
/// again. A connection that died of a time-out has the typed error, and repeats it.
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    read: Mutex<futures::ReadHalf>,
    write: Mutex<futures::WriteHalf>,
    /// Of those who wait to read, to write and for the end.
    reading: Arc<Bell>,
    writing: Arc<Bell>,
    ending: Arc<Bell>,
    limits: Mutex<Limits>,
}

#[derive(Clone, Copy, Default)]
struct Limits {
    read: Option<Duration>,
    write: Option<Duration>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<futures::Connection> for Connection {
    fn from(connection: futures::Connection) -> Self {
        let (read, write) = connection.split();
        Self {
            shared: Arc::new(Shared {
                read: Mutex::new(read),
                write: Mutex::new(write),
                reading: Arc::default(),
                writing: Arc::default(),
                ending: Arc::default(),
                limits: Mutex::default(),
            }),
        }
    }
}

impl Connection {
    /// Another handle of the same connection, time-outs included. Never fails so far.
    ///
    /// # Errors
    /// None; as [`std::net::TcpStream::try_clone`] may.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            shared: self.shared.clone(),
        })
    }

    /// How long a read waits; for ever by default.
    ///
    /// # Errors
    /// Zero is no time-out.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        lock(&self.shared.limits).read = checked(limit)?;
        Ok(())
    }

    /// How long a write waits for room, a flush and [`close_write`](Self::close_write) for
    /// storage; for ever by default.
    ///
    /// # Errors
    /// Zero is no time-out.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        lock(&self.shared.limits).write = checked(limit)?;
        Ok(())
    }

    /// How long a read waits.
    pub fn read_timeout(&self) -> Option<Duration> {
        lock(&self.shared.limits).read
    }

    /// How long a write waits.
    pub fn write_timeout(&self) -> Option<Duration> {
        lock(&self.shared.limits).write
    }

    /// Ends our direction after everything written so far; returns when the end is stored. Reading
    /// goes on. Writing afterwards fails with `BrokenPipe`.
    ///
    /// After a time-out the end still goes out; call it again to wait for it.
    ///
    /// # Errors
    /// The connection's error, or the time-out.
    pub fn close_write(&self) -> io::Result<()> {
        self.writing(futures::WriteHalf::poll_close_write)
    }

    /// Waits until the connection is over and its clean-up done, and says how it ended.
    ///
    /// Ends well only when both directions were ended: by our `close_write` and by the peer's, read
    /// up to its end or not.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub fn closed(&self) -> Result<(), Error> {
        loop {
            if let Some(outcome) = self.closed_in(None) {
                return outcome;
            }
        }
    }

    /// As [`closed`](Self::closed); [`None`] when that takes longer than `limit`.
    pub fn closed_within(&self, limit: Duration) -> Option<Result<(), Error>> {
        self.closed_in(Some(limit))
    }

    fn closed_in(&self, limit: Option<Duration>) -> Option<Result<(), Error>> {
        let shared = &self.shared;
        shared.ending.wait(limit, |cx| {
            let mut write = lock(&shared.write);
            let closed = pin!(write.closed());
            closed.poll(cx)
        })
    }

    /// The id both ends know this connection by.
    pub fn id(&self) -> ConnectionId {
        lock(&self.shared.read).id()
    }

    /// Which end we are.
    pub fn role(&self) -> Role {
        lock(&self.shared.read).role()
    }

    /// The Noise handshake hash: equal at both ends, and different when somebody sits between
    /// them. Compare it over another channel to authenticate an anonymous peer.
    pub fn channel_binding(&self) -> [u8; 32] {
        lock(&self.shared.read).channel_binding()
    }

    /// Counters so far.
    pub fn stats(&self) -> Stats {
        lock(&self.shared.read).stats()
    }

    /// True once something authentic came from the peer. A listener gives a connection out before
    /// that: whoever dialed may have replayed somebody else's message.
    pub fn is_confirmed(&self) -> bool {
        lock(&self.shared.read).is_confirmed()
    }

    /// The error that ended the connection, if one did.
    pub fn error(&self) -> Option<Error> {
        lock(&self.shared.read).error()
    }

    fn writing<T>(
        &self,
        mut poll: impl FnMut(&mut futures::WriteHalf, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let shared = &self.shared;
        let limit = self.write_timeout();
        shared
            .writing
            .wait(limit, |cx| poll(&mut lock(&shared.write), cx))
            .unwrap_or_else(|| Err(given_up()))
    }
}

pub(crate) fn checked(limit: Option<Duration>) -> io::Result<Option<Duration>> {
    if limit.is_some_and(|limit| limit.is_zero()) {
        let detail = "a time-out is not zero: None waits for ever";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, detail));
    }
    Ok(limit)
}

pub(crate) fn given_up() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "nothing within the time-out")
}

impl Read for &Connection {
    /// `Ok(0)` for a buffer that is not empty is the peer's authentic end. A stream that breaks off
    /// without one is an error, with what arrived before delivered first.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let shared = &self.shared;
        shared
            .reading
            .wait(self.read_timeout(), |cx| {
                lock(&shared.read).poll_read(cx, buffer)
            })
            .unwrap_or_else(|| Err(given_up()))
    }
}

impl Write for &Connection {
    /// Takes what fits and says how much that was; waits while nothing does. The bytes go out
    /// without a flush.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.writing(|write, cx| write.poll_write(cx, data))
    }

    /// Returns when everything written so far is stored: it survives us, but the peer need not
    /// have read it.
    fn flush(&mut self) -> io::Result<()> {
        self.writing(futures::WriteHalf::poll_flush)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Connection {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("role", &self.role())
            .finish_non_exhaustive()
    }
}
