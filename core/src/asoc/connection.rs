//! One TCP connection: handshake, streams, keep-alive and time-outs (wire page `asoc`).
//!
//! ```text
//! client:  (HELLO out) ── ACCEPT ──> open
//! server:  ── HELLO ──> asked ── admit ──> (ACCEPT out) open
//! any:     ── error, end of input, close ──> over
//! ```
//!
//! Payloads are not copied: [`Connection::write`] takes [`Bytes`] and hands the same bytes on in an
//! [`Output::Transmit`] behind one that holds the header, fit for vectored writes;
//! [`Connection::receive`] gives out slices of what it is given.

use super::config::Config;
use super::event::{ConnectionEvent, Established, Fresh, Identity};
use super::handshake::{self, Accept, Hello, refuse_own};
use super::key::{ApiKey, KeyId};
use super::node_id::NodeId;
use super::reader::{Item, Reader};
use super::rotation::Notice;
use super::streams::{Incoming, Outgoing};
use super::token::Check;
use super::wire::{self, Header, kind};
use crate::error::{Class, Error};
use crate::machine::{Input, Machine, Output, Streamed};
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

mod clock;
mod judge;
mod stream;
#[cfg(test)]
mod tests;

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
    Asked { peer: NodeId, key: ApiKey },
    /// Streams.
    Open,
    /// Nothing any more; the error repeats.
    Over(Option<Error>),
}

/// What is done with the payload that is being read.
enum Body {
    /// Gathered, so many bytes of it, and looked at when it is complete.
    Gather(usize),
    /// Handed on as it comes.
    Data,
    /// The token first, then handed on.
    CheckedData,
    /// Read over.
    Skip,
}

/// One connection. Made when the TCP connection is there.
pub struct Connection {
    config: Config,
    role: Role,
    node: NodeId,
    keys: Vec<ApiKey>,
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
    out: VecDeque<Bytes>,
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
        let Some(key) = made.keys.first() else {
            return Err(Error::Misuse("a connection needs a key"));
        };
        let hello = Hello {
            node: made.node,
            challenge: fresh.challenge,
        };
        let payload = hello.encode(key);
        let frame = handshake::frame(kind::HELLO, &payload, made.config.dialect)?;
        made.push(frame.into());
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
        if identity.keys.is_empty() {
            return Err(Error::Misuse("a connection needs a key"));
        }
        let first = match role {
            Role::Client => 1,
            Role::Server => 2,
        };
        Ok(Self {
            role,
            node: identity.node,
            keys: identity.keys,
            fresh,
            stage: Stage::Waiting,
            reader: Reader::new(config.dialect),
            body: Body::Skip,
            gathered: Vec::new(),
            held: Bytes::new(),
            incoming: Incoming::new(config.max_streams),
            outgoing: Outgoing::new(first, config.max_streams),
            check: Check::new(config.token_check),
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
        if matches!(self.stage, Stage::Asked { .. }) {
            return Err(Error::Misuse(
                "answer the HELLO with admit or refuse before more bytes are handed in",
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
            if matches!(self.stage, Stage::Asked { .. }) {
                self.held = bytes;
                return Ok(());
            }
        }
    }

    /// The owner lets the peer in: ACCEPT goes out.
    pub fn admit(&mut self, now: Instant) -> Result<(), Error> {
        self.alive()?;
        self.expire_handshake(now)?;
        let Stage::Asked { peer, key } = &self.stage else {
            return Err(Error::Misuse("no HELLO waits for an answer"));
        };
        let (peer, id) = (*peer, key.id());
        let token = self.fresh.token;
        let payload = Accept { token }.encode(key);
        let frame = handshake::frame(kind::ACCEPT, &payload, self.config.dialect)?;
        self.push(frame.into());
        self.open_up(now, Some(peer), token, id, payload);
        let held = core::mem::take(&mut self.held);
        self.take(now, held)
    }

    /// The owner does not let the peer in: the connection ends with `reason` and without a reply.
    pub fn refuse(&mut self, reason: Error) -> Result<(), Error> {
        self.alive()?;
        if !matches!(self.stage, Stage::Asked { .. }) {
            return Err(Error::Misuse("no HELLO waits for an answer"));
        }
        self.fail(reason);
        Ok(())
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

    fn open_up(
        &mut self,
        now: Instant,
        peer: Option<NodeId>,
        token: [u8; 8],
        key: KeyId,
        accept: [u8; wire::ACCEPT],
    ) {
        self.stage = Stage::Open;
        self.keys.clear();
        self.check.arm(accept);
        self.heard = now;
        self.keep_alive_at = now.after(self.config.keep_alive);
        self.events
            .push_back(ConnectionEvent::Established(Established {
                peer,
                token,
                key,
                proven: false,
            }));
    }

    /// The payload of a handshake frame is complete.
    fn handshake(&mut self, now: Instant) -> Result<(), Error> {
        match self.role {
            Role::Server => {
                let payload = self.gathered.as_slice().try_into();
                let payload = payload.map_err(|_| wire::wrong_length())?;
                let (hello, key) = self.authentic(|key| Hello::verify(payload, key))?;
                refuse_own(hello.node, self.node)?;
                self.events.push_back(ConnectionEvent::Hello {
                    peer: hello.node,
                    challenge: u64::from(hello.challenge),
                    key: key.id(),
                });
                self.stage = Stage::Asked {
                    peer: hello.node,
                    key,
                };
            }
            Role::Client => {
                let payload = self.gathered.as_slice().try_into();
                let payload: [u8; wire::ACCEPT] = payload.map_err(|_| wire::wrong_length())?;
                let key = self.keys.first().ok_or_else(Error::auth)?;
                let accept = Accept::verify(&payload, key)?;
                let key = key.id();
                self.open_up(now, None, accept.token, key, payload);
            }
        }
        self.gathered = Vec::new();
        Ok(())
    }

    /// What `verify` makes of the first of our keys that fits. All are tried, fit or not.
    fn authentic<T>(
        &self,
        verify: impl Fn(&ApiKey) -> Result<T, Error>,
    ) -> Result<(T, ApiKey), Error> {
        let mut found = Err(Error::auth());
        for key in &self.keys {
            let tried = verify(key);
            if let (Ok(value), true) = (tried, found.is_err()) {
                found = Ok((value, key.clone()));
            }
        }
        found
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
        self.keys.clear();
        self.gathered = Vec::new();
        self.held = Bytes::new();
    }

    fn push(&mut self, bytes: Bytes) {
        self.queued = self.queued.saturating_add(bytes.len());
        self.out.push_back(bytes);
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
        let length =
            u32::try_from(length).map_err(|_| Error::Misuse("a payload is 4 GiB or longer"))?;
        let header = Header {
            kind,
            stream,
            sequence,
            length,
        };
        let head = header.encode(self.config.dialect)?;
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
                "the peer closed the connection before the handshake was done; is the key the same?",
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
        if let Some(bytes) = self.out.pop_front() {
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
        matches!(self.stage, Stage::Waiting | Stage::Open)
    }

    fn is_established(&self) -> bool {
        self.is_open()
    }

    fn has_sent_all(&self) -> bool {
        self.is_over()
    }
}
