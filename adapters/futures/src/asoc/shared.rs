//! A connection's machine, shared between the application and the task that drives it.

use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use stillwire_core::Error;
use stillwire_core::asoc::{Connection as Machine, ConnectionEvent, Established, NodeId};

/// Tasks that wait for the same thing. All are woken, and look for themselves.
#[derive(Default)]
pub(super) struct Waiting {
    wakers: Vec<Waker>,
    calls: u64,
}

impl Waiting {
    pub(super) fn register(&mut self, cx: &Context<'_>) {
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
    }

    pub(super) fn wake(&mut self) {
        self.calls = self.calls.wrapping_add(1);
        self.wakers.drain(..).for_each(Waker::wake);
    }

    /// How often was woken: whoever looked before it registers sees by this what it missed.
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }
}

/// What a piece, and a stream that nobody has taken, cost besides their bytes: small and empty ones
/// must not be free.
pub(super) const PIECE: usize = 64;
pub(super) const STREAM: usize = 256;

/// What has come of one of the peer's streams.
#[derive(Default)]
pub(super) struct Incoming {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) complete: bool,
    /// Nobody reads it any more: what comes is dropped.
    pub(super) abandoned: bool,
    pub(super) reader: Waiting,
}

pub(super) struct State {
    pub(super) machine: Machine,
    pub(super) established: Option<Established>,
    pub(super) incoming: BTreeMap<u32, Incoming>,
    /// The peer's streams that nobody has taken yet.
    pub(super) fresh: VecDeque<u32>,
    /// Bytes in `incoming`, with what pieces and streams cost besides.
    pub(super) buffered: usize,
    /// Bytes that the driver has taken from the machine and the socket has not.
    pub(super) unsent: usize,
    /// Whom the peer's certificate names.
    pub(super) certified: Option<NodeId>,
    /// A node has made a [`Connection`](super::Connection) of it.
    pub(super) given: bool,
    /// How it ended.
    pub(super) over: Option<Result<(), Error>>,
    /// Who waits for a stream, for the handshake or for the end.
    pub(super) waiting: Waiting,
    /// Who waits for room, or until everything has gone out.
    pub(super) writers: Waiting,
    /// Bytes that may be queued when nothing is.
    send_buffer: usize,
    pub(super) driver: Waiting,
}

/// A connection's state behind its lock. The lock is never held across I/O.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Bytes received and not read above which the socket is left alone.
    pub(super) receive_buffer: usize,
}

impl Shared {
    pub(super) fn new(machine: Machine, receive_buffer: usize) -> Self {
        let send_buffer = machine.room() + machine.queued();
        Self {
            state: Mutex::new(State {
                send_buffer,
                writers: Waiting::default(),
                machine,
                established: None,
                incoming: BTreeMap::new(),
                fresh: VecDeque::new(),
                buffered: 0,
                unsent: 0,
                certified: None,
                given: false,
                over: None,
                waiting: Waiting::default(),
                driver: Waiting::default(),
            }),
            receive_buffer,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its node is gone, and nobody else will ever have it.
    pub(super) fn close_unless_given(&self) {
        let mut state = self.lock();
        if !state.given {
            // It may be over already.
            let _ = state.machine.close();
            state.driver.wake();
        }
    }
}

impl State {
    /// Takes in what an event means for whoever reads.
    pub(super) fn take(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Established(established) => {
                self.established = Some(established);
                self.waiting.wake();
            }
            ConnectionEvent::Data { stream, bytes, .. } => {
                let incoming = self.stream(stream);
                if !incoming.abandoned && !bytes.is_empty() {
                    incoming.reader.wake();
                    let length = bytes.len() + PIECE;
                    incoming.pieces.push_back(bytes);
                    self.buffered += length;
                }
            }
            ConnectionEvent::End { stream } => {
                let incoming = self.stream(stream);
                incoming.complete = true;
                incoming.reader.wake();
                if incoming.abandoned {
                    self.incoming.remove(&stream);
                }
            }
            ConnectionEvent::Closed(error) => self.end(error.map_or(Ok(()), Err)),
            _ => {}
        }
    }

    fn stream(&mut self, stream: u32) -> &mut Incoming {
        if !self.incoming.contains_key(&stream) {
            self.fresh.push_back(stream);
            self.buffered += STREAM;
            self.waiting.wake();
        }
        self.incoming.entry(stream).or_default()
    }

    /// It is over. The first reason stands.
    pub(super) fn end(&mut self, how: Result<(), Error>) {
        self.over.get_or_insert(how);
        self.waiting.wake();
        self.writers.wake();
        self.driver.wake();
        for incoming in self.incoming.values_mut() {
            incoming.reader.wake();
        }
    }

    /// Why there is no connection any more.
    pub(super) fn why(&self) -> Option<Error> {
        match &self.over {
            None => None,
            Some(Ok(())) => Some(Error::Closed),
            Some(Err(error)) => Some(error.clone()),
        }
    }

    /// Bytes that may be queued now, of `wanted` ones. Half a buffer is waited for rather than that
    /// frames become small.
    pub(super) fn room(&self, wanted: usize) -> usize {
        let room = self.machine.room().saturating_sub(self.unsent);
        if room >= wanted.min(self.send_buffer / 2) {
            room.min(wanted)
        } else {
            0
        }
    }

    /// Whether the socket has taken everything.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent == 0 && self.machine.queued() == 0
    }

    /// The socket has taken bytes. Who waits for room is woken when there is much of it.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.unsent = self.unsent.saturating_sub(bytes);
        let half = self.send_buffer / 2;
        if self.is_flushed() || self.room(half) >= half {
            self.writers.wake();
        }
    }

    /// Bytes were read: the driver may read on.
    pub(super) fn consumed(&mut self, bytes: usize, receive_buffer: usize) {
        let was_full = self.buffered >= receive_buffer;
        self.buffered = self.buffered.saturating_sub(bytes);
        if was_full && self.buffered < receive_buffer {
            self.driver.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stillwire_core::Instant;
    use stillwire_core::asoc::{ApiKey, Config, Fresh, Identity};
    use stillwire_core::crypto::Rng;

    fn shared() -> Shared {
        let key = ApiKey::new(b"a key of the cluster, 32 bytes..").unwrap();
        let identity = Identity {
            node: NodeId::from_bytes([1; 16]),
            keys: vec![key],
            community: String::new(),
        };
        let fresh = Fresh::draw(
            &mut Rng::from_seed([1; 32]),
            stillwire_core::UnixTime::from_secs(1),
        );
        let machine = Machine::client(Config::default(), identity, fresh, Instant::ZERO).unwrap();
        Shared::new(machine, 10_000)
    }

    #[test]
    fn empty_streams_and_tiny_pieces_fill_the_buffer_too() {
        let shared = shared();
        let mut state = shared.lock();
        for stream in 0..100 {
            state.take(ConnectionEvent::End { stream });
        }
        assert!(state.buffered >= shared.receive_buffer);
        for _ in 0..100 {
            state.fresh.pop_front();
            state.consumed(STREAM, shared.receive_buffer);
        }
        assert_eq!(state.buffered, 0);
        for _ in 0..1_000 {
            state.take(ConnectionEvent::Data {
                stream: 200,
                bytes: Bytes::from_static(b"x"),
                rest: 0,
            });
        }
        assert!(state.buffered >= shared.receive_buffer);
    }
}
