//! Several writes in flight, and reading that removes.

use crate::queue::{CHUNK, Pair, profile};
use crate::world::pattern;
use std::collections::BTreeMap;
use std::time::Duration;
use stillwire_core::aznet::Config;
use stillwire_core::store::{Failure, FailureKind, Operation, Profile, Reply};
use stillwire_core::{Channel, Class, Error};

const SECOND: Duration = Duration::from_secs(1);
/// What a full chunk carries.
const PAYLOAD: usize = CHUNK - 25;

fn config() -> Config {
    Config {
        send_buffer: 64 * CHUNK,
        receive_buffer: 64 * CHUNK,
        ..Config::default()
    }
}

fn pair(seed: u64) -> Pair {
    Pair::new(&config(), &profile(), seed)
}

/// Writes all of `data` at one end while both read.
fn push(pair: &mut Pair, at: usize, data: &[u8]) {
    let mut rest = data;
    while !rest.is_empty() {
        let n = pair.ends[at].conn.write(pair.now, rest).unwrap();
        rest = &rest[n..];
        pair.run(Duration::from_millis(20), |_| false);
    }
}

fn sequence_of(operation: &Operation) -> u64 {
    match operation {
        Operation::Write { sequence, .. } => *sequence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_arrive_whole_and_in_order_whatever_is_lost_doubled_or_late() {
    let mut removals = 0;
    for seed in 1..=25 {
        let mut pair = pair(seed);
        (pair.lost_requests, pair.lost_replies) = (40, 40);
        let (there, back) = (pattern(120_000), pattern(77_777));
        push(&mut pair, 0, &there);
        push(&mut pair, 1, &back);
        let now = pair.now;
        for end in &mut pair.ends {
            end.conn.close_write(now).unwrap();
        }
        pair.run(120 * SECOND, |p| {
            p.ends.iter().all(|e| e.closed().is_some())
        });
        let [dialer, listener] = &pair.ends;
        assert!(listener.received == there, "seed {seed}");
        assert!(dialer.received == back, "seed {seed}");
        assert!(dialer.ended && listener.ended);
        assert_eq!(dialer.closed(), Some(&Ok(())), "seed {seed}");
        assert_eq!(listener.closed(), Some(&Ok(())), "seed {seed}");
        assert!(pair.removed);
        for end in &pair.ends {
            let mut sealed = BTreeMap::new();
            for (sequence, bytes) in &end.tries {
                let first = sealed.entry(sequence).or_insert(bytes);
                assert_eq!(*first, bytes, "a chunk is sealed once");
            }
            assert!(
                sealed
                    .keys()
                    .copied()
                    .eq(&(0..sealed.len() as u64).collect::<Vec<_>>())
            );
            assert!(end.tries.len() > sealed.len(), "something was retried");
            removals += end.conn.stats().deletes;
        }
    }
    assert!(removals > 0, "not all of it goes with its queue");
}

#[test]
fn a_backlog_goes_out_in_full_chunks_as_many_at_once_as_the_carrier_takes() {
    let mut pair = pair(1);
    let data = pattern(300_000);
    let mut n = pair.ends[0].conn.write(pair.now, &data).unwrap();
    // Four in flight and one that gathers; the greeting is a frame of five bytes.
    assert_eq!(n, 5 * PAYLOAD - 5);
    assert!(!pair.ends[0].conn.is_writable());
    pair.poll(0);
    assert_eq!(pair.ends[0].writes().len(), 4);
    // They are quick, so more may join them, up to sixteen.
    for wanted in [8, 16, 16] {
        pair.now = pair.now.after(Duration::from_millis(10));
        let out = pair.ends[0].writes().into_iter();
        for sequence in out.map(|w| sequence_of(&w.operation)).collect::<Vec<_>>() {
            let which = pair.ends[0].going.iter().position(|going| {
                matches!(&going.request.operation, Operation::Write { sequence: one, .. } if *one == sequence)
            });
            pair.perform(0, which.unwrap());
        }
        n += pair.ends[0].conn.write(pair.now, &data[n..]).unwrap();
        pair.poll(0);
        let writes = pair.ends[0].writes();
        assert_eq!(writes.len(), wanted);
        for write in writes {
            let Operation::Write { bytes, .. } = &write.operation else {
                panic!()
            };
            assert_eq!(bytes.len(), CHUNK);
        }
    }
    push(&mut pair, 0, &data[n..]);
    pair.ends[0].conn.close_write(pair.now).unwrap();
    pair.run(5 * SECOND, |p| p.ends[0].conn.is_flushed());
    let stats = pair.ends[0].conn.stats();
    assert_eq!(
        stats.writes as usize,
        (data.len() + 5 + 5).div_ceil(PAYLOAD)
    );
    assert_eq!(stats.bytes_stored as usize, data.len());
}

#[test]
fn whoever_drives_is_told_of_a_write_that_a_call_put_in_flight() {
    let mut pair = pair(1);
    let conn = &mut pair.ends[0].conn;
    // A full chunk, which goes in flight within the call, and a little of the next.
    let data = pattern(PAYLOAD + 100);
    assert_eq!(conn.write(pair.now, &data).unwrap(), data.len());
    assert!(conn.has_output(), "the full chunk waits for a poll");
    pair.poll(0);
    assert_eq!(pair.ends[0].writes().len(), 1);
    assert!(!pair.ends[0].conn.has_output(), "the rest gathers");
}

#[test]
fn small_writes_gather_while_others_are_in_flight() {
    let mut pair = pair(1);
    for byte in 0..200_u8 {
        assert_eq!(pair.ends[0].conn.write(pair.now, &[byte]).unwrap(), 1);
        pair.poll(0);
        assert_eq!(pair.ends[0].writes().len(), 1, "one per round trip");
    }
    pair.run(SECOND, |_| false);
    assert_eq!(pair.ends[0].conn.stats().writes, 2);
    assert!(pair.ends[1].received == (0..200).collect::<Vec<u8>>());
}

#[test]
fn the_send_buffer_covers_what_gathers_and_what_is_in_flight() {
    let small = Config {
        send_buffer: 4 * CHUNK,
        ..config()
    };
    let mut pair = Pair::new(&small, &profile(), 3);
    push(&mut pair, 0, &pattern(100_000));
    assert_eq!(pair.ends[0].most_in_flight, 3 * CHUNK);
    // Smaller than two chunks still moves.
    let tiny = Config {
        send_buffer: 1,
        ..config()
    };
    let mut pair = Pair::new(&tiny, &profile(), 3);
    push(&mut pair, 0, &pattern(10_000));
    pair.run(5 * SECOND, |_| false);
    assert_eq!(pair.ends[0].most_in_flight, CHUNK);
    assert_eq!(pair.ends[1].received.len(), 10_000);
}

#[test]
fn each_write_is_retried_on_its_own() {
    let mut pair = pair(1);
    pair.ends[0].conn.write(pair.now, &pattern(5_000)).unwrap();
    pair.poll(0);
    assert!(pair.ends[0].writes().len() >= 4);
    let lost = Failure::new(FailureKind::TimedOut, "no answer").maybe_landed();
    let which = |pair: &Pair, wanted| {
        pair.ends[0].going.iter().position(|going| {
            matches!(&going.request.operation, Operation::Write { sequence, .. } if *sequence == wanted)
        })
    };
    let second = which(&pair, 1).unwrap();
    pair.answer(0, second, Err(lost));
    for sequence in [3, 0, 2] {
        let at = which(&pair, sequence).unwrap();
        pair.answer(0, at, Ok(Reply::Done));
    }
    assert!(!pair.ends[0].conn.is_flushed());
    assert_eq!(which(&pair, 1), None, "it waits before its next try");
    pair.now = pair.now.after(Duration::from_millis(100));
    pair.poll(0);
    let again = which(&pair, 1).unwrap();
    let request = &pair.ends[0].going[again].request;
    assert!(request.may_have_landed);
    assert_eq!(pair.ends[0].conn.stats().retries, 1);
    pair.answer(0, again, Ok(Reply::Done));
}

#[test]
fn trap_06_a_write_that_found_nothing_before_another_was_stored_is_tried_again() {
    let mut pair = pair(1);
    pair.ends[0].conn.write(pair.now, &pattern(5_000)).unwrap();
    pair.poll(0);
    let missing = || Err(Failure::new(FailureKind::NotFound, "no such queue"));
    let find = |pair: &Pair, wanted: u64| {
        pair.ends[0].going.iter().position(|going| {
            matches!(&going.request.operation, Operation::Write { sequence, .. } if *sequence == wanted)
        })
    };
    // The queue is made while both are on their way: the first comes too early, the second not.
    let at = find(&pair, 1).unwrap();
    pair.answer(0, at, Ok(Reply::Done));
    let at = find(&pair, 0).unwrap();
    pair.answer(0, at, missing());
    assert!(pair.ends[0].conn.error().is_none());
    pair.now = pair.now.after(Duration::from_millis(100));
    pair.poll(0);
    let at = find(&pair, 0).expect("tried again");
    // But a queue that was there and is gone is an error.
    pair.answer(0, at, missing());
    let error = pair.ends[0].conn.error();
    assert!(
        matches!(error, Some(Error::Store(failure)) if failure.kind == FailureKind::NotFound),
        "{error:?}"
    );
}

/// Both ends have written; the listener's end has been read by the dialer, which closes with
/// `data` still to send. Its writes are left on their way.
fn about_to_part(data: &[u8]) -> Pair {
    let mut pair = pair(9);
    push(&mut pair, 1, b"the listener's");
    pair.ends[1].conn.close_write(pair.now).unwrap();
    pair.run(10 * SECOND, |p| p.ends[0].ended);
    pair.ends[0].conn.write(pair.now, data).unwrap();
    pair.ends[0].conn.close_write(pair.now).unwrap();
    pair.poll(0);
    assert!(pair.ends[0].writes().len() >= 2);
    pair
}

#[test]
fn data_that_cannot_be_stored_is_an_error_though_the_end_mark_is_stored() {
    let mut pair = about_to_part(&pattern(2_500));
    let last = pair.ends[0].writes().len() as u64;
    let highest = pair.ends[0]
        .writes()
        .iter()
        .map(|w| sequence_of(&w.operation))
        .max();
    let find = |pair: &Pair, wanted: u64| {
        pair.ends[0].going.iter().position(|going| {
            matches!(&going.request.operation, Operation::Write { sequence, .. } if *sequence == wanted)
        })
    };
    let (end, first) = (highest.unwrap(), highest.unwrap() + 1 - last);
    let at = find(&pair, end).unwrap();
    pair.answer(0, at, Ok(Reply::Done));
    assert_eq!(pair.ends[0].conn.error(), None);
    let at = find(&pair, first).unwrap();
    let denied = Failure::new(FailureKind::Denied, "the SAS has expired");
    pair.answer(0, at, Err(denied.clone()));
    assert_eq!(pair.ends[0].conn.error(), Some(&Error::Store(denied)));
    assert!(!pair.ends[0].conn.is_clean());
}

#[test]
fn a_queue_that_is_gone_after_the_farewell_took_everything() {
    let mut pair = about_to_part(&pattern(2_500));
    // All of it lands, and every answer is lost.
    pair.lost_replies = 1_000;
    while let Some(at) = pair.ends[0]
        .going
        .iter()
        .position(|going| matches!(going.request.operation, Operation::Write { .. }))
    {
        pair.perform(0, at);
    }
    pair.lost_replies = 0;
    pair.run(60 * SECOND, |p| p.ends.iter().all(|e| e.closed().is_some()));
    assert!(pair.removed, "the listener has read it all and cleans up");
    assert_eq!(pair.ends[1].received, pattern(2_500));
    assert_eq!(pair.ends[0].closed(), Some(&Ok(())));
    assert!(pair.ends[0].conn.is_clean());
}

#[test]
fn a_queue_that_is_gone_before_everything_landed_is_an_error() {
    let mut pair = about_to_part(&pattern(2_500));
    pair.removed = true;
    pair.run(60 * SECOND, |p| p.ends[0].closed().is_some());
    match pair.ends[0].conn.error() {
        Some(Error::Store(failure)) => assert_eq!(failure.kind, FailureKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_gap_that_never_closes_is_a_typed_error() {
    let mut pair = pair(1);
    push(&mut pair, 0, b"heard");
    let reading = |p: &Pair| {
        p.ends[1]
            .going
            .iter()
            .position(|going| matches!(going.request.operation, Operation::Read { .. }))
    };
    let started = pair.now;
    while pair.ends[1].conn.error().is_none() {
        pair.now = pair.now.after(SECOND);
        pair.poll(1);
        while let Some(at) = reading(&pair) {
            let gap = Reply::NotYet {
                gap: true,
                more: false,
            };
            pair.answer(1, at, Ok(gap));
            assert!(pair.now.since(started) <= 400 * SECOND, "it never ends");
        }
    }
    assert!(pair.now.since(started) >= 299 * SECOND);
    match pair.ends[1].conn.error() {
        Some(Error::Store(failure)) => {
            assert_eq!(failure.kind, FailureKind::NotFound);
            assert!(failure.detail.contains("never came"), "{failure}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn removals_that_fail_end_nothing_but_the_removals() {
    for kind in [FailureKind::Denied, FailureKind::Unreachable] {
        let mut pair = pair(5);
        pair.unreleasable = Some(kind);
        // More than reading would wait for.
        let data = pattern(400 * CHUNK);
        push(&mut pair, 0, &data);
        pair.run(5 * SECOND, |_| false);
        assert_eq!(pair.ends[1].conn.error(), None);
        assert!(pair.ends[1].received == data);
        let tried = pair.ends[1].conn.stats().deletes;
        assert!(tried > 0);
        push(&mut pair, 0, &data);
        pair.run(5 * SECOND, |_| false);
        if kind == FailureKind::Denied {
            assert_eq!(pair.ends[1].conn.stats().deletes, tried, "asked no more");
        }
        assert_eq!(pair.ends[1].received.len(), 2 * data.len());
    }
}

#[test]
fn nothing_more_is_got_while_too_much_waits_to_be_removed() {
    let mut pair = pair(5);
    let mut sent = 0;
    let data = pattern(600_000);
    // Everything is answered but removals.
    for _ in 0..3_000 {
        sent += pair.ends[0].conn.write(pair.now, &data[sent..]).unwrap();
        pair.now = pair.now.after(Duration::from_millis(10));
        for at in 0..2 {
            pair.poll(at);
            while let Some(which) = pair.ends[at]
                .going
                .iter()
                .position(|going| !matches!(going.request.operation, Operation::Release { .. }))
            {
                pair.perform(at, which);
            }
        }
        pair.drain();
    }
    assert_eq!(sent, data.len());
    let opened = pair.ends[1].conn.stats().chunks_opened;
    assert!((256..256 + 8 + 32).contains(&opened), "{opened}");
    let at_once = pair.ends[1].going.len();
    assert_eq!(at_once, 8, "as many removals at once as the carrier takes");
    pair.run(30 * SECOND, |p| p.ends[1].received.len() == sent);
    assert!(pair.ends[1].received == data);
}

/// Chunks that the listener has had removed.
fn removed(pair: &Pair) -> u64 {
    pair.ends[1].conn.stats().deletes
}

#[test]
fn few_chunks_are_removed_when_they_have_waited_for_a_second() {
    let mut pair = pair(7);
    push(&mut pair, 0, &pattern(10 * PAYLOAD - 5));
    pair.run(Duration::from_millis(700), |_| false);
    assert_eq!(pair.ends[1].received.len(), 10 * PAYLOAD - 5);
    assert_eq!(removed(&pair), 0);
    pair.run(SECOND, |_| false);
    assert_eq!(removed(&pair), 10);
}

#[test]
fn many_chunks_are_removed_at_once() {
    let mut pair = pair(7);
    push(&mut pair, 0, &pattern(100 * PAYLOAD - 5));
    pair.run(Duration::from_millis(500), |_| false);
    assert_eq!(pair.ends[1].received.len(), 100 * PAYLOAD - 5);
    assert!((64..=100).contains(&removed(&pair)), "{}", removed(&pair));
    pair.run(3 * SECOND, |_| false);
    assert_eq!(removed(&pair), 100);
}

#[test]
fn what_is_left_when_the_stream_ends_goes_with_its_queue() {
    let mut pair = pair(7);
    let data = pattern(30 * PAYLOAD - 5);
    push(&mut pair, 0, &data);
    let now = pair.now;
    for end in &mut pair.ends {
        end.conn.close_write(now).unwrap();
    }
    pair.run(60 * SECOND, |p| p.ends.iter().all(|e| e.closed().is_some()));
    assert!(pair.ends[1].received == data);
    assert!(pair.ends.iter().all(|end| end.closed() == Some(&Ok(()))));
    assert!(pair.removed, "the queue itself");
    assert_eq!(removed(&pair), 0);
}

#[test]
fn a_stream_that_ends_while_much_is_left_is_still_taken_leave_of() {
    // Nothing is removed, and more is left than reading would go on with.
    let mut pair = pair(7);
    pair.unreleasable = Some(FailureKind::Unreachable);
    push(&mut pair, 0, &pattern(300 * PAYLOAD));
    let now = pair.now;
    for end in &mut pair.ends {
        end.conn.close_write(now).unwrap();
    }
    pair.run(20 * SECOND, |p| p.ends.iter().all(|e| e.closed().is_some()));
    assert!(pair.ends.iter().all(|end| end.closed() == Some(&Ok(()))));
}

#[test]
fn sequence_numbers_do_not_run_out_under_several_writes() {
    let few = Profile {
        sequences: Some(40),
        ..profile()
    };
    let mut pair = Pair::new(&config(), &few, 1);
    let data = pattern(100_000);
    let mut sent = 0;
    let error = loop {
        match pair.ends[0].conn.write(pair.now, &data[sent..]) {
            Ok(n) => sent += n,
            Err(error) => break error,
        }
        pair.run(SECOND, |_| false);
    };
    assert_eq!(error.class(), Some(Class::NonceLimit));
    let highest = pair.ends[0]
        .tries
        .iter()
        .map(|(sequence, _)| *sequence)
        .max();
    assert!((30..40).contains(&highest.unwrap()), "{highest:?}");
    assert!(pair.ends[1].received == data[..pair.ends[1].received.len()]);
}
