//! The seeds that every change of commonware must hold.

use stillwire_simulator::commonware::{Outcome, run};

#[test]
fn seeds_hold() {
    const SEEDS: u64 = 1_000;
    let mut all = Outcome::default();
    for seed in 0..SEEDS {
        let found = run(seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        all.delivered += found.delivered;
        all.faults += found.faults;
        all.established += found.established;
        all.clean += found.clean;
        all.failed += found.failed;
        all.replays += found.replays;
    }
    println!("{all:?}");
    // A line on which nothing gets through, or nothing goes wrong, would hold as well.
    assert!(all.delivered > SEEDS * 10_000, "{all:?}");
    assert!(all.faults > SEEDS / 4, "{all:?}");
    assert!(
        all.established > SEEDS / 3 && all.replays > SEEDS / 3,
        "{all:?}"
    );
    assert!(all.clean > SEEDS / 2 && all.failed > SEEDS / 2, "{all:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in (0..400).step_by(37) {
        assert_eq!(run(seed).unwrap(), run(seed).unwrap());
    }
    assert!((0..20).any(|seed| run(seed).unwrap() != run(seed + 1).unwrap()));
}
