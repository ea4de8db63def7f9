//! Prefaces of others: whoever can inject a datagram can send one that is sound.

use super::super::candidates::CANDIDATES;
use super::*;
use crate::packetfs::wire::Algorithm;
use crate::packetfs::wire::preface::Preface;

fn preface(algorithm: Algorithm, salt: u8, ephemeral: Option<[u8; 32]>) -> Vec<u8> {
    Preface {
        algorithm,
        salt: [salt; 32],
        ephemeral,
    }
    .encode()
}

/// A preface that nothing is wrong with, of somebody who does not hold the key.
fn sound(salt: u8) -> Vec<u8> {
    preface(Algorithm::Aes256Gcm, salt, Some([9; 32]))
}

fn give(end: &mut Datagrams, now: Instant, datagrams: &[impl AsRef<[u8]>]) {
    for datagram in datagrams {
        end.handle(now, Input::Datagram(datagram.as_ref())).unwrap();
    }
}

/// Messages pass both ways.
fn check(one: &mut Datagrams, other: &mut Datagrams, now: Instant) {
    assert!(one.is_established() && other.is_established());
    assert!(one.send(now, b"there").unwrap());
    assert!(other.send(now, b"back").unwrap());
    settle(one, other, now);
    assert_eq!(received(other), ["there"]);
    assert_eq!(received(one), ["back"]);
}

fn is_preface(datagram: &Bytes) -> bool {
    datagram.starts_with(b"PFSO")
}

#[test]
fn a_forged_preface_ends_nothing() {
    let (mut one, mut other) = pair(&Config::default());
    let weak = [
        vec![],
        b"PFSO".to_vec(),
        preface(Algorithm::XChaCha20Poly1305, 3, Some([9; 32])),
        preface(Algorithm::Aes256Gcm, 3, None),
        preface(Algorithm::Aes256Gcm, 3, Some([0; 32])),
    ];
    give(&mut one, T0, &weak);
    give(&mut other, T0, &weak);
    assert_eq!(one.counters().refused, weak.len() as u64);
    assert_eq!(other.counters().refused, weak.len() as u64);
    // Nothing can be seen wrong with these, and both come before the peer's.
    give(&mut one, T0, &[sound(3), sound(4)]);
    give(&mut other, T0, &[sound(3), sound(4)]);
    assert!(!one.is_established() && !other.is_established());
    settle(&mut one, &mut other, T0);
    check(&mut one, &mut other, T0);
}

#[test]
fn another_salt_or_key_in_the_peers_preface_ends_nothing_wherever_it_comes() {
    // The salt's first and last bit, the key's, and the one that X25519 does not look at.
    for bit in [64, 319, 320, 575] {
        for place in 0..6 {
            let (mut one, mut other) = pair(&Config::default());
            let (mut now, mut count) = (T0, 0);
            while !(one.is_established() && other.is_established()) {
                for first in [true, false] {
                    let (from, to) = if first {
                        (&mut one, &mut other)
                    } else {
                        (&mut other, &mut one)
                    };
                    for datagram in drain(from, now) {
                        let mut altered = datagram.to_vec();
                        if is_preface(&datagram) {
                            altered[bit / 8] ^= 1 << (bit % 8);
                        }
                        match count {
                            // In front of the genuine one, behind it, and in its place.
                            at if at == place => give(to, now, &[&altered[..], &datagram]),
                            at if at == place + 1 => give(to, now, &[&datagram[..], &altered]),
                            at if at == place + 2 && is_preface(&datagram) => {
                                give(to, now, &[altered]);
                            }
                            _ => give(to, now, &[datagram]),
                        }
                        count += 1;
                    }
                }
                now = now.after(Config::default().resend);
                assert!(now < T0.after(Duration::from_secs(5)), "{bit} {place}");
            }
            check(&mut one, &mut other, now);
        }
    }
}

#[test]
fn a_flood_of_sound_prefaces_ends_nothing_and_is_held_to_a_bound() {
    let (mut one, mut other) = pair(&Config::default());
    let (mut now, mut salt) = (T0, 0_u8);
    // Between any two flights, more of them than are held; the answers to them go elsewhere.
    let mut flood = |end: &mut Datagrams, now| {
        for _ in 0..2 * CANDIDATES {
            salt = salt.wrapping_add(1);
            give(end, now, &[sound(salt)]);
        }
        drain(end, now);
    };
    while !(one.is_established() && other.is_established()) {
        let mut flights = [drain(&mut one, now), drain(&mut other, now)];
        for end in [&mut one, &mut other] {
            flood(end, now);
        }
        while flights.iter().any(|flight| !flight.is_empty()) {
            // Its preface and a proof for each whom it may speak to, and answers to as many.
            let most = 3 * (CANDIDATES + 1);
            assert!(flights.iter().all(|flight| flight.len() <= most));
            let [there, back] = flights;
            give(&mut other, now, &there);
            give(&mut one, now, &back);
            flights = [drain(&mut one, now), drain(&mut other, now)];
            for end in [&mut one, &mut other] {
                flood(end, now);
            }
        }
        now = now.after(Config::default().resend);
        assert!(now < T0.after(Duration::from_secs(5)));
    }
    assert!(one.is_established() && other.is_established());
    settle(&mut one, &mut other, now);
    check(&mut one, &mut other, now);
}

