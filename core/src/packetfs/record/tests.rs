use super::*;
use crate::crypto::tests::{hex, hex32};
use crate::packetfs::wire::header::LIMIT;
use std::vec::Vec;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Aes256Gcm, Algorithm::XChaCha20Poly1305];

fn key(byte: u8) -> Key {
    Key {
        key: crate::crypto::Secret::from([byte; 32]),
        nonce: Zeroizing::new([byte; 24]),
    }
}

fn seal(sealer: &mut Sealer, plain: &[u8]) -> Vec<u8> {
    let mut record = std::vec![0; sealed_length(plain.len())];
    record[HEADER..HEADER + plain.len()].copy_from_slice(plain);
    sealer.seal(&mut record, LIMIT).unwrap();
    record
}

fn open(opener: &Opener, record: &[u8]) -> Result<Vec<u8>, Error> {
    let mut record = record.to_vec();
    let (_, bytes, body) = Header::split(&mut record, LIMIT)?;
    let length = opener.open(&bytes, body)?;
    Ok(body[..length].to_vec())
}

fn class<T>(result: Result<T, Error>) -> Option<Class> {
    result.err().and_then(|error| error.class())
}

// packetfs-record-0001 and -0036.
#[test]
fn bytes_of_the_shared_vectors() {
    let mut nonce = Zeroizing::new([0; 24]);
    nonce[..12].copy_from_slice(&hex("2b2d1abb0e4d6ce9977a7695"));
    let aes = Key {
        key: crate::crypto::Secret::from(hex32(
            "8407e868943071e107c21d5595ccd0b71448b0aa96b7a98520004e24cf627e5a",
        )),
        nonce,
    };
    let algorithm = Algorithm::Aes256Gcm;
    let mut sealer = Sealer::at(algorithm, &aes, ChannelId::Payload, 0, 513_440);
    let plain = hex(
        "7568ef74c95dd1b065d81c83b7feae47bd3cc16a4a0dd6bfcb798bc7a5e5dec23614e1fcc473a3c6fd863d9b\
         20",
    );
    let wire = hex(
        "5046000000000007d5a00000003d02a6ab700f85ace8c80522341be0679e9d2a1b160b57d54fc64edb849828\
         ecbaa239a34a2e05593e7c947853a9ebf59e4b834f77360eb6a0c9c0e4c95f46",
    );
    assert_eq!(seal(&mut sealer, &plain), wire);
    let opener = Opener::new(algorithm, &aes, ChannelId::Payload, 0);
    assert_eq!(open(&opener, &wire).unwrap(), plain);

    let xchacha = Key {
        key: crate::crypto::Secret::from(hex32(
            "c7ca44ae8beefff807bde1b725f69821dd240042f7a11f4d64c28886c126a1de",
        )),
        nonce: Zeroizing::new(
            hex("328d9355bb88a65c216a407176046d60c725d37ae332ee98")
                .try_into()
                .unwrap(),
        ),
    };
    let algorithm = Algorithm::XChaCha20Poly1305;
    let mut sealer = Sealer::new(algorithm, &xchacha, ChannelId::Control, 0);
    let wire = hex("504600000000000000000000001000c5e56567e3a9fcbc20a3058268f6a5ed");
    assert_eq!(seal(&mut sealer, &[]), wire);
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    for algorithm in ALGORITHMS {
        let mut sealer = Sealer::new(algorithm, &key(1), ChannelId::Payload, 7);
        let opener = Opener::new(algorithm, &key(1), ChannelId::Payload, 7);
        let record = seal(&mut sealer, b"still");
        assert_eq!(open(&opener, &record).unwrap(), b"still");
        for bit in 0..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&opener, &flipped).is_err(), "bit {bit}");
        }
        for cut in 0..record.len() {
            let found = class(open(&opener, &record[..cut]));
            assert_eq!(found, Some(Class::Truncated), "{cut}");
        }
    }
}

