//! The machine of commonware-stream against a program on the real crate, over TCP on the loopback,
//! in both roles. What differs between the crate's releases is in the tests that use this.

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

/// The path of the crate's program, if the variable says it.
pub(crate) fn program(variable: &str) -> Option<String> {
    let program = std::env::var(variable).ok();
    if program.is_none() {
        println!("skipped: {variable} is not set");
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

pub(crate) fn config(profile: Profile) -> Config {
    Config {
        profile,
        namespace: Arc::from(NAMESPACE.as_bytes()),
        longest_message: LIMIT,
        ..Config::default()
    }
}

/// With another namespace than the crate's.
pub(crate) fn renamed(profile: Profile) -> Config {
    Config {
        namespace: Arc::from(&b"another"[..]),
        ..config(profile)
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

/// We dial a crate that echoes, with these settings of ours.
pub(crate) fn we_dial(program: &str, config: Config) {
    let profile = config.profile;
    let mut peer = Peer::start(program, "listen", profile, 2, &[]);
    let mut end = End::dial(config, 2, &peer.line());
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

/// The crate dials us and compares the echoes, with these settings of ours.
pub(crate) fn it_dials(program: &str, config: Config) {
    let profile = config.profile;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let rest = [address, hex(&identity(1).public())];
    let mut peer = Peer::start(program, "dial", profile, 2, &rest);
    let mut end = End::accept(config, &listener);
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

/// What may not connect.
pub(crate) struct Wrong {
    what: &'static str,
    /// Our settings.
    config: Config,
    /// The seed of the identity that we dial; the crate has 2.
    dialed: u8,
    /// The crate's profile.
    profile: Profile,
}

impl Wrong {
    pub(crate) fn namespace(profile: Profile) -> Self {
        Self {
            what: "namespace",
            config: renamed(profile),
            dialed: 2,
            profile,
        }
    }

    pub(crate) fn identity(profile: Profile) -> Self {
        Self {
            what: "identity",
            config: config(profile),
            dialed: 3,
            profile,
        }
    }

    pub(crate) fn era(ours: Profile, profile: Profile) -> Self {
        Self {
            what: "era",
            config: config(ours),
            dialed: 2,
            profile,
        }
    }

    /// Both ends of a connection that we dial refuse it.
    pub(crate) fn we_dial(self, program: &str) {
        let what = self.what;
        let mut peer = Peer::start(program, "listen", self.profile, 2, &[]);
        let mut end = End::dial(self.config, self.dialed, &peer.line());
        let refused = end.established().unwrap_err();
        assert!(refused.class().is_some(), "{what}: {refused}");
        assert!(!peer.succeeded(), "{what}: the crate took it");
    }

    /// Both ends of a connection that the crate dials refuse it.
    pub(crate) fn it_dials(self, program: &str) {
        let what = self.what;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // Where we dial another identity than the crate has, the crate dials another than ours.
        let public = identity(if self.dialed == 2 { 1 } else { 9 }).public();
        let rest = [address, hex(&public)];
        let mut peer = Peer::start(program, "dial", self.profile, 2, &rest);
        let mut end = End::accept(self.config, &listener);
        let refused = end.established().unwrap_err();
        assert!(refused.class().is_some(), "{what}: {refused}");
        drop(end);
        assert!(!peer.succeeded(), "{what}: the crate took us");
    }
}
