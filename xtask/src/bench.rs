//! `cargo xtask bench aznet`: Go to Go and Stillwire to Stillwire, two processes
//! each, on the same work, in turn, each on an emulator started afresh. Nothing
//! here is a timed test: it prints figures and their ratios.

mod pair;
mod rows;
mod table;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::azurite::{self, Azurite};
use crate::{Problem, house, options, peer, process};
use pair::Measured;
pub(crate) use rows::Service;
use rows::{Row, rows};

/// The programs that the benchmark runs.
pub(crate) struct Programs {
    pub(crate) go: PathBuf,
    pub(crate) stillwire: PathBuf,
    pub(crate) proxy: PathBuf,
    ceiling: PathBuf,
}

/// One implementation, both ends of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Go,
    Stillwire,
}

/// Measures the rows named with `--only`, or all, and prints the table.
pub(crate) fn aznet(words: &[&str]) -> Result<bool, Problem> {
    let options = options(words, &["--list"], &["--only", "--side", "--rounds"])?;
    let all = rows();
    if options.iter().any(|(name, _)| *name == "--list") {
        for row in &all {
            println!("{:16} {}", row.name, row.about);
        }
        return Ok(true);
    }
    let given = |flag: &str| -> Vec<&str> {
        options
            .iter()
            .filter(|(name, _)| *name == flag)
            .map(|(_, value)| *value)
            .collect()
    };
    let only = given("--only");
    if let Some(unknown) = only
        .iter()
        .find(|name| !all.iter().any(|row| row.name == **name))
    {
        return Err(format!(
            "there is no row {unknown}; bench aznet --list names them"
        ));
    }
    let sides = match given("--side").as_slice() {
        [] => vec![Side::Go, Side::Stillwire],
        ["go"] => vec![Side::Go],
        ["stillwire"] => vec![Side::Stillwire],
        _ => return Err("--side is go or stillwire".into()),
    };
    let rounds: usize = match given("--rounds").last() {
        None => 1,
        Some(text) => text
            .parse()
            .map_err(|_| format!("--rounds is not a number: {text}"))?,
    };
    if let Some(why) = azurite::unavailable().or_else(peer::unavailable) {
        return Err(why.into());
    }
    let programs = prepare()?;

    let chosen: Vec<&Row> = all
        .iter()
        .filter(|row| only.is_empty() || only.contains(&row.name.as_str()))
        .collect();
    let mut ceilings = Vec::new();
    for service in Service::ALL {
        let wanted = |row: &&Row| row.service == service && row.has_ceiling();
        // A ceiling is for the comparison; who looks at one side does without.
        if sides.len() > 1 && chosen.iter().any(wanted) {
            ceilings.push((service, ceiling(&programs, service)?));
        }
    }
    let mut figures = Vec::new();
    for row in chosen {
        let mut measured: [Option<Measured>; 2] = [None, None];
        // In turn, round after round, so that a slow minute of the machine hits both.
        for _ in 0..rounds.max(1) {
            for side in &sides {
                let one = pair::measure(&programs, row, *side)
                    .map_err(|problem| format!("{}, {}: {problem}", row.about, side.name()))?;
                println!("{}: {}: {one}", row.about, side.name());
                let best = &mut measured[*side as usize];
                match best {
                    Some(best) => best.merge(one),
                    None => *best = Some(one),
                }
            }
        }
        figures.push((row, measured));
    }
    println!();
    table::print(&figures, &ceilings);
    Ok(true)
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::Stillwire => "Stillwire",
        }
    }
}

fn prepare() -> Result<Programs, Problem> {
    azurite::install()?;
    let go = peer::build()?;
    let mut cargo = house::cargo();
    cargo.args([
        "build",
        "--release",
        "-p",
        "stillwire-benches",
        "--bins",
        "--features",
        "aws-lc",
    ]);
    if !process::shown(&mut cargo, Duration::from_secs(1800), |_| {})?.success() {
        return Err("the programs of the benchmark did not build".into());
    }
    let release = house::target().join("release");
    Ok(Programs {
        go,
        stillwire: release.join("stillwire-peer"),
        proxy: release.join("latency-proxy"),
        ceiling: release.join("ceiling"),
    })
}

/// What the emulator moves at the most, by bare requests of the best size.
fn ceiling(programs: &Programs, service: Service) -> Result<Value, Problem> {
    let azurite = Azurite::start()?;
    let mut command = Command::new(&programs.ceiling);
    command
        .args(["--service", service.driver()])
        .args(["--endpoint", azurite.endpoint(service)])
        .env("AZURE_STORAGE_KEY", azurite::KEY);
    let line = process::captured(command.stdin(Stdio::null()))?;
    println!("{} ceiling: {}", service.driver(), line.trim());
    serde_json::from_str(&line).map_err(|error| format!("ceiling: {error}"))
}
