use super::*;
use core::time::Duration;
use std::collections::BTreeSet;
use std::vec;

mod forged;

const T0: Instant = Instant::ZERO;

fn psk(byte: u8) -> Psk {
    Psk::new(vec![byte; 32]).unwrap()
}

fn pair(config: &Config) -> (Datagrams, Datagrams) {
    let rng = |byte| Rng::from_seed([byte; 32]);
    (
        Datagrams::initiator(config.clone(), psk(1), rng(1), T0),
        Datagrams::responder(config.clone(), psk(1), rng(2), T0),
    )
}

fn drain(end: &mut Datagrams, now: Instant) -> Vec<Bytes> {
    let mut out = Vec::new();
    loop {
        match end.poll(now) {
            Output::Transmit(datagram) => out.push(datagram),
            Output::Event(_) => {}
            Output::Wait(_) => return out,
            Output::Store(_) => unreachable!("no storage here"),
        }
    }
}

/// Carries everything both ways until nothing moves.
fn settle(one: &mut Datagrams, other: &mut Datagrams, now: Instant) {
    loop {
        let there = drain(one, now);
        for datagram in &there {
            other.handle(now, Input::Datagram(datagram)).unwrap();
        }
        let back = drain(other, now);
        for datagram in &back {
            one.handle(now, Input::Datagram(datagram)).unwrap();
        }
        if there.is_empty() && back.is_empty() {
            return;
        }
    }
}

fn established(config: &Config) -> (Datagrams, Datagrams) {
    let (mut one, mut other) = pair(config);
    settle(&mut one, &mut other, T0);
    assert!(one.is_established() && other.is_established());
    (one, other)
}

fn received(end: &mut Datagrams) -> Vec<Bytes> {
    let mut all = Vec::new();
    while let Ok(Received::Message(message)) = end.receive(T0) {
        all.push(message);
    }
    all
}

#[test]
fn one_record_per_datagram_both_ways() {
    let (mut one, mut other) = established(&Config::default());
    for message in [&b""[..], b"a", &[7; LONGEST]] {
        assert!(one.send(T0, message).unwrap());
        let datagrams = drain(&mut one, T0);
        assert_eq!(datagrams.len(), 1);
        assert_eq!(datagrams[0].len(), message.len() + 31);
        other.handle(T0, Input::Datagram(&datagrams[0])).unwrap();
        assert_eq!(received(&mut other), [message]);
    }
    assert!(one.send(T0, &[0; LONGEST + 1]).is_err());
    assert!(other.send(T0, b"back").unwrap());
    settle(&mut one, &mut other, T0);
    assert_eq!(received(&mut one), ["back"]);
}

#[test]
fn a_bad_datagram_is_dropped_and_counted_and_ends_nothing() {
    let (mut one, mut other) = established(&Config::default());
    one.send(T0, b"good").unwrap();
    let good = drain(&mut one, T0).remove(0);
    let mut refused = 0;
    for bit in 0..good.len() * 8 {
        let mut flipped = good.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        other.handle(T0, Input::Datagram(&flipped)).unwrap();
        refused += 1;
    }
    for cut in 0..good.len() {
        other.handle(T0, Input::Datagram(&good[..cut])).unwrap();
        refused += 1;
    }
    let mut longer = good.to_vec();
    longer.push(0);
    other.handle(T0, Input::Datagram(&longer)).unwrap();
    refused += 1;
    let counters = other.counters();
    // A flipped sequence may fall out of the window before the tag is looked at.
    assert_eq!(counters.refused + counters.replayed, refused);
    assert!(counters.refused >= refused - 64);
    assert!(received(&mut other).is_empty());
    // The window was not moved by any of them.
    other.handle(T0, Input::Datagram(&good)).unwrap();
    assert_eq!(received(&mut other), ["good"]);
    other.handle(T0, Input::Datagram(&good)).unwrap();
    assert!(received(&mut other).is_empty());
    assert_eq!(other.counters().replayed, counters.replayed + 1);
}

