//! Protocols that ride a byte stream, over whatever smol reads and writes.

use crate::SmolRuntime;
use futures_io::{AsyncRead, AsyncWrite};
use std::sync::Arc;
use stillwire_core::{Error, Instant};
use stillwire_futures::{Runtime, secure};

pub use secure::{
    Control, MessageReceiver, MessageSender, Secure, SecureReader, SecureStream, SecureWriter,
};

/// Makes a machine and runs it over this carrier (a `smol::net::TcpStream`, a pipe); ready when its
/// handshake is complete. `machine` is given the time that it starts with.
///
/// # Errors
/// That of `machine`, or what ended the handshake.
pub async fn open<M, T>(
    carrier: T,
    machine: impl FnOnce(Instant) -> Result<M, Error>,
) -> Result<SecureStream<M>, Error>
where
    M: Secure,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    open_with(carrier, machine, |_, _| {}).await
}

/// As [`open`], and everything the machine tells goes to `on_event`, as
/// [`SecureStream::open_with`] says.
///
/// # Errors
/// As [`open`].
pub async fn open_with<M, T>(
    carrier: T,
    machine: impl FnOnce(Instant) -> Result<M, Error>,
    on_event: impl FnMut(&Control<M>, M::Event) + Send + 'static,
) -> Result<SecureStream<M>, Error>
where
    M: Secure,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let runtime = SmolRuntime::new();
    let machine = machine(runtime.now())?;
    SecureStream::open_with(Arc::new(runtime), carrier, machine, on_event).await
}
