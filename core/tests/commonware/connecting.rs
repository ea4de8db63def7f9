//! Handshakes between honest ends.

use super::world::{End, Pair, UNIX, anyone, class, config, identity, public};
use std::sync::Arc;
use std::time::Duration;
use stillwire_core::commonware::{
    Admission, Config, Connection, ConnectionEvent, Door, Profile, SynCache,
};
use stillwire_core::{Channel, Class, Error, Input, Instant, Machine, Messages, Output, Timer};

#[test]
fn every_profile_connects_in_pieces_of_any_size() {
    for profile in Profile::ALL {
        for size in [1, 2, 3, 5, 31, 100, usize::MAX] {
            let mut pair = Pair::new(&config(profile), anyone());
            pair.run(size);
            assert!(pair.dialer.is_established(), "{profile} {size}");
            assert!(pair.listener.is_established(), "{profile} {size}");
            assert_eq!(pair.listener.machine.peer(), Some(public(1)));
            assert_eq!(pair.dialer.machine.peer(), Some(public(2)));
            assert_eq!(pair.dialer.drain(pair.now), None, "no deadline is left");
        }
    }
}

#[test]
fn nothing_is_written_before_the_peer_is_proven() {
    let mut pair = Pair::new(&config(Profile::V0), anyone());
    let now = pair.now;
    for end in [&mut pair.dialer, &mut pair.listener] {
        assert_eq!(end.machine.write(now, b"early"), Ok(0));
        assert_eq!(end.machine.send(now, b"early"), Ok(false));
        assert!(!end.machine.is_writable());
    }
    pair.run(usize::MAX);
    assert_eq!(pair.dialer.machine.write(now, b"now"), Ok(3));
}

#[test]
fn trap_08_a_deadline_over_the_whole_handshake_ends_both_sides() {
    for profile in Profile::ALL {
        let config = Config {
            handshake_timeout: Duration::from_secs(3),
            ..config(profile)
        };
        let mut pair = Pair::new(&config, anyone());
        let end = Instant::from_millis(3_000);
        assert_eq!(pair.dialer.drain(pair.now), Some(end));
        assert_eq!(pair.listener.drain(pair.now), Some(end));
        // A peer that trickles gains no time.
        for _ in 0..29 {
            pair.pass(Duration::from_millis(100));
            let piece: Vec<u8> = pair.dialer.out.drain(..1).collect();
            pair.listener.feed(pair.now, &piece).unwrap();
            assert_eq!(pair.listener.drain(pair.now), Some(end), "{profile}");
        }
        pair.pass(Duration::from_millis(99));
        assert!(pair.dialer.closed().is_none() && pair.listener.closed().is_none());
        pair.pass(Duration::from_millis(1));
        for side in [&mut pair.dialer, &mut pair.listener] {
            let late = Err(Error::Timeout(Timer::Connect));
            assert_eq!(side.closed(), Some(&late), "{profile}");
            assert_eq!(side.feed(pair.now, b"x"), late);
        }
    }
}

#[test]
fn the_deadline_holds_while_the_application_is_asked() {
    let mut pair = Pair::new(&config(Profile::V0), ask());
    pair.run(usize::MAX);
    pair.pass(Duration::from_secs(10));
    let late = Err(Error::Timeout(Timer::Connect));
    assert_eq!(pair.listener.closed(), Some(&late));
    assert_eq!(
        pair.listener.machine.accept(pair.now),
        Err(Error::Misuse("no dialer waits for an answer"))
    );
}

fn ask() -> Door {
    Door {
        admission: Admission::Ask,
        seen: None,
    }
}

#[test]
fn the_application_decides_whom_to_talk_to() {
    for profile in Profile::ALL {
        for prove_first in [false, true] {
            let config = Config {
                prove_first,
                ..config(profile)
            };
            for size in [1, usize::MAX] {
                let mut pair = Pair::new(&config, ask());
                pair.run(size);
                let proven = prove_first || profile == Profile::A;
                assert_eq!(pair.listener.asked(), [(public(1), proven)], "{profile}");
                assert!(pair.listener.sent.is_empty());
                assert_eq!(pair.listener.machine.peer().is_some(), proven);
                pair.listener.machine.accept(pair.now).unwrap();
                pair.run(size);
                assert!(pair.dialer.is_established() && pair.listener.is_established());
            }
            let mut pair = Pair::new(&config, ask());
            pair.run(usize::MAX);
            pair.listener.machine.refuse().unwrap();
            pair.run(usize::MAX);
            assert_eq!(pair.listener.class(), Some(Class::Identity));
            assert!(
                pair.listener.sent.is_empty(),
                "a refused dialer is told nothing"
            );
            assert!(pair.listener.machine.refuse().is_err());
        }
    }
}

#[test]
fn trap_07_hardened_listeners_decide_only_about_proven_dialers() {
    // The claim alone: an identity frame and a Syn that somebody else signed.
    for (prove_first, expected) in [(false, Class::Identity), (true, Class::Auth)] {
        let config = Config {
            prove_first,
            ..config(Profile::V0)
        };
        let door = Door {
            admission: Admission::Listed(Arc::from([public(9)])),
            seen: None,
        };
        let mut pair = Pair::new(&config, door);
        let mut bytes = pair.dialer.out.clone();
        bytes[40] ^= 1;
        assert!(pair.listener.feed(pair.now, &bytes).is_err());
        assert_eq!(pair.listener.class(), Some(expected));
    }
}

