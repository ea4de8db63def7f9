//! From message 1 to a connection, and what must not become one.

use crate::world::{Session, World, config, profile};
use bytes::Bytes;
use std::time::Duration;
use stillwire_core::aznet::{Config, Dialer, DialerSecurity};
use stillwire_core::store::{Failure, FailureKind, Operation};
use stillwire_core::{Channel, Class, Error, Machine, Output, Timer};

pub(crate) fn dialer(world: &World, seed: u8) -> Dialer {
    Dialer::new(
        config(),
        profile(),
        &DialerSecurity::Nn,
        [seed; 32],
        world.now,
    )
}

pub(crate) fn settle(world: &mut World, time: Duration) {
    let until = world.now.after(time);
    loop {
        world.drive_listener();
        match world.listener_next {
            Some(next) if next <= until => world.now = next.max(world.now),
            _ => break,
        }
    }
    world.now = until;
    world.drive_listener();
}

#[test]
fn nobody_answers_is_a_timeout() {
    let mut world = World::new(config());
    world.listener.stop(world.now);
    let mut lonely = dialer(&world, 3);
    let started = world.now;
    assert_eq!(
        world.connect(&mut lonely).err(),
        Some(Error::Timeout(Timer::Connect))
    );
    assert_eq!(world.now.since(started), Duration::from_secs(30));
}

#[test]
fn the_places_exist_before_the_token_is_posted() {
    let mut world = World::new(config());
    let mut caller = dialer(&world, 3);
    world.connect(&mut caller).unwrap();
    let at = |wanted: fn(&Operation) -> bool| world.store.log.iter().position(wanted).unwrap();
    let created = at(|o| matches!(o, Operation::CreateSession { .. }));
    let posted = at(|o| matches!(o, Operation::PutToken { .. }));
    assert!(created < posted);
}

#[test]
fn trap_06_a_dialer_retries_its_first_append_and_creates_nothing() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    let session = world.store.sessions.remove(&a.conn.id()).unwrap();
    a.conn.write(world.now, b"early").unwrap();
    world.run(&mut [&mut a], true, Duration::from_secs(2));
    assert!(a.conn.error().is_none(), "{:?}", a.conn.error());
    assert!(world.store.sessions.is_empty());
    world.store.sessions.insert(a.conn.id(), session);
    world.run(&mut [&mut a, &mut b], true, Duration::from_secs(2));
    assert_eq!(b.received, b"early");
}

#[test]
fn trap_01_an_existing_resource_is_refused_and_left_untouched() {
    let mut world = World::new(config());
    let mut caller = dialer(&world, 3);
    let foreign = Session {
        mark: [0xaa; 16],
        req: vec![b"precious".to_vec()],
        ..Session::default()
    };
    world.store.sessions.insert(caller.id(), foreign);
    let result = world.connect(&mut caller);
    assert_eq!(result.err(), Some(Error::Timeout(Timer::Connect)));
    assert_eq!(world.rejected[0].1.class(), Some(Class::Name));
    assert_eq!(world.store.sessions[&caller.id()].req[0], b"precious");
    settle(&mut world, Duration::from_secs(700));
    assert!(world.store.deleted.is_empty());
    assert_eq!(world.rejected.len(), 1, "said once");
}

#[test]
fn trap_01_hostile_ids_never_reach_the_store() {
    let mut world = World::new(config());
    let mut caller = dialer(&world, 3);
    for name in [
        "../x",
        "a/b?c",
        "handshake",
        "token",
        "$root",
        "",
        "nul\0byte",
        "cr\r\nlf",
        "6BA7B810-9DAD-41D1-80B4-00C04FD430C8",
        "6ba7b8109dad41d180b400c04fd430c8",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    ] {
        let mut message = vec![9; 32];
        message.extend_from_slice(name.as_bytes());
        world.store.handshakes.insert(name.into(), message.into());
    }
    let connected = world.connect(&mut caller).unwrap();
    settle(&mut world, Duration::from_secs(10));
    assert_eq!(world.rejected.len(), 11);
    assert!(
        world
            .rejected
            .iter()
            .all(|(_, error)| error.class() == Some(Class::Name))
    );
    let touched: Vec<_> = world.store.sessions.keys().collect();
    assert_eq!(touched, [&connected.conn.id()]);
    assert_eq!(world.store.handshakes.len(), 11, "junk stays where it is");
}

