//! What `ziti`, `commonware` and `packetfs` can each be told, and what they tell of a stream's end.

use crate::over_tcp::{PROTOCOLS, Sides, listening, stop};
use crate::support::{Done, Input, Running, noise, run, start, stillwire, wait_for};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// An echoing listener with these options, and its address.
fn echo(sides: &Sides, protocol: &str, options: &[&str]) -> (Running, String) {
    let mut listener = sides.command(0, &[protocol, "listen", "127.0.0.1:0", "--echo"]);
    listener.args(options);
    let running = start(listener, Input::Nothing);
    let address = listening(&running);
    (running, address)
}

fn dial(sides: &Sides, protocol: &str, address: &str, options: &[&str], data: &[u8]) -> Done {
    let mut dial = sides.command(1, &[protocol, "dial", address]);
    dial.args(options);
    run(dial, Input::Bytes(data.to_vec()))
}

#[track_caller]
fn assert_refused(done: &Done, about: &str) {
    assert!(matches!(done.code, Some(3..=5)), "{about}: {done:?}");
    assert!(done.stdout.is_empty(), "{about}");
}

#[test]
fn each_commonware_profile_speaks_with_itself_and_no_other() {
    let (sides, data) = (Sides::new("commonware"), noise(200_000));
    let profiles = ["v0", "v1", "a", "b"];
    for ours in profiles {
        let (listener, address) = echo(&sides, "commonware", &["--profile", ours]);
        for theirs in profiles {
            let options = ["--profile", theirs];
            let done = dial(&sides, "commonware", &address, &options, &data);
            if theirs == ours {
                assert!(done.expect(0).stdout == data, "{ours}");
            } else {
                assert_refused(&done, &format!("{theirs} dials {ours}"));
            }
        }
        let told = dial(&sides, "commonware", &address, &[], &data);
        assert_eq!(told.code == Some(0), ours == "v0", "without --profile");
        stop(listener);
    }
    let other = dial(
        &sides,
        "commonware",
        "127.0.0.1:9",
        &["--profile", "c"],
        b"",
    );
    assert!(other.expect(2).stderr.contains("v0, v1, a, b"));
}

#[test]
fn commonware_applications_of_other_names_do_not_meet() {
    let (sides, data) = (Sides::new("commonware"), noise(1_000));
    let answered = |listener: &[&str], dialer: &[&str]| {
        let (listener, address) = echo(&sides, "commonware", listener);
        let done = dial(&sides, "commonware", &address, dialer, &data);
        stop(listener);
        done
    };
    let ours = ["--namespace", "ours"];
    assert!(answered(&ours, &ours).expect(0).stdout == data);
    assert_refused(&answered(&ours, &["--namespace", "theirs"]), "another name");
    assert_refused(&answered(&ours, &[]), "no name against ours");
    // The default has a name too.
    let named = ["--namespace", "stillwire"];
    assert!(answered(&[], &named).expect(0).stdout == data);
    // Era b does not bind it.
    let era_b = ["--profile", "b", "--namespace", "ours"];
    assert!(answered(&era_b, &["--profile", "b"]).expect(0).stdout == data);
    for protocol in ["ziti", "packetfs"] {
        let dial = stillwire([protocol, "dial", "127.0.0.1:9", "--namespace", "ours"]);
        let done = run(dial, Input::Nothing).expect(2);
        assert!(done.stderr.contains("--namespace"), "{}", done.stderr);
    }
}

