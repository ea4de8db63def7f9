//! The one contract every protocol keeps.
//!
//! A machine takes inputs and is drained of outputs. After **any** call, [`Machine::poll`] until
//! it says [`Output::Wait`]; extra polls and extra [`Input::Time`] are harmless.
//!
//! * No clock, no randomness, no I/O: `now` is an argument, randomness is a seed given once.
//! * Errors of the peer, of authentication and of time are final for the connection and repeat;
//!   [`Error::Misuse`] changes nothing.
//! * The machine alone decides retries, polling and time-outs. Whoever runs it performs
//!   requests, sleeps and reports.

use crate::error::Error;
use crate::store::{Failure, Reply, Request, RequestId};
use crate::time::Instant;
use bytes::Bytes;

/// What happened in the world.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Bytes arrived on an ordered stream.
    Bytes(&'a [u8]),
    /// A datagram arrived.
    Datagram(&'a [u8]),
    /// The ordered stream ended.
    End,
    /// A store request came to its end, one way or the other.
    Reply(RequestId, Result<Reply, Failure>),
    /// Time passed.
    Time,
}

/// What the machine wants done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<E> {
    /// Send these bytes on the ordered stream, or as one datagram.
    Transmit(Bytes),
    /// Perform this store request and report it with [`Input::Reply`].
    Store(Request),
    /// Something the application wants to know.
    Event(E),
    /// Nothing more until an input, or this instant ([`None`]: no deadline).
    Wait(Option<Instant>),
}

/// What [`Channel::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes were copied out (at least one, unless the buffer was empty).
    Data(usize),
    /// Nothing now; poll the machine and wait.
    Pending,
    /// The peer ended its direction, authentically wherever the protocol has an end mark
    /// (commonware has none). Nothing will ever follow.
    End,
}

/// A protocol state machine.
pub trait Machine {
    /// What the application is told.
    type Event;

    /// Takes one input. An error is the machine's final error (or misuse); outputs that were
    /// already due still drain.
    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error>;

    /// Drains one output.
    fn poll(&mut self, now: Instant) -> Output<Self::Event>;
}

/// What [`Messages::receive`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// The next whole message; an empty one is a message like any other.
    Message(Bytes),
    /// Nothing now; poll the machine and wait.
    Pending,
    /// The peer ended its direction, authentically as with [`Read::End`]. Nothing will ever follow.
    End,
}

/// A machine that carries whole messages in both directions.
///
/// A protocol that has messages offers this beside [`Channel`]; one connection is used in one way
/// or the other.
pub trait Messages: Machine {
    /// Bytes of the longest message that [`Messages::send`] takes.
    fn longest_message(&self) -> usize;

    /// Takes a whole message, or says false: full, wait for room. A message that is too long is
    /// [`Error::Misuse`].
    fn send(&mut self, now: Instant, message: &[u8]) -> Result<bool, Error>;

    /// Takes out the next message.
    fn receive(&mut self, now: Instant) -> Result<Received, Error>;

    /// True when [`Messages::receive`] would not say [`Received::Pending`]. It may say so once too
    /// often, and does unless a machine knows better.
    fn is_receivable(&self) -> bool {
        true
    }
}

/// A machine whose carrier is one ordered byte stream (a TCP connection, a pipe): it takes
/// [`Input::Bytes`] and [`Input::End`], and asks for [`Output::Transmit`].
///
/// Whoever runs it reads the carrier while [`Streamed::wants_bytes`], and polls for more only
/// when the carrier has taken what was to be transmitted: that is the back-pressure of both ways.
pub trait Streamed: Machine {
    /// False while the application must read first, and once nothing that comes matters: leave
    /// the carrier alone. Bytes handed in all the same are [`Error::Misuse`] and change nothing.
    fn wants_bytes(&self) -> bool;

    /// True once the handshake is complete: the peer is who it must be, and application data
    /// flows.
    fn is_established(&self) -> bool;

    /// True when nothing will ever be transmitted again and [`Machine::poll`] has given out all
    /// there was: our direction of the carrier may end once it has taken that.
    fn has_sent_all(&self) -> bool;

    /// False where the protocol has no end mark: [`Read::End`] and [`Received::End`] then say only
    /// that the carrier ended, and whoever is in between may have cut it there.
    fn has_authentic_end(&self) -> bool {
        true
    }
}

/// A machine whose carrier is datagrams, which may be lost, doubled, late and forged: it takes
/// [`Input::Datagram`], and each [`Output::Transmit`] is one.
pub trait Datagrammed: Messages {
    /// True once something authentic came: the peer is who it must be.
    fn is_established(&self) -> bool;

    /// Ends our direction after everything sent so far. Receiving goes on.
    fn close(&mut self, now: Instant) -> Result<(), Error>;

    /// True when the machine has nothing left to do, cleanly or not. Messages that were received
    /// may still wait to be taken out.
    fn is_finished(&self) -> bool;

    /// The error that ended the session, if one did.
    fn error(&self) -> Option<&Error>;
}

/// A machine that carries an ordered byte stream in both directions.
pub trait Channel: Machine {
    /// Takes what fits of `data` and says how much that was; 0 means full: wait for room.
    fn write(&mut self, now: Instant, data: &[u8]) -> Result<usize, Error>;

    /// True when everything written so far has been stored or delivered by the carrier.
    fn is_flushed(&self) -> bool;

    /// Ends our direction, after everything written so far. Reading goes on.
    fn close_write(&mut self, now: Instant) -> Result<(), Error>;

    /// Copies received plaintext into `out`.
    fn read(&mut self, now: Instant, out: &mut [u8]) -> Result<Read, Error>;

    /// True when [`Channel::read`] would not say [`Read::Pending`], or has to be called to make
    /// room: a machine full of messages without a byte takes nothing more.
    fn is_readable(&self) -> bool;

    /// True when [`Channel::write`] would take at least one byte, or fail.
    fn is_writable(&self) -> bool;

    /// True when [`Machine::poll`] would now say something else than it last did, so that whoever
    /// drives need not be woken for every byte. It may say so once too often.
    fn has_output(&self) -> bool;

    /// True when the machine has nothing left to do, cleanly or not. Plaintext that was received
    /// may still wait to be read: drop it only after [`Channel::read`] has given everything out.
    fn is_finished(&self) -> bool;

    /// The error that ended the connection, if one did.
    fn error(&self) -> Option<&Error>;
}
