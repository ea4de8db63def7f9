//! Many connections in one process with nothing to say: what they weigh, and what they take.

use crate::rng::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant as WallClock};
use stillwire_core::aznet::handshake::Split;
use stillwire_core::aznet::{Config, Connection, ConnectionId, Policy};
use stillwire_core::store::{Operation, Profile, Reply, Role};
use stillwire_core::{Channel, Input, Instant, Machine, Output, Read};

/// Both ends of a connection, and what is on its way to each.
struct Pair {
    ends: [Connection; 2],
    /// What each end writes, until the other has read it.
    sent: [Vec<u8>; 2],
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Idle {
    /// Connection machines, both ends counted.
    pub machines: usize,
    /// Resident bytes of the process, without its machines and with them; [`None`] where the
    /// system does not say.
    pub resident: Option<(u64, u64)>,
    /// Seconds of virtual time that were run after everything had been said.
    pub seconds: u64,
    /// Times a machine was polled because something was due.
    pub polls: u64,
    /// How long all of it took.
    pub took: Duration,
    /// Ends that were not alive any more at the end.
    pub dead: usize,
}

fn profile() -> Profile {
    Profile {
        name: "idle",
        largest_chunk: 4_194_304,
        bytes_per_write: 16 << 20,
        bytes_per_read: 16 << 20,
        writes_in_flight: 1,
        releases_in_flight: 0,
        writes_before_rotation: Some(49_990),
        sequences: None,
        tokens_in_sight: None,
        shortest_poll: Duration::from_millis(10),
    }
}

impl Pair {
    fn new(rng: &mut Rng, config: &Config, now: Instant) -> Self {
        let id = ConnectionId::from_random(rng.bytes());
        let [hash, there, back]: [[u8; 32]; 3] = [(); 3].map(|()| rng.bytes());
        let end = |role| {
            let split = Split {
                hash,
                i2r: there.into(),
                r2i: back.into(),
            };
            Connection::new(role, id, split, profile(), config.clone(), now)
        };
        Self {
            ends: [end(Role::Dialer), end(Role::Listener)],
            sent: [Vec::new(), Vec::new()],
        }
    }

    /// Polls one end until it waits; until when.
    fn drain(&mut self, at: usize, now: Instant) -> Option<Instant> {
        let other = 1 - at;
        loop {
            match self.ends[at].poll(now) {
                Output::Wait(until) => return until,
                Output::Store(request) => {
                    let reply = match &request.operation {
                        Operation::Write { bytes, .. } => {
                            self.sent[at].extend_from_slice(bytes);
                            Reply::Done
                        }
                        Operation::Read { .. } if self.sent[other].is_empty() => {
                            Reply::Nothing { missing: false }
                        }
                        Operation::Read { .. } => Reply::Data {
                            bytes: std::mem::take(&mut self.sent[other]).into(),
                            more: false,
                        },
                        _ => Reply::Done,
                    };
                    let _ = self.ends[at].handle(now, Input::Reply(request.id, Ok(reply)));
                }
                _ => {}
            }
        }
    }

    /// Something is said in both directions and read.
    fn greet(&mut self, now: Instant) {
        let mut buffer = [0; 64];
        for at in 0..2 {
            let _ = self.ends[at].write(now, b"hello, and then nothing for long");
            self.drain(at, now);
        }
        for at in 0..2 {
            let later = now.after(Duration::from_millis(50));
            let _ = self.ends[at].handle(later, Input::Time);
            self.drain(at, later);
            while let Ok(Read::Data(_)) = self.ends[at].read(later, &mut buffer) {}
            self.drain(at, later);
        }
    }
}

/// Bytes of this process that are in memory.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let (_, rest) = status.split_once("VmRSS:")?;
    let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

/// Runs `machines` connection machines, two to a connection, for `seconds` of virtual time in which
/// only their own pings are said. They poll as `policy` says.
pub fn run(machines: usize, policy: Policy, seconds: u64) -> Idle {
    let config = Config {
        policy,
        ..Config::default()
    };
    let mut rng = Rng::new(1);
    let mut now = Instant::from_millis(1_000);
    let mut pairs: Vec<Pair> = Vec::with_capacity(machines / 2);
    let mut due = BinaryHeap::with_capacity(machines);
    let before = resident();
    for _ in 0..machines / 2 {
        let mut pair = Pair::new(&mut rng, &config, now);
        pair.greet(now);
        pairs.push(pair);
    }
    let minute = now.after(Duration::from_secs(1));
    for (index, pair) in pairs.iter_mut().enumerate() {
        for at in 0..2 {
            if let Some(until) = pair.drain(at, minute) {
                due.push(Reverse((until, index, at)));
            }
        }
    }
    now = minute;
    let after = resident();
    let end = now.after(Duration::from_secs(seconds));
    let started = WallClock::now();
    let mut polls = 0;
    while let Some(Reverse((when, index, at))) = due.pop() {
        if when > end {
            break;
        }
        now = now.max(when);
        let _ = pairs[index].ends[at].handle(now, Input::Time);
        polls += 1;
        if let Some(until) = pairs[index].drain(at, now) {
            due.push(Reverse((until, index, at)));
        }
    }
    let took = started.elapsed();
    let ends = pairs.iter().flat_map(|pair| &pair.ends);
    let dead = ends.filter(|end| end.error().is_some() || end.is_finished());
    Idle {
        machines: pairs.len() * 2,
        resident: before.zip(after),
        seconds,
        polls,
        took,
        dead: dead.count(),
    }
}

impl Idle {
    /// Resident bytes of one machine.
    pub fn bytes_each(&self) -> Option<u64> {
        let (before, after) = self.resident?;
        Some(after.saturating_sub(before) / self.machines.max(1) as u64)
    }
}
