//! What is left of an ASoc node when it goes away.

use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::BoxFuture;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use stillwire_futures::asoc::Socket;
use stillwire_tokio::asoc::{
    ApiKey, Config, Identity, Node, NodeId, Options, Wrap, Wrapped, connect, start,
};

fn key() -> ApiKey {
    ApiKey::new(b"a key of the cluster, 32 bytes..").unwrap()
}

fn identity() -> Identity {
    Identity {
        node: NodeId::from_bytes([2; 16]),
        keys: vec![key()],
        community: String::new(),
    }
}

fn options() -> Options {
    let mut options = Options::new(NodeId::from_bytes([1; 16]), key());
    options.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    options
}

async fn listening() -> (Node, SocketAddr) {
    let node = start(options()).await.unwrap();
    let at = node.local_addr().unwrap();
    (node, at)
}

#[tokio::test]
async fn a_connection_that_nobody_took_ends_with_its_node() {
    let (node, at) = listening().await;
    let mut dialed = Vec::new();
    for _ in 0..2 {
        let connection = connect(at, identity(), Config::default(), None).await;
        dialed.push(connection.unwrap());
    }
    let taken = node.accept().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(node);
    let first = dialed.remove(0);
    let ended = tokio::time::timeout(Duration::from_secs(5), dialed[0].closed()).await;
    ended.expect("the connection is held by nobody").unwrap();
    // The one that was given out lives on.
    taken.send_message("still here".into()).await.unwrap();
    let message = first.receive_message(100).await.unwrap().unwrap();
    assert_eq!(message, b"still here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_outlasts_its_node_leaves_no_connection() {
    for _ in 0..20 {
        let (node, at) = listening().await;
        let dialing = tokio::spawn(connect(at, identity(), Config::default(), None));
        drop(node);
        // It may have come too late, or in time.
        let Ok(connection) = dialing.await.unwrap() else {
            continue;
        };
        let ended = tokio::time::timeout(Duration::from_secs(5), connection.closed()).await;
        ended.expect("the connection is held by nobody").ok();
    }
}

/// A socket that never closes in good order.
struct Unclosing(Box<dyn Socket>);

impl AsyncRead for Unclosing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Unclosing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

struct Wrapping;

impl Wrap for Wrapping {
    fn client(
        &self,
        socket: Box<dyn Socket>,
        _: SocketAddr,
    ) -> BoxFuture<'static, io::Result<Wrapped>> {
        self.server(socket)
    }

    fn server(&self, socket: Box<dyn Socket>) -> BoxFuture<'static, io::Result<Wrapped>> {
        let socket: Box<dyn Socket> = Box::new(Unclosing(socket));
        Box::pin(std::future::ready(Ok(socket.into())))
    }
}

#[tokio::test]
async fn a_socket_that_does_not_close_holds_its_place_only_for_a_while() {
    let mut options = options();
    options.wrap = Some(Arc::new(Wrapping));
    options.config.connection.send_timeout = Duration::from_millis(200);
    let node = start(options).await.unwrap();
    let at = node.local_addr().unwrap();
    let connection = connect(at, identity(), Config::default(), None).await;
    drop(node.accept().await.unwrap());
    let since = Instant::now();
    while node.connections() > 0 {
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "it is still there"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(connection);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_a_close_arrives_over_bytes_that_nobody_read() {
    let mut options = options();
    options.receive_buffer = 10_000;
    let node = start(options).await.unwrap();
    let at = node.local_addr().unwrap();
    let dialed = connect(at, identity(), Config::default(), None);
    let dialed = dialed.await.unwrap();
    let accepted = Arc::new(node.accept().await.unwrap());
    // More than the one that closes takes in.
    let talker = accepted.clone();
    let talking = tokio::spawn(async move { talker.send_message(vec![1; 32 << 20].into()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let message: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    dialed.send_message(message.clone().into()).await.unwrap();
    let closing = tokio::spawn(dialed.close());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let got = accepted.receive_message(1 << 20).await;
    assert!(got.unwrap().unwrap() == message);
    closing.await.unwrap().unwrap();
    talking.abort();
}
