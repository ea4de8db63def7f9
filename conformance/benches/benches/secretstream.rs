//! Sealing and opening 64 KiB messages of OpenZiti's streams. libsodium's own speed is printed by
//! `cargo xtask bench ziti`, beside this.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use stillwire_core::crypto::Secret;
use stillwire_core::ziti::secretstream::{OVERHEAD, tag};
use stillwire_core::ziti::{Dialect, Pull, Push};

const MESSAGE: usize = 64 << 10;
const HEADER: [u8; 24] = [7; 24];

/// Apart by feature, or criterion would compare a run with one to a run with the other.
const OURS: &str = if cfg!(feature = "aws-lc") {
    "stillwire with aws-lc"
} else {
    "stillwire"
};

fn key() -> Secret {
    Secret::from([0x42; 32])
}

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("secretstream 64 KiB");
    group.throughput(Throughput::Bytes(MESSAGE as u64));
    group.bench_function(format!("push, {OURS}"), |bencher| {
        let mut push = Push::new(&key(), &HEADER);
        let mut message = vec![0x55; MESSAGE + OVERHEAD];
        bencher.iter(|| push.seal(tag::MESSAGE, &[], &mut message));
    });
    group.bench_function(format!("pull, {OURS}"), |bencher| {
        bencher.iter_custom(|times| {
            let mut push = Push::new(&key(), &HEADER);
            let mut pull = Pull::new(&key(), &HEADER, Dialect::Sodium);
            let mut message = vec![0x55; MESSAGE + OVERHEAD];
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                push.seal(tag::MESSAGE, &[], &mut message)
                    .expect("it has room");
                let start = Instant::now();
                let opened = pull.open(&[], &mut message);
                spent += start.elapsed();
                assert_eq!(opened, Ok(tag::MESSAGE));
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, messages);
criterion_main!(benches);