#[test]
fn a_datagram_reflected_or_of_another_session_is_dropped() {
    let (mut one, _) = established(&Config::default());
    one.send(T0, b"mine").unwrap();
    let mine = drain(&mut one, T0).remove(0);
    one.handle(T0, Input::Datagram(&mine)).unwrap();
    assert!(received(&mut one).is_empty());
    assert_eq!(one.counters().refused, 1);
    let mut stranger = Datagrams::responder(Config::default(), psk(1), Rng::from_seed([7; 32]), T0);
    let (mut peer, _) = pair(&Config::default());
    settle(&mut peer, &mut stranger, T0);
    stranger.handle(T0, Input::Datagram(&mine)).unwrap();
    assert!(received(&mut stranger).is_empty());
    assert_eq!(stranger.counters().refused, 1);
}

#[test]
fn the_window_takes_late_ones_once_and_older_ones_never() {
    let (mut one, mut other) = established(&Config::default());
    let mut sealed = Vec::new();
    for number in 0..1_100_u32 {
        one.send(T0, &number.to_be_bytes()).unwrap();
        sealed.append(&mut drain(&mut one, T0));
    }
    let mut take = |at: usize| {
        other.handle(T0, Input::Datagram(&sealed[at])).unwrap();
        !received(&mut other).is_empty()
    };
    assert!(take(1_050));
    assert!(take(27));
    assert!(!take(27));
    assert!(!take(26));
    assert!(take(1_049));
    assert!(!take(1_050));
    assert!(take(1_051));
    assert!(!take(27));
    assert!(take(28));
}

#[test]
fn a_lost_preface_is_sent_again_and_a_lost_answer_too() {
    let config = Config::default();
    for lost in 0..6 {
        let (mut one, mut other) = pair(&config);
        let mut now = T0;
        let mut count = 0;
        while !(one.is_established() && other.is_established()) {
            let mut carry = |from: &mut Datagrams, to: &mut Datagrams| {
                for datagram in drain(from, now) {
                    count += 1;
                    if count - 1 != lost {
                        to.handle(now, Input::Datagram(&datagram)).unwrap();
                    }
                }
            };
            carry(&mut one, &mut other);
            carry(&mut other, &mut one);
            carry(&mut one, &mut other);
            now = now.after(config.resend);
            assert!(now < T0.after(Duration::from_secs(5)), "lost {lost}");
        }
        one.send(now, b"through").unwrap();
        settle(&mut one, &mut other, now);
        assert_eq!(received(&mut other), ["through"]);
    }
}

#[test]
fn a_wrong_key_never_establishes() {
    let config = Config::default();
    let mut one = Datagrams::initiator(config.clone(), psk(1), Rng::from_seed([1; 32]), T0);
    let mut other = Datagrams::responder(config, psk(2), Rng::from_seed([2; 32]), T0);
    settle(&mut one, &mut other, T0);
    assert!(!one.is_established() && !other.is_established());
    assert!(one.counters().refused > 0);
    let late = T0.after(Duration::from_secs(10));
    let fault = one.handle(late, Input::Time);
    assert_eq!(fault, Err(Error::Timeout(Timer::Connect)));
    assert_eq!(
        one.handle(late, Input::Time),
        Err(Error::Timeout(Timer::Connect))
    );
}

#[test]
fn an_epoch_advances_though_its_announcement_is_lost() {
    for lost in 0..=8 {
        let (mut one, mut other) = established(&Config::default());
        one.send(T0, b"old").unwrap();
        let late = drain(&mut one, T0);
        one.rekey().unwrap();
        assert!(one.rekey().is_err());
        let mut all = Vec::new();
        for number in 0..6_u8 {
            one.send(T0, &[number]).unwrap();
            all.append(&mut drain(&mut one, T0));
        }
        assert_eq!(all.len(), 6 + usize::from(REPEATS));
        for datagram in all.iter().skip(lost) {
            other.handle(T0, Input::Datagram(datagram)).unwrap();
        }
        let got = received(&mut other);
        assert!(
            !got.is_empty() && got.last().unwrap() == &[5][..],
            "lost {lost}"
        );
        assert_eq!(other.counters(), Counters::default());
        // The epoch before is accepted for its grace.
        other.handle(T0, Input::Datagram(&late[0])).unwrap();
        assert_eq!(received(&mut other), ["old"]);
        assert_eq!((one.epoch(), other.epoch()), (1, 0));
    }
}

