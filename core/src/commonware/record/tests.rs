use super::*;
use crate::crypto::Rng;
use std::vec;

fn key() -> Secret {
    Secret::from([7; 32])
}

fn class<T>(result: Result<T, Error>) -> Option<Class> {
    result.err().and_then(|error| error.class())
}

fn sealed(profile: Profile, record: u128, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sealer = Sealer::at(profile, key(), record, LONGEST);
    sealer.seal(plain, &mut out).unwrap();
    out
}

fn open(profile: Profile, record: u128, limit: usize, mut wire: &[u8]) -> Result<BytesMut, Error> {
    let mut opener = Opener::at(profile, key(), record, limit);
    let opened = opener.open(&mut wire)?;
    opened.ok_or(Error::peer(Class::Truncated, "not all there"))
}

#[test]
fn records_of_all_lengths_cut_anywhere() {
    let mut rng = Rng::from_seed([1; 32]);
    for profile in Profile::ALL {
        let lengths = [0, 1, 111, 112, 300, 5000, 70_000];
        let plains: Vec<Vec<u8>> = lengths
            .iter()
            .map(|length| {
                let mut plain = vec![0; *length];
                rng.fill(&mut plain);
                plain
            })
            .collect();
        let mut sealer = Sealer::new(profile, key(), 70_000);
        let mut wire = Vec::new();
        for plain in &plains {
            sealer.seal(plain, &mut wire).unwrap();
        }
        for size in [1, 2, 7, 20, 36, 1000, wire.len()] {
            let mut opener = Opener::new(profile, key(), 70_000);
            let mut opened = Vec::new();
            for mut piece in wire.chunks(size) {
                while let Some(plain) = opener.open(&mut piece).unwrap() {
                    opened.push(plain.to_vec());
                }
                assert!(piece.is_empty());
            }
            assert!(opener.is_between());
            assert!(opened == plains, "{profile} in pieces of {size}");
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_or_waits() {
    for profile in Profile::ALL {
        let wire = sealed(profile, 3, b"message");
        for bit in 0..wire.len() * 8 {
            let mut altered = wire.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let refused = open(profile, 3, 1000, &altered);
            assert!(class(refused).is_some(), "{profile} bit {bit}");
        }
        for cut in 0..wire.len() {
            let refused = class(open(profile, 3, 1000, &wire[..cut]));
            assert_eq!(refused, Some(Class::Truncated), "{profile} cut at {cut}");
        }
    }
}

#[test]
fn replayed_swapped_dropped_and_reflected_records_are_refused() {
    for profile in Profile::ALL {
        let wires = [0, 1, 2].map(|n| sealed(profile, n, b"same"));
        for order in [[0, 0, 1], [1, 0, 2], [0, 2, 1]] {
            let stream = order.map(|n: usize| wires[n].clone()).concat();
            let mut opener = Opener::new(profile, key(), 100);
            let mut input = &stream[..];
            let fault = loop {
                match opener.open(&mut input) {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{profile}: nothing was refused"),
                    Err(error) => break error.class(),
                }
            };
            assert_eq!(fault, Some(Class::Auth), "{profile} {order:?}");
        }
        // The other direction has another key.
        let mut other = Opener::new(profile, Secret::from([8; 32]), 100);
        let reflected = other.open(&mut &wires[0][..]);
        assert_eq!(class(reflected), Some(Class::Auth), "{profile}");
    }
}

#[test]
fn trap_05_the_first_failure_poisons() {
    for profile in Profile::ALL {
        let mut bad = sealed(profile, 0, b"first");
        *bad.last_mut().unwrap() ^= 1;
        let mut opener = Opener::new(profile, key(), 100);
        let first = opener.open(&mut &bad[..]).err().unwrap();
        for record in [0, 1] {
            let good = sealed(profile, record, b"next");
            assert_eq!(opener.open(&mut &good[..]).err(), Some(first.clone()));
        }
    }
}

#[test]
fn case_112_less_than_a_tag_is_refused_before_the_body_is_there() {
    for profile in [Profile::A, Profile::B, Profile::V0] {
        for length in [0, 1, 15] {
            let mut head = Vec::new();
            profile.prefix().put(length, &mut head);
            let refused = open(profile, 0, 100, &head);
            assert_eq!(class(refused), Some(Class::Length), "{profile} {length}");
        }
    }
}

#[test]
fn case_113_over_the_limit_is_refused_before_anything_is_allocated() {
    for profile in Profile::ALL {
        let wire = sealed(profile, 0, &[5; 101]);
        let mut opener = Opener::new(profile, key(), 100);
        let head = if profile == Profile::V1 { HEADER } else { 4 };
        let refused = opener.open(&mut &wire[..head]);
        assert_eq!(class(refused), Some(Class::Limit), "{profile}");
        assert_eq!(open(profile, 0, 101, &wire).unwrap(), [5; 101][..]);
        let mut sealer = Sealer::new(profile, key(), 100);
        let mut out = Vec::new();
        assert_eq!(class(sealer.seal(&[5; 101], &mut out)), Some(Class::Limit));
        assert!(out.is_empty());
        sealer.seal(&[5; 100], &mut out).unwrap();
        assert_eq!(open(profile, 0, 100, &out).unwrap(), [5; 100][..]);
    }
}

#[test]
fn a_record_in_pieces_never_has_more_room_than_the_limit() {
    const LIMIT: usize = 100_000;
    for profile in Profile::ALL {
        for length in [0, 1, LIMIT - 1, LIMIT] {
            let wire = sealed(profile, 0, &vec![3; length]);
            for size in [1_000, 1_448, wire.len() - 1] {
                let mut opener = Opener::at(profile, key(), 0, LIMIT);
                let mut opened = None;
                for mut piece in wire.chunks(size) {
                    opened = opened.or(opener.open(&mut piece).unwrap());
                    assert!(opener.room() <= length + TAG, "{}", opener.room());
                }
                assert_eq!(opened.unwrap().len(), length);
            }
        }
        let wire = sealed(profile, 0, &vec![3; LIMIT + 1]);
        let mut opener = Opener::at(profile, key(), 0, LIMIT);
        for mut byte in wire.chunks(1) {
            if opener.open(&mut byte).is_err() {
                break;
            }
            assert_eq!(opener.room(), 0);
        }
        assert_eq!(opener.room(), 0);
        assert_eq!(class(opener.open(&mut &wire[..])), Some(Class::Limit));
    }
}

#[test]
fn case_114_the_byte_order_of_the_nonce_is_the_eras_own() {
    // The first record has one nonce in every byte order; later ones tell.
    assert_eq!(sealed(Profile::A, 0, b"x"), sealed(Profile::B, 0, b"x"));
    let (a, b) = (sealed(Profile::A, 1, b"x"), sealed(Profile::B, 1, b"x"));
    assert_eq!(class(open(Profile::A, 1, 9, &b)), Some(Class::Auth));
    assert_eq!(class(open(Profile::B, 1, 9, &a)), Some(Class::Auth));
}

#[test]
fn case_115_a_forged_v1_header_is_refused_before_its_length_is_believed() {
    let wire = sealed(Profile::V1, 0, b"message");
    for bit in 0..HEADER * 8 {
        let mut head = wire[..HEADER].to_vec();
        head[bit / 8] ^= 1 << (bit % 8);
        let mut opener = Opener::new(Profile::V1, key(), LONGEST);
        let refused = opener.open(&mut &head[..]);
        assert_eq!(class(refused), Some(Class::Auth), "bit {bit}");
    }
}

#[test]
fn counters_end_instead_of_wrapping() {
    for profile in Profile::ALL {
        let last = if profile == Profile::V1 {
            (1 << 95) - 1
        } else {
            (1 << 96) - 1
        };
        let mut sealer = Sealer::at(profile, key(), last, 100);
        let mut opener = Opener::at(profile, key(), last, 100);
        let mut wire = Vec::new();
        sealer.seal(b"last", &mut wire).unwrap();
        let length = wire.len();
        for _ in 0..2 {
            let fault = class(sealer.seal(b"one more", &mut wire));
            assert_eq!(fault, Some(Class::NonceLimit), "{profile}");
        }
        assert_eq!(wire.len(), length, "{profile}: nothing came of the refused");
        let mut input = &wire[..];
        assert_eq!(opener.open(&mut input).unwrap().unwrap(), b"last"[..]);
        let more = sealed(profile, 0, b"one more");
        let fault = class(opener.open(&mut &more[..]));
        assert_eq!(fault, Some(Class::NonceLimit), "{profile}");
    }
}
