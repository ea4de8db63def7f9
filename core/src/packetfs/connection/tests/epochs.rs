//! Epochs on an ordered stream, and a peer that seals what it likes.

use super::*;
use crate::packetfs::wire::ChannelId;
use crate::packetfs::wire::preface::Preface;

/// A peer of our making: the responder's keys, used at will.
struct Rogue {
    schedule: Schedule,
}

impl Rogue {
    /// An initiator that has heard the rogue's preface and nothing else.
    fn meet(config: &Config) -> (Connection, Self) {
        let (mut one, _) = pair(config);
        let first = Preface::decode(&drain(&mut one, &mut Vec::new())).unwrap();
        let ours = Preface {
            algorithm: config.algorithm,
            salt: [9; 32],
            ephemeral: None,
        };
        one.handle(T0, Input::Bytes(&ours.encode())).unwrap();
        let schedule = Schedule::derive(&psk(1), &first, &ours, None).unwrap();
        (one, Self { schedule })
    }

    fn record(&self, channel: ChannelId, epoch: u32, sequence: u64, plain: &[u8]) -> Vec<u8> {
        let direction = Direction::ResponderToInitiator;
        let key = self.schedule.key(direction, channel, epoch).unwrap();
        let algorithm = self.schedule.algorithm();
        let mut sealer = Sealer::at(algorithm, &key, channel, epoch, sequence);
        let mut record = vec![0; 15];
        record.extend_from_slice(plain);
        record.extend_from_slice(&[0; 16]);
        sealer.seal(&mut record, u32::MAX).unwrap();
        record
    }

    fn control(&self, epoch: u32, sequence: u64, plain: &[u8]) -> Vec<u8> {
        self.record(ChannelId::Control, epoch, sequence, plain)
    }

    fn payload(&self, epoch: u32, sequence: u64) -> Vec<u8> {
        self.record(ChannelId::Payload, epoch, sequence, b"x")
    }
}

fn plain() -> Config {
    config(Algorithm::Aes256Gcm, false)
}

/// What comes of the records, one after the other, at the same instant.
fn outcome(records: impl Fn(&Rogue) -> Vec<Vec<u8>>) -> (Option<Class>, Vec<u8>) {
    let (mut one, rogue) = Rogue::meet(&plain());
    for record in records(&rogue) {
        if let Err(error) = one.handle(T0, Input::Bytes(&record)) {
            return (error.class(), read_all(&mut one));
        }
    }
    (None, read_all(&mut one))
}

#[test]
fn an_epoch_advances_on_every_channel_at_once() {
    let (mut one, mut other) = established(&plain());
    for round in 0..70 {
        assert_eq!(one.epoch(), round);
        one.write(T0, b"there").unwrap();
        settle(&mut one, &mut other, 5);
        assert_eq!(read_all(&mut other), b"there");
        one.rekey().unwrap();
        settle(&mut one, &mut other, 5);
    }
    // The other direction stayed where it was.
    assert_eq!(other.epoch(), 0);
    other.write(T0, b"back").unwrap();
    settle(&mut one, &mut other, 5);
    assert_eq!(read_all(&mut one), b"back");
}

#[test]
fn a_budget_of_records_or_bytes_advances_the_epoch() {
    for (records, bytes) in [(10, u64::MAX), (u64::MAX, 2_000)] {
        let budget = Config {
            epoch_records: records,
            epoch_bytes: bytes,
            ..plain()
        };
        let (mut one, mut other) = established(&budget);
        for _ in 0..100 {
            one.send(T0, &[5; 100]).unwrap();
            settle(&mut one, &mut other, usize::MAX);
            assert_eq!(read_all(&mut other), [5; 100]);
        }
        assert!(one.epoch() >= 5, "{}", one.epoch());
    }
}

#[test]
fn epochs_never_roll_back_and_leave_none_out() {
    let announce =
        |rogue: &Rogue, epoch, sequence, new| rogue.control(epoch, sequence, &announcement(new));
    // Forward by one is right.
    let found = outcome(|r| vec![announce(r, 0, 0, 1), r.payload(1, 0)]);
    assert_eq!(found, (None, b"x".to_vec()));
    // The same epoch, an older one, and one that leaves others out.
    let found = outcome(|r| vec![announce(r, 0, 0, 0)]);
    assert_eq!(found.0, Some(Class::Replay));
    let found = outcome(|r| vec![announce(r, 0, 0, 1), announce(r, 1, 0, 0)]);
    assert_eq!(found.0, Some(Class::Replay));
    let found = outcome(|r| vec![announce(r, 0, 0, 1), announce(r, 1, 0, 1)]);
    assert_eq!(found.0, Some(Class::Replay));
    let found = outcome(|r| vec![announce(r, 0, 0, 1), announce(r, 0, 1, 1)]);
    assert_eq!(found.0, Some(Class::Replay));
    let found = outcome(|r| vec![announce(r, 0, 0, 2)]);
    assert_eq!(found.0, Some(Class::State));
    let found = outcome(|r| vec![announce(r, 0, 0, u32::MAX)]);
    assert_eq!(found.0, Some(Class::State));
}

#[test]
fn a_record_of_another_epoch_is_refused() {
    for epoch in [1, 2, 63, u32::MAX] {
        let found = outcome(|r| vec![r.payload(epoch, 0)]);
        assert_eq!(found, (Some(Class::Auth), vec![]), "{epoch}");
    }
    // Epoch 64 has the flags of epoch 0, and not its key.
    let found = outcome(|r| vec![r.payload(64, 0)]);
    assert_eq!(found, (Some(Class::Auth), vec![]));
}

