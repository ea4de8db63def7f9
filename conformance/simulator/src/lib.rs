//! Two machines, a simulated store, virtual time and a seed.
//!
//! The real aznet machines speak through the real blob driver with a simulated blob service. A
//! seed decides sizes, limits, what the applications do, what goes wrong and when; the same seed
//! is the same run, event by event. After every step the invariants of the protocol are checked.
//!
//! ```
//! let run = stillwire_simulator::run(1, false);
//! assert_eq!(run.violation, None);
//! assert_eq!(run.hash, stillwire_simulator::run(1, false).hash);
//! ```

mod actor;
mod app;
pub mod asoc;
mod attack;
mod audit;
mod bounds;
pub mod commonware;
mod events;
mod faults;
mod local;
mod network;
pub mod packetfs;
mod rng;
mod scenario;
mod service;
mod streams;
mod watch;
mod world;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant, in words.
    pub invariant: &'static str,
    /// What was seen instead.
    pub detail: String,
}

impl Violation {
    pub(crate) fn new(invariant: &'static str, detail: impl Into<String>) -> Self {
        Self {
            invariant,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.invariant, self.detail)
    }
}

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// Changes with any event of the run.
    pub hash: u64,
    /// Events dispatched.
    pub events: u64,
    /// Virtual time that passed, in seconds.
    pub seconds: u64,
    /// Application bytes delivered, all streams together.
    pub delivered: u64,
    /// Connections that ended without an error, each end counted.
    pub clean: usize,
    /// Connections that ended with one.
    pub failed: usize,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
}

/// Runs one seed; with `trace`, every event is printed.
pub fn run(seed: u64, trace: bool) -> Run {
    run_in(world::World::new(seed, trace, scenario::Scenario::of))
}

/// Runs one seed of another kind: fifty dialers at once at a listener with little room, a fifth of
/// them dead before they have shown that they hold the key.
pub fn run_crowd(seed: u64, trace: bool) -> Run {
    run_in(world::World::new(seed, trace, scenario::Scenario::of_crowd))
}

fn run_in(mut world: world::World) -> Run {
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match outcome {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Some(Violation::new("nothing panics", text.unwrap_or("?")))
        }
    };
    let (clean, failed) = world.endings();
    Run {
        hash: world.audit.hash(),
        events: world.audit.events,
        seconds: world.now / 1_000_000,
        delivered: world.streams.values().flatten().map(|s| s.read).sum(),
        clean,
        failed,
        violation,
    }
}
