//! Protocols that ride a byte stream, over a TCP connection and without an async runtime.
//!
//! The machine, the pump and the loop around them are those of [`stillwire_futures::secure`]; a task is
//! a thread here, and two more wait for the socket.

use crate::Threads;
use crate::asoc::socket::Socket;
use crate::bell::{Bell, block_on};
use bytes::Bytes;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use stillwire_core::store::{Failure, FailureKind};
use stillwire_core::{Error, Instant};
use stillwire_futures::{Runtime, secure};

pub use secure::{Control, Secure};

/// One half, whoever waits for it, and for how long at the most.
struct Half<H> {
    inner: Mutex<H>,
    bell: Arc<Bell>,
    limit: Mutex<Option<Duration>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<H> Half<H> {
    fn new(inner: H) -> Self {
        Self {
            inner: Mutex::new(inner),
            bell: Arc::default(),
            limit: Mutex::default(),
        }
    }

    /// The same limit for another view of the half.
    fn map<G>(self, change: impl FnOnce(H) -> G) -> Half<G> {
        let inner = self.inner.into_inner();
        Half {
            inner: Mutex::new(change(inner.unwrap_or_else(PoisonError::into_inner))),
            bell: self.bell,
            limit: self.limit,
        }
    }

    fn limit(&self) -> Option<Duration> {
        *lock(&self.limit)
    }

    fn set_limit(&self, limit: Option<Duration>) -> io::Result<()> {
        *lock(&self.limit) = crate::connection::checked(limit)?;
        Ok(())
    }

    fn within<T>(
        &self,
        limit: Option<Duration>,
        mut poll: impl FnMut(&mut H, &mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        self.bell.wait(limit, |cx| poll(&mut lock(&self.inner), cx))
    }

    fn wait<T>(
        &self,
        poll: impl FnMut(&mut H, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        self.within(self.limit(), poll)
            .unwrap_or_else(|| Err(crate::connection::given_up()))
    }
}

/// An encrypted, ordered byte stream in both directions, over a TCP connection.
///
/// [`Read`] and [`Write`] are there for `&SecureStream` as well; any number of threads may use one
/// at once. Reads and writes are buffered, and a thread in the background moves the bytes.
///
/// # Ending
///
/// As with [`stillwire_futures::secure`]: [`close_write`](Self::close_write) ends our direction,
/// authentically where the protocol has an end mark, and reading goes on; dropping everything sends
/// what was written, within [`secure::LINGER`] and as long as the process lives, and says no end.
///
/// # Time-outs
///
/// The handshake's is the machine's own setting. A call that gave up is
/// [`io::ErrorKind::TimedOut`] without a typed error in it: nothing was lost or doubled, and it can
/// be called again.
pub struct SecureStream<M: Secure> {
    reader: SecureReader<M>,
    writer: SecureWriter<M>,
}

/// The reading half of a [`SecureStream`].
pub struct SecureReader<M: Secure>(Half<secure::SecureReader<M>>);

/// The writing half of a [`SecureStream`].
pub struct SecureWriter<M: Secure>(Half<secure::SecureWriter<M>>);

/// Receives whole messages.
pub struct MessageReceiver<M: Secure>(Half<secure::MessageReceiver<M>>);

/// Sends whole messages.
pub struct MessageSender<M: Secure>(Half<secure::MessageSender<M>>);

impl<M: Secure> SecureStream<M> {
    /// Makes a machine, runs it over this TCP connection, and waits until its handshake is
    /// complete. `machine` is given the time that it starts with.
    ///
    /// # Errors
    /// That of `machine`, what ended the handshake, or [`Error::Store`] when the system gives no
    /// threads for the socket.
    pub fn open(
        carrier: TcpStream,
        machine: impl FnOnce(Instant) -> Result<M, Error>,
    ) -> Result<Self, Error> {
        Self::open_with(carrier, machine, |_, _| {})
    }

    /// As [`open`](Self::open), and everything the machine tells goes to `on_event`, as
    /// [`secure::SecureStream::open_with`] says; it runs on the thread that moves the bytes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        carrier: TcpStream,
        machine: impl FnOnce(Instant) -> Result<M, Error>,
        on_event: impl FnMut(&Control<M>, M::Event) + Send + 'static,
    ) -> Result<Self, Error> {
        let threads = Threads::shared();
        let machine = machine(threads.now())?;
        let carrier = Socket::new(carrier).map_err(|error| {
            let detail = format!("the socket cannot be used: {error}");
            Error::Store(Failure::new(FailureKind::Io, detail))
        })?;
        let threads = Arc::new(threads);
        let opened = secure::SecureStream::open_with(threads, carrier, machine, on_event);
        let (reader, writer) = block_on(opened)?.split();
        Ok(Self {
            reader: SecureReader(Half::new(reader)),
            writer: SecureWriter(Half::new(writer)),
        })
    }

    /// Two halves for use in two threads.
    pub fn split(self) -> (SecureReader<M>, SecureWriter<M>) {
        (self.reader, self.writer)
    }

    /// Two halves that carry whole messages. Not to be mixed with bytes on one connection.
    pub fn into_messages(self) -> (MessageSender<M>, MessageReceiver<M>) {
        let sender = self.writer.0.map(secure::SecureWriter::into_messages);
        let receiver = self.reader.0.map(secure::SecureReader::into_messages);
        (MessageSender(sender), MessageReceiver(receiver))
    }

    /// Looks at the machine: what it knows of the peer, its error.
    pub fn with<R>(&self, look: impl FnOnce(&M) -> R) -> R {
        self.reader.with(look)
    }

    /// Calls something of the machine's own; what it then wants to send is sent.
    pub fn update<R>(&self, call: impl FnOnce(&mut M) -> R) -> R {
        self.writer.update(call)
    }

    /// As [`SecureReader::ended_authentically`].
    pub fn ended_authentically(&self) -> Option<bool> {
        self.reader.ended_authentically()
    }

    /// How long a read waits; for ever by default.
    ///
    /// # Errors
    /// Zero is no time-out.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.reader.set_timeout(limit)
    }

    /// How long a write waits for room, a flush and [`close_write`](Self::close_write) for the
    /// carrier; for ever by default.
    ///
    /// # Errors
    /// Zero is no time-out.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.writer.set_timeout(limit)
    }