#[test]
fn an_epoch_never_rolls_back() {
    let (mut one, mut other) = established(&Config::default());
    one.send(T0, b"zero").unwrap();
    let zero = drain(&mut one, T0);
    for _ in 0..2 {
        one.rekey().unwrap();
        for _ in 0..REPEATS {
            one.send(T0, b"x").unwrap();
        }
        settle(&mut one, &mut other, T0);
    }
    received(&mut other);
    // Two epochs behind: refused though within the grace of either.
    other.handle(T0, Input::Datagram(&zero[0])).unwrap();
    assert!(received(&mut other).is_empty());
    assert_eq!(other.counters().refused, 1);
}

#[test]
fn a_session_that_falls_silent_is_given_up_and_a_quiet_one_is_kept() {
    let (mut one, mut other) = established(&Config::default());
    let mut now = T0;
    for _ in 0..20 {
        now = now.after(Duration::from_secs(15));
        one.handle(now, Input::Time).unwrap();
        other.handle(now, Input::Time).unwrap();
        settle(&mut one, &mut other, now);
    }
    let dead = now.after(Duration::from_secs(61));
    assert_eq!(
        one.handle(dead, Input::Time),
        Err(Error::Timeout(Timer::Idle))
    );
}

#[test]
fn an_end_mark_ends_it_though_some_are_lost() {
    let (mut one, mut other) = established(&Config::default());
    one.send(T0, b"last").unwrap();
    one.close(T0).unwrap();
    assert!(one.send(T0, b"more").is_err());
    let all = drain(&mut one, T0);
    assert_eq!(all.len(), 1 + usize::from(REPEATS));
    for at in [0, 3, 4] {
        other.handle(T0, Input::Datagram(&all[at])).unwrap();
    }
    assert_eq!(received(&mut other), ["last"]);
    assert_eq!(other.receive(T0).unwrap(), Received::End);
    other.close(T0).unwrap();
    settle(&mut other, &mut one, T0);
    assert!(one.is_finished() && other.is_finished());
}

#[test]
fn what_is_not_taken_in_time_is_dropped_and_counted() {
    let small = Config {
        receive_buffer: 1_000,
        ..Config::default()
    };
    let (mut one, mut other) = established(&small);
    for _ in 0..20 {
        one.send(T0, &[1; 100]).unwrap();
    }
    settle(&mut one, &mut other, T0);
    let taken = received(&mut other).len() as u64;
    assert!(taken < 10);
    assert_eq!(other.counters().overflowed, 20 - taken);
}

/// Loss, doubling and reordering by a seed: what arrives was sent, once each, and most of it.
#[test]
fn a_bad_line_loses_and_never_alters_or_doubles() {
    for seed in 0..30 {
        let budget = Config {
            epoch_records: 50,
            ..Config::default()
        };
        let (mut one, mut other) = established(&budget);
        let mut rng = Rng::from_seed([seed; 32]);
        let mut late: Vec<Bytes> = Vec::new();
        let mut got = BTreeSet::new();
        for number in 0..1_000_u32 {
            one.send(T0, &number.to_be_bytes()).unwrap();
            for datagram in drain(&mut one, T0) {
                match rng.array::<1>()[0] {
                    0..40 => {}
                    40..90 => late.push(datagram),
                    90..120 => {
                        other.handle(T0, Input::Datagram(&datagram)).unwrap();
                        other.handle(T0, Input::Datagram(&datagram)).unwrap();
                    }
                    _ => other.handle(T0, Input::Datagram(&datagram)).unwrap(),
                }
            }
            if late.len() > 10 {
                let at = usize::from(rng.array::<1>()[0]) % late.len();
                let datagram = late.swap_remove(at);
                other.handle(T0, Input::Datagram(&datagram)).unwrap();
            }
            for message in received(&mut other) {
                let number = u32::from_be_bytes(message[..].try_into().unwrap());
                assert!(
                    number < 1_000 && got.insert(number),
                    "seed {seed}: {number}"
                );
            }
        }
        assert!(got.len() > 650, "seed {seed}: {}", got.len());
        assert!(one.epoch() > 10);
    }
}
