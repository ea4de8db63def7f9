use super::*;
use crate::crypto::tests::{hex, hex32, low_order};
use std::vec;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Aes256Gcm, Algorithm::XChaCha20Poly1305];

fn psk(byte: u8) -> Psk {
    Psk::new(vec![byte; 32]).unwrap()
}

fn keys(schedule: &Schedule) -> Vec<([u8; 32], [u8; 24])> {
    let mut all = Vec::new();
    for direction in [
        Direction::InitiatorToResponder,
        Direction::ResponderToInitiator,
    ] {
        for channel in ChannelId::ALL {
            for epoch in [0, 1, 64, u32::MAX] {
                let key = schedule.key(direction, channel, epoch).unwrap();
                all.push((*key.key.as_bytes(), *key.nonce));
            }
        }
    }
    all
}

/// Runs both sides; the responder's preface goes through `alter`.
fn run(
    algorithm: Algorithm,
    secrecy: (bool, bool),
    psks: (u8, u8),
    alter: impl Fn(&mut Vec<u8>),
) -> Result<(Schedule, Schedule), Error> {
    run_altering(algorithm, secrecy, psks, [&|_| {}, &alter])
}

type Alter<'a> = &'a dyn Fn(&mut Vec<u8>);

/// Runs both sides; the initiator's preface goes through the first, the responder's through the
/// second.
fn run_altering(
    algorithm: Algorithm,
    secrecy: (bool, bool),
    psks: (u8, u8),
    [alter_first, alter_second]: [Alter<'_>; 2],
) -> Result<(Schedule, Schedule), Error> {
    let mut rng = Rng::from_seed([5; 32]);
    let (initiator, mut first) = Initiator::start(psk(psks.0), algorithm, secrecy.0, &mut rng);
    let responder = Responder::new(psk(psks.1), algorithm, secrecy.1, &mut rng);
    alter_first(&mut first);
    let (theirs, mut second) = responder.accept(&first)?;
    alter_second(&mut second);
    Ok((initiator.finish(&second)?, theirs))
}

fn class<T>(result: Result<T, Error>) -> Option<Class> {
    result.err().and_then(|error| error.class())
}

#[test]
fn both_sides_get_the_same_keys_and_no_two_are_alike() {
    for algorithm in ALGORITHMS {
        for secrecy in [false, true] {
            let (ours, theirs) = run(algorithm, (secrecy, secrecy), (1, 1), |_| {}).unwrap();
            let all = keys(&ours);
            assert_eq!(all, keys(&theirs));
            for (at, one) in all.iter().enumerate() {
                assert!(all[..at].iter().all(|other| other.0 != one.0));
                assert!(all[..at].iter().all(|other| other.1 != one.1));
            }
        }
    }
}

#[test]
fn another_secret_gives_other_keys() {
    for secrecy in [false, true] {
        let (ours, theirs) = run(Algorithm::Aes256Gcm, (secrecy, secrecy), (1, 2), |_| {}).unwrap();
        for (one, other) in keys(&ours).iter().zip(keys(&theirs)) {
            assert_ne!(one.0, other.0);
        }
    }
}

#[test]
fn every_flipped_bit_of_either_preface_is_refused_or_changes_every_key() {
    for algorithm in ALGORITHMS {
        for secrecy in [false, true] {
            let bits = if secrecy { 72 * 8 } else { 40 * 8 };
            for (victim, bit) in ["responder", "initiator"]
                .into_iter()
                .flat_map(|victim| (0..bits).map(move |bit| (victim, bit)))
            {
                let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
                let alter: [Alter<'_>; 2] = match victim {
                    "responder" => [&flip, &|_| {}],
                    _ => [&|_| {}, &flip],
                };
                let ran = run_altering(algorithm, (secrecy, secrecy), (1, 1), alter);
                let Ok((ours, theirs)) = ran else {
                    assert!(
                        bit < 64,
                        "{victim}: bit {bit} of the random part was refused"
                    );
                    continue;
                };
                assert!(
                    bit >= 64,
                    "{victim}: bit {bit} of the fixed part went unseen"
                );
                // X25519 ignores the top bit of a public key, the hash of the prefaces does not.
                for (one, other) in keys(&ours).iter().zip(keys(&theirs)) {
                    assert_ne!(one.0, other.0, "{victim}: bit {bit}");
                    assert_ne!(one.1, other.1, "{victim}: bit {bit}");
                }
            }
        }
    }
}

#[test]
fn every_truncation_of_either_preface_and_every_byte_behind_it_is_refused() {
    for secrecy in [false, true] {
        let whole = if secrecy { 72 } else { 40 };
        for length in (0..whole).chain([whole + 1, whole + 32]) {
            let cut = |bytes: &mut Vec<u8>| bytes.resize(length, 0);
            let alters: [[Alter<'_>; 2]; 2] = [[&cut, &|_| {}], [&|_| {}, &cut]];
            for alter in alters {
                let ran = run_altering(ALGORITHMS[0], (secrecy, secrecy), (1, 1), alter);
                let expected = if length < whole {
                    Class::Truncated
                } else {
                    Class::Length
                };
                assert_eq!(class(ran), Some(expected), "{length}");
            }
        }
    }
}

#[test]
fn nothing_is_negotiated() {
    for algorithm in ALGORITHMS {
        let fault = run(algorithm, (true, false), (1, 1), |_| {});
        assert_eq!(class(fault), Some(Class::Downgrade));
        let fault = run(algorithm, (false, true), (1, 1), |_| {});
        assert_eq!(class(fault), Some(Class::Downgrade));
    }
    let other = |bytes: &mut Vec<u8>| bytes[5] ^= 3;
    let fault = run(Algorithm::Aes256Gcm, (false, false), (1, 1), other);
    assert_eq!(class(fault), Some(Class::Downgrade));
}

#[test]
fn a_low_order_key_is_refused() {
    for key in low_order() {
        let replace = |bytes: &mut Vec<u8>| bytes[40..].copy_from_slice(&key);
        let fault = run(Algorithm::Aes256Gcm, (true, true), (1, 1), replace);
        assert_eq!(class(fault), Some(Class::WeakKey), "{key:02x?}");
    }
}

#[test]
fn a_short_secret_is_refused() {
    assert_eq!(class(Psk::new(vec![1; 31])), Some(Class::WeakKey));
    assert_eq!(class(Psk::new(vec![])), Some(Class::WeakKey));
    assert!(Psk::new(vec![1; 33]).is_ok());
}

#[test]
fn a_reflected_preface_is_refused() {
    let mut rng = Rng::from_seed([5; 32]);
    let (initiator, first) = Initiator::start(psk(1), Algorithm::Aes256Gcm, false, &mut rng);
    assert_eq!(class(initiator.finish(&first)), Some(Class::Replay));
}

#[test]
fn the_preface_holds_no_secret() {
    let mut rng = Rng::from_seed([5; 32]);
    let secret = rng.array::<32>();
    let psk = || Psk::new(secret.to_vec()).unwrap();
    let (_, first) = Initiator::start(psk(), Algorithm::Aes256Gcm, true, &mut rng);
    let responder = Responder::new(psk(), Algorithm::Aes256Gcm, true, &mut rng);
    let (_, second) = responder.accept(&first).unwrap();
    for preface in [first, second] {
        assert_eq!(preface.len(), 72);
        for run in secret.windows(4) {
            assert!(preface.windows(4).all(|found| found != run));
        }
    }
}

// packetfs-keys-0012: the X25519 result is mixed in behind the pre-shared key.
#[test]
fn forward_secrecy_of_the_shared_vectors() {
    let preface = |text: &str| Preface::decode(&hex(text)).unwrap();
    let initiator = preface(
        "5046534f010101001ff90c8ad4159b19062ec48cc5cf4b79e21343208544bb5e0abf9bd4e499a8901e2ab887\
         73a7c439f527bc95b6fb5cf72f73e6045fa691adfee4b177c44b631e",
    );
    let responder = preface(
        "5046534f01010100728a82ece7834fd5ba427d21cb2e52f8a1115fb9ca4803f8414b25b86460d880758fbcfa\
         4a9db50447398f10788607e63eb9418ae0612bbe7a55d52f0cb71575",
    );
    let psk = Psk::new(hex(
        "90105376e248a3f350248ec339d16895a9e54f676ec3a5004346baa2216ed88e",
    ))
    .unwrap();
    let dh = hex32("782342a47ddf577915437a18fbe71b647ba64f4ee755699273791600811029cf");
    let schedule = Schedule::derive(&psk, &initiator, &responder, Some(&dh)).unwrap();
    let key = schedule
        .key(Direction::InitiatorToResponder, ChannelId::Payload, 0)
        .unwrap();
    assert_eq!(
        key.key.as_bytes(),
        &hex32("a3ee9f6af7d1d8aeb0585013391539d1a3fc465c6ecbe34dfcd00cfeb65d6c9f")
    );
    assert_eq!(key.nonce[..12].to_vec(), hex("32eca642766ad18999c5424a"));
    let class = |dh| class(Schedule::derive(&psk, &initiator, &responder, dh));
    assert_eq!(class(None), Some(Class::State));
    assert_eq!(class(Some(&[0; 32])), Some(Class::WeakKey));
}

/// Both think that they opened the connection: each hashes its own preface first.
#[test]
fn decided_prefaces_are_hashed_initiator_first_so_that_a_swap_changes_every_key() {
    for secrecy in [false, true] {
        let mut rng = Rng::from_seed([5; 32]);
        let mut start = || Initiator::start(psk(1), Algorithm::Aes256Gcm, secrecy, &mut rng);
        let ((one, first), (other, second)) = (start(), start());
        let (ours, theirs) = (one.finish(&second).unwrap(), other.finish(&first).unwrap());
        for ours in keys(&ours) {
            for theirs in keys(&theirs) {
                assert!(ours.0 != theirs.0 && ours.1 != theirs.1);
            }
        }
    }
}

/// The page's 57 bytes of info, put together by hand.
#[test]
fn decided_the_direction_is_ascii() {
    let mut rng = Rng::from_seed([5; 32]);
    let (initiator, first) = Initiator::start(psk(1), Algorithm::Aes256Gcm, false, &mut rng);
    let responder = Responder::new(psk(1), Algorithm::Aes256Gcm, false, &mut rng);
    let (schedule, second) = responder.accept(&first).unwrap();
    drop(initiator);
    let salt = [&first[8..40], &second[8..40]].concat();
    let extracted = ::hkdf::Hkdf::<Sha256>::new(Some(&salt), &[1; 32]);
    let prefaces = Sha256::digest([&first[..], &second[..]].concat());
    for (direction, ascii) in [
        (Direction::InitiatorToResponder, b"i2r"),
        (Direction::ResponderToInitiator, b"r2i"),
    ] {
        let head = [&b"stillwire pfs v1"[..], &[1, 2], ascii, &[0, 0, 0, 7]].concat();
        let info = [&head[..], &prefaces[..]].concat();
        assert_eq!(info.len(), 57);
        let mut expected = [0; 44];
        extracted.expand(&info, &mut expected).unwrap();
        let key = schedule.key(direction, ChannelId::Payload, 7).unwrap();
        assert_eq!(key.key.as_bytes()[..], expected[..32]);
        assert_eq!(key.nonce[..12], expected[32..]);
    }
}
