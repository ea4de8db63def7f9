//! Messages and bytes between honest ends.

use super::world::{Pair, config};
use stillwire_core::commonware::{Config, ConnectionEvent, Profile};
use stillwire_core::crypto::Rng;
use stillwire_core::{
    Channel, Class, Error, Input, Machine, Messages, Output, Read, Received, Streamed,
};

fn drawn(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::from_seed([seed; 32]).fill(&mut bytes);
    bytes
}

#[test]
fn messages_of_0_bytes_to_the_limit_both_ways() {
    for profile in Profile::ALL {
        for size in [1, 100, 65_536] {
            let mut pair = Pair::established(&config(profile));
            let (now, longest) = (pair.now, pair.dialer.machine.longest_message());
            let mut lengths = vec![0, 1, 0, 111, 112, 127, 128, 16_367, 16_368, longest];
            if size == 1 {
                lengths.pop();
            }
            let messages: Vec<Vec<u8>> = (3..).zip(lengths).map(|(s, n)| drawn(s, n)).collect();
            for message in &messages {
                assert_eq!(pair.dialer.machine.send(now, message), Ok(true));
                assert_eq!(pair.listener.machine.send(now, message), Ok(true));
            }
            pair.run(size);
            assert!(pair.listener.messages(now) == messages, "{profile} {size}");
            assert!(pair.dialer.messages(now) == messages, "{profile} {size}");
            let pending = pair.dialer.machine.receive(now);
            assert_eq!(pending, Ok(Received::Pending));
        }
    }
}

#[test]
fn a_message_over_the_limit_is_misuse() {
    let mut pair = Pair::established(&config(Profile::V0));
    let now = pair.now;
    let long = vec![1; pair.dialer.machine.longest_message() + 1];
    let misuse = pair.dialer.machine.send(now, &long);
    assert!(matches!(misuse, Err(Error::Misuse(_))));
    assert_eq!(pair.dialer.machine.send(now, &long[1..]), Ok(true));
    pair.run(usize::MAX);
    assert_eq!(pair.listener.messages(now), [&long[1..]]);
}

#[test]
fn a_byte_stream_with_small_buffers_holds_the_writer_back() {
    for profile in Profile::ALL {
        let config = Config {
            stream_record: 1000,
            send_buffer: 3000,
            receive_buffer: 5000,
            ..config(profile)
        };
        for size in [1, 700, usize::MAX] {
            let mut pair = Pair::established(&config);
            let (now, data) = (pair.now, drawn(1, 60_000));
            let (mut written, mut read) = (0, Vec::new());
            while read.len() < data.len() {
                while written < data.len() {
                    let n = pair.dialer.machine.write(now, &data[written..]).unwrap();
                    written += n;
                    if n == 0 {
                        break;
                    }
                    assert!(!pair.dialer.machine.is_flushed());
                }
                // The carrier takes everything; the application does not read yet.
                pair.run(size);
                assert!(pair.listener.machine.buffered() <= 5000 + 1000);
                if !pair.listener.machine.wants_bytes() {
                    let refused = pair.listener.machine.handle(now, Input::Bytes(b"x"));
                    assert!(matches!(refused, Err(Error::Misuse(_))));
                }
                let mut buffer = [0; 333];
                let Read::Data(n) = pair.listener.machine.read(now, &mut buffer).unwrap() else {
                    panic!("{profile} {size}: nothing to read");
                };
                read.extend_from_slice(&buffer[..n]);
                read.extend(pair.listener.read_all(now));
            }
            assert!(read == data, "{profile} {size}");
        }
    }
}

#[test]
fn empty_messages_fill_the_receive_buffer_too() {
    let config = Config {
        receive_buffer: 6400,
        ..config(Profile::V0)
    };
    let mut pair = Pair::established(&config);
    let now = pair.now;
    for _ in 0..1000 {
        assert_eq!(pair.dialer.machine.send(now, b""), Ok(true));
    }
    pair.run(17);
    assert!(!pair.listener.machine.wants_bytes());
    let mut received = 0;
    loop {
        let messages = pair.listener.messages(now);
        assert!(messages.len() <= 100 && messages.iter().all(Vec::is_empty));
        if messages.is_empty() {
            break;
        }
        received += messages.len();
        pair.run(17);
    }
    assert_eq!(received, 1000);
    // As a byte stream they are nothing at all.
    assert_eq!(pair.listener.machine.send(now, b""), Ok(true));
    pair.run(usize::MAX);
    let read = pair.dialer.machine.read(now, &mut [0; 9]);
    assert_eq!(read, Ok(Read::Pending));
    assert!(!pair.dialer.machine.is_readable());
}

