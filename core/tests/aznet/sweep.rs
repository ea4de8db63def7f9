//! Cleaning up after listeners that are no more.

use crate::world::{Session, Store, config};
use std::time::Duration;
use stillwire_core::aznet::{ConnectionId, Sweep, SweepEvent};
use stillwire_core::store::{Failure, FailureKind, Operation};
use stillwire_core::{Error, Input, Instant, Machine, Output};

const HOUR: Duration = Duration::from_secs(3_600);

fn id(n: u16) -> ConnectionId {
    let mut random = [0; 16];
    random[..2].copy_from_slice(&n.to_be_bytes());
    ConnectionId::from_random(random)
}

fn add(store: &mut Store, n: u16, still: Duration) {
    let session = Session {
        still,
        ..Session::default()
    };
    store.sessions.insert(id(n), session);
    store.handshakes.insert(id(n).to_string(), b"1"[..].into());
    store.tokens.insert(id(n), b"2"[..].into());
}

/// Runs a sweep to its end, all at once or with the pauses it asks for.
fn sweep(store: &mut Store, dry_run: bool) -> Vec<SweepEvent> {
    let mut now = Instant::from_millis(5);
    let mut machine = Sweep::new(config(), HOUR, dry_run, now);
    let mut events = Vec::new();
    while !machine.is_finished() {
        match machine.poll(now) {
            Output::Store(request) => {
                let result = store.perform(None, &request);
                let reply = Input::Reply(request.id, result);
                machine.handle(now, reply).unwrap();
            }
            Output::Event(event) => events.push(event),
            Output::Wait(next) => now = next.expect("it waits for something").max(now),
            _ => unreachable!("a sweep does not transmit"),
        }
    }
    events
}

fn removed(events: &[SweepEvent]) -> usize {
    let removed = |event: &&SweepEvent| matches!(event, SweepEvent::Removed(_));
    events.iter().filter(removed).count()
}

#[test]
fn what_has_been_still_for_long_goes_and_what_is_in_use_stays() {
    let mut store = Store::default();
    for n in 0..600 {
        add(&mut store, n, if n % 3 == 0 { HOUR } else { HOUR / 2 });
    }
    let events = sweep(&mut store, false);
    assert_eq!(removed(&events), 200);
    assert_eq!(events.last(), Some(&SweepEvent::Finished(Ok(()))));
    assert_eq!(store.sessions.len(), 400);
    assert!(store.sessions.values().all(|session| session.still < HOUR));
    assert_eq!(store.tokens.len(), 400);
    assert_eq!(store.handshakes.len(), 400);
    assert!(!store.sessions.contains_key(&id(0)));
    let pages = |o: &&Operation| matches!(o, Operation::ListSessions { .. });
    assert_eq!(store.log.iter().filter(pages).count(), 3);
}

#[test]
fn a_dry_run_tells_and_touches_nothing() {
    let mut store = Store::default();
    add(&mut store, 1, 2 * HOUR);
    add(&mut store, 2, Duration::ZERO);
    let events = sweep(&mut store, true);
    let found = SweepEvent::Found {
        id: id(1),
        still: 2 * HOUR,
    };
    assert_eq!(events, [found, SweepEvent::Finished(Ok(()))]);
    assert_eq!(store.sessions.len(), 2);
    assert!(store.deleted.is_empty());
    assert_eq!(store.tokens.len(), 2);
}

#[test]
fn one_that_cannot_be_removed_is_told_and_holds_up_no_other() {
    let mut store = Store::default();
    for n in 0..3 {
        add(&mut store, n, HOUR);
    }
    let failure = Failure::new(FailureKind::Exists, "not ours");
    store.undeletable = Some(failure.clone());
    let events = sweep(&mut store, false);
    let kept = |event: &&SweepEvent| matches!(event, SweepEvent::Kept(_, f) if *f == failure);
    assert_eq!(events.iter().filter(kept).count(), 3);
    assert_eq!(removed(&events), 0);
    assert_eq!(events.last(), Some(&SweepEvent::Finished(Ok(()))));
}

#[test]
fn outages_are_ridden_out_and_a_refused_listing_ends_it() {
    let mut store = Store::default();
    add(&mut store, 1, HOUR);
    for number in [0, 2, 4, 6] {
        let busy = Failure::new(FailureKind::Busy, "503").maybe_landed();
        store.faults.insert(number, busy);
    }
    assert_eq!(removed(&sweep(&mut store, false)), 1);

    let denied = Failure::new(FailureKind::Denied, "403");
    let mut store = Store::default();
    add(&mut store, 1, HOUR);
    store.faults.insert(0, denied.clone());
    let events = sweep(&mut store, false);
    assert_eq!(events, [SweepEvent::Finished(Err(Error::Store(denied)))]);
    assert_eq!(store.sessions.len(), 1);
}
