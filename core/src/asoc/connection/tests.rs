use super::*;
use crate::asoc::{KeyId, TokenCheck, rotation::Notice};
use crate::crypto::tests::hex;
use crate::time::UnixTime;
use core::num::NonZeroU32;
use core::time::Duration;
use std::vec;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn identity(node: u8) -> Identity {
    Identity {
        node: NodeId::from_bytes([node; 16]),
        keys: vec![ApiKey::new(KEY).unwrap()],
    }
}

const FRESH: Fresh = Fresh {
    challenge: 0x0102_0304,
    token: [7; 8],
};

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
    let mut client = Connection::client(config.clone(), identity(1), FRESH, Instant::ZERO).unwrap();
    let mut server = Connection::server(config.clone(), identity(2), FRESH, Instant::ZERO).unwrap();
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
fn trap_01_an_empty_control_frame_every_10_s_keeps_a_receiving_peer_alive() {
    let (mut client, mut server) = pair(&Config::default());
    drain(&mut server, Instant::ZERO);
    for second in 1..=40 {
        let now = ms(second * 1000);
        for end in [&mut client, &mut server] {
            end.handle(now, Input::Time).unwrap();
            let out = joined(&drain(end, now).0);
            if second % 10 == 0 {
                assert_eq!(out, hex("0103000000000000000000000000"));
            } else {
                assert!(out.is_empty());
            }
        }
    }
    // No stream is open: silence ends nothing.
    assert!(client.is_open() && server.is_open());
}

#[test]
fn trap_03_the_server_is_reported_as_not_proven() {
    let mut client = Connection::client(Config::default(), identity(1), FRESH, ms(0)).unwrap();
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
    let mut server = Connection::server(Config::default(), identity(2), FRESH, ms(0)).unwrap();
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
    let mut server = Connection::server(Config::default(), identity(2), FRESH, ms(0)).unwrap();
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
            },
            FRESH,
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
fn silence_ends_a_connection_only_while_a_stream_of_the_peer_is_open() {
    let (_, mut server) = pair(&Config::default());
    drain(&mut server, ms(0));
    server
        .handle(ms(1_000), Input::Bytes(&frame(1, 1, 0, b"x")))
        .unwrap();
    // A keep-alive is a sign of life.
    server
        .handle(ms(20_000), Input::Bytes(&frame(3, 0, 0, b"")))
        .unwrap();
    server.handle(ms(49_999), Input::Time).unwrap();
    assert_eq!(
        server.handle(ms(50_000), Input::Time),
        Err(Error::Timeout(Timer::Idle))
    );
    let (_, mut server) = pair(&Config::default());
    server
        .handle(ms(1_000), Input::Bytes(&frame(1, 1, 0, b"x")))
        .unwrap();
    server
        .handle(ms(1_000), Input::Bytes(&frame(2, 1, 1, b"")))
        .unwrap();
    server.handle(ms(500_000), Input::Time).unwrap();
    // Half a header is the beginning of something.
    server.handle(ms(500_000), Input::Bytes(&[1])).unwrap();
    assert_eq!(
        server.handle(ms(530_000), Input::Time),
        Err(Error::Timeout(Timer::Idle))
    );
}

#[test]
fn silence_does_not_count_while_our_own_application_is_slow() {
    let (_, mut server) = pair(&Config::default());
    server
        .handle(ms(0), Input::Bytes(&frame(1, 1, 0, b"x")))
        .unwrap();
    server.pause(ms(0), true);
    server.handle(ms(100_000), Input::Time).unwrap();
    server.pause(ms(100_000), false);
    server.handle(ms(129_999), Input::Time).unwrap();
    assert_eq!(
        server.handle(ms(130_000), Input::Time),
        Err(Error::Timeout(Timer::Idle))
    );
}

