//! Large sealed frames: sealed late, opened where they were read to, and never over bytes that
//! somebody still looks at.

use crate::world::*;
use bytes::Bytes;
use stillwire_core::asoc::{Config, Connection, ConnectionEvent};
use stillwire_core::{Class, Error, Instant, Machine, Output};

const LARGE: usize = 100_000;

fn pattern(seed: u8) -> Vec<u8> {
    (0..LARGE).map(|at| (at as u8).wrapping_mul(seed)).collect()
}

/// Hands `bytes` over as a socket would: into the machine's place when it has one, at most `step`
/// bytes at a time. Gives how many bytes went past `receive`.
fn feed(end: &mut End, mut bytes: &[u8], step: usize) -> Result<usize, Error> {
    let mut placed = 0;
    while !bytes.is_empty() {
        let taken;
        if let Some(mut place) = end.machine.place() {
            let room = place.room();
            taken = room.len().min(step).min(bytes.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
            placed += taken;
            end.machine.placed(Instant::ZERO, place, taken)?;
        } else {
            taken = step.min(bytes.len());
            end.take(&bytes[..taken])?;
        }
        bytes = &bytes[taken..];
    }
    end.drain();
    Ok(placed)
}

fn write(end: &mut End, data: Bytes) -> Vec<u8> {
    let stream = end.machine.open().unwrap();
    assert_eq!(end.machine.write(stream, &data).unwrap(), data.len());
    drop(data);
    end.machine.end(stream).unwrap();
    end.drain()
}

#[test]
fn what_is_read_to_its_place_is_what_is_handed_in() {
    for profile in &PROFILES[1..] {
        for step in [13, 14, 1_000, 99_999, 100_016, 100_030, 100_031, usize::MAX] {
            let mut met = meet(*profile, 1);
            let mut wire = write(&mut met.client, pattern(3).into());
            wire.extend(write(&mut met.client, Bytes::from_static(b"small")));
            wire.extend(write(&mut met.client, pattern(5).into()));
            let placed = feed(&mut met.server, &wire, step).unwrap();
            // Only what comes in large reads may miss its place, and small frames always do.
            let most = 2 * (LARGE + 16 + 14);
            assert!(
                placed <= most,
                "{placed} of {most} bytes in steps of {step}"
            );
            if step < LARGE / 2 {
                assert!(placed > LARGE, "{placed} bytes in steps of {step}");
            }
            let expected = [pattern(3), b"small".to_vec(), pattern(5)].concat();
            assert!(met.server.data() == expected, "in steps of {step}");
            let ends = met.server.events.iter();
            let ends = ends.filter(|event| matches!(event, ConnectionEvent::End { .. }));
            assert_eq!(ends.count(), 3);
            assert!(met.server.machine.is_open());
        }
    }
}

#[test]
fn pieces_that_are_kept_stay_what_they_were() {
    let mut met = meet(HARDENED, 1);
    for round in 1..20 {
        let wire = write(&mut met.client, pattern(round).into());
        // Of the server's events some are kept, all of them with their bytes.
        feed(&mut met.server, &wire, 30_000).unwrap();
        if round % 3 == 0 {
            let mut events = std::mem::take(&mut met.server.events);
            events.retain(|event| !matches!(event, ConnectionEvent::Data { .. }));
            met.server.events = events;
        }
        let expected: Vec<u8> = (round / 3 * 3 + 1..=round).flat_map(pattern).collect();
        assert!(met.server.data() == expected, "round {round}");
    }
}

#[test]
fn an_altered_payload_in_its_place_is_refused_and_nothing_of_it_is_told() {
    for at in [14, 60_000, 14 + LARGE, 14 + LARGE + 15] {
        let mut met = meet(HARDENED, 1);
        let mut wire = write(&mut met.client, pattern(3).into());
        wire[at] ^= 1;
        let fault = feed(&mut met.server, &wire, 5_000).unwrap_err();
        assert_eq!(fault.class(), Some(Class::Auth), "byte {at}");
        met.server.drain();
        assert!(met.server.data().is_empty());
        assert_eq!(met.server.fault(), Some(Class::Auth));
        assert!(met.server.machine.place().is_none());
    }
}

#[test]
fn while_a_place_is_lent_out_other_bytes_are_misuse_and_change_nothing() {
    let mut met = meet(HARDENED, 1);
    let wire = write(&mut met.client, pattern(3).into());
    let (head, rest) = wire.split_at(14);
    met.server.take(head).unwrap();
    let mut place = met.server.machine.place().unwrap();
    assert!(met.server.machine.place().is_none(), "it is lent once");
    assert!(matches!(met.server.take(rest), Err(Error::Misuse(_))));
    // Handed back as it was, it can be lent again, or done without.
    met.server.machine.placed(Instant::ZERO, place, 0).unwrap();
    place = met.server.machine.place().unwrap();
    place.room()[..10].copy_from_slice(&rest[..10]);
    met.server.machine.placed(Instant::ZERO, place, 10).unwrap();
    met.server.take(&rest[10..]).unwrap();
    met.server.drain();
    assert!(met.server.data() == pattern(3));
    // A place of another connection is misuse where none was lent out.
    let mut other = meet(HARDENED, 2);
    let wire = write(&mut other.client, pattern(3).into());
    other.server.take(&wire[..14]).unwrap();
    let place = other.server.machine.place().unwrap();
    let given = met.server.machine.placed(Instant::ZERO, place, 5);
    assert!(matches!(given, Err(Error::Misuse(_))));
    assert!(met.server.machine.is_open());
}

#[test]
fn there_is_no_place_before_the_handshake_is_done_nor_in_the_default_profile() {
    let mut server = End::server(2, 2, HARDENED);
    assert!(server.machine.place().is_none());
    let mut met = meet(stillwire_core::asoc::Profile::Default, 1);
    let wire = write(&mut met.client, pattern(3).into());
    met.server.take(&wire[..14]).unwrap();
    assert!(met.server.machine.place().is_none());
    // A frame that is too large never gets one.
    let config = Config {
        max_frame: LARGE - 1,
        ..config(HARDENED)
    };
    let small = Connection::server(config, identity(2), fresh(101), Instant::ZERO);
    let (mut small, mut met) = (End::of(small.unwrap()), meet(HARDENED, 1));
    for said in &met.to_server {
        small.answer(said);
    }
    let wire = write(&mut met.client, pattern(3).into());
    let fault = small.take(&wire[..14]).unwrap_err();
    assert_eq!(fault.class(), Some(Class::Limit));
    assert!(small.machine.place().is_none());
}

#[test]
fn bytes_that_nobody_else_holds_are_sealed_where_they_are_and_others_are_left_alone() {
    let mut met = meet(HARDENED, 1);
    let stream = met.client.machine.open().unwrap();
    let own = Bytes::from(pattern(3));
    let at = own.as_ptr();
    met.client.machine.write(stream, &own).unwrap();
    drop(own);
    let shared = Bytes::from(pattern(5));
    met.client.machine.write(stream, &shared).unwrap();
    let mut parts = Vec::new();
    while let Output::Transmit(part) = met.client.machine.poll(Instant::ZERO) {
        parts.push(part);
    }
    let lengths: Vec<usize> = parts.iter().map(Bytes::len).collect();
    assert_eq!(lengths, [14, LARGE, 16, 14, LARGE + 16]);
    assert_eq!(parts[1].as_ptr(), at);
    assert_ne!(parts[4].as_ptr(), shared.as_ptr());
    assert!(shared == pattern(5));
    feed(&mut met.server, &parts.concat(), 10_000).unwrap();
    assert!(met.server.data() == [pattern(3), pattern(5)].concat());
}

#[test]
fn what_is_queued_counts_as_what_will_be_transmitted() {
    for profile in PROFILES {
        let mut met = meet(profile, 1);
        assert_eq!(met.client.machine.queued(), 0);
        let stream = met.client.machine.open().unwrap();
        for data in [Bytes::from(pattern(3)), Bytes::from_static(b"small")] {
            met.client.machine.write(stream, &data).unwrap();
        }
        let mut queued = met.client.machine.queued();
        while let Output::Transmit(part) = met.client.machine.poll(Instant::ZERO) {
            queued -= part.len();
            assert_eq!(met.client.machine.queued(), queued);
        }
        assert_eq!(queued, 0);
    }
}

#[test]
fn events_can_be_taken_while_nothing_can_be_transmitted() {
    let mut met = meet(HARDENED, 1);
    let said = write(&mut met.client, Bytes::from_static(b"there"));
    let stream = met.server.machine.open().unwrap();
    let data = Bytes::from(pattern(3));
    met.server.machine.write(stream, &data).unwrap();
    met.server.take(&said).unwrap();
    let event = met.server.machine.poll_event();
    assert!(matches!(event, Some(ConnectionEvent::Data { .. })));
    let event = met.server.machine.poll_event();
    assert!(matches!(event, Some(ConnectionEvent::End { .. })));
    assert_eq!(met.server.machine.poll_event(), None);
    assert_eq!(met.server.machine.queued(), 14 + LARGE + 16);
}
