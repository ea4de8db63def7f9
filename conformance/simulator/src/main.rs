//! Runs seeds: `--seed N [--trace]` for one, `--seeds N` for the first N. With `--asoc` they are
//! clusters of ASoc nodes.
//!
//! Prints `seed N: <invariant>` and ends with 1 when an invariant does not hold.

use std::process::ExitCode;
use std::time::Instant;
use stillwire_simulator::run;

const USAGE: &str = "stillwire-simulator [--asoc] [--seed N [--trace] | --seeds N | --from N]";

enum Ask {
    One(u64, bool),
    Many(u64, u64),
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Ask> {
    let (mut seed, mut trace, mut seeds, mut from) = (None, false, 2_000, 0);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seed" => seed = Some(args.next()?.parse().ok()?),
            "--seeds" => seeds = args.next()?.parse().ok()?,
            "--from" => from = args.next()?.parse().ok()?,
            "--trace" => trace = true,
            _ => return None,
        }
    }
    Some(seed.map_or(Ask::Many(from, seeds), |seed| Ask::One(seed, trace)))
}

fn main() -> ExitCode {
    let (asoc, rest): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg == "--asoc");
    let Some(ask) = parse(rest.into_iter()) else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    if !asoc.is_empty() {
        return clusters(&ask);
    }
    match ask {
        Ask::One(seed, trace) => {
            let run = run(seed, trace);
            println!(
                "seed {seed}: hash {:016x}, {} events, {} s, {} bytes, {} ends clean, {} failed",
                run.hash, run.events, run.seconds, run.delivered, run.clean, run.failed
            );
            report(seed, run.violation.as_ref())
        }
        Ask::Many(from, seeds) => {
            let started = Instant::now();
            let (mut events, mut clean, mut failed) = (0, 0, 0);
            for seed in from..from.saturating_add(seeds) {
                let run = run(seed, false);
                if run.violation.is_some() {
                    return report(seed, run.violation.as_ref());
                }
                events += run.events;
                clean += run.clean;
                failed += run.failed;
            }
            let elapsed = started.elapsed().as_secs_f64();
            println!(
                "{seeds} seeds held: {events} events, {clean} ends clean, {failed} failed as they \
                 should, {:.0} seeds/s",
                seeds as f64 / elapsed.max(f64::EPSILON)
            );
            ExitCode::SUCCESS
        }
    }
}

fn clusters(ask: &Ask) -> ExitCode {
    let (seeds, trace) = match *ask {
        Ask::One(seed, trace) => (seed..seed.saturating_add(1), trace),
        Ask::Many(from, seeds) => (from..from.saturating_add(seeds), false),
    };
    let alone = matches!(ask, Ask::One(..));
    let count = seeds.end - seeds.start;
    let (mut events, mut streams, mut attacks) = (0, 0, 0);
    for seed in seeds {
        let run = stillwire_simulator::asoc::run(seed, trace);
        if alone {
            println!("seed {seed}: {run:?}");
        }
        if run.violation.is_some() {
            return report(seed, run.violation.as_ref());
        }
        events += run.events;
        streams += run.streams;
        attacks += run.attacks;
    }
    println!("{count} seeds held: {events} events, {streams} streams, {attacks} attacks");
    ExitCode::SUCCESS
}

fn report(seed: u64, violation: Option<&stillwire_simulator::Violation>) -> ExitCode {
    match violation {
        Some(violation) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
