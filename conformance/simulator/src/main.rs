//! Runs seeds: `--seed N [--trace]` for one, `--seeds N` for the first N; `--over azqueue` names the
//! carrier, `--crowd` asks for many dialers at once. Without a carrier, `--seeds N` is N over blobs,
//! half as many over queues and tables each, and a crowd for every hundred. With `--asoc` they are
//! clusters of ASoc nodes.
//!
//! With `--idle N`, N connection machines that have nothing to say: their memory, and the time that
//! they take.
//!
//! Prints `seed N over CARRIER: <invariant>` and ends with 1 when an invariant does not hold.

use std::process::ExitCode;
use std::time::Instant;
use stillwire_core::aznet::Policy;
use stillwire_simulator::{Carrier, Run, Violation, run_crowd, run_over};

const USAGE: &str = "stillwire-simulator [--asoc | --over azblob|azqueue|aztable [--crowd]] \
                     [--seed N [--trace] | --seeds N | --from N]\n       \
                     stillwire-simulator --idle MACHINES [--for SECONDS] [--poll POLICY]";

/// What is asked for.
#[derive(Default)]
struct Ask {
    asoc: bool,
    over: Option<Carrier>,
    crowd: bool,
    seed: Option<u64>,
    trace: bool,
    seeds: Option<u64>,
    from: u64,
    idle: Option<usize>,
    seconds: Option<u64>,
    policy: Policy,
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Ask> {
    let mut ask = Ask::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--asoc" => ask.asoc = true,
            "--over" => {
                let name = args.next()?;
                let carrier = Carrier::ALL.into_iter().find(|c| c.name() == name);
                ask.over = Some(carrier?);
            }
            "--crowd" => ask.crowd = true,
            "--seed" => ask.seed = Some(args.next()?.parse().ok()?),
            "--seeds" => ask.seeds = Some(args.next()?.parse().ok()?),
            "--from" => ask.from = args.next()?.parse().ok()?,
            "--trace" => ask.trace = true,
            "--idle" => ask.idle = Some(args.next()?.parse().ok()?),
            "--for" => ask.seconds = Some(args.next()?.parse().ok()?),
            "--poll" => {
                ask.policy = match args.next()?.as_str() {
                    "latency" => Policy::Latency,
                    "balanced" => Policy::Balanced,
                    "thrift" => Policy::Thrift,
                    _ => return None,
                };
            }
            _ => return None,
        }
    }
    Some(ask)
}

fn main() -> ExitCode {
    let Some(ask) = parse(std::env::args().skip(1)) else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    if ask.asoc {
        return clusters(&ask);
    }
    if let Some(machines) = ask.idle {
        return idle(machines, ask.policy, ask.seconds.unwrap_or(180));
    }
    let seeds = ask.seeds.unwrap_or(2_000);
    if let Some(seed) = ask.seed {
        let kind = Kind {
            carrier: ask.over.unwrap_or_default(),
            crowd: ask.crowd,
        };
        return alone(kind, seed, ask.trace);
    }
    let kinds: Vec<(Kind, u64)> = match ask.over {
        Some(carrier) => {
            let crowd = ask.crowd;
            vec![(Kind { carrier, crowd }, seeds)]
        }
        None => share(seeds),
    };
    for (kind, seeds) in kinds {
        if !many(kind, ask.from, seeds) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// One kind of run.
#[derive(Clone, Copy)]
struct Kind {
    carrier: Carrier,
    crowd: bool,
}

impl Kind {
    fn run(self, seed: u64, trace: bool) -> Run {
        if self.crowd {
            run_crowd(self.carrier, seed, trace)
        } else {
            run_over(self.carrier, seed, trace)
        }
    }

    fn name(self) -> String {
        let crowd = if self.crowd { " --crowd" } else { "" };
        format!("{}{crowd}", self.carrier.name())
    }
}

/// Every carrier's share of so many seeds.
fn share(seeds: u64) -> Vec<(Kind, u64)> {
    let alone = Carrier::ALL.map(|carrier| {
        let crowd = false;
        let half = seeds.div_ceil(2);
        let seeds = if carrier == Carrier::Blob {
            seeds
        } else {
            half
        };
        (Kind { carrier, crowd }, seeds)
    });
    let crowds = Carrier::ALL.map(|carrier| {
        let crowd = true;
        (Kind { carrier, crowd }, seeds.div_ceil(100))
    });
    alone.into_iter().chain(crowds).collect()
}

fn alone(kind: Kind, seed: u64, trace: bool) -> ExitCode {
    let run = kind.run(seed, trace);
    println!(
        "seed {seed}: hash {:016x}, {} events, {} s, {} bytes, {} ends clean, {} failed",
        run.hash, run.events, run.seconds, run.delivered, run.clean, run.failed
    );
    if tell(&kind.name(), seed, run.violation.as_ref()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn many(kind: Kind, from: u64, seeds: u64) -> bool {
    let started = Instant::now();
    let (mut events, mut clean, mut failed) = (0, 0, 0);
    for seed in from..from.saturating_add(seeds) {
        let run = kind.run(seed, false);
        if !tell(&kind.name(), seed, run.violation.as_ref()) {
            return false;
        }
        events += run.events;
        clean += run.clean;
        failed += run.failed;
    }
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds over {} held: {events} events, {clean} ends clean, {failed} failed as they \
         should, {:.0} seeds/s",
        kind.name(),
        seeds as f64 / elapsed.max(f64::EPSILON)
    );
    true
}

fn clusters(ask: &Ask) -> ExitCode {
    let seeds = match ask.seed {
        Some(seed) => seed..seed.saturating_add(1),
        None => ask.from..ask.from.saturating_add(ask.seeds.unwrap_or(2_000)),
    };
    let count = seeds.end - seeds.start;
    let (mut events, mut streams, mut attacks) = (0, 0, 0);
    for seed in seeds {
        let run = stillwire_simulator::asoc::run(seed, ask.trace);
        if ask.seed.is_some() {
            println!("seed {seed}: {run:?}");
        }
        if !tell("asoc", seed, run.violation.as_ref()) {
            return ExitCode::FAILURE;
        }
        events += run.events;
        streams += run.streams;
        attacks += run.attacks;
    }
    println!("{count} seeds held: {events} events, {streams} streams, {attacks} attacks");
    ExitCode::SUCCESS
}

fn idle(machines: usize, policy: Policy, seconds: u64) -> ExitCode {
    let run = stillwire_simulator::idle::run(machines, policy, seconds);
    let took = run.took.as_secs_f64();
    let memory = match (run.bytes_each(), run.resident) {
        (Some(each), Some((_, all))) => {
            format!("{each} bytes each, {} MiB resident in all", all >> 20)
        }
        _ => "memory not known here".to_owned(),
    };
    println!("{} idle machines, {policy:?}: {memory}", run.machines);
    println!(
        "{} s of virtual time in {took:.2} s: {} polls, {:.2} us each; a tick of one second takes \
         {:.1} ms, {:.0} ns a machine",
        run.seconds,
        run.polls,
        took * 1e6 / (run.polls.max(1) as f64),
        took * 1e3 / (run.seconds.max(1) as f64),
        took * 1e9 / (run.seconds.max(1) as f64) / (run.machines.max(1) as f64),
    );
    if run.dead > 0 {
        println!("{} machines are not alive any more", run.dead);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Says what did not hold; true when everything did.
fn tell(kind: &str, seed: u64, violation: Option<&Violation>) -> bool {
    if let Some(violation) = violation {
        println!("seed {seed} over {kind}: {violation}");
    }
    violation.is_none()
}
