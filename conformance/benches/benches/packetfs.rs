//! PacketFS: records of 64 KiB beside the bare AEAD on the same bytes, in turn; and how fast and how
//! well the encoder describes 100 MB by pieces of a blob, measured once.

mod measure;

use measure::{Once, in_turn, megabytes};
use std::hint::black_box;
use std::time::{Duration, Instant};
use stillwire_core::crypto::{Rng, Secret};
use stillwire_core::packetfs::encoder::{Encoded, Encoder, Index};
use stillwire_core::packetfs::handshake::Key;
use stillwire_core::packetfs::object::{Receiver, Role, Sender};
use stillwire_core::packetfs::record::sealed_length;
use stillwire_core::packetfs::wire::header::{HEADER, LIMIT};
use stillwire_core::packetfs::wire::{Algorithm, ChannelId, TAG};
use stillwire_core::packetfs::{Config, Opener, Psk, Sealer, Transform};
use stillwire_core::{Input, Machine, Output};

const RECORD: usize = 64 << 10;
const OBJECT: usize = 100_000_000;
const BLOB: usize = 256 << 20;

#[cfg(not(feature = "aws-lc"))]
mod bare {
    use aes_gcm::Aes256Gcm;
    use aes_gcm::aead::{AeadInOut, KeyInit};

    pub(super) const NAME: &str = "bare aes-gcm";

    pub(super) struct Key(Aes256Gcm);

    impl Key {
        pub(super) fn new(key: &[u8; 32]) -> Self {
            Self(Aes256Gcm::new(key.into()))
        }

        pub(super) fn seal(&self, nonce: [u8; 12], head: &[u8], plain: &mut [u8]) -> [u8; 16] {
            let sealed = self
                .0
                .encrypt_inout_detached(&nonce.into(), head, plain.into());
            sealed.expect("it fits").into()
        }

        pub(super) fn open(&self, nonce: [u8; 12], head: &[u8], sealed: &mut [u8], tag: &[u8; 16]) {
            self.0
                .decrypt_inout_detached(&nonce.into(), head, sealed.into(), tag.into())
                .expect("it was sealed so");
        }
    }
}

#[cfg(feature = "aws-lc")]
mod bare {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    pub(super) const NAME: &str = "bare aws-lc-rs";

    pub(super) struct Key(LessSafeKey);

    impl Key {
        pub(super) fn new(key: &[u8; 32]) -> Self {
            let key = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are a key");
            Self(LessSafeKey::new(key))
        }

        pub(super) fn seal(&self, nonce: [u8; 12], head: &[u8], plain: &mut [u8]) -> [u8; 16] {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let sealed = self
                .0
                .seal_in_place_separate_tag(nonce, Aad::from(head), plain);
            let tag = sealed.expect("it fits");
            tag.as_ref().try_into().expect("a tag is 16 bytes")
        }

        pub(super) fn open(&self, nonce: [u8; 12], head: &[u8], sealed: &mut [u8], tag: &[u8; 16]) {
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.0
                .open_in_place_separate_tag(nonce, Aad::from(head), tag, sealed)
                .expect("it was sealed so");
        }
    }
}

