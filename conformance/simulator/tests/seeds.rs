//! The seeds that every change must hold.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use stillwire_simulator::{run, run_crowd};

const SEEDS: u64 = 2_000;

#[test]
fn two_thousand_seeds_hold() {
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let found = Mutex::new(Vec::new());
    let (clean, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    let run = run(seed, false);
                    clean.fetch_add(run.clean as u64, Ordering::Relaxed);
                    failed.fetch_add(run.failed as u64, Ordering::Relaxed);
                    if let Some(violation) = run.violation {
                        let mut found = found.lock().expect("no panic while held");
                        found.push(format!("seed {seed}: {violation}"));
                    }
                }
            });
        }
    });
    let elapsed = started.elapsed().as_secs_f64();
    println!("{:.0} seeds/s", SEEDS as f64 / elapsed);
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
    assert!(clean > SEEDS, "only {clean} ends closed cleanly");
    assert!(failed > SEEDS / 20, "only {failed} ends met an error");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in (0..SEEDS).step_by(97) {
        let (first, second) = (run(seed, false), run(seed, false));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.events, second.events, "seed {seed}");
    }
    assert_ne!(run(1, false).hash, run(2, false).hash);
}

#[test]
fn fifty_dialers_share_little_room_and_all_that_live_are_served() {
    for seed in 0..20 {
        let run = run_crowd(seed, false);
        if let Some(violation) = run.violation {
            panic!("crowd {seed}: {violation}");
        }
        // Forty live, at both ends; what the others left ends without them.
        assert!(run.clean >= 80, "crowd {seed}: {} ends clean", run.clean);
        assert!(run.failed > 0, "crowd {seed}: the dead went unnoticed");
    }
}
