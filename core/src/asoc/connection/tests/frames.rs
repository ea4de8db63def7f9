//! Frames after the handshake.

use super::*;
use crate::asoc::{KeyId, TokenCheck};
use core::num::NonZeroU32;
use core::time::Duration;

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
fn the_nibble_dialect_speaks_13_byte_headers_and_does_not_mix() {
    let config = Config {
        dialect: Dialect::Nibble,
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
