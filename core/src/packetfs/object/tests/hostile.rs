//! Peers that hold the key and keep to nothing else, before a receiver and before a sender.

use super::*;
use crate::packetfs::wire::control::{COMPLETE, END};
use crate::packetfs::wire::preface::Preface;
use crate::packetfs::wire::repair::{answer, request};
use crate::packetfs::wire::{ChannelId, Direction};
use crate::packetfs::{Schedule, Sealer};
use ChannelId::{Control, Descriptors, Payload, Repair};

fn config(blueprint: usize) -> Config {
    Config {
        forward_secrecy: false,
        blueprint,
        ..Config::default()
    }
}

/// Seals what it likes.
struct Hostile([Sealer; 4]);

impl Hostile {
    /// Answers the preface of an end that opened the stream.
    fn meet<M: Machine>(end: &mut M) -> Self {
        let first = Preface::decode(&drain(end, &mut Vec::new())).unwrap();
        let ours = Preface {
            algorithm: first.algorithm,
            salt: [9; 32],
            ephemeral: None,
        };
        end.handle(T0, Input::Bytes(&ours.encode())).unwrap();
        let schedule = Schedule::derive(&psk(), &first, &ours, None).unwrap();
        Self(ChannelId::ALL.map(|channel| {
            let key = schedule
                .key(Direction::ResponderToInitiator, channel, 0)
                .unwrap();
            Sealer::new(schedule.algorithm(), &key, channel, 0)
        }))
    }

    fn say<M: Machine>(
        &mut self,
        end: &mut M,
        channel: ChannelId,
        payload: &[u8],
    ) -> Result<(), Error> {
        let mut record = [&[0; 15][..], payload, &[0; 16][..]].concat();
        let sealer = &mut self.0[usize::from(channel.number())];
        sealer.seal(&mut record, u32::MAX).unwrap();
        end.handle(T0, Input::Bytes(&record))
    }
}

fn receiver(blueprint: usize) -> Receiver<Vec<u8>> {
    let config = config(blueprint);
    Receiver::new(Role::Initiator, config, psk(), rng(1), blob(), T0).unwrap()
}

/// What a receiver makes of records of our choice.
fn outcome(records: &[(ChannelId, &[u8])]) -> Option<Class> {
    let mut end = receiver(1_000);
    let mut peer = Hostile::meet(&mut end);
    for (channel, payload) in records {
        if let Err(error) = peer.say(&mut end, *channel, payload) {
            assert_eq!(end.handle(T0, Input::Time), Err(error.clone()));
            return error.class();
        }
    }
    None
}

#[test]
fn records_out_of_place_are_refused() {
    let empty = [&[0][..], &[0; 12][..]].concat();
    let literal = |more: u8| {
        let mut builder = Builder::new(1_000);
        builder.literal(b"x").unwrap();
        let blueprint = builder.finish(&digests(b"x")).unwrap();
        [&[more][..], &blueprint.bytes()[..]].concat()
    };
    assert_eq!(outcome(&[(Descriptors, &empty)]), None);
    assert_eq!(outcome(&[(Descriptors, &literal(0))]), None);
    assert_eq!(outcome(&[(Descriptors, &[])]), Some(Class::Truncated));
    assert_eq!(outcome(&[(Descriptors, &[2, 0])]), Some(Class::Type));
    assert_eq!(outcome(&[(Descriptors, &[0, 0])]), Some(Class::Truncated));
    // One object at a time.
    let twice = [(Descriptors, &empty[..]), (Descriptors, &empty[..])];
    assert_eq!(outcome(&twice), Some(Class::State));
    // Over the limit, in parts.
    let part = [&[1][..], &[0; 600][..]].concat();
    let parts = [(Descriptors, &part[..]), (Descriptors, &part[..])];
    assert_eq!(outcome(&parts), Some(Class::Limit));
    // Repairs that nobody asked for, and requests to a receiver.
    assert_eq!(
        outcome(&[(Repair, &[2, 0, 0, 0, 0, 9])]),
        Some(Class::State)
    );
    let unasked = [
        (Descriptors, &literal(0)[..]),
        (Repair, &[2, 0, 0, 0, 0, 9]),
    ];
    assert_eq!(outcome(&unasked), Some(Class::State));
    assert_eq!(outcome(&[(Repair, &request(0))]), Some(Class::State));
    // An end in the middle, bytes of a stream, a "complete" from the wrong side.
    let cut = [(Descriptors, &literal(1)[..]), (Control, &[2])];
    assert_eq!(outcome(&cut), Some(Class::State));
    assert_eq!(outcome(&[(Control, &[2])]), None);
    assert_eq!(outcome(&[(Payload, b"x")]), Some(Class::State));
    assert_eq!(outcome(&[(Control, &COMPLETE)]), Some(Class::State));
}

