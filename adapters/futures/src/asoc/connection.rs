//! A connection as the application holds it.

use super::driver::Driver;
use super::net::{Net, Wrapped};
use super::shared::{STREAM, Shared};
use super::streams::{ReceiveStream, SendStream};
use crate::runtime::Runtime;
use crate::seed;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use stillwire_core::asoc::{Config, Connection as Machine, Established, Fresh, Identity, NodeId};
use stillwire_core::crypto::Rng;
use stillwire_core::store::{Failure, FailureKind};
use stillwire_core::{Error, Timer};

/// An ASoc connection whose handshake is done. Dropping it closes it, once what was sent has gone
/// out: keep it for as long as its streams are in use.
pub struct Connection {
    shared: Arc<Shared>,
    address: SocketAddr,
    established: Established,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, address: SocketAddr, established: Established) -> Self {
        Self {
            shared,
            address,
            established,
        }
    }

    /// Who is there, where the handshake tells: a client of the default profile does not learn it
    /// (trap 4).
    pub fn peer(&self) -> Option<NodeId> {
        self.established.peer
    }

    /// Whom the peer's certificate names, with TLS.
    pub fn certified(&self) -> Option<NodeId> {
        self.shared.lock().certified
    }

    /// The finished handshake.
    pub fn established(&self) -> &Established {
        &self.established
    }

    /// Where the peer is.
    pub fn remote_addr(&self) -> SocketAddr {
        self.address
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// The error that ended the connection; misuse when too many are open.
    pub fn open(&self) -> Result<SendStream, Error> {
        let mut state = self.shared.lock();
        if let Some(error) = state.why() {
            return Err(error);
        }
        let id = state.machine.open()?;
        Ok(SendStream {
            shared: Arc::clone(&self.shared),
            id,
            finished: false,
        })
    }

    /// The peer's next stream; [`None`] when the connection has ended without an error.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub async fn accept(&self) -> Result<Option<ReceiveStream>, Error> {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(id) = state.fresh.pop_front() {
                state.consumed(STREAM, self.shared.receive_buffer);
                return Poll::Ready(Ok(Some(ReceiveStream {
                    shared: Arc::clone(&self.shared),
                    id,
                })));
            }
            match &state.over {
                Some(Ok(())) => Poll::Ready(Ok(None)),
                Some(Err(error)) => Poll::Ready(Err(error.clone())),
                None => {
                    state.waiting.register(cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Sends a message as one whole stream.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub async fn send_message(&self, message: Bytes) -> Result<(), Error> {
        let mut stream = self.open()?;
        stream.send(message).await?;
        stream.finish()
    }

    /// The peer's next whole stream, of at most `limit` bytes; [`None`] when the connection has
    /// ended without an error.
    ///
    /// # Errors
    /// The error that ended the connection, or the limit.
    pub async fn receive_message(&self, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.accept().await? {
            Some(stream) => stream.message(limit).await.map(Some),
            None => Ok(None),
        }
    }

    /// Ready when the socket has taken everything that was sent.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub async fn flush(&self) -> Result<(), Error> {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if state.is_flushed() {
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = state.why() {
                return Poll::Ready(Err(error));
            }
            state.writers.register(cx);
            Poll::Pending
        })
        .await
    }

    /// Closes the connection once what was sent has gone out, and waits for that.
    ///
    /// # Errors
    /// The error that ended the connection before.
    pub async fn close(self) -> Result<(), Error> {
        self.flush().await?;
        self.end();
        self.closed().await
    }

    /// Ready when the connection is over, with how it ended.
    ///
    /// # Errors
    /// The error that ended it.
    pub async fn closed(&self) -> Result<(), Error> {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(how) = state.over.clone() {
                return Poll::Ready(how);
            }
            state.waiting.register(cx);
            Poll::Pending
        })
        .await
    }

    fn end(&self) {
        let mut state = self.shared.lock();
        // It may be over already.
        let _ = state.machine.close();
        state.driver.wake();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.established.peer)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Received and not read: above this the socket is left alone.
pub(super) const RECEIVE_BUFFER: usize = 4 << 20;

/// Dials one peer, without a [`Node`](super::Node): no replay cache, no reconnection.
///
/// # Errors
/// [`FailureKind::Unreachable`], a time-out, or what is wrong with the peer.
pub async fn connect(
    runtime: Arc<dyn Runtime>,
    net: Arc<dyn Net>,
    to: SocketAddr,
    identity: Identity,
    config: Config,
    wrap: Option<Arc<dyn super::Wrap>>,
) -> Result<Connection, Error> {
    let unreachable = |error| {
        let detail = format!("{to} cannot be reached: {error}; does a node listen there?");
        Error::Store(Failure::new(FailureKind::Unreachable, detail))
    };
    let timeout = runtime.sleep(config.handshake_timeout);
    let dial = async {
        let socket = net.connect(to).await.map_err(unreachable)?;
        let Some(wrap) = wrap else {
            return Ok(Wrapped::from(socket));
        };
        wrap.client(socket, to).await.map_err(|error| {
            let detail = format!("TLS with {to} failed: {error}; is its certificate in order?");
            Error::Store(Failure::new(FailureKind::Tls, detail))
        })
    };
    let socket = match select(Box::pin(dial), timeout).await {
        Either::Left((socket, _)) => socket?,
        Either::Right(_) => return Err(Error::Timeout(Timer::Connect)),
    };
    let mut rng = Rng::from_seed(seed()?);
    let send_timeout = config.send_timeout;
    let fresh = Fresh::draw(&mut rng, super::node::wall_clock());
    let machine = Machine::client(config, identity, fresh, runtime.now())?;
    let shared = Arc::new(Shared::new(machine, RECEIVE_BUFFER));
    let Wrapped { socket, peer } = socket;
    shared.lock().certified = peer;
    let (run, link) = (Arc::clone(&runtime), Arc::clone(&shared));
    runtime.spawn(Driver::new(run, link, socket, None, send_timeout).boxed());
    let opening = Opening(Some(Arc::clone(&shared)));
    let established = poll_fn(|cx| {
        let mut state = shared.lock();
        if let Some(established) = state.established {
            return Poll::Ready(Ok(established));
        }
        if let Some(error) = state.why() {
            return Poll::Ready(Err(error));
        }
        state.waiting.register(cx);
        Poll::Pending
    })
    .await?;
    opening.keep();
    Ok(Connection::new(shared, to, established))
}

/// Closes a connection whose dial was cancelled.
struct Opening(Option<Arc<Shared>>);

impl Opening {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            let mut state = shared.lock();
            let _ = state.machine.close();
            state.driver.wake();
        }
    }
}
