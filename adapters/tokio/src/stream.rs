//! Connections as tokio's [`AsyncRead`] and [`AsyncWrite`].

use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use stillwire_futures as futures;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An encrypted, ordered byte stream in both directions.
///
/// Everything but tokio's traits is [`stillwire_futures::Connection`]'s: how it ends, what
/// happens when it is dropped, and cancel safety are described there. `shutdown` is
/// `close_write`.
#[derive(Debug)]
pub struct Connection(futures::Connection);

/// The reading half of a [`Connection`].
#[derive(Debug)]
pub struct ReadHalf(futures::ReadHalf);

/// The writing half of a [`Connection`].
#[derive(Debug)]
pub struct WriteHalf(futures::WriteHalf);

impl Connection {
    /// Two halves for use in two tasks.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        let (read, write) = self.0.split();
        (ReadHalf(read), WriteHalf(write))
    }
}

impl From<futures::Connection> for Connection {
    fn from(connection: futures::Connection) -> Self {
        Self(connection)
    }
}

macro_rules! wraps {
    ($($outer:ident),*) => {$(
        impl Deref for $outer {
            type Target = futures::$outer;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl DerefMut for $outer {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }
    )*};
}

wraps!(Connection, ReadHalf, WriteHalf);

macro_rules! reads {
    ($($of:ty),*) => {$(
        impl AsyncRead for $of {
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

reads!(Connection, ReadHalf);

macro_rules! writes {
    ($($of:ty),*) => {$(
        impl AsyncWrite for $of {
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

writes!(Connection, WriteHalf);
