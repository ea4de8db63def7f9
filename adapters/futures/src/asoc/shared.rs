//! A connection's machine, shared between the application and the task that drives it.

use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use stillwire_core::Error;
use stillwire_core::asoc::{Connection as Machine, ConnectionEvent, Established, NodeId};

/// Tasks that wait for the same thing. All are woken, and look for themselves.
#[derive(Default)]
pub(super) struct Waiting(Vec<Waker>);

impl Waiting {
    pub(super) fn register(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    pub(super) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

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
    /// Bytes in `incoming`.
    pub(super) buffered: usize,
    /// Bytes that the driver has taken from the machine and the socket has not.
    pub(super) unsent: usize,
    /// Whom the peer's certificate names.
    pub(super) certified: Option<NodeId>,
    /// How it ended.
    pub(super) over: Option<Result<(), Error>>,
    /// Who waits for a stream, for room, for the handshake or for the end.
    pub(super) waiting: Waiting,
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
        Self {
            state: Mutex::new(State {
                machine,
                established: None,
                incoming: BTreeMap::new(),
                fresh: VecDeque::new(),
                buffered: 0,
                unsent: 0,
                certified: None,
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
                    let length = bytes.len();
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
            self.waiting.wake();
        }
        self.incoming.entry(stream).or_default()
    }

    /// It is over. The first reason stands.
    pub(super) fn end(&mut self, how: Result<(), Error>) {
        self.over.get_or_insert(how);
        self.waiting.wake();
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

    /// Bytes that may be queued now.
    pub(super) fn room(&self) -> usize {
        self.machine.room().saturating_sub(self.unsent)
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
