//! Bytes through an open connection.

use crate::world::{End, World, config, pattern, profile};
use std::time::Duration;
use stillwire_core::aznet::handshake::Split;
use stillwire_core::aznet::{Config, Connection, ConnectionEvent, ConnectionId};
use stillwire_core::store::{Failure, FailureKind, Operation, Profile, Role};
use stillwire_core::{Channel, Class, Error, Input, Instant, Machine, Output};

const SECOND: Duration = Duration::from_secs(1);

fn open(config: Config) -> (World, End, End) {
    let mut world = World::new(config.clone());
    let (dialer, listener) = world.dial(config).unwrap();
    (world, dialer, listener)
}

/// Writes all of `data` from `from` to `to`, which reads along.
fn push(world: &mut World, from: &mut End, to: &mut End, data: &[u8]) {
    let mut rest = data;
    while !rest.is_empty() {
        let n = from.conn.write(world.now, rest).unwrap();
        rest = &rest[n..];
        world.run(&mut [from, to], true, Duration::from_millis(20));
    }
    world.run(&mut [from, to], true, SECOND);
}

#[test]
fn bytes_arrive_in_both_directions_across_rotations() {
    let (mut world, mut a, mut b) = open(config());
    let data = pattern(500_000);
    push(&mut world, &mut a, &mut b, &data);
    push(&mut world, &mut b, &mut a, &data);
    assert_eq!(
        (a.received.len(), b.received.len()),
        (data.len(), data.len())
    );
    assert!(b.received == data && a.received == data);
    assert!(a.conn.stats().rotations > 2 && b.conn.stats().rotations > 2);
    assert_eq!(a.conn.stats().bytes_stored, 500_000);
}

#[test]
fn trap_02_both_ends_see_the_same_channel_binding() {
    let (_, a, b) = open(config());
    assert_eq!(a.conn.channel_binding(), b.conn.channel_binding());
    assert_ne!(a.conn.channel_binding(), [0; 32]);
}

#[test]
fn small_writes_gather_while_one_is_in_flight() {
    let (mut world, mut a, _b) = open(config());
    for byte in 0..100_u8 {
        assert_eq!(a.conn.write(world.now, &[byte]).unwrap(), 1);
    }
    a.drive(&mut world.store, world.now);
    assert_eq!(a.conn.stats().writes, 1);
    assert!(a.conn.is_flushed());
}

#[test]
fn writing_stops_when_the_buffer_is_full() {
    let (mut world, mut a, mut b) = open(config());
    let data = pattern(1_000_000);
    let n = a.conn.write(world.now, &data).unwrap();
    assert!(n > 16_000 && n <= 16_384, "{n}");
    assert!(!a.conn.is_writable());
    assert_eq!(a.conn.write(world.now, &data[n..]).unwrap(), 0);
    world.run(&mut [&mut a, &mut b], true, SECOND);
    assert!(a.conn.is_writable());
    assert!(b.received == data[..n]);
}

#[test]
fn a_full_receive_buffer_stops_fetching_and_silence_is_then_nobodys_fault() {
    let (mut world, mut a, mut b) = open(config());
    let data = pattern(200_000);
    let mut sent = 0;
    for _ in 0..100 {
        sent += a.conn.write(world.now, &data[sent..]).unwrap();
        world.run(&mut [&mut a, &mut b], false, SECOND);
        assert!(b.conn.buffered() <= 16_384 / 2 + 16_384);
    }
    // Longer than the idle time-out without a read: the peer is not to blame.
    world.run(&mut [&mut a, &mut b], false, Duration::from_secs(400));
    assert!(b.conn.error().is_none(), "{:?}", b.conn.error());
    b.drain(world.now).unwrap();
    while b.received.len() < data.len() {
        sent += a.conn.write(world.now, &data[sent..]).unwrap();
        world.run(&mut [&mut a, &mut b], true, SECOND);
    }
    assert!(b.received == data);
}

