//! OpenZiti connections over tokio's streams: what the piece between any machine and any byte
//! stream must do.

use std::io;
use std::time::Duration;
use stillwire_core::crypto::Rng;
use stillwire_core::ziti::{Config, Connection, Exchange, Role};
use stillwire_core::{Channel, Class, Error, Input, Instant, Machine, Output, Streamed, Timer};
use stillwire_tokio::{SecureStream, source_of};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};

type Stream = SecureStream<Connection>;

fn machine(role: Role, config: Config, now: Instant) -> Result<Connection, Error> {
    let rng = Rng::from_seed([role as u8; 32]);
    Connection::new(role, Exchange::Fresh, None, config, rng, now)
}

async fn open<T>(carrier: T, role: Role, config: Config) -> Result<Stream, Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    SecureStream::open(carrier, |now| machine(role, config, now)).await
}

async fn both<T>(dialer: T, listener: T, config: &Config) -> (Stream, Stream)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (dialer, listener) = tokio::join!(
        open(dialer, Role::Dialer, config.clone()),
        open(listener, Role::Listener, config.clone()),
    );
    (dialer.unwrap(), listener.unwrap())
}

async fn over_tcp(config: &Config) -> (Stream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dialed, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    both(dialed.unwrap(), accepted.unwrap().0, config).await
}

async fn over_pipe(size: usize, config: &Config) -> (Stream, Stream) {
    let (a, b) = duplex(size);
    both(a, b, config).await
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::from_seed([9; 32]).fill(&mut bytes);
    bytes
}

async fn echo(stream: Stream) {
    let (mut read, mut write) = stream.split();
    tokio::io::copy(&mut read, &mut write).await.unwrap();
    write.shutdown().await.unwrap();
    write.closed().await.unwrap();
}

