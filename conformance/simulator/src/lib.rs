//! Two machines, a simulated store, virtual time and a seed.
//!
//! The real aznet machines speak through the real blob, queue and table drivers with a simulated
//! service. A seed decides sizes, limits, what the applications do, what goes wrong and when; the same seed
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
mod carriers;
pub mod commonware;
mod events;
mod faults;
pub mod idle;
mod local;
mod network;
pub mod packetfs;
mod rng;
mod scenario;
mod service;
mod store;
mod streams;
mod watch;
mod world;
pub mod ziti;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

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
    /// How often a host's calendar was set back under way.
    pub set_back: usize,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
}

/// What carries the streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// The blob service, and now and then the memory store instead.
    #[default]
    Blob,
    /// The queue service: at least once, in about the order of the puts.
    Queue,
    /// The table service: rows, pages, transactions.
    Table,
}

impl Carrier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Blob, Self::Queue, Self::Table];

    /// As in a store's address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blob => "azblob",
            Self::Queue => "azqueue",
            Self::Table => "aztable",
        }
    }
}

/// Runs one seed over blobs; with `trace`, every event is printed.
pub fn run(seed: u64, trace: bool) -> Run {
    run_over(Carrier::Blob, seed, trace)
}

/// Runs one seed over a carrier.
pub fn run_over(carrier: Carrier, seed: u64, trace: bool) -> Run {
    let of = match carrier {
        Carrier::Blob => scenario::Scenario::of,
        Carrier::Queue => scenario::Scenario::of_queue,
        Carrier::Table => scenario::Scenario::of_table,
    };
    run_in(world::World::new(seed, trace, of))
}

/// Runs one seed of another kind: fifty dialers at once at a listener with little room, a fifth of
/// them dead before they have shown that they hold the key.
pub fn run_crowd(carrier: Carrier, seed: u64, trace: bool) -> Run {
    let of = match carrier {
        Carrier::Blob => scenario::Scenario::of_crowd,
        Carrier::Queue => scenario::Scenario::of_queue_crowd,
        Carrier::Table => scenario::Scenario::of_table_crowd,
    };
    run_in(world::World::new(seed, trace, of))
}

/// For how long the queues of [`run_queue_echo`] hide what was got.
pub const ECHO_VISIBILITY: Duration = carriers::ECHO_VISIBILITY;

/// Runs an echo of a megabyte over queues that lose and double nothing but give messages out in
/// another order than that of the puts; with `leaving`, the readers delete nothing.
pub fn run_queue_echo(leaving: bool, seed: u64, trace: bool) -> Run {
    let of = if leaving {
        scenario::Scenario::of_leaving_queue_echo
    } else {
        scenario::Scenario::of_queue_echo
    };
    run_in(world::World::new(seed, trace, of))
}

/// What became of a session whose dialer never showed that it holds the key. Seconds of virtual time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// When its places were made.
    pub made: u64,
    /// When the last of them was removed.
    pub gone: Option<u64>,
    /// When the listener was told to stop.
    pub stopped: u64,
    /// The dialer has shown it after all.
    pub confirmed: bool,
    /// Answers that nobody fetches any more, of those that this listener gave.
    pub tokens: usize,
    /// An invariant that did not hold.
    pub violation: Option<Violation>,
}

/// Runs a listener with its default settings, at which one dialer dies as soon as it is connected.
pub fn run_abandoned(carrier: Carrier, seed: u64, trace: bool) -> Abandoned {
    let of = match carrier {
        Carrier::Blob => scenario::Scenario::of_abandoned,
        Carrier::Queue => scenario::Scenario::of_abandoned_queue,
        Carrier::Table => scenario::Scenario::of_abandoned_table,
    };
    let mut world = world::World::new(seed, trace, of);
    let theirs = world.service.tokens();
    let violation = world.run().err();
    let seconds = |micros: u64| micros / 1_000_000;
    Abandoned {
        made: world.made.map_or(0, seconds),
        gone: world.gone.map(seconds),
        stopped: seconds(world.alone.unwrap_or_default() + world.scenario.linger),
        confirmed: world.confirmed > 0,
        tokens: world.service.tokens().saturating_sub(theirs),
        violation,
    }
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
        set_back: world.set_back,
        violation,
    }
}
