//! OpenZiti connections with real peers: the Go module openziti/secretstream, and libsodium through
//! PyNaCl. Each peer is a child that echoes on its standard input and output.
//!
//! They are built and named by `cargo xtask test`: `STILLWIRE_GO_ZITI` is the Go program,
//! `STILLWIRE_PYNACL` a Python that has PyNaCl.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use stillwire_core::crypto::Rng;
use stillwire_core::ziti::{Config, Connection, Dialect, Exchange, Rekeying, Role};
use stillwire_tokio::SecureStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(240);
const MUCH: usize = 100_000_000;

/// Bytes that cost next to nothing to make and to compare.
fn pattern(at: usize, out: &mut [u8]) {
    for (offset, byte) in out.iter_mut().enumerate() {
        let place = at + offset;
        *byte = (place ^ (place >> 8) ^ (place >> 16)) as u8;
    }
}

#[derive(Clone, Copy)]
enum Peer {
    Go,
    Libsodium,
}

impl Peer {
    fn command(self) -> Option<Command> {
        let name = match self {
            Self::Go => "STILLWIRE_GO_ZITI",
            Self::Libsodium => "STILLWIRE_PYNACL",
        };
        let Ok(program) = std::env::var(name) else {
            println!("skipped: {name} is not set; `cargo xtask test --only interop` sets it");
            return None;
        };
        let mut command = Command::new(program);
        if matches!(self, Self::Libsodium) {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
            command.arg(folder.join("../../conformance/peers/ziti/peer.py"));
        }
        Some(command)
    }

    /// Starts the peer in the other role; every `rekey`th message of its bears the tag REKEY.
    fn start(self, ours: Role, rekey: u32) -> Option<Child> {
        let mut command = self.command()?;
        command.arg(match ours {
            Role::Dialer => "server",
            Role::Listener => "client",
        });
        command.arg(rekey.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).kill_on_drop(true);
        Some(command.spawn().unwrap())
    }
}

async fn open(child: &mut Child, role: Role, config: Config) -> SecureStream<Connection> {
    let (output, input) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let opened = SecureStream::open(tokio::io::join(output, input), |now| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&std::process::id().to_le_bytes());
        seed[4] = role as u8;
        let rng = Rng::from_seed(seed);
        Connection::new(role, Exchange::Fresh, None, config, rng, now)
    });
    opened.await.unwrap()
}

/// What the peer saw.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// With the final one.
    messages: u64,
    bytes: usize,
    /// How often we asked for a new key, and how often it did; only libsodium counts.
    rekeys: Option<[u64; 2]>,
}

impl Verdict {
    /// Reads `final after 3 messages and 8 bytes[, 2 rekeys there, 1 back]`.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().last()?;
        let rest = line.strip_prefix("final after ")?;
        let (messages, rest) = rest.split_once(" messages and ")?;
        let (bytes, rest) = rest.split_once(" bytes")?;
        let rekeys = match rest {
            "" => None,
            counted => {
                let counted = counted.strip_prefix(", ")?.strip_suffix(" back")?;
                let (there, back) = counted.split_once(" rekeys there, ")?;
                Some([there.parse().ok()?, back.parse().ok()?])
            }
        };
        Some(Self {
            messages: messages.parse().ok()?,
            bytes: bytes.parse().ok()?,
            rekeys,
        })
    }

    /// Keys changed as often as was asked for, each way, where the peer follows.
    fn check_rekeys(&self, peer: Peer, ours: Rekeying, every: u32) {
        // The final message bears a tag of its own.
        let before = self.messages - 1;
        let there = match ours {
            Rekeying::EveryMessage => before,
            Rekeying::Never | Rekeying::AtWrap => 0,
        };
        let back = match every {
            0 => 0,
            every => before.div_ceil(every.into()),
        };
        let expected = match peer {
            Peer::Go => None,
            Peer::Libsodium => Some([there, back]),
        };
        assert_eq!(self.rekeys, expected, "{self:?}");
    }
}

/// The peer ended well, and says what it saw last.
async fn verdict(child: Child) -> Verdict {
    let output = timeout(LONG, child.wait_with_output()).await.unwrap();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    Verdict::parse(&text).unwrap_or_else(|| panic!("{text}"))
}

