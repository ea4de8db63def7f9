//! Peers and paths that mean harm: nothing is delivered that was not authentic.

use super::world::{End, Pair, UNIX, anyone, class, config, flights, identity, public};
use std::time::Duration;
use stillwire_core::commonware::{Config, Connection, Profile};
use stillwire_core::crypto::Rng;
use stillwire_core::{Channel, Class, Error, Instant, Messages, Received, Streamed};

/// The same two ends again, with `flights` instead of what they say; stops where one is refused.
fn replay(profile: Profile, flights: &[Vec<u8>; 3]) -> (End, End) {
    let mut pair = Pair::new(&config(profile), anyone());
    if pair.listener.feed(pair.now, &flights[0]).is_ok()
        && pair.dialer.feed(pair.now, &flights[1]).is_ok()
        && pair.listener.machine.wants_bytes()
    {
        let _ = pair.listener.feed(pair.now, &flights[2]);
    }
    pair.pass(Duration::from_secs(60));
    (pair.dialer, pair.listener)
}

#[test]
fn the_replay_of_everything_unaltered_connects() {
    for profile in Profile::ALL {
        let (dialer, listener) = replay(profile, &flights(profile));
        assert!(dialer.is_established() && listener.is_established());
    }
}

#[test]
fn every_truncation_of_the_handshake_ends_it() {
    for profile in Profile::ALL {
        let flights = flights(profile);
        for flight in 0..3 {
            for cut in 0..flights[flight].len() {
                let mut pair = Pair::new(&config(profile), anyone());
                let now = pair.now;
                let victim = if flight == 1 {
                    &mut pair.dialer
                } else {
                    &mut pair.listener
                };
                if flight == 2 {
                    victim.feed(now, &flights[0]).unwrap();
                }
                victim.feed(now, &flights[flight][..cut]).unwrap();
                assert!(!victim.is_established());
                assert!(victim.end(now).is_err(), "{profile} {flight} cut at {cut}");
                assert_eq!(victim.class(), Some(Class::Eof));
            }
        }
    }
}

#[test]
fn case_099_100_frames_off_by_one_are_refused_at_their_prefix() {
    for profile in Profile::ALL {
        let flights = flights(profile);
        for flight in 0..3 {
            let frames = if flight == 0 && profile != Profile::A {
                2
            } else {
                1
            };
            for (frame, by) in [(0, 1), (0, -1), (1, 1), (1, -1)] {
                if frame >= frames || (profile == Profile::A && flight != 2) {
                    continue;
                }
                // The last byte of the prefix, or its only one, holds the low bits of the length.
                let width = if profile == Profile::B || profile == Profile::A {
                    4
                } else {
                    1
                };
                let start = if frame == 1 { width + 32 } else { 0 };
                let mut altered = flights.clone();
                let place = &mut altered[flight][start + width - 1];
                *place = place.wrapping_add_signed(by);
                let (dialer, listener) = replay(profile, &altered);
                let victim = if flight == 1 { dialer } else { listener };
                assert_eq!(
                    victim.class(),
                    Some(Class::Length),
                    "{profile} {flight} {by}"
                );
            }
        }
    }
}

#[test]
fn over_long_lengths_are_refused_before_anything_comes() {
    for profile in Profile::ALL {
        let prefix: &[u8] = if matches!(profile, Profile::A | Profile::B) {
            &[0xff; 4]
        } else {
            &[0xff, 0xff, 0xff, 0xff, 0x0f]
        };
        for flight in 0..3 {
            let flights = flights(profile);
            let mut pair = Pair::new(&config(profile), anyone());
            let victim = if flight == 1 {
                &mut pair.dialer
            } else {
                &mut pair.listener
            };
            if flight == 2 {
                victim.feed(pair.now, &flights[0]).unwrap();
            }
            let refused = victim.feed(pair.now, prefix);
            assert_eq!(
                class(refused.err().as_ref()),
                Some(Class::Length),
                "{profile}"
            );
        }
    }
}

