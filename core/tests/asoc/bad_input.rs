//! Every malformed or hostile case of the wire page, at a node that has a healthy connection besides:
//! a typed error, one audit event, nothing answered, the connection closed, and the healthy one
//! goes on.

use crate::house::{House, ip, key};
use crate::world::*;
use stillwire_core::Class;
use stillwire_core::asoc::handshake::frame as handshake_frame;
use stillwire_core::asoc::{Accept, Announcement, ApiKey, AuditKind, Dialect, Hello, Profile};

/// One event tells of it, with the address; an error that has a kind of its own has it.
fn one_event(house: &mut House, class: Class, from: u8, what: &str) {
    let mut events = house.audits();
    events.retain(|event| !matches!(event.kind, AuditKind::Success { .. }));
    let [event] = &events[..] else {
        panic!("{what}: {events:?}");
    };
    assert_eq!(event.kind.class(), Some(class), "{what}");
    assert_eq!(event.address, Some(ip(from)), "{what}");
    assert_eq!(event.time, NOW, "{what}");
    let kind = match class {
        Class::Replay => "replay",
        Class::Limit => "limited",
        _ => "failure",
    };
    assert_eq!(event.kind.as_str(), kind, "{what}");
}

type Case = (&'static str, Class, Vec<u8>);

fn hello(node: u8, challenge: u32) -> Vec<u8> {
    let hello = Hello {
        node: name(node),
        challenge,
    };
    handshake_frame(4, &hello.encode(&key()), Dialect::Octet).unwrap()
}

/// A frame's header that announces so many bytes.
fn header(kind: u8, stream: u32, length: u32) -> Vec<u8> {
    let mut out = frame(kind, stream, 0, b"");
    out[10..].copy_from_slice(&length.to_be_bytes());
    out
}

fn changed(mut bytes: Vec<u8>, at: usize, to: u8) -> Vec<u8> {
    assert_ne!(bytes[at], to);
    bytes[at] = to;
    bytes
}

/// HELLO with other bytes under its MAC, or other bytes altogether.
fn crafted(said: &[u8], key: &[u8], challenge: [u8; 4]) -> Vec<u8> {
    use stillwire_core::crypto::sha256;
    let tag = sha256::hmac(key, said);
    let payload = [name(3).as_bytes(), &tag[..16], &challenge[..]].concat();
    frame(4, 0, 0, &payload)
}

#[test]
fn whatever_comes_instead_of_a_hello() {
    let challenge = 0x0102_0304_u32;
    let good = hello(3, challenge);
    let mac = good[14 + 16..14 + 32].to_vec();
    let uuid = *name(3).as_bytes();
    let mut cases: Vec<Case> = vec![
        ("nothing", Class::Eof, vec![]),
        ("13 bytes of a header", Class::Eof, good[..13].to_vec()),
        (
            "a nibble frame",
            Class::Version,
            changed(good.clone(), 0, 0x14),
        ),
        ("a HELLO that is cut", Class::Eof, good[..49].to_vec()),
        ("HELLO of 35", Class::Length, header(4, 0, 35)),
        ("HELLO of 37", Class::Length, header(4, 0, 37)),
        ("HELLO of 4 GiB", Class::Length, header(4, 0, u32::MAX)),
        (
            "MAC over UUID and MAC",
            Class::Auth,
            crafted(&[&uuid[..], &mac].concat(), KEY, challenge.to_be_bytes()),
        ),
        (
            "challenge little-endian under the MAC",
            Class::Auth,
            crafted(
                &[&uuid[..], &challenge.to_le_bytes()].concat(),
                KEY,
                challenge.to_be_bytes(),
            ),
        ),
        (
            "under another key",
            Class::Auth,
            crafted(
                &[&uuid[..], &challenge.to_be_bytes()].concat(),
                b"another key, also long enough",
                challenge.to_be_bytes(),
            ),
        ),
        ("our own UUID", Class::Identity, hello(1, 1)),
        ("DATA", Class::State, frame(1, 1, 0, b"x")),
        ("END", Class::State, frame(2, 1, 0, b"")),
        ("CONTROL", Class::State, frame(3, 0, 0, b"")),
        ("ACCEPT", Class::State, header(5, 0, 16)),
        (
            "HELLO of the hardened profile",
            Class::Type,
            header(16, 0, 121),
        ),
    ];
    for version in [0, 2, 255] {
        cases.push((
            "another version",
            Class::Version,
            changed(good.clone(), 0, version),
        ));
    }
    for kind in [0, 6, 99, 255] {
        cases.push(("an unknown type", Class::Type, header(kind, 0, 0)));
    }
    for at in 14..good.len() {
        let flipped = good[at] ^ (1 << (at % 8));
        cases.push((
            "a flipped bit",
            Class::Auth,
            changed(good.clone(), at, flipped),
        ));
    }
    for (what, class, bytes) in cases {
        let mut house = House::new(Profile::Default);
        house.audits();
        assert_eq!(house.knock(&[bytes]), (Some(class), vec![]), "{what}");
        one_event(&mut house, class, 66, what);
        house.goes_on();
    }
}

#[test]
fn a_replayed_hello() {
    let mut house = House::new(Profile::Default);
    assert_eq!(house.knock(&[hello(3, 7)]).0, None);
    house.audits();
    assert_eq!(house.knock(&[hello(3, 7)]), (Some(Class::Replay), vec![]));
    one_event(&mut house, Class::Replay, 66, "a replay");
    house.goes_on();
}

#[test]
fn whatever_comes_after_the_handshake() {
    let begun = || frame(1, 1, 0, b"a");
    let ended = || [begun(), frame(2, 1, 1, b"")].concat();
    let after = |first: Vec<u8>, then: Vec<u8>| [first, then].concat();
    let over = u32::try_from(crate::house::MOST + 1).unwrap();
    let cases: Vec<Case> = vec![
        ("a second HELLO", Class::State, hello(3, 8)),
        ("ACCEPT", Class::State, header(5, 0, 16)),
        ("a gap", Class::State, after(begun(), frame(1, 1, 2, b"a"))),
        ("a repeated sequence", Class::State, after(begun(), begun())),
        (
            "a stream that begins at 1",
            Class::State,
            frame(1, 1, 1, b"a"),
        ),
        (
            "END with another sequence",
            Class::State,
            after(begun(), frame(2, 1, 0, b"")),
        ),
        (
            "END with a payload",
            Class::Length,
            after(begun(), frame(2, 1, 1, b"x")),
        ),
        (
            "DATA after END",
            Class::State,
            after(ended(), frame(1, 1, 2, b"a")),
        ),
        ("an id used again", Class::State, after(ended(), begun())),
        ("DATA on stream 0", Class::State, frame(1, 0, 0, b"a")),
        ("END on stream 0", Class::State, frame(2, 0, 0, b"")),
        ("DATA past the limit", Class::Limit, header(1, 1, over)),
        ("CONTROL past the limit", Class::Limit, header(3, 0, over)),
        (
            "an unknown type past the limit",
            Class::Limit,
            header(200, 0, u32::MAX),
        ),
        (
            "more streams than allowed",
            Class::Limit,
            [1, 3, 5, 7].map(|id| frame(1, id, 0, b"")).concat(),
        ),
        ("version 2", Class::Version, changed(begun(), 0, 2)),
        ("a stream that is cut off", Class::Eof, begun()),
        (
            "a frame that is cut off",
            Class::Eof,
            begun()[..14].to_vec(),
        ),
        ("a header that is cut off", Class::Eof, vec![1]),
    ];
    for (what, class, bytes) in cases {
        let mut house = House::new(Profile::Default);
        house.audits();
        let met = house.knock(&[hello(3, 7), bytes]);
        assert_eq!(met, (Some(class), vec![]), "{what}");
        one_event(&mut house, class, 66, what);
        house.goes_on();
    }
}

#[test]
fn what_is_odd_and_no_fault() {
    let keep_alive = frame(3, 7, 7, b"");
    let unknown = frame(77, 1, 5, b"what may come one day");
    // HELLO with numbers, the nil UUID, an even id from a client.
    let mut nil = hello(0, 9);
    nil[2..10].copy_from_slice(&[1; 8]);
    let stream = [frame(1, 2, 0, b"even"), frame(2, 2, 1, b"")].concat();
    let mut house = House::new(Profile::Default);
    house.audits();
    let (fault, _) = house.knock(&[nil, keep_alive, unknown, stream]);
    assert_eq!(fault, None);
    let events = house.audits();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].kind.as_str(), "success");
}

