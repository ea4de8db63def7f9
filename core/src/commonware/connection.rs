//! A connection, from the first byte of the handshake to the end of the stream.

mod handshaking;
mod spare;
mod stream;

use super::config::{Admission, Config, Door, MESSAGE_COST};
use super::handshake::{Dialer, Keys, Listener};
use super::identity::{Identity, PublicKey};
use super::record::{Opener, Sealer};
use crate::crypto::{Rng, Secret};
use crate::error::{Class, Error, Timer};
use crate::machine::{Input, Machine, Output};
use crate::time::{Instant, UnixTime};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use handshaking::{Asking, Stage, refused};
use spare::Spare;

/// What a connection tells the application.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// A dialer wants to talk ([`Admission::Ask`]): answer with [`Connection::accept`] or
    /// [`Connection::refuse`] before the handshake's deadline.
    Asked {
        /// Who it is, or says it is.
        dialer: PublicKey,
        /// True when its signature has verified.
        proven: bool,
    },
    /// The handshake is complete and the peer is who it must be.
    Established {
        /// The peer's identity.
        peer: PublicKey,
    },
    /// The carrier ended between two records. This protocol has no end mark: the peer may have
    /// ended, or anybody between the two may have cut the stream here. An application to which
    /// that matters says in its own messages where they end.
    EndedUnauthenticated,
    /// The connection is over. An error is final.
    Closed(Result<(), Error>),
}

/// Wall-clock time, carried on by the monotonic clock.
#[derive(Clone, Copy)]
struct Clock {
    unix: UnixTime,
    at: Instant,
}

impl Clock {
    fn unix(self, now: Instant) -> UnixTime {
        self.unix.after(now.since(self.at))
    }
}

/// One end of a connection over an ordered byte stream (wire page `commonware`).
///
/// It is used as whole messages ([`crate::Messages`], one record each) or as a byte stream
/// ([`crate::Channel`], cut into records anywhere). Nothing can be written before the handshake is
/// complete. After a failure nothing more is sealed or opened (wire page, trap 5).
///
/// **The end of the stream is not authenticated**: [`crate::Read::End`] and
/// [`crate::Received::End`] say no more than that the carrier ended between two records; see
/// [`ConnectionEvent::EndedUnauthenticated`]. In the middle of a record it is [`Class::Eof`].
///
/// Memory: before the handshake is complete at most 4 KiB and the steps themselves; then
/// `send_buffer` and one record to be sent, `receive_buffer`, one record and one input received.
pub struct Connection {
    config: Config,
    door: Door,
    clock: Clock,
    /// When the handshake must be over.
    deadline: Option<Instant>,
    /// What an answer of ours will need, drawn at the start.
    ephemeral: Option<Secret>,
    stage: Stage,
    peer: Option<PublicKey>,
    established: bool,
    /// A handshake frame as far as it came.
    frame: Vec<u8>,
    /// Input that has to wait: for the application's answer, or for room.
    pending: BytesMut,
    out: Vec<u8>,
    spare: Spare,
    received: VecDeque<Bytes>,
    /// Bytes in `received`, with the cost of each message.
    held: usize,
    /// The carrier gives nothing more.
    carrier_ended: bool,
    /// Everything before the carrier's end was worked on.
    ended: bool,
    /// Our direction has ended.
    closing: bool,
    events: VecDeque<ConnectionEvent>,
    error: Option<Error>,
    closed: bool,
}

/// The records of an established connection.
struct Records {
    sealer: Sealer,
    opener: Opener,
}

impl Connection {
    /// Dials `listener`, whose identity must be known. `seed`: 32 random bytes, used for nothing
    /// else. `unix` is the wall-clock time at `now`.
    ///
    /// A `listener` that cannot be one is [`Class::Identity`].
    pub fn dial(
        config: Config,
        identity: Arc<dyn Identity>,
        listener: &PublicKey,
        seed: [u8; 32],
        now: Instant,
        unix: UnixTime,
    ) -> Result<Self, Error> {
        let ephemeral = Secret::from(Rng::from_seed(seed).array::<32>());
        let terms = config.terms(identity);
        let (dialer, out) = Dialer::start(&terms, listener, ephemeral, unix)?;
        let door = Door {
            admission: Admission::Anyone,
            seen: None,
        };
        let stage = Stage::Answer(dialer);
        let mut connection = Self::begin(config, door, stage, now, unix);
        connection.out = out;
        connection.peer = Some(*listener);
        Ok(connection)
    }

