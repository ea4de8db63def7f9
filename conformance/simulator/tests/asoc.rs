//! The clusters that every change must hold.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use stillwire_simulator::asoc::{Run, Weakness, run};

const SEEDS: u64 = 120;

fn all() -> Vec<(u64, Run)> {
    let next = AtomicU64::new(0);
    let runs = Mutex::new(Vec::new());
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
                    runs.lock().expect("no panic while held").push((seed, run));
                }
            });
        }
    });
    runs.into_inner().expect("no panic while held")
}

#[test]
fn the_attacker_finds_the_documented_weaknesses_and_nothing_in_the_hardened_profile() {
    let runs = all();
    let mut failed: Vec<String> = runs
        .iter()
        .filter_map(|(seed, run)| Some(format!("seed {seed}: {}", run.violation.as_ref()?)))
        .collect();
    failed.sort();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let of = |hardened: bool| runs.iter().filter(move |(_, run)| run.hardened == hardened);
    let found: BTreeSet<Weakness> = of(false)
        .flat_map(|(_, run)| run.weaknesses.clone())
        .collect();
    let documented = [
        Weakness::ReplayedHello,
        Weakness::ReplayedAccept,
        Weakness::AlteredData,
    ];
    assert_eq!(found, BTreeSet::from(documented));
    assert!(of(true).all(|(_, run)| run.weaknesses.is_empty()));
    // A cluster in which nothing happens would hold as well.
    for hardened in [false, true] {
        let sum = |count: fn(&Run) -> u64| of(hardened).map(|(_, run)| count(run)).sum::<u64>();
        assert!(sum(|run| run.attacks) > SEEDS, "hardened {hardened}");
        assert!(sum(|run| run.streams) > SEEDS, "hardened {hardened}");
        assert!(sum(|run| run.handshakes) > SEEDS, "hardened {hardened}");
    }
    let sizes: BTreeSet<usize> = runs.iter().map(|(_, run)| run.nodes).collect();
    assert_eq!(sizes.first(), Some(&2));
    assert_eq!(sizes.last(), Some(&50));
}

#[test]
fn the_same_seed_is_the_same_cluster() {
    for seed in [0, 7, 19] {
        let (first, second) = (run(seed, false), run(seed, false));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.events, second.events, "seed {seed}");
    }
    assert_ne!(run(1, false).hash, run(2, false).hash);
}
