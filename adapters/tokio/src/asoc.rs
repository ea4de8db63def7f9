//! ASoc on tokio: sockets for [`stillwire_futures::asoc`].

use crate::TokioRuntime;
use futures_io::{AsyncRead, AsyncWrite};
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use stillwire_futures::asoc::{Acceptor, Datagrams, Net, Socket};
use stillwire_futures::{Error, Runtime};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

pub use stillwire_futures::asoc::{
    ApiKey, AuditEvent, AuditKind, AuditSink, Config, Connection, Counters, Established, Identity,
    KeyId, Node, NodeConfig, NodeEvent, NodeId, Options, Peer, Profile, ReceiveStream, SendStream,
    Suite, Wrap, Wrapped,
};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// tokio's sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioNet;

/// A TCP connection, with the traits of `futures-io`.
struct Tcp(TcpStream);

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buf);
        let read = Pin::new(&mut self.0).poll_read(cx, &mut buffer);
        read.map_ok(|()| buffer.filled().len())
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn boxed(socket: TcpStream) -> io::Result<Box<dyn Socket>> {
    socket.set_nodelay(true)?;
    Ok(Box::new(Tcp(socket)))
}

struct Listening(TcpListener);

impl Acceptor for Listening {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Socket>, SocketAddr)>> {
        Box::pin(async move {
            let (socket, from) = self.0.accept().await?;
            Ok((boxed(socket)?, from))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub(crate) struct Udp(pub(crate) UdpSocket);

impl Datagrams for Udp {
    fn send_to<'a>(&'a self, datagram: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { self.0.send_to(datagram, to).await.map(|_| ()) })
    }

    fn receive<'a>(
        &'a self,
        buffer: &'a mut [u8],
    ) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Box::pin(self.0.recv_from(buffer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Net for TokioNet {
    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Socket>>> {
        Box::pin(async move { boxed(TcpStream::connect(to).await?) })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(at).await?;
            Ok(Box::new(Listening(listener)) as Box<dyn Acceptor>)
        })
    }

    fn bind(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn Datagrams>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(at).await?;
            socket.set_broadcast(true)?;
            Ok(Arc::new(Udp(socket)) as Arc<dyn Datagrams>)
        })
    }
}

fn runtime() -> Arc<dyn Runtime> {
    Arc::new(TokioRuntime::new(tokio::runtime::Handle::current()))
}

/// Starts a node on the tokio runtime this code runs on.
///
/// Panics outside a tokio runtime, like tokio itself.
///
/// # Errors
/// As [`Node::start`].
pub async fn start(options: Options) -> Result<Node, Error> {
    Node::start(runtime(), Arc::new(TokioNet), options).await
}

/// Dials one peer on the tokio runtime this code runs on, without a node.
///
/// Panics outside a tokio runtime, like tokio itself.
///
/// # Errors
/// As [`stillwire_futures::asoc::connect`].
pub async fn connect(
    to: SocketAddr,
    identity: Identity,
    config: Config,
    wrap: Option<Arc<dyn Wrap>>,
) -> Result<Connection, Error> {
    let net = Arc::new(TokioNet);
    stillwire_futures::asoc::connect(runtime(), net, to, identity, config, wrap).await
}