/// Moves a lot of bytes there and back.
async fn much(peer: Peer, role: Role, config: Config, rekey: u32) {
    let rekeying = config.rekeying;
    let Some(mut child) = peer.start(role, rekey) else {
        return;
    };
    let (mut read, mut write) = open(&mut child, role, config).await.split();
    let send = async {
        let mut buffer = vec![0; 1 << 16];
        let mut at = 0;
        while at < MUCH {
            let size = buffer.len().min(MUCH - at);
            pattern(at, &mut buffer[..size]);
            write.write_all(&buffer[..size]).await.unwrap();
            at += size;
        }
        write.shutdown().await.unwrap();
    };
    let receive = async {
        let (mut buffer, mut expected) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut at = 0;
        loop {
            let n = read.read(&mut buffer).await.unwrap();
            if n == 0 {
                return at;
            }
            pattern(at, &mut expected[..n]);
            assert!(buffer[..n] == expected[..n], "altered near byte {at}");
            at += n;
        }
    };
    let ((), received) = timeout(LONG, async { tokio::join!(send, receive) })
        .await
        .unwrap();
    assert_eq!(received, MUCH);
    write.closed().await.unwrap();
    let verdict = verdict(child).await;
    assert_eq!(verdict.bytes, MUCH);
    // What is written is cut into messages of 64 KiB at the most.
    assert!(verdict.messages > MUCH as u64 >> 16, "{verdict:?}");
    verdict.check_rekeys(peer, rekeying, rekey);
}

/// Every length that pads in another way, each as a message of its own.
async fn lengths(peer: Peer, role: Role, config: Config, rekey: u32) {
    let rekeying = config.rekeying;
    let Some(mut child) = peer.start(role, rekey) else {
        return;
    };
    let stream = open(&mut child, role, config).await;
    let (mut sender, mut receiver) = stream.into_messages();
    let sizes = || {
        (0..130)
            .chain(500..600)
            .chain([65_535, 65_536, 65_537, 1 << 20])
    };
    for size in sizes() {
        let mut message = vec![0; size];
        pattern(size, &mut message);
        sender.send(&message).await.unwrap();
        let answer = timeout(LONG, receiver.receive()).await.unwrap().unwrap();
        assert!(answer.unwrap() == message, "{size}");
    }
    sender.close_write().await.unwrap();
    assert_eq!(receiver.receive().await.unwrap(), None);
    sender.closed().await.unwrap();
    let verdict = verdict(child).await;
    // And the final message, which has no bytes.
    assert_eq!(verdict.messages, sizes().count() as u64 + 1);
    verdict.check_rekeys(peer, rekeying, rekey);
}

fn go() -> Config {
    Config {
        dialect: Dialect::NoRekey,
        ..Config::default()
    }
}

fn libsodium() -> Config {
    Config {
        rekeying: Rekeying::EveryMessage,
        ..Config::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_echoes_100_mb_as_listener() {
    much(Peer::Go, Role::Dialer, Config::default(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_echoes_100_mb_as_dialer_with_tags_that_it_does_not_follow() {
    much(Peer::Go, Role::Listener, go(), 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_takes_every_length_in_both_roles() {
    for role in [Role::Dialer, Role::Listener] {
        lengths(Peer::Go, role, go(), 5).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libsodium_echoes_100_mb_as_listener_with_a_key_for_every_message() {
    much(Peer::Libsodium, Role::Dialer, libsodium(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libsodium_echoes_100_mb_as_dialer_and_changes_keys_both_ways() {
    much(Peer::Libsodium, Role::Listener, libsodium(), 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libsodium_takes_every_length_in_both_roles_and_changes_keys() {
    for role in [Role::Dialer, Role::Listener] {
        lengths(Peer::Libsodium, role, libsodium(), 7).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libsodium_takes_every_length_in_both_roles_under_one_key() {
    for role in [Role::Dialer, Role::Listener] {
        lengths(Peer::Libsodium, role, Config::default(), 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekey_that_go_does_not_follow_ends_the_stream() {
    let Some(mut child) = Peer::Go.start(Role::Dialer, 0) else {
        return;
    };
    let (mut sender, mut receiver) = open(&mut child, Role::Dialer, libsodium())
        .await
        .into_messages();
    sender.send(b"the last under this key").await.unwrap();
    let first = receiver.receive().await.unwrap().unwrap();
    assert_eq!(first, &b"the last under this key"[..]);
    sender.send(b"under the next").await.unwrap();
    // Trap 3: such a peer cannot open it, and hangs up without a final message.
    receiver.receive().await.unwrap_err();
    let output = timeout(LONG, child.wait_with_output()).await.unwrap();
    assert!(!output.unwrap().status.success());
}
