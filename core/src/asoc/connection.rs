//! One TCP connection: handshake, streams, keep-alive and time-outs (wire page `asoc`).
//!
//! ```text
//! client:  (HELLO out) ── ACCEPT ──> open
//! server:  ── HELLO ──> asked ── admit ──> (ACCEPT out) open
//! any:     ── error, end of input, close ──> over
//!
//! hardened client:  (HELLO out) ── ACCEPT ──> (PROOF out) open
//! hardened server:  ── HELLO ──> asked ── admit ──> (ACCEPT out) ── PROOF ──> open
//! ```
//!
//! Payloads of the default profile are not copied: [`Connection::write`] takes [`Bytes`] and hands the same bytes on in an
//! [`Output::Transmit`] behind one that holds the header, fit for vectored writes;
//! [`Connection::receive`] gives out slices of what it is given. Those of the hardened profile are
//! sealed when they are polled, in place where nobody else holds them, and read straight to where
//! they are opened by whoever uses [`Connection::place`].

use super::config::{Config, Profile, TokenCheck};
use super::event::{ConnectionEvent, Fresh, Identity};
use super::hardened::{self, Initiator, Keys, Nonce, Proving, Responder};
use super::key::ApiKey;
use super::node_id::NodeId;
use super::reader::{Item, Reader};
use super::rotation::Notice;
use super::spares::Spares;
use super::streams::{Incoming, Outgoing};
use super::token::Check;
use super::wire::{Dialect, Header, kind};
use crate::error::{Class, Error};
use crate::machine::{Input, Machine, Output, Streamed};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

mod clock;
mod greet;
mod judge;
mod sealed;
mod stream;
#[cfg(test)]
mod tests;

pub use sealed::Place;

/// Which end we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that dialed: sends HELLO, opens streams 1, 3, 5 …
    Client,
    /// The end that listens: sends ACCEPT, opens streams 2, 4, 6 …
    Server,
}

/// How far the connection has come.
enum Stage {
    /// The peer's first frame is awaited.
    Waiting,
    /// A HELLO is authentic; the owner decides.
    Asked(Asker),
    /// Hardened client: ACCEPT is awaited.
    Initiated(Box<Initiator>),
    /// Hardened server: PROOF is awaited.
    Proving(Box<Proving>),
    /// Streams.
    Open,
    /// Nothing any more; the error repeats.
    Over(Option<Error>),
}

/// Who has said HELLO.
enum Asker {
    Plain { peer: NodeId, key: ApiKey },
    Hardened(Box<Responder>),
}

/// What is done with the payload that is being read.
enum Body {
    /// Gathered, so many bytes of it, and looked at when it is complete.
    Gather(usize),
    /// Handed on as it comes.
    Data,
    /// The token first, then handed on.
    CheckedData,
    /// Gathered whole in its place, opened with its header, and looked at.
    Sealed([u8; 14]),
    /// Read over.
    Skip,
}

/// What waits to be transmitted.
enum Out {
    Ready(Bytes),
    /// Is sealed when its turn comes.
    Open {
        head: [u8; 14],
        nonce: Nonce,
        payload: Bytes,
    },
}

/// One connection. Made when the TCP connection is there.
pub struct Connection {
    config: Config,
    role: Role,
    identity: Identity,
    fresh: Fresh,
    stage: Stage,
    reader: Reader,
    body: Body,
    gathered: Vec<u8>,
    /// What came behind a HELLO while the owner decides.
    held: Bytes,
    incoming: Incoming,
    outgoing: Outgoing,
    check: Check,
    seal: Option<Box<Keys>>,
    /// The sealed payload that is being read, unless it is lent out.
    place: Option<Place>,
    spares: Spares,
    out: VecDeque<Out>,
    queued: usize,
    events: VecDeque<ConnectionEvent>,
    started: Instant,
    heard: Instant,
    paused: bool,
    keep_alive_at: Instant,
    /// When the output was handed out that has not been followed by a poll.
    handed: Option<Instant>,
}