/// Sends everything, ends, and gives back what comes until the peer's end.
async fn exchange(stream: Stream, data: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = stream.split();
    let mut got = Vec::new();
    let send = async {
        write.write_all(data).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let (received, ()) = tokio::join!(read.read_to_end(&mut got), send);
    received.unwrap();
    write.closed().await.unwrap();
    got
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echoes_megabytes_over_tcp_and_ends_well() {
    let (dialer, listener) = over_tcp(&Config::default()).await;
    let served = tokio::spawn(echo(listener));
    let data = noise(16 << 20);
    assert!(exchange(dialer, &data).await == data);
    served.await.unwrap();
}

#[tokio::test]
async fn a_carrier_of_seven_bytes_is_enough() {
    let (dialer, listener) = over_pipe(7, &Config::default()).await;
    let served = tokio::spawn(echo(listener));
    let data = noise(100_000);
    assert!(exchange(dialer, &data).await == data);
    served.await.unwrap();
}

#[tokio::test]
async fn two_ends_that_both_write_first_do_not_wait_for_ever() {
    let config = Config {
        receive_buffer: 1_000,
        send_buffer: 1_000,
        ..Config::default()
    };
    let (dialer, listener) = over_pipe(100, &config).await;
    let data = noise(300_000);
    // One reads only after a while, so that everything on the way is full.
    let slow = async {
        let (mut read, mut write) = listener.split();
        let copy = data.clone();
        let writing = tokio::spawn(async move {
            write.write_all(&copy).await.unwrap();
            write.shutdown().await.unwrap();
            write.closed().await.unwrap();
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut got = Vec::new();
        read.read_to_end(&mut got).await.unwrap();
        writing.await.unwrap();
        got
    };
    let (there, back) = tokio::join!(exchange(dialer, &data), slow);
    assert!(there == data && back == data);
}

#[tokio::test]
async fn a_slow_reader_holds_the_writer_back() {
    let config = Config {
        receive_buffer: 10_000,
        send_buffer: 10_000,
        message: 1_000,
        ..Config::default()
    };
    let (mut dialer, mut listener) = over_pipe(1_000, &config).await;
    let mut taken = 0;
    let mut full = 0;
    // Until nothing has been taken for a while: paused by the other end, which reads nothing.
    while full < 3 {
        let write = dialer.write(&[7; 500]);
        match tokio::time::timeout(Duration::from_millis(100), write).await {
            Ok(n) => taken += n.unwrap(),
            Err(_) => full += 1,
        }
        // Both buffers, the pipe, and what one reading of it can add.
        assert!(taken < 100_000, "{taken}");
    }
    let mut buffer = vec![0; 5_000];
    listener.read_exact(&mut buffer).await.unwrap();
    dialer.write_all(&[7; 500]).await.unwrap();
    assert!(buffer.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn messages_keep_their_bounds_and_may_be_empty() {
    let (dialer, listener) = over_pipe(100, &Config::default()).await;
    let (mut sender, mut answers) = dialer.into_messages();
    let (mut back, mut receiver) = listener.into_messages();
    let sent: Vec<Vec<u8>> = [0, 1, 0, 70_000, sender.longest_message(), 5]
        .into_iter()
        .map(noise)
        .collect();
    let send = async {
        for message in &sent {
            sender.send(message).await.unwrap();
        }
        let long = sender.send(&vec![0; sender.longest_message() + 1]).await;
        assert_eq!(long.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        sender.flush().await.unwrap();
        sender.close_write().await.unwrap();
        let late = sender.send(b"late").await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
    };
    let receive = async {
        let mut got = Vec::new();
        while let Some(message) = receiver.receive().await.unwrap() {
            got.push(message.to_vec());
        }
        back.send(b"thanks").await.unwrap();
        back.close_write().await.unwrap();
        got
    };
    let ((), got) = tokio::join!(send, receive);
    assert!(got == sent);
    assert_eq!(answers.receive().await.unwrap().unwrap(), &b"thanks"[..]);
    assert_eq!(answers.receive().await.unwrap(), None);
    sender.closed().await.unwrap();
    back.closed().await.unwrap();
}

#[tokio::test]
async fn giving_up_a_read_or_a_write_loses_nothing() {
    let (dialer, listener) = over_pipe(50, &Config::default()).await;
    let data = noise(200_000);
    let (_, mut write) = dialer.split();
    let (mut read, _) = listener.split();
    let sending = async {
        let mut at = 0;
        while at < data.len() {
            let some = &data[at..data.len().min(at + 3_000)];
            tokio::select! {
                biased;
                n = write.write(some) => at += n.unwrap(),
                () = tokio::task::yield_now() => {}
            }
        }
        write.shutdown().await.unwrap();
    };
    let receiving = async {
        let (mut got, mut buffer) = (Vec::new(), [0; 1_700]);
        loop {
            tokio::select! {
                biased;
                n = read.read(&mut buffer) => match n.unwrap() {
                    0 => return got,
                    n => got.extend_from_slice(&buffer[..n]),
                },
                () = tokio::task::yield_now() => {}
            }
        }
    };
    let ((), got) = tokio::join!(sending, receiving);
    assert!(got == data);
}

#[tokio::test]
async fn a_dropped_stream_delivers_what_was_written_and_says_no_end() {
    let (mut dialer, mut listener) = over_tcp(&Config::default()).await;
    let data = noise(3 << 20);
    // What the peer sent and nobody read must not cost what we sent.
    listener.write_all(b"unread").await.unwrap();
    dialer.write_all(&data).await.unwrap();
    drop(dialer);
    let mut got = Vec::new();
    let error = listener.read_to_end(&mut got).await.unwrap_err();
    assert!(got == data, "{} of {}", got.len(), data.len());
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let source = source_of(&error).unwrap();
    assert_eq!(source.class(), Some(Class::Eof));
    assert_eq!(listener.closed().await.unwrap_err(), *source);
}

#[tokio::test]
async fn half_close_leaves_the_other_direction_open() {
    let (mut dialer, mut listener) = over_tcp(&Config::default()).await;
    dialer.write_all(b"question").await.unwrap();
    dialer.shutdown().await.unwrap();
    let mut question = String::new();
    listener.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    let late = dialer.write_all(b"more").await.unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
    listener.write_all(&noise(1 << 20)).await.unwrap();
    listener.shutdown().await.unwrap();
    let mut answer = Vec::new();
    dialer.read_to_end(&mut answer).await.unwrap();
    assert!(answer == noise(1 << 20));
    dialer.closed().await.unwrap();
    listener.closed().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_whole_handshake_has_the_configured_deadline() {
    for seconds in [3, 40] {
        let config = Config {
            handshake_timeout: Duration::from_secs(seconds),
            ..Config::default()
        };
        // One carrier takes the hello and is silent, one takes nothing at all.
        for size in [1_000, 10] {
            let (carrier, _silent) = duplex(size);
            let start = tokio::time::Instant::now();
            let failed = open(carrier, Role::Dialer, config.clone()).await;
            assert_eq!(failed.unwrap_err(), Error::Timeout(Timer::Connect));
            assert_eq!(start.elapsed().as_secs(), seconds);
        }
    }
}

#[tokio::test]
async fn a_peer_that_talks_garbage_or_hangs_up_is_an_error() {
    let answer = async |bytes: &[u8]| {
        let (carrier, mut peer) = duplex(1_000);
        peer.write_all(bytes).await.unwrap();
        peer.shutdown().await.unwrap();
        let failed = open(carrier, Role::Dialer, Config::default()).await;
        failed.unwrap_err().class().unwrap()
    };
    assert_eq!(answer(b"").await, Class::Eof);
    assert_eq!(answer(b"HTTP/1.1 400 Bad").await, Class::Eof);
    assert_eq!(answer(&[0; 60]).await, Class::WeakKey);
    assert_eq!(answer(&[9; 60]).await, Class::Length);
}

/// Ends when the other end is gone.
async fn hung_up(mut peer: DuplexStream) {
    let mut rest = Vec::new();
    let wait = peer.read_to_end(&mut rest);
    let ended = tokio::time::timeout(Duration::from_secs(10), wait).await;
    ended.expect("the carrier stays open").unwrap();
}

#[tokio::test]
async fn a_handshake_given_up_closes_the_carrier() {
    let (carrier, peer) = duplex(1_000);
    let opening = open(carrier, Role::Dialer, Config::default());
    let given_up = tokio::time::timeout(Duration::from_millis(20), opening).await;
    assert!(given_up.is_err());
    hung_up(peer).await;
}

#[tokio::test]
async fn a_carrier_that_breaks_is_told_to_reader_and_writer() {
    let (mut dialer, listener) = over_tcp(&Config::default()).await;
    drop(listener);
    let mut buffer = [0; 10];
    let read = dialer.read(&mut buffer).await.unwrap_err();
    assert_eq!(read.kind(), io::ErrorKind::UnexpectedEof);
    let write = dialer.write_all(b"anybody there?").await.unwrap_err();
    assert_eq!(write.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(dialer.closed().await.unwrap_err().class(), Some(Class::Eof));
}

#[tokio::test]
async fn both_ends_can_compare_the_transcript() {
    let (dialer, listener) = over_pipe(1_000, &Config::default()).await;
    let transcript = dialer.with(Connection::transcript);
    assert!(transcript.is_some());
    assert_eq!(transcript, listener.with(Connection::transcript));
}

/// A machine of commonware does not say by `has_output` that reading made room.
#[tokio::test]
async fn a_machine_that_was_full_is_fed_again_once_the_application_reads() {
    use std::sync::Arc;
    use stillwire_core::commonware::{self, Admission, Door, Ed25519, Identity};
    use stillwire_core::crypto::Secret;
    let who = |seed: u8| Arc::new(Ed25519::new(&Secret::from([seed; 32])));
    let (config, unix) = (
        commonware::Config::default(),
        stillwire_core::UnixTime::from_secs(1_700_000_000),
    );
    let listener = who(2).public();
    let (a, b) = duplex(10_000);
    let dialing = SecureStream::open(a, |now| {
        commonware::Connection::dial(config.clone(), who(1), &listener, [3; 32], now, unix)
    });
    let listening = SecureStream::open(b, |now| {
        let door = Door {
            admission: Admission::Anyone,
            seen: None,
        };
        let config = config.clone();
        Ok(commonware::Connection::listen(
            config,
            who(2),
            door,
            [4; 32],
            now,
            unix,
        ))
    });
    let (dialer, listener) = tokio::join!(dialing, listening);
    let (mut dialer, mut listener) = (dialer.unwrap(), listener.unwrap());
    let data = noise(5 << 20);
    let copy = data.clone();
    let sending = tokio::spawn(async move {
        dialer.write_all(&copy).await.unwrap();
        dialer.shutdown().await.unwrap();
        dialer
    });
    // Until everything on the way is full.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut got = Vec::new();
    let reading = listener.read_to_end(&mut got);
    let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
    read.expect("it stands still").unwrap();
    assert!(got == data);
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn what_was_written_before_a_drop_arrives_though_the_peer_ends_meanwhile() {
    let config = Config {
        receive_buffer: 1_000,
        message: 1_000,
        ..Config::default()
    };
    let (mut leaves, stays) = over_pipe(1_000, &config).await;
    let data = noise(100_000);
    leaves.write_all(&data).await.unwrap();
    drop(leaves);
    let (mut read, mut write) = stays.split();
    write.shutdown().await.unwrap();
    // The end is heard long before what waits has gone out.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let mut got = Vec::new();
    let cut = read.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(got.len(), data.len());
    assert!(got == data);
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
}

/// A peer by hand: shakes hands, says `data` and its end, and is gone.
async fn speaks_and_goes(mut carrier: DuplexStream, data: &[u8]) {
    let now = Instant::ZERO;
    let config = Config {
        message: 1_000,
        ..Config::default()
    };
    let mut peer = machine(Role::Listener, config, now).unwrap();
    let mut buffer = [0; 1_000];
    let mut said = false;
    loop {
        loop {
            match peer.poll(now) {
                Output::Transmit(bytes) => carrier.write_all(&bytes).await.unwrap(),
                Output::Event(_) => {}
                _ => break,
            }
        }
        if said {
            return;
        }
        if peer.is_established() {
            assert_eq!(peer.write(now, data), Ok(data.len()));
            peer.close_write(now).unwrap();
            said = true;
            continue;
        }
        let n = carrier.read(&mut buffer).await.unwrap();
        peer.handle(now, Input::Bytes(&buffer[..n])).unwrap();
    }
}

#[tokio::test]
async fn what_a_peer_said_before_it_went_is_read_though_writing_fails() {
    let config = Config {
        receive_buffer: 1_000,
        ..Config::default()
    };
    // More than one reading of the carrier.
    let (ours, theirs) = duplex(400_000);
    let data = noise(200_000);
    let opened = open(ours, Role::Dialer, config);
    let (opened, ()) = tokio::join!(opened, speaks_and_goes(theirs, &data));
    let (mut read, mut write) = opened.unwrap().split();
    // Taken, perhaps, and never carried.
    let _ = write.write_all(b"too late").await;
    assert!(write.flush().await.is_err());
    let again = write.write(b"x").await.unwrap_err();
    assert_eq!(source_of(&again), Some(&Error::Closed));
    assert!(write.shutdown().await.is_err());
    let mut got = Vec::new();
    read.read_to_end(&mut got).await.unwrap();
    assert!(got == data);
    assert_eq!(write.closed().await, Err(Error::Closed));
}
