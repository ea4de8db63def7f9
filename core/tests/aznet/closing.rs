//! How connections end.

use crate::world::{World, config, pattern, profile};
use std::time::Duration;
use stillwire_core::aznet::handshake::Split;
use stillwire_core::aznet::wire::{chunk, frame};
use stillwire_core::aznet::{Connection, ConnectionEvent, ConnectionId};
use stillwire_core::store::{Failure, FailureKind, Operation, Reply, Role};
use stillwire_core::{Channel, Class, Error, Input, Instant, Machine, Output, Timer};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_half_close_ends_one_direction_only() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    a.conn.write(world.now, b"question").unwrap();
    a.conn.close_write(world.now).unwrap();
    assert!(matches!(
        a.conn.write(world.now, b"x"),
        Err(Error::Misuse(_))
    ));
    world.run(&mut [&mut a, &mut b], true, SECOND);
    assert!(b.ended && b.received == b"question" && !a.ended);
    b.conn.write(world.now, b"answer").unwrap();
    b.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a, &mut b], true, 5 * SECOND);
    assert!(a.ended && a.received == b"answer");
    assert_eq!(a.closed(), Some(&Ok(())));
    assert_eq!(b.closed(), Some(&Ok(())));
    assert!(b.conn.is_clean());
    assert!(world.store.sessions.is_empty(), "the listener cleans up");
}

#[test]
fn trap_18_a_dialer_that_is_still_reading_keeps_its_session() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    let data = pattern(60_000);
    // The dialer ends first and does not read yet: nothing tells the listener that it has read.
    a.conn.close_write(world.now).unwrap();
    let mut sent = 0;
    while sent < data.len() {
        sent += b.conn.write(world.now, &data[sent..]).unwrap();
        world.run(&mut [&mut b], true, SECOND);
    }
    b.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a, &mut b], false, 20 * SECOND);
    assert!(b.closed().is_none() && !world.store.sessions.is_empty());
    world.run(&mut [&mut a, &mut b], true, 9 * SECOND);
    assert_eq!(
        (a.received.len(), a.ended, a.conn.error()),
        (data.len(), true, None)
    );
    assert!(a.received == data);
    world.run(&mut [&mut a, &mut b], true, SECOND);
    assert_eq!(b.closed(), Some(&Ok(())));
    assert!(world.store.sessions.is_empty());
}

#[test]
fn a_peer_without_our_farewell_is_given_the_close_time() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    a.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a], true, SECOND);
    // `a` falls silent from here on, as a Go dialer does behind its FIN.
    b.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut b], true, 43 * SECOND);
    assert!(b.closed().is_none(), "it might be about to ping");
    world.run(&mut [&mut b], true, 3 * SECOND);
    assert_eq!(b.closed(), Some(&Ok(())));
}

#[test]
fn a_connection_that_is_cut_waits_for_nobody() {
    // Both directions have ended, and only the farewell is missing.
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    a.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a], true, SECOND);
    b.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut b], true, SECOND);
    b.conn.abort(world.now);
    b.drive(&mut world.store, world.now);
    assert!(b.closed().is_none(), "dropping it changes nothing");
    b.conn.cut(world.now);
    b.drive(&mut world.store, world.now);
    assert_eq!(b.closed(), Some(&Ok(())));
    assert!(b.conn.is_clean() && world.store.sessions.is_empty());

    // Dropped, and the peer does not end its direction.
    let mut world = World::new(config());
    let (_a, mut b) = world.dial(config()).unwrap();
    b.conn.close_write(world.now).unwrap();
    b.conn.abort(world.now);
    world.run(&mut [&mut b], true, SECOND);
    assert!(b.closed().is_none());
    b.conn.cut(world.now);
    b.drive(&mut world.store, world.now);
    assert_eq!(b.closed(), Some(&Err(Error::Closed)));
    // It did not end well: removing its session is left to the listener.
    assert!(!b.conn.is_clean() && !world.store.sessions.is_empty());
    b.conn.cut(world.now);
    b.drive(&mut world.store, world.now);
    assert_eq!(b.closed(), Some(&Err(Error::Closed)), "once is enough");
}

