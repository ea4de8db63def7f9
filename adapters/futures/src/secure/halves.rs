//! What the application holds: a stream, its halves, and halves that carry messages.

use super::{Handle, Secure};
use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use stillwire_core::Error;

/// An encrypted, ordered byte stream in both directions, over another byte stream.
pub struct SecureStream<M: Secure> {
    pub(super) handle: Arc<Handle<M>>,
}

/// The reading half of a [`SecureStream`].
pub struct SecureReader<M: Secure> {
    handle: Arc<Handle<M>>,
}

/// The writing half of a [`SecureStream`].
pub struct SecureWriter<M: Secure> {
    handle: Arc<Handle<M>>,
}

/// Receives whole messages.
pub struct MessageReceiver<M: Secure> {
    handle: Arc<Handle<M>>,
}

/// Sends whole messages.
pub struct MessageSender<M: Secure> {
    handle: Arc<Handle<M>>,
}

impl<M: Secure> SecureStream<M> {
    /// Two halves for use in two tasks.
    pub fn split(self) -> (SecureReader<M>, SecureWriter<M>) {
        let handle = self.handle.clone();
        let reader = SecureReader { handle };
        let writer = SecureWriter {
            handle: self.handle,
        };
        (reader, writer)
    }

    /// Two halves that carry whole messages. Not to be mixed with bytes on one connection.
    pub fn into_messages(self) -> (MessageSender<M>, MessageReceiver<M>) {
        let (reader, writer) = self.split();
        (writer.into_messages(), reader.into_messages())
    }
}

impl<M: Secure> SecureReader<M> {
    /// The half that receives whole messages. Not to be mixed with bytes on one connection.
    pub fn into_messages(self) -> MessageReceiver<M> {
        MessageReceiver {
            handle: self.handle,
        }
    }
}

impl<M: Secure> SecureWriter<M> {
    /// The half that sends whole messages. Not to be mixed with bytes on one connection.
    pub fn into_messages(self) -> MessageSender<M> {
        MessageSender {
            handle: self.handle,
        }
    }
}

macro_rules! about {
    ($($of:ident),*) => {$(
        impl<M: Secure> $of<M> {
            /// Looks at the machine: what it knows of the peer, its error.
            pub fn with<R>(&self, look: impl FnOnce(&M) -> R) -> R {
                self.handle.pump.with(look)
            }

            /// Calls something of the machine's own; what it then wants to send is sent.
            pub fn update<R>(&self, call: impl FnOnce(&mut M) -> R) -> R {
                self.handle.pump.update(call)
            }

            /// Whether the peer's end is authentic, once it was read: false in a protocol without an
            /// end mark (commonware), where somebody may have cut the stream there. [`None`]
            /// before, and where the connection failed instead.
            pub fn ended_authentically(&self) -> Option<bool> {
                self.handle.pump.ended_authentically()
            }
        }

        impl<M: Secure> fmt::Debug for $of<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($of)).finish_non_exhaustive()
            }
        }
    )*};
}

about!(
    SecureStream,
    SecureReader,
    SecureWriter,
    MessageReceiver,
    MessageSender
);

macro_rules! reading {
    ($($of:ident),*) => {$(
        impl<M: Secure> $of<M> {
            /// Reads plaintext; `Ok(0)` for a buffer that is not empty is the peer's end. Where the
            /// protocol has an end mark it is authentic, and a stream that breaks off without one is
            /// an error, with what was authentic delivered first; see
            /// [`Self::ended_authentically`].
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

        impl<M: Secure> AsyncRead for $of<M> {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().poll_read(cx, buffer)
            }
        }
    )*};
}

reading!(SecureStream, SecureReader);

macro_rules! closing {
    ($($of:ident),*) => {$(
        impl<M: Secure> $of<M> {
            /// Ready when the carrier has taken everything written so far; the peer need not have
            /// read it. Cancel safe.
            pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.handle.pump.poll_flush(cx)
            }

            /// Polls what [`Self::close_write`] awaits.
            pub fn poll_close_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let now = self.handle.runtime.now();
                self.handle.pump.poll_close_write(cx, now)
            }

            /// Ends our direction after everything written so far; ready when the carrier has
            /// taken the end. Reading goes on. Writing afterwards fails with `BrokenPipe`.
            ///
            /// Cancel safe: once polled, the end goes out even if this is given up.
            pub async fn close_write(&mut self) -> io::Result<()> {
                poll_fn(|cx| self.poll_close_write(cx)).await
            }

            /// Waits until the connection is over, and says how it ended: well only when both
            /// directions were ended, by our `close_write` and by the peer's end. Cancel safe.
            pub async fn closed(&mut self) -> Result<(), Error> {
                poll_fn(|cx| self.handle.pump.poll_closed(cx)).await
            }
        }
    )*};
}

closing!(SecureStream, SecureWriter, MessageSender);

macro_rules! writing {
    ($($of:ident),*) => {$(
        impl<M: Secure> $of<M> {
            /// Takes what fits of `data` and says how much that was; pending while the buffer is
            /// full. The bytes go out without a flush.
            ///
            /// Cancel safe: as long as this is pending nothing has been taken.
            pub fn poll_write(
                &mut self,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                let now = self.handle.runtime.now();
                self.handle.pump.poll_write(cx, now, data)
            }
        }

        impl<M: Secure> AsyncWrite for $of<M> {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().poll_write(cx, data)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.get_mut().poll_flush(cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.get_mut().poll_close_write(cx)
            }
        }
    )*};
}

writing!(SecureStream, SecureWriter);

impl<M: Secure> MessageSender<M> {
    /// Bytes of the longest message that can be sent.
    pub fn longest_message(&self) -> usize {
        self.with(M::longest_message)
    }

    /// Sends a whole message; pending while the buffer is full. It goes out without a flush.
    ///
    /// Cancel safe: given up while pending, nothing of it was taken.
    ///
    /// # Errors
    /// `InvalidInput` for a message that is too long; what ended the connection otherwise.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let pump = &self.handle.pump;
        poll_fn(|cx| pump.poll_send(cx, self.handle.runtime.now(), message)).await
    }

    /// Ready when the carrier has taken everything sent so far. Cancel safe.
    ///
    /// # Errors
    /// What ended the connection.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }
}

impl<M: Secure> MessageReceiver<M> {
    /// The next whole message, empty ones too; none after the peer's end, which is authentic where
    /// the protocol has an end mark: see [`Self::ended_authentically`].
    ///
    /// Cancel safe: given up while pending, nothing was taken.
    ///
    /// # Errors
    /// What ended the connection, after every message that was authentic.
    pub async fn receive(&mut self) -> io::Result<Option<Bytes>> {
        let pump = &self.handle.pump;
        poll_fn(|cx| pump.poll_receive(cx, self.handle.runtime.now())).await
    }
}