#[test]
fn whatever_comes_instead_of_an_accept() {
    let good = handshake_frame(5, &Accept { token: [7; 8] }.encode(&key()), Dialect::Octet);
    let good = good.unwrap();
    let other = ApiKey::new(b"another key, also long enough").unwrap();
    let other = handshake_frame(5, &Accept { token: [7; 8] }.encode(&other), Dialect::Octet);
    let mut cases: Vec<Case> = vec![
        ("nothing", Class::Eof, vec![]),
        ("an ACCEPT that is cut", Class::Eof, good[..29].to_vec()),
        ("ACCEPT of 15", Class::Length, header(5, 0, 15)),
        ("ACCEPT of 17", Class::Length, header(5, 0, 17)),
        ("ACCEPT of 4 GiB", Class::Length, header(5, 0, u32::MAX)),
        ("under another key", Class::Auth, other.unwrap()),
        ("a HELLO", Class::State, hello(3, 1)),
        ("DATA", Class::State, frame(1, 1, 0, b"x")),
        ("CONTROL", Class::State, frame(3, 0, 0, b"")),
        ("an unknown type", Class::Type, header(6, 0, 0)),
        ("version 2", Class::Version, changed(good.clone(), 0, 2)),
        (
            "a nibble frame",
            Class::Version,
            changed(good.clone(), 0, 0x15),
        ),
    ];
    for at in 14..good.len() {
        let flipped = good[at] ^ (1 << (at % 8));
        cases.push((
            "a flipped bit",
            Class::Auth,
            changed(good.clone(), at, flipped),
        ));
    }
    for (what, class, bytes) in cases {
        let mut house = House::new(Profile::Default);
        assert_eq!(house.answer(&[bytes]), (Some(class), vec![]), "{what}");
        one_event(&mut house, class, 9, what);
        house.goes_on();
    }
}

