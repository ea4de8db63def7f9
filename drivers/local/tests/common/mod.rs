//! What the tests of both stores share.
#![allow(dead_code, reason = "no test program uses all of it")]

use bytes::Bytes;
use std::time::Duration;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Direction, Failure, Operation, Reply, Request, RequestId, Role};
use stillwire_local::LocalStore;

/// A reply that fits whatever is there.
pub(crate) const ALL: usize = 16 << 20;

pub(crate) fn id(n: u8) -> ConnectionId {
    ConnectionId::from_random([n; 16])
}

pub(crate) fn request(operation: Operation) -> Request {
    Request {
        id: RequestId(1),
        operation,
        may_have_landed: false,
        timeout: Duration::from_secs(30),
    }
}

/// Performs an operation that needs no session.
pub(crate) fn ask<S: LocalStore>(store: &S, operation: Operation) -> Result<Reply, Failure> {
    store.perform(None, &request(operation))
}

/// One end of a session with its store.
#[derive(Clone)]
pub(crate) struct End<S: LocalStore> {
    pub(crate) store: S,
    pub(crate) session: S::Session,
}

impl<S: LocalStore> End<S> {
    pub(crate) fn new(store: &S, id: ConnectionId, role: Role) -> Self {
        Self {
            store: store.clone(),
            session: store.session(id, role),
        }
    }

    pub(crate) fn perform(&self, operation: Operation, again: bool) -> Result<Reply, Failure> {
        let mut request = request(operation);
        request.may_have_landed = again;
        self.store.perform(Some(&self.session), &request)
    }

    pub(crate) fn write(
        &self,
        sequence: u64,
        chunks: &[&[u8]],
        again: bool,
    ) -> Result<Reply, Failure> {
        let operation = Operation::Write {
            sequence,
            chunks: chunks.iter().map(|chunk| chunk.len() as u32).collect(),
            bytes: chunks.concat().into(),
        };
        self.perform(operation, again)
    }

    pub(crate) fn read(&self, sequence: u64, limit: usize) -> Result<Reply, Failure> {
        self.perform(Operation::Read { sequence, limit }, false)
    }

    pub(crate) fn rotate(&self, direction: Direction, number: u32) -> Result<Reply, Failure> {
        self.perform(Operation::Rotate { direction, number }, false)
    }
}

/// A dialer's and a listener's end of a fresh session.
pub(crate) fn pair<S: LocalStore>(store: &S, n: u8) -> (End<S>, End<S>) {
    ask(store, Operation::Prepare).unwrap();
    let mark = [n; 16];
    ask(store, Operation::CreateSession { id: id(n), mark }).unwrap();
    (
        End::new(store, id(n), Role::Dialer),
        End::new(store, id(n), Role::Listener),
    )
}

pub(crate) fn data(bytes: impl Into<Bytes>, more: bool) -> Reply {
    let bytes = bytes.into();
    Reply::Data { bytes, more }
}

pub(crate) const NOTHING: Reply = Reply::Nothing { missing: false };
pub(crate) const MISSING: Reply = Reply::Nothing { missing: true };

/// A small generator with a seed, so that a failing run can be had again.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit as u64) as usize
    }
}

/// A deterministic series of writes: what is in the write that begins at `sequence`.
pub(crate) fn chunks_at(sequence: u64, largest: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice::new(sequence.wrapping_add(77));
    dice.roll();
    (0..=dice.below(3))
        .map(|n| {
            let length = match dice.below(8) {
                0 => largest,
                1 => 1,
                _ => 1 + dice.below(largest / 16 + 1),
            };
            let start = sequence.wrapping_add(n as u64) as u8;
            let ramp: Vec<u8> = (0..=255).map(|at| start.wrapping_add(at)).collect();
            let mut chunk = ramp.repeat(length / 256 + 1);
            chunk.truncate(length);
            chunk
        })
        .collect()
}
