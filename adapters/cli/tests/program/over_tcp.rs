//! `stillwire ziti`, `commonware` and `packetfs` over loopback.

use crate::support::{Input, Running, noise, run, start, start_unread, stats, stillwire, wait_for};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const PROTOCOLS: [&str; 3] = ["ziti", "commonware", "packetfs"];

/// A key, and its public half if it has one.
struct Pair {
    key: String,
    public: Option<String>,
}

fn keygen(protocol: &str) -> Pair {
    let done = run(stillwire([protocol, "keygen"]), Input::Nothing).expect(0);
    let key = String::from_utf8(done.stdout).unwrap();
    assert_eq!(key.trim().len(), 64);
    let public = done.stderr.split("public key ").nth(1);
    Pair {
        key,
        public: public.map(|text| text.trim().to_owned()),
    }
}

/// Both sides' keys in files, and what each says about the other.
pub(crate) struct Sides {
    _folder: tempfile::TempDir,
    pub(crate) files: [PathBuf; 2],
    pub(crate) peers: [Option<String>; 2],
}

#[cfg(unix)]
fn write_key(path: &Path, key: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, key).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

impl Sides {
    pub(crate) fn new(protocol: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let first = keygen(protocol);
        let second = if protocol == "packetfs" {
            Pair {
                key: first.key.clone(),
                public: None,
            }
        } else {
            keygen(protocol)
        };
        assert_eq!(first.public.is_some(), protocol != "packetfs");
        let files = [folder.path().join("listener"), folder.path().join("dialer")];
        write_key(&files[0], &first.key, 0o600);
        write_key(&files[1], &second.key, 0o600);
        Self {
            _folder: folder,
            files,
            peers: [second.public, first.public],
        }
    }

    /// A command of the listener (0) or the dialer (1).
    pub(crate) fn command(&self, side: usize, arguments: &[&str]) -> Command {
        let mut command = stillwire(arguments.iter().copied());
        command.arg("--key-file").arg(&self.files[side]);
        if let Some(peer) = &self.peers[side] {
            command.args(["--peer-key", peer]);
        }
        command
    }
}

