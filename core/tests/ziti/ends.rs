//! How connections end, well and badly.

use crate::world::{NOW, World, class, drain, end, messages, read_all};
use std::time::Duration;
use stillwire_core::ziti::secretstream::{MAC, tag};
use stillwire_core::ziti::{Config, Connection, Event, Push, Role, handshake::Session};
use stillwire_core::{
    Channel, Class, Error, Input, Instant, Machine, Output, Read, Received, Streamed, Timer,
};

#[test]
fn trap_05_an_end_without_final_is_an_unauthenticated_end() {
    let mut world = World::established(&Config::default());
    world.dialer.write(NOW, b"half of the").unwrap();
    world.run().unwrap();
    assert_eq!(class(world.listener.handle(NOW, Input::End)), Class::Eof);
    // What was authentic is still given out; then the error, for ever.
    let (got, next) = read_all(&mut world.listener);
    assert_eq!(got, b"half of the");
    assert_eq!(class(next), Class::Eof);
    for _ in 0..2 {
        assert_eq!(class(world.listener.handle(NOW, Input::Time)), Class::Eof);
        assert_eq!(class(world.listener.write(NOW, b"x")), Class::Eof);
        assert_eq!(class(world.listener.close_write(NOW)), Class::Eof);
        assert_eq!(class(messages(&mut world.listener).1), Class::Eof);
    }
    let (bytes, events) = drain(&mut world.listener);
    assert!(bytes.is_empty());
    assert!(matches!(
        events.last(),
        Some(Event::Closed(Err(Error::Peer {
            class: Class::Eof,
            ..
        })))
    ));
    assert!(world.listener.is_finished() && world.listener.has_sent_all());
}

#[test]
fn case_97_a_carriers_own_end_is_believed_after_final_only() {
    let mut world = World::established(&Config::default());
    world.dialer.close_write(NOW).unwrap();
    let (last, _) = drain(&mut world.dialer);
    // The final message cut off, at every byte.
    for cut in 0..last.len() {
        let mut world = World::established(&Config::default());
        world
            .listener
            .handle(NOW, Input::Bytes(&last[..cut]))
            .unwrap();
        assert_eq!(class(world.listener.handle(NOW, Input::End)), Class::Eof);
    }
    world.listener.handle(NOW, Input::Bytes(&last)).unwrap();
    world.listener.handle(NOW, Input::End).unwrap();
    assert_eq!(read_all(&mut world.listener).1, Ok(Read::End));
}

#[test]
fn trap_05_data_after_final_is_an_error() {
    for together in [true, false] {
        let mut world = World::established(&Config::default());
        world.dialer.write(NOW, b"all").unwrap();
        world.dialer.close_write(NOW).unwrap();
        let (mut bytes, _) = drain(&mut world.dialer);
        let after = if together {
            bytes.push(0);
            world.listener.handle(NOW, Input::Bytes(&bytes))
        } else {
            world.listener.handle(NOW, Input::Bytes(&bytes)).unwrap();
            world.listener.handle(NOW, Input::Bytes(&[0]))
        };
        assert_eq!(class(after), Class::State);
        let (got, next) = read_all(&mut world.listener);
        assert_eq!(got, b"all");
        assert_eq!(class(next), Class::State);
    }
}

#[test]
fn trap_05_data_after_final_is_told_once_and_as_an_error_though_our_own_end_was_said() {
    let mut world = World::established(&Config::default());
    world.listener.close_write(NOW).unwrap();
    drain(&mut world.listener);
    world.dialer.close_write(NOW).unwrap();
    let (mut bytes, _) = drain(&mut world.dialer);
    bytes.push(0);
    let after = world.listener.handle(NOW, Input::Bytes(&bytes));
    let (_, events) = drain(&mut world.listener);
    let told: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event, Event::Closed(_)))
        .collect();
    assert_eq!(told, [&Event::Closed(after.clone())]);
    assert_eq!(class(after), Class::State);
}

