//! Protocols that ride a byte stream, over TCP or whatever async-std reads and writes.

use crate::AsyncStdRuntime;
use crate::tcp::Tcp;
use async_std::net::TcpStream;
use futures_io::{AsyncRead, AsyncWrite};
use std::sync::Arc;
use stillwire_core::{Error, Instant};
use stillwire_futures::{Runtime, secure};

pub use secure::{
    Control, MessageReceiver, MessageSender, Secure, SecureReader, SecureStream, SecureWriter,
};

/// Makes a machine and runs it over this TCP connection; ready when its handshake is complete.
/// `machine` is given the time that it starts with.
///
/// # Errors
/// That of `machine`, or what ended the handshake.
pub async fn open<M: Secure>(
    carrier: TcpStream,
    machine: impl FnOnce(Instant) -> Result<M, Error>,
) -> Result<SecureStream<M>, Error> {
    open_over(Tcp(carrier), machine).await
}

/// As [`open`], and everything the machine tells goes to `on_event`, as
/// [`SecureStream::open_with`] says.
///
/// # Errors
/// As [`open`].
pub async fn open_with<M: Secure>(
    carrier: TcpStream,
    machine: impl FnOnce(Instant) -> Result<M, Error>,
    on_event: impl FnMut(&Control<M>, M::Event) + Send + 'static,
) -> Result<SecureStream<M>, Error> {
    open_over_with(Tcp(carrier), machine, on_event).await
}

/// As [`open`], over another carrier, whose `close` must end our direction of it. That of
/// async-std's own `TcpStream` does nothing.
///
/// # Errors
/// As [`open`].
pub async fn open_over<M, T>(
    carrier: T,
    machine: impl FnOnce(Instant) -> Result<M, Error>,
) -> Result<SecureStream<M>, Error>
where
    M: Secure,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    open_over_with(carrier, machine, |_, _| {}).await
}

/// As [`open_over`], with the events of [`open_with`].
///
/// # Errors
/// As [`open`].
pub async fn open_over_with<M, T>(
    carrier: T,
    machine: impl FnOnce(Instant) -> Result<M, Error>,
    on_event: impl FnMut(&Control<M>, M::Event) + Send + 'static,
) -> Result<SecureStream<M>, Error>
where
    M: Secure,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let runtime = AsyncStdRuntime::new();
    let machine = machine(runtime.now())?;
    SecureStream::open_with(Arc::new(runtime), carrier, machine, on_event).await
}