#[test]
fn wrong_keys_on_either_side_are_refused() {
    for profile in Profile::ALL {
        let now = Instant::ZERO;
        // The dialer means identity 3, but identity 2 listens.
        let dialer = Connection::dial(config(profile), identity(1), &public(3), [1; 32], now, UNIX);
        let mut pair = Pair::new(&config(profile), anyone());
        pair.dialer = End::new(dialer.unwrap());
        pair.run(usize::MAX);
        let expected = if profile == Profile::A {
            Class::Identity
        } else {
            Class::Auth
        };
        assert_eq!(pair.listener.class(), Some(expected), "{profile}");
        assert!(pair.listener.sent.is_empty(), "a stranger is told nothing");
        pair.dialer.end(now).unwrap_err();
        assert_eq!(pair.dialer.class(), Some(Class::Eof));
    }
}

#[test]
fn case_110_ends_of_different_eras_never_connect() {
    for ours in Profile::ALL {
        for theirs in Profile::ALL.into_iter().filter(|theirs| *theirs != ours) {
            let mut pair = Pair::new(&config(ours), anyone());
            pair.listener = Pair::new(&config(theirs), anyone()).listener;
            pair.run(usize::MAX);
            pair.pass(Duration::from_secs(60));
            for end in [&pair.dialer, &pair.listener] {
                assert!(!end.is_established(), "{ours} {theirs}");
                assert!(end.closed().is_some());
            }
        }
    }
}

#[test]
fn a_reflected_first_flight_is_refused() {
    for profile in Profile::ALL {
        let mut pair = Pair::new(&config(profile), anyone());
        let own = pair.dialer.out.clone();
        assert!(pair.dialer.feed(pair.now, &own).is_err(), "{profile}");
    }
}

#[test]
fn case_108_109_flights_of_another_session_are_refused() {
    for profile in Profile::ALL {
        let [_, answer, ack] = flights(profile);
        let mut other = Pair::seeded(&config(profile), anyone(), 99);
        let refused = other.dialer.feed(other.now, &answer);
        assert_eq!(
            class(refused.err().as_ref()),
            Some(Class::Auth),
            "{profile}"
        );
        let mut other = Pair::seeded(&config(profile), anyone(), 99);
        let first = other.dialer.out.clone();
        other.listener.feed(other.now, &first).unwrap();
        let refused = other.listener.feed(other.now, &ack);
        assert_eq!(
            class(refused.err().as_ref()),
            Some(Class::Auth),
            "{profile}"
        );
    }
}

#[test]
fn case_116_nothing_comes_out_after_a_failure() {
    for profile in Profile::ALL {
        let mut pair = Pair::established(&config(profile));
        let now = pair.now;
        let mut wires = Vec::new();
        for message in [&b"one"[..], b"two", b"three"] {
            assert_eq!(pair.dialer.machine.send(now, message), Ok(true));
            pair.dialer.drain(now);
            wires.push(std::mem::take(&mut pair.dialer.out));
        }
        *wires[1].last_mut().unwrap() ^= 1;
        pair.listener.feed(now, &wires[0]).unwrap();
        let first = pair.listener.feed(now, &wires[1]).unwrap_err();
        assert_eq!(first.class(), Some(Class::Auth));
        for wire in &wires {
            assert_eq!(pair.listener.feed(now, wire), Err(first.clone()));
        }
        assert_eq!(pair.listener.messages(now), [b"one"]);
        assert_eq!(pair.listener.machine.receive(now), Err(first.clone()));
        assert_eq!(pair.listener.machine.send(now, b"x"), Err(first.clone()));
        assert_eq!(pair.listener.machine.write(now, b"x"), Err(first.clone()));
        assert_eq!(pair.listener.machine.close_write(now), Err(first.clone()));
        assert_eq!(pair.listener.closed(), Some(&Err(first)));
        assert!(pair.listener.machine.is_finished() && !pair.listener.machine.wants_bytes());
    }
}

