//! Handshakes and records of commonware-stream, both ends on one thread and without a socket. The
//! crate's own figures on the same work: `commonware-peer bench v0`, from
//! `conformance/peers/commonware`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;
use stillwire_core::UnixTime;
use stillwire_core::commonware::handshake::{Dialer, IDENTITY, Keys, Listener, Terms};
use stillwire_core::commonware::record::{Opener, Sealer};
use stillwire_core::commonware::wire::split_frame;
use stillwire_core::commonware::{Ed25519, Profile, Window};
use stillwire_core::crypto::{Rng, Secret};

const NOW: UnixTime = UnixTime::from_secs(1_780_000_000);
const PROFILES: [Profile; 2] = [Profile::V0, Profile::V1];

/// Apart by feature, or criterion would compare a run with one to a run with the other.
const OURS: &str = if cfg!(feature = "aws-lc") {
    "stillwire with aws-lc"
} else {
    "stillwire"
};

fn terms(profile: Profile, seed: u8) -> Terms {
    Terms {
        profile,
        namespace: Arc::from(&b"bench"[..]),
        identity: Arc::new(Ed25519::new(&Secret::from([seed; 32]))),
        window: Window::default(),
        refuse_self: false,
    }
}

/// One handshake, both ends; gives the keys of each.
fn handshake(dialer: &Terms, listener: &Terms, rng: &mut Rng) -> [Keys; 2] {
    let prefix = dialer.profile.prefix();
    let frame = |bytes: &[u8], size: usize| {
        let split = split_frame(prefix, bytes, &(size..=size)).expect("it has this size");
        let (body, rest) = split.expect("it is whole");
        (body.to_vec(), rest.to_vec())
    };
    let public = listener.identity.public();
    let (dial, out) =
        Dialer::start(dialer, &public, Secret::from(rng.array()), NOW).expect("a real key");
    let Listener::Identity(wait) = Listener::start(listener) else {
        unreachable!("these profiles begin with the identity");
    };
    let (identity, rest) = frame(&out, IDENTITY);
    let wait = wait.take(&identity).expect("a real key");
    let size = *wait.sizes().end();
    let claim = wait.open(&frame(&rest, size).0, NOW).expect("in time");
    let verified = claim.verify().expect("it was signed");
    let answered = verified.answer(Secret::from(rng.array()), NOW);
    let (out, ack) = answered.expect("a real key");
    let size = *dial.sizes().end();
    let finished = dial.finish(&frame(&out, size).0, NOW);
    let (out, ours) = finished.expect("an honest answer");
    let size = *ack.sizes().end();
    let theirs = ack.finish(&frame(&out, size).0).expect("an honest ack");
    [ours, theirs]
}

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commonware handshake, both ends");
    for profile in PROFILES {
        let (dialer, listener) = (terms(profile, 1), terms(profile, 2));
        let mut rng = Rng::from_seed([5; 32]);
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{profile}, {OURS}"), |bencher| {
            bencher.iter(|| handshake(&dialer, &listener, &mut rng));
        });
    }
    group.finish();
}

fn records(criterion: &mut Criterion) {
    for size in [64 << 10, 1 << 20] {
        let name = format!("commonware record of {} KiB, sealed and opened", size >> 10);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(size as u64));
        for profile in PROFILES {
            let mut rng = Rng::from_seed([5; 32]);
            let keys = handshake(&terms(profile, 1), &terms(profile, 2), &mut rng);
            let [ours, theirs] = keys;
            let mut sealer = Sealer::new(profile, ours.d2l, size);
            let mut opener = Opener::new(profile, theirs.d2l, size);
            let message = vec![7; size];
            let mut wire = Vec::new();
            group.bench_function(format!("{profile}, {OURS}"), |bencher| {
                bencher.iter(|| {
                    wire.clear();
                    sealer.seal(&message, &mut wire).expect("it fits");
                    let opened = opener.open(&mut &wire[..]).expect("it was sealed so");
                    opened.expect("it is whole").len()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, handshakes, records);
criterion_main!(benches);
