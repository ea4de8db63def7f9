//! The second implementation of the PacketFS overlay, in Python, against ours: both roles, both
//! algorithms, with and without forward secrecy, over TCP and UDP on the loopback.
//!
//! `STILLWIRE_PACKETFS_PYTHON` names a Python that has what `conformance/peers/packetfs` requires;
//! `cargo xtask test --only packetfs` makes one. Without it these tests say that they skip.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant as Clock};
use stillwire_core::crypto::{Rng, Secret, blake3};
use stillwire_core::packetfs::encoder::{Encoder, Index};
use stillwire_core::packetfs::object::{Receiver, Role, Sender};
use stillwire_core::packetfs::{Algorithm, Blob, Config, Connection, Datagrams, Psk, Seeded};
use stillwire_core::{
    Channel, Datagrammed, Input, Instant, Machine, Messages, Output, Read as Found, Received,
    Streamed,
};

const PSK: [u8; 32] = [7; 32];
const SEED: [u8; 32] = [5; 32];
const BLOB: u64 = 3_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../peers/packetfs")
}

fn python() -> Option<String> {
    let python = std::env::var("STILLWIRE_PACKETFS_PYTHON").ok();
    if python.is_none() {
        eprintln!("skipped: STILLWIRE_PACKETFS_PYTHON is not set (cargo xtask test sets it)");
    }
    python
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn psk() -> Psk {
    Psk::new(PSK.to_vec()).unwrap()
}

/// The Python end; it is ended when the test is over.
struct Peer(Child);

impl Peer {
    fn start(python: &str, port: u16, options: &Value) -> Self {
        let child = Command::new(python)
            .arg(here().join("session.py"))
            .args([port.to_string(), options.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn report(mut self) -> Value {
        let mut text = String::new();
        let out = self.0.stdout.as_mut().unwrap();
        out.read_to_string(&mut text).unwrap();
        assert!(self.0.wait().unwrap().success());
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every combination of role, algorithm and forward secrecy: ours, and what Python is told.
fn combinations() -> Vec<(bool, Config, Value)> {
    let mut all = Vec::new();
    for initiator in [true, false] {
        for algorithm in [Algorithm::Aes256Gcm, Algorithm::XChaCha20Poly1305] {
            for forward_secrecy in [true, false] {
                let config = Config {
                    algorithm,
                    forward_secrecy,
                    ..Config::default()
                };
                let role = if initiator { "responder" } else { "initiator" };
                let (alg, psk) = (algorithm.number(), hex(&PSK));
                let options =
                    json!({"role": role, "alg": alg, "secrecy": forward_secrecy, "psk": psk});
                all.push((initiator, config, options));
            }
        }
    }
    all
}

fn with(mut options: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    options.as_object_mut().unwrap().extend(more);
    options
}

fn rng() -> Rng {
    let nanos = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_nanos();
    Rng::from_seed(blake3::digest(&nanos.to_le_bytes()))
}

/// Runs a machine on a socket until `step` says that it is done.
fn drive<M: Streamed>(
    machine: &mut M,
    socket: &mut TcpStream,
    mut step: impl FnMut(&mut M, Instant) -> bool,
) where
    M::Event: std::fmt::Debug,
{
    let began = Clock::now();
    let mut buffer = vec![0; 64 << 10];
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    loop {
        let now = Instant::from_micros(began.elapsed().as_micros() as u64);
        assert!(began.elapsed() < PATIENCE, "the session takes too long");
        let done = step(machine, now);
        loop {
            match machine.poll(now) {
                Output::Transmit(bytes) => socket.write_all(&bytes).unwrap(),
                Output::Event(_) => {}
                Output::Wait(_) => break,
                _ => unreachable!("no storage here"),
            }
        }
        if done {
            return;
        }
        if machine.wants_bytes() {
            match socket.read(&mut buffer) {
                Ok(0) => machine.handle(now, Input::End).unwrap(),
                Ok(n) => machine.handle(now, Input::Bytes(&buffer[..n])).unwrap(),
                Err(_) => machine.handle(now, Input::Time).unwrap(),
            }
        }
    }
}

#[test]
fn a_stream_is_echoed_both_ways_with_rekeying() {
    let Some(python) = python() else { return };
    for (initiator, config, options) in combinations() {
        let config = Config {
            epoch_records: 40,
            record: 4_096,
            ..config
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let options = with(options, &json!({"mode": "echo", "rekey": 25}));
        let peer = Peer::start(&python, port, &options);
        let mut socket = listener.accept().unwrap().0;
        let mut machine = if initiator {
            Connection::initiator(config, psk(), rng(), Instant::ZERO)
        } else {
            Connection::responder(config, psk(), rng(), Instant::ZERO)
        };
        let mut sent = vec![0; 1 << 20];
        rng().fill(&mut sent);
        let (mut at, mut back) = (0, Vec::new());
        let mut part = vec![0; 1 << 16];
        drive(&mut machine, &mut socket, |machine, now| {
            if at < sent.len() {
                at += machine.write(now, &sent[at..]).unwrap();
            } else {
                machine.close_write(now).unwrap();
            }
            loop {
                match machine.read(now, &mut part).unwrap() {
                    Found::Data(n) => back.extend_from_slice(&part[..n]),
                    Found::Pending => return false,
                    Found::End => return true,
                }
            }
        });
        assert!(back == sent, "the echo is another");
        assert!(machine.is_finished());
        drop(socket);
        let report = peer.report();
        assert!(report["epoch"].as_u64() >= Some(5), "{report}");
        assert!(report["peer_epoch"].as_u64() >= Some(3), "{report}");
    }
}

#[test]
fn python_sends_an_object_and_repairs_what_failed() {
    let Some(python) = python() else { return };
    /// The seeded blob, one byte of which is another here.
    struct Damaged(Seeded);
    impl Blob for Damaged {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn read(
            &self,
            offset: u64,
            out: &mut [u8],
        ) -> Result<(), stillwire_core::packetfs::Missing> {
            self.0.read(offset, out)?;
            let at = 10_000_u64
                .checked_sub(offset)
                .and_then(|at| usize::try_from(at).ok());
            if let Some(byte) = at.and_then(|at| out.get_mut(at)) {
                *byte ^= 1;
            }
            Ok(())
        }
    }
    for (initiator, config, options) in combinations() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let more = json!({"mode": "send", "seed": hex(&SEED), "size": BLOB, "pieces": 40});
        let peer = Peer::start(&python, port, &with(options, &more));
        let mut socket = listener.accept().unwrap().0;
        let role = if initiator {
            Role::Initiator
        } else {
            Role::Responder
        };
        let blob = Damaged(Seeded::new(Secret::from(SEED), BLOB).unwrap());
        let receiver = Receiver::new(role, config, psk(), rng(), blob, Instant::ZERO);
        let mut receiver = receiver.unwrap();
        let mut object = Vec::new();
        drive(&mut receiver, &mut socket, |receiver, _| {
            while let Some(window) = receiver.window().unwrap() {
                let start = window.offset as usize;
                object.resize(object.len().max(start + window.bytes.len()), 0);
                object[start..start + window.bytes.len()].copy_from_slice(&window.bytes);
            }
            receiver.is_finished()
        });
        drop(socket);
        let report = peer.report();
        assert_eq!(report["size"], object.len());
        assert_eq!(report["blake3"], hex(&blake3::digest(&object)));
        assert_eq!(report["repaired"].as_u64(), Some(receiver.repairs()));
        assert!(receiver.repairs() > 0);
    }
}

#[test]
fn python_receives_an_object_by_reference() {
    let Some(python) = python() else { return };
    let blob = Seeded::new(Secret::from(SEED), BLOB).unwrap();
    let index = Index::build(&blob, Index::memory_for(BLOB)).unwrap();
    let mut object = vec![0; 900_000];
    blob.read(1_000_001, &mut object).unwrap();
    object.extend_from_slice(b"and something of its own");
    object[..400_000]
        .iter_mut()
        .for_each(|byte| *byte = byte.wrapping_add(3));
    for (initiator, config, options) in combinations() {
        let mut encoder = Encoder::new(&index, &blob, config.blueprint);
        encoder.push(&object).unwrap();
        let encoded = encoder.finish().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let more = json!({"mode": "receive", "seed": hex(&SEED), "size": BLOB, "fail": [0, 13]});
        let peer = Peer::start(&python, port, &with(options, &more));
        let mut socket = listener.accept().unwrap().0;
        let role = if initiator {
            Role::Initiator
        } else {
            Role::Responder
        };
        let sender = Sender::new(role, config, psk(), rng(), Instant::ZERO);
        let mut sender = sender.unwrap();
        sender.start(encoded.blueprint, object.clone()).unwrap();
        sender.close();
        drive(&mut sender, &mut socket, |sender, _| sender.is_finished());
        drop(socket);
        let report = peer.report();
        assert_eq!(report["blake3"], hex(&blake3::digest(&object)));
        assert_eq!(report["referenced"], 900_000);
        assert_eq!(report["failed"], json!([0, 13]));
        assert_eq!(sender.repaired(), 2);
    }
}

#[test]
fn datagrams_are_echoed_both_ways_with_rekeying() {
    let Some(python) = python() else { return };
    for (initiator, config, options) in combinations() {
        let config = Config {
            epoch_records: 60,
            ..config
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let options = with(options, &json!({"mode": "datagrams", "rekey": 70}));
        let peer = Peer::start(&python, port, &options);
        let report = echo_datagrams(&socket, initiator, config, peer);
        assert!(report["epoch"].as_u64() >= Some(3), "{report}");
        assert!(report["peer_epoch"].as_u64() >= Some(3), "{report}");
    }
}

/// Sends 300 messages, one at a time, until each has come back.
fn echo_datagrams(socket: &UdpSocket, initiator: bool, config: Config, peer: Peer) -> Value {
    let began = Clock::now();
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut buffer = vec![0; 1 << 16];
    // The first datagram says where the peer is: a preface, or a knock.
    let (first, from) = loop {
        assert!(began.elapsed() < PATIENCE, "the peer does not speak");
        if let Ok((n, from)) = socket.recv_from(&mut buffer) {
            break (buffer[..n].to_vec(), from);
        }
    };
    socket.connect(from).unwrap();
    let mut machine = if initiator {
        Datagrams::initiator(config, psk(), rng(), Instant::ZERO)
    } else {
        Datagrams::responder(config, psk(), rng(), Instant::ZERO)
    };
    if !initiator {
        machine
            .handle(Instant::ZERO, Input::Datagram(&first))
            .unwrap();
    }
    let (mut number, mut sent) = (0_u32, false);
    while !machine.is_finished() {
        assert!(began.elapsed() < PATIENCE, "the session takes too long");
        let now = Instant::from_micros(began.elapsed().as_micros() as u64);
        if !sent && machine.is_established() && number < 300 {
            sent = machine.send(now, &number.to_be_bytes()).unwrap();
        }
        loop {
            match machine.poll(now) {
                Output::Transmit(datagram) => {
                    let _ = socket.send(&datagram);
                }
                Output::Event(_) => {}
                _ => break,
            }
        }
        match socket.recv(&mut buffer) {
            Ok(n) => machine.handle(now, Input::Datagram(&buffer[..n])).unwrap(),
            Err(_) => machine.handle(now, Input::Time).unwrap(),
        }
        while let Ok(Received::Message(message)) = machine.receive(now) {
            assert_eq!(message[..], number.to_be_bytes());
            (number, sent) = (number + 1, false);
            if number == 300 {
                machine.close(now).unwrap();
            }
        }
    }
    assert_eq!(number, 300);
    peer.report()
}
