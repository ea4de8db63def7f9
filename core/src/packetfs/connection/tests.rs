use super::*;
use crate::error::Timer;
use crate::machine::{Channel, Messages, Read, Received};
use crate::packetfs::wire::control::announcement;
use crate::packetfs::wire::{Algorithm, Direction};
use crate::packetfs::{Opener, Schedule, Sealer};
use core::time::Duration;
use std::vec;
use std::vec::Vec;

const T0: Instant = Instant::ZERO;

fn config(algorithm: Algorithm, forward_secrecy: bool) -> Config {
    Config {
        algorithm,
        forward_secrecy,
        ..Config::default()
    }
}

fn psk(byte: u8) -> Psk {
    Psk::new(vec![byte; 32]).unwrap()
}

fn pair(config: &Config) -> (Connection, Connection) {
    let rng = |byte| Rng::from_seed([byte; 32]);
    (
        Connection::initiator(config.clone(), psk(1), rng(1), T0),
        Connection::responder(config.clone(), psk(1), rng(2), T0),
    )
}

/// Everything that `end` has to transmit; events go to `events`.
fn drain(end: &mut Connection, events: &mut Vec<Event>) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        match end.poll(T0) {
            Output::Transmit(bytes) => out.extend_from_slice(&bytes),
            Output::Event(event) => events.push(event),
            Output::Wait(_) => return out,
            Output::Store(_) => unreachable!("no storage here"),
        }
    }
}

/// Moves bytes both ways, `step` at a time, until nothing moves.
fn settle(one: &mut Connection, other: &mut Connection, step: usize) -> [Vec<Event>; 2] {
    let mut events = [Vec::new(), Vec::new()];
    loop {
        let there = drain(one, &mut events[0]);
        for part in there.chunks(step) {
            other.handle(T0, Input::Bytes(part)).unwrap();
        }
        let back = drain(other, &mut events[1]);
        for part in back.chunks(step) {
            one.handle(T0, Input::Bytes(part)).unwrap();
        }
        if there.is_empty() && back.is_empty() {
            return events;
        }
    }
}

/// Two ends that have proved themselves.
fn established(config: &Config) -> (Connection, Connection) {
    let (mut one, mut other) = pair(config);
    settle(&mut one, &mut other, usize::MAX);
    assert!(one.is_established() && other.is_established());
    (one, other)
}

fn read_all(end: &mut Connection) -> Vec<u8> {
    let mut out = Vec::new();
    let mut buf = [0; 1_000];
    while let Ok(Read::Data(n)) = end.read(T0, &mut buf) {
        out.extend_from_slice(&buf[..n]);
    }
    out
}

fn class(result: Result<(), Error>) -> Option<Class> {
    result.err().and_then(|error| error.class())
}

#[test]
fn bytes_both_ways_in_any_split_and_an_authentic_end() {
    for algorithm in [Algorithm::Aes256Gcm, Algorithm::XChaCha20Poly1305] {
        for secrecy in [false, true] {
            for step in [1, 7, usize::MAX] {
                let (mut one, mut other) = pair(&config(algorithm, secrecy));
                assert_eq!(one.write(T0, b"there").unwrap(), 5);
                assert_eq!(other.write(T0, b"and back").unwrap(), 8);
                one.close_write(T0).unwrap();
                other.close_write(T0).unwrap();
                let events = settle(&mut one, &mut other, step);
                for events in events {
                    let expected = [
                        Event::Established,
                        Event::PeerFinished,
                        Event::Closed(Ok(())),
                    ];
                    assert_eq!(events, expected);
                }
                assert_eq!(read_all(&mut other), b"there");
                assert_eq!(read_all(&mut one), b"and back");
                for end in [&mut one, &mut other] {
                    assert_eq!(end.read(T0, &mut [0]).unwrap(), Read::End);
                    assert!(end.is_finished() && end.has_sent_all() && !end.wants_bytes());
                }
            }
        }
    }
}

#[test]
fn messages_keep_their_borders_and_empty_ones_arrive() {
    let (mut one, mut other) = established(&Config::default());
    let longest = one.longest_message();
    let messages = [vec![], vec![1], vec![], vec![2; 70_000], vec![3; longest]];
    for message in &messages {
        assert!(one.send(T0, message).unwrap());
    }
    let fault = one.send(T0, &vec![0; longest + 1]);
    assert!(matches!(fault, Err(Error::Misuse(_))));
    settle(&mut one, &mut other, 1 << 16);
    for message in messages {
        let received = other.receive(T0).unwrap();
        assert_eq!(received, Received::Message(message.into()));
    }
    assert_eq!(other.receive(T0).unwrap(), Received::Pending);
    one.close_write(T0).unwrap();
    settle(&mut one, &mut other, 1);
    assert_eq!(other.receive(T0).unwrap(), Received::End);
}

#[test]
fn an_empty_record_is_no_end_of_a_byte_stream() {
    let (mut one, mut other) = established(&Config::default());
    one.send(T0, &[]).unwrap();
    settle(&mut one, &mut other, 1);
    assert_eq!(other.read(T0, &mut [0]).unwrap(), Read::Pending);
}