/// What somebody who answers nothing is sent first, so many bytes of it.
fn first_bytes(sides: &Sides, protocol: &str, options: &[&str], length: usize) -> Vec<u8> {
    let recorder = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = recorder.local_addr().unwrap().to_string();
    let mut dialer = sides.command(1, &[protocol, "dial", &at]);
    dialer.args(options);
    let dialer = start(dialer, Input::Nothing);
    let (mut accepted, _) = recorder.accept().unwrap();
    let mut said = vec![0; length];
    accepted.read_exact(&mut said).unwrap();
    accepted.set_nonblocking(true).unwrap();
    let more = accepted.read(&mut [0; 1]);
    assert_eq!(more.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(accepted);
    dialer.finish();
    said
}

#[test]
fn the_first_bytes_of_each_commonware_profile_are_those_of_its_era() {
    let sides = Sides::new("commonware");
    let said = |profile, length| first_bytes(&sides, "commonware", &["--profile", profile], length);
    // An identity of 32 bytes and a Syn of 104, behind varints or integers of four bytes.
    for profile in ["v0", "v1"] {
        let said = said(profile, 1 + 32 + 1 + 104);
        assert_eq!((said[0], said[33]), (32, 104), "{profile}");
    }
    let b = said("b", 4 + 32 + 4 + 104);
    assert_eq!(
        (&b[..4], &b[36..40]),
        (&[0, 0, 0, 32][..], &[0, 0, 0, 104][..])
    );
    // No identity frame: a Hello whose time, of this century, takes six bytes.
    let a = said("a", 4 + 32 + 32 + 6 + 1 + 32 + 64);
    assert_eq!(a[..4], [0, 0, 0, 167]);
    assert_eq!(a[4 + 32 + 32 + 6], 0, "without a tag");
}

#[test]
fn hardened_commonware_refuses_its_own_key() {
    let sides = Sides::new("commonware");
    let public = sides.peers[1].as_deref().unwrap();
    let listen = |options: &[&str]| {
        let mut listener = stillwire(["commonware", "listen", "127.0.0.1:0", "--echo"]);
        listener.arg("--key-file").arg(&sides.files[0]);
        listener.args(options);
        let running = start(listener, Input::Nothing);
        let address = listening(&running);
        (running, address)
    };
    let dial_ourselves = |address: &str, options: &[&str]| {
        let mut dial = stillwire(["commonware", "dial", address, "--peer-key", public]);
        dial.arg("--key-file").arg(&sides.files[0]);
        dial.args(options);
        run(dial, Input::Bytes(b"hello".to_vec()))
    };
    let (open, address) = listen(&[]);
    let itself = dial_ourselves(&address, &[]).expect(0);
    assert_eq!(itself.stdout, b"hello");
    let refused = dial_ourselves(&address, &["--hardened"]).expect(3);
    assert!(refused.stderr.contains("our own identity"), "{refused:?}");
    stop(open);
    let (hardened, address) = listen(&["--hardened"]);
    assert_refused(&dial_ourselves(&address, &[]), "a hardened listener");
    hardened.wait_to_hear("our own identity");
    // Somebody else is welcome.
    let done = dial(&sides, "commonware", &address, &["--hardened"], b"hello");
    assert_eq!(done.expect(0).stdout, b"hello");
    stop(hardened);
}

#[test]
fn hardened_commonware_tells_nobody_unproven_whom_it_admits() {
    let (sides, stranger) = (Sides::new("commonware"), Sides::new("commonware"));
    let public = stranger.peers[1].as_deref().unwrap();
    let claim: Vec<u8> = [32_u8]
        .into_iter()
        .chain((0..32).map(|at| u8::from_str_radix(&public[2 * at..2 * at + 2], 16).unwrap()))
        .collect();
    // A claim and nothing behind it.
    let claim_at = |address: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&claim).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    };
    let (open, address) = echo(&sides, "commonware", &[]);
    claim_at(&address);
    open.wait_to_hear("not admitted");
    stop(open);
    let options = ["--hardened", "--handshake-timeout", "1"];
    let (hardened, address) = echo(&sides, "commonware", &options);
    claim_at(&address);
    hardened.wait_to_hear("stillwire:");
    let told = stop(hardened);
    assert!(!told.contains("not admitted"), "{told}");
}

#[test]
fn ziti_changes_its_key_after_every_message_for_a_peer_that_follows() {
    // Several messages: the key changes after the first.
    let (sides, data) = (Sides::new("ziti"), noise(500_000));
    let every = ["--rekey", "every-message"];
    let (sodium, address) = echo(&sides, "ziti", &every);
    assert!(
        dial(&sides, "ziti", &address, &every, &data)
            .expect(0)
            .stdout
            == data
    );
    stop(sodium);
    let (older, address) = echo(&sides, "ziti", &["--dialect", "no-rekey"]);
    let lost = dial(&sides, "ziti", &address, &every, &data);
    assert!(matches!(lost.code, Some(3..=5)), "{lost:?}");
    let older_too = ["--dialect", "no-rekey", "--rekey", "never"];
    assert!(
        dial(&sides, "ziti", &address, &older_too, &data)
            .expect(0)
            .stdout
            == data
    );
    stop(older);
    let both = ["--dialect", "no-rekey", "--rekey", "at-wrap"];
    let done = dial(&sides, "ziti", "127.0.0.1:9", &both, b"").expect(2);
    assert!(done.stderr.contains("does not follow"), "{}", done.stderr);
}

#[test]
fn streams_of_packetfs_have_the_cipher_and_the_secrecy_that_were_asked_for() {
    let sides = Sides::new("packetfs");
    let preface = |options: &[&str], length| {
        let said = first_bytes(&sides, "packetfs", options, length);
        assert_eq!(said[..5], *b"PFSO\x01", "{options:?}");
        (said[5], said[6])
    };
    let other = ["--cipher", "xchacha20-poly1305", "--no-forward-secrecy"];
    assert_eq!(preface(&[], 72), (1, 1));
    assert_eq!(preface(&other[..2], 72), (2, 1));
    assert_eq!(preface(&other[2..], 40), (1, 0));
    let data = noise(200_000);
    let (listener, address) = echo(&sides, "packetfs", &other);
    assert!(
        dial(&sides, "packetfs", &address, &other, &data)
            .expect(0)
            .stdout
            == data
    );
    for options in [&[][..], &other[..2], &other[2..]] {
        let done = dial(&sides, "packetfs", &address, options, &data);
        assert_refused(&done, &format!("{options:?}"));
        // What to try is said once.
        let line = done.last_line();
        assert!(line.matches('?').count() < 2, "{line}");
    }
    listener.wait_to_hear("different algorithms or forward secrecy");
    stop(listener);
}

