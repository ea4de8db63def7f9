//! What a listener that is left running holds at the most, and who waits for whom.

use crate::connecting::{dialer, settle};
use crate::world::{World, config, profile};
use bytes::Bytes;
use std::time::Duration;
use stillwire_core::aznet::{Config, Dialer, Listener, ListenerSecurity};
use stillwire_core::store::{Failure, FailureKind, Operation, Profile};
use stillwire_core::{Class, Error, Input, Machine, Output};

/// Leaves the dialer's handshake in the store, and lets nobody drive it any further.
fn knock(world: &mut World, caller: &mut Dialer) {
    let Output::Store(request) = caller.poll(world.now) else {
        unreachable!("a dialer begins with its handshake entry")
    };
    let result = world.store.perform(None, &request);
    let reply = Input::Reply(request.id, result);
    caller.handle(world.now, reply).unwrap();
}

fn crowd(world: &mut World, seeds: std::ops::Range<u8>) -> Vec<Dialer> {
    let mut callers: Vec<_> = seeds.map(|seed| dialer(world, seed)).collect();
    for caller in &mut callers {
        knock(world, caller);
    }
    callers
}

#[test]
fn past_the_bound_on_connections_dialers_wait_in_storage_until_one_ends() {
    let config = Config {
        connections: 4,
        ..config()
    };
    let mut world = World::new(config);
    let callers = crowd(&mut world, 10..20);
    settle(&mut world, Duration::from_secs(20));
    assert_eq!(world.accepted.len(), 4);
    assert_eq!(world.listener.connections(), 4);
    assert_eq!(world.store.sessions.len(), 4);
    assert_eq!(world.store.handshakes.len(), 6, "the others wait");
    assert!(world.overdue.is_empty(), "nobody is given up for them");
    for ended in 1..=6 {
        let id = world.accepted[ended - 1].conn.id();
        world.listener.connection_ended(world.now, id, true);
        settle(&mut world, Duration::from_secs(2));
        assert_eq!(world.accepted.len(), 4 + ended);
        assert_eq!(world.listener.connections(), 4);
    }
    assert!(world.store.handshakes.is_empty());
    assert!(world.rejected.is_empty());
    drop(callers);
}

#[test]
fn the_oldest_half_open_connection_gives_way_and_only_when_it_had_its_time() {
    let config = Config {
        half_open: 3,
        confirm_timeout: Duration::from_secs(5),
        ..config()
    };
    let mut world = World::new(config);
    let dead = crowd(&mut world, 10..13);
    settle(&mut world, Duration::from_secs(1));
    assert_eq!(world.listener.half_open(), 3);
    // While nobody else waits, they stay.
    settle(&mut world, Duration::from_secs(20));
    assert!(world.overdue.is_empty());
    assert_eq!(world.listener.connections(), 3);

    // The oldest is alive after all: it is none of those that have to go.
    let alive = world.accepted[0].conn.id();
    world.listener.connection_confirmed(alive);
    assert_eq!(world.listener.half_open(), 2);
    let more = crowd(&mut world, 20..22);
    settle(&mut world, Duration::from_secs(2));
    assert_eq!(world.accepted.len(), 5, "one had room, one took another's");
    assert_eq!(world.overdue.len(), 1);
    let gone = world.overdue[0];
    assert_ne!(gone, alive);
    assert_eq!(gone, world.accepted[1].conn.id());

    // What it leaves is removed at once, not after the idle time.
    world.listener.connection_ended(world.now, gone, false);
    settle(&mut world, Duration::from_millis(10));
    assert!(!world.store.sessions.contains_key(&gone));
    assert!(!world.store.tokens.contains_key(&gone));
    assert_eq!(world.listener.stats().overdue, 1);
    assert_eq!(world.listener.stats().accepted, 5);

    // The young ones have their time first.
    let last = crowd(&mut world, 30..32);
    settle(&mut world, Duration::from_secs(1));
    assert_eq!(world.overdue.len(), 2, "{:?}", world.overdue);
    assert_eq!(world.accepted.len(), 6);
    settle(&mut world, Duration::from_secs(5));
    assert_eq!(world.accepted.len(), 7);
    drop((dead, more, last));
}

