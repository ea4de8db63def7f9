//! `cargo xtask bench aznet`: Go to Go and Stillwire to Stillwire, two processes
//! each, on the same work, in turn, each on an emulator started afresh. Nothing
//! here is a timed test: it prints figures and their ratios.

mod pair;
mod table;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::azurite::{self, Azurite};
use crate::{Problem, house, options, peer, process};
use pair::Measured;

/// One piece of work that both implementations do.
pub(crate) struct Row {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What the dialer does, and the listener with it.
    pub(crate) dial: &'static str,
    pub(crate) listen: &'static str,
    pub(crate) arguments: &'static [(&'static str, u64)],
    /// Milliseconds added to each request.
    pub(crate) latency: u64,
    /// Counting costs time too: these are timed without the proxy, then counted in
    /// a second run through it.
    pub(crate) direct: bool,
    pub(crate) figure: Figure,
}

/// Which number of a run the row is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    /// From the first write until everything is there.
    Total,
    /// The mean of many round trips.
    RoundTrip,
    /// Until dial gives a connection; the middle one of several.
    Connect,
    /// The most memory each side had resident.
    Memory,
}

/// What both sides hand to one read or write: the buffer of Go's own `io.Copy`.
const BUFFER: u64 = 32 * 1024;

const ROWS: &[Row] = &[
    Row {
        name: "echo",
        about: "100 MB echo",
        dial: "echo",
        listen: "echo",
        arguments: &[("bytes", 100_000_000), ("buffer", BUFFER)],
        latency: 0,
        direct: true,
        figure: Figure::Total,
    },
    Row {
        name: "echo-large",
        about: "100 MB echo, writes of 4 MiB",
        dial: "echo",
        listen: "echo",
        arguments: &[("bytes", 100_000_000), ("buffer", 4 << 20)],
        latency: 0,
        direct: true,
        figure: Figure::Total,
    },
    Row {
        name: "echo-far",
        about: "20 MB echo, 20 ms",
        dial: "echo",
        listen: "echo",
        arguments: &[("bytes", 20_000_000), ("buffer", BUFFER)],
        latency: 20,
        direct: false,
        figure: Figure::Total,
    },
    Row {
        name: "writes-far",
        about: "2,000 writes of 1 KiB, 20 ms",
        dial: "writes",
        listen: "sink",
        arguments: &[("count", 2000), ("size", 1024)],
        latency: 20,
        direct: false,
        figure: Figure::Total,
    },
    Row {
        name: "ping",
        about: "ping-pong of 1 KiB",
        dial: "pingpong",
        listen: "echo",
        arguments: &[("count", 100), ("size", 1024)],
        latency: 0,
        direct: true,
        figure: Figure::RoundTrip,
    },
    Row {
        name: "ping-far",
        about: "ping-pong of 1 KiB, 20 ms",
        dial: "pingpong",
        listen: "echo",
        arguments: &[("count", 50), ("size", 1024)],
        latency: 20,
        direct: false,
        figure: Figure::RoundTrip,
    },
    Row {
        name: "connect",
        about: "connect",
        dial: "connect",
        listen: "echo",
        arguments: &[],
        latency: 0,
        direct: true,
        figure: Figure::Connect,
    },
    Row {
        name: "connect-far",
        about: "connect, 20 ms",
        dial: "connect",
        listen: "echo",
        arguments: &[],
        latency: 20,
        direct: false,
        figure: Figure::Connect,
    },
    Row {
        name: "memory",
        about: "1 GB one way",
        dial: "send",
        listen: "sink",
        arguments: &[("bytes", 1_000_000_000), ("buffer", BUFFER)],
        latency: 0,
        direct: true,
        figure: Figure::Memory,
    },
];

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
    if options.iter().any(|(name, _)| *name == "--list") {
        for row in ROWS {
            println!("{:12} {}", row.name, row.about);
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
        .find(|name| !ROWS.iter().any(|row| row.name == **name))
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

    let ceiling = if only.is_empty() || only.iter().any(|name| name.starts_with("echo")) {
        Some(ceiling(&programs)?)
    } else {
        None
    };
    let mut rows = Vec::new();
    for row in ROWS
        .iter()
        .filter(|row| only.is_empty() || only.contains(&row.name))
    {
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
        rows.push((row, measured));
    }
    println!();
    table::print(&rows, ceiling.as_ref());
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

/// What the emulator moves at the most, with blocks and ranges of the best size.
fn ceiling(programs: &Programs) -> Result<Value, Problem> {
    let azurite = Azurite::start()?;
    let mut command = Command::new(&programs.ceiling);
    command
        .args(["--endpoint", azurite.blob()])
        .env("AZURE_STORAGE_KEY", azurite::KEY);
    let line = process::captured(command.stdin(Stdio::null()))?;
    println!("ceiling: {}", line.trim());
    serde_json::from_str(&line).map_err(|error| format!("ceiling: {error}"))
}