#[test]
fn a_blueprint_in_parts_never_has_more_room_than_its_limit() {
    const LIMIT: usize = 100_000;
    for size in [1, 999, 40_000, 60_000, LIMIT] {
        let mut end = receiver(LIMIT);
        let mut peer = Hostile::meet(&mut end);
        let mut given = 0;
        while given < LIMIT {
            let part = vec![1; 1 + size.min(LIMIT - given)];
            peer.say(&mut end, Descriptors, &part).unwrap();
            given += part.len() - 1;
            // Twice what is there, and never past the limit.
            let most = LIMIT.min(2 * given);
            assert!(
                (given..=most).contains(&end.room()),
                "{} at {given}",
                end.room()
            );
        }
        let fault = peer.say(&mut end, Descriptors, &[1, 0]).err();
        assert_eq!(fault.and_then(|e| e.class()), Some(Class::Limit));
    }
}

/// Windows of the sender's object, whose blueprint goes in two parts.
const WINDOWS: u32 = 5;

fn source() -> Vec<u8> {
    blob()[..300_000].to_vec()
}

/// A sender that has met its peer, and has nothing to send.
fn idle() -> (Sender<Vec<u8>>, Hostile) {
    let config = config(1 << 20);
    let sender = Sender::new(Role::Initiator, config, psk(), rng(1), T0);
    let mut sender = sender.unwrap();
    let peer = Hostile::meet(&mut sender);
    (sender, peer)
}

/// A sender that has an object, and has not said a word of it.
fn started() -> (Sender<Vec<u8>>, Hostile) {
    let (mut sender, peer) = idle();
    let source = source();
    let mut builder = Builder::new(1 << 20);
    builder.literal(&source).unwrap();
    let blueprint = builder.finish(&digests(&source)).unwrap();
    assert_eq!(blueprint.windows(), u64::from(WINDOWS));
    sender.start(blueprint, source).unwrap();
    (sender, peer)
}

/// A sender that has said the first part of a blueprint.
fn halfway() -> (Sender<Vec<u8>>, Hostile) {
    let (mut sender, peer) = started();
    loop {
        match sender.poll(T0) {
            Output::Transmit(bytes) if bytes.len() > 256 << 10 => return (sender, peer),
            Output::Transmit(_) => {}
            _ => unreachable!("the first part is longer than that"),
        }
    }
}

/// A sender that has said all of a blueprint.
fn described() -> (Sender<Vec<u8>>, Hostile) {
    let (mut sender, peer) = started();
    assert!(drain(&mut sender, &mut Vec::new()).len() > 300_000);
    (sender, peer)
}

/// It is final, repeats, and comes as the last event; nothing is sealed any more.
fn assert_refused(mut end: (Sender<Vec<u8>>, Hostile), record: (ChannelId, &[u8]), class: Class) {
    let (sender, peer) = &mut end;
    let error = peer.say(sender, record.0, record.1).unwrap_err();
    assert_eq!(error.class(), Some(class), "{record:?}");
    assert_eq!(sender.handle(T0, Input::Time), Err(error.clone()));
    assert_eq!(sender.error(), Some(&error));
    let mut events = Vec::new();
    let rest = drain(sender, &mut events);
    assert!(rest.len() <= 31, "only the proof of the key was due");
    assert_eq!(events.last(), Some(&Event::Closed(Err(error))));
    assert!(sender.is_finished());
}

