//! Sockets, as a runtime's adapter hands them in.

use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::BoxFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use stillwire_core::asoc::NodeId;

/// An ordered byte stream: a TCP connection, plain or wrapped in TLS. Vectored writes spare a copy.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A TCP socket that listens.
pub trait Acceptor: Send {
    /// The next connection and where it comes from.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Socket>, SocketAddr)>>;

    /// Where it listens.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A UDP socket that may broadcast.
pub trait Datagrams: Send + Sync {
    /// Sends one datagram.
    fn send_to<'a>(&'a self, datagram: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>>;

    /// Receives one datagram; what does not fit is lost.
    fn receive<'a>(
        &'a self,
        buffer: &'a mut [u8],
    ) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>>;

    /// Where it is bound.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// TCP and UDP of a runtime.
pub trait Net: Send + Sync + 'static {
    /// Connects; `TCP_NODELAY` set.
    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Socket>>>;

    /// Listens.
    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Acceptor>>>;

    /// Binds a UDP socket that may broadcast.
    fn bind(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn Datagrams>>>;
}

/// A socket with something put around it.
pub struct Wrapped {
    /// The socket to use from now on.
    pub socket: Box<dyn Socket>,
    /// Whom the peer has been verified to be, if it has: the UUID in its certificate.
    pub peer: Option<NodeId>,
}

impl From<Box<dyn Socket>> for Wrapped {
    fn from(socket: Box<dyn Socket>) -> Self {
        Self { socket, peer: None }
    }
}

/// What is put around a socket before ASoc speaks over it: TLS.
pub trait Wrap: Send + Sync + 'static {
    /// Around a socket that was dialed.
    fn client(
        &self,
        socket: Box<dyn Socket>,
        to: SocketAddr,
    ) -> BoxFuture<'static, io::Result<Wrapped>>;

    /// Around a socket that was accepted.
    fn server(&self, socket: Box<dyn Socket>) -> BoxFuture<'static, io::Result<Wrapped>>;
}