    /// Listens on a fresh carrier. `seed` and `unix` as in [`Connection::dial`].
    pub fn listen(
        config: Config,
        identity: Arc<dyn Identity>,
        door: Door,
        seed: [u8; 32],
        now: Instant,
        unix: UnixTime,
    ) -> Self {
        let stage = match Listener::start(&config.terms(identity)) {
            Listener::Identity(wait) => Stage::Identity(wait),
            Listener::Message(wait) => Stage::Message(wait),
        };
        let mut connection = Self::begin(config, door, stage, now, unix);
        connection.ephemeral = Some(Secret::from(Rng::from_seed(seed).array::<32>()));
        connection
    }

    fn begin(config: Config, door: Door, stage: Stage, now: Instant, unix: UnixTime) -> Self {
        Self {
            deadline: Some(now.after(config.handshake_timeout)),
            config,
            door,
            clock: Clock { unix, at: now },
            ephemeral: None,
            stage,
            peer: None,
            established: false,
            frame: Vec::new(),
            pending: BytesMut::new(),
            out: Vec::new(),
            spare: Spare::default(),
            received: VecDeque::new(),
            held: 0,
            carrier_ended: false,
            ended: false,
            closing: false,
            events: VecDeque::new(),
            error: None,
            closed: false,
        }
    }

    /// The peer's identity: the one that was dialed, or the dialer's once its signature verified.
    pub fn peer(&self) -> Option<PublicKey> {
        self.peer
    }

    /// Plaintext held for the application, in bytes.
    pub fn buffered(&self) -> usize {
        self.received.iter().map(Bytes::len).sum()
    }