fn key() -> Key {
    Key {
        key: Secret::from([0x42; 32]),
        nonce: [7; 24].into(),
    }
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

/// The header of a record, which is the additional data, what is sealed, and the tag.
///
/// The length of the header comes at run time, as it does to anybody who seals more than one kind of
/// message: for one length that is known when it compiles, the compiler makes a GHASH of its own.
fn parts(record: &mut [u8]) -> (&[u8], &mut [u8], &mut [u8; TAG]) {
    let (head, body) = record.split_at_mut(HEADER);
    let (text, tag) = body.split_last_chunk_mut().expect("a tag");
    (black_box(head), text, tag)
}

fn records() {
    let bare = bare::Key::new(&[0x42; 32]);
    let fresh = || vec![0x5a; sealed_length(RECORD)];
    let (mut ours, mut theirs) = (fresh(), fresh());
    let mut sealer = Sealer::new(Algorithm::Aes256Gcm, &key(), ChannelId::Payload, 0);
    let mut counter = 0;
    let key_of_theirs = &bare;
    let sealing: [Once<'_>; 2] = [
        Box::new(move || {
            let start = Instant::now();
            let (head, text, tag) = parts(&mut theirs);
            *tag = key_of_theirs.seal(nonce(counter), head, text);
            counter += 1;
            black_box(&theirs);
            start.elapsed()
        }),
        Box::new(move || {
            let start = Instant::now();
            sealer.seal(&mut ours, LIMIT).expect("it fits");
            black_box(&ours);
            start.elapsed()
        }),
    ];
    compare("seal", in_turn(sealing));
    let mut theirs = fresh();
    let (head, text, tag) = parts(&mut theirs);
    *tag = bare.seal(nonce(0), head, text);
    let mut ours = fresh();
    let mut sealer = Sealer::new(Algorithm::Aes256Gcm, &key(), ChannelId::Payload, 0);
    sealer.seal(&mut ours, LIMIT).expect("it fits");
    let opener = Opener::new(Algorithm::Aes256Gcm, &key(), ChannelId::Payload, 0);
    let (mut first, mut second) = (fresh(), fresh());
    let opening: [Once<'_>; 2] = [
        Box::new(move || {
            first.copy_from_slice(&theirs);
            let start = Instant::now();
            let (head, text, tag) = parts(&mut first);
            bare.open(nonce(0), head, text, tag);
            black_box(&first);
            start.elapsed()
        }),
        Box::new(move || {
            second.copy_from_slice(&ours);
            let start = Instant::now();
            let (header, body) = second.split_first_chunk_mut::<HEADER>().expect("a header");
            let opened = opener.open(header, body);
            black_box(&second);
            let spent = start.elapsed();
            assert_eq!(opened, Ok(RECORD));
            spent
        }),
    ];
    compare("open", in_turn(opening));
}

fn compare(what: &str, [bare, ours]: [f64; 2]) {
    println!(
        "packetfs record of 64 KiB, {what}: {} {:.0} MB/s, stillwire {:.0} MB/s: {:.3} of it",
        bare::NAME,
        megabytes(bare, RECORD),
        megabytes(ours, RECORD),
        ours / bare,
    );
}

fn draw(rng: &mut Rng, below: usize) -> usize {
    u32::from_be_bytes(rng.array()) as usize % below
}

/// Pieces of 4 to 64 KiB at any offset of the blob, a tenth of them XORed or added, and so many of
/// a hundred foreign. Gives how many bytes are foreign, too.
fn object(blob: &[u8], foreign: usize) -> (Vec<u8>, usize) {
    let mut rng = Rng::from_seed([foreign as u8; 32]);
    let (mut object, mut strange) = (Vec::with_capacity(OBJECT + RECORD), 0);
    while object.len() < OBJECT {
        let length = 4_096 + draw(&mut rng, 60 * 1_024 + 1);
        let start = object.len();
        if draw(&mut rng, 100) < foreign {
            object.resize(start + length, 0);
            rng.fill(&mut object[start..]);
            strange += length;
        } else {
            let offset = draw(&mut rng, blob.len() - length);
            object.extend_from_slice(&blob[offset..offset + length]);
            let value = 1 + draw(&mut rng, 255) as u8;
            match draw(&mut rng, 20) {
                0 => Transform::Xor(value).apply(&mut object[start..]),
                1 => Transform::Add(value).apply(&mut object[start..]),
                _ => {}
            }
        }
    }
    (object, strange)
}

fn speed(bytes: usize, spent: Duration) -> f64 {
    bytes as f64 / 1e6 / spent.as_secs_f64()
}

/// Sends the object through two machines; gives the bytes that both put on the wire.
fn transfer(blob: &Vec<u8>, object: &[u8], encoded: Encoded) -> usize {
    let psk = || Psk::new(vec![1; 32]).expect("32 bytes are a key");
    let (config, now) = (Config::default(), stillwire_core::Instant::ZERO);
    let rng = |byte| Rng::from_seed([byte; 32]);
    let sender = Sender::new(Role::Initiator, config.clone(), psk(), rng(1), now);
    let mut sender = sender.expect("the limit is large enough");
    let receiver = Receiver::new(Role::Responder, config, psk(), rng(2), blob, now);
    let mut receiver = receiver.expect("the limit is large enough");
    let (mut wire, mut at) = (0, 0);
    let mut source = Some((encoded.blueprint, object.to_vec()));
    while !(sender.is_finished() && receiver.is_finished()) {
        if let Some((blueprint, object)) = source.take() {
            sender
                .start(blueprint, object)
                .expect("nothing is under way");
            sender.close();
        }
        while let Output::Transmit(_) | Output::Event(_) = poll(&mut sender, |bytes| {
            wire += bytes.len();
            receiver
                .handle(now, Input::Bytes(bytes))
                .expect("it is sound");
        }) {}
        while let Some(window) = receiver.window().expect("it is sound") {
            let end = at + window.bytes.len();
            assert_eq!(object[at..end], window.bytes);
            at = end;
        }
        while let Output::Transmit(_) | Output::Event(_) = poll(&mut receiver, |bytes| {
            wire += bytes.len();
            sender
                .handle(now, Input::Bytes(bytes))
                .expect("it is sound");
        }) {}
    }
    assert_eq!(at, object.len());
    wire
}

fn poll<M: Machine>(machine: &mut M, mut carry: impl FnMut(&[u8])) -> Output<M::Event> {
    let output = machine.poll(stillwire_core::Instant::ZERO);
    if let Output::Transmit(bytes) = &output {
        carry(bytes);
    }
    output
}

fn objects() {
    let mut blob = vec![0; BLOB];
    Rng::from_seed([1; 32]).fill(&mut blob);
    let start = Instant::now();
    let index = Index::build(&blob, Index::memory_for(BLOB as u64)).expect("it can be read");
    let (spent, memory) = (start.elapsed(), index.memory());
    println!(
        "packetfs index: blob of {BLOB} bytes at {:.0} MB/s, {:.1} % of it in memory",
        speed(BLOB, spent),
        memory as f64 / BLOB as f64 * 100.0,
    );
    for foreign in [0, 20] {
        let (object, strange) = object(&blob, foreign);
        let size = object.len();
        let start = Instant::now();
        let mut encoder = Encoder::new(&index, &blob, 64 << 20);
        for segment in object.chunks(8 << 20) {
            encoder.push(segment).expect("it fits");
        }
        let encoded = encoder.finish().expect("it fits");
        let spent = start.elapsed();
        let referenced = encoded.referenced as f64 / size as f64 * 100.0;
        let wire = transfer(&blob, &object, encoded);
        if strange == 0 {
            assert!(wire * 100 <= size, "more than 1 % of it: {wire} bytes");
        }
        println!(
            "packetfs object: {size} bytes, {:.1} % foreign: encoded at {:.0} MB/s, {referenced:.2} % \
             by reference, {wire} bytes on the wire ({:.3} %; {:.3} % besides what is foreign)",
            strange as f64 / size as f64 * 100.0,
            speed(size, spent),
            wire as f64 / size as f64 * 100.0,
            (wire - strange) as f64 / size as f64 * 100.0,
        );
    }
}

fn main() {
    records();
    objects();
}
