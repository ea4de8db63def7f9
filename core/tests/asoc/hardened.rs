//! The hardened handshake: every bit, every clock, every key.

use crate::world::*;
use stillwire_core::asoc::{ApiKey, Config, Connection, Dialect, Fresh, Profile, TokenCheck};
use stillwire_core::crypto::{hkdf, sha256};
use stillwire_core::{Class, Error, Instant, UnixTime};

/// HELLO, ACCEPT and PROOF on the wire, headers of 14 bytes included.
const SIZES: [usize; 3] = [135, 134, 46];

#[test]
fn both_ends_are_proven_and_know_each_other() {
    for profile in &PROFILES[1..] {
        let mut met = meet(*profile, 1);
        assert_eq!(
            [
                met.to_server[0].len(),
                met.to_client[0].len(),
                met.to_server[1].len()
            ],
            SIZES
        );
        let of = |end: &End| {
            end.events.iter().find_map(|event| match event {
                stillwire_core::asoc::ConnectionEvent::Established(established) => {
                    Some(*established)
                }
                _ => None,
            })
        };
        let (client, server) = (of(&met.client).unwrap(), of(&met.server).unwrap());
        assert!(client.proven && server.proven);
        assert_eq!(client.peer, Some(name(2)));
        assert_eq!(server.peer, Some(name(1)));
        assert_eq!(client.token, server.token);
        // Streams both ways, many frames.
        for round in 0..5 {
            let said = met.client.say(b"there");
            met.server.answer(&said);
            let said = met.server.say(b"back");
            met.client.answer(&said);
            assert_eq!(met.server.data().len(), 5 * (round + 1));
            assert_eq!(met.client.data().len(), 4 * (round + 1));
        }
    }
}

#[test]
fn every_flipped_bit_of_the_handshake_ends_it_at_once() {
    let good = meet(HARDENED, 1);
    // Payloads only: stream and sequence of handshake frames are tolerated.
    for bit in 14 * 8..SIZES[0] * 8 {
        let mut hello = good.to_server[0].clone();
        hello[bit / 8] ^= 1 << (bit % 8);
        let mut server = End::server(2, 101, HARDENED);
        assert!(server.answer(&hello).is_empty());
        assert_eq!(server.fault(), Some(Class::Auth), "HELLO, bit {bit}");
    }
    for bit in 14 * 8..SIZES[1] * 8 {
        let mut accept = good.to_client[0].clone();
        accept[bit / 8] ^= 1 << (bit % 8);
        let mut client = End::client(1, 1, HARDENED);
        client.drain();
        assert!(client.answer(&accept).is_empty());
        assert_eq!(client.fault(), Some(Class::Auth), "ACCEPT, bit {bit}");
    }
    for bit in 14 * 8..SIZES[2] * 8 {
        let mut proof = good.to_server[1].clone();
        proof[bit / 8] ^= 1 << (bit % 8);
        let mut server = End::server(2, 101, HARDENED);
        assert_eq!(server.answer(&good.to_server[0]), good.to_client[0]);
        server.answer(&proof);
        assert_eq!(server.fault(), Some(Class::Auth), "PROOF, bit {bit}");
    }
}

#[test]
fn any_split_of_the_handshake_and_of_sealed_frames() {
    let mut good = meet(HARDENED, 1);
    let said = [good.client.say(b"first"), good.client.say(b"")].concat();
    for step in [1, 2, 3, 7, 14, 15, 50, 134] {
        let mut server = End::server(2, 101, HARDENED);
        for part in good.to_server[0].chunks(step) {
            server.answer(part);
        }
        // PROOF and frames in one run.
        let rest = [good.to_server[1].clone(), said.clone()].concat();
        for part in rest.chunks(step) {
            server.answer(part);
        }
        assert_eq!(server.data(), b"first", "in steps of {step}");
        assert!(server.machine.is_open());
    }
}

fn with(change: impl FnOnce(&mut stillwire_core::asoc::Identity, &mut Fresh)) -> Vec<u8> {
    let (mut identity, mut fresh) = (identity(1), fresh(1));
    change(&mut identity, &mut fresh);
    let client = Connection::client(config(HARDENED), identity, fresh, Instant::ZERO);
    End::of(client.unwrap()).drain()
}

fn judged(hello: &[u8]) -> Option<Class> {
    let mut server = End::server(2, 2, HARDENED);
    server.answer(hello);
    server.fault()
}