#[test]
fn whatever_comes_to_a_hardened_node() {
    let good = || End::client(3, 3, HARDENED).drain();
    let mut cases: Vec<Case> = vec![
        (
            "HELLO of the default profile",
            Class::Downgrade,
            hello(3, 1),
        ),
        (
            "ACCEPT of the default profile",
            Class::Downgrade,
            header(5, 0, 16),
        ),
        ("DATA", Class::State, frame(1, 1, 0, b"x")),
        ("PROOF first", Class::State, header(18, 0, 32)),
        ("HELLO of 120", Class::Length, header(16, 0, 120)),
        ("HELLO of 4 GiB", Class::Length, header(16, 0, u32::MAX)),
        ("an unknown type", Class::Type, header(99, 0, 0)),
        ("version 2", Class::Version, changed(good(), 0, 2)),
        (
            "our own UUID",
            Class::Identity,
            End::client(1, 3, HARDENED).drain(),
        ),
    ];
    for at in 14..good().len() {
        let flipped = good()[at] ^ (1 << (at % 8));
        cases.push(("a flipped bit", Class::Auth, changed(good(), at, flipped)));
    }
    for (what, class, bytes) in cases {
        let mut house = House::new(HARDENED);
        house.audits();
        assert_eq!(house.knock(&[bytes]), (Some(class), vec![]), "{what}");
        one_event(&mut house, class, 66, what);
        house.goes_on();
    }
    // Behind an ACCEPT: no PROOF, a wrong one, sealed frames too early.
    let later: Vec<Case> = vec![
        ("no PROOF", Class::Eof, vec![]),
        ("a PROOF of zeros", Class::Auth, frame(18, 0, 0, &[0; 32])),
        ("a PROOF of 31", Class::Length, header(18, 0, 31)),
        ("DATA before PROOF", Class::State, frame(1, 1, 0, &[0; 20])),
        ("a downgrade before PROOF", Class::Downgrade, hello(3, 1)),
    ];
    for (what, class, bytes) in later {
        let mut house = House::new(HARDENED);
        house.audits();
        let met = house.knock(&[good(), bytes]);
        assert_eq!(met, (Some(class), vec![]), "{what}");
        one_event(&mut house, class, 66, what);
        house.goes_on();
    }
}