#[test]
fn the_entry_must_bear_the_id_of_its_message() {
    let mut world = World::new(config());
    let mut caller = dialer(&world, 3);
    let other = "0f6d3a52-5f1e-4d0b-9d7e-7c1d1e2f3a4b";
    // Take the dialer's own entry and file it under another id.
    let Output::Store(request) = caller.poll(world.now) else {
        unreachable!("a dialer begins with its handshake entry")
    };
    let Operation::PutHandshake { message, .. } = request.operation else {
        unreachable!()
    };
    world.store.handshakes.insert(other.into(), message);
    settle(&mut world, Duration::from_secs(5));
    assert_eq!(world.rejected.len(), 1);
    assert_eq!(world.rejected[0].1.class(), Some(Class::Name));
    assert!(world.store.sessions.is_empty());
}

#[test]
fn trap_03_a_replayed_handshake_makes_no_second_session() {
    let mut world = World::new(config());
    let mut caller = dialer(&world, 3);
    let mut a = world.connect(&mut caller).unwrap();
    let recorded = world.store.log.iter().find_map(|o| match o {
        Operation::PutHandshake { message, .. } => Some(message.clone()),
        _ => None,
    });
    let mut b = world.accepted.pop().unwrap();
    a.conn.close_write(world.now).unwrap();
    b.conn.close_write(world.now).unwrap();
    world.run(&mut [&mut a, &mut b], true, Duration::from_secs(40));
    assert_eq!(b.closed(), Some(&Ok(())));
    world
        .listener
        .connection_ended(world.now, b.conn.id(), true);
    let name = a.conn.id().to_string();
    world
        .store
        .handshakes
        .insert(name.clone(), recorded.unwrap());
    settle(&mut world, Duration::from_secs(5));
    assert!(world.accepted.is_empty());
    assert_eq!(world.rejected[0].1.class(), Some(Class::Replay));
    // The same id with another ephemeral key is no better.
    let mut message = vec![7; 32];
    message.extend_from_slice(name.as_bytes());
    world.store.handshakes.clear();
    settle(&mut world, Duration::from_secs(2));
    world.store.handshakes.insert(name, message.into());
    settle(&mut world, Duration::from_secs(5));
    assert!(world.accepted.is_empty());
}

#[test]
fn a_flood_of_junk_does_not_keep_an_honest_dialer_out() {
    let mut world = World::new(config());
    for n in 0..1_000 {
        let junk = Bytes::from(vec![n as u8; 20]);
        world.store.handshakes.insert(format!("!junk-{n}"), junk);
    }
    let mut caller = dialer(&world, 3);
    let started = world.now;
    world.connect(&mut caller).unwrap();
    assert!(world.now.since(started) < Duration::from_secs(3));
}

#[test]
fn outages_while_accepting_are_ridden_out() {
    let mut world = World::new(config());
    for number in [0, 2, 3, 5, 7, 8] {
        let busy = Failure::new(FailureKind::Busy, "503").maybe_landed();
        world.store.faults.insert(number, busy);
    }
    world.store.landed = true;
    let mut caller = dialer(&world, 3);
    world.connect(&mut caller).unwrap();
    assert_eq!(world.store.sessions.len(), 1);
}

#[test]
fn the_janitor_removes_what_a_dropped_connection_left_after_the_idle_time() {
    let mut world = World::new(config());
    let (a, mut b) = world.dial(config()).unwrap();
    let id = a.conn.id();
    b.conn.abort(world.now);
    world.run(&mut [&mut b], true, Duration::from_secs(1));
    assert_eq!(b.closed(), Some(&Err(Error::Closed)));
    world.listener.connection_ended(world.now, id, false);
    settle(&mut world, Duration::from_secs(290));
    assert!(world.store.sessions.contains_key(&id));
    settle(&mut world, Duration::from_secs(20));
    assert!(world.store.sessions.is_empty() && world.store.tokens.is_empty());
}