#[test]
fn one_old_epoch_is_accepted_for_its_grace_and_no_longer() {
    let (mut one, rogue) = Rogue::meet(&plain());
    let mut feed = |at: Instant, record: Vec<u8>| one.handle(at, Input::Bytes(&record));
    let second = |seconds| T0.after(Duration::from_secs(seconds));
    feed(T0, rogue.payload(0, 0)).unwrap();
    feed(T0, rogue.control(0, 0, &announcement(1))).unwrap();
    feed(second(29), rogue.payload(0, 1)).unwrap();
    // A second step: epoch 0 is gone, epoch 1 is the old one.
    feed(second(29), rogue.payload(1, 0)).unwrap();
    feed(second(29), rogue.control(1, 0, &announcement(2))).unwrap();
    feed(second(58), rogue.payload(1, 1)).unwrap();
    let late = feed(second(59), rogue.payload(1, 2));
    assert_eq!(class(late), Some(Class::Auth));

    let gone = outcome(|r| {
        vec![
            r.control(0, 0, &announcement(1)),
            r.control(1, 0, &announcement(2)),
            r.payload(0, 0),
        ]
    });
    assert_eq!(gone.0, Some(Class::Auth));
}

#[test]
fn unknown_control_payloads_mean_nothing() {
    let found = outcome(|r| {
        vec![
            r.control(0, 0, &[]),
            r.control(0, 1, &[0]),
            r.control(0, 2, &[9; 100]),
            r.payload(0, 0),
        ]
    });
    assert_eq!(found, (None, b"x".to_vec()));
    let found = outcome(|r| vec![r.control(0, 0, &[1, 0, 0, 1])]);
    assert_eq!(found.0, Some(Class::Length));
}

#[test]
fn nothing_comes_after_an_end_mark() {
    let found = outcome(|r| vec![r.control(0, 0, &[2]), r.payload(0, 0)]);
    assert_eq!(found, (Some(Class::State), vec![]));
    let found = outcome(|r| vec![r.control(0, 0, &[2]), r.control(0, 1, &[2])]);
    assert_eq!(found.0, Some(Class::State));
    // The epoch may still advance.
    let found = outcome(|r| vec![r.control(0, 0, &[2]), r.control(0, 1, &announcement(1))]);
    assert_eq!(found.0, None);
}

#[test]
fn what_comes_behind_an_end_mark_is_told_once_and_as_an_error_though_our_own_end_was_said() {
    let (mut one, mut other) = pair(&plain());
    settle(&mut one, &mut other, usize::MAX);
    let mut events = Vec::new();
    other.close_write(T0).unwrap();
    drain(&mut other, &mut events);
    one.close_write(T0).unwrap();
    let mut bytes = drain(&mut one, &mut Vec::new());
    bytes.extend_from_slice(&[0; 40]);
    let after = other.handle(T0, Input::Bytes(&bytes));
    assert!(after.is_err());
    drain(&mut other, &mut events);
    let told: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event, Event::Closed(_)))
        .collect();
    assert_eq!(told, [&Event::Closed(after)]);
}

#[test]
fn an_object_is_not_expected_on_a_byte_stream() {
    for channel in [ChannelId::Descriptors, ChannelId::Repair] {
        let found = outcome(|r| vec![r.record(channel, 0, 0, &[0])]);
        assert_eq!(found.0, Some(Class::State));
    }
}

#[test]
fn a_plaintext_frame_of_the_old_tools_is_refused() {
    let (mut one, _) = Rogue::meet(&plain());
    let mut frame = b"PF\0\0\0\0\0\0\0\0\0\0\0\x15\x02".to_vec();
    frame.extend_from_slice(b"hello and some CRC...");
    let fault = one.handle(T0, Input::Bytes(&frame));
    assert_eq!(class(fault), Some(Class::Auth));
}

#[test]
fn the_last_epoch_is_the_last() {
    let budget = Config {
        epoch_records: 2,
        ..plain()
    };
    let (mut one, rogue) = Rogue::meet(&budget);
    drain(&mut one, &mut Vec::new());
    one.link.skip_to_epoch(u32::MAX);
    assert_eq!(
        one.rekey().err().and_then(|e| e.class()),
        Some(Class::DataLimit)
    );
    let mut sent = Vec::new();
    for _ in 0..4 {
        let _ = one.send(T0, b"last");
        sent.extend(drain(&mut one, &mut Vec::new()));
    }
    assert_eq!(one.error().and_then(Error::class), Some(Class::DataLimit));
    // Two records went out, under the keys of that epoch.
    let direction = Direction::InitiatorToResponder;
    let key = rogue
        .schedule
        .key(direction, ChannelId::Payload, u32::MAX)
        .unwrap();
    let opener = Opener::new(
        rogue.schedule.algorithm(),
        &key,
        ChannelId::Payload,
        u32::MAX,
    );
    let records: Vec<_> = sent.chunks(15 + 4 + 16).collect();
    assert_eq!(records.len(), 2);
    for record in records {
        let (header, body) = record.split_first_chunk().unwrap();
        let mut body = body.to_vec();
        assert_eq!(opener.open(header, &mut body).unwrap(), 4);
        assert_eq!(&body[..4], b"last");
    }
}

#[test]
fn nothing_goes_out_behind_the_end_mark_not_even_a_new_epoch() {
    let (mut one, mut other) = established(&Config::default());
    one.close_write(T0).unwrap();
    // Until the mark is sealed there may be much to say under a new key.
    one.rekey().unwrap();
    settle(&mut one, &mut other, usize::MAX);
    assert!(one.has_sent_all());
    assert!(matches!(one.rekey(), Err(Error::Misuse(_))));
    assert!(one.has_sent_all() && !one.has_output());
    assert!(other.rekey().is_ok());
}