#[test]
fn key_community_uuid_and_time_are_under_the_mac_and_judged() {
    assert_eq!(judged(&with(|_, _| {})), None);
    assert_eq!(
        judged(&with(|identity, _| identity.community.push('x'))),
        Some(Class::Auth)
    );
    let other = ApiKey::new(b"another key of the right length").unwrap();
    assert_eq!(
        judged(&with(|identity, _| identity.keys = vec![other])),
        Some(Class::Auth)
    );
    assert_eq!(
        judged(&with(|identity, _| identity.node = name(2))),
        Some(Class::Identity)
    );
    let at = |second: u64| {
        judged(&with(|_, fresh| {
            fresh.unix = UnixTime::from_secs(NOW.as_secs() - 1000 + second);
        }))
    };
    assert_eq!(at(1000 - 60), None);
    assert_eq!(at(1000 + 60), None);
    assert_eq!(at(1000 - 61), Some(Class::Stale));
    assert_eq!(at(1000 + 61), Some(Class::Future));
}

/// The key of the handshake's MACs, which only a holder of the cluster's key has.
fn mac_key() -> [u8; 32] {
    let prk = hkdf::extract(&sha256::digest(b"test-cluster"), KEY);
    let mut mac = [0; 32];
    hkdf::expand(&prk, &[b"stillwire asoc hardened 1 mac"], &mut mac).unwrap();
    mac
}

#[test]
fn the_servers_clock_and_uuid_are_judged_by_the_server_itself() {
    let refuses = |node: u8, second: u64| {
        let mut fresh = fresh(2);
        fresh.unix = UnixTime::from_secs(NOW.as_secs() - 1000 + second);
        let server = Connection::server(config(HARDENED), identity(node), fresh, Instant::ZERO);
        let mut server = End::of(server.unwrap());
        server.answer(&End::client(1, 1, HARDENED).drain());
        server.fault()
    };
    assert_eq!(refuses(2, 1000), None);
    assert_eq!(refuses(2, 1061), Some(Class::Stale));
    assert_eq!(refuses(2, 939), Some(Class::Future));
    assert_eq!(refuses(1, 1000), Some(Class::Identity));
}

#[test]
fn the_servers_clock_uuid_and_key_share_are_judged_by_the_client() {
    // A server that holds the key and says something else under a right MAC.
    let judged = |change: &dyn Fn(&mut [u8])| {
        let mut client = End::client(1, 1, HARDENED);
        let hello = client.drain();
        let mut accept = End::server(2, 101, HARDENED).answer(&hello);
        assert_eq!(accept.len(), SIZES[1]);
        let (fields, tag) = accept[14..].split_at_mut(SIZES[1] - 14 - 32);
        change(fields);
        let said = [b"accept", &sha256::digest(&hello[14..])[..], &*fields].concat();
        tag.copy_from_slice(&sha256::hmac(&mac_key(), &said));
        let proof = client.answer(&accept);
        assert_eq!(client.fault().is_none(), !proof.is_empty());
        client.fault()
    };
    let clock = |off: i64| {
        judged(&move |fields| {
            let time = NOW.as_secs().checked_add_signed(off).unwrap();
            fields[16..24].copy_from_slice(&time.to_be_bytes());
        })
    };
    assert_eq!(judged(&|_| {}), None);
    assert_eq!((clock(-60), clock(60)), (None, None));
    assert_eq!(clock(-61), Some(Class::Stale));
    assert_eq!(clock(61), Some(Class::Future));
    let own = name(1);
    let reflected = judged(&|fields| fields[..16].copy_from_slice(own.as_bytes()));
    assert_eq!(reflected, Some(Class::Identity));
    let low = judged(&|fields| fields[56..88].fill(0));
    assert_eq!(low, Some(Class::WeakKey));
}

#[test]
fn what_only_the_application_can_do_wrong_is_misuse_and_changes_nothing() {
    for (max_frame, chunk) in [(0, 1), (1, 0)] {
        let config = Config {
            max_frame,
            chunk,
            ..config(HARDENED)
        };
        let made = Connection::client(config, identity(1), fresh(1), Instant::ZERO);
        assert!(matches!(made.err(), Some(Error::Misuse(_))));
    }
    let keyless = stillwire_core::asoc::Identity {
        keys: Vec::new(),
        ..identity(1)
    };
    let made = Connection::server(config(HARDENED), keyless, fresh(1), Instant::ZERO);
    assert!(matches!(made.err(), Some(Error::Misuse(_))));

    let mut early = End::client(1, 1, HARDENED);
    assert!(matches!(early.machine.open(), Err(Error::Misuse(_))));
    let data = bytes::Bytes::from_static(b"x");
    assert!(matches!(
        early.machine.write(1, &data),
        Err(Error::Misuse(_))
    ));
    assert!(matches!(early.machine.end(1), Err(Error::Misuse(_))));

    let few = Config {
        max_streams: 2,
        ..config(Profile::Default)
    };
    let made = Connection::client(few, identity(1), fresh(1), Instant::ZERO);
    let mut client = End::of(made.unwrap());
    let accept = End::server(2, 2, Profile::Default).answer(&client.drain());
    client.answer(&accept);
    let open = [
        client.machine.open().unwrap(),
        client.machine.open().unwrap(),
    ];
    assert!(matches!(client.machine.open(), Err(Error::Misuse(_))));
    assert!(matches!(
        client.machine.write(99, &data),
        Err(Error::Misuse(_))
    ));
    client.machine.end(open[0]).unwrap();
    assert_eq!(client.machine.open().unwrap(), 5);
    assert_eq!(client.fault(), None);
}

