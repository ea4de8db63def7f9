use super::*;
use crate::crypto::Rng;
use std::vec;
use std::vec::Vec;

const BLOB: usize = 4 * 1024 * 1024;

fn key() -> Secret {
    Secret::from([0x42; 32])
}

fn spare(plain: &[u8]) -> Vec<u8> {
    let mut chunk = vec![0xaa; PREFIX];
    chunk.extend_from_slice(plain);
    chunk.extend_from_slice(&[0xaa; TAG]);
    chunk
}

fn class<T>(result: Result<T, Error>) -> Option<Class> {
    result.err().and_then(|error| error.class())
}

#[test]
fn chunks_of_all_sizes_come_back() {
    let mut sealer = Sealer::new(key());
    let mut opener = Opener::new(key());
    let mut rng = Rng::from_seed([1; 32]);
    // The Noise limit of 65,535 does not hold for chunks.
    let sizes = [
        0,
        1,
        15,
        16,
        17,
        4096,
        65_519,
        65_520,
        70_000,
        BLOB - OVERHEAD,
    ];
    let mut total = 0;
    for (number, size) in sizes.into_iter().enumerate() {
        let mut plain = vec![0; size];
        rng.fill(&mut plain);
        let mut chunk = spare(&plain);
        assert_eq!(sealer.seal(&mut chunk), Ok(number as u64));
        let (body, rest) = split_first(&chunk, BLOB).unwrap().unwrap();
        assert!(rest.is_empty());
        assert_eq!(body.len(), size + TAG);
        let mut body = body.to_vec();
        assert_eq!(opener.open(&mut body), Ok(size));
        assert_eq!(body[..size], plain);
        total += body.len() as u64;
        assert_eq!(sealer.sealed_bytes(), total);
    }
    assert_eq!(sealer.sequence(), opener.sequence());
}

#[test]
fn a_declared_length_is_refused_before_the_body() {
    for limit in [BLOB, 49_080, 983_040] {
        let most = u32::try_from(limit - PREFIX).unwrap();
        assert_eq!(declared(most.to_be_bytes(), limit), Ok(limit - PREFIX));
        let over = (most + 1).to_be_bytes();
        assert_eq!(class(declared(over, limit)), Some(Class::Limit));
        assert_eq!(class(split_first(&over, limit)), Some(Class::Limit));
        assert_eq!(class(declared([0xff; 4], limit)), Some(Class::Limit));
    }
    for short in 0..TAG as u32 {
        assert_eq!(
            class(declared(short.to_be_bytes(), BLOB)),
            Some(Class::Length)
        );
    }
    assert_eq!(declared(16_u32.to_be_bytes(), BLOB), Ok(16));
}

#[test]
fn a_part_of_a_chunk_is_waited_for() {
    let mut chunk = spare(b"payload");
    Sealer::new(key()).seal(&mut chunk).unwrap();
    for length in 0..chunk.len() {
        assert_eq!(split_first(&chunk[..length], BLOB), Ok(None));
    }
    chunk.push(9);
    let (body, rest) = split_first(&chunk, BLOB).unwrap().unwrap();
    assert_eq!((body.len(), rest), (7 + TAG, &[9][..]));
}

#[test]
fn no_nonce_is_used_twice() {
    let mut sealer = Sealer::at(key(), 7);
    let (mut one, mut two) = (spare(b"same"), spare(b"same"));
    assert_eq!(sealer.seal(&mut one), Ok(7));
    assert_eq!(sealer.seal(&mut two), Ok(8));
    assert_ne!(one, two);
    // Sealing a sealed chunk again is a new chunk with a new nonce, not the old one.
    let before = one.clone();
    assert_eq!(sealer.seal(&mut one), Ok(9));
    assert_ne!(one, before);
}

#[test]
fn misuse_changes_nothing() {
    let mut sealer = Sealer::new(key());
    for length in 0..OVERHEAD {
        let mut chunk = vec![0xaa; length];
        assert!(matches!(sealer.seal(&mut chunk), Err(Error::Misuse(_))));
        assert!(chunk.iter().all(|byte| *byte == 0xaa));
    }
    assert_eq!((sealer.sequence(), sealer.sealed_bytes()), (0, 0));
}

#[test]
fn the_last_nonce_is_never_used() {
    let mut sealer = Sealer::at(key(), u64::MAX - 1);
    let mut chunk = spare(b"last");
    assert_eq!(sealer.seal(&mut chunk), Ok(u64::MAX - 1));
    for _ in 0..3 {
        let mut next = spare(b"one too many");
        assert_eq!(class(sealer.seal(&mut next)), Some(Class::NonceLimit));
        assert_eq!(next, spare(b"one too many"));
    }
    let mut opener = Opener::at(key(), u64::MAX - 1);
    assert_eq!(opener.open(&mut chunk[PREFIX..]), Ok(4));
    let again = opener.open(&mut [0; 20]);
    assert_eq!(class(again), Some(Class::NonceLimit));
}

#[test]
fn every_flipped_bit_is_noticed_and_final() {
    let mut chunk = spare(b"some plaintext");
    Sealer::new(key()).seal(&mut chunk).unwrap();
    for bit in 0..(chunk.len() - PREFIX) * 8 {
        let mut opener = Opener::new(key());
        let mut body = chunk[PREFIX..].to_vec();
        body[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(class(opener.open(&mut body)), Some(Class::Auth));
        let plain = body.len() - TAG;
        assert!(body[..plain].iter().all(|byte| *byte == 0));
        let mut good = chunk[PREFIX..].to_vec();
        assert_eq!(class(opener.open(&mut good)), Some(Class::Auth));
        assert_eq!(opener.sequence(), 0);
    }
}

#[test]
fn replayed_swapped_dropped_and_reflected_chunks_do_not_open() {
    let mut sealer = Sealer::new(key());
    let mut chunks = [spare(b"zero"), spare(b"one"), spare(b"two")];
    for chunk in &mut chunks {
        sealer.seal(chunk).unwrap();
    }
    let run = |order: &[usize], key: Secret| {
        let mut opener = Opener::new(key);
        let opened = order.iter().map(|at| {
            let mut body = chunks[*at][PREFIX..].to_vec();
            opener.open(&mut body).is_ok()
        });
        opened.collect::<Vec<_>>()
    };
    assert_eq!(run(&[0, 1, 2], key()), [true, true, true]);
    assert_eq!(run(&[0, 0, 1], key()), [true, false, false]);
    assert_eq!(run(&[1, 0, 2], key()), [false, false, false]);
    assert_eq!(run(&[0, 2, 1], key()), [true, false, false]);
    assert_eq!(run(&[0], Secret::from([0x43; 32])), [false]);
}

#[test]
fn a_tag_cut_to_twelve_bytes_does_not_open() {
    let mut chunk = spare(b"payload");
    Sealer::new(key()).seal(&mut chunk).unwrap();
    let end = chunk.len() - 4;
    let opened = Opener::new(key()).open(&mut chunk[PREFIX..end]);
    assert_eq!(class(opened), Some(Class::Auth));
    let opened = Opener::new(key()).open(&mut chunk[PREFIX..PREFIX + 15]);
    assert_eq!(class(opened), Some(Class::Length));
}
