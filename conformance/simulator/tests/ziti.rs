//! The seeds that every change of OpenZiti's protocol must hold.

use stillwire_simulator::ziti::{Outcome, run};

#[test]
fn seeds_hold() {
    const SEEDS: u64 = 800;
    let mut all = Outcome::default();
    for seed in 0..SEEDS {
        let found = run(seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        all.delivered += found.delivered;
        all.sealed += found.sealed;
        all.attacks += found.attacks;
        all.backwards += found.backwards;
        all.swapped += found.swapped;
        all.clean += found.clean;
        all.failed += found.failed;
    }
    println!("{all:?}");
    // A line on which nothing gets through, or nothing goes wrong, would hold as well.
    assert!(all.delivered > SEEDS * 2_000, "{all:?}");
    assert!(all.sealed > SEEDS * 5, "{all:?}");
    assert!(all.attacks > SEEDS / 4, "{all:?}");
    // Each direction has its share.
    assert!(all.backwards > SEEDS / 8, "{all:?}");
    assert!(all.attacks - all.backwards > SEEDS / 8, "{all:?}");
    assert!(all.swapped > SEEDS / 20, "{all:?}");
    assert!(all.clean > SEEDS / 2 && all.failed > SEEDS / 2, "{all:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in (0..400).step_by(37) {
        assert_eq!(run(seed).unwrap(), run(seed).unwrap());
    }
    assert!((0..20).any(|seed| run(seed).unwrap() != run(seed + 1).unwrap()));
}