#[test]
fn a_handshake_that_breaks_off_is_an_eof_wherever_it_does() {
    let (hello, _) = drain(&mut end(Role::Dialer, None, &Config::default()));
    assert_eq!(hello.len(), 32 + 4 + 24);
    for cut in 0..hello.len() {
        let mut listener = end(Role::Listener, None, &Config::default());
        listener.handle(NOW, Input::Bytes(&hello[..cut])).unwrap();
        assert!(!listener.is_established());
        assert_eq!(class(listener.handle(NOW, Input::End)), Class::Eof);
        assert!(!listener.wants_bytes());
    }
}

#[test]
fn the_whole_handshake_has_one_deadline() {
    let config = Config {
        handshake_timeout: Duration::from_secs(3),
        ..Config::default()
    };
    let hello = drain(&mut end(Role::Dialer, None, &config)).0;
    let mut listener = end(Role::Listener, None, &config);
    drain(&mut listener);
    // A byte now and then does not move it.
    for (at, byte) in hello.iter().enumerate().take(59) {
        let now = Instant::from_millis(at as u64 * 50);
        listener.handle(now, Input::Bytes(&[*byte])).unwrap();
    }
    let deadline = Instant::from_millis(3_000);
    let before = Instant::from_micros(2_999_999);
    assert!(matches!(listener.poll(before), Output::Wait(Some(at)) if at == deadline));
    for _ in 0..2 {
        let late = listener.handle(deadline, Input::Bytes(&hello[59..]));
        assert_eq!(late, Err(Error::Timeout(Timer::Connect)));
    }
    // Once established there is none.
    let mut world = World::established(&config);
    let hours = Instant::from_millis(10_000_000);
    assert!(matches!(world.dialer.poll(hours), Output::Wait(None)));
    assert_eq!(world.dialer.handle(hours, Input::Time), Ok(()));
}

#[test]
fn other_inputs_are_misuse() {
    let mut world = World::established(&Config::default());
    let datagram = world.dialer.handle(NOW, Input::Datagram(&[1]));
    assert!(matches!(datagram, Err(Error::Misuse(_))));
    world.dialer.write(NOW, b"still alive").unwrap();
    world.run().unwrap();
    assert_eq!(read_all(&mut world.listener).0, b"still alive");
}

/// A listener that expects one direction's first messages from a push of our own.
fn against(config: &Config) -> (Push, Connection) {
    let mut rng = stillwire_core::crypto::Rng::from_seed([3; 32]);
    let key = || stillwire_core::crypto::Secret::from([9; 32]);
    let (push, header) = Push::start(&key(), &mut rng);
    let session = Session {
        push: Push::start(&key(), &mut rng).0,
        pull: stillwire_core::ziti::Pull::new(&key(), &header, config.dialect),
        transcript: [0; 32],
        peer: None,
    };
    (push, Connection::established(session, config.clone(), NOW))
}

fn framed(push: &mut Push, tag: u8, plain: &[u8]) -> Vec<u8> {
    let mut message = [&[0], plain, &[0; MAC]].concat();
    push.seal(tag, &[], &mut message).unwrap();
    let length = u32::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message.as_slice()].concat()
}

#[test]
fn a_final_message_may_carry_the_last_bytes() {
    for plain in [&b""[..], b"last"] {
        let (mut push, mut listener) = against(&Config::default());
        let bytes = framed(&mut push, tag::FINAL, plain);
        listener.handle(NOW, Input::Bytes(&bytes)).unwrap();
        let (got, next) = messages(&mut listener);
        assert_eq!(got.concat(), plain);
        assert_eq!(got.len(), usize::from(!plain.is_empty()));
        assert_eq!(next, Ok(Received::End));
    }
}

#[test]
fn case_91_unknown_tags_are_messages() {
    let (mut push, mut listener) = against(&Config::default());
    for tag in [1, 2, 4, 6, 7, 0x80, 0xff] {
        let bytes = framed(&mut push, tag, &[tag]);
        listener.handle(NOW, Input::Bytes(&bytes)).unwrap();
        assert_eq!(messages(&mut listener).0, [[tag]]);
    }
}