#[test]
fn whoever_reads_bytes_is_told_to_make_room_when_empty_messages_fill_it() {
    let config = Config {
        receive_buffer: 4_096,
        ..Config::default()
    };
    let (mut one, mut other) = established(&config);
    while other.wants_bytes() {
        one.send(T0, &[]).unwrap();
        settle(&mut one, &mut other, 100);
    }
    assert!(other.is_readable());
    assert_eq!(other.read(T0, &mut [0]).unwrap(), Read::Pending);
    assert!(other.wants_bytes() && !other.is_readable());
}

#[test]
fn wrong_keys_are_found_before_anything_is_delivered() {
    let config = Config::default();
    let mut one = Connection::initiator(config.clone(), psk(1), Rng::from_seed([1; 32]), T0);
    let mut other = Connection::responder(config, psk(2), Rng::from_seed([2; 32]), T0);
    one.write(T0, b"secret").unwrap();
    let mut events = Vec::new();
    let there = drain(&mut one, &mut events);
    other.handle(T0, Input::Bytes(&there)).unwrap();
    let back = drain(&mut other, &mut events);
    assert_eq!(
        class(one.handle(T0, Input::Bytes(&back))),
        Some(Class::Auth)
    );
    assert!(!one.is_established());
    // Final, and it repeats.
    assert_eq!(class(one.handle(T0, Input::Time)), Some(Class::Auth));
    assert_eq!(
        one.write(T0, b"x").err().and_then(|e| e.class()),
        Some(Class::Auth)
    );
    let mut events = Vec::new();
    // What was due drains: one empty record, that we hold our key. What was written does not.
    assert_eq!(drain(&mut one, &mut events).len(), 15 + 16);
    assert_eq!(events, [Event::Closed(Err(Error::auth()))]);
    assert!(one.is_finished());
}

#[test]
fn nothing_is_negotiated_on_the_wire() {
    let aes = config(Algorithm::Aes256Gcm, true);
    for theirs in [
        config(Algorithm::XChaCha20Poly1305, true),
        config(Algorithm::Aes256Gcm, false),
    ] {
        let mut one = Connection::initiator(aes.clone(), psk(1), Rng::from_seed([1; 32]), T0);
        let mut other = Connection::responder(theirs, psk(1), Rng::from_seed([2; 32]), T0);
        let there = drain(&mut one, &mut Vec::new());
        let fault = other.handle(T0, Input::Bytes(&there));
        assert_eq!(class(fault), Some(Class::Downgrade));
        assert!(drain(&mut other, &mut Vec::new()).is_empty());
    }
}

#[test]
fn records_replayed_swapped_dropped_or_reflected_are_refused() {
    let messages: [&[u8]; 3] = [b"one", b"two", b"three"];
    let records = || {
        let (mut one, mut other) = established(&Config::default());
        let sealed = messages.map(|message| {
            one.send(T0, message).unwrap();
            drain(&mut one, &mut Vec::new())
        });
        other.handle(T0, Input::Bytes(&sealed[0])).unwrap();
        (one, other, sealed)
    };
    let (_, mut other, sealed) = records();
    let fault = other.handle(T0, Input::Bytes(&sealed[0]));
    assert_eq!(class(fault), Some(Class::Replay));
    let (_, mut other, sealed) = records();
    let fault = other.handle(T0, Input::Bytes(&sealed[2]));
    assert_eq!(class(fault), Some(Class::State));
    let (mut one, _, sealed) = records();
    // Our own record comes back: another direction, another key.
    let fault = one.handle(T0, Input::Bytes(&sealed[0]));
    assert_eq!(class(fault), Some(Class::Auth));
    let (_, mut other, sealed) = records();
    other.handle(T0, Input::Bytes(&sealed[1])).unwrap();
    other.handle(T0, Input::Bytes(&sealed[2])).unwrap();
    assert_eq!(read_all(&mut other), b"onetwothree");
}

#[test]
fn a_recorded_session_does_not_replay() {
    let (mut one, mut other) = pair(&Config::default());
    one.write(T0, b"pay").unwrap();
    let mut recorded = drain(&mut one, &mut Vec::new());
    other.handle(T0, Input::Bytes(&recorded)).unwrap();
    let answer = drain(&mut other, &mut Vec::new());
    one.handle(T0, Input::Bytes(&answer)).unwrap();
    recorded.extend(drain(&mut one, &mut Vec::new()));
    let mut again = Connection::responder(Config::default(), psk(1), Rng::from_seed([3; 32]), T0);
    let fault = again.handle(T0, Input::Bytes(&recorded));
    assert_eq!(class(fault), Some(Class::Auth));
    assert!(read_all(&mut again).is_empty());
}

#[test]
fn a_stream_that_is_cut_off_is_no_end() {
    let (mut one, mut other) = established(&Config::default());
    one.write(T0, b"half").unwrap();
    settle(&mut one, &mut other, 1);
    assert_eq!(class(other.handle(T0, Input::End)), Some(Class::Eof));
    // What was authentic is still there; then comes the error.
    assert_eq!(read_all(&mut other), b"half");
    assert!(other.read(T0, &mut [0]).is_err());
}

