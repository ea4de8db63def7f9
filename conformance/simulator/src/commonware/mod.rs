//! Two ends of commonware-stream over a line that a seed decides: pieces of any size, delays, a
//! skewed clock, and at most one fault in one direction.
//!
//! After every step: what an end was given is a prefix of what the other end wrote; nothing is held
//! beyond the limits; what was said stays said. At the end: without a fault everything arrived, and
//! with one the end that it struck noticed, or only bytes at the very end are missing and the end of
//! the stream was said to be unauthenticated.

mod end;
mod line;

use crate::rng::Rng;
use end::End;
use line::{Fault, Line};
use std::sync::Arc;
use std::time::Duration;
use stillwire_core::commonware::{
    Admission, Config, Connection, Door, Ed25519, Identity, Profile, PublicKey, SynCache, Window,
};
use stillwire_core::crypto::Secret;
use stillwire_core::{Class, Error, Instant, Timer, UnixTime};

/// Wall-clock time at the origin of a run.
const UNIX: u64 = 1_780_000_000_000;
/// More steps than any run needs; a run that takes them has stalled.
const STEPS: u32 = 200_000;

/// What came of seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that arrived.
    pub delivered: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Connections that were established at both ends.
    pub established: u64,
    /// Ends that closed cleanly.
    pub clean: u64,
    /// Ends that failed.
    pub failed: u64,
    /// Replays that the cache refused.
    pub replays: u64,
}

fn identity(seed: u8) -> Arc<dyn Identity> {
    Arc::new(Ed25519::new(&Secret::from([seed; 32])))
}

fn public(seed: u8) -> PublicKey {
    identity(seed).public()
}

/// What the seed decides about both ends.
struct Plan {
    config: Config,
    door: Door,
    /// How far the listener's clock is ahead of the dialer's, in ms.
    skew: i64,
    admitted: bool,
}

impl Plan {
    fn draw(rng: &mut Rng) -> Self {
        let config = Config {
            profile: rng.pick(&Profile::ALL),
            namespace: Arc::from(&b"stillwire/simulator"[..]),
            window: Window {
                max_age: Duration::from_secs(10),
                synchrony: Duration::from_secs(5),
            },
            handshake_timeout: Duration::from_secs(20),
            prove_first: rng.chance(500),
            refuse_self: rng.chance(500),
            longest_message: rng.range(1, 5_000) as usize,
            stream_record: rng.range(1, 6_000) as usize,
            send_buffer: rng.range(1, 8_000) as usize,
            receive_buffer: rng.range(1, 8_000) as usize,
        };
        let admission = match rng.below(5) {
            0 => Admission::Ask,
            1 => Admission::Listed(Arc::from([public(9), public(1)])),
            2 if rng.chance(300) => Admission::Listed(Arc::from([public(9)])),
            _ => Admission::Anyone,
        };
        let admitted =
            !matches!(&admission, Admission::Listed(listed) if !listed.contains(&public(1)));
        let skew = match rng.below(10) {
            0 => rng.range(30_000, 90_000).cast_signed(),
            1 => -rng.range(30_000, 90_000).cast_signed(),
            _ => rng.range(0, 4_000).cast_signed() - 2_000,
        };
        Self {
            config,
            door: Door {
                admission,
                seen: Some(Arc::new(SynCache::new(64, rng.bytes()))),
            },
            skew,
            admitted,
        }
    }

    fn listener_time(&self, now: Instant) -> UnixTime {
        let there = UNIX.saturating_add_signed(self.skew);
        UnixTime::from_millis(there).after(now.since(Instant::ZERO))
    }

    fn listen(&self, rng: &mut Rng, now: Instant) -> Connection {
        let (config, door) = (self.config.clone(), self.door.clone());
        let unix = self.listener_time(now);
        Connection::listen(config, identity(2), door, rng.bytes(), now, unix)
    }

    /// Clocks far apart, or a dialer that is not admitted: nobody may connect.
    fn may_connect(&self) -> bool {
        self.admitted && self.skew.unsigned_abs() < 5_000
    }
}