#[test]
fn a_key_share_of_low_order_is_refused() {
    // Under a right MAC, which only a holder of the key can make.
    for share in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let mut hello = with(|_, _| {});
        hello[14 + 57..14 + 89].copy_from_slice(&share);
        let said = [b"hello", &hello[14..14 + 89]].concat();
        hello[14 + 89..].copy_from_slice(&sha256::hmac(&mac_key(), &said));
        assert_eq!(judged(&hello), Some(Class::WeakKey));
    }
}

#[test]
fn lengths_are_judged_on_the_header_alone() {
    for (kind, length, class) in [
        (16, 120, Class::Length),
        (16, 122, Class::Length),
        (16, u32::MAX, Class::Length),
        (17, 120, Class::State),
        (18, 32, Class::State),
        (1, 32, Class::State),
        (4, 36, Class::Downgrade),
        (99, 1, Class::Type),
    ] {
        let mut head = frame(kind, 0, 0, b"");
        head[10..14].copy_from_slice(&u32::to_be_bytes(length));
        assert_eq!(judged(&head), Some(class), "type {kind}, length {length}");
    }
    let limit = Config::default().max_frame as u32 + 16;
    for (kind, length, class) in [
        (1, 15, Class::Length),
        (1, limit + 1, Class::Limit),
        (2, 17, Class::Length),
        (2, 15, Class::Length),
        (3, 15, Class::Length),
        (3, limit + 1, Class::Limit),
        (99, limit + 1, Class::Limit),
        (4, 36, Class::State),
        (16, 121, Class::State),
        (18, 32, Class::State),
    ] {
        let mut met = meet(HARDENED, 1);
        let mut head = frame(kind, 1, 0, b"");
        head[10..14].copy_from_slice(&u32::to_be_bytes(length));
        met.server.answer(&head);
        assert_eq!(
            met.server.fault(),
            Some(class),
            "type {kind}, length {length}"
        );
    }
}

#[test]
fn keep_alives_are_sealed_and_unknown_frames_too() {
    use stillwire_core::{Input, Machine};
    let mut met = meet(HARDENED, 1);
    let later = Instant::from_millis(10_000);
    met.client.machine.handle(later, Input::Time).unwrap();
    let keep_alive = met.client.drain();
    assert_eq!(keep_alive.len(), 14 + 16);
    assert_eq!(keep_alive[..14], frame(3, 0, 0, &[0; 16])[..14]);
    met.server.answer(&keep_alive);
    assert!(met.server.machine.is_open());
    met.server.answer(&frame(3, 0, 0, &[0; 16]));
    assert_eq!(met.server.fault(), Some(Class::Auth));
    let mut met = meet(HARDENED, 1);
    met.server.answer(&frame(99, 0, 0, &[0; 16]));
    assert_eq!(met.server.fault(), Some(Class::Auth));
}

#[test]
fn what_does_not_fit_the_hardened_profile_is_misuse() {
    let odd = [
        Config {
            dialect: Dialect::Nibble,
            ..config(HARDENED)
        },
        Config {
            token_check: TokenCheck::First,
            ..config(HARDENED)
        },
    ];
    for config in odd {
        let made = Connection::client(config, identity(1), fresh(1), Instant::ZERO);
        assert!(matches!(made.err(), Some(Error::Misuse(_))));
    }
}

#[test]
fn a_limit_of_one_byte_frames_still_carries_everything() {
    let small = Config {
        max_frame: 1,
        ..config(HARDENED)
    };
    let make = |role: fn(_, _, _, _) -> Result<Connection, Error>, node: u8| {
        End::of(role(small.clone(), identity(node), fresh(node), Instant::ZERO).unwrap())
    };
    let (mut client, mut server) = (make(Connection::client, 1), make(Connection::server, 2));
    let hello = client.drain();
    let accept = server.answer(&hello);
    let proof = client.answer(&accept);
    server.answer(&proof);
    let said = client.say(b"abc");
    assert_eq!(said.len(), 3 * (14 + 17));
    server.answer(&said);
    assert_eq!(server.data(), b"abc");
}
