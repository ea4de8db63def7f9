//! Bytes and messages there and back.

use crate::world::{NOW, World, class, messages, pattern, read_all};
use stillwire_core::ziti::{Config, Event, Rekeying};
use stillwire_core::{Channel, Class, Error, Machine, Messages, Output, Read, Received, Streamed};

#[test]
fn both_ways_in_every_split() {
    for split in [1, 2, 3, 31, 32, 33, 60, 61, 1000, usize::MAX] {
        let mut world = World::new(&Config::default());
        world.split = split;
        let (there, back) = (pattern(3000), pattern(200_000));
        // Written before the handshake, sent after it.
        assert_eq!(world.dialer.write(NOW, &there), Ok(there.len()));
        assert_eq!(world.listener.write(NOW, &back), Ok(back.len()));
        world.dialer.close_write(NOW).unwrap();
        world.run().unwrap();
        assert_eq!(read_all(&mut world.listener), (there, Ok(Read::End)));
        assert_eq!(read_all(&mut world.dialer), (back, Ok(Read::Pending)));
        assert!(!world.dialer.is_finished() && !world.listener.is_finished());
        world.listener.close_write(NOW).unwrap();
        world.run().unwrap();
        assert_eq!(read_all(&mut world.dialer), (vec![], Ok(Read::End)));
        assert!(world.dialer.is_finished() && world.listener.is_finished());
        for events in &world.events {
            let [Event::Established { transcript, peer }, rest @ ..] = events.as_slice() else {
                panic!("{events:?}");
            };
            assert_eq!(Some(*transcript), world.listener.transcript());
            assert_eq!(*peer, None);
            assert_eq!(rest, [Event::PeerFinished, Event::Closed(Ok(()))]);
        }
    }
}

#[test]
fn megabytes_through_small_buffers() {
    let config = Config {
        receive_buffer: 10_000,
        send_buffer: 5_000,
        message: 1_500,
        ..Config::default()
    };
    let mut world = World::established(&config);
    let sent = pattern(2_000_000);
    let (mut at, mut got) = (0, Vec::new());
    while got.len() < sent.len() {
        at += world.dialer.write(NOW, &sent[at..]).unwrap();
        world.run().unwrap();
        let (part, next) = read_all(&mut world.listener);
        assert_eq!(next, Ok(Read::Pending));
        // The buffer, and one reading of the carrier on top.
        assert!(part.len() <= 2 * config.receive_buffer, "{}", part.len());
        got.extend(part);
    }
    assert!(got == sent);
}

#[test]
fn messages_keep_their_bounds() {
    let mut world = World::established(&Config::default());
    let sent: Vec<Vec<u8>> = [0, 1, 5, 0, 0, 70_000, 1 << 20, 3]
        .into_iter()
        .map(pattern)
        .collect();
    let mut got = Vec::new();
    for message in &sent {
        while !world.dialer.send(NOW, message).unwrap() {
            world.run().unwrap();
        }
        world.run().unwrap();
        let (part, next) = messages(&mut world.listener);
        assert_eq!(next, Ok(Received::Pending));
        got.extend(part);
    }
    assert!(got == sent);
    assert_eq!(world.dialer.longest_message(), 1 << 20);
    let long = world.dialer.send(NOW, &vec![0; (1 << 20) + 1]);
    assert!(matches!(long, Err(Error::Misuse(_))));
    world.dialer.close_write(NOW).unwrap();
    world.run().unwrap();
    assert_eq!(messages(&mut world.listener), (vec![], Ok(Received::End)));
}

#[test]
fn trap_07_empty_plaintexts_are_no_zero_byte_reads() {
    let mut world = World::established(&Config::default());
    for message in [&b""[..], b"", b"one", b"", b"two", b""] {
        assert!(world.dialer.send(NOW, message).unwrap());
    }
    world.run().unwrap();
    // `read_all` refuses reads of nothing.
    let read = read_all(&mut world.listener);
    assert_eq!(read, (b"onetwo".to_vec(), Ok(Read::Pending)));
    assert!(world.dialer.send(NOW, b"").unwrap());
    world.run().unwrap();
    assert!(!world.listener.is_readable());
    assert_eq!(read_all(&mut world.listener), (vec![], Ok(Read::Pending)));
}