#[test]
fn trap_13_pings_flow_and_keep_both_alive_without_reads() {
    let (mut world, mut a, mut b) = open(config());
    world.run(&mut [&mut a, &mut b], false, Duration::from_secs(1_200));
    assert!(a.conn.error().is_none() && b.conn.error().is_none());
    assert!(a.conn.stats().pings >= 39 && b.conn.stats().pings >= 39);
}

#[test]
fn a_silent_peer_ends_the_connection_after_the_idle_time() {
    let (mut world, mut a, _b) = open(config());
    world.run(&mut [&mut a], true, Duration::from_secs(299));
    assert!(a.conn.error().is_none());
    world.run(&mut [&mut a], true, Duration::from_secs(2));
    assert_eq!(
        a.conn.error(),
        Some(&Error::Timeout(stillwire_core::Timer::Idle))
    );
    assert!(a.conn.write(world.now, b"x").is_err(), "the error repeats");
}

#[test]
fn trap_12_a_session_deleted_under_a_reader_is_a_typed_error() {
    let (mut world, mut a, mut b) = open(config());
    push(&mut world, &mut b, &mut a, b"hello");
    world.store.sessions.clear();
    world.run(&mut [&mut a], true, Duration::from_secs(60));
    match a.conn.error() {
        Some(Error::Store(failure)) => assert_eq!(failure.kind, FailureKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn trap_05_the_key_budget_warns_and_then_closes() {
    let small = Config {
        data_limit: 40_000,
        ..config()
    };
    let (mut world, mut a, mut b) = open(small);
    let data = pattern(100_000);
    let mut taken = 0;
    let error = loop {
        match a.conn.write(world.now, &data[taken..]) {
            Ok(n) => taken += n,
            Err(error) => break error,
        }
        world.run(&mut [&mut a, &mut b], true, SECOND);
    };
    assert_eq!(error.class(), Some(Class::DataLimit));
    assert!(taken <= 40_000 && taken > 35_000, "{taken}");
    assert!(a.events.contains(&ConnectionEvent::DataBudgetWarning));
    assert_eq!(a.conn.stats().bytes_written, taken as u64);
}

#[test]
fn trap_05_the_reader_alone_holds_the_peer_to_the_key_budget() {
    let small = Config {
        data_limit: 40_000,
        ..config()
    };
    // The listener reads with the small budget; the dialer that writes has the usual one.
    let mut world = World::new(small);
    let (mut a, mut b) = world.dial(config()).unwrap();
    let data = pattern(100_000);
    push(&mut world, &mut a, &mut b, &data[..30_000]);
    assert!(b.conn.error().is_none());
    assert!(!b.events.contains(&ConnectionEvent::DataBudgetWarning));
    push(&mut world, &mut a, &mut b, &data[30_000..37_000]);
    assert!(b.conn.error().is_none(), "seven eighths only warn");
    assert!(b.events.contains(&ConnectionEvent::DataBudgetWarning));
    assert!(b.received == data[..37_000]);
    let mut sent = 37_000;
    while b.conn.error().is_none() {
        assert!(sent < data.len(), "nobody counts");
        sent += a.conn.write(world.now, &data[sent..][..500]).unwrap();
        world.run(&mut [&mut a, &mut b], true, SECOND);
    }
    // Frame headers count as well: they are sealed with the same key.
    let got = b.received.len();
    assert!(got > 39_000 && got < 40_000, "{got}");
    assert!(b.received == data[..got]);
    let error = b.conn.error().cloned();
    assert_eq!(error.as_ref().unwrap().class(), Some(Class::DataLimit));
    assert!(matches!(error, Some(Error::Limit { .. })), "{error:?}");
    // It is final and repeats; whoever wrote is within its own budget.
    assert_eq!(b.conn.read(world.now, &mut [0; 10]).err(), error);
    assert_eq!(b.conn.write(world.now, b"x").err(), error);
    assert!(a.conn.error().is_none(), "{:?}", a.conn.error());
    assert!(!a.events.contains(&ConnectionEvent::DataBudgetWarning));
}

#[test]
fn trap_14_a_failed_write_says_how_much_was_taken_and_poisons() {
    let (mut world, mut a, _b) = open(config());
    a.conn.write(world.now, b"twelve bytes").unwrap();
    let number = world.store.log.len();
    let failure = Failure::new(FailureKind::Conflict, "a foreign append");
    world.store.faults.insert(number, failure.clone());
    a.drive(&mut world.store, world.now);
    assert_eq!(a.conn.error(), Some(&Error::Store(failure)));
    assert_eq!(a.conn.stats().bytes_written, 12);
    assert_eq!(a.conn.stats().bytes_stored, 0);
    assert!(a.conn.write(world.now, b"more").is_err());
}

#[test]
fn a_retry_sends_the_same_bytes_and_says_that_it_may_have_landed() {
    let (mut world, mut a, mut b) = open(config());
    a.conn.write(world.now, b"once").unwrap();
    let number = world.store.log.len();
    world.store.landed = true;
    let lost = Failure::new(FailureKind::TimedOut, "no answer").maybe_landed();
    world.store.faults.insert(number, lost);
    world.run(&mut [&mut a, &mut b], true, SECOND);
    let writes: Vec<_> = world
        .store
        .log
        .iter()
        .filter_map(|operation| match operation {
            Operation::Write {
                sequence, bytes, ..
            } => Some((*sequence, bytes.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[0], writes[1]);
    assert_eq!(b.received, b"once");
    assert_eq!(a.conn.stats().retries, 1);
}

#[test]
fn an_altered_chunk_is_an_authentication_error_and_final() {
    let (mut world, mut a, mut b) = open(config());
    a.conn.write(world.now, b"to be altered").unwrap();
    a.drive(&mut world.store, world.now);
    let session = world.store.sessions.get_mut(&a.conn.id()).unwrap();
    *session.req[0].last_mut().unwrap() ^= 1;
    world.run(&mut [&mut b], true, SECOND);
    assert_eq!(b.conn.error().unwrap().class(), Some(Class::Auth));
    assert!(b.received.is_empty());
    assert!(!b.conn.is_confirmed());
}

#[test]
fn a_declared_length_over_the_limit_is_refused_before_its_body_is_there() {
    let (mut world, a, mut b) = open(config());
    let session = world.store.sessions.get_mut(&a.conn.id()).unwrap();
    session.req[0].extend_from_slice(&u32::MAX.to_be_bytes());
    world.run(&mut [&mut b], true, SECOND);
    assert_eq!(b.conn.error().unwrap().class(), Some(Class::Limit));
}

#[test]
fn an_expired_sas_is_an_error_not_silence() {
    let (mut world, mut a, _b) = open(config());
    world.run(&mut [&mut a], true, SECOND);
    let number = world.store.log.len();
    let denied = Failure::new(FailureKind::Denied, "the SAS has expired");
    world.store.faults.insert(number, denied.clone());
    world.run(&mut [&mut a], true, SECOND);
    assert_eq!(a.conn.error(), Some(&Error::Store(denied)));
}

#[test]
fn an_idle_machine_is_small() {
    let (mut world, mut a, mut b) = open(config());
    push(&mut world, &mut a, &mut b, &pattern(100_000));
    assert!(
        size_of_val(&a.conn) < 4_096,
        "{} bytes",
        size_of_val(&a.conn)
    );
}

#[test]
fn trap_07_a_place_whose_creation_failed_is_created_by_a_later_try() {
    let (mut world, mut a, mut b) = open(config());
    let data = pattern(400_000);
    let mut sent = 0;
    world.store.landed = true;
    while sent < data.len() {
        sent += a.conn.write(world.now, &data[sent..]).unwrap();
        // The request after the fifth write of a place is its rotation: lose every reply to it.
        let writes = |o: &&Operation| matches!(o, Operation::Write { .. });
        if world.store.log.iter().filter(writes).count() % 5 == 4 {
            let lost = Failure::new(FailureKind::Unreachable, "reset").maybe_landed();
            world.store.faults.insert(world.store.log.len() + 1, lost);
        }
        world.run(&mut [&mut a, &mut b], true, SECOND);
    }
    world.run(&mut [&mut a, &mut b], true, 10 * SECOND);
    assert!(
        b.received == data,
        "{:?} {:?}",
        a.conn.error(),
        b.conn.error()
    );
    let rotations = |o: &&Operation| matches!(o, Operation::Rotate { .. });
    let asked = world.store.log.iter().filter(rotations).count() as u64;
    assert!(asked > a.conn.stats().rotations + b.conn.stats().rotations);
}

#[test]
fn an_idle_connection_looks_every_two_seconds_in_spite_of_pings() {
    let (mut world, mut a, mut b) = open(config());
    world.run(&mut [&mut a, &mut b], true, Duration::from_secs(120));
    let before = a.conn.stats().requests();
    world.run(&mut [&mut a, &mut b], true, Duration::from_secs(3_600));
    let hour = a.conn.stats().requests() - before;
    // 1,800 looks, and a ping of ours and one of the peer's every 30 s.
    assert!(
        (1_700..2_100).contains(&hour),
        "{hour} requests in an idle hour: {:?}",
        a.conn.stats()
    );
}

#[test]
fn single_bytes_arrive_whole_and_in_order() {
    let (mut world, mut a, mut b) = open(config());
    let data = pattern(3_000);
    for byte in &data {
        while a.conn.write(world.now, &[*byte]).unwrap() == 0 {
            world.run(&mut [&mut a, &mut b], false, Duration::from_millis(20));
        }
        // Each byte a frame and a chunk of its own.
        a.drive(&mut world.store, world.now);
    }
    world.run(&mut [&mut a, &mut b], true, 10 * SECOND);
    assert!(b.received == data);
}

#[test]
fn a_line_too_slow_for_a_whole_range_is_asked_for_less_and_less() {
    let carrier = Profile {
        largest_chunk: 4 << 20,
        bytes_per_write: 16 << 20,
        bytes_per_read: 16 << 20,
        ..profile()
    };
    let split = Split {
        i2r: [1; 32].into(),
        r2i: [2; 32].into(),
        hash: [3; 32],
    };
    let id = ConnectionId::from_random([4; 16]);
    let mut now = Instant::from_millis(1_000);
    let mut conn = Connection::new(
        Role::Listener,
        id,
        split,
        carrier,
        Config {
            retry_window: Duration::from_secs(3_600),
            idle_timeout: Duration::from_secs(7_200),
            ..Config::default()
        },
        now,
    );
    let mut asked = Vec::new();
    while asked.len() < 6 {
        match conn.poll(now) {
            Output::Store(request) => {
                if let Operation::Read { limit, .. } = request.operation {
                    asked.push(limit);
                }
                let late = Failure::new(FailureKind::TimedOut, "no answer");
                now = now.after(request.timeout);
                conn.handle(now, Input::Reply(request.id, Err(late)))
                    .unwrap();
            }
            Output::Wait(next) => now = next.unwrap(),
            other => panic!("{other:?}"),
        }
    }
    let kib: Vec<_> = asked.iter().map(|limit| limit >> 10).collect();
    assert_eq!(kib, [16_384, 4_096, 1_024, 256, 64, 64]);
}

#[test]
fn a_read_is_asked_for_and_answered_while_a_write_hangs() {
    let (mut world, mut a, mut b) = open(config());
    b.conn.write(world.now, b"answer").unwrap();
    b.drive(&mut world.store, world.now);
    a.conn.write(world.now, b"question").unwrap();
    let mut asked = Vec::new();
    while asked.len() < 2 {
        match a.conn.poll(world.now) {
            Output::Store(request) => asked.push(request),
            Output::Wait(next) => world.now = next.expect("it wants to read"),
            _ => {}
        }
    }
    assert!(matches!(asked[0].operation, Operation::Write { .. }));
    assert!(matches!(asked[1].operation, Operation::Read { .. }));
    let place = (a.conn.id(), a.conn.role(), &mut a.cursor);
    let read = world.store.perform(Some(place), &asked[1]);
    let answer = Input::Reply(asked[1].id, read);
    a.conn.handle(world.now, answer).unwrap();
    a.drain(world.now).unwrap();
    assert_eq!(a.received, b"answer");
    assert_eq!(a.conn.stats().bytes_stored, 0, "the write still hangs");
}
