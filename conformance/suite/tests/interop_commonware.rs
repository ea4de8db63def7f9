//! The machine of commonware-stream against the real crate (`conformance/peers/commonware`), over
//! TCP on the loopback, both roles and both versions that the crate has.
//!
//! `STILLWIRE_COMMONWARE_PEER` names its program; `cargo xtask test --only commonware` builds it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock, SystemTime, UNIX_EPOCH};
use stillwire_core::commonware::{
    Admission, Config, Connection, ConnectionEvent, Door, Ed25519, Identity, Profile, PublicKey,
};
use stillwire_core::crypto::Secret;
use stillwire_core::{Error, Input, Instant, Machine, Messages, Output, Received, UnixTime};

const NAMESPACE: &str = "stillwire/interop";
const LIMIT: usize = 1 << 20;
/// Longer than anything here takes; a peer that hangs ends the test.
const PATIENCE: Duration = Duration::from_secs(60);
const CURRENT: [Profile; 2] = [Profile::V0, Profile::V1];

fn program() -> Option<String> {
    let program = std::env::var("STILLWIRE_COMMONWARE_PEER").ok();
    if program.is_none() {
        println!("skipped: STILLWIRE_COMMONWARE_PEER is not set");
    }
    program
}

fn identity(seed: u8) -> Arc<dyn Identity> {
    Arc::new(Ed25519::new(&Secret::from([seed; 32])))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// The peer's process; ended with the test.
struct Peer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// `words`: verb and profile, then what comes behind secret, namespace and limit.
    fn start(program: &str, verb: &str, profile: Profile, seed: u8, rest: &[String]) -> Self {
        let mut child = Command::new(program)
            .args([verb, profile.name(), &hex(&[seed; 32]), NAMESPACE])
            .arg(LIMIT.to_string())
            .args(rest)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the peer says more").unwrap()
    }

    fn succeeded(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our machine on a socket.
struct End {
    machine: Connection,
    stream: TcpStream,
    start: Clock,
    events: Vec<ConnectionEvent>,
}

fn unix() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::from_millis(since.as_millis().try_into().unwrap())
}

fn seed() -> [u8; 32] {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&nanos.as_nanos().to_le_bytes());
    seed
}

fn config(profile: Profile) -> Config {
    Config {
        profile,
        namespace: Arc::from(NAMESPACE.as_bytes()),
        longest_message: LIMIT,
        ..Config::default()
    }
}

impl End {
    fn new(machine: Connection, stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            machine,
            stream,
            start: Clock::now(),
            events: Vec::new(),
        }
    }

    fn dial(config: Config, seed_of_listener: u8, address: &str) -> Self {
        let listener = identity(seed_of_listener).public();
        let stream = TcpStream::connect(address).unwrap();
        let machine = Connection::dial(
            config,
            identity(1),
            &listener,
            seed(),
            Instant::ZERO,
            unix(),
        );
        Self::new(machine.unwrap(), stream)
    }

    fn accept(config: Config, listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        let door = Door {
            admission: Admission::Anyone,
            seen: None,
        };
        let machine = Connection::listen(config, identity(1), door, seed(), Instant::ZERO, unix());
        Self::new(machine, stream)
    }

    fn now(&self) -> Instant {
        Instant::ZERO.after(self.start.elapsed())
    }

    fn drain(&mut self) {
        loop {
            match self.machine.poll(self.now()) {
                Output::Transmit(bytes) => {
                    // A peer that has refused us reads no more.
                    let _ = self.stream.write_all(&bytes);
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(_) => return,
                other => unreachable!("this protocol does not ask for {other:?}"),
            }
        }
    }

    /// Reads from the socket once.
    fn read(&mut self) -> Result<(), Error> {
        let mut buffer = vec![0; 64 << 10];
        let now = self.now();
        let outcome = match self.stream.read(&mut buffer) {
            Ok(0) => self.machine.handle(now, Input::End),
            Ok(n) => self.machine.handle(now, Input::Bytes(&buffer[..n])),
            // A peer that refuses may reset the connection.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                self.machine.handle(now, Input::End)
            }
            Err(error) => panic!("{error}"),
        };
        self.drain();
        outcome
    }

    fn established(&mut self) -> Result<PublicKey, Error> {
        loop {
            self.drain();
            let mut events = self.events.iter();
            let peer = events.find_map(|event| match event {
                ConnectionEvent::Established { peer } => Some(*peer),
                _ => None,
            });
            if let Some(peer) = peer {
                return Ok(peer);
            }
            self.read()?;
        }
    }

    fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            match self.machine.receive(self.now())? {
                Received::Message(message) => return Ok(Some(message.to_vec())),
                Received::End => return Ok(None),
                Received::Pending => self.read()?,
            }
        }
    }

    fn send(&mut self, message: &[u8]) {
        assert_eq!(self.machine.send(self.now(), message), Ok(true));
        self.drain();
    }
}

