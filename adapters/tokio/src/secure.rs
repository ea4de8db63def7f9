//! Protocols that ride a byte stream, over whatever tokio reads and writes.

use crate::TokioRuntime;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use stillwire_core::{Error, Instant};
use stillwire_futures::Runtime;
use stillwire_futures::secure;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use secure::{Control, MessageReceiver, MessageSender, Secure};

/// A carrier of tokio's with the traits of `futures`.
struct Carrier<T>(T);

impl<T: AsyncRead + Unpin> futures_io::AsyncRead for Carrier<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = Pin::new(&mut self.0).poll_read(cx, &mut buffer);
        read.map_ok(|()| buffer.filled().len())
    }
}

impl<T: AsyncWrite + Unpin> futures_io::AsyncWrite for Carrier<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// An encrypted byte stream over another; everything but tokio's traits is that of
/// [`stillwire_futures::secure::SecureStream`]. `shutdown` is `close_write`.
pub struct SecureStream<M: Secure>(secure::SecureStream<M>);

/// The reading half of a [`SecureStream`].
pub struct SecureReader<M: Secure>(secure::SecureReader<M>);

/// The writing half of a [`SecureStream`].
pub struct SecureWriter<M: Secure>(secure::SecureWriter<M>);

impl<M: Secure> SecureStream<M> {
    /// Makes a machine, runs it over this carrier (a TCP stream, a pipe) on the runtime this is
    /// called on; ready when its handshake is complete. `machine` is given the time that it starts
    /// with.
    ///
    /// Panics outside a tokio runtime, like tokio itself.
    ///
    /// # Errors
    /// That of `machine`, or what ended the handshake.
    pub async fn open<T>(
        carrier: T,
        machine: impl FnOnce(Instant) -> Result<M, Error>,
    ) -> Result<Self, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::open_with(carrier, machine, |_, _| {}).await
    }

    /// As [`Self::open`], and everything the machine tells goes to `on_event`, as
    /// [`secure::SecureStream::open_with`] says. A commonware listener that decides about each
    /// dialer:
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use stillwire_core::commonware::{Admission, Config, Connection, ConnectionEvent, Door};
    /// # use stillwire_core::commonware::{Identity, PublicKey};
    /// # use stillwire_core::{Error, UnixTime};
    /// # use stillwire_tokio::SecureStream;
    /// # async fn accept(
    /// #     tcp: tokio::net::TcpStream,
    /// #     ours: Arc<dyn Identity>,
    /// #     friends: Vec<PublicKey>,
    /// #     seed: [u8; 32],
    /// #     unix: UnixTime,
    /// # ) -> Result<(), Error> {
    /// let door = Door { admission: Admission::Ask, seen: None };
    /// let listen = |now| Ok(Connection::listen(Config::hardened(), ours, door, seed, now, unix));
    /// let stream = SecureStream::open_with(tcp, listen, move |control, event| {
    ///     if let ConnectionEvent::Asked { dialer, .. } = event {
    ///         // An error is what ended the connection, which `open_with` tells too.
    ///         let _ = control.update(|machine, now| {
    ///             if friends.contains(&dialer) { machine.accept(now) } else { machine.refuse() }
    ///         });
    ///     }
    /// });
    /// let stream = stream.await?;
    /// # drop(stream);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with<T>(
        carrier: T,
        machine: impl FnOnce(Instant) -> Result<M, Error>,
        on_event: impl FnMut(&Control<M>, M::Event) + Send + 'static,
    ) -> Result<Self, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let runtime = TokioRuntime::new(tokio::runtime::Handle::current());
        let machine = machine(runtime.now())?;
        let (runtime, carrier) = (Arc::new(runtime), Carrier(carrier));
        let opened = secure::SecureStream::open_with(runtime, carrier, machine, on_event);
        opened.await.map(Self)
    }

    /// Two halves for use in two tasks.
    pub fn split(self) -> (SecureReader<M>, SecureWriter<M>) {
        let (reader, writer) = self.0.split();
        (SecureReader(reader), SecureWriter(writer))
    }

    /// Two halves that carry whole messages. Not to be mixed with bytes on one connection.
    pub fn into_messages(self) -> (MessageSender<M>, MessageReceiver<M>) {
        self.0.into_messages()
    }
}

macro_rules! wraps {
    ($($outer:ident),*) => {$(
        impl<M: Secure> fmt::Debug for $outer<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<M: Secure> Deref for $outer<M> {
            type Target = secure::$outer<M>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl<M: Secure> DerefMut for $outer<M> {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }
    )*};
}

wraps!(SecureStream, SecureReader, SecureWriter);

macro_rules! reads {
    ($($of:ident),*) => {$(
        impl<M: Secure> AsyncRead for $of<M> {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let free = buffer.initialize_unfilled();
                self.0.poll_read(cx, free).map_ok(|n| buffer.advance(n))
            }
        }
    )*};
}

reads!(SecureStream, SecureReader);

macro_rules! writes {
    ($($of:ident),*) => {$(
        impl<M: Secure> AsyncWrite for $of<M> {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write(cx, data)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.poll_close_write(cx)
            }
        }
    )*};
}

writes!(SecureStream, SecureWriter);
