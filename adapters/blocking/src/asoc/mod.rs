//! ASoc on plain threads: calls that block until they are done.
//!
//! Three threads serve a connection: its task, and one each for reading and writing its socket.

pub(crate) mod net;
pub(crate) mod socket;

use crate::Threads;
use crate::bell::block_on;
use bytes::Bytes;
use futures_util::{AsyncReadExt, AsyncWriteExt};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use stillwire_core::UnixTime;
use stillwire_futures::{Error, asoc};

pub use net::BlockingNet;
pub use stillwire_futures::asoc::{
    ApiKey, AuditEvent, AuditKind, AuditSink, Config, Counters, Established, Identity, KeyId,
    NodeConfig, NodeEvent, NodeId, Options, Peer, Profile, Suite, Wrap, Wrapped,
};

/// A node of a cluster; see [`asoc::Node`].
#[derive(Debug)]
pub struct Node(asoc::Node);

impl Node {
    /// Starts a node.
    ///
    /// # Errors
    /// As [`asoc::Node::start`].
    pub fn start(options: Options) -> Result<Self, Error> {
        let runtime = Arc::new(Threads::shared());
        block_on(asoc::Node::start(runtime, Arc::new(BlockingNet), options)).map(Self)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr()
    }

    /// Where it receives discovery messages.
    pub fn discovery_addr(&self) -> Option<SocketAddr> {
        self.0.discovery_addr()
    }

    /// Our UUID.
    pub fn id(&self) -> NodeId {
        self.0.id()
    }

    /// Waits for the next connection, from either side; [`None`] once the node is stopped.
    pub fn accept(&self) -> Option<Connection> {
        block_on(self.0.accept()).map(Connection)
    }

    /// Waits for what happens next in the cluster; [`None`] once the node is stopped.
    pub fn event(&self) -> Option<NodeEvent> {
        block_on(self.0.event())
    }

    /// Counters by peer.
    pub fn counters(&self) -> BTreeMap<Peer, Counters> {
        self.0.counters()
    }

    /// Installs the cluster's next key.
    ///
    /// # Errors
    /// As [`asoc::Node::install_key`].
    pub fn install_key(&self, key: ApiKey) -> Result<(), Error> {
        self.0.install_key(key)
    }

    /// Announces the next key to all peers.
    ///
    /// # Errors
    /// As [`asoc::Node::announce_key`].
    pub fn announce_key(&self, activation: UnixTime) -> Result<(), Error> {
        self.0.announce_key(activation)
    }

    /// Stops listening, dialing and announcing.
    pub fn stop(&self) {
        self.0.stop();
    }
}

/// Dials one peer, without a node.
///
/// # Errors
/// As [`asoc::connect`].
pub fn connect(
    to: SocketAddr,
    identity: Identity,
    config: Config,
    wrap: Option<Arc<dyn Wrap>>,
) -> Result<Connection, Error> {
    let (runtime, net) = (Arc::new(Threads::shared()), Arc::new(BlockingNet));
    block_on(asoc::connect(runtime, net, to, identity, config, wrap)).map(Connection)
}

/// A connection; see [`asoc::Connection`].
#[derive(Debug)]
pub struct Connection(asoc::Connection);

impl Connection {
    /// Who is there, where the handshake tells.
    pub fn peer(&self) -> Option<NodeId> {
        self.0.peer()
    }

    /// The finished handshake.
    pub fn established(&self) -> &Established {
        self.0.established()
    }

    /// Where the peer is.
    pub fn remote_addr(&self) -> SocketAddr {
        self.0.remote_addr()
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// As [`asoc::Connection::open`].
    pub fn open(&self) -> Result<SendStream, Error> {
        self.0.open().map(SendStream)
    }

    /// Waits for the peer's next stream; [`None`] when the connection has ended without an error.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub fn accept(&self) -> Result<Option<ReceiveStream>, Error> {
        Ok(block_on(self.0.accept())?.map(ReceiveStream))
    }

    /// Sends a message as one whole stream.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub fn send_message(&self, message: Bytes) -> Result<(), Error> {
        block_on(self.0.send_message(message))
    }

    /// Waits for the peer's next whole stream, of at most `limit` bytes.
    ///
    /// # Errors
    /// The error that ended the connection, or the limit.
    pub fn receive_message(&self, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        block_on(self.0.receive_message(limit))
    }

    /// Closes the connection once what was sent has gone out.
    ///
    /// # Errors
    /// The error that ended the connection before.
    pub fn close(self) -> Result<(), Error> {
        block_on(self.0.close())
    }
}

/// A stream that we send; see [`asoc::SendStream`].
pub struct SendStream(asoc::SendStream);

impl SendStream {
    /// Sends all of `data` without copying it; done when it is queued.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub fn send(&mut self, data: Bytes) -> Result<(), Error> {
        block_on(self.0.send(data))
    }

    /// Completes the stream.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.0.finish()
    }
}

impl Write for SendStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        block_on(self.0.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        block_on(self.0.flush())
    }
}

/// A stream of the peer's; see [`asoc::ReceiveStream`].
pub struct ReceiveStream(asoc::ReceiveStream);

impl ReceiveStream {
    /// Waits for the next piece, without a copy; [`None`] at the stream's end.
    ///
    /// # Errors
    /// As [`asoc::ReceiveStream::chunk`].
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        block_on(self.0.chunk())
    }
}

impl Read for ReceiveStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        block_on(self.0.read(buffer))
    }
}
