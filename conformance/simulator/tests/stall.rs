//! Nothing waits for messages to come back into sight when nothing was lost.

use stillwire_simulator::{ECHO_VISIBILITY, run_queue_echo};

#[test]
fn an_echo_over_queues_that_reorder_never_waits_out_a_visibility_time() {
    for leaving in [false, true] {
        for seed in 0..8 {
            let run = run_queue_echo(leaving, seed, false);
            let name = format!("seed {seed}, leaving: {leaving}");
            let broken = run.violation.map(|violation| violation.invariant);
            assert_eq!(broken, None, "{name}");
            assert_eq!(run.delivered, 2_000_000, "{name}");
            assert_eq!((run.clean, run.failed), (2, 0), "{name}");
            // From the beginning of the world to the removal of the session.
            assert!(
                run.seconds < ECHO_VISIBILITY.as_secs() / 4,
                "{name}: {} s",
                run.seconds
            );
        }
    }
}
