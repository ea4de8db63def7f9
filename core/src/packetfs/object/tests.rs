use super::*;
use crate::crypto::{blake3, sha256};
use crate::machine::{Input, Machine, Output};
use crate::packetfs::blob::{Blob, Missing};
use crate::packetfs::blueprint::{Builder, WINDOW, digests};
use crate::packetfs::encoder::{Encoder, Index};
use crate::packetfs::{Blueprint, Transform};
use alloc::vec::Vec;
use std::cell::Cell;
use std::vec;

const T0: Instant = Instant::ZERO;

fn psk() -> Psk {
    Psk::new(vec![1; 32]).unwrap()
}

fn rng(byte: u8) -> Rng {
    Rng::from_seed([byte; 32])
}

fn blob() -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    rng(8).fill(&mut bytes);
    bytes
}

/// Everything that `end` has to transmit; events go to `events`.
fn drain<M: Machine>(end: &mut M, events: &mut Vec<M::Event>) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        match end.poll(T0) {
            Output::Transmit(bytes) => out.extend_from_slice(&bytes),
            Output::Event(event) => events.push(event),
            Output::Wait(_) => return out,
            Output::Store(_) => unreachable!("no storage here"),
        }
    }
}

struct Transfer<S, B> {
    sender: Sender<S>,
    receiver: Receiver<B>,
    object: Vec<u8>,
    events: [Vec<Event>; 2],
    /// Every byte that both put on the wire.
    carried: Vec<u8>,
}

impl<S: Blob, B: Blob> Transfer<S, B> {
    fn new(blob: B) -> Self {
        let config = Config::default();
        let sender = Sender::new(Role::Initiator, config.clone(), psk(), rng(1), T0);
        let receiver = Receiver::new(Role::Responder, config, psk(), rng(2), blob, T0);
        Self {
            sender: sender.unwrap(),
            receiver: receiver.unwrap(),
            object: Vec::new(),
            events: [Vec::new(), Vec::new()],
            carried: Vec::new(),
        }
    }

    fn run(&mut self, step: usize) -> Result<(), Error> {
        loop {
            let there = drain(&mut self.sender, &mut self.events[0]);
            for part in there.chunks(step) {
                self.receiver.handle(T0, Input::Bytes(part))?;
            }
            while let Some(window) = self.receiver.window()? {
                let start = usize::try_from(window.offset).unwrap();
                let end = start + window.bytes.len();
                self.object.resize(self.object.len().max(end), 0);
                self.object[start..end].copy_from_slice(&window.bytes);
            }
            let back = drain(&mut self.receiver, &mut self.events[1]);
            for part in back.chunks(step) {
                self.sender.handle(T0, Input::Bytes(part))?;
            }
            self.carried.extend(there.iter().chain(&back));
            if there.is_empty() && back.is_empty() {
                return Ok(());
            }
        }
    }
}

/// The blob's own pieces, one of them changed, and foreign bytes between.
fn object(blob: &[u8]) -> Vec<u8> {
    let mut changed = blob[5_000..300_000].to_vec();
    Transform::Xor(9).apply(&mut changed);
    [
        &blob[700_001..900_002],
        b"foreign",
        &changed,
        &blob[17..70_000],
    ]
    .concat()
}

fn describe(blob: &Vec<u8>, object: &[u8]) -> Blueprint {
    let index = Index::build(blob, Index::memory_for(blob.size())).unwrap();
    let mut encoder = Encoder::new(&index, blob, 1 << 20);
    encoder.push(object).unwrap();
    encoder.finish().unwrap().blueprint
}

#[test]
fn an_object_goes_by_reference_in_any_split() {
    let blob = blob();
    let object = object(&blob);
    for step in [1, 100, usize::MAX] {
        let mut transfer = Transfer::new(blob.clone());
        let source = object.as_slice();
        transfer
            .sender
            .start(describe(&blob, &object), source.to_vec())
            .unwrap();
        assert!(
            transfer
                .sender
                .start(describe(&blob, &object), vec![])
                .is_err()
        );
        transfer.sender.close();
        transfer.run(step).unwrap();
        assert_eq!(transfer.object, object);
        let [sent, received] = &transfer.events;
        assert_eq!(
            sent[..],
            [Event::Established, Event::Complete, Event::Closed(Ok(()))]
        );
        let size = object.len() as u64;
        let expected = [
            Event::Established,
            Event::Announced { size },
            Event::Complete,
            Event::Closed(Ok(())),
        ];
        assert_eq!(received[..], expected);
        assert!(transfer.sender.is_finished() && transfer.receiver.is_finished());
        assert_eq!(transfer.sender.repaired(), 0);
        let carried = transfer.carried.len();
        assert!(carried < 2_000, "{carried}");
        // A clean end of the stream is no fault.
        transfer.sender.handle(T0, Input::End).unwrap();
        transfer.receiver.handle(T0, Input::End).unwrap();
    }
}

#[test]
fn objects_follow_one_another_the_empty_one_too() {
    let blob = blob();
    let mut transfer = Transfer::new(blob.clone());
    for object in [object(&blob), vec![], b"third".to_vec()] {
        transfer.object.clear();
        transfer
            .sender
            .start(describe(&blob, &object), object.clone())
            .unwrap();
        transfer.run(1 << 16).unwrap();
        assert_eq!(transfer.object, object);
        assert!(!transfer.sender.is_sending());
    }
}