#[test]
fn what_is_not_taken_within_10_s_ends_the_connection() {
    let (mut client, _) = pair(&Config::default());
    let stream = client.open().unwrap();
    client.write(stream, &Bytes::from_static(b"x")).unwrap();
    let Output::Transmit(_) = client.poll(ms(1_000)) else {
        panic!("nothing to send");
    };
    assert_eq!(client.deadline(), Some(ms(10_000)));
    client.handle(ms(10_999), Input::Time).unwrap();
    assert_eq!(
        client.handle(ms(11_000), Input::Time),
        Err(Error::Timeout(Timer::Send))
    );
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
    let mut server = Connection::server(Config::default(), identity(2), FRESH, ms(0)).unwrap();
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

#[test]
fn token_check_on_the_first_frame_every_nth_or_never() {
    let every = NonZeroU32::new(2).unwrap();
    for (policy, lengths) in [
        (TokenCheck::Never, [1, 1, 1, 1, 1]),
        (TokenCheck::First, [17, 1, 1, 1, 1]),
        (TokenCheck::Every(every), [17, 1, 17, 1, 17]),
    ] {
        let config = Config {
            token_check: policy,
            chunk: 1,
            max_frame: 1,
            ..Config::default()
        };
        let (mut client, mut server) = pair(&config);
        let accept = Accept { token: [7; 8] }.encode(&ApiKey::new(KEY).unwrap());
        let stream = client.open().unwrap();
        client.write(stream, &Bytes::from_static(b"abcde")).unwrap();
        let wire = joined(&drain(&mut client, ms(0)).0);
        let mut rest = &wire[..];
        for (length, byte) in lengths.into_iter().zip(b"abcde") {
            assert_eq!(rest[13], length);
            let (payload, after) = rest[14..].split_at(usize::from(length));
            assert_eq!(payload.last(), Some(byte));
            if length == 17 {
                assert_eq!(payload[..16], accept);
            }
            rest = after;
        }
        // Byte by byte, and nothing but the payload comes out.
        let mut events = Vec::new();
        for byte in wire.chunks(1) {
            server.handle(ms(0), Input::Bytes(byte)).unwrap();
            events.extend(drain(&mut server, ms(0)).1);
        }
        assert_eq!(data(&events), b"abcde");
    }
}

#[test]
fn token_check_refuses_another_token_and_a_frame_without_one() {
    let config = Config {
        token_check: TokenCheck::First,
        ..Config::default()
    };
    let good = Accept { token: [7; 8] }.encode(&ApiKey::new(KEY).unwrap());
    for bit in 0..128 {
        let (_, mut server) = pair(&config);
        let mut token = good;
        token[bit / 8] ^= 1 << (bit % 8);
        let bytes = frame(1, 1, 0, &token);
        let fault = server.handle(ms(0), Input::Bytes(&bytes)).unwrap_err();
        assert_eq!(fault.class(), Some(Class::Auth));
        assert!(data(&drain(&mut server, ms(0)).1).is_empty());
    }
    let (_, mut server) = pair(&config);
    let bytes = frame(1, 1, 0, &good[..15]);
    let fault = server.handle(ms(0), Input::Bytes(&bytes)).unwrap_err();
    assert_eq!(fault.class(), Some(Class::Length));
    // A token and nothing behind it is an empty frame.
    let (_, mut server) = pair(&config);
    drain(&mut server, ms(0));
    server
        .handle(ms(0), Input::Bytes(&frame(1, 1, 0, &good)))
        .unwrap();
    let (_, events) = drain(&mut server, ms(0));
    assert!(
        matches!(&events[..], [ConnectionEvent::Data { bytes, rest: 0, .. }] if bytes.is_empty())
    );
}

#[test]
fn notices_of_a_rotation_come_as_events_and_other_control_is_ignored() {
    let (mut client, mut server) = pair(&Config::default());
    drain(&mut server, ms(0));
    let key = KeyId([1, 2, 3, 4, 5, 6, 7, 8]);
    let activation = UnixTime::from_secs(0x0102_0304);
    client.notify(Notice::Announce { key, activation }).unwrap();
    client.notify(Notice::Acknowledge { key }).unwrap();
    let wire = joined(&drain(&mut client, ms(0)).0);
    assert_eq!(
        wire,
        hex(
            "0103000000000000000000000011010102030405060708000000000102030401030000000000000000000000090201\
             02030405060708"
        )
    );
    server.handle(ms(0), Input::Bytes(&wire)).unwrap();
    assert_eq!(
        drain(&mut server, ms(0)).1,
        [
            ConnectionEvent::Announced { key, activation },
            ConnectionEvent::Acknowledged { key },
        ]
    );
    for other in [
        &b""[..],
        &[0],
        &[3, 1, 2],
        &[1],
        &[1; 18],
        &[2; 8],
        &[2; 10],
        &[0; 5000],
    ] {
        let bytes = frame(3, 9, 9, other);
        server.handle(ms(0), Input::Bytes(&bytes)).unwrap();
        assert_eq!(drain(&mut server, ms(0)), (vec![], vec![]));
    }
}

#[test]
fn limits_are_judged_on_the_header_alone() {
    let config = Config {
        max_frame: 64,
        ..Config::default()
    };
    for (kind, length, class) in [
        (1, 65, Class::Limit),
        (1, u32::MAX, Class::Limit),
        (3, 65, Class::Limit),
        (77, 65, Class::Limit),
        (2, 1, Class::Length),
        (4, 36, Class::State),
        (5, 16, Class::State),
    ] {
        let (_, mut server) = pair(&config);
        let mut head = frame(kind, 1, 0, b"");
        head[10..].copy_from_slice(&u32::to_be_bytes(length));
        let fault = server.handle(ms(0), Input::Bytes(&head)).unwrap_err();
        assert_eq!(fault.class(), Some(class), "type {kind}, length {length}");
    }
    for kind in [1, 3, 77] {
        let (_, mut server) = pair(&config);
        let bytes = frame(kind, 1, 0, &[0; 64]);
        server.handle(ms(0), Input::Bytes(&bytes)).unwrap();
    }
}

#[test]
fn the_handshake_has_10_s_whatever_has_come_of_it() {
    for (asked, cut) in [(false, 0), (false, 49), (true, 50)] {
        let mut server = Connection::server(Config::default(), identity(2), FRESH, ms(0)).unwrap();
        let hello = Hello {
            node: NodeId::from_bytes([1; 16]),
            challenge: 1,
        };
        let bytes = frame(4, 0, 0, &hello.encode(&ApiKey::new(KEY).unwrap()));
        server
            .handle(ms(9_000), Input::Bytes(&bytes[..cut]))
            .unwrap();
        assert_eq!(matches!(server.stage, Stage::Asked { .. }), asked);
        assert_eq!(server.deadline(), Some(ms(10_000)));
        let late = Err(Error::Timeout(Timer::Connect));
        if asked {
            assert_eq!(server.admit(ms(10_000)), late);
        } else {
            assert_eq!(server.handle(ms(10_000), Input::Bytes(&bytes[cut..])), late);
        }
        let (out, events) = drain(&mut server, ms(10_000));
        assert!(out.is_empty());
        let closed = ConnectionEvent::Closed(Some(Error::Timeout(Timer::Connect)));
        assert_eq!(events.last(), Some(&closed));
    }
}

#[test]
fn the_nibble_dialect_speaks_13_byte_headers_and_does_not_mix() {
    let config = Config {
        dialect: wire::Dialect::Nibble,
        keep_alive: Duration::from_secs(10),
        ..Config::default()
    };
    let (mut client, mut server) = pair(&config);
    let stream = client.open().unwrap();
    client.write(stream, &Bytes::from_static(b"abc")).unwrap();
    let wire = joined(&drain(&mut client, ms(0)).0);
    assert_eq!(wire, hex("11000000010000000000000003616263"));
    server.handle(ms(0), Input::Bytes(&wire)).unwrap();
    let fault = server
        .handle(ms(0), Input::Bytes(&frame(1, 1, 1, b"d")))
        .unwrap_err();
    assert_eq!(fault.class(), Some(Class::Version));
}