impl Connection {
    /// The end that dialed. Without a key it is misuse.
    pub fn client(
        config: Config,
        identity: Identity,
        fresh: Fresh,
        now: Instant,
    ) -> Result<Self, Error> {
        let mut made = Self::new(Role::Client, config, identity, fresh, now)?;
        made.greet()?;
        Ok(made)
    }

    /// The end that listens. Without a key it is misuse.
    pub fn server(
        config: Config,
        identity: Identity,
        fresh: Fresh,
        now: Instant,
    ) -> Result<Self, Error> {
        Self::new(Role::Server, config, identity, fresh, now)
    }

    fn new(
        role: Role,
        config: Config,
        identity: Identity,
        fresh: Fresh,
        now: Instant,
    ) -> Result<Self, Error> {
        if config.max_frame == 0 || config.chunk == 0 {
            return Err(Error::Misuse("frames need room for at least one byte"));
        }
        if matches!(config.profile, Profile::Hardened(_))
            && (config.dialect != Dialect::Octet || config.token_check != TokenCheck::Never)
        {
            return Err(Error::Misuse(
                "the hardened profile has neither the nibble dialect nor the token check",
            ));
        }
        if identity.keys.is_empty() {
            return Err(Error::Misuse("a connection needs a key"));
        }
        let first = match role {
            Role::Client => 1,
            Role::Server => 2,
        };
        Ok(Self {
            role,
            identity,
            fresh,
            stage: Stage::Waiting,
            reader: Reader::new(config.dialect),
            body: Body::Skip,
            gathered: Vec::new(),
            held: Bytes::new(),
            incoming: Incoming::new(config.max_streams),
            outgoing: Outgoing::new(first, config.max_streams),
            check: Check::new(config.token_check),
            seal: None,
            place: None,
            spares: Spares::default(),
            out: VecDeque::new(),
            queued: 0,
            events: VecDeque::new(),
            started: now,
            heard: now,
            paused: false,
            keep_alive_at: now,
            handed: None,
            config,
        })
    }

    /// Which end we are.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether the handshake is done and the connection not over.
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Whether nothing will come any more but what is queued.
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    /// The error that ended the connection, if one did.
    pub const fn error(&self) -> Option<&Error> {
        match &self.stage {
            Stage::Over(error) => error.as_ref(),
            _ => None,
        }
    }

    /// Takes bytes of the ordered stream. The payloads of DATA frames come out as slices of them.
    ///
    /// While a [`ConnectionEvent::Hello`] waits for its answer this is misuse.
    pub fn receive(&mut self, now: Instant, bytes: Bytes) -> Result<(), Error> {
        self.alive()?;
        if matches!(self.stage, Stage::Asked(_)) {
            return Err(Error::Misuse(
                "answer the HELLO with admit or refuse before more bytes are handed in",
            ));
        }
        if self.is_lent() {
            return Err(Error::Misuse(
                "the place of a sealed payload was lent out: give it back with placed",
            ));
        }
        self.expire_handshake(now)?;
        if !bytes.is_empty() {
            self.heard = now;
        }
        self.take(now, bytes)
    }

