use super::*;
use crate::asoc::{Accept, Hello, handshake};
use crate::crypto::Rng;
use crate::crypto::tests::hex;
use crate::time::UnixTime;
use std::vec;

mod clock;
mod frames;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn identity(node: u8) -> Identity {
    Identity {
        node: NodeId::from_bytes([node; 16]),
        keys: vec![ApiKey::new(KEY).unwrap()],
        community: "test-cluster".into(),
    }
}

fn fresh() -> Fresh {
    Fresh {
        challenge: 0x0102_0304,
        token: [7; 8],
        ..Fresh::draw(&mut Rng::from_seed([9; 32]), UnixTime::from_secs(NOW))
    }
}

const NOW: u64 = 1_700_000_000;

fn ms(at: u64) -> Instant {
    Instant::from_millis(at)
}

/// Drains a machine: its bytes, one transmit after another, and its events.
fn drain(machine: &mut Connection, now: Instant) -> (Vec<Bytes>, Vec<ConnectionEvent>) {
    let (mut out, mut events) = (Vec::new(), Vec::new());
    loop {
        match machine.poll(now) {
            Output::Transmit(bytes) => out.push(bytes),
            Output::Event(event) => {
                if matches!(event, ConnectionEvent::Hello { .. }) {
                    // A failure behind the HELLO comes as an event.
                    let _ = machine.admit(now);
                }
                events.push(event);
            }
            _ => return (out, events),
        }
    }
}

fn joined(parts: &[Bytes]) -> Vec<u8> {
    parts.concat()
}

/// Two ends after the handshake.
fn pair(config: &Config) -> (Connection, Connection) {
    let mut client =
        Connection::client(config.clone(), identity(1), fresh(), Instant::ZERO).unwrap();
    let mut server =
        Connection::server(config.clone(), identity(2), fresh(), Instant::ZERO).unwrap();
    let (hello, _) = drain(&mut client, Instant::ZERO);
    server
        .handle(Instant::ZERO, Input::Bytes(&joined(&hello)))
        .unwrap();
    let (accept, _) = drain(&mut server, Instant::ZERO);
    client
        .handle(Instant::ZERO, Input::Bytes(&joined(&accept)))
        .unwrap();
    let (_, events) = drain(&mut client, Instant::ZERO);
    assert!(matches!(events[..], [ConnectionEvent::Established(_)]));
    assert!(client.is_open() && server.is_open());
    (client, server)
}

fn frame(kind: u8, stream: u32, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![1, kind];
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    out.extend_from_slice(payload);
    out
}

fn data(events: &[ConnectionEvent]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        if let ConnectionEvent::Data { bytes, .. } = event {
            out.extend_from_slice(bytes);
        }
    }
    out
}

#[test]
fn payloads_are_not_copied_on_either_side() {
    let (mut client, mut server) = pair(&Config::default());
    let payload = Bytes::from(vec![0x5a; 3 << 20]);
    let stream = client.open().unwrap();
    assert_eq!(client.write(stream, &payload).unwrap(), payload.len());
    let (out, _) = drain(&mut client, Instant::ZERO);
    // Three chunks, each a header and a slice of the payload itself.
    assert_eq!(
        out.iter().map(Bytes::len).collect::<Vec<_>>(),
        [14, 1 << 20, 14, 1 << 20, 14, 1 << 20]
    );
    for (index, part) in out.iter().skip(1).step_by(2).enumerate() {
        assert_eq!(part.as_ptr(), payload[index << 20..].as_ptr());
    }
    let arrived = Bytes::from(joined(&out));
    server.receive(Instant::ZERO, arrived.clone()).unwrap();
    let (_, events) = drain(&mut server, Instant::ZERO);
    let ConnectionEvent::Data { bytes, rest: 0, .. } = &events[0] else {
        panic!("{events:?}");
    };
    assert_eq!(bytes.as_ptr(), arrived[14..].as_ptr());
    assert_eq!(data(&events), payload);
}

