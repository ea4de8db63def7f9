//! The Python program as the other end of a connection, over its standard input and output or over
//! a TCP connection on the loopback.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stillwire_core::asoc::{
    ApiKey, Config, Connection, ConnectionEvent, Established, Fresh, Identity, KeyId, NodeId,
    Profile, Suite,
};
use stillwire_core::crypto::Rng;
use stillwire_core::{Error, Input, Instant, Machine, Output, UnixTime};

pub(crate) const KEY: &str = "größe des Schlüssels: ausreichend";
pub(crate) const NEXT: &str = "the next key, as long as it must be";
pub(crate) const COMMUNITY: &str = "Gemeinschaft-ü";
pub(crate) const OURS: &str = "ba240090-3e52-46bf-8457-c6ba2c2ddddc";
pub(crate) const THEIRS: &str = "4b1345cf-38ab-42fb-ba7c-add77ae4f105";
pub(crate) const SUITES: [(Suite, &str); 2] =
    [(Suite::Aes256Gcm, "1"), (Suite::ChaCha20Poly1305, "2")];
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A Python that has `cryptography`.
pub(crate) fn python() -> Option<&'static PathBuf> {
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

/// How the program is started.
pub(crate) struct Start<'a> {
    pub(crate) key: &'a str,
    pub(crate) community: &'a str,
    pub(crate) node: &'a str,
}

pub(crate) const USUAL: Start<'static> = Start {
    key: KEY,
    community: COMMUNITY,
    node: THEIRS,
};

/// The program, and what it says.
pub(crate) struct Peer {
    process: Child,
    bytes: Receiver<Vec<u8>>,
    said: Receiver<Value>,
}