#[test]
fn stopping_leaves_nothing_behind() {
    let config = Config {
        remove_bootstrap: false,
        ..config()
    };
    let mut world = World::new(config.clone());
    let (a, mut b) = world.dial(config).unwrap();
    b.conn.abort(world.now);
    world.run(&mut [&mut b], true, Duration::from_secs(1));
    world.listener.stop(world.now);
    settle(&mut world, Duration::from_secs(1));
    assert!(!world.listener.is_finished(), "one connection is still out");
    world
        .listener
        .connection_ended(world.now, a.conn.id(), false);
    settle(&mut world, Duration::from_secs(1));
    assert!(world.listener.is_finished());
    assert!(world.store.sessions.is_empty());
    assert!(world.store.tokens.is_empty() && world.store.handshakes.is_empty());
}

#[test]
fn a_wrong_token_is_an_authentication_error() {
    let mut world = World::new(config());
    world.listener.stop(world.now);
    let mut caller = dialer(&world, 3);
    world
        .store
        .tokens
        .insert(caller.id(), Bytes::from(vec![9; 100]));
    let error = world.connect(&mut caller).err().unwrap();
    assert_eq!(error.class(), Some(Class::Auth));
}

#[test]
fn trap_10_the_token_goes_as_soon_as_the_dialer_has_proved_itself() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    assert!(!b.conn.is_confirmed());
    assert!(!world.store.tokens.is_empty());
    world.run(&mut [&mut a, &mut b], true, Duration::from_secs(1));
    assert!(b.conn.is_confirmed());
    assert!(world.store.tokens.is_empty(), "the token entry is removed");
    assert_eq!(a.conn.stats().pings, 1);
}

#[test]
fn trap_09_all_dialers_that_were_listed_are_served() {
    let mut world = World::new(config());
    let mut callers: Vec<_> = (10..60).map(|seed| dialer(&world, seed)).collect();
    for caller in &mut callers {
        let Output::Store(request) = caller.poll(world.now) else {
            unreachable!("a dialer begins with its handshake entry")
        };
        let result = world.store.perform(None, &request);
        caller
            .handle(world.now, stillwire_core::Input::Reply(request.id, result))
            .unwrap();
    }
    settle(&mut world, Duration::from_secs(1));
    assert_eq!(world.accepted.len(), 50);
    for caller in &mut callers {
        world.connect(caller).unwrap();
    }
}

#[test]
fn trap_19_a_bootstrap_goes_only_if_this_listener_made_it_and_was_told_to() {
    let removed = |told: bool, made: bool| {
        let config = Config {
            remove_bootstrap: told,
            ..config()
        };
        let mut world = World::new(config);
        world.store.bootstrap = !made;
        settle(&mut world, Duration::from_secs(1));
        world.listener.stop(world.now);
        settle(&mut world, Duration::from_secs(1));
        assert!(world.listener.is_finished());
        let removal = |o: &Operation| matches!(o, Operation::RemoveBootstrap);
        world.store.log.iter().any(removal)
    };
    assert!(removed(true, true));
    assert!(!removed(true, false));
    assert!(!removed(false, true));
}

#[test]
fn a_store_that_was_never_reached_is_given_up_early() {
    let mut world = World::new(config());
    world.listener.stop(world.now);
    for number in 0..200 {
        let refused = Failure::new(FailureKind::Unreachable, "connection refused");
        world.store.faults.insert(number, refused);
    }
    let mut caller = dialer(&world, 3);
    let started = world.now;
    let error = world.connect(&mut caller).err().unwrap();
    assert!(matches!(error, Error::Store(failure) if failure.kind == FailureKind::Unreachable));
    assert!(world.now.since(started) < Duration::from_secs(10));
}

#[test]
fn trap_17_the_dialer_makes_the_id_and_the_declared_length_counts_the_tag() {
    let mut world = World::new(config());
    let (mut a, b) = world.dial(config()).unwrap();
    let put = world
        .store
        .log
        .iter()
        .find_map(|operation| match operation {
            Operation::PutHandshake { id, .. } => Some(*id),
            _ => None,
        });
    assert_eq!((Some(a.conn.id()), Some(b.conn.id())), (put, put));

    a.conn.write(world.now, b"twelve bytes").unwrap();
    a.drive(&mut world.store, world.now);
    let stored = &world.store.sessions[&a.conn.id()].req[0];
    let (prefix, body) = stored.split_first_chunk().unwrap();
    assert_eq!(u32::from_be_bytes(*prefix) as usize, body.len());
    // The greeting's frame and the data frame have headers of five bytes, the tag has sixteen.
    assert_eq!(body.len(), 5 + 5 + 12 + 16);
}

