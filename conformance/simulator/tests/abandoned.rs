//! Sessions whose dialers never show that they hold the key do not stay.

use stillwire_simulator::{Carrier, run_abandoned};

/// The default idle time.
const IDLE: u64 = 300;

#[test]
fn a_session_that_is_never_confirmed_is_removed_while_the_listener_goes_on() {
    for carrier in Carrier::ALL {
        for seed in 0..10 {
            let name = format!("seed {seed} over {}", carrier.name());
            let run = run_abandoned(carrier, seed, false);
            assert_eq!(run.violation, None, "{name}");
            assert!(!run.confirmed, "{name}: half open to the end");
            let gone = run.gone.unwrap_or_else(|| panic!("{name}: it stays"));
            // The connection ends after the idle time, and its places after as long again.
            let kept = gone - run.made;
            assert!(
                (2 * IDLE..=2 * IDLE + 5).contains(&kept),
                "{name}: {kept} s"
            );
            assert!(gone + 1_000 < run.stopped, "{name}: long before the stop");
            assert_eq!(run.tokens, 0, "{name}");
        }
    }
}
