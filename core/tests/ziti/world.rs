//! Two ends, and what lies between them.

use stillwire_core::crypto::ed25519::SigningKey;
use stillwire_core::crypto::{Rng, Secret};
use stillwire_core::ziti::{Config, Connection, Event, Exchange, Identity, KeyPair, Role};
use stillwire_core::{
    Channel, Class, Error, Input, Instant, Machine, Messages, Output, Read, Received, Streamed,
};

pub(crate) const NOW: Instant = Instant::ZERO;

pub(crate) fn class<T: std::fmt::Debug>(result: Result<T, Error>) -> Class {
    result.unwrap_err().class().unwrap()
}

pub(crate) fn end(role: Role, identity: Option<Identity>, config: &Config) -> Connection {
    let seed = match role {
        Role::Dialer => [1; 32],
        Role::Listener => [2; 32],
    };
    let rng = Rng::from_seed(seed);
    Connection::new(role, Exchange::Fresh, identity, config.clone(), rng, NOW).unwrap()
}

pub(crate) fn pair(seed: u8) -> KeyPair {
    KeyPair::from_seed(&Secret::from([seed; 32]))
}

/// One end whose keys came through a controller.
pub(crate) fn told(
    role: Role,
    own: KeyPair,
    peer: [u8; 32],
    identity: Option<Identity>,
) -> Connection {
    let exchange = Exchange::Controller { own, peer };
    let rng = Rng::from_seed([role as u8 + 5; 32]);
    Connection::new(role, exchange, identity, Config::default(), rng, NOW).unwrap()
}

pub(crate) fn signer(seed: u8) -> SigningKey {
    SigningKey::new(&Secret::from([seed; 32]))
}

/// The hardened profile: who we are, and whom we pin.
#[expect(
    clippy::unnecessary_wraps,
    reason = "where it goes, none is the default profile"
)]
pub(crate) fn identity(own: u8, peers: &[u8]) -> Option<Identity> {
    let peers: Vec<[u8; 32]> = peers.iter().map(|seed| signer(*seed).public()).collect();
    Some(Identity::new(signer(own), &peers).unwrap())
}

/// Everything a machine has to say now: bytes, and events.
pub(crate) fn drain(end: &mut Connection) -> (Vec<u8>, Vec<Event>) {
    let (mut bytes, mut events) = (Vec::new(), Vec::new());
    loop {
        match end.poll(NOW) {
            Output::Transmit(part) => bytes.extend_from_slice(&part),
            Output::Event(event) => events.push(event),
            Output::Wait(_) => return (bytes, events),
            other => panic!("{other:?}"),
        }
    }
}

/// A dialer, a listener, and bytes that move between them in pieces.
pub(crate) struct World {
    pub(crate) dialer: Connection,
    pub(crate) listener: Connection,
    pub(crate) events: [Vec<Event>; 2],
    /// Bytes of a piece at the most.
    pub(crate) split: usize,
    ended: [bool; 2],
}

impl World {
    pub(crate) fn of(dialer: Connection, listener: Connection) -> Self {
        Self {
            dialer,
            listener,
            events: [Vec::new(), Vec::new()],
            split: usize::MAX,
            ended: [false; 2],
        }
    }

    pub(crate) fn new(config: &Config) -> Self {
        let dialer = end(Role::Dialer, None, config);
        Self::of(dialer, end(Role::Listener, None, config))
    }

    /// With the handshake done.
    pub(crate) fn established(config: &Config) -> Self {
        let mut world = Self::new(config);
        world.run().unwrap();
        assert!(world.dialer.is_established() && world.listener.is_established());
        world
    }

    /// Moves bytes until nothing moves; the first error of an end stops it.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        loop {
            let there = self.one_way(0)?;
            let back = self.one_way(1)?;
            if !there && !back {
                return Ok(());
            }
        }
    }

    fn one_way(&mut self, from: usize) -> Result<bool, Error> {
        let (sender, receiver) = match from {
            0 => (&mut self.dialer, &mut self.listener),
            _ => (&mut self.listener, &mut self.dialer),
        };
        if !receiver.wants_bytes() && !sender.has_sent_all() {
            return Ok(false);
        }
        let (bytes, events) = drain(sender);
        let moved = !bytes.is_empty() || !events.is_empty();
        self.events[from].extend(events);
        for piece in bytes.chunks(self.split.min(bytes.len().max(1))) {
            receiver.handle(NOW, Input::Bytes(piece))?;
        }
        if sender.has_sent_all() && !self.ended[from] {
            self.ended[from] = true;
            receiver.handle(NOW, Input::End)?;
        }
        Ok(moved)
    }
}

/// Everything that can be read now, and what came after it.
pub(crate) fn read_all(end: &mut Connection) -> (Vec<u8>, Result<Read, Error>) {
    let mut all = Vec::new();
    let mut buffer = vec![0; 10_000];
    loop {
        match end.read(NOW, &mut buffer) {
            Ok(Read::Data(n)) => {
                assert!(n > 0, "a read of no bytes looks like an end");
                all.extend_from_slice(&buffer[..n]);
            }
            other => return (all, other),
        }
    }
}

/// Every whole message that is there.
pub(crate) fn messages(end: &mut Connection) -> (Vec<Vec<u8>>, Result<Received, Error>) {
    let mut all = Vec::new();
    loop {
        match end.receive(NOW) {
            Ok(Received::Message(message)) => all.push(message.to_vec()),
            other => return (all, other),
        }
    }
}

/// Bytes that look like nothing in particular.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::from_seed([77; 32]).fill(&mut bytes);
    bytes
}