#[test]
fn whatever_comes_over_udp() {
    let message = |node: u8, time: u64, challenge: u32| {
        let message = Announcement {
            node: name(node),
            port: 9000,
            time: u32::try_from(time).unwrap(),
            challenge,
        };
        message.encode(&key(), "test-cluster").to_vec()
    };
    let now = NOW.as_secs();
    let good = message(3, now, 1);
    let mut cases: Vec<Case> = vec![
        ("nothing", Class::Length, vec![]),
        ("49 bytes", Class::Length, good[..49].to_vec()),
        ("51 bytes", Class::Length, [&good[..], &[0]].concat()),
        ("61 s old", Class::Stale, message(3, now - 61, 1)),
        ("61 s ahead", Class::Future, message(3, now + 61, 1)),
        ("time 0", Class::Stale, message(3, 0, 1)),
        (
            "time 2^32 - 1",
            Class::Future,
            message(3, u64::from(u32::MAX), 1),
        ),
    ];
    for at in 8..good.len() {
        let flipped = good[at] ^ (1 << (at % 8));
        cases.push((
            "a flipped bit",
            Class::Auth,
            changed(good.clone(), at, flipped),
        ));
    }
    for (what, class, bytes) in cases {
        let mut house = House::new(Profile::Default);
        house.audits();
        let fault = house
            .node
            .datagram(crate::house::START, ip(66), &bytes)
            .unwrap_err();
        assert_eq!(fault.class(), Some(class), "{what}");
        one_event(&mut house, class, 66, what);
        house.goes_on();
        // And the next one is taken.
        house
            .node
            .datagram(crate::house::START, ip(3), &good)
            .unwrap();
    }
    // Our own broadcast comes back, and other clusters share the network: that is no event.
    let mut house = House::new(Profile::Default);
    house.audits();
    for (class, bytes) in [
        (Class::Identity, message(1, now, 1)),
        (Class::Name, changed(good.clone(), 0, good[0] ^ 1)),
    ] {
        let fault = house
            .node
            .datagram(crate::house::START, ip(66), &bytes)
            .unwrap_err();
        assert_eq!(fault.class(), Some(class));
        assert_eq!(house.audits(), []);
    }
    house
        .node
        .datagram(crate::house::START, ip(3), &good)
        .unwrap();
    let again = house
        .node
        .datagram(crate::house::START, ip(3), &good)
        .unwrap_err();
    assert_eq!(again.class(), Some(Class::Replay));
    one_event(&mut house, Class::Replay, 3, "a replay");
}

#[test]
fn trap_10_default_frames_have_no_integrity_and_sealed_ones_do() {
    for profile in PROFILES {
        let mut met = meet(profile, 1);
        let mut said = met.client.say(b"pay 1");
        let last = said.len() - 1;
        if profile == Profile::Default {
            said[last] = b'9';
            met.server.answer(&said);
            assert_eq!(met.server.data(), b"pay 9");
        } else {
            said[last] ^= 1;
            met.server.answer(&said);
            assert_eq!(met.server.fault(), Some(Class::Auth));
            assert!(met.server.data().is_empty());
        }
    }
}