#[test]
fn a_window_is_not_asked_for_before_the_blueprint_is_out() {
    for end in [idle(), started(), halfway()] {
        assert_refused(end, (Repair, &request(0)), Class::State);
    }
    let (mut sender, mut peer) = described();
    peer.say(&mut sender, Repair, &request(0)).unwrap();
    assert!(drain(&mut sender, &mut Vec::new()).len() > WINDOW);
    assert_eq!(sender.repaired(), 1);
}

#[test]
fn a_window_behind_the_last_one_is_not_asked_for() {
    for index in [WINDOWS, u32::MAX] {
        assert_refused(described(), (Repair, &request(index)), Class::Length);
    }
    let (mut sender, mut peer) = described();
    peer.say(&mut sender, Repair, &request(WINDOWS - 1))
        .unwrap();
    // Head, length, number, the last bytes of the object, tag.
    let length = drain(&mut sender, &mut Vec::new()).len();
    assert_eq!(length, 15 + 5 + (300_000 - 4 * 65_536) + 16);
}

#[test]
fn sixty_four_windows_may_be_asked_for_at_once_and_no_more() {
    let (mut sender, mut peer) = described();
    // Answered ones do not count.
    for round in 1..=2 {
        for index in 0..64 {
            let asked = peer.say(&mut sender, Repair, &request(index % WINDOWS));
            asked.unwrap();
        }
        drain(&mut sender, &mut Vec::new());
        assert_eq!(sender.repaired(), 64 * round);
    }
    let (mut sender, mut peer) = described();
    for index in 0..64 {
        let asked = peer.say(&mut sender, Repair, &request(index % WINDOWS));
        asked.unwrap();
    }
    assert_refused((sender, peer), (Repair, &request(0)), Class::Limit);
}

#[test]
fn repair_records_that_are_no_requests_are_refused_by_a_sender() {
    let answer = [&answer(0)[..], &source()[..WINDOW]].concat();
    for (payload, class) in [
        (&answer[..], Class::State),
        (&[], Class::Truncated),
        (&[1, 0, 0, 0], Class::Truncated),
        (&[1, 0, 0, 0, 0, 0], Class::Length),
        (&[3, 0, 0, 0, 0], Class::Type),
    ] {
        assert_refused(described(), (Repair, payload), class);
    }
}

#[test]
fn an_object_is_not_complete_before_it_is_described_nor_twice() {
    for end in [idle(), started(), halfway()] {
        assert_refused(end, (Control, &COMPLETE), Class::State);
    }
    let (mut sender, mut peer) = described();
    peer.say(&mut sender, Control, &COMPLETE).unwrap();
    let mut events = Vec::new();
    drain(&mut sender, &mut events);
    assert_eq!(events, [Event::Established, Event::Complete]);
    assert!(!sender.is_sending());
    assert_refused((sender, peer), (Control, &COMPLETE), Class::State);
}

#[test]
fn records_out_of_place_are_refused_by_a_sender() {
    for record in [
        (Descriptors, &[0; 13][..]),
        (Payload, b"x"),
        // Its own end mark has not gone out yet.
        (Control, &END),
    ] {
        assert_refused(idle(), record, Class::State);
        assert_refused(described(), record, Class::State);
    }
    let (mut sender, mut peer) = idle();
    sender.close();
    drain(&mut sender, &mut Vec::new());
    peer.say(&mut sender, Control, &END).unwrap();
    let mut events = Vec::new();
    drain(&mut sender, &mut events);
    assert_eq!(events, [Event::Established, Event::Closed(Ok(()))]);
}