#[test]
fn any_split_gives_the_same_streams() {
    let wire: Vec<u8> = [
        frame(1, 1, 0, b"abcdef"),
        frame(3, 0, 0, b""),
        frame(1, 2, 0, b""),
        frame(99, 7, 7, b"ignored"),
        frame(1, 1, 1, b"gh"),
        frame(2, 1, 2, b""),
        frame(2, 2, 1, b""),
    ]
    .concat();
    for step in 1..wire.len() {
        let (_, mut server) = pair(&Config::default());
        drain(&mut server, Instant::ZERO);
        let mut events = Vec::new();
        for part in wire.chunks(step) {
            server.handle(Instant::ZERO, Input::Bytes(part)).unwrap();
            events.extend(drain(&mut server, Instant::ZERO).1);
        }
        assert_eq!(data(&events), b"abcdefgh");
        let ends: Vec<u32> = events
            .iter()
            .filter_map(|event| match event {
                ConnectionEvent::End { stream } => Some(*stream),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [1, 2]);
        let frames = events
            .iter()
            .filter(|event| matches!(event, ConnectionEvent::Data { rest: 0, .. }))
            .count();
        assert_eq!(frames, 3);
    }
}

#[test]
fn trap_03_the_server_is_reported_as_not_proven() {
    let mut client = Connection::client(Config::default(), identity(1), fresh(), ms(0)).unwrap();
    drain(&mut client, ms(0));
    let recorded = Accept { token: [9; 8] }.encode(&ApiKey::new(KEY).unwrap());
    let recorded = frame(5, 0, 0, &recorded);
    client.handle(ms(0), Input::Bytes(&recorded)).unwrap();
    let (_, events) = drain(&mut client, ms(0));
    let [ConnectionEvent::Established(established)] = events[..] else {
        panic!("{events:?}");
    };
    assert!(!established.proven);
    assert_eq!(established.token, [9; 8]);
}

#[test]
fn trap_04_a_dialer_does_not_learn_who_the_server_is() {
    let (mut client, mut server) = pair(&Config::default());
    assert!(drain(&mut client, ms(0)).1.is_empty());
    server.close().unwrap();
    let (_, events) = drain(&mut server, ms(0));
    assert_eq!(events, [ConnectionEvent::Closed(None)]);
}

#[test]
fn a_bad_mac_closes_without_a_reply_and_the_error_repeats() {
    let mut server = Connection::server(Config::default(), identity(2), fresh(), ms(0)).unwrap();
    let hello = Hello {
        node: NodeId::from_bytes([1; 16]),
        challenge: 1,
    };
    let other = ApiKey::new(b"another key of the right length").unwrap();
    let bytes = frame(4, 0, 0, &hello.encode(&other));
    for _ in 0..3 {
        assert_eq!(
            server.handle(ms(0), Input::Bytes(&bytes)),
            Err(Error::auth())
        );
    }
    let (out, events) = drain(&mut server, ms(0));
    assert!(out.is_empty());
    assert_eq!(events, [ConnectionEvent::Closed(Some(Error::auth()))]);
    assert_eq!(server.open(), Err(Error::auth()));
    assert_eq!(server.deadline(), None);
}

#[test]
fn the_owner_can_refuse_and_nothing_is_answered() {
    let mut server = Connection::server(Config::default(), identity(2), fresh(), ms(0)).unwrap();
    let hello = Hello {
        node: NodeId::from_bytes([1; 16]),
        challenge: 1,
    };
    let bytes = frame(4, 0, 0, &hello.encode(&ApiKey::new(KEY).unwrap()));
    server.handle(ms(0), Input::Bytes(&bytes)).unwrap();
    assert!(matches!(
        server.handle(ms(0), Input::Bytes(&bytes)),
        Err(Error::Misuse(_))
    ));
    let reason = Error::peer(Class::Replay, "seen before");
    server.refuse(reason.clone()).unwrap();
    assert_eq!(server.admit(ms(0)), Err(reason));
    assert!(drain(&mut server, ms(0)).0.is_empty());
}

#[test]
fn either_of_two_keys_is_taken_and_accept_speaks_under_the_same() {
    let old = ApiKey::new(b"the old key, 16+").unwrap();
    let new = ApiKey::new(b"the new key, 16+").unwrap();
    for key in [&old, &new] {
        let mut server = Connection::server(
            Config::default(),
            Identity {
                node: NodeId::from_bytes([2; 16]),
                keys: vec![new.clone(), old.clone()],
                community: "test-cluster".into(),
            },
            fresh(),
            ms(0),
        )
        .unwrap();
        let hello = Hello {
            node: NodeId::from_bytes([1; 16]),
            challenge: 1,
        };
        let bytes = frame(4, 0, 0, &hello.encode(key));
        server.handle(ms(0), Input::Bytes(&bytes)).unwrap();
        let (out, _) = drain(&mut server, ms(0));
        let accept = joined(&out);
        assert_eq!(
            handshake::verify_accept(&accept, key).unwrap().token,
            [7; 8]
        );
    }
}

#[test]
fn end_of_input_is_clean_only_between_streams() {
    let eof = |input: &[u8]| {
        let (_, mut server) = pair(&Config::default());
        server.handle(ms(0), Input::Bytes(input)).unwrap();
        server.handle(ms(0), Input::End).err()
    };
    let class = |fault: Option<Error>| fault.and_then(|fault| fault.class());
    assert_eq!(eof(b""), None);
    assert_eq!(eof(&frame(2, 1, 0, b"")), None);
    assert_eq!(class(eof(&[1])), Some(Class::Eof));
    assert_eq!(class(eof(&frame(1, 1, 0, b"x"))), Some(Class::Eof));
    assert_eq!(class(eof(&frame(1, 1, 0, b"xy")[..15])), Some(Class::Eof));
    let mut server = Connection::server(Config::default(), identity(2), fresh(), ms(0)).unwrap();
    assert_eq!(
        class(server.handle(ms(0), Input::End).err()),
        Some(Class::Eof)
    );
}

#[test]
fn the_send_buffer_is_bounded_and_says_how_much_it_took() {
    let config = Config {
        send_buffer: 100,
        chunk: 64,
        ..Config::default()
    };
    let (mut client, mut server) = pair(&config);
    let payload = Bytes::from((0..=255).collect::<Vec<u8>>());
    let stream = client.open().unwrap();
    let mut rest = payload.clone();
    let mut events = Vec::new();
    while !rest.is_empty() {
        let taken = client.write(stream, &rest).unwrap();
        assert!(taken > 0 && taken <= 100);
        assert_eq!(client.write(stream, &rest.slice(taken..)).unwrap(), 0);
        rest = rest.slice(taken..);
        for part in drain(&mut client, ms(0)).0 {
            server.receive(ms(0), part).unwrap();
        }
        events.extend(drain(&mut server, ms(0)).1);
    }
    assert_eq!(data(&events), payload);
}