/// Its answers are lost, and others have taken the peer's place: it must be told again who we are.
#[test]
fn an_end_that_was_displaced_is_met_again_by_one_that_is_established() {
    for initiator in [true, false] {
        let (mut one, mut other) = pair(&Config::default());
        let hello = drain(&mut one, T0);
        give(&mut other, T0, &hello);
        let answer = drain(&mut other, T0);
        let displaced = if initiator {
            // The responder's preface comes, and not its proof.
            give(&mut one, T0, &answer[..1]);
            give(&mut other, T0, &drain(&mut one, T0));
            &mut one
        } else {
            give(&mut one, T0, &answer);
            drain(&mut one, T0);
            &mut other
        };
        for salt in 0..CANDIDATES as u8 {
            give(displaced, T0, &[sound(salt)]);
        }
        drain(displaced, T0);
        assert!(!displaced.is_established());
        assert!(one.is_established() || other.is_established());
        let later = T0.after(Config::default().resend);
        one.handle(later, Input::Time).unwrap();
        other.handle(later, Input::Time).unwrap();
        settle(&mut one, &mut other, later);
        check(&mut one, &mut other, later);
    }
}

#[test]
fn two_ends_that_know_each_other_do_not_go_on_answering_prefaces() {
    let (mut one, mut other) = pair(&Config::default());
    let hello = drain(&mut one, T0);
    give(&mut other, T0, &hello);
    settle(&mut other, &mut one, T0);
    let mut prefaces = 0;
    for round in 1..200 {
        let now = T0.after(Duration::from_millis(round * 100));
        give(&mut other, now, &hello);
        for _ in 0..4 {
            let there = drain(&mut other, now);
            give(&mut one, now, &there);
            let back = drain(&mut one, now);
            give(&mut other, now, &back);
            prefaces += there
                .iter()
                .chain(&back)
                .filter(|it| is_preface(it))
                .count();
        }
        if now > T0.after(Config::default().handshake_timeout) {
            assert!(drain(&mut other, now).iter().all(|it| !is_preface(it)));
        }
    }
    // Each at most once in half the time of a repetition, for as long as a handshake may take.
    assert!((2..=80).contains(&prefaces), "{prefaces}");
    check(&mut one, &mut other, T0.after(Duration::from_secs(20)));
}

/// Where a control record of the first epoch stands.
fn control(datagram: &Bytes) -> Option<[u8; 8]> {
    let sealed = !is_preface(datagram) && datagram[14] == 0;
    sealed.then(|| datagram[2..10].try_into().unwrap())
}

#[test]
fn no_sequence_seals_twice_though_a_candidate_is_displaced_and_comes_back() {
    for initiator in [true, false] {
        let (mut one, mut other) = pair(&Config::default());
        let mut sent = Vec::new();
        let hello = drain(&mut one, T0);
        give(&mut other, T0, &hello);
        let answer = drain(&mut other, T0);
        let (end, peer, genuine) = if initiator {
            (&mut one, &mut other, answer[0].clone())
        } else {
            sent.extend(answer);
            (&mut other, &mut one, hello[0].clone())
        };
        for round in 0..3 {
            for salt in 0..=CANDIDATES as u8 {
                give(end, T0, &[sound(salt)]);
            }
            give(end, T0, &[&genuine, &genuine]);
            end.handle(T0.after(Duration::from_secs(round)), Input::Time)
                .unwrap();
            sent.append(&mut drain(end, T0.after(Duration::from_secs(round))));
        }
        let now = T0.after(Duration::from_secs(3));
        give(peer, now, &sent);
        settle(peer, end, now);
        assert!(end.is_established() && peer.is_established());
        give(end, now, &[&genuine, &genuine]);
        end.send(now, b"on channel 2").unwrap();
        let mut after = drain(end, now);
        give(peer, now, &after);
        assert_eq!(received(peer), ["on channel 2"]);
        sent.append(&mut after);
        let sequences: Vec<[u8; 8]> = sent.iter().filter_map(control).collect();
        let distinct: BTreeSet<[u8; 8]> = sequences.iter().copied().collect();
        assert_eq!(distinct.len(), sequences.len());
        // Eleven and more of each round, and two at the end.
        assert!(sequences.len() > 35, "{}", sequences.len());
    }
}

#[test]
fn nothing_of_the_application_is_sealed_before_the_peer_has_proved_itself() {
    let (mut one, mut other) = pair(&Config::default());
    give(&mut other, T0, &drain(&mut one, T0));
    give(&mut one, T0, &drain(&mut other, T0)[..1]);
    for end in [&mut one, &mut other] {
        assert_eq!(end.send(T0, b"early"), Ok(false));
        assert!(matches!(end.close(T0), Err(Error::Misuse(_))));
        assert!(matches!(end.rekey(), Err(Error::Misuse(_))));
        assert!(drain(end, T0).iter().all(|sent| sent.len() <= 72));
    }
    let later = T0.after(Config::default().resend);
    settle(&mut one, &mut other, later);
    check(&mut one, &mut other, later);
}