#[test]
fn listed_identities_are_admitted_and_others_refused() {
    for profile in Profile::ALL {
        for (listed, admitted) in [(1, true), (3, false)] {
            let door = Door {
                admission: Admission::Listed(Arc::from([public(4), public(listed)])),
                seen: None,
            };
            let mut pair = Pair::new(&config(profile), door);
            pair.run(usize::MAX);
            assert_eq!(pair.listener.is_established(), admitted, "{profile}");
            if !admitted {
                assert_eq!(pair.listener.class(), Some(Class::Identity));
            }
        }
    }
}

#[test]
fn trap_07_hardened_ends_refuse_their_own_identity() {
    let hardened = Config::hardened();
    assert!(hardened.refuse_self && hardened.prove_first);
    let dial = |config: Config| {
        let now = Instant::ZERO;
        Connection::dial(config, identity(1), &public(1), [1; 32], now, UNIX)
    };
    let refused = dial(hardened.clone());
    assert_eq!(class(refused.err().as_ref()), Some(Class::Identity));
    let mut dialer = End::new(dial(Config::default()).unwrap());
    dialer.drain(Instant::ZERO);
    let listen = |config| {
        let now = Instant::ZERO;
        let machine = Connection::listen(config, identity(1), anyone(), [2; 32], now, UNIX);
        let mut listener = End::new(machine);
        let fed = listener.feed(now, &dialer.out);
        class(fed.err().as_ref())
    };
    assert_eq!(listen(Config::default()), None);
    assert_eq!(listen(hardened), Some(Class::Identity));
}

#[test]
fn trap_03_a_round_trip_longer_than_the_bound_still_connects() {
    for profile in Profile::ALL {
        let mut pair = Pair::new(&config(profile), anyone());
        pair.pass(Duration::from_secs(4));
        let bytes = std::mem::take(&mut pair.dialer.out);
        pair.listener.feed(pair.now, &bytes).unwrap();
        // The answer carries a time four seconds after the dialer's start and arrives after eight.
        pair.pass(Duration::from_secs(4));
        pair.run(usize::MAX);
        assert!(pair.dialer.is_established(), "{profile}");
    }
}

#[test]
fn trap_04_a_replayed_syn_is_refused_before_it_costs_anything() {
    for profile in Profile::ALL {
        let door = Door {
            admission: Admission::Anyone,
            seen: Some(Arc::new(SynCache::new(100, [5; 32]))),
        };
        let mut pair = Pair::new(&config(profile), door.clone());
        let recorded = pair.dialer.out.clone();
        pair.run(usize::MAX);
        assert!(pair.listener.is_established());
        let replay = |door: Door, bytes: &[u8]| {
            let mut again = Pair::seeded(&config(profile), door, 3);
            let fed = again.listener.feed(again.now, bytes);
            (class(fed.err().as_ref()), again.listener.sent.len())
        };
        assert_eq!(replay(door.clone(), &recorded), (Some(Class::Replay), 0));
        // The cache looks at who and which key, before the signature: an altered one is the same.
        let mut altered = recorded.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(replay(door.clone(), &altered), (Some(Class::Replay), 0));
        // Without a cache the listener answers, and the handshake ends there.
        let (fault, answered) = replay(anyone(), &recorded);
        assert!(fault.is_none() && answered > 0);
        // A fresh handshake of the same dialer is welcome.
        let mut fresh = Pair::seeded(&config(profile), door, 9);
        fresh.run(usize::MAX);
        assert!(fresh.listener.is_established());
    }
}

#[test]
fn what_did_not_verify_is_not_remembered() {
    for profile in Profile::ALL {
        let door = Door {
            admission: Admission::Anyone,
            seen: Some(Arc::new(SynCache::new(100, [5; 32]))),
        };
        let mut burnt = Pair::new(&config(profile), door.clone());
        let mut forged = burnt.dialer.out.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert!(burnt.listener.feed(burnt.now, &forged).is_err());
        assert_eq!(burnt.listener.class(), Some(Class::Auth));
        // The same identity and the same key, this time signed.
        let mut honest = Pair::new(&config(profile), door);
        honest.run(usize::MAX);
        assert!(honest.listener.is_established(), "{profile}");
    }
}

#[test]
fn extra_polls_and_times_are_harmless_and_misuse_changes_nothing() {
    let mut pair = Pair::new(&config(Profile::V1), anyone());
    let now = pair.now;
    for _ in 0..3 {
        pair.dialer.machine.handle(now, Input::Time).unwrap();
        assert!(matches!(
            pair.dialer.machine.poll(now),
            Output::Wait(Some(_))
        ));
        let datagram = pair.dialer.machine.handle(now, Input::Datagram(b"x"));
        assert!(matches!(datagram, Err(Error::Misuse(_))));
        assert!(pair.dialer.machine.accept(now).is_err());
        assert!(pair.dialer.machine.refuse().is_err());
    }
    pair.run(7);
    assert!(pair.dialer.is_established() && pair.listener.is_established());
}

#[test]
fn an_aborted_connection_says_so_once() {
    let mut pair = Pair::established(&config(Profile::V0));
    assert_eq!(pair.dialer.machine.write(pair.now, b"last words"), Ok(10));
    pair.dialer.machine.abort();
    pair.dialer.machine.abort();
    pair.run(usize::MAX);
    assert_eq!(pair.listener.messages(pair.now), [b"last words"]);
    assert_eq!(pair.dialer.closed(), Some(&Err(Error::Closed)));
    assert!(pair.dialer.machine.is_finished());

    let mut pair = Pair::new(&config(Profile::V0), anyone());
    let events = pair.dialer.events.len();
    pair.dialer.machine.abort();
    pair.dialer.drain(pair.now);
    assert!(matches!(
        pair.dialer.events[events..],
        [ConnectionEvent::Closed(Err(Error::Closed))]
    ));
}