    /// Talks to the dialer of [`ConnectionEvent::Asked`].
    pub fn accept(&mut self, now: Instant) -> Result<(), Error> {
        self.expire(now);
        let outcome = match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asking(Asking::Claimed(wait)) => {
                self.stage = Stage::Message(wait);
                Ok(())
            }
            Stage::Asking(Asking::Proven(verified)) => self.answer(now, verified),
            stage => {
                self.stage = stage;
                return Err(Error::Misuse("no dialer waits for an answer"));
            }
        };
        let outcome = outcome.and_then(|()| self.take_pending(now));
        self.settle(outcome)
    }

    /// Does not talk to the dialer of [`ConnectionEvent::Asked`]: the connection fails.
    pub fn refuse(&mut self) -> Result<(), Error> {
        if !matches!(self.stage, Stage::Asking(_)) {
            return Err(Error::Misuse("no dialer waits for an answer"));
        }
        self.fail(refused());
        Ok(())
    }

    /// The application has dropped the connection: what it wrote is still given out, and nothing
    /// is taken any more.
    pub fn abort(&mut self) {
        if !self.closed && !self.is_open() {
            self.out.clear();
        }
        self.fail(Error::Closed);
        self.received.clear();
        self.held = 0;
    }

    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    fn fail(&mut self, error: Error) {
        if self.closed {
            return;
        }
        self.error = Some(error.clone());
        self.close(Err(error));
    }

    fn close(&mut self, outcome: Result<(), Error>) {
        self.closed = true;
        self.stage = Stage::Over;
        self.deadline = None;
        self.ephemeral = None;
        self.frame = Vec::new();
        self.pending = BytesMut::new();
        self.spare = Spare::default();
        self.events.push_back(ConnectionEvent::Closed(outcome));
    }

    /// Keeps an error for ever.
    fn settle(&mut self, outcome: Result<(), Error>) -> Result<(), Error> {
        if let Err(error) = outcome {
            self.fail(error);
        }
        self.error.clone().map_or(Ok(()), Err)
    }

    fn expire(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.fail(Error::Timeout(Timer::Connect));
        }
        self.spare.expire(now);
    }

    fn establish(&mut self, keys: Keys, dialed: bool, peer: PublicKey) {
        let (seal, open) = if dialed {
            (keys.d2l, keys.l2d)
        } else {
            (keys.l2d, keys.d2l)
        };
        let (profile, limit) = (self.config.profile, self.config.limit());
        self.stage = Stage::Open(Records {
            sealer: Sealer::new(profile, seal, limit),
            opener: Opener::new(profile, open, limit),
        });
        self.deadline = None;
        self.established = true;
        self.peer = Some(peer);
        self.events.push_back(ConnectionEvent::Established { peer });
    }

    fn has_room(&self) -> bool {
        self.held < self.config.receive_buffer.max(1)
    }

    fn wants_input(&self) -> bool {
        let stage = match &self.stage {
            Stage::Open(_) => self.has_room(),
            Stage::Asking(_) | Stage::Over => false,
            Stage::Identity(_) | Stage::Message(_) | Stage::Answer(_) | Stage::Ack(..) => true,
        };
        stage && !self.carrier_ended && self.pending.is_empty()
    }

    /// Works on as much of `input` as the stage and the room allow; gives the rest back.
    fn take<'a>(&mut self, now: Instant, mut input: &'a [u8]) -> Result<&'a [u8], Error> {
        while !input.is_empty() {
            let room = self.has_room();
            match &mut self.stage {
                Stage::Open(records) if room => {
                    if let Some(plain) = records.opener.open(&mut input)? {
                        let cost = plain.len().saturating_add(MESSAGE_COST);
                        self.held = self.held.saturating_add(cost);
                        self.received.push_back(plain.freeze());
                    }
                }
                Stage::Open(_) | Stage::Asking(_) | Stage::Over => break,
                _ => input = self.handshake(now, input)?,
            }
        }
        Ok(input)
    }

    fn input(&mut self, now: Instant, input: &[u8]) -> Result<(), Error> {
        let rest = self.take(now, input)?;
        if matches!(self.stage, Stage::Asking(_)) && rest.len() > handshaking::MOST_PENDING {
            return Err(Error::peer(
                Class::Limit,
                "the peer sent more than a handshake before it was answered",
            ));
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// Goes on with input that had to wait.
    fn take_pending(&mut self, now: Instant) -> Result<(), Error> {
        let mut pending = core::mem::take(&mut self.pending);
        let rest = self.take(now, &pending)?.len();
        pending.advance(pending.len().saturating_sub(rest));
        self.pending = pending;
        self.notice_end()
    }

    /// Says that the carrier has ended, once everything before it was worked on.
    fn notice_end(&mut self) -> Result<(), Error> {
        if !self.carrier_ended || self.ended || !self.pending.is_empty() {
            return Ok(());
        }
        match &self.stage {
            Stage::Open(records) if records.opener.is_between() => {
                self.ended = true;
                self.events.push_back(ConnectionEvent::EndedUnauthenticated);
                Ok(())
            }
            Stage::Open(_) => Err(Error::peer(
                Class::Eof,
                "the stream was cut in the middle of a record",
            )),
            Stage::Asking(_) | Stage::Over => Ok(()),
            _ => Err(Error::peer(
                Class::Eof,
                "the peer went away during the handshake; it may have refused us",
            )),
        }
    }
}

impl Machine for Connection {
    type Event = ConnectionEvent;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        self.expire(now);
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let outcome = match input {
            Input::Bytes([]) | Input::Time => Ok(()),
            Input::Bytes(bytes) if self.wants_input() => self.input(now, bytes),
            Input::Bytes(_) => {
                return Err(Error::Misuse("bytes came while none were wanted"));
            }
            Input::End => {
                self.carrier_ended = true;
                self.notice_end()
            }
            _ => return Err(Error::Misuse("this connection is fed by a byte stream")),
        };
        self.settle(outcome)
    }

    fn poll(&mut self, now: Instant) -> Output<ConnectionEvent> {
        self.expire(now);
        if !self.out.is_empty() {
            let bytes = Bytes::from(core::mem::take(&mut self.out));
            if self.is_open() {
                self.spare.handed(&bytes, now);
            }
            return Output::Transmit(bytes);
        }
        if self.ended && self.closing && self.is_open() {
            self.close(Ok(()));
        }
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Wait(self.deadline.or_else(|| self.spare.until())),
        }
    }
}