#[test]
fn trap_03_a_dialer_with_nothing_to_say_pings_after_200_ms_and_not_before() {
    let mut world = World::new(config());
    let (mut a, mut b) = world.dial(config()).unwrap();
    world.run(&mut [&mut a, &mut b], true, Duration::from_millis(190));
    assert_eq!(a.conn.stats().pings, 0);
    assert!(!b.conn.is_confirmed());
    world.run(&mut [&mut a, &mut b], true, Duration::from_millis(20));
    assert_eq!(a.conn.stats().pings, 1);
}

/// What a listener rejects when it fails once to do what `fails` says, and how often it creates.
fn rejected_when_once(fails: impl Fn(&Operation) -> bool) -> (usize, usize) {
    let run = |fault: Option<usize>| {
        let mut world = World::new(config());
        let busy = Failure::new(FailureKind::Busy, "busy");
        world.store.faults.extend(fault.map(|at| (at, busy)));
        let mut caller = dialer(&world, 3);
        let _end = world.connect(&mut caller).unwrap();
        settle(&mut world, Duration::from_secs(10));
        world
    };
    let at = run(None).store.log.iter().position(&fails).unwrap();
    let world = run(Some(at));
    let creates = |o: &&Operation| matches!(o, Operation::CreateSession { .. });
    assert_eq!(world.accepted.len(), 1);
    assert!(world.store.log.iter().filter(|o| fails(o)).count() > 1);
    let created = world.store.log.iter().filter(creates).count();
    (world.rejected.len(), created)
}

#[test]
fn an_entry_that_is_listed_again_while_it_is_served_is_no_replay() {
    let create = |o: &Operation| matches!(o, Operation::CreateSession { .. });
    assert_eq!(rejected_when_once(create), (0, 2));
    // Accepted, and its entry is still there.
    let delete = |o: &Operation| matches!(o, Operation::DeleteHandshake { .. });
    assert_eq!(rejected_when_once(delete), (0, 1));
}

#[test]
fn a_handshake_that_is_answered_when_the_listener_has_stopped_leaves_nothing() {
    for held_back in [0, 1] {
        let mut world = World::new(config());
        let mut caller = dialer(&world, 3);
        let Output::Store(knock) = caller.poll(world.now) else {
            unreachable!("a dialer begins with its handshake entry")
        };
        world.store.perform(None, &knock).unwrap();
        let held = loop {
            match world.listener.poll(world.now) {
                Output::Store(request) => {
                    let create = matches!(request.operation, Operation::CreateSession { .. });
                    let token = matches!(request.operation, Operation::PutToken { .. });
                    if [create, token][held_back] {
                        break request;
                    }
                    let result = world.store.perform(None, &request);
                    let reply = stillwire_core::Input::Reply(request.id, result);
                    world.listener.handle(world.now, reply).unwrap();
                }
                Output::Wait(next) => world.now = next.unwrap(),
                Output::Event(_) => {}
                _ => unreachable!(),
            }
        };
        world.listener.stop(world.now);
        let result = world.store.perform(None, &held);
        let reply = stillwire_core::Input::Reply(held.id, result);
        world.listener.handle(world.now, reply).unwrap();
        settle(&mut world, Duration::from_secs(60));
        assert!(world.accepted.is_empty());
        assert_eq!(world.store.deleted.len(), 1);
        assert!(world.store.sessions.is_empty() && world.store.tokens.is_empty());
        assert!(world.store.handshakes.is_empty());
    }
}

#[test]
fn a_listener_that_is_up_outlives_an_outage() {
    let mut world = World::new(config());
    settle(&mut world, Duration::from_secs(1));
    assert!(world.ready);
    let from = world.store.log.len();
    let busy = || Failure::new(FailureKind::Busy, "busy");
    world
        .store
        .faults
        .extend((from..from + 60).map(|at| (at, busy())));
    settle(&mut world, Duration::from_secs(7_200));
    assert!(world.store.faults.is_empty());
    assert_eq!(world.failed, None);
    assert!(!world.trouble.is_empty());
    let mut caller = dialer(&world, 3);
    world.connect(&mut caller).unwrap();
}
