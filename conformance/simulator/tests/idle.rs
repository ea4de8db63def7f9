//! What machines with nothing to say weigh.

use stillwire_core::aznet::Policy;
use stillwire_simulator::idle;

#[test]
fn an_idle_machine_stays_under_four_kibibytes_and_alive() {
    let run = idle::run(4_000, Policy::Balanced, 600);
    assert_eq!(run.dead, 0);
    // Ten minutes: its own pings alone are twenty.
    assert!(run.polls > 20 * 4_000, "{} polls", run.polls);
    match run.bytes_each() {
        Some(each) => assert!(each < 4_096, "{each} bytes"),
        None => println!("skipped: this system does not tell what is resident"),
    }
}
