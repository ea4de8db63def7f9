//! Every bit of what an end hears, flipped, and every place where it can be cut off.

use super::*;

/// The empty record that proves the key, five bytes, and the end mark.
const LENGTHS: [usize; 3] = [15 + 16, 15 + 5 + 16, 15 + 1 + 16];
/// The sequences of these records, and what is expected next on each channel when they come.
const SEQUENCES: [(u64, [u64; 4]); 3] = [(0, [0, 0, 0, 0]), (0, [1, 0, 0, 0]), (1, [1, 0, 1, 0])];

/// An end that is to be told something, having said what it says first.
fn victim(config: &Config, responds: bool) -> Connection {
    let (mut one, other) = pair(config);
    if responds {
        return other;
    }
    drain(&mut one, &mut Vec::new());
    one
}

/// All that the peer of a victim says.
fn said_to(config: &Config, responds: bool) -> Vec<u8> {
    let (mut one, mut other) = pair(config);
    let peer = if responds { &mut one } else { &mut other };
    peer.write(T0, b"hello").unwrap();
    peer.close_write(T0).unwrap();
    let mut preface = drain(&mut one, &mut Vec::new());
    other.handle(T0, Input::Bytes(&preface)).unwrap();
    let answer = drain(&mut other, &mut Vec::new());
    if !responds {
        return answer;
    }
    one.handle(T0, Input::Bytes(&answer)).unwrap();
    preface.extend(drain(&mut one, &mut Vec::new()));
    preface
}

/// What the wire page has for a flipped bit of a preface.
fn in_preface(at: usize, bit: usize) -> Class {
    match (at, bit) {
        (0..4 | 5, _) => Class::Type,
        (4, _) => Class::Version,
        // Forward secrecy, which only one end wants then.
        (6, 0) => Class::Downgrade,
        (6 | 7, _) => Class::Encoding,
        // Salt and ephemeral key change every key.
        _ => Class::Auth,
    }
}

/// What it has for a flipped bit of this record, behind which `rest` bytes come.
fn in_record(record: usize, at: usize, bit: usize, rest: usize) -> Class {
    let (sequence, next) = SEQUENCES[record];
    let in_order = |sequence: u64, next: u64| match sequence.cmp(&next) {
        core::cmp::Ordering::Less => Class::Replay,
        core::cmp::Ordering::Equal => Class::Auth,
        core::cmp::Ordering::Greater => Class::State,
    };
    match at {
        0..2 => Class::Type,
        2..10 => in_order(sequence ^ (1 << (8 * (9 - at) + bit)), sequence),
        10..14 => {
            let length = LENGTHS[record] - 15;
            let announced = length ^ (1 << (8 * (13 - at) + bit));
            match announced {
                0..16 => Class::Length,
                _ if announced > 1 << 20 => Class::Limit,
                _ if announced > length + rest => Class::Eof,
                _ => Class::Auth,
            }
        }
        // Another channel is another key, and another count; another epoch has not begun.
        14 if bit < 2 => {
            let channel = [0, 2, 0][record] ^ (1 << bit);
            in_order(sequence, next[channel])
        }
        _ => Class::Auth,
    }
}

fn expected(preface: usize, at: usize, bit: usize) -> Class {
    let Some(mut at) = at.checked_sub(preface) else {
        return in_preface(at, bit);
    };
    let mut record = 0;
    while at >= LENGTHS[record] {
        at -= LENGTHS[record];
        record += 1;
    }
    let rest = LENGTHS[record + 1..].iter().sum();
    in_record(record, at, bit, rest)
}

#[test]
fn every_flipped_bit_is_refused_for_what_it_is_and_nothing_behind_it_is_delivered() {
    for algorithm in [Algorithm::Aes256Gcm, Algorithm::XChaCha20Poly1305] {
        for secrecy in [false, true] {
            for responds in [false, true] {
                let config = config(algorithm, secrecy);
                let said = said_to(&config, responds);
                let preface = if secrecy { 72 } else { 40 };
                assert_eq!(said.len(), preface + LENGTHS.iter().sum::<usize>());
                for bit in 0..said.len() * 8 {
                    let what = std::format!("{algorithm:?} {secrecy} {responds} bit {bit}");
                    let mut victim = victim(&config, responds);
                    let mut flipped = said.clone();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    let fed = victim.handle(T0, Input::Bytes(&flipped));
                    let error = fed.and_then(|()| victim.handle(T0, Input::End));
                    let error = error.unwrap_err();
                    let class = expected(preface, bit / 8, bit % 8);
                    assert_eq!(error.class(), Some(class), "{what}");
                    // Records before the flipped one were authentic.
                    let message = preface + LENGTHS[0] + LENGTHS[1];
                    let behind = bit / 8 >= message;
                    let read = read_all(&mut victim);
                    assert_eq!(read, if behind { &b"hello"[..] } else { b"" }, "{what}");
                    // Final, and it repeats, whatever comes.
                    for input in [Input::Time, Input::End, Input::Bytes(&said)] {
                        assert_eq!(victim.handle(T0, input), Err(error.clone()), "{what}");
                    }
                    assert_eq!(victim.write(T0, b"x"), Err(error.clone()), "{what}");
                    assert_eq!(victim.read(T0, &mut [0]), Err(error), "{what}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_flipped_is_delivered_and_every_cut_of_it_is_no_end() {
    for secrecy in [false, true] {
        for responds in [false, true] {
            let config = config(Algorithm::Aes256Gcm, secrecy);
            let said = said_to(&config, responds);
            let mut whole = victim(&config, responds);
            whole.handle(T0, Input::Bytes(&said)).unwrap();
            assert_eq!(read_all(&mut whole), b"hello");
            assert_eq!(whole.read(T0, &mut [0]).unwrap(), Read::End);
            for cut in 0..said.len() {
                let mut victim = victim(&config, responds);
                victim.handle(T0, Input::Bytes(&said[..cut])).unwrap();
                let fault = victim.handle(T0, Input::End);
                assert_eq!(class(fault), Some(Class::Eof), "{responds} {cut}");
            }
        }
    }
}