#[test]
fn an_announced_length_allocates_nothing_before_its_bytes_come() {
    let (_, mut other) = established(&Config::default());
    for (length, expected) in [
        (0_u32, Class::Length),
        (15, Class::Length),
        ((1 << 20) + 1, Class::Limit),
        (u32::MAX, Class::Limit),
    ] {
        let (_, mut other) = established(&Config::default());
        let mut header = b"PF\0\0\0\0\0\0\0\0".to_vec();
        header.extend_from_slice(&length.to_be_bytes());
        header.push(2);
        assert_eq!(
            class(other.handle(T0, Input::Bytes(&header))),
            Some(expected)
        );
    }
    let mut header = b"PF\0\0\0\0\0\0\0\0".to_vec();
    header.extend_from_slice(&(1_u32 << 20).to_be_bytes());
    header.push(2);
    other.handle(T0, Input::Bytes(&header)).unwrap();
    assert!(other.link.room() <= 128 << 10);
}

#[test]
fn a_record_in_pieces_never_has_more_room_than_it_needs() {
    let longest = (1 << 20) - 16;
    for size in [1, 1_448, 65_536, 700_000, 1_040_000] {
        let (mut one, mut other) = established(&Config::default());
        assert_eq!(one.longest_message(), longest);
        assert!(one.send(T0, &vec![5; longest]).unwrap());
        let record = drain(&mut one, &mut Vec::new());
        assert_eq!(record.len(), 15 + longest + 16);
        let mut given = 0;
        for piece in record.chunks(size) {
            other.handle(T0, Input::Bytes(piece)).unwrap();
            given += piece.len();
            // Twice what is there, or the first room; and never past the record.
            let most = record.len().min((15 + (64 << 10)).max(2 * given));
            assert!(
                other.link.room() <= most,
                "{} at {given}",
                other.link.room()
            );
        }
        let received = other.receive(T0).unwrap();
        assert_eq!(received, Received::Message(vec![5; longest].into()));
    }
}

#[test]
fn a_silent_peer_is_given_up_after_the_handshake_timeout() {
    // Not what it is by default.
    let patience = Duration::from_secs(3);
    let config = Config {
        handshake_timeout: patience,
        ..Config::default()
    };
    for responder in [false, true] {
        let (one, other) = pair(&config);
        let mut end = if responder { other } else { one };
        drain(&mut end, &mut Vec::new());
        let late = T0.after(patience);
        let early = T0.after(patience.saturating_sub(Duration::from_millis(1)));
        assert!(matches!(end.poll(T0), Output::Wait(Some(at)) if at == late));
        end.handle(early, Input::Time).unwrap();
        let fault = end.handle(late, Input::Time);
        assert_eq!(fault, Err(Error::Timeout(Timer::Connect)));
        assert_eq!(
            end.handle(late, Input::Time),
            Err(Error::Timeout(Timer::Connect))
        );
    }
    // A preface alone proves nothing.
    let (mut one, mut other) = pair(&config);
    let preface = drain(&mut one, &mut Vec::new());
    other.handle(T0, Input::Bytes(&preface)).unwrap();
    let fault = other.handle(T0.after(patience), Input::Time);
    assert_eq!(fault, Err(Error::Timeout(Timer::Connect)));
}

#[test]
fn a_full_buffer_stops_both_ways() {
    let small = Config {
        receive_buffer: 1_000,
        send_buffer: 1_000,
        ..Config::default()
    };
    let (mut one, mut other) = established(&small);
    let mut written = 0;
    loop {
        let n = one.write(T0, &[7; 600]).unwrap();
        if n == 0 {
            break;
        }
        written += n;
    }
    assert!(!one.is_writable() && written < 1_000);
    settle(&mut one, &mut other, usize::MAX);
    assert!(one.is_writable());
    while other.wants_bytes() {
        written += one.write(T0, &[7; 600]).unwrap();
        let bytes = drain(&mut one, &mut Vec::new());
        other.handle(T0, Input::Bytes(&bytes)).unwrap();
    }
    let fault = other.handle(T0, Input::Bytes(&[0]));
    assert!(matches!(fault, Err(Error::Misuse(_))));
    assert_eq!(read_all(&mut other), vec![7; written]);
    assert!(other.wants_bytes() && other.has_output());
}

mod altered;
mod epochs;

#[test]
fn the_carriers_end_after_an_end_mark_leaves_our_own_direction_open() {
    let (mut one, mut other) = established(&Config::default());
    one.close_write(T0).unwrap();
    settle(&mut one, &mut other, 1);
    other.handle(T0, Input::End).unwrap();
    assert_eq!(other.read(T0, &mut [0]).unwrap(), Read::End);
    other.write(T0, b"answer").unwrap();
    other.close_write(T0).unwrap();
    settle(&mut one, &mut other, 1);
    assert_eq!(read_all(&mut one), b"answer");
    assert_eq!(one.read(T0, &mut [0]).unwrap(), Read::End);
}
