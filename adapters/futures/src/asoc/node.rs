//! A node of a cluster as the application holds it.

use super::connection::Connection;
use super::driver::Judge;
use super::net::{Net, Wrap};
use super::serve;
use super::shared::{Shared, Waiting};
use crate::runtime::Runtime;
use crate::seed;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::{Duration, SystemTime};
use stillwire_core::asoc::{
    ApiKey, AuditEvent, ConnectionEvent, ConnectionId, Counters, KeyId, Node as Machine,
    NodeConfig, NodeEvent, NodeId, Peer, Verdict,
};
use stillwire_core::store::{Failure, FailureKind};
use stillwire_core::{Class, Error, Instant, UnixTime};

/// Where audit events go. Called from the node's task: it must not block for long.
pub type AuditSink = Arc<dyn Fn(&AuditEvent) + Send + Sync>;

/// Established connections that wait to be accepted; past it the oldest is closed.
const WAITING: usize = 128;

/// Events that wait to be asked for; past it the oldest is dropped.
const EVENTS: usize = 1024;

/// What a node is made from.
#[derive(Clone)]
pub struct Options {
    /// Its UUID.
    pub id: NodeId,
    /// The cluster's key.
    pub key: ApiKey,
    /// Settings; `port` is filled in from where the node listens.
    pub config: NodeConfig,
    /// Where to listen on TCP; [`None`]: not at all.
    pub listen: Option<SocketAddr>,
    /// Where to receive discovery messages on UDP.
    pub discovery_bind: SocketAddr,
    /// Where to send them.
    pub discovery_to: SocketAddr,
    /// Bytes of a connection that are received and not read above which its socket is left alone.
    pub receive_buffer: usize,
    /// Where audit events go.
    pub audit: Option<AuditSink>,
    /// TLS.
    pub wrap: Option<Arc<dyn Wrap>>,
}

impl Options {
    /// A node that neither listens nor looks for others, with the defaults of the protocol page:
    /// discovery, once `config.discovery` is set, by broadcast on port 9999.
    pub fn new(id: NodeId, key: ApiKey) -> Self {
        let config = NodeConfig {
            discovery: false,
            port: 0,
            ..NodeConfig::default()
        };
        Self {
            id,
            key,
            config,
            listen: None,
            discovery_bind: SocketAddr::from(([0, 0, 0, 0], 9999)),
            discovery_to: SocketAddr::from(([255, 255, 255, 255], 9999)),
            receive_buffer: super::connection::RECEIVE_BUFFER,
            audit: None,
            wrap: None,
        }
    }
}

pub(super) struct State {
    pub(super) machine: Machine,
    pub(super) links: BTreeMap<ConnectionId, (Weak<Shared>, SocketAddr)>,
    pub(super) accepted: VecDeque<Connection>,
    pub(super) events: VecDeque<NodeEvent>,
    pub(super) stopped: bool,
    pub(super) driver: Waiting,
    pub(super) waiting: Waiting,
}

pub(super) struct Inner {
    state: Mutex<State>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) net: Arc<dyn Net>,
    pub(super) options: Options,
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Passes an event on, and the connection that it may be about. What it gives back has waited
    /// too long: drop it once the lock is gone.
    pub(super) fn tell(
        &mut self,
        event: NodeEvent,
        connection: Option<Connection>,
    ) -> Option<Connection> {
        if self.stopped {
            // Nobody would take it any more.
            return connection;
        }
        self.accepted.extend(connection);
        self.events.push_back(event);
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
        self.waiting.wake();
        (self.accepted.len() > WAITING)
            .then(|| self.accepted.pop_front())
            .flatten()
    }
}

/// A node of a cluster: listens, dials its static peers for ever and discovered ones while they
/// are there, and gives out each connection once its handshake is done. Dropping it stops it;
/// connections that were given out live on.
pub struct Node {
    inner: Arc<Inner>,
    local_addr: Option<SocketAddr>,
    discovery_addr: Option<SocketAddr>,
}