#[test]
fn whoever_reads_bytes_is_told_to_make_room_when_empty_messages_fill_it() {
    let config = Config {
        receive_buffer: 4_096,
        ..Config::default()
    };
    let mut world = World::established(&config);
    while world.listener.wants_bytes() {
        assert!(world.dialer.send(NOW, b"").unwrap());
        world.run().unwrap();
    }
    assert!(world.listener.is_readable());
    assert_eq!(read_all(&mut world.listener), (vec![], Ok(Read::Pending)));
    assert!(world.listener.wants_bytes() && !world.listener.is_readable());
}

#[test]
fn small_writes_gather_into_one_message() {
    let mut world = World::established(&Config::default());
    for byte in 0..100 {
        assert_eq!(world.dialer.write(NOW, &[byte]), Ok(1));
    }
    world.run().unwrap();
    let (got, _) = messages(&mut world.listener);
    assert_eq!(got, [(0..100).collect::<Vec<u8>>()]);
}

#[test]
fn trap_01_a_key_for_every_message_as_an_option() {
    let config = Config {
        rekeying: Rekeying::EveryMessage,
        ..Config::default()
    };
    let mut world = World::established(&config);
    for round in 0..50_u8 {
        assert!(world.dialer.send(NOW, &[round; 9]).unwrap());
        assert!(world.listener.send(NOW, &[round; 7]).unwrap());
        world.run().unwrap();
        assert_eq!(messages(&mut world.listener).0, [[round; 9]]);
        assert_eq!(messages(&mut world.dialer).0, [[round; 7]]);
    }
}

#[test]
fn a_rekey_now_and_then_and_never_to_a_peer_that_may_not_follow() {
    let mut world = World::established(&Config::default());
    assert!(matches!(world.dialer.rekey(), Err(Error::Misuse(_))));
    let config = Config {
        rekeying: Rekeying::AtWrap,
        ..Config::default()
    };
    let mut world = World::established(&config);
    for round in 0..10 {
        if round % 3 == 0 {
            world.dialer.rekey().unwrap();
        }
        world.dialer.write(NOW, &[round]).unwrap();
        world.run().unwrap();
        assert_eq!(read_all(&mut world.listener).0, [round]);
    }
}

#[test]
fn writing_after_the_end_is_misuse_and_changes_nothing() {
    let mut world = World::established(&Config::default());
    world.dialer.write(NOW, b"all of it").unwrap();
    world.dialer.close_write(NOW).unwrap();
    for _ in 0..2 {
        let late = world.dialer.write(NOW, b"more");
        assert!(matches!(late, Err(Error::Misuse(_))), "{late:?}");
        assert_eq!(class(world.dialer.send(NOW, b"more")), Class::State);
        world.dialer.close_write(NOW).unwrap();
    }
    assert!(!world.dialer.is_flushed());
    world.run().unwrap();
    assert!(world.dialer.is_flushed() && world.dialer.has_sent_all());
    let read = read_all(&mut world.listener);
    assert_eq!(read, (b"all of it".to_vec(), Ok(Read::End)));
}

#[test]
fn extra_polls_and_ticks_are_harmless() {
    let mut world = World::established(&Config::default());
    for _ in 0..3 {
        world
            .dialer
            .handle(NOW, stillwire_core::Input::Time)
            .unwrap();
        assert!(matches!(world.dialer.poll(NOW), Output::Wait(None)));
        assert!(!world.dialer.has_output());
    }
    world.dialer.write(NOW, b"x").unwrap();
    assert!(world.dialer.has_output());
}
