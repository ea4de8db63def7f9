//! Every bit of a handshake, flipped: what is altered is refused at once, and for what it is.

use super::world::{End, Pair, UNIX, anyone, config, flights};
use std::time::Duration;
use stillwire_core::commonware::Profile;
use stillwire_core::crypto::ed25519;
use stillwire_core::{Channel, Class, Error, Streamed};

/// What a part of a flight says (wire page: the message tables of the eras).
#[derive(Clone, Copy)]
enum Part {
    /// The length of a frame.
    Prefix,
    /// A public key of Ed25519: of the dialer, or of who signs.
    Identity,
    /// Era a: whom a Hello is for.
    Recipient,
    /// Milliseconds, eight bytes.
    Time,
    /// Era a: milliseconds, a varint; of six bytes at this time.
    Varint,
    /// Era a: whether a tag follows.
    Option,
    /// Signed, a signature, or a confirmation.
    Bound,
}

use Part::{Bound, Identity, Option as Tagged, Prefix, Recipient, Time, Varint};

fn parts(profile: Profile, flight: usize) -> Vec<(Part, usize)> {
    let fixed = matches!(profile, Profile::A | Profile::B);
    let prefix = |varint| (Prefix, if fixed { 4 } else { varint });
    let hello = [
        prefix(0),
        (Recipient, 32),
        (Bound, 32),
        (Varint, 6),
        (Tagged, 1),
    ];
    match (profile, flight) {
        (Profile::A, 0) => [&hello[..], &[(Identity, 32), (Bound, 64)]].concat(),
        // The tag; who signs; signature and confirmation.
        (Profile::A, 1) => [&hello[..], &[(Bound, 32), (Identity, 32), (Bound, 80)]].concat(),
        (Profile::A, _) => vec![prefix(0), (Bound, 16)],
        (_, 0) => vec![
            prefix(1),
            (Identity, 32),
            prefix(1),
            (Time, 8),
            (Bound, 32 + 64),
        ],
        (_, 1) => vec![prefix(2), (Time, 8), (Bound, 32 + 64 + 32)],
        (_, _) => vec![prefix(1), (Bound, 32)],
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    AtOnce(Class),
    /// A longer frame was announced than ever comes.
    AtTheDeadline,
}

use Outcome::{AtOnce, AtTheDeadline};

fn prefix(profile: Profile, flight: usize, size: usize, from: &[u8]) -> Outcome {
    if !matches!(profile, Profile::A | Profile::B) {
        return AtOnce(if canonical(from).is_some() {
            Class::Length
        } else {
            Class::Encoding
        });
    }
    let announced = u32::from_be_bytes(*from.first_chunk().unwrap()) as usize;
    // A Hello has a time of one to ten bytes and a tag or none.
    let sizes = match (profile, flight) {
        (Profile::A, 0) => 162..=203,
        (Profile::A, 1) => 178..=219,
        _ => size..=size,
    };
    if announced > size && sizes.contains(&announced) {
        return AtTheDeadline;
    }
    AtOnce(Class::Length)
}

/// The varint of 32 bits at the start, if it is one.
fn canonical(bytes: &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            let needless = *byte == 0 && index > 0;
            return (!needless && u32::try_from(value).is_ok()).then_some(value);
        }
    }
    None
}

/// A time that many milliseconds off: ten seconds back are taken, and less than five ahead.
fn time(millis: u64) -> Class {
    let now = UNIX.as_millis();
    if millis < now - 10_000 {
        Class::Stale
    } else if millis >= now + 5_000 {
        Class::Future
    } else {
        Class::Auth
    }
}