#[test]
fn records_swapped_dropped_repeated_or_reflected_deliver_nothing() {
    for profile in Profile::ALL {
        let pair = || Pair::established(&config(profile));
        let mut origin = pair();
        let now = origin.now;
        let mut wires = Vec::new();
        for message in [b"1", b"2", b"3"] {
            assert_eq!(origin.dialer.machine.send(now, message), Ok(true));
            origin.dialer.drain(now);
            wires.push(std::mem::take(&mut origin.dialer.out));
        }
        for (order, delivered) in [([1, 0, 2], 0), ([0, 2, 1], 1), ([0, 0, 1], 1)] {
            let mut victim = pair().listener;
            let stream = order.map(|n: usize| wires[n].clone()).concat();
            assert!(victim.feed(now, &stream).is_err());
            assert_eq!(victim.class(), Some(Class::Auth));
            assert_eq!(victim.messages(now).len(), delivered, "{profile} {order:?}");
        }
        let mut victim = pair().dialer;
        assert!(victim.feed(now, &wires[0]).is_err(), "{profile} reflected");
        assert!(victim.messages(now).is_empty());
    }
}

#[test]
fn a_record_over_the_receivers_limit_is_refused() {
    for profile in Profile::ALL {
        let mut pair = Pair::established(&config(profile));
        let small = Config {
            longest_message: 999,
            ..config(profile)
        };
        pair.listener = Pair::established(&small).listener;
        let now = pair.now;
        assert_eq!(pair.dialer.machine.send(now, &[1; 999]), Ok(true));
        pair.run(usize::MAX);
        assert_eq!(pair.listener.messages(now).len(), 1);
        assert_eq!(pair.dialer.machine.send(now, &[1; 1000]), Ok(true));
        pair.run(1);
        assert_eq!(pair.listener.class(), Some(Class::Limit), "{profile}");
    }
}

#[test]
fn a_flood_before_the_answer_is_refused() {
    use stillwire_core::commonware::{Admission, Door};
    for profile in Profile::ALL {
        let door = Door {
            admission: Admission::Ask,
            seen: None,
        };
        let mut pair = Pair::new(&config(profile), door);
        let mut bytes = pair.dialer.out.clone();
        bytes.extend(vec![0; 5000]);
        let refused = pair.listener.feed(pair.now, &bytes);
        assert_eq!(
            class(refused.err().as_ref()),
            Some(Class::Limit),
            "{profile}"
        );
    }
}

#[test]
fn random_bytes_in_random_pieces_never_panic_and_never_pass() {
    let mut rng = Rng::from_seed([42; 32]);
    for round in 0..400_u32 {
        for profile in Profile::ALL {
            let mut pair = if round % 2 == 0 {
                Pair::new(&config(profile), anyone())
            } else {
                Pair::established(&config(profile))
            };
            let now = pair.now;
            for end in [&mut pair.dialer, &mut pair.listener] {
                for _ in 0..8 {
                    let [length, kind] = rng.array::<2>();
                    let mut bytes = vec![0; usize::from(length)];
                    rng.fill(&mut bytes);
                    if kind % 4 == 0 {
                        // A plausible prefix gets further in.
                        let prefix: &[u8] = match profile {
                            Profile::A => &[0, 0, 0, 167],
                            Profile::B => &[0, 0, 0, 32],
                            _ => &[32],
                        };
                        bytes.splice(..0, prefix.iter().copied());
                    }
                    if end.machine.wants_bytes() && !bytes.is_empty() {
                        let _ = end.feed(now, &bytes);
                    }
                }
                assert_eq!(end.is_established(), round % 2 == 1);
                assert!(!matches!(
                    end.machine.receive(now),
                    Ok(Received::Message(_))
                ));
                assert!(end.machine.buffered() == 0);
                if let Some(error) = end.machine.error().cloned() {
                    assert_eq!(end.end(now), Err::<(), Error>(error));
                }
            }
        }
    }
}