impl Node {
    /// Starts a node.
    ///
    /// # Errors
    /// [`FailureKind::Io`] when an address cannot be bound.
    pub async fn start(
        runtime: Arc<dyn Runtime>,
        net: Arc<dyn Net>,
        mut options: Options,
    ) -> Result<Self, Error> {
        let bound = |at: SocketAddr| {
            move |error: std::io::Error| {
                let detail = format!("cannot bind {at}: {error}; take another address or port");
                Error::Store(Failure::new(FailureKind::Io, detail))
            }
        };
        let acceptor = match options.listen {
            Some(at) => Some(net.listen(at).await.map_err(bound(at))?),
            None => None,
        };
        let at = acceptor.as_ref().map(|acceptor| acceptor.local_addr());
        let local_addr = at.transpose().map_err(bound(options.discovery_bind))?;
        options.config.port = local_addr.map_or(0, |at| at.port());
        let socket = if options.config.discovery {
            let at = options.discovery_bind;
            Some(net.bind(at).await.map_err(bound(at))?)
        } else {
            None
        };
        let discovery_addr = socket.as_ref().and_then(|socket| socket.local_addr().ok());
        let machine = Machine::new(
            options.config.clone(),
            options.id,
            options.key.clone(),
            seed()?,
            runtime.now(),
            wall_clock(),
        );
        let inner = Arc::new(Inner {
            state: Mutex::new(State {
                machine,
                links: BTreeMap::new(),
                accepted: VecDeque::new(),
                events: VecDeque::new(),
                stopped: false,
                driver: Waiting::default(),
                waiting: Waiting::default(),
            }),
            runtime,
            net,
            options,
        });
        serve::start(&inner, acceptor, socket);
        Ok(Self {
            inner,
            local_addr,
            discovery_addr,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// Where it receives discovery messages.
    pub fn discovery_addr(&self) -> Option<SocketAddr> {
        self.discovery_addr
    }

    /// Our UUID.
    pub fn id(&self) -> NodeId {
        self.inner.options.id
    }

    /// The next connection, from either side; [`None`] once the node is stopped.
    pub async fn accept(&self) -> Option<Connection> {
        poll_fn(|cx| {
            let mut state = self.inner.lock();
            match state.accepted.pop_front() {
                Some(connection) => Poll::Ready(Some(connection)),
                None if state.stopped => Poll::Ready(None),
                None => {
                    state.waiting.register(cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// What happens in the cluster; [`None`] once the node is stopped.
    pub async fn event(&self) -> Option<NodeEvent> {
        poll_fn(|cx| {
            let mut state = self.inner.lock();
            match state.events.pop_front() {
                Some(event) => Poll::Ready(Some(event)),
                None if state.stopped => Poll::Ready(None),
                None => {
                    state.waiting.register(cx);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Counters by peer.
    pub fn counters(&self) -> BTreeMap<Peer, Counters> {
        self.inner.lock().machine.counters().clone()
    }

    /// Connections that exist, established or not.
    pub fn connections(&self) -> usize {
        self.inner.lock().machine.connections()
    }

    /// Installs the cluster's next key: accepted at once, announced later.
    ///
    /// # Errors
    /// See [`Machine::install_key`].
    pub fn install_key(&self, key: ApiKey) -> Result<(), Error> {
        self.change(|machine| machine.install_key(key))
    }

    /// Announces the next key to all peers: they speak under it from then on.
    ///
    /// # Errors
    /// See [`Machine::announce_key`].
    pub fn announce_key(&self, activation: UnixTime) -> Result<(), Error> {
        self.change(|machine| machine.announce_key(activation))
    }

    /// The keys that are accepted, the one to speak under first.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.inner.lock().machine.key_ids()
    }

    fn change<T>(&self, run: impl FnOnce(&mut Machine) -> T) -> T {
        let mut state = self.inner.lock();
        let result = run(&mut state.machine);
        state.driver.wake();
        result
    }

    /// Stops listening, dialing and announcing. Connections that were given out live on, and those
    /// that wait to be accepted still can be; others are closed.
    pub fn stop(&self) {
        let links: Vec<_> = {
            let mut state = self.inner.lock();
            state.stopped = true;
            state.driver.wake();
            state.waiting.wake();
            state.links.values().map(|(link, _)| link.clone()).collect()
        };
        // Never under the node's lock: a connection's task takes them the other way round.
        for link in links.iter().filter_map(Weak::upgrade) {
            link.close_unless_given();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
        let unclaimed = std::mem::take(&mut self.inner.lock().accepted);
        drop(unclaimed);
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.inner.options.id)
            .field("local_addr", &self.local_addr)
            .finish_non_exhaustive()
    }
}

/// The time of day; before 1970 it counts as 1970.
pub(super) fn wall_clock() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

const IMPOSTOR: Error = Error::peer(
    Class::Identity,
    "the peer's HELLO names another node than its certificate does",
);

/// A connection's way to its node.
pub(super) struct Seat {
    pub(super) inner: Arc<Inner>,
    pub(super) id: ConnectionId,
    /// Whom the peer's certificate names.
    pub(super) certified: Option<NodeId>,
}

impl Judge for Seat {
    fn hear(&self, now: Instant, event: &ConnectionEvent) -> Verdict {
        let mut state = self.inner.lock();
        let mut verdict = state.machine.hear(now, self.id, event);
        if let (Some(certified), ConnectionEvent::Hello { peer, .. }) = (self.certified, event)
            && certified != *peer
            && verdict == Verdict::Admit
        {
            verdict = Verdict::Refuse(IMPOSTOR);
        }
        if !matches!(event, ConnectionEvent::Data { .. }) {
            state.driver.wake();
        }
        verdict
    }

    fn sent(&self, bytes: usize) {
        self.inner.lock().machine.sent(self.id, bytes);
    }

    fn lost(&self, now: Instant) {
        let mut state = self.inner.lock();
        state.machine.lost(now, self.id);
        state.links.remove(&self.id);
        state.driver.wake();
    }
}
