//! Two connections and the bytes between them.

use std::sync::Arc;
use std::time::Duration;
use stillwire_core::commonware::{
    Admission, Config, Connection, ConnectionEvent, Door, Ed25519, Identity, Profile, PublicKey,
};
use stillwire_core::crypto::Secret;
use stillwire_core::{
    Channel, Class, Error, Input, Instant, Machine, Messages, Output, Read, Received, Streamed,
    UnixTime,
};

pub(crate) const UNIX: UnixTime = UnixTime::from_millis(1_788_079_397_675);

pub(crate) fn identity(seed: u8) -> Arc<dyn Identity> {
    Arc::new(Ed25519::new(&Secret::from([seed; 32])))
}

pub(crate) fn public(seed: u8) -> PublicKey {
    identity(seed).public()
}

pub(crate) fn config(profile: Profile) -> Config {
    Config {
        profile,
        namespace: Arc::from(&b"stillwire/tests"[..]),
        longest_message: 100_000,
        ..Config::default()
    }
}

pub(crate) fn anyone() -> Door {
    Door {
        admission: Admission::Anyone,
        seen: None,
    }
}

pub(crate) fn class(error: Option<&Error>) -> Option<Class> {
    error.and_then(Error::class)
}

/// One end with everything it said.
pub(crate) struct End {
    pub(crate) machine: Connection,
    pub(crate) events: Vec<ConnectionEvent>,
    /// What it sent and nobody has taken yet.
    pub(crate) out: Vec<u8>,
    /// Everything it ever sent.
    pub(crate) sent: Vec<u8>,
}

impl End {
    pub(crate) fn new(machine: Connection) -> Self {
        Self {
            machine,
            events: Vec::new(),
            out: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Polls until it waits, and gives the deadline.
    pub(crate) fn drain(&mut self, now: Instant) -> Option<Instant> {
        loop {
            match self.machine.poll(now) {
                Output::Transmit(bytes) => {
                    assert!(!bytes.is_empty());
                    self.out.extend_from_slice(&bytes);
                    self.sent.extend_from_slice(&bytes);
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(until) => {
                    assert!(!self.machine.has_output());
                    return until;
                }
                other => panic!("unexpected output {other:?}"),
            }
        }
    }

    pub(crate) fn feed(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Error> {
        let fed = self.machine.handle(now, Input::Bytes(bytes));
        self.drain(now);
        fed
    }

    pub(crate) fn end(&mut self, now: Instant) -> Result<(), Error> {
        let fed = self.machine.handle(now, Input::End);
        self.drain(now);
        fed
    }

    pub(crate) fn class(&self) -> Option<Class> {
        class(self.machine.error())
    }

    pub(crate) fn is_established(&self) -> bool {
        let said = self.events.iter();
        let said = said.filter(|event| matches!(event, ConnectionEvent::Established { .. }));
        let said = said.count();
        assert_eq!(said, usize::from(self.machine.is_established()));
        said == 1
    }

    pub(crate) fn asked(&self) -> Vec<(PublicKey, bool)> {
        let asked = self.events.iter().filter_map(|event| match event {
            ConnectionEvent::Asked { dialer, proven } => Some((*dialer, *proven)),
            _ => None,
        });
        asked.collect()
    }

    /// How the connection closed, if it said so; it says so once.
    pub(crate) fn closed(&self) -> Option<&Result<(), Error>> {
        let mut closed = self.events.iter().filter_map(|event| match event {
            ConnectionEvent::Closed(outcome) => Some(outcome),
            _ => None,
        });
        let first = closed.next();
        assert!(closed.next().is_none(), "closed twice");
        first
    }

    /// Every message that can be received now.
    pub(crate) fn messages(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Ok(Received::Message(message)) = self.machine.receive(now) {
            all.push(message.to_vec());
        }
        all
    }

    /// Everything that can be read now.
    pub(crate) fn read_all(&mut self, now: Instant) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 777]);
        while let Ok(Read::Data(n)) = self.machine.read(now, &mut buffer) {
            all.extend_from_slice(&buffer[..n]);
        }
        all
    }
}

/// Two ends that have not spoken yet.
pub(crate) struct Pair {
    pub(crate) dialer: End,
    pub(crate) listener: End,
    pub(crate) now: Instant,
}

impl Pair {
    pub(crate) fn new(config: &Config, door: Door) -> Self {
        Self::seeded(config, door, 7)
    }

    pub(crate) fn seeded(config: &Config, door: Door, seed: u8) -> Self {
        let now = Instant::ZERO;
        let dialer = Connection::dial(
            config.clone(),
            identity(1),
            &public(2),
            [seed; 32],
            now,
            UNIX,
        );
        let listener = Connection::listen(
            config.clone(),
            identity(2),
            door,
            [seed ^ 0x80; 32],
            now,
            UNIX,
        );
        let mut pair = Self {
            dialer: End::new(dialer.unwrap()),
            listener: End::new(listener),
            now,
        };
        pair.dialer.drain(now);
        pair.listener.drain(now);
        pair
    }

    pub(crate) fn established(config: &Config) -> Self {
        let mut pair = Self::new(config, anyone());
        pair.run(usize::MAX);
        assert!(pair.dialer.is_established() && pair.listener.is_established());
        pair
    }

    pub(crate) fn pass(&mut self, by: Duration) {
        self.now = self.now.after(by);
        let now = self.now;
        for end in [&mut self.dialer, &mut self.listener] {
            let _ = end.machine.handle(now, Input::Time);
            end.drain(now);
        }
    }

    /// Carries bytes both ways in pieces of at most `size`, while they are wanted.
    pub(crate) fn run(&mut self, size: usize) {
        let now = self.now;
        loop {
            self.dialer.drain(now);
            self.listener.drain(now);
            let a = carry(&mut self.dialer, &mut self.listener, size, now);
            let b = carry(&mut self.listener, &mut self.dialer, size, now);
            if !a && !b {
                return;
            }
        }
    }
}

fn carry(from: &mut End, to: &mut End, size: usize, now: Instant) -> bool {
    let mut moved = false;
    while !from.out.is_empty() && to.machine.wants_bytes() {
        let piece: Vec<u8> = from.out.drain(..size.min(from.out.len())).collect();
        let _ = to.feed(now, &piece);
        moved = true;
    }
    moved
}

/// What each end of an honest handshake says: dialer's first flight, listener's answer, dialer's Ack.
pub(crate) fn flights(profile: Profile) -> [Vec<u8>; 3] {
    let mut pair = Pair::new(&config(profile), anyone());
    let first = std::mem::take(&mut pair.dialer.out);
    pair.listener.feed(pair.now, &first).unwrap();
    let answer = std::mem::take(&mut pair.listener.out);
    pair.dialer.feed(pair.now, &answer).unwrap();
    [first, answer, std::mem::take(&mut pair.dialer.out)]
}