fn lengths() -> Vec<usize> {
    let mut all: Vec<usize> = (0..=64).collect();
    all.extend([111, 112, 127, 128, 16_367, 16_368, 16_383, 16_384, 65_536]);
    all.extend((0..200).map(|n| n * 6151 % 100_000));
    all.extend([LIMIT - 1, LIMIT, 0, LIMIT]);
    all
}

fn message(n: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 13 + at / 255 + n * 7) as u8)
        .collect()
}

#[test]
fn we_dial_the_crate() {
    let Some(program) = program() else { return };
    for profile in CURRENT {
        let mut peer = Peer::start(&program, "listen", profile, 2, &[]);
        let mut end = End::dial(config(profile), 2, &peer.line());
        assert_eq!(end.established(), Ok(identity(2).public()), "{profile}");
        let ours = hex(&identity(1).public());
        let lengths = lengths();
        for (n, length) in lengths.iter().enumerate() {
            let sent = message(n, *length);
            end.send(&sent);
            let back = end.receive().unwrap();
            assert!(
                back == Some(sent),
                "{profile}: message {n} of {length} bytes"
            );
        }
        // Many at once, and then their echoes.
        for n in 0..500 {
            end.send(&message(n, n % 50));
        }
        for n in 0..500 {
            assert_eq!(end.receive(), Ok(Some(message(n, n % 50))));
        }
        end.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(end.receive(), Ok(None), "the peer ends too");
        assert_eq!(peer.line(), format!("peer {ours}"));
        assert_eq!(peer.line(), format!("served {}", lengths.len() + 500));
        assert!(peer.succeeded());
    }
}

#[test]
fn the_crate_dials_us() {
    let Some(program) = program() else { return };
    for profile in CURRENT {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let rest = [address, hex(&identity(1).public())];
        let mut peer = Peer::start(&program, "dial", profile, 2, &rest);
        let mut end = End::accept(config(profile), &listener);
        assert_eq!(end.established(), Ok(identity(2).public()), "{profile}");
        let mut served = 0;
        while let Some(message) = end.receive().unwrap() {
            end.send(&message);
            served += 1;
        }
        let mut events = end.events.iter();
        assert!(events.any(|event| matches!(event, ConnectionEvent::EndedUnauthenticated)));
        assert!(served > 200);
        assert_eq!(peer.line(), format!("echoed {served}"));
        assert!(peer.succeeded(), "{profile}");
    }
}

/// What may not connect: our settings, the identity we dial, the crate's version.
fn wrong() -> Vec<(&'static str, Config, u8, Profile)> {
    let named = |profile| Config {
        namespace: Arc::from(&b"another"[..]),
        ..config(profile)
    };
    let mut all = Vec::new();
    for profile in CURRENT {
        let other = CURRENT.into_iter().find(|other| *other != profile).unwrap();
        all.push(("namespace", named(profile), 2, profile));
        all.push(("identity", config(profile), 3, profile));
        all.push(("version", config(other), 2, profile));
    }
    for old in [Profile::A, Profile::B] {
        all.push(("era", config(old), 2, Profile::V0));
    }
    all
}

#[test]
fn the_crate_refuses_what_is_wrong_with_a_dialer() {
    let Some(program) = program() else { return };
    for (what, config, dialed, profile) in wrong() {
        let mut peer = Peer::start(&program, "listen", profile, 2, &[]);
        let mut end = End::dial(config, dialed, &peer.line());
        let refused = end.established().unwrap_err();
        assert!(refused.class().is_some(), "{what}: {refused}");
        assert!(!peer.succeeded(), "{what}: the crate took it");
    }
}

#[test]
fn we_refuse_what_is_wrong_with_the_crate_as_a_dialer() {
    let Some(program) = program() else { return };
    for (what, config, dialed, profile) in wrong() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // Where we dial another identity than the crate has, the crate dials another than ours.
        let public = identity(if dialed == 2 { 1 } else { 9 }).public();
        let rest = [address, hex(&public)];
        let mut peer = Peer::start(&program, "dial", profile, 2, &rest);
        let mut end = End::accept(config, &listener);
        let refused = end.established().unwrap_err();
        assert!(refused.class().is_some(), "{what}: {refused}");
        drop(end);
        assert!(!peer.succeeded(), "{what}: the crate took us");
    }
}
