//! Counters and buffers at their ends.

use crate::world::{NOW, World, class, drain, pattern, read_all};
use stillwire_core::crypto::Secret;
use stillwire_core::ziti::handshake::Session;
use stillwire_core::ziti::{Config, Connection, Dialect, Pull, Push, Rekeying};
use stillwire_core::{Channel, Class, Error, Input, Machine, Messages, Read, Streamed};

/// Two established ends whose next message is number `counter`.
fn late(counter: u32, rekeying: Rekeying, dialect: Dialect) -> World {
    let config = Config {
        rekeying,
        dialect,
        ..Config::default()
    };
    let end = |tx: u8, rx: u8| {
        let session = Session {
            push: Push::at(&Secret::from([tx; 32]), &[tx; 24], counter),
            pull: Pull::at(&Secret::from([rx; 32]), &[rx; 24], dialect, counter),
            transcript: [0; 32],
            peer: None,
        };
        Connection::established(session, config.clone(), NOW)
    };
    World::of(end(1, 2), end(2, 1))
}

#[test]
fn trap_03_writing_ends_before_the_wrap_and_the_end_can_still_be_said() {
    let mut world = late(u32::MAX - 2, Rekeying::Never, Dialect::NoRekey);
    for message in [b"one", b"two"] {
        assert!(world.dialer.send(NOW, message).unwrap());
    }
    for _ in 0..2 {
        assert_eq!(class(world.dialer.send(NOW, b"no")), Class::NonceLimit);
        assert_eq!(class(world.dialer.write(NOW, b"no")), Class::NonceLimit);
    }
    world.run().unwrap();
    assert_eq!(class(world.dialer.write(NOW, b"no")), Class::NonceLimit);
    world.dialer.close_write(NOW).unwrap();
    world.run().unwrap();
    let read = read_all(&mut world.listener);
    assert_eq!(read, (b"onetwo".to_vec(), Ok(Read::End)));
}

#[test]
fn trap_03_a_long_write_near_the_wrap_takes_what_can_be_sealed() {
    let mut world = late(u32::MAX - 2, Rekeying::Never, Dialect::Sodium);
    let data = pattern(300_000);
    assert_eq!(world.dialer.write(NOW, &data), Ok(2 * 65_536));
    assert_eq!(class(world.dialer.write(NOW, &data)), Class::NonceLimit);
    world.run().unwrap();
    assert!(read_all(&mut world.listener).0 == data[..2 * 65_536]);
}

#[test]
fn trap_03_peers_known_to_rekey_go_on_past_the_wrap() {
    for rekeying in [Rekeying::AtWrap, Rekeying::EveryMessage] {
        let mut world = late(u32::MAX - 1, rekeying, Dialect::Sodium);
        for round in 0..5 {
            assert!(world.dialer.send(NOW, &[round]).unwrap());
            world.run().unwrap();
            assert_eq!(read_all(&mut world.listener).0, [round]);
        }
    }
}

#[test]
fn a_full_receive_buffer_stops_fetching() {
    let config = Config {
        receive_buffer: 1_000,
        ..Config::default()
    };
    let mut world = World::established(&config);
    world.dialer.write(NOW, &pattern(2_000)).unwrap();
    world.run().unwrap();
    assert!(!world.listener.wants_bytes());
    let refused = world.listener.handle(NOW, Input::Bytes(&[0; 4]));
    assert!(matches!(refused, Err(Error::Misuse(_))));
    assert!(!world.listener.has_output());
    let mut buffer = [0; 1_500];
    assert_eq!(world.listener.read(NOW, &mut buffer), Ok(Read::Data(1_500)));
    // Whoever runs it is told once that the carrier is wanted again.
    assert!(world.listener.wants_bytes() && world.listener.has_output());
    drain(&mut world.listener);
    assert!(!world.listener.has_output());
    let (rest, next) = read_all(&mut world.listener);
    assert_eq!((rest.len(), next), (500, Ok(Read::Pending)));
}

#[test]
fn empty_messages_fill_the_buffers_too() {
    let config = Config {
        receive_buffer: 10_000,
        send_buffer: 1_000,
        ..Config::default()
    };
    let mut world = World::established(&config);
    let mut sent = 0;
    while world.listener.wants_bytes() {
        let mut full = false;
        for _ in 0..100 {
            full |= !world.dialer.send(NOW, b"").unwrap();
        }
        assert!(full, "a hundred messages in a thousand bytes");
        assert!(!world.dialer.is_writable());
        world.run().unwrap();
        sent += 1;
        assert!(sent < 100, "empty messages are free");
    }
}

#[test]
fn a_length_of_four_gibibytes_is_refused_at_its_last_byte() {
    let mut world = World::established(&Config::default());
    let prefix = u32::MAX.to_be_bytes();
    let start = world.listener.handle(NOW, Input::Bytes(&prefix[..3]));
    assert_eq!(start, Ok(()));
    let refused = world.listener.handle(NOW, Input::Bytes(&prefix[3..]));
    assert_eq!(class(refused), Class::Limit);
}

#[test]
fn case_83_a_length_of_16_is_too_short_for_a_mac() {
    for length in [0_u32, 1, 16] {
        let mut world = World::established(&Config::default());
        let prefix = length.to_be_bytes();
        let refused = world.listener.handle(NOW, Input::Bytes(&prefix));
        assert_eq!(class(refused), Class::Truncated);
    }
}

#[test]
fn the_largest_message_passes_and_one_byte_more_does_not() {
    let small = Config {
        largest_message: 100,
        ..Config::default()
    };
    for (length, passes) in [(100, true), (101, false)] {
        let mut world = World::of(
            crate::world::end(stillwire_core::ziti::Role::Dialer, None, &Config::default()),
            crate::world::end(stillwire_core::ziti::Role::Listener, None, &small),
        );
        world.run().unwrap();
        assert!(world.dialer.send(NOW, &pattern(length)).unwrap());
        let ran = world.run();
        if passes {
            assert_eq!(read_all(&mut world.listener).0, pattern(length));
        } else {
            assert_eq!(class(ran), Class::Limit);
        }
    }
}
