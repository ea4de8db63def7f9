//! Sealing a 4 MiB chunk in core, beside the bare AEAD on the same bytes.

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Instant;
use stillwire_core::aznet::wire::chunk::{OVERHEAD, Opener, PREFIX, Sealer, TAG};
use stillwire_core::crypto::Secret;

/// The largest chunk that blob storage takes.
const CHUNK: usize = 4 * 1024 * 1024;
const KEY: [u8; 32] = [0x42; 32];

/// Apart by feature, or criterion would compare a run with one to a run with the other.
const OURS: &str = if cfg!(feature = "aws-lc") {
    "stillwire with aws-lc"
} else {
    "stillwire"
};

type Group<'a> = BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

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

        pub(super) fn seal(&self, nonce: [u8; 12], plain: &mut [u8]) -> [u8; 16] {
            let sealed = self
                .0
                .encrypt_inout_detached(&nonce.into(), &[], plain.into());
            sealed.expect("it fits").into()
        }

        pub(super) fn open(&self, nonce: [u8; 12], sealed: &mut [u8], tag: &[u8; 16]) {
            self.0
                .decrypt_inout_detached(&nonce.into(), &[], sealed.into(), tag.into())
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

        pub(super) fn seal(&self, nonce: [u8; 12], plain: &mut [u8]) -> [u8; 16] {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let sealed = self
                .0
                .seal_in_place_separate_tag(nonce, Aad::empty(), plain);
            let tag = sealed.expect("it fits");
            tag.as_ref().try_into().expect("a tag is 16 bytes")
        }

        pub(super) fn open(&self, nonce: [u8; 12], sealed: &mut [u8], tag: &[u8; 16]) {
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.0
                .open_in_place_separate_tag(nonce, Aad::empty(), tag, sealed)
                .expect("it was sealed so");
        }
    }
}

fn seal(group: &mut Group<'_>) {
    let mut chunk = vec![0x5a; CHUNK];
    let key = bare::Key::new(&KEY);
    let mut counter = 0;
    group.bench_function(bare::NAME, |bench| {
        bench.iter(|| {
            let end = CHUNK - TAG;
            let tag = key.seal(nonce(counter), &mut chunk[PREFIX..end]);
            chunk[end..].copy_from_slice(&tag);
            counter += 1;
            black_box(&chunk);
        });
    });
    let mut sealer = Sealer::new(Secret::from(KEY));
    group.bench_function(OURS, |bench| {
        bench.iter(|| {
            sealer.seal(&mut chunk).expect("it fits");
            black_box(&chunk);
        });
    });
}

fn open(group: &mut Group<'_>) {
    let mut sealed = vec![0x5a; CHUNK];
    Sealer::new(Secret::from(KEY))
        .seal(&mut sealed)
        .expect("it fits");
    let mut body = sealed[PREFIX..].to_vec();
    let key = bare::Key::new(&KEY);
    // Both copy the chunk afresh; an opener opens a chunk only once, so a new one is set up.
    group.bench_function(bare::NAME, |bench| {
        bench.iter(|| {
            body.copy_from_slice(&sealed[PREFIX..]);
            let (text, tag) = body.split_last_chunk_mut::<TAG>().expect("it has a tag");
            key.open(nonce(0), text, tag);
            black_box(&body);
        });
    });
    group.bench_function(OURS, |bench| {
        bench.iter(|| {
            body.copy_from_slice(&sealed[PREFIX..]);
            let opened = Opener::new(Secret::from(KEY)).open(&mut body);
            assert_eq!(opened, Ok(CHUNK - OVERHEAD));
            black_box(&body);
        });
    });
}

/// Seals in turn with the one and the other: whatever else the machine does hits both alike, so
/// this ratio is the figure to trust on a busy machine.
fn in_turn(_: &mut Criterion) {
    const PAIRS: u64 = 600;
    let mut chunk = vec![0x5a; CHUNK];
    let end = CHUNK - TAG;
    let key = bare::Key::new(&KEY);
    let mut sealer = Sealer::new(Secret::from(KEY));
    let mut times = [Vec::new(), Vec::new()];
    for pair in 0..PAIRS {
        // Every other pair in the other order.
        for turn in [pair % 2, (pair + 1) % 2] {
            let started = Instant::now();
            if turn == 0 {
                let tag = key.seal(nonce(pair), &mut chunk[PREFIX..end]);
                chunk[end..].copy_from_slice(&tag);
            } else {
                sealer.seal(&mut chunk).expect("it fits");
            }
            times[usize::from(turn == 1)].push(started.elapsed());
            black_box(&chunk);
        }
    }
    let [bare, ours] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    println!(
        "seal 4 MiB in turn: {} {bare:.1?}, {OURS} {ours:.1?}, ratio {:.3} (medians of {PAIRS})",
        bare::NAME,
        ours.as_secs_f64() / bare.as_secs_f64(),
    );
}

fn chunks(criterion: &mut Criterion) {
    type Bench = fn(&mut Group<'_>);
    for (name, bench) in [("seal 4 MiB", seal as Bench), ("open 4 MiB", open as Bench)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes((CHUNK - OVERHEAD) as u64));
        bench(&mut group);
        group.finish();
    }
}

criterion_group!(benches, chunks, in_turn);
criterion_main!(benches);