#[test]
fn trap_18_a_slow_reader_that_pings_is_waited_for() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    a.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a, &mut b], true, SECOND);
    let data = pattern(60_000);
    let mut sent = 0;
    while sent < data.len() {
        sent += b.conn.write(world.now, &data[sent..]).unwrap();
        world.run(&mut [&mut a, &mut b], false, SECOND);
    }
    b.conn.close_write(world.now).unwrap();
    // For ten minutes the application reads nothing, so `a` has not seen the end.
    world.run(&mut [&mut a, &mut b], false, Duration::from_secs(600));
    assert!(!a.ended && b.closed().is_none());
    world.run(&mut [&mut a, &mut b], true, 5 * SECOND);
    assert!(a.ended && a.received == data);
    assert_eq!(b.closed(), Some(&Ok(())));
}

#[test]
fn a_lost_reply_to_the_farewell_does_not_spoil_a_whole_stream() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    b.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a, &mut b], true, SECOND);
    assert!(a.ended);
    a.conn.close_write(world.now).unwrap();
    let number = world.store.log.len();
    let lost = Failure::new(FailureKind::TimedOut, "no answer").maybe_landed();
    world.store.landed = true;
    world.store.faults.insert(number, lost);
    a.drive(&mut world.store, world.now);
    world.run(&mut [&mut b], true, SECOND);
    assert!(
        world.store.sessions.is_empty(),
        "the listener has cleaned up"
    );
    world.run(&mut [&mut a, &mut b], true, 5 * SECOND);
    assert_eq!((a.closed(), b.closed()), (Some(&Ok(())), Some(&Ok(()))));
}

#[test]
fn last_bytes_whose_reply_was_lost_are_not_taken_for_delivered_when_the_session_is_gone() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    b.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a, &mut b], true, SECOND);
    assert!(a.ended, "so the farewell is due along with the end mark");
    a.conn.write(world.now, b"last words").unwrap();
    a.conn.close_write(world.now).unwrap();
    let number = world.store.log.len();
    let lost = Failure::new(FailureKind::TimedOut, "no answer").maybe_landed();
    world.store.faults.insert(number, lost);
    a.drive(&mut world.store, world.now);
    // Not by the listener: nothing arrived there.
    world.store.sessions.clear();
    world.run(&mut [&mut a], true, 5 * SECOND);
    assert!(
        matches!(a.closed(), Some(Err(Error::Store(failure))) if failure.kind == FailureKind::NotFound),
        "{:?}",
        a.closed()
    );
    assert!(b.received.is_empty());
}

#[test]
fn a_received_end_is_told_even_when_our_own_direction_failed() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    world.run(&mut [&mut a, &mut b], true, SECOND);
    b.conn.write(world.now, b"all of it").unwrap();
    b.conn.close_write(world.now).unwrap();
    // Both come in, and nobody reads before our own write fails for good.
    world.run(&mut [&mut a, &mut b], false, 5 * SECOND);
    a.conn.write(world.now, b"reply").unwrap();
    let number = world.store.log.len();
    let denied = Failure::new(FailureKind::Denied, "no");
    world.store.faults.insert(number, denied.clone());
    world.run(&mut [&mut a], false, SECOND);
    assert_eq!(a.closed(), Some(&Err(Error::Store(denied.clone()))));
    a.drain(world.now).unwrap();
    assert!(a.ended && a.received == b"all of it");
    let again = a.conn.write(world.now, b"more");
    assert_eq!(again, Err(Error::Store(denied)));
}

#[test]
fn data_behind_an_end_mark_is_the_peers_fault_and_no_end() {
    let mut frames = frame::header(0, frame::kind::FIN).to_vec();
    frames.extend_from_slice(&frame::header(1, frame::kind::DATA));
    frames.push(b'x');
    let mut chunk = vec![0; chunk::PREFIX];
    chunk.extend_from_slice(&frames);
    chunk.extend_from_slice(&[0; chunk::TAG]);
    let split = || Split {
        i2r: [1; 32].into(),
        r2i: [2; 32].into(),
        hash: [3; 32],
    };
    chunk::Sealer::new(split().i2r).seal(&mut chunk).unwrap();
    let now = Instant::from_millis(1_000);
    let id = ConnectionId::from_random([4; 16]);
    let mut conn = Connection::new(Role::Listener, id, split(), profile(), config(), now);
    let read = loop {
        match conn.poll(now.after(SECOND)) {
            Output::Store(request) => break request.id,
            Output::Wait(_) => unreachable!("it looks for what the dialer says"),
            _ => {}
        }
    };
    let data = Reply::Data {
        bytes: chunk.into(),
        more: false,
    };
    let fault = conn
        .handle(now.after(SECOND), Input::Reply(read, Ok(data)))
        .unwrap_err();
    assert_eq!(fault.class(), Some(Class::State));
    for _ in 0..2 {
        assert_eq!(conn.read(now, &mut [0; 8]), Err(fault.clone()));
    }
}

