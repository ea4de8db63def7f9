//! Two ends, and somebody between them.

use stillwire_core::asoc::{
    ApiKey, Config, Connection, ConnectionEvent, Fresh, Identity, NodeId, Profile, Suite,
};
use stillwire_core::crypto::Rng;
use stillwire_core::{Error, Input, Instant, Machine, Output, UnixTime};

pub(crate) const KEY: &[u8] = b"the key of the cluster, 32 bytes";
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
pub(crate) const HARDENED: Profile = Profile::Hardened(Suite::Aes256Gcm);
pub(crate) const PROFILES: [Profile; 3] = [
    Profile::Default,
    HARDENED,
    Profile::Hardened(Suite::ChaCha20Poly1305),
];

pub(crate) fn name(node: u8) -> NodeId {
    NodeId::from_bytes([node; 16])
}

pub(crate) fn identity(node: u8) -> Identity {
    Identity {
        node: name(node),
        keys: vec![ApiKey::new(KEY).unwrap()],
        community: "test-cluster".to_owned(),
    }
}

pub(crate) fn config(profile: Profile) -> Config {
    Config {
        profile,
        ..Config::default()
    }
}

pub(crate) fn fresh(seed: u8) -> Fresh {
    Fresh::draw(&mut Rng::from_seed([seed; 32]), NOW)
}

/// One end, and what it has told.
pub(crate) struct End {
    pub(crate) machine: Connection,
    pub(crate) events: Vec<ConnectionEvent>,
}

impl End {
    pub(crate) fn client(node: u8, seed: u8, profile: Profile) -> Self {
        let made = Connection::client(config(profile), identity(node), fresh(seed), Instant::ZERO);
        Self::of(made.unwrap())
    }

    pub(crate) fn server(node: u8, seed: u8, profile: Profile) -> Self {
        let made = Connection::server(config(profile), identity(node), fresh(seed), Instant::ZERO);
        Self::of(made.unwrap())
    }

    pub(crate) fn of(machine: Connection) -> Self {
        Self {
            machine,
            events: Vec::new(),
        }
    }

    /// What it sends; HELLOs are admitted.
    pub(crate) fn drain(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            match self.machine.poll(Instant::ZERO) {
                Output::Transmit(bytes) => out.extend_from_slice(&bytes),
                Output::Event(event) => {
                    if matches!(event, ConnectionEvent::Hello { .. }) {
                        // A fault behind the HELLO comes as an event.
                        let _ = self.machine.admit(Instant::ZERO);
                    }
                    self.events.push(event);
                }
                _ => return out,
            }
        }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.machine.handle(Instant::ZERO, Input::Bytes(bytes))
    }

    /// Takes bytes and answers.
    pub(crate) fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        // A refusal is among the events.
        let _ = self.take(bytes);
        self.drain()
    }

    pub(crate) fn data(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for event in &self.events {
            if let ConnectionEvent::Data { bytes, .. } = event {
                out.extend_from_slice(bytes);
            }
        }
        out
    }

    /// The error that ended it.
    pub(crate) fn fault(&self) -> Option<stillwire_core::Class> {
        self.machine.error().and_then(Error::class)
    }

    /// Sends on a new stream; gives the bytes.
    pub(crate) fn say(&mut self, data: &'static [u8]) -> Vec<u8> {
        let stream = self.machine.open().unwrap();
        self.machine.write(stream, &data.into()).unwrap();
        self.drain()
    }
}

/// Two ends that have shaken hands, and what went to the server and to the client.
pub(crate) struct Met {
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) to_server: Vec<Vec<u8>>,
    pub(crate) to_client: Vec<Vec<u8>>,
}

/// Lets node 1 dial node 2.
pub(crate) fn meet(profile: Profile, seed: u8) -> Met {
    let mut met = Met {
        client: End::client(1, seed, profile),
        server: End::server(2, seed + 100, profile),
        to_server: Vec::new(),
        to_client: Vec::new(),
    };
    let mut to_server = met.client.drain();
    while !to_server.is_empty() {
        let to_client = met.server.answer(&to_server);
        met.to_server.push(to_server);
        to_server = met.client.answer(&to_client);
        met.to_client.push(to_client);
    }
    assert!(met.client.machine.is_open() && met.server.machine.is_open());
    met
}

/// A plain frame.
pub(crate) fn frame(kind: u8, stream: u32, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![1, kind];
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    out.extend_from_slice(payload);
    out
}