#[test]
fn no_more_are_half_open_than_leave_the_next_dialers_token_in_sight() {
    let few = Profile {
        tokens_in_sight: Some(4),
        ..profile()
    };
    let mut world = World::new(config());
    let security = ListenerSecurity::Nn;
    world.listener = Listener::new(config(), few, security, [1; 32], world.now);
    let callers = crowd(&mut world, 10..20);
    settle(&mut world, Duration::from_secs(4));
    assert_eq!((world.accepted.len(), world.listener.half_open()), (3, 3));
    assert_eq!(world.store.tokens.len(), 3);
    assert_eq!(world.store.handshakes.len(), 7, "the others wait");
    drop(callers);
}

#[test]
fn a_thousand_handshakes_of_dialers_that_are_gone_keep_no_honest_one_out() {
    let mut world = World::new(config());
    // Well-formed: each makes a session. Their ids are spread evenly, as an attacker's would be.
    for n in 0..1_000_u32 {
        let mut random = [0; 16];
        random[..4].copy_from_slice(&n.wrapping_mul(0x9E37_79B9).to_be_bytes());
        let id = stillwire_core::aznet::ConnectionId::from_random(random).to_string();
        let mut message = vec![9; 32];
        message[..4].copy_from_slice(&n.to_be_bytes());
        message.extend_from_slice(id.as_bytes());
        world.store.handshakes.insert(id, Bytes::from(message));
        let junk = Bytes::from(vec![n as u8; 20]);
        world.store.handshakes.insert(format!("!junk-{n}"), junk);
    }
    let started = world.now;
    for seed in 1..=5 {
        let mut caller = dialer(&world, seed);
        let mut tries = 0;
        // Whoever has to give way is aborted by who holds it, as an adapter does.
        let honest = loop {
            knock_or_wait(&mut world, &mut caller);
            for id in std::mem::take(&mut world.overdue) {
                world.listener.connection_ended(world.now, id, false);
            }
            let found = world
                .accepted
                .iter()
                .position(|end| end.conn.id() == caller.id());
            if let Some(found) = found {
                break found;
            }
            tries += 1;
            assert!(tries < 300, "not served within its connect time-out");
        };
        let id = world.accepted.remove(honest).conn.id();
        world.listener.connection_confirmed(id);
        world.listener.connection_ended(world.now, id, true);
    }
    assert!(world.now.since(started) < Duration::from_secs(30));
    assert!(world.listener.half_open() <= Config::default().half_open);
    assert!(world.store.sessions.len() <= Config::default().half_open + 32);
}

/// A tenth of a second in the life of a listener and a dialer.
fn knock_or_wait(world: &mut World, caller: &mut Dialer) {
    while let Output::Store(request) = caller.poll(world.now) {
        let result = world.store.perform(None, &request);
        let _ = caller.handle(world.now, Input::Reply(request.id, result));
    }
    settle(world, Duration::from_millis(100));
}

#[test]
fn without_room_in_memory_each_handshake_is_told_of_once() {
    let config = Config {
        replay_entries: 2,
        ..config()
    };
    let mut world = World::new(config);
    let callers = crowd(&mut world, 10..15);
    settle(&mut world, Duration::from_secs(30));
    assert_eq!(world.accepted.len(), 2);
    assert_eq!(world.rejected.len(), 3, "{:?}", world.rejected);
    for (_, error) in &world.rejected {
        assert_eq!(error.class(), Some(Class::Limit));
    }
    assert_eq!(world.listener.stats().rejected, 3);
    assert_eq!(world.store.handshakes.len(), 3, "they may be served later");
    drop(callers);
}