/// Runs one seed; the text says which invariant did not hold.
pub fn run(seed: u64) -> Result<Outcome, String> {
    let rng = &mut Rng::new(seed);
    let plan = Plan::draw(rng);
    let start = Instant::ZERO;
    let unix = UnixTime::from_millis(UNIX);
    let dialer = Connection::dial(
        plan.config.clone(),
        identity(1),
        &public(2),
        rng.bytes(),
        start,
        unix,
    );
    let dialer = dialer.map_err(|error| format!("a good dialer is refused: {error}"))?;
    let listener = plan.listen(rng, start);
    let messages = rng.chance(500);
    let mut ends = [
        End::new(dialer, &plan.config, messages, rng),
        End::new(listener, &plan.config, messages, rng),
    ];
    let mut fault = Fault::draw(rng);
    let struck = rng.below(2) as usize;
    let mut lines = [Line::new(rng), Line::new(rng)];
    if let Some(fault) = fault.take() {
        lines[struck].strike(fault);
    }
    let mut now = start;
    for step in 0.. {
        if step == STEPS {
            return Err("the run stalls".into());
        }
        let mut busy = false;
        for from in 0..2 {
            let to = 1 - from;
            let said = ends[from].act(now, rng)?;
            lines[from].put(&said, now, rng);
            if ends[from].has_sent_all() {
                lines[from].end();
            }
            busy |= !said.is_empty() | ends[from].is_busy();
            busy |= lines[from].deliver(&mut ends[to], now, rng)?;
        }
        for end in 0..2 {
            let (ours, theirs) = (&ends[end], &ends[1 - end]);
            ours.check(theirs)?;
        }
        if ends.iter().all(End::is_over) {
            break;
        }
        if !busy {
            let wake = lines
                .iter()
                .filter_map(Line::next)
                .chain(ends.iter_mut().filter_map(|end| end.deadline(now)));
            match wake.min() {
                Some(at) => now = at.max(now.after(Duration::from_micros(1))),
                None => break,
            }
        }
    }
    judge(seed, &plan, &ends, &lines, struck)?;
    let mut outcome = Outcome {
        delivered: ends.iter().map(End::delivered).sum(),
        faults: lines.iter().map(|line| u64::from(line.struck())).sum(),
        established: u64::from(ends.iter().all(End::was_established)),
        clean: ends.iter().map(|end| u64::from(end.closed_cleanly())).sum(),
        failed: ends
            .iter()
            .map(|end| u64::from(end.error().is_some()))
            .sum(),
        replays: 0,
    };
    if outcome.established == 1 {
        replay(&plan, &lines[0], rng, now)?;
        outcome.replays = 1;
    }
    Ok(outcome)
}

/// What must be true of a run that is over.
fn judge(
    seed: u64,
    plan: &Plan,
    ends: &[End; 2],
    lines: &[Line; 2],
    at: usize,
) -> Result<(), String> {
    let broken = |what: &str| {
        let errors = ends.each_ref().map(End::error);
        Err(format!(
            "{what} ({} {errors:?} {seed})",
            plan.config.profile
        ))
    };
    if !plan.may_connect() {
        if ends.iter().any(|end| end.delivered() > 0) {
            return broken("a connection that may not be delivered something");
        }
        // The last message of the dialer may still go out; the listener never takes it.
        if ends[1].was_established() {
            return broken("a listener took what it must not");
        }
        return Ok(());
    }
    let struck = lines.iter().any(Line::struck);
    if !struck {
        for (end, other) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
            if !end.closed_cleanly() || !end.has_everything_of(other) {
                return broken("something is missing although nothing went wrong");
            }
        }
        return Ok(());
    }
    let (victim, origin) = (&ends[1 - at], &ends[at]);
    match victim.error() {
        Some(Error::Peer { class, .. }) if *class != Class::State => Ok(()),
        Some(Error::Timeout(Timer::Connect)) => Ok(()),
        Some(_) => broken("the struck end failed with an odd error"),
        None if lines[at].only_lost() && victim.said_unauthenticated_end() => Ok(()),
        None if victim.has_everything_of(origin) => broken("an altered stream was taken for whole"),
        None => broken("the struck end noticed nothing"),
    }
}

/// What the dialer said, again and to the same listener: the cache knows it.
fn replay(plan: &Plan, line: &Line, rng: &mut Rng, now: Instant) -> Result<(), String> {
    // The listener forgets when the Syn is stale anyway.
    let mut again = End::new(plan.listen(rng, now), &plan.config, true, rng);
    again.replayed(now, line.carried());
    match again.error() {
        Some(Error::Peer {
            class: Class::Replay | Class::Stale,
            ..
        }) => Ok(()),
        other => Err(format!("a replayed Syn met {other:?}")),
    }
}
