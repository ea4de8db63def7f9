//! A connection over an ordered byte stream: handshake, two directions, and their ends.

mod machine;
mod stream;

use super::Role;
use super::config::{Config, Rekeying};
use super::handshake::{Agreed, Identity, Offered, Proven, SIGNATURE, Session, Unproven};
use super::inbound::Inbound;
use super::kx::{KeyPair, PUBLIC_KEY};
use super::outbound::Outbound;
use super::secretstream::{HEADER, Pull, Push};
use super::wire::FRAME_PREFIX;
use crate::crypto::Rng;
use crate::error::{Class, Error};
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

/// How the two ends come by each other's public key.
pub enum Exchange {
    /// Each sends a fresh one as its first 32 bytes.
    Fresh,
    /// A controller has handed them out before. It could have swapped them (trap 6): compare the
    /// transcript hash, or use identities.
    Controller {
        /// Our key pair.
        own: KeyPair,
        /// The peer's public key.
        peer: [u8; PUBLIC_KEY],
    },
}

/// What the application of a connection is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is complete.
    Established {
        /// Equal at both ends; see [`Session::transcript`].
        transcript: [u8; 32],
        /// The pinned identity that the peer proved, if it had to.
        peer: Option<[u8; 32]>,
    },
    /// The peer ended its direction; what it sent before is complete.
    PeerFinished,
    /// It is over: cleanly, or with this error.
    Closed(Result<(), Error>),
}

/// What the handshake waits for. Each step consumes the one before.
enum Phase {
    Key(Offered),
    Signature(Unproven),
    Header(Proven),
    Open(Push, Pull),
    Over,
}

/// One encrypted connection. Keeps the contracts of [`Machine`](crate::Machine),
/// [`Streamed`](crate::Streamed), [`Channel`](crate::Channel) and [`Messages`](crate::Messages).
///
/// Holds at most `send_buffer` bytes and a message to be sent, `receive_buffer` bytes, a message
/// and one reading of the carrier received; 68 bytes before the handshake completes.
pub struct Connection {
    phase: Phase,
    config: Config,
    /// A piece of the handshake that is not all there.
    piece: Vec<u8>,
    out: VecDeque<Bytes>,
    outbound: Outbound,
    inbound: Inbound,
    events: VecDeque<Event>,
    deadline: Instant,
    transcript: Option<[u8; 32]>,
    peer: Option<[u8; 32]>,
    error: Option<Error>,
    closed: bool,
    /// The application made room since the last poll.
    fetch: bool,
}

impl Connection {
    /// A connection that starts its handshake. With `identity` it runs the hardened profile, as
    /// the peer must too.
    ///
    /// [`Class::WeakKey`] and [`Class::Identity`] when a controller handed out a key of low order,
    /// or our own.
    pub fn new(
        role: Role,
        exchange: Exchange,
        identity: Option<Identity>,
        config: Config,
        mut rng: Rng,
        now: Instant,
    ) -> Result<Self, Error> {
        let (phase, out) = match exchange {
            Exchange::Fresh => {
                let (offered, out) = Offered::start(role, identity, &mut rng);
                (Phase::Key(offered), out)
            }
            Exchange::Controller { own, peer } => {
                let (agreed, out) = Agreed::start(role, &own, &peer, identity, &mut rng)?;
                (agreed.into(), out)
            }
        };
        let mut connection = Self::with(phase, config, now);
        connection.out.push_back(out.into());
        Ok(connection)
    }

    /// A connection whose handshake is complete: only frames are sent and expected.
    pub fn established(session: Session, config: Config, now: Instant) -> Self {
        let mut connection = Self::with(Phase::Over, config, now);
        connection.open(session);
        connection
    }

    fn with(phase: Phase, config: Config, now: Instant) -> Self {
        Self {
            phase,
            piece: Vec::new(),
            out: VecDeque::new(),
            outbound: Outbound::new(config.rekeying),
            inbound: Inbound::default(),
            events: VecDeque::new(),
            deadline: now.after(config.handshake_timeout),
            config,
            transcript: None,
            peer: None,
            error: None,
            closed: false,
            fetch: false,
        }
    }

    /// The transcript hash, once the handshake is complete: equal at both ends, and different
    /// when somebody sits between them. Compare all of it over another channel.
    pub fn transcript(&self) -> Option<[u8; 32]> {
        self.transcript
    }

    /// The pinned identity that the peer proved, in the hardened profile.
    pub fn peer_identity(&self) -> Option<[u8; 32]> {
        self.peer
    }

    /// The next message will ask for a new key. Misuse towards a peer that is not known to follow:
    /// [`Rekeying::Never`].
    pub fn rekey(&mut self) -> Result<(), Error> {
        if self.config.rekeying == Rekeying::Never {
            return Err(Error::Misuse(
                "the peer is not known to change keys; set `rekeying`",
            ));
        }
        self.outbound.rekey();
        Ok(())
    }