#[test]
fn a_bootstrap_that_is_being_made_while_we_stop_is_removed_again() {
    let removed = |created: bool, told: bool| {
        let config = Config {
            remove_bootstrap: told,
            ..config()
        };
        let mut world = World::new(config);
        let Output::Store(prepare) = world.listener.poll(world.now) else {
            unreachable!("a listener begins with its bootstrap")
        };
        assert!(matches!(prepare.operation, Operation::Prepare));
        world.store.bootstrap = !created;
        let reply = world.store.perform(None, &prepare);
        world.listener.stop(world.now);
        assert!(!world.listener.is_finished());
        let reply = Input::Reply(prepare.id, reply);
        world.listener.handle(world.now, reply).unwrap();
        settle(&mut world, Duration::from_secs(1));
        assert!(world.listener.is_finished());
        assert!(!world.ready, "nobody is told of a place that goes again");
        let removal = |o: &Operation| matches!(o, Operation::RemoveBootstrap);
        world.store.log.iter().any(removal)
    };
    assert!(removed(true, true));
    assert!(!removed(false, true));
    assert!(!removed(true, false));
}

#[test]
fn a_refused_credential_is_tried_again_for_a_while_but_not_at_the_start() {
    let denied = || Failure::new(FailureKind::Denied, "403");
    let mut world = World::new(config());
    world.store.faults.insert(0, denied());
    settle(&mut world, Duration::from_secs(1));
    assert_eq!(world.failed, Some(Error::Store(denied())));

    let mut world = World::new(config());
    settle(&mut world, Duration::from_secs(2));
    let next = world.store.log.len();
    for number in next..next + 3 {
        world.store.faults.insert(number, denied());
    }
    settle(&mut world, Duration::from_secs(20));
    assert_eq!(world.trouble.len(), 3);
    assert_eq!(world.failed, None);
    let mut caller = dialer(&world, 3);
    world.connect(&mut caller).unwrap();

    let next = world.store.log.len();
    for number in next..next + 10_000 {
        world.store.faults.insert(number, denied());
    }
    settle(&mut world, Duration::from_secs(200));
    assert_eq!(world.failed, None);
    settle(&mut world, Duration::from_secs(200));
    assert_eq!(world.failed, Some(Error::Store(denied())));
}

#[test]
fn a_listener_counts_its_own_requests() {
    let mut world = World::new(config());
    settle(&mut world, Duration::from_secs(10));
    let stats = world.listener.stats();
    let listings = |o: &&Operation| matches!(o, Operation::ListHandshakes { .. });
    assert_eq!(
        stats.listings,
        world.store.log.iter().filter(listings).count() as u64
    );
    assert!(stats.listings >= 10);
    assert_eq!(stats.requests(), world.store.log.len() as u64);
}

#[test]
fn what_is_refused_goes_at_once_and_what_ended_badly_after_the_idle_time() {
    let mut world = World::new(config());
    let callers = crowd(&mut world, 1..3);
    settle(&mut world, Duration::from_secs(2));
    let mut broken = world.accepted.pop().unwrap();
    let mut refused = world.accepted.pop().unwrap();
    let id = refused.conn.id();
    assert_eq!(world.listener.half_open(), 2);
    world.listener.connection_refused(id);
    assert_eq!(world.listener.half_open(), 1);
    assert_eq!(world.listener.connections(), 2, "it is not over yet");
    for end in [&mut refused, &mut broken] {
        end.conn.cut(world.now);
        end.drive(&mut world.store, world.now);
        let clean = end.conn.is_clean();
        world
            .listener
            .connection_ended(world.now, end.conn.id(), clean);
    }
    settle(&mut world, Duration::from_millis(10));
    assert_eq!(world.listener.connections(), 0);
    let left: Vec<_> = world.store.sessions.keys().copied().collect();
    assert_eq!(left, [broken.conn.id()], "its dialer may still read");
    // It is gone: nothing more happens to it.
    world.listener.connection_refused(id);
    settle(&mut world, Duration::from_millis(10));
    assert_eq!(world.store.sessions.len(), 1);
    drop(callers);
}
