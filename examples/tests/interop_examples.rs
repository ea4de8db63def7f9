//! The same over the emulator's three services, where `STILLWIRE_AZURITE_BLOB` and its kind name them.

mod support;

use support::all;

fn over(driver: &str, variable: &str) {
    let Ok(endpoint) = std::env::var(variable) else {
        eprintln!("skipped: {variable} is not set");
        return;
    };
    // Names of tables are letters and digits; nobody else has these.
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    all(&format!("{driver}+{endpoint}"), |number| {
        let unique = format!("{number}x{nanos}");
        vec![format!("hs{unique}"), format!("tk{unique}")]
    });
}

#[test]
fn every_example_runs_over_blobs() {
    over("azblob", "STILLWIRE_AZURITE_BLOB");
}

#[test]
fn every_example_runs_over_queues() {
    over("azqueue", "STILLWIRE_AZURITE_QUEUE");
}

#[test]
fn every_example_runs_over_tables() {
    over("aztable", "STILLWIRE_AZURITE_TABLE");
}