#[test]
fn a_peer_that_never_ends_its_side_is_a_typed_outcome() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    world.run(&mut [&mut a, &mut b], true, SECOND);
    b.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut b], true, Duration::from_secs(310));
    assert_eq!(b.closed(), Some(&Err(Error::Timeout(Timer::Close))));
    assert!(!world.store.sessions.is_empty(), "left to the janitor");
}

#[test]
fn a_dropped_connection_delivers_what_was_written_and_no_end_mark() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    a.conn.write(world.now, b"last words").unwrap();
    a.conn.abort(world.now);
    world.run(&mut [&mut a, &mut b], true, 10 * SECOND);
    assert_eq!(a.closed(), Some(&Err(Error::Closed)));
    assert_eq!(b.received, b"last words");
    assert!(!b.ended, "a broken-off stream is not a whole one");
}

#[test]
fn dropping_after_close_still_waits_for_the_peer_within_bounds() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    b.conn.write(world.now, &pattern(5_000)).unwrap();
    b.conn.close_write(world.now).unwrap();
    b.conn.abort(world.now);
    world.run(&mut [&mut a, &mut b], true, 5 * SECOND);
    assert!(a.ended && a.received.len() == 5_000);
    a.conn.write(world.now, b"nobody reads this").unwrap();
    a.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a, &mut b], true, 5 * SECOND);
    assert_eq!(b.closed(), Some(&Ok(())));
    assert!(b.received.is_empty());
    assert!(world.store.sessions.is_empty());
}

#[test]
fn the_end_mark_follows_the_data_and_the_end_is_told_once() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    let data = pattern(100_000);
    let mut sent = 0;
    while sent < data.len() {
        sent += a.conn.write(world.now, &data[sent..]).unwrap();
        if sent == data.len() {
            a.conn.close_write(world.now).unwrap();
        }
        world.run(&mut [&mut a, &mut b], true, SECOND);
        assert_eq!(b.ended, sent == data.len());
    }
    assert!(b.received == data);
    let ends = b
        .events
        .iter()
        .filter(|event| **event == ConnectionEvent::PeerFinished);
    assert_eq!(ends.count(), 1);
}

#[test]
fn nothing_but_our_own_session_is_ever_deleted() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    let id = a.conn.id();
    a.conn.close_write(world.now).unwrap();
    b.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a, &mut b], true, 40 * SECOND);
    for operation in &world.store.log {
        match operation {
            Operation::DeleteSession { id: other } | Operation::DeleteToken { id: other } => {
                assert_eq!(*other, id);
            }
            Operation::DeleteHandshake { name } => assert_eq!(*name, id.to_string()),
            _ => {}
        }
    }
}

#[test]
fn a_session_that_could_not_be_removed_is_left_to_the_janitor() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    a.conn.close_write(world.now).unwrap();
    b.conn.close_write(world.now).unwrap();
    let denied = Failure::new(FailureKind::Denied, "no");
    world.store.undeletable = Some(denied);
    world.run(&mut [&mut a, &mut b], true, 5 * SECOND);
    assert_eq!(b.closed(), Some(&Ok(())), "the stream itself was whole");
    assert!(!b.conn.is_clean());
    assert!(!world.store.sessions.is_empty());
}

#[test]
fn a_dropped_connection_whose_storage_never_answers_ends_with_the_close_time() {
    let mut world = World::new(config());
    let (mut a, _b) = world.dial(config()).unwrap();
    let dropped = world.now;
    a.conn.write(dropped, b"last words").unwrap();
    a.conn.abort(dropped);
    let mut polls = 0;
    let ended = loop {
        polls += 1;
        assert!(polls < 10_000, "it does not end");
        match a.conn.poll(world.now) {
            Output::Event(ConnectionEvent::Closed(how)) => break how,
            // Nobody performs it.
            Output::Store(_) | Output::Event(_) => {}
            Output::Wait(next) => world.now = next.expect("it has a deadline"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ended, Err(Error::Timeout(Timer::Close)));
    assert_eq!(world.now, dropped.after(config().close_timeout));
}
