//! Clusters of ASoc nodes: real nodes and connections, a network that loses, repeats, delays and
//! cuts, clocks that are wrong, restarts, and an attacker who records, replays and alters.
//!
//! In the hardened profile the attacker must find nothing. In the default one it may find the
//! weaknesses that the book names, and no others: each run says which it has met.

mod apps;
mod attacker;
mod checks;
mod cluster;
mod keys;
mod record;
mod scene;
mod tcp;

use crate::Violation;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the attacker can do to the default profile, after the book's table of attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weakness {
    /// A recorded HELLO was taken by a node that had not seen it, or had forgotten it.
    ReplayedHello,
    /// A recorded ACCEPT was taken from somebody who is no server.
    ReplayedAccept,
    /// Bytes that nobody has sent, or in another order, were delivered.
    AlteredData,
}

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// Changes with any event of the run.
    pub hash: u64,
    /// Events dispatched.
    pub events: u64,
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Whether the profile was the hardened one.
    pub hardened: bool,
    /// Streams that arrived whole, all connections together.
    pub streams: u64,
    /// Handshakes that were completed, each end counted.
    pub handshakes: u64,
    /// What the attacker tried.
    pub attacks: u64,
    /// What it achieved.
    pub weaknesses: BTreeSet<Weakness>,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
}

/// Runs one seed; with `trace`, every event is printed.
pub fn run(seed: u64, trace: bool) -> Run {
    let mut cluster = cluster::Cluster::new(seed, trace);
    let outcome = catch_unwind(AssertUnwindSafe(|| cluster.run()));
    let violation = match outcome {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Some(Violation::new("nothing panics", text.unwrap_or("?")))
        }
    };
    cluster.finish(violation)
}