#[test]
fn the_sequence_of_the_header_is_authenticated() {
    for algorithm in ALGORITHMS {
        let mut sealer = Sealer::new(algorithm, &key(1), ChannelId::Payload, 0);
        let opener = Opener::new(algorithm, &key(1), ChannelId::Payload, 0);
        let mut record = seal(&mut sealer, b"still");
        record[9] = 1;
        assert_eq!(class(open(&opener, &record)), Some(Class::Auth));
    }
}

#[test]
fn flags_are_compared_with_the_key_in_use() {
    // The same key under other flags, which the tag alone would let pass.
    for algorithm in ALGORITHMS {
        for (channel, epoch) in [
            (ChannelId::Control, 0),
            (ChannelId::Repair, 0),
            (ChannelId::Payload, 1),
            (ChannelId::Payload, 63),
        ] {
            let mut sealer = Sealer::new(algorithm, &key(1), channel, epoch);
            let record = seal(&mut sealer, b"still");
            let opener = Opener::new(algorithm, &key(1), ChannelId::Payload, 0);
            assert_eq!(class(open(&opener, &record)), Some(Class::Auth));
            let opener = Opener::new(algorithm, &key(1), channel, epoch);
            assert!(open(&opener, &record).is_ok());
        }
    }
}

#[test]
fn another_key_or_nonce_base_is_refused() {
    for algorithm in ALGORITHMS {
        let mut sealer = Sealer::new(algorithm, &key(1), ChannelId::Payload, 0);
        let record = seal(&mut sealer, b"still");
        let opener = Opener::new(algorithm, &key(2), ChannelId::Payload, 0);
        assert_eq!(class(open(&opener, &record)), Some(Class::Auth));
        let mut other = key(1);
        other.nonce[11] ^= 1;
        let opener = Opener::new(algorithm, &other, ChannelId::Payload, 0);
        assert_eq!(class(open(&opener, &record)), Some(Class::Auth));
    }
}

#[test]
fn the_last_sequence_is_two_below_the_end() {
    for algorithm in ALGORITHMS {
        let mut sealer = Sealer::at(algorithm, &key(1), ChannelId::Payload, 0, u64::MAX - 1);
        let record = seal(&mut sealer, b"last");
        let opener = Opener::new(algorithm, &key(1), ChannelId::Payload, 0);
        assert_eq!(open(&opener, &record).unwrap(), b"last");
        for _ in 0..2 {
            let mut record = std::vec![0x55; OVERHEAD + 4];
            let fault = sealer.seal(&mut record, LIMIT);
            assert_eq!(class(fault), Some(Class::NonceLimit));
            assert!(record.iter().all(|byte| *byte == 0x55));
        }
        let mut forged = record;
        forged[9] = 0xff;
        assert_eq!(class(open(&opener, &forged)), Some(Class::NonceLimit));
    }
}

#[test]
fn a_record_over_the_limit_is_not_sealed_and_costs_no_sequence() {
    let mut sealer = Sealer::new(Algorithm::Aes256Gcm, &key(1), ChannelId::Payload, 0);
    let mut record = std::vec![0; sealed_length(45)];
    assert_eq!(class(sealer.seal(&mut record, 60)), Some(Class::Limit));
    assert_eq!(sealer.next(), 0);
    assert!(sealer.seal(&mut record, 61).is_ok());
    assert!(sealer.seal(&mut [0; OVERHEAD - 1], 61).is_err());
    assert_eq!(sealer.next(), 1);
}

#[test]
fn streams_take_the_next_sequence_and_no_other() {
    assert!(in_order(5, 5).is_ok());
    assert_eq!(class(in_order(4, 5)), Some(Class::Replay));
    assert_eq!(class(in_order(6, 5)), Some(Class::State));
    assert_eq!(class(in_order(u64::MAX, u64::MAX)), Some(Class::NonceLimit));
    assert_eq!(class(in_order(u64::MAX, 0)), Some(Class::NonceLimit));
}