#[test]
fn files_over_packetfs_have_the_deadline_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"some bytes").unwrap();
    let transfer = |verb: &str, name: &str, options: &[&str]| {
        let mut command = stillwire(["packetfs", verb, "--blob"]);
        command
            .arg(&file)
            .arg(folder.path().join(name))
            .args(options);
        command.env("STILLWIRE_PACKETFS_PSK", KEY);
        start(command, Input::Nothing)
    };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap().to_string();
    let timeout = ["--connect", &at, "--handshake-timeout", "1"];
    let begun = Instant::now();
    transfer("send", "file", &timeout).finish().expect(4);
    // Not the ten seconds that it has by default.
    assert!(begun.elapsed() < Duration::from_secs(8));
    let none = ["--connect", &at, "--handshake-timeout", "0"];
    transfer("send", "file", &none).finish().expect(2);
    let timeout = ["--listen", "127.0.0.1:0", "--handshake-timeout", "1"];
    // Whoever is silent is turned away, and another waited for.
    let mut receiver = transfer("recv", "new", &timeout);
    let mut silent = TcpStream::connect(listening(&receiver)).unwrap();
    let begun = Instant::now();
    receiver.wait_to_hear("did not answer in time");
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!(silent.read(&mut [0; 100]).unwrap(), 0);
    assert!(receiver.is_running());
    stop(receiver);
    assert!(!folder.path().join("new").exists());
}

#[test]
fn an_end_without_a_mark_is_told_and_no_error() {
    for protocol in PROTOCOLS {
        let sides = Sides::new(protocol);
        let (listener, address) = echo(&sides, protocol, &["--json"]);
        let told = dial(&sides, protocol, &address, &[], b"hello")
            .expect(0)
            .stderr;
        let marked = protocol != "commonware";
        assert_eq!(
            told.contains("not authenticated"),
            !marked,
            "{protocol}: {told}"
        );
        let quiet = dial(&sides, protocol, &address, &["-q"], b"hello").expect(0);
        assert_eq!(quiet.stderr, "", "{protocol}");
        let ends = ends(&stop(listener));
        let expected = if marked { vec![] } else { vec![false; 2] };
        assert_eq!(ends, expected, "{protocol}");
    }
}

/// Of every end that was told as JSON, whether it was authenticated.
fn ends(told: &str) -> Vec<bool> {
    let events = told.lines().map(|line| serde_json::from_str(line).unwrap());
    let ends = events.filter(|event: &Value| event["event"] == "ended");
    ends.map(|event| event["authenticated"].as_bool().unwrap())
        .collect()
}

/// Joins TCP connections to one there; gives its address, and what cuts a connection.
#[cfg(target_os = "linux")]
fn line_to(address: String) -> (String, thread::JoinHandle<[TcpStream; 2]>) {
    let near = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = near.local_addr().unwrap().to_string();
    let joined = thread::spawn(move || {
        let (dialer, _) = near.accept().unwrap();
        let listener = TcpStream::connect(address).unwrap();
        let ends = [dialer, listener];
        for (from, to) in [(0, 1), (1, 0)] {
            let [mut from, mut to] = [from, to].map(|end: usize| ends[end].try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
        ends
    });
    (at, joined)
}

#[cfg(target_os = "linux")]
#[test]
fn a_tcp_connection_that_was_cut_is_an_error_or_said_to_be_no_authenticated_end() {
    for protocol in PROTOCOLS {
        let sides = Sides::new(protocol);
        let listener = sides.command(0, &[protocol, "listen", "127.0.0.1:0", "--json"]);
        let mut listener = start(listener, Input::Open);
        let (at, line) = line_to(listening(&listener));
        let dialer = sides.command(1, &[protocol, "dial", &at]);
        let mut dialer = start(dialer, Input::Open);
        let mut said = dialer.stdin();
        said.write_all(b"half of what").unwrap();
        wait_for(|| listener.printed() == "half of what");
        for end in line.join().unwrap() {
            end.shutdown(Shutdown::Both).unwrap();
        }
        if protocol == "commonware" {
            listener.wait_to_hear("\"ended\"");
            // The end was read; what else we wanted to say, the peer no longer hears.
            drop(listener.stdin());
            let told = listener.finish().expect(0).stderr;
            assert_eq!(ends(&told), [false], "{told}");
        } else {
            let done = listener.finish();
            assert!(matches!(done.code, Some(4 | 5)), "{protocol}: {done:?}");
            assert!(ends(&done.stderr).is_empty(), "{protocol}: {done:?}");
        }
        drop(said);
    }
}