    fn take(&mut self, now: Instant, mut bytes: Bytes) -> Result<(), Error> {
        loop {
            let done = match self.reader.next(&mut bytes) {
                Ok(Some(Item::Header(header))) => self.header(&header),
                Ok(Some(Item::Piece {
                    header,
                    bytes,
                    rest,
                })) => self.piece(now, &header, bytes, rest),
                Ok(None) => return Ok(()),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = done {
                return Err(self.fail(fault));
            }
            if matches!(self.stage, Stage::Asked(_)) {
                self.held = bytes;
                return Ok(());
            }
        }
    }

    /// Ends the connection from our side. What is queued still drains.
    pub fn close(&mut self) -> Result<(), Error> {
        self.alive()?;
        self.over(None);
        Ok(())
    }

    /// Says that we have stopped reading because our application is slow, or read on: the peer's
    /// silence does not count meanwhile.
    pub fn pause(&mut self, now: Instant, paused: bool) {
        self.paused = paused;
        self.heard = self.heard.max(now);
    }

    /// Sends a notice of a key rotation.
    pub fn notify(&mut self, notice: Notice) -> Result<(), Error> {
        self.alive()?;
        if !self.is_open() {
            return Err(Error::Misuse("the handshake is not done"));
        }
        self.send(kind::CONTROL, 0, 0, Bytes::from(notice.encode()))
    }

    fn alive(&self) -> Result<(), Error> {
        match &self.stage {
            Stage::Over(error) => Err(error.clone().unwrap_or(Error::Closed)),
            _ => Ok(()),
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.over(Some(error.clone()));
        error
    }

    fn over(&mut self, error: Option<Error>) {
        self.events
            .push_back(ConnectionEvent::Closed(error.clone()));
        self.stage = Stage::Over(error);
        self.identity.keys.clear();
        self.gathered = Vec::new();
        self.held = Bytes::new();
        self.place = None;
    }

    fn push(&mut self, bytes: Bytes) {
        self.queued = self.queued.saturating_add(bytes.len());
        self.out.push_back(Out::Ready(bytes));
    }

    /// The next event, ahead of what waits to be transmitted: for whoever cannot transmit just now.
    /// It also says that the output handed out before is taken care of, as a poll does.
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.handed = None;
        self.events.pop_front()
    }

    fn send(&mut self, kind: u8, stream: u32, sequence: u32, payload: Bytes) -> Result<(), Error> {
        self.send_parts(kind, stream, sequence, payload.len(), &[payload])
    }

    /// Sends a frame whose payload of `length` bytes is in parts.
    fn send_parts(
        &mut self,
        kind: u8,
        stream: u32,
        sequence: u32,
        length: usize,
        parts: &[Bytes],
    ) -> Result<(), Error> {
        let extra = if self.seal.is_some() {
            hardened::TAG
        } else {
            0
        };
        let length = u32::try_from(length.saturating_add(extra))
            .map_err(|_| Error::Misuse("a payload is 4 GiB or longer"))?;
        let header = Header {
            kind,
            stream,
            sequence,
            length,
        };
        let head = header.encode(self.config.dialect)?;
        if self.seal.is_some() {
            // There is no token in the hardened profile, so there is one part.
            let payload = parts.first().cloned().unwrap_or_default();
            return self.send_sealed(&head, payload);
        }
        self.push(Bytes::copy_from_slice(&head));
        for part in parts.iter().filter(|part| !part.is_empty()) {
            self.push(part.clone());
        }
        Ok(())
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        if matches!(self.stage, Stage::Over(_)) {
            return self.alive();
        }
        if !self.is_open() {
            return Err(self.fail(Error::peer(
                Class::Eof,
                "the peer closed the connection before the handshake was done; are key and profile the same?",
            )));
        }
        if self.reader.is_inside() || self.incoming.any_open() {
            return Err(self.fail(Error::peer(
                Class::Eof,
                "the peer closed the connection in the middle of a stream",
            )));
        }
        self.over(None);
        Ok(())
    }
}

impl Machine for Connection {
    type Event = ConnectionEvent;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        match input {
            Input::Bytes(bytes) => self.receive(now, Bytes::copy_from_slice(bytes)),
            Input::End => self.end_of_input(),
            Input::Time => self.expire(now),
            Input::Datagram(_) | Input::Reply(..) => {
                Err(Error::Misuse("this machine lives on an ordered stream"))
            }
        }
    }

    fn poll(&mut self, now: Instant) -> Output<ConnectionEvent> {
        self.handed = None;
        if let Some(bytes) = self.next_out() {
            self.queued = self.queued.saturating_sub(bytes.len());
            self.handed = Some(now);
            return Output::Transmit(bytes);
        }
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Wait(self.deadline()),
        }
    }
}

impl Streamed for Connection {
    fn wants_bytes(&self) -> bool {
        !matches!(self.stage, Stage::Asked(_) | Stage::Over(_))
    }

    fn is_established(&self) -> bool {
        self.is_open()
    }

    fn has_sent_all(&self) -> bool {
        self.is_over() && self.out.is_empty()
    }
}
