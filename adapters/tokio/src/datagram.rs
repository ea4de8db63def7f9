//! Protocols that ride datagrams, over UDP sockets of tokio.

use crate::TokioRuntime;
use crate::asoc::Udp;
use std::net::SocketAddr;
use std::sync::Arc;
use stillwire_core::{Error, Instant};
use stillwire_futures::{Runtime, datagram};
use tokio::net::UdpSocket;

pub use datagram::{DatagramSession, OverDatagrams};

/// Makes a machine and runs it over this socket; ready when it is established. `peer`: whom to talk
/// to; [`None`] for whoever proves to be the peer. `machine` is given the time that it starts with.
///
/// Panics outside a tokio runtime, like tokio itself.
///
/// # Errors
/// That of `machine`, or what ended the handshake.
pub async fn open<M: OverDatagrams>(
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    machine: impl FnOnce(Instant) -> Result<M, Error>,
) -> Result<DatagramSession<M>, Error> {
    let runtime = TokioRuntime::new(tokio::runtime::Handle::current());
    let machine = machine(runtime.now())?;
    DatagramSession::open(Arc::new(runtime), Arc::new(Udp(socket)), peer, machine).await
}
