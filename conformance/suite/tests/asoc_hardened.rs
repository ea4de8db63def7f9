//! The hardened profile of ASoc against a second implementation, in Python, which is written from
//! the book alone. Where there is no Python with `cryptography` the tests say so and skip.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stillwire_core::asoc::{
    ApiKey, Config, Connection, ConnectionEvent, Established, Fresh, Identity, NodeId, Profile,
    Suite,
};
use stillwire_core::crypto::Rng;
use stillwire_core::{Class, Error, Input, Instant, Machine, Output, UnixTime};

const KEY: &str = "größe des Schlüssels: ausreichend";
const COMMUNITY: &str = "Gemeinschaft-ü";
const OURS: &str = "ba240090-3e52-46bf-8457-c6ba2c2ddddc";
const THEIRS: &str = "4b1345cf-38ab-42fb-ba7c-add77ae4f105";
const SUITES: [(Suite, &str); 2] = [(Suite::Aes256Gcm, "1"), (Suite::ChaCha20Poly1305, "2")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A Python that has `cryptography`.
fn python() -> Option<&'static PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(find_python).as_ref()
}

fn runs(python: &Path, arguments: &[&str]) -> bool {
    let output = Command::new(python).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

fn find_python() -> Option<PathBuf> {
    let fits = |python: &PathBuf| runs(python, &["-c", "import cryptography"]);
    let venv = root().join("target/asoc-venv");
    let inside = venv.join("bin/python");
    let named = std::env::var_os("STILLWIRE_PYTHON").map(PathBuf::from);
    let candidates = [named, Some(inside.clone()), Some("python3".into())];
    if let Some(found) = candidates.into_iter().flatten().find(fits) {
        return Some(found);
    }
    let wanted = root().join("conformance/peers/asoc/requirements.txt");
    let wanted = wanted.to_str()?.to_owned();
    let made = runs(Path::new("python3"), &["-m", "venv", venv.to_str()?])
        && runs(
            &inside,
            &[
                "-m",
                "pip",
                "install",
                "--quiet",
                "--timeout",
                "20",
                "-r",
                &wanted,
            ],
        );
    (made && fits(&inside)).then_some(inside)
}

/// A Python at the other end of two pipes.
struct Peer {
    process: Child,
    bytes: Receiver<Vec<u8>>,
}

impl Peer {
    fn start(arguments: &[&str]) -> Option<Self> {
        let Some(python) = python() else {
            println!("skipped: there is no Python with the package cryptography");
            return None;
        };
        let mut process = Command::new(python)
            .arg(root().join("conformance/peers/asoc/hardened.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = process.stdout.take().unwrap();
        let (send, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 3000];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self { process, bytes })
    }

    /// Closes its input and waits for its end.
    fn end(mut self) -> ExitStatus {
        drop(self.process.stdin.take());
        self.process.wait().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Over already, unless a test has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection, run over the pipes of a peer until `done` says so or it ends.
struct Run {
    connection: Connection,
    peer: Peer,
    established: Option<Established>,
    /// Streams as far as they have come; the flag says that they are complete.
    streams: Vec<(u32, Vec<u8>, bool)>,
}

impl Run {
    fn new(connection: Connection, peer: Peer) -> Self {
        Self {
            connection,
            peer,
            established: None,
            streams: Vec::new(),
        }
    }

    /// Runs until `done`; false when the peer ends before.
    fn until(&mut self, done: impl Fn(&Self) -> bool) -> Result<bool, Error> {
        loop {
            self.drain();
            if done(self) {
                return Ok(true);
            }
            match self.peer.bytes.recv_timeout(Duration::from_secs(60)) {
                Ok(bytes) => self
                    .connection
                    .handle(Instant::ZERO, Input::Bytes(&bytes))?,
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(RecvTimeoutError::Timeout) => panic!("the peer says nothing"),
            }
        }
    }

    fn drain(&mut self) {
        loop {
            match self.connection.poll(Instant::ZERO) {
                Output::Transmit(bytes) => {
                    let stdin = self.peer.process.stdin.as_mut().unwrap();
                    // A peer that has ended is noticed by what it said before.
                    let _ = stdin.write_all(&bytes).and_then(|()| stdin.flush());
                }
                Output::Event(event) => self.event(event),
                _ => return,
            }
        }
    }

    fn event(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Hello { .. } => self.connection.admit(Instant::ZERO).unwrap(),
            ConnectionEvent::Established(established) => self.established = Some(established),
            ConnectionEvent::Data { stream, bytes, .. } => {
                self.stream(stream).1.extend_from_slice(&bytes);
            }
            ConnectionEvent::End { stream } => self.stream(stream).2 = true,
            _ => {}
        }
    }

    fn stream(&mut self, id: u32) -> &mut (u32, Vec<u8>, bool) {
        let known = self.streams.iter().position(|(known, ..)| *known == id);
        let index = known.unwrap_or_else(|| {
            self.streams.push((id, Vec::new(), false));
            self.streams.len() - 1
        });
        &mut self.streams[index]
    }

    fn send(&mut self, data: &[u8]) {
        let stream = self.connection.open().unwrap();
        let taken = self.connection.write(stream, &data.to_vec().into());
        assert_eq!(taken.unwrap(), data.len());
        self.connection.end(stream).unwrap();
    }
}

fn identity(key: &str) -> Identity {
    Identity {
        node: NodeId::parse(OURS).unwrap(),
        keys: vec![ApiKey::new(key.as_bytes()).unwrap()],
        community: COMMUNITY.to_owned(),
    }
}

fn config(suite: Suite) -> Config {
    Config {
        profile: Profile::Hardened(suite),
        chunk: 4_000,
        ..Config::default()
    }
}

fn fresh() -> Fresh {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // Test keys: what is drawn need not be unpredictable, only new.
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&now.as_nanos().to_be_bytes());
    Fresh::draw(
        &mut Rng::from_seed(seed),
        UnixTime::from_secs(now.as_secs()),
    )
}

fn client(suite: Suite, key: &str) -> Connection {
    Connection::client(config(suite), identity(key), fresh(), Instant::ZERO).unwrap()
}

#[test]
fn we_dial_a_python_server() {
    for (suite, _) in SUITES {
        let Some(peer) = Peer::start(&["server", KEY, COMMUNITY, THEIRS]) else {
            return;
        };
        let mut run = Run::new(client(suite, KEY), peer);
        assert!(run.until(|run| run.established.is_some()).unwrap());
        let established = run.established.unwrap();
        assert!(established.proven);
        assert_eq!(established.peer, Some(NodeId::parse(THEIRS).unwrap()));
        for size in [0, 1, 4_000, 4_001, 200_003] {
            let sent: Vec<u8> = (0..size).map(|at: usize| (at * 31 % 251) as u8).collect();
            run.send(&sent);
            let seen = run.streams.len();
            let complete = |run: &Run| run.streams.get(seen).is_some_and(|stream| stream.2);
            assert!(run.until(complete).unwrap());
            assert!(
                run.streams[seen].1 == sent,
                "{size} bytes came back changed"
            );
            assert_eq!(run.streams[seen].0 as usize, 2 * (seen + 1));
        }
        assert!(run.peer.end().success());
    }
}

#[test]
fn a_python_client_dials_us() {
    for (_, number) in SUITES {
        let Some(peer) = Peer::start(&["client", KEY, COMMUNITY, THEIRS, number]) else {
            return;
        };
        // The client chooses the cipher, whatever is set here.
        let server = Connection::server(
            config(Suite::Aes256Gcm),
            identity(KEY),
            fresh(),
            Instant::ZERO,
        );
        let mut run = Run::new(server.unwrap(), peer);
        let mut echoed = 0;
        loop {
            let complete = |run: &Run| run.streams.get(echoed).is_some_and(|stream| stream.2);
            if !run.until(complete).unwrap() {
                break;
            }
            let stream = run.streams[echoed].1.clone();
            run.send(&stream);
            echoed += 1;
        }
        let sizes: Vec<usize> = run.streams.iter().map(|stream| stream.1.len()).collect();
        assert_eq!(sizes, [0, 1, 16, 4_999, 5_000, 5_001, 123_457]);
        assert!(run.established.unwrap().proven);
        assert!(run.peer.end().success());
    }
}

#[test]
fn another_key_or_community_is_refused_by_both() {
    let other = "another key, also long enough";
    let Some(peer) = Peer::start(&["server", other, COMMUNITY, THEIRS]) else {
        return;
    };
    let mut run = Run::new(client(Suite::Aes256Gcm, KEY), peer);
    assert!(!run.until(|run| run.established.is_some()).unwrap());
    let fault = run
        .connection
        .handle(Instant::ZERO, Input::End)
        .unwrap_err();
    assert_eq!(fault.class(), Some(Class::Eof));
    assert!(!run.peer.end().success());
    for (key, community) in [(other, COMMUNITY), (KEY, "another community")] {
        let peer = Peer::start(&["client", key, community, THEIRS, "1"]).unwrap();
        let server = Connection::server(
            config(Suite::Aes256Gcm),
            identity(KEY),
            fresh(),
            Instant::ZERO,
        );
        let mut run = Run::new(server.unwrap(), peer);
        let fault = run.until(|run| run.established.is_some()).unwrap_err();
        assert_eq!(fault.class(), Some(Class::Auth));
        assert!(!run.peer.end().success());
    }
}

#[test]
fn our_own_uuid_is_refused_by_both() {
    let Some(peer) = Peer::start(&["server", KEY, COMMUNITY, OURS]) else {
        return;
    };
    let mut run = Run::new(client(Suite::Aes256Gcm, KEY), peer);
    assert!(!run.until(|run| run.established.is_some()).unwrap());
    assert!(!run.peer.end().success());
    let peer = Peer::start(&["client", KEY, COMMUNITY, OURS, "2"]).unwrap();
    let server = Connection::server(
        config(Suite::Aes256Gcm),
        identity(KEY),
        fresh(),
        Instant::ZERO,
    );
    let mut run = Run::new(server.unwrap(), peer);
    let fault = run.until(|run| run.established.is_some()).unwrap_err();
    assert_eq!(fault.class(), Some(Class::Identity));
    assert!(!run.peer.end().success());
}