#[test]
fn trap_06_the_end_of_the_stream_is_said_to_be_unauthenticated() {
    for profile in Profile::ALL {
        let mut pair = Pair::established(&config(profile));
        let now = pair.now;
        assert_eq!(pair.dialer.machine.write(now, b"end"), Ok(3));
        pair.dialer.machine.close_write(now).unwrap();
        assert_eq!(pair.dialer.machine.write(now, b"more"), Err(Error::Closed));
        pair.run(usize::MAX);
        assert!(pair.dialer.machine.has_sent_all());
        pair.listener.end(now).unwrap();
        let said = &pair.listener.events;
        assert!(matches!(
            said.last(),
            Some(ConnectionEvent::EndedUnauthenticated)
        ));
        assert_eq!(pair.listener.read_all(now), b"end");
        assert_eq!(pair.listener.machine.read(now, &mut [0; 9]), Ok(Read::End));
        assert_eq!(pair.listener.machine.receive(now), Ok(Received::End));
        assert!(!pair.listener.machine.has_authentic_end());
        // The other direction goes on.
        assert!(!pair.listener.machine.has_sent_all());
        assert_eq!(pair.listener.machine.write(now, b"answer"), Ok(6));
        pair.listener.machine.close_write(now).unwrap();
        pair.run(usize::MAX);
        pair.dialer.end(now).unwrap();
        assert_eq!(pair.dialer.read_all(now), b"answer");
        for end in [&mut pair.dialer, &mut pair.listener] {
            assert_eq!(end.closed(), Some(&Ok(())));
            assert!(end.machine.is_finished() && end.machine.is_established());
            assert_eq!(end.machine.read(now, &mut [0; 9]), Ok(Read::End));
        }
    }
}

#[test]
fn a_stream_cut_in_the_middle_of_a_record_is_an_error() {
    for profile in Profile::ALL {
        let mut pair = Pair::established(&config(profile));
        let now = pair.now;
        assert_eq!(pair.dialer.machine.write(now, b"whole"), Ok(5));
        pair.dialer.drain(now);
        let whole = pair.dialer.out.len();
        assert_eq!(pair.dialer.machine.write(now, b"half"), Ok(4));
        pair.dialer.drain(now);
        let bytes = pair.dialer.out.clone();
        pair.listener.feed(now, &bytes[..whole + 3]).unwrap();
        assert!(pair.listener.end(now).is_err());
        assert_eq!(pair.listener.class(), Some(Class::Eof), "{profile}");
        // What was whole was authentic.
        assert_eq!(pair.listener.read_all(now), b"whole");
        let read = pair.listener.machine.read(now, &mut [0; 9]);
        assert!(matches!(
            read,
            Err(Error::Peer {
                class: Class::Eof,
                ..
            })
        ));
    }
}

#[test]
fn an_end_behind_a_full_buffer_is_said_after_what_came_before() {
    let config = Config {
        receive_buffer: 100,
        ..config(Profile::V0)
    };
    let mut pair = Pair::established(&config);
    let now = pair.now;
    for n in 0..20 {
        assert_eq!(pair.dialer.machine.send(now, &[n; 50]), Ok(true));
    }
    pair.run(usize::MAX);
    pair.listener.end(now).unwrap();
    let ended = |pair: &Pair| {
        let mut events = pair.listener.events.iter();
        events.any(|event| matches!(event, ConnectionEvent::EndedUnauthenticated))
    };
    assert!(!ended(&pair));
    let mut received = Vec::new();
    while let Received::Message(message) = pair.listener.machine.receive(now).unwrap() {
        received.push(message);
        pair.listener.drain(now);
    }
    assert_eq!(received.len(), 20);
    assert!(ended(&pair));
    assert_eq!(pair.listener.machine.receive(now), Ok(Received::End));
}

#[test]
fn what_was_written_before_the_end_is_given_out_whole() {
    let mut pair = Pair::established(&config(Profile::V1));
    let now = pair.now;
    assert_eq!(pair.dialer.machine.write(now, &[1; 1000]), Ok(1000));
    pair.dialer.machine.close_write(now).unwrap();
    assert!(!pair.dialer.machine.is_flushed());
    // Whoever ended the carrier now would lose it.
    assert!(!pair.dialer.machine.has_sent_all());
    let Output::Transmit(bytes) = pair.dialer.machine.poll(now) else {
        panic!("nothing to transmit");
    };
    assert!(pair.dialer.machine.is_flushed() && pair.dialer.machine.has_sent_all());
    pair.listener.feed(now, &bytes).unwrap();
    assert_eq!(pair.listener.read_all(now), [1; 1000]);
}