impl Peer {
    pub(crate) fn start(verb: &str, start: &Start<'_>, more: &[&str]) -> Option<Self> {
        let Some(python) = python() else {
            println!("skipped: there is no Python with the package cryptography");
            return None;
        };
        let mut process = Command::new(python)
            .arg(root().join("conformance/peers/asoc/hardened.py"))
            .args([verb, "--uuid", start.node, "--community", start.community])
            .args(more)
            .env("ASOC_API_KEY", start.key)
            .env("ASOC_NEXT_KEY", NEXT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = process.stdout.take().unwrap();
        let (send, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 16_000];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (send, said) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if send.send(value).is_err() {
                    return;
                }
            }
        });
        Some(Self {
            process,
            bytes,
            said,
        })
    }

    /// The next thing it says.
    pub(crate) fn hear(&self) -> Value {
        let said = self.said.recv_timeout(PATIENCE);
        said.expect("the peer says nothing more")
    }

    /// What it says next must be this event.
    pub(crate) fn expect(&self, event: &str) -> Value {
        let said = self.hear();
        assert_eq!(said["event"], event, "{said}");
        said
    }

    /// It must say that it refuses, and why, and end with that.
    pub(crate) fn refuses(mut self, class: &str) {
        let said = self.expect("refused");
        assert_eq!(said["class"], class, "{said}");
        assert_eq!(self.process.wait().unwrap().code(), Some(2));
        let rest: Vec<u8> = self.bytes.iter().flatten().collect();
        assert!(rest.is_empty(), "it answered {rest:02x?}");
    }

    /// Closes its input and waits for its end.
    pub(crate) fn ends_well(mut self) {
        drop(self.process.stdin.take());
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}: {:?}", self.said.try_recv());
    }

    /// Closes its input, which it must find too early.
    pub(crate) fn finds_it_ended(mut self) {
        drop(self.process.stdin.take());
        self.expect("ended");
        assert_eq!(self.process.wait().unwrap().code(), Some(2));
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let stdin = self.process.stdin.as_mut().unwrap();
        // A peer that has ended is noticed by what it said before.
        let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
    }

    /// So many bytes of what it sends.
    pub(crate) fn read(&self, count: usize) -> Vec<u8> {
        let mut read = Vec::new();
        while read.len() < count {
            read.extend(self.bytes.recv_timeout(PATIENCE).unwrap());
        }
        assert_eq!(read.len(), count);
        read
    }

    /// A connection to the port on which it says that it listens.
    pub(crate) fn connect(port: &Value) -> TcpStream {
        let port = u16::try_from(port.as_u64().unwrap()).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
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
pub(crate) struct Run {
    pub(crate) connection: Connection,
    pub(crate) peer: Peer,
    pub(crate) established: Option<Established>,
    /// Streams as far as they have come; the flag says that they are complete.
    pub(crate) streams: Vec<(u32, Vec<u8>, bool)>,
    pub(crate) announced: Vec<(KeyId, UnixTime)>,
    pub(crate) acknowledged: Vec<KeyId>,
    /// All bytes that went to the peer.
    pub(crate) sent: Vec<u8>,
}

impl Run {
    pub(crate) fn new(connection: Connection, peer: Peer) -> Self {
        Self {
            connection,
            peer,
            established: None,
            streams: Vec::new(),
            announced: Vec::new(),
            acknowledged: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Runs until `done`; false when the peer ends before.
    pub(crate) fn until(&mut self, done: impl Fn(&Self) -> bool) -> Result<bool, Error> {
        loop {
            self.drain();
            if done(self) {
                return Ok(true);
            }
            match self.peer.bytes.recv_timeout(PATIENCE) {
                Ok(bytes) => self
                    .connection
                    .handle(Instant::ZERO, Input::Bytes(&bytes))?,
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(RecvTimeoutError::Timeout) => panic!("the peer says nothing"),
            }
        }
    }

    /// Until the handshake is done.
    pub(crate) fn establish(&mut self) -> Established {
        let done = self.until(|run| run.established.is_some()).unwrap();
        assert!(done, "the peer has ended");
        self.established.unwrap()
    }

    pub(crate) fn drain(&mut self) {
        loop {
            match self.connection.poll(Instant::ZERO) {
                Output::Transmit(bytes) => {
                    self.peer.write(&bytes);
                    self.sent.extend_from_slice(&bytes);
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
            ConnectionEvent::Announced { key, activation } => {
                self.announced.push((key, activation));
            }
            ConnectionEvent::Acknowledged { key } => self.acknowledged.push(key),
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

    pub(crate) fn send(&mut self, data: &[u8]) {
        let stream = self.connection.open().unwrap();
        let taken = self.connection.write(stream, &data.to_vec().into());
        assert_eq!(taken.unwrap(), data.len());
        self.connection.end(stream).unwrap();
    }
}

pub(crate) fn identity(keys: &[&str]) -> Identity {
    let key = |key: &&str| ApiKey::new(key.as_bytes()).unwrap();
    Identity {
        node: NodeId::parse(OURS).unwrap(),
        keys: keys.iter().map(key).collect(),
        community: COMMUNITY.to_owned(),
    }
}

pub(crate) fn config(suite: Suite) -> Config {
    Config {
        profile: Profile::Hardened(suite),
        chunk: 4_000,
        ..Config::default()
    }
}

pub(crate) fn unix() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// What must be new, with a clock that is off by so many seconds.
pub(crate) fn fresh(off: i64) -> Fresh {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // Test keys: what is drawn need not be unpredictable, only new.
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&now.as_nanos().to_be_bytes());
    let unix = now.as_secs().saturating_add_signed(off);
    Fresh::draw(&mut Rng::from_seed(seed), UnixTime::from_secs(unix))
}

pub(crate) fn client(suite: Suite, keys: &[&str]) -> Connection {
    Connection::client(config(suite), identity(keys), fresh(0), Instant::ZERO).unwrap()
}

/// A server; the client chooses the cipher, whatever is set here.
pub(crate) fn server(keys: &[&str]) -> Connection {
    let config = config(Suite::Aes256Gcm);
    Connection::server(config, identity(keys), fresh(0), Instant::ZERO).unwrap()
}