    /// As [`SecureWriter::close_write`].
    ///
    /// # Errors
    /// The connection's error, or the time-out.
    pub fn close_write(&self) -> io::Result<()> {
        self.writer.close_write()
    }

    /// As [`SecureWriter::closed`].
    ///
    /// # Errors
    /// The error that ended the connection.
    pub fn closed(&self) -> Result<(), Error> {
        self.writer.closed()
    }
}

macro_rules! about {
    ($($of:ident),*) => {$(
        impl<M: Secure> $of<M> {
            /// Looks at the machine: what it knows of the peer, its error.
            pub fn with<R>(&self, look: impl FnOnce(&M) -> R) -> R {
                lock(&self.0.inner).with(look)
            }

            /// Calls something of the machine's own; what it then wants to send is sent.
            pub fn update<R>(&self, call: impl FnOnce(&mut M) -> R) -> R {
                lock(&self.0.inner).update(call)
            }

            /// Whether the peer's end is authentic, once it was read: false in a protocol without an
            /// end mark (commonware), where somebody may have cut the stream there. [`None`]
            /// before, and where the connection failed instead.
            pub fn ended_authentically(&self) -> Option<bool> {
                lock(&self.0.inner).ended_authentically()
            }

            /// How long a call waits; for ever by default.
            ///
            /// # Errors
            /// Zero is no time-out.
            pub fn set_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
                self.0.set_limit(limit)
            }
        }

        impl<M: Secure> fmt::Debug for $of<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($of)).finish_non_exhaustive()
            }
        }
    )*};
}

about!(SecureReader, SecureWriter, MessageReceiver, MessageSender);

impl<M: Secure> fmt::Debug for SecureStream<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureStream").finish_non_exhaustive()
    }
}

macro_rules! closing {
    ($($of:ident: $inner:ident),*) => {$(
        impl<M: Secure> $of<M> {
            /// Ends our direction after everything written so far; returns when the carrier has
            /// taken the end. Reading goes on. Writing afterwards fails with `BrokenPipe`.
            ///
            /// After a time-out the end still goes out; call it again to wait for it.
            ///
            /// # Errors
            /// The connection's error, or the time-out.
            pub fn close_write(&self) -> io::Result<()> {
                self.0.wait(secure::$inner::poll_close_write)
            }

            /// Waits until the connection is over, and says how it ended: well only when both
            /// directions were ended, by our `close_write` and by the peer's end.
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
                self.0
                    .within(limit, |half, cx| pin!(half.closed()).poll(cx))
            }
        }
    )*};
}

closing!(SecureWriter: SecureWriter, MessageSender: MessageSender);

impl<M: Secure> Read for &SecureReader<M> {
    /// `Ok(0)` for a buffer that is not empty is the peer's end. Where the protocol has an end mark
    /// it is authentic, and a stream that breaks off without one is an error, with what was
    /// authentic delivered first; see [`SecureReader::ended_authentically`].
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.wait(|half, cx| half.poll_read(cx, buffer))
    }
}

impl<M: Secure> Write for &SecureWriter<M> {
    /// Takes what fits and says how much that was; waits while nothing does. The bytes go out
    /// without a flush.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.wait(|half, cx| half.poll_write(cx, data))
    }

    /// Returns when the carrier has taken everything written so far.
    fn flush(&mut self) -> io::Result<()> {
        self.0.wait(secure::SecureWriter::poll_flush)
    }
}

impl<M: Secure> Read for SecureReader<M> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl<M: Secure> Write for SecureWriter<M> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

macro_rules! stream {
    ($($of:ty),*) => {$(
        impl<M: Secure> Read for $of {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                (&self.reader).read(buffer)
            }
        }

        impl<M: Secure> Write for $of {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                (&self.writer).write(data)
            }

            fn flush(&mut self) -> io::Result<()> {
                (&self.writer).flush()
            }
        }
    )*};
}

stream!(SecureStream<M>, &SecureStream<M>);

impl<M: Secure> MessageSender<M> {
    /// Bytes of the longest message that can be sent.
    pub fn longest_message(&self) -> usize {
        self.with(M::longest_message)
    }

    /// Sends a whole message; waits while the buffer is full. It goes out without a flush.
    ///
    /// # Errors
    /// `InvalidInput` for a message that is too long, what ended the connection, or the time-out:
    /// nothing of the message was taken then.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        self.0.wait(|half, cx| pin!(half.send(message)).poll(cx))
    }

    /// Returns when the carrier has taken everything sent so far.
    ///
    /// # Errors
    /// What ended the connection, or the time-out.
    pub fn flush(&self) -> io::Result<()> {
        self.0.wait(secure::MessageSender::poll_flush)
    }
}

impl<M: Secure> MessageReceiver<M> {
    /// The next whole message, empty ones too; none after the peer's end, which is authentic where
    /// the protocol has an end mark.
    ///
    /// # Errors
    /// What ended the connection, after every message that was authentic, or the time-out.
    pub fn receive(&self) -> io::Result<Option<Bytes>> {
        self.0.wait(|half, cx| pin!(half.receive()).poll(cx))
    }
}