    fn open(&mut self, session: Session) {
        self.transcript = Some(session.transcript);
        self.peer = session.peer;
        self.events.push_back(Event::Established {
            transcript: session.transcript,
            peer: session.peer,
        });
        let push = match self.config.rekeying {
            Rekeying::Never => session.push,
            Rekeying::AtWrap | Rekeying::EveryMessage => session.push.peer_rekeys(),
        };
        self.phase = Phase::Open(push, session.pull);
    }

    fn fail(&mut self, error: Error) -> Error {
        if let Some(first) = &self.error {
            return first.clone();
        }
        self.error = Some(error.clone());
        self.phase = Phase::Over;
        self.piece = Vec::new();
        self.outbound.forget();
        self.events.push_back(Event::Closed(Err(error.clone())));
        error
    }

    /// Takes bytes of the carrier.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if let Phase::Open(_, pull) = &mut self.phase {
                let ended = self.inbound.ended;
                let fed = self.inbound.feed(bytes, pull, &self.config);
                if self.inbound.ended && !ended {
                    self.events.push_back(Event::PeerFinished);
                }
                return fed;
            }
            bytes = self.step(bytes)?;
        }
        Ok(())
    }

    /// Takes what the handshake waits for out of `bytes`, or all of them.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        let expected = match &self.phase {
            Phase::Key(_) => return self.key(bytes),
            Phase::Signature(_) => SIGNATURE,
            Phase::Header(_) => HEADER,
            Phase::Open(..) | Phase::Over => return Ok(&[]),
        };
        let mut rest = self.gather(bytes, FRAME_PREFIX);
        let Some((prefix, _)) = self.piece.split_first_chunk::<FRAME_PREFIX>() else {
            return Ok(rest);
        };
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if length != expected {
            return Err(unexpected(length, expected));
        }
        rest = self.gather(rest, FRAME_PREFIX.saturating_add(expected));
        let message = self.piece.get(FRAME_PREFIX..).unwrap_or_default();
        if message.len() < expected {
            return Ok(rest);
        }
        match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Signature(unproven) => {
                let signature = message.first_chunk().copied().unwrap_or([0; SIGNATURE]);
                self.phase = Phase::Header(unproven.signature(&signature)?);
            }
            Phase::Header(proven) => {
                let session = proven.header(message, self.config.dialect)?;
                self.open(session);
            }
            other => self.phase = other,
        }
        self.piece.clear();
        Ok(rest)
    }

    fn key<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        let rest = self.gather(bytes, PUBLIC_KEY);
        let Some(key) = self.piece.first_chunk::<PUBLIC_KEY>().copied() else {
            return Ok(rest);
        };
        self.piece.clear();
        match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Key(offered) => {
                let (agreed, out) = offered.key(&key)?;
                self.phase = agreed.into();
                if !out.is_empty() {
                    self.out.push_back(out.into());
                }
            }
            other => self.phase = other,
        }
        Ok(rest)
    }

    /// Moves bytes into the piece until it has `size`; gives back the others.
    fn gather<'a>(&mut self, bytes: &'a [u8], size: usize) -> &'a [u8] {
        let missing = size.saturating_sub(self.piece.len()).min(bytes.len());
        let (now, rest) = bytes.split_at(missing);
        self.piece.extend_from_slice(now);
        rest
    }

    /// Both directions have ended.
    fn settle(&mut self) {
        if !self.closed && self.inbound.ended && self.outbound.has_ended() {
            self.closed = true;
            self.events.push_back(Event::Closed(Ok(())));
        }
    }
}

impl From<Agreed> for Phase {
    fn from(agreed: Agreed) -> Self {
        match agreed {
            Agreed::Unproven(unproven) => Self::Signature(unproven),
            Agreed::Proven(proven) => Self::Header(proven),
        }
    }
}

impl Phase {
    fn push(&self) -> Option<&Push> {
        match self {
            Self::Open(push, _) => Some(push),
            _ => None,
        }
    }
}

/// A frame of the handshake has another length than its only one.
fn unexpected(length: usize, expected: usize) -> Error {
    match (length, expected) {
        (HEADER, SIGNATURE) => Error::peer(
            Class::Downgrade,
            "the peer does not sign its key; it must run the hardened profile too",
        ),
        (SIGNATURE, HEADER) => Error::peer(
            Class::Length,
            "the peer signs its key; pin its identity and run the hardened profile too",
        ),
        (_, SIGNATURE) => Error::peer(Class::Length, "a signature has 64 bytes"),
        _ => Error::peer(Class::Length, "a secretstream header has 24 bytes"),
    }
}