/// Waits until it listens, and gives its address; it may tell in JSON.
pub(crate) fn listening(running: &Running) -> String {
    running.wait_to_hear("listening");
    wait_for(|| running.told().ends_with('\n'));
    let told = running.told();
    let line = told.lines().find(|line| line.contains("listening"));
    let line = line.unwrap();
    if let Ok(event) = serde_json::from_str::<Value>(line) {
        return event["address"].as_str().unwrap().to_owned();
    }
    let rest = line.split("listening on ").nth(1).unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

pub(crate) fn stop(running: Running) -> String {
    running.signal(rustix::process::Signal::INT);
    running.finish().expect(130).stderr
}

#[test]
fn each_protocol_echoes_with_keys_from_files() {
    let data = noise(3_000_000);
    for protocol in PROTOCOLS {
        let sides = Sides::new(protocol);
        let listener = sides.command(0, &[protocol, "listen", "127.0.0.1:0", "--echo"]);
        let running = start(listener, Input::Nothing);
        let address = listening(&running);
        for _ in 0..2 {
            let dial = sides.command(1, &[protocol, "dial", &address]);
            let done = run(dial, Input::Bytes(data.clone())).expect(0);
            assert!(done.stdout == data, "{protocol}");
        }
        stop(running);
    }
}

#[test]
fn bytes_are_counted_at_both_ends() {
    for protocol in PROTOCOLS {
        let sides = Sides::new(protocol);
        let listener = ["--stats", protocol, "listen", "127.0.0.1:0", "--echo"];
        let running = start(sides.command(0, &listener), Input::Nothing);
        let address = listening(&running);
        for bytes in [5, 70_000] {
            let dial = sides.command(1, &["--stats", protocol, "dial", &address]);
            let done = run(dial, Input::Bytes(noise(bytes))).expect(0);
            let stats = stats(&done.stderr);
            assert_eq!(stats["connections"], 1, "{protocol}");
            assert_eq!(stats["bytes_sent"], bytes, "{protocol}");
            assert_eq!(stats["bytes_received"], bytes, "{protocol}");
            assert_eq!(stats["transactions"]["total"], 0, "{protocol}");
        }
        let stats = stats(&stop(running));
        assert_eq!(stats["connections"], 2, "{protocol}");
        assert_eq!(stats["bytes_sent"], 70_005, "{protocol}");
        assert_eq!(stats["bytes_received"], 70_005, "{protocol}");
    }
}

#[test]
fn a_warning_is_whole_in_json() {
    let running = start(
        stillwire(["ziti", "listen", "127.0.0.1:0", "--json"]),
        Input::Nothing,
    );
    let address = listening(&running);
    assert!(!address.is_empty());
    let told = stop(running);
    let warning: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(warning["event"], "warning");
    let message = warning["message"].as_str().unwrap();
    assert!(message.starts_with("no keys were given: "), "{message}");
    assert!(message.ends_with("--key-file and --peer-key"), "{message}");
}

#[test]
fn one_connection_on_stdin_and_stdout() {
    for protocol in PROTOCOLS {
        let sides = Sides::new(protocol);
        let listener = sides.command(0, &[protocol, "listen", "127.0.0.1:0"]);
        let running = start(listener, Input::Bytes(b"from the listener".to_vec()));
        let address = listening(&running);
        let dial = sides.command(1, &[protocol, "dial", &address]);
        let done = run(dial, Input::Bytes(b"from the dialer".to_vec())).expect(0);
        assert_eq!(done.stdout, b"from the listener", "{protocol}");
        assert_eq!(running.finish().expect(0).stdout, b"from the dialer");
    }
}

#[test]
fn tcp_connections_are_forwarded_at_both_ends() {
    let data = noise(300_000);
    for protocol in PROTOCOLS {
        let sides = Sides::new(protocol);
        let echo = sides.command(0, &[protocol, "listen", "127.0.0.1:0", "--echo"]);
        let echo = start(echo, Input::Nothing);
        let inner = listening(&echo);
        // A dialer's TCP port, forwarded to by another listener: two of ours in a row.
        let near = sides.command(1, &[protocol, "dial", &inner, "--forward", "127.0.0.1:0"]);
        let near = start(near, Input::Nothing);
        let near_address = listening(&near);
        let far = [
            protocol,
            "listen",
            "127.0.0.1:0",
            "--forward",
            &near_address,
        ];
        let far = start(sides.command(0, &far), Input::Nothing);
        let outer = listening(&far);
        for _ in 0..2 {
            let dial = sides.command(1, &[protocol, "dial", &outer]);
            let done = run(dial, Input::Bytes(data.clone())).expect(0);
            assert!(done.stdout == data, "{protocol}");
        }
        for running in [far, near, echo] {
            stop(running);
        }
    }
}

#[test]
fn wrong_keys_are_refused_and_no_key_is_in_the_line() {
    for protocol in PROTOCOLS {
        let (sides, stranger) = (Sides::new(protocol), Sides::new(protocol));
        let listener = sides.command(0, &[protocol, "listen", "127.0.0.1:0", "--echo"]);
        let running = start(listener, Input::Nothing);
        let address = listening(&running);
        let dial = stranger.command(1, &[protocol, "dial", &address]);
        let done = run(dial, Input::Bytes(b"secret".to_vec()));
        assert!(matches!(done.code, Some(3..=5)), "{protocol}: {done:?}");
        assert!(done.stdout.is_empty());
        let told = stop(running);
        for text in [&done.stderr, &told] {
            let key = fs::read_to_string(&stranger.files[1]).unwrap();
            assert!(!text.contains(key.trim()), "{text}");
        }
    }
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    for mode in [0o640, 0o604] {
        let sides = Sides::new("packetfs");
        let key = fs::read_to_string(&sides.files[1]).unwrap();
        write_key(&sides.files[1], &key, mode);
        let dial = sides.command(1, &["packetfs", "dial", "127.0.0.1:9"]);
        let done = run(dial, Input::Nothing).expect(3);
        assert!(done.stderr.contains("read by others"), "{}", done.stderr);
        assert!(!done.stderr.contains(key.trim()));
    }
}

#[test]
fn keys_come_from_the_environment_and_from_commands_too() {
    let variables = [
        "STILLWIRE_ZITI_KEY",
        "STILLWIRE_COMMONWARE_KEY",
        "STILLWIRE_PACKETFS_PSK",
    ];
    for (protocol, variable) in PROTOCOLS.into_iter().zip(variables) {
        let sides = Sides::new(protocol);
        let with_peer = |mut command: Command, side: usize| {
            if let Some(peer) = &sides.peers[side] {
                command.args(["--peer-key", peer]);
            }
            command
        };
        let listener = stillwire([protocol, "listen", "127.0.0.1:0", "--echo"]);
        let mut listener = with_peer(listener, 0);
        let key = fs::read_to_string(&sides.files[0]).unwrap();
        listener.env(variable, key.trim());
        let running = start(listener, Input::Nothing);
        let address = listening(&running);
        let mut dial = with_peer(stillwire([protocol, "dial", &address]), 1);
        dial.arg("--key-command");
        dial.arg(format!("cat '{}'", sides.files[1].display()));
        let done = run(dial, Input::Bytes(b"hello".to_vec())).expect(0);
        assert_eq!(done.stdout, b"hello", "{protocol}");
        // Another key there, and nobody gets in; no key in any line.
        let mut stranger = with_peer(stillwire([protocol, "dial", &address]), 1);
        let other = keygen(protocol).key;
        stranger.env(variable, other.trim());
        let done = run(stranger, Input::Bytes(b"hello".to_vec()));
        assert!(matches!(done.code, Some(3..=5)), "{protocol}: {done:?}");
        assert!(done.stdout.is_empty());
        let told = stop(running);
        for text in [&done.stderr, &told] {
            assert!(!text.contains(other.trim()) && !text.contains(key.trim()));
        }
        // Not a key: a usage error that does not repeat it.
        let mut wrong = with_peer(stillwire([protocol, "dial", "127.0.0.1:9"]), 1);
        wrong.env(variable, "not a key at all");
        let done = run(wrong, Input::Nothing).expect(2);
        assert!(!done.stderr.contains("not a key at all"), "{}", done.stderr);
    }
}

#[test]
fn a_handshake_that_was_recorded_is_refused_the_second_time() {
    let sides = Sides::new("commonware");
    let listener = sides.command(0, &["commonware", "listen", "127.0.0.1:0", "--echo"]);
    let running = start(listener, Input::Nothing);
    let address = listening(&running);
    // What a dialer says to somebody who answers nothing.
    let recorder = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = recorder.local_addr().unwrap().to_string();
    let dial = sides.command(1, &["commonware", "dial", &at]);
    let dialing = start(dial, Input::Nothing);
    let (mut recorded, _) = recorder.accept().unwrap();
    // An identity of 32 bytes and a Syn of 104, each behind its length.
    let mut said = [0; 1 + 32 + 1 + 104];
    recorded.read_exact(&mut said).unwrap();
    drop(recorded);
    dialing.finish();
    let replay = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(&said).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        let mut answer = [0; 138];
        match stream.read(&mut answer) {
            Ok(n) => n > 0,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(replay(), "the first one is answered");
    assert!(!replay(), "the second one is not");
    running.wait_to_hear("came before");
    stop(running);
}

#[test]
fn the_whole_handshake_has_the_deadline_of_the_command_line() {
    for protocol in PROTOCOLS {
        let sides = Sides::new(protocol);
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = silent.local_addr().unwrap().to_string();
        let dial = sides.command(1, &[protocol, "dial", &at, "--handshake-timeout", "1"]);
        let begun = Instant::now();
        let done = run(dial, Input::Nothing).expect(4);
        // Not the ten seconds that it has by default.
        assert!(begun.elapsed() < Duration::from_secs(8), "{protocol}");
        assert!(done.stdout.is_empty(), "{protocol}");
        let dial = sides.command(1, &[protocol, "dial", &at, "--handshake-timeout", "0"]);
        run(dial, Input::Nothing).expect(2);
    }
}

#[test]
fn ziti_without_keys_warns_and_tells_the_transcript() {
    let listener = stillwire(["ziti", "listen", "127.0.0.1:0", "--echo"]);
    let running = start(listener, Input::Nothing);
    let address = listening(&running);
    let dial = stillwire(["ziti", "dial", &address]);
    let done = run(dial, Input::Bytes(b"hello".to_vec())).expect(0);
    assert_eq!(done.stdout, b"hello");
    assert!(
        done.stderr.contains("anybody in between"),
        "{}",
        done.stderr
    );
    let transcript = done.stderr.split("transcript ").last().unwrap();
    let transcript = transcript.split_whitespace().next().unwrap();
    assert_eq!(transcript.len(), 64);
    assert!(stop(running).contains(transcript));
}

#[test]
fn half_of_the_hardened_profile_is_a_usage_error() {
    let sides = Sides::new("ziti");
    let mut alone = stillwire(["ziti", "dial", "127.0.0.1:9", "--key-file"]);
    alone.arg(&sides.files[1]);
    assert!(
        run(alone, Input::Nothing)
            .expect(2)
            .stderr
            .contains("--peer-key")
    );
    let peer = sides.peers[1].as_deref().unwrap();
    let alone = stillwire(["ziti", "dial", "127.0.0.1:9", "--peer-key", peer]);
    assert!(
        run(alone, Input::Nothing)
            .expect(2)
            .stderr
            .contains("--key-file")
    );
    let short = stillwire(["commonware", "dial", "127.0.0.1:9"]);
    run(short, Input::Nothing).expect(2);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    for protocol in PROTOCOLS {
        let sides = Sides::new(protocol);
        let echo = sides.command(0, &[protocol, "listen", "127.0.0.1:0", "--echo"]);
        let echo = start(echo, Input::Nothing);
        let dial = sides.command(1, &[protocol, "dial", "-q", &listening(&echo)]);
        let done = start_unread(dial, Input::Bytes(noise(4_000_000))).finish();
        assert_eq!(done.expect(0).stderr, "", "{protocol}");
        stop(echo);

        let listener = sides.command(0, &[protocol, "listen", "127.0.0.1:0"]);
        let listener = start_unread(listener, Input::Nothing);
        let dial = sides.command(1, &[protocol, "dial", "-q", &listening(&listener)]);
        let dialer = start(dial, Input::Bytes(noise(4_000_000)));
        let told = listener.finish().expect(0).stderr;
        assert!(!told.contains("stillwire:"), "{protocol}: {told}");
        drop(dialer);
    }
}
