//! ASoc on async-std: sockets for [`stillwire_futures::asoc`].

use crate::AsyncStdRuntime;
use crate::tcp::Tcp;
use async_std::net::{TcpListener, TcpStream, UdpSocket};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use stillwire_futures::asoc::{Acceptor, Datagrams, Net, Socket};
use stillwire_futures::{Error, Runtime};

pub use stillwire_futures::asoc::{
    ApiKey, AuditEvent, AuditKind, AuditSink, Config, Connection, Counters, Established, Identity,
    KeyId, Node, NodeConfig, NodeEvent, NodeId, Options, Peer, Profile, ReceiveStream, SendStream,
    Suite, Wrap, Wrapped,
};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The sockets of async-std.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStdNet;

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

impl Net for AsyncStdNet {
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
    Arc::new(AsyncStdRuntime::new())
}

/// Starts a node.
///
/// # Errors
/// As [`Node::start`].
pub async fn start(options: Options) -> Result<Node, Error> {
    Node::start(runtime(), Arc::new(AsyncStdNet), options).await
}

/// Dials one peer, without a node.
///
/// # Errors
/// As [`stillwire_futures::asoc::connect`].
pub async fn connect(
    to: SocketAddr,
    identity: Identity,
    config: Config,
    wrap: Option<Arc<dyn Wrap>>,
) -> Result<Connection, Error> {
    let net = Arc::new(AsyncStdNet);
    stillwire_futures::asoc::connect(runtime(), net, to, identity, config, wrap).await
}
