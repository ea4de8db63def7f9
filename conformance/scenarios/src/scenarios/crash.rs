//! A peer that goes away without a word: a process of its own.

use crate::bytes::{assert_same, pattern, read_exact};
use crate::{Ground, Place, adapters, config};
use std::process::{Command, Stdio};
use std::time::Duration;
use stillwire_futures::{Config, Error, Ticket, Timer, source_of};

const LENGTH: usize = 300_000;
const CODE: i32 = 9;

/// The test that is the child of [`peer_crash`]; it is ignored, and runs in a process of its own.
const CHILD: &str = "child_of_peer_crash";
const ADAPTER: &str = "STILLWIRE_SCENARIO_ADAPTER";
const TICKET: &str = "STILLWIRE_TICKET";

/// What came is delivered; the end is a typed time-out and never an end of stream.
pub fn peer_crash(ground: &Ground, place: &Place) {
    if !ground.store.shared {
        ground.skip("peer_crash", "no other process can reach it");
        return;
    }
    let impatient = Config {
        // Longer than a busy machine takes to move those bytes.
        idle_timeout: Duration::from_secs(8),
        ping_interval: Duration::from_secs(1),
        ..config()
    };
    let mut listener = ground.listen(place, impatient);
    let program = std::env::current_exe().expect("this test");
    let mut child = Command::new(program)
        .args(["--exact", CHILD, "--ignored"])
        .env(ADAPTER, ground.adapter.name())
        .env(TICKET, listener.ticket().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the child");
    let mut accepted = listener.accept().expect("accepting");
    let got = read_exact(accepted.read.as_mut(), LENGTH);
    assert_same(&got, &pattern(9, LENGTH));
    let ended = child.wait().expect("the child's end");
    assert_eq!(ended.code(), Some(CODE), "{ended}");
    for _ in 0..2 {
        let error = accepted.read.read(&mut [0; 8]);
        let error = error.expect_err("never an end of stream");
        assert!(
            matches!(source_of(&error), Some(Error::Timeout(Timer::Idle))),
            "{error}"
        );
    }
    drop(accepted);
    listener.stop().expect("stopping");
}

/// Connects, writes, and is gone.
pub fn child() {
    let name = std::env::var(ADAPTER).expect("peer_crash starts this");
    let ticket = std::env::var(TICKET).expect("peer_crash starts this");
    let ticket: Ticket = ticket.parse().expect("a ticket");
    let adapter = adapters::ALL.iter().find(|one| one.name() == name);
    let adapter = adapter.expect("an adapter");
    let mut dialed = adapter.dial(&ticket, config()).expect("dialing");
    dialed.say(&pattern(9, LENGTH));
    std::process::exit(CODE);
}