#[test]
fn a_window_that_fails_comes_back_as_literals() {
    let blob = blob();
    let object = object(&blob);
    let mut other = blob.clone();
    other[710_000] ^= 1;
    other[20_000] ^= 1;
    let mut transfer = Transfer::new(other);
    transfer
        .sender
        .start(describe(&blob, &object), object.clone())
        .unwrap();
    transfer.sender.close();
    transfer.run(1_000).unwrap();
    assert_eq!(transfer.object, object);
    // Offset 710,000 is in one window; 20,000 in two pieces.
    assert_eq!(transfer.sender.repaired(), 3);
    assert_eq!(transfer.receiver.repairs(), 3);
}

#[test]
fn no_digest_of_object_windows_or_blob_is_ever_carried_in_clear() {
    let blob = blob();
    let object = object(&blob);
    let mut other = blob.clone();
    other[710_000] ^= 1;
    let mut transfer = Transfer::new(other);
    let blueprint = describe(&blob, &object);
    let windows = digests(&object);
    let has = |bytes: &[u8], digest: &[u8; 32]| bytes.windows(32).any(|part| part == digest);
    // The blueprint does hold them: what is looked for is what would be seen.
    assert!(windows.iter().all(|digest| has(blueprint.bytes(), digest)));
    transfer.sender.start(blueprint, object.clone()).unwrap();
    transfer.sender.close();
    transfer.run(1_000).unwrap();
    assert_eq!(transfer.object, object);
    assert_eq!(transfer.receiver.repairs(), 1);
    let others = [&object, &blob].map(|bytes| [blake3::digest(bytes), sha256::digest(bytes)]);
    for digest in windows.iter().chain(others.as_flattened()) {
        assert!(!has(&transfer.carried, digest));
    }
    for clear in [&[1; 32][..], &object[..64]] {
        assert!(
            !transfer
                .carried
                .windows(clear.len())
                .any(|part| part == clear)
        );
    }
}

/// A blob of which nothing can be read.
struct Hole(u64);

impl Blob for Hole {
    fn size(&self) -> u64 {
        self.0
    }

    fn read(&self, _: u64, _: &mut [u8]) -> Result<(), Missing> {
        Err(Missing)
    }
}

#[test]
fn a_receiver_without_a_readable_blob_gets_every_window() {
    let blob = blob();
    let object = [&blob[..], &blob[..], &blob[..]].concat();
    let mut transfer = Transfer::new(Hole(blob.size()));
    transfer
        .sender
        .start(describe(&blob, &object), object.clone())
        .unwrap();
    transfer.sender.close();
    transfer.run(5_000).unwrap();
    assert_eq!(transfer.object, object);
    assert_eq!(transfer.receiver.repairs(), (object.len() / WINDOW) as u64);
}

/// An object that changes after it was described.
struct Changing(Vec<u8>, Cell<bool>);

impl Blob for Changing {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Missing> {
        self.0.read(offset, out)?;
        out[0] ^= u8::from(self.1.get());
        Ok(())
    }
}

#[test]
fn a_repair_that_does_not_match_its_digest_is_refused() {
    let blob = blob();
    let mut transfer = Transfer::new(Hole(blob.size()));
    let source = Changing(blob[..100_000].to_vec(), Cell::new(true));
    transfer
        .sender
        .start(describe(&blob, &blob[..100_000]), source)
        .unwrap();
    let fault = transfer.run(1_000).err().and_then(|e| e.class());
    assert_eq!(fault, Some(Class::Auth));
    assert!(transfer.object.is_empty());
    assert!(transfer.receiver.window().is_err());
}

#[test]
fn a_reference_outside_the_blob_is_refused() {
    let object = vec![0; 1_000];
    let mut builder = Builder::new(1 << 20);
    builder.reference(1 << 20, 1_000, Transform::None).unwrap();
    let blueprint = builder.finish(&digests(&object)).unwrap();
    let mut transfer = Transfer::new(blob());
    transfer.sender.start(blueprint, object).unwrap();
    let fault = transfer.run(1_000).err().and_then(|e| e.class());
    assert_eq!(fault, Some(Class::Length));
}

#[test]
fn a_cut_stream_is_no_end() {
    let mut transfer = Transfer::<Vec<u8>, _>::new(blob());
    transfer.run(1_000).unwrap();
    for fault in [
        transfer.sender.handle(T0, Input::End),
        transfer.receiver.handle(T0, Input::End),
        transfer.receiver.handle(T0, Input::Time),
    ] {
        assert_eq!(fault.err().and_then(|e| e.class()), Some(Class::Eof));
    }
}

#[test]
fn a_limit_too_small_for_a_window_is_misuse() {
    let config = |limit| Config {
        limit,
        ..Config::default()
    };
    let new = |limit| Sender::<Vec<u8>>::new(Role::Initiator, config(limit), psk(), rng(1), T0);
    assert!(new(SMALLEST_LIMIT).is_ok());
    assert!(matches!(
        new(SMALLEST_LIMIT - 1).err(),
        Some(Error::Misuse(_))
    ));
}

mod hostile;