/// What becomes of `altered`, which is `said` save for this bit.
fn expected(profile: Profile, flight: usize, said: &[u8], altered: &[u8], bit: usize) -> Outcome {
    let mut start = 0;
    let mut parts = parts(profile, flight).into_iter();
    let (part, length) = loop {
        let (part, length) = parts.next().unwrap();
        if bit / 8 < start + length {
            break (part, length);
        }
        start += length;
    };
    let within = &altered[start..start + length];
    match part {
        Prefix => {
            let rest = &altered[start..];
            prefix(profile, flight, said.len() - start - length, rest)
        }
        // One that can be an identity has signed nothing.
        Identity if ed25519::check(within.try_into().unwrap()).is_ok() => AtOnce(Class::Auth),
        Identity | Recipient => AtOnce(Class::Identity),
        Time => AtOnce(time(u64::from_be_bytes(within.try_into().unwrap()))),
        // The time ends at another byte, and no option byte follows.
        Varint if bit % 8 == 7 => AtOnce(Class::Encoding),
        Varint => {
            let groups = within.iter().rev();
            let millis = groups.fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
            AtOnce(time(millis))
        }
        // A tag that is not there, or one that nobody reads.
        Tagged if bit.is_multiple_of(8) => AtOnce(Class::Length),
        Tagged => AtOnce(Class::Encoding),
        Bound => AtOnce(Class::Auth),
    }
}

/// The end that this flight is for, where it waits for it.
fn victim(
    profile: Profile,
    flight: usize,
    flights: &[Vec<u8>; 3],
) -> (End, stillwire_core::Instant) {
    let pair = Pair::new(&config(profile), anyone());
    let (mut victim, now) = (
        if flight == 1 {
            pair.dialer
        } else {
            pair.listener
        },
        pair.now,
    );
    if flight == 2 {
        victim.feed(now, &flights[0]).unwrap();
    }
    (victim, now)
}

/// How the end takes a flight behind which nothing comes.
fn give(profile: Profile, flight: usize, flights: &[Vec<u8>; 3], bytes: &[u8]) -> Outcome {
    let (mut victim, now) = victim(profile, flight, flights);
    let fed = victim.feed(now, bytes);
    assert!(!victim.is_established(), "{profile} {flight}");
    let (error, outcome) = if let Err(error) = fed {
        let outcome = AtOnce(error.class().unwrap());
        (error, outcome)
    } else {
        assert_eq!(victim.closed(), None);
        assert!(victim.machine.wants_bytes());
        let late = now.after(Duration::from_secs(60));
        victim.drain(late);
        let error = victim.machine.error().unwrap().clone();
        assert!(matches!(error, Error::Timeout(_)), "{error}");
        (error, AtTheDeadline)
    };
    assert_eq!(victim.closed(), Some(&Err(error.clone())));
    // It stays so, whatever comes.
    assert_eq!(victim.feed(now, &flights[flight]), Err(error));
    assert!(!victim.is_established());
    outcome
}

#[test]
fn flights_are_made_of_the_parts_that_the_page_names() {
    for profile in Profile::ALL {
        let flights = flights(profile);
        for flight in 0..3 {
            let length: usize = parts(profile, flight).iter().map(|part| part.1).sum();
            assert_eq!(flights[flight].len(), length, "{profile} {flight}");
            let (mut victim, now) = victim(profile, flight, &flights);
            victim.feed(now, &flights[flight]).unwrap();
            assert_eq!(victim.is_established(), flight > 0, "{profile} {flight}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_handshake_is_refused_at_once_and_for_what_it_is() {
    let mut stalled = 0;
    for profile in Profile::ALL {
        let flights = flights(profile);
        for flight in 0..3 {
            let said = &flights[flight];
            for bit in 0..said.len() * 8 {
                let mut altered = said.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                let outcome = give(profile, flight, &flights, &altered);
                let expected = expected(profile, flight, said, &altered, bit);
                assert_eq!(outcome, expected, "{profile} {flight} bit {bit}");
                stalled += usize::from(outcome == AtTheDeadline);
            }
        }
    }
    // A Hello of 167 bytes that is announced as one of 175 or 183.
    assert_eq!(stalled, 2);
}
