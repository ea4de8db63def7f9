//! The seeds that every change must hold.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use stillwire_simulator::{Carrier, run_crowd, run_over};

/// Runs the first seeds over a carrier, on all processors.
fn hold(carrier: Carrier, seeds: u64) {
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let found = Mutex::new(Vec::new());
    let [clean, failed, set_back] = [(); 3].map(|()| AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let run = run_over(carrier, seed, false);
                    clean.fetch_add(run.clean as u64, Ordering::Relaxed);
                    failed.fetch_add(run.failed as u64, Ordering::Relaxed);
                    set_back.fetch_add(run.set_back as u64, Ordering::Relaxed);
                    if let Some(violation) = run.violation {
                        let mut found = found.lock().expect("no panic while held");
                        found.push(format!("seed {seed} over {}: {violation}", carrier.name()));
                    }
                }
            });
        }
    });
    let elapsed = started.elapsed().as_secs_f64();
    println!("{}: {:.0} seeds/s", carrier.name(), seeds as f64 / elapsed);
    let mut found = found.into_inner().expect("no panic while held");
    found.sort();
    assert!(
        found.is_empty(),
        "{} seeds fail:\n{}",
        found.len(),
        found.join("\n")
    );
    // A simulation in which nothing gets through, or nothing goes wrong, would hold as well.
    let (clean, failed) = (clean.into_inner(), failed.into_inner());
    assert!(clean > seeds, "only {clean} ends closed cleanly");
    assert!(failed > seeds / 20, "only {failed} ends met an error");
    let set_back = set_back.into_inner();
    assert!(
        set_back > seeds / 4,
        "only {set_back} calendars were set back"
    );
}

#[test]
fn two_thousand_seeds_hold_over_blobs() {
    hold(Carrier::Blob, 2_000);
}

#[test]
fn four_hundred_seeds_hold_over_queues() {
    hold(Carrier::Queue, 400);
}

#[test]
fn four_hundred_seeds_hold_over_tables() {
    hold(Carrier::Table, 400);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for (carrier, step) in [
        (Carrier::Blob, 97),
        (Carrier::Queue, 331),
        (Carrier::Table, 331),
    ] {
        for seed in (0..2_000).step_by(step) {
            let [first, second] = [(); 2].map(|()| run_over(carrier, seed, false));
            let name = carrier.name();
            assert_eq!(first.hash, second.hash, "seed {seed} over {name}");
            assert_eq!(first.events, second.events, "seed {seed} over {name}");
        }
        let hash = |seed| run_over(carrier, seed, false).hash;
        assert_ne!(hash(1), hash(2));
    }
}

#[test]
fn fifty_dialers_share_little_room_and_all_that_live_are_served() {
    for (carrier, seeds) in [
        (Carrier::Blob, 20),
        (Carrier::Queue, 6),
        (Carrier::Table, 6),
    ] {
        for seed in 0..seeds {
            let run = run_crowd(carrier, seed, false);
            let name = format!("crowd {seed} over {}", carrier.name());
            if let Some(violation) = run.violation {
                panic!("{name}: {violation}");
            }
            // Forty live, at both ends; what the others left ends without them.
            assert!(run.clean >= 80, "{name}: {} ends clean", run.clean);
            assert!(run.failed > 0, "{name}: the dead went unnoticed");
        }
    }
}
