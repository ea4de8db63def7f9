//! OpenZiti connections over TCP on plain threads: what the adapter adds to the piece that all
//! runtimes share.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use stillwire_blocking::{Error, Role, SecureStream, Timer, source_of};
use stillwire_core::crypto::Rng;
use stillwire_core::ziti::{Config, Connection, Exchange};
use stillwire_core::{Class, Instant};

type Stream = SecureStream<Connection>;

fn machine(role: Role, config: Config, now: Instant) -> Result<Connection, Error> {
    let rng = Rng::from_seed([role as u8; 32]);
    Connection::new(role, Exchange::Fresh, None, config, rng, now)
}

fn tcp() -> [TcpStream; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialed = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    [dialed, listener.accept().unwrap().0]
}

fn open(carrier: TcpStream, role: Role, config: &Config) -> Result<Stream, Error> {
    SecureStream::open(carrier, |now| machine(role, config.clone(), now))
}

fn both(config: &Config) -> (Stream, Stream) {
    let [dialed, accepted] = tcp();
    thread::scope(|scope| {
        let listener = scope.spawn(|| open(accepted, Role::Listener, config));
        let dialer = open(dialed, Role::Dialer, config).unwrap();
        (dialer, listener.join().unwrap().unwrap())
    })
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::from_seed([9; 32]).fill(&mut bytes);
    bytes
}

#[test]
fn megabytes_go_both_ways_at_once_from_several_threads() {
    let (dialer, listener) = both(&Config::default());
    let data = noise(8 << 20);
    thread::scope(|scope| {
        for stream in [&dialer, &listener] {
            let data = &data;
            scope.spawn(move || {
                let mut stream = stream;
                stream.write_all(data).unwrap();
                stream.flush().unwrap();
                stream.close_write().unwrap();
            });
            scope.spawn(move || {
                let (mut stream, mut got) = (stream, Vec::new());
                stream.read_to_end(&mut got).unwrap();
                assert!(got == *data);
            });
        }
    });
    assert_eq!(dialer.closed(), Ok(()));
    assert_eq!(listener.closed(), Ok(()));
}

#[test]
fn a_call_that_gave_up_lost_nothing_and_can_be_made_again() {
    let config = Config {
        receive_buffer: 10_000,
        send_buffer: 10_000,
        message: 1_000,
        ..Config::default()
    };
    let (dialer, mut listener) = both(&config);
    assert_eq!(
        dialer
            .set_read_timeout(Some(Duration::ZERO))
            .unwrap_err()
            .kind(),
        io::ErrorKind::InvalidInput
    );
    let short = Some(Duration::from_millis(20));
    dialer.set_write_timeout(short).unwrap();
    listener.set_read_timeout(short).unwrap();
    let nothing = listener.read(&mut [0; 10]).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::TimedOut);
    assert_eq!(source_of(&nothing), None);
    // Until every buffer on the way is full, the system's too.
    let data = noise(64 << 20);
    let mut written = 0;
    let full = loop {
        match (&dialer).write(&data[written..data.len().min(written + 60_000)]) {
            Ok(n) => written += n,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::TimedOut);
    assert!(written < data.len());
    dialer.set_write_timeout(None).unwrap();
    listener.set_read_timeout(None).unwrap();
    let mut got = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| dialer.close_write().unwrap());
        listener.read_to_end(&mut got).unwrap();
    });
    assert!(got == data[..written]);
}

#[test]
fn messages_keep_their_bounds_and_may_be_empty() {
    let (dialer, listener) = both(&Config::default());
    let (sender, answers) = dialer.into_messages();
    let (back, receiver) = listener.into_messages();
    let sent: Vec<Vec<u8>> = [0, 1, 0, 70_000, sender.longest_message(), 5]
        .into_iter()
        .map(noise)
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for message in &sent {
                sender.send(message).unwrap();
            }
            let long = sender.send(&vec![0; sender.longest_message() + 1]);
            assert_eq!(long.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            sender.flush().unwrap();
            sender.close_write().unwrap();
            let late = sender.send(b"late").unwrap_err();
            assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
        });
        for message in &sent {
            assert!(receiver.receive().unwrap().unwrap() == message[..]);
        }
        assert_eq!(receiver.receive().unwrap(), None);
    });
    answers
        .set_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let nothing = answers.receive().unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::TimedOut);
    answers.set_timeout(None).unwrap();
    back.send(b"thanks").unwrap();
    back.close_write().unwrap();
    assert_eq!(answers.receive().unwrap().unwrap(), &b"thanks"[..]);
    assert_eq!(answers.receive().unwrap(), None);
    assert_eq!((sender.closed(), back.closed()), (Ok(()), Ok(())));
}

#[test]
fn a_dropped_stream_delivers_what_was_written_and_says_no_end() {
    let (mut dialer, mut listener) = both(&Config::default());
    let data = noise(3 << 20);
    listener.write_all(b"unread").unwrap();
    dialer.write_all(&data).unwrap();
    drop(dialer);
    let mut got = Vec::new();
    let error = listener.read_to_end(&mut got).unwrap_err();
    assert!(got == data, "{} of {}", got.len(), data.len());
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(source_of(&error).unwrap().class(), Some(Class::Eof));
    assert_eq!(listener.closed().unwrap_err().class(), Some(Class::Eof));
    let late = listener.write_all(b"anybody there?").unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn the_whole_handshake_has_a_deadline_and_closes_the_carrier() {
    let config = Config {
        handshake_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    for role in [Role::Dialer, Role::Listener] {
        let [carrier, mut silent] = tcp();
        let failed = open(carrier, role, &config).unwrap_err();
        assert_eq!(failed, Error::Timeout(Timer::Connect));
        let patience = Some(Duration::from_secs(60));
        silent.set_read_timeout(patience).unwrap();
        silent.read_to_end(&mut Vec::new()).unwrap();
    }
}

#[test]
fn a_peer_that_talks_garbage_or_hangs_up_is_an_error() {
    let answer = |bytes: &[u8]| {
        let [carrier, mut peer] = tcp();
        peer.write_all(bytes).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        let failed = open(carrier, Role::Dialer, &Config::default());
        failed.unwrap_err().class().unwrap()
    };
    assert_eq!(answer(b""), Class::Eof);
    assert_eq!(answer(b"HTTP/1.1 400 Bad"), Class::Eof);
    assert_eq!(answer(&[0; 60]), Class::WeakKey);
    assert_eq!(answer(&[9; 60]), Class::Length);
}
