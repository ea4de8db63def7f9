//! One run of one row: a fresh emulator, a proxy where one is asked for, a listener
//! and a dialer, and what they said.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::rows::{Figure, Row, Service};
use super::{Programs, Side};
use crate::azurite::{self, ACCOUNT, Azurite};
use crate::process::{self, Lines, Running};
use crate::{Problem, house};

/// Longest that one run may take; Go needs about a minute for the slowest row.
const LIMIT: Duration = Duration::from_secs(300);

/// An idle connection finds its pace within: ours slow down after a silent minute.
const SETTLING: Duration = Duration::from_secs(75);
/// How long its reads are counted.
const IDLE_WINDOW: Duration = Duration::from_secs(60);

/// How often a connection is made to time it.
const CONNECTS: usize = 5;

/// Go's first write fails while the Go listener still makes the blobs, which it does
/// after its answer; the wait is not part of the figure.
const GO_FLAGS: &[&str] = &["--exit-with-stdin", "--digest=false", "--settle=500ms"];

/// The figures of one row for one implementation; the best of several runs.
pub(crate) struct Measured {
    /// Seconds of the row's figure.
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    /// Requests by kind, as text for a person.
    pub(crate) kinds: String,
    /// Most resident memory in KiB: dialer, listener.
    pub(crate) memory: [u64; 2],
}

impl Measured {
    /// Keeps the better of each figure.
    pub(crate) fn merge(&mut self, other: Self) {
        self.seconds = self.seconds.min(other.seconds);
        for (mine, theirs) in self.memory.iter_mut().zip(other.memory) {
            *mine = (*mine).max(theirs);
        }
        if other.requests < self.requests {
            self.requests = other.requests;
            self.kinds = other.kinds;
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [dialer, listener] = self.memory.map(|kib| kib / 1024);
        write!(
            f,
            "{:.3} s, {} requests ({})",
            self.seconds, self.requests, self.kinds
        )?;
        write!(f, ", {dialer} and {listener} MiB")
    }
}

/// A helper that prints lines of JSON and ends with its standard input.
struct Helper {
    process: Running,
    stdin: Option<ChildStdin>,
    lines: Lines,
    name: &'static str,
}

impl Helper {
    fn start(command: &mut Command, name: &'static str) -> Result<Self, Problem> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut process = process::spawn(command.current_dir(house::root()))?;
        let stdin = process.take_stdin();
        let lines = Lines::new(process.take_stdout().ok_or("no pipe to a helper")?);
        Ok(Self {
            process,
            stdin,
            lines,
            name,
        })
    }

    /// The next line of this event; a failure it reports is a problem.
    fn await_event(&self, event: &str) -> Result<Value, Problem> {
        loop {
            let line = self
                .lines
                .next(LIMIT)
                .ok_or_else(|| format!("{} ended or said nothing of {event}", self.name))?;
            let value: Value = serde_json::from_str(&line)
                .map_err(|error| format!("{} printed {line}: {error}", self.name))?;
            let found = house::text(&value, "event");
            if found == event {
                return Ok(value);
            }
            if found == "failed" {
                return Err(format!(
                    "{} failed: {}",
                    self.name,
                    house::text(&value, "error")
                ));
            }
        }
    }

    fn say(&mut self, line: &str) -> Result<(), Problem> {
        let stdin = self
            .stdin
            .as_mut()
            .ok_or("a helper without standard input")?;
        writeln!(stdin, "{line}").map_err(|error| format!("{}: {error}", self.name))
    }
}

/// The counting proxy in front of an emulator.
struct Proxy {
    helper: Helper,
    endpoint: String,
}

impl Proxy {
    fn start(
        program: &Path,
        azurite: &Azurite,
        service: Service,
        latency: u64,
    ) -> Result<Self, Problem> {
        let authority = azurite
            .endpoint(service)
            .split('/')
            .nth(2)
            .unwrap_or_default();
        let mut command = Command::new(program);
        let mut helper = Helper::start(command.args(["--upstream", authority]), "the proxy")?;
        let listening = helper.await_event("listening")?;
        let endpoint = format!("http://{}/{ACCOUNT}", house::text(&listening, "address"));
        helper.say(&format!("delay {latency}"))?;
        Ok(Self { helper, endpoint })
    }

    /// What passed since the last time.
    fn counts(&mut self) -> Result<Value, Problem> {
        self.helper.say("counts")?;
        self.helper.await_event("counts")
    }
}

/// Runs the row once, and once more to count when it is timed without the proxy.
pub(super) fn measure(programs: &Programs, row: &Row, side: Side) -> Result<Measured, Problem> {
    if row.work.figure == Figure::Idle {
        return idle(programs, row, side);
    }
    let mut measured = run(programs, row, side, !row.work.direct)?;
    if row.work.direct {
        let counted = run(programs, row, side, true)?;
        measured.requests = counted.requests;
        measured.kinds = counted.kinds;
    }
    Ok(measured)
}

/// A listener that waits, and how to dial it.
struct Stage<'a> {
    // Dropped in this order.
    listener: Helper,
    proxy: Option<Proxy>,
    _azurite: Azurite,
    url: String,
    programs: &'a Programs,
    row: &'a Row,
    side: Side,
}

impl<'a> Stage<'a> {
    fn set(
        programs: &'a Programs,
        row: &'a Row,
        side: Side,
        through: bool,
        dials: usize,
    ) -> Result<Self, Problem> {
        let azurite = Azurite::start()?;
        let (program, latency) = (&programs.proxy, row.work.latency);
        let mut proxy = through
            .then(|| Proxy::start(program, &azurite, row.service, latency))
            .transpose()?;
        let endpoint = proxy
            .as_ref()
            .map_or(azurite.endpoint(row.service), |proxy| &proxy.endpoint);
        let mut listener = command(programs, row, side, "listen", row.work.listen);
        let connections = dials.to_string();
        listener.args(["--endpoint", endpoint, "--connections", &connections]);
        let listener = Helper::start(&mut listener, "the listener")?;
        let url = house::text(&listener.await_event("listening")?, "url").to_owned();
        if let Some(proxy) = &mut proxy {
            proxy.counts()?;
        }
        Ok(Self {
            listener,
            proxy,
            _azurite: azurite,
            url,
            programs,
            row,
            side,
        })
    }

    fn dial(&self) -> Result<Helper, Problem> {
        let mut dialer = command(
            self.programs,
            self.row,
            self.side,
            "dial",
            self.row.work.dial,
        );
        Helper::start(dialer.arg(&self.url), "the dialer")
    }
}

fn command(programs: &Programs, row: &Row, side: Side, verb: &str, mode: &str) -> Command {
    let (program, extra) = match side {
        Side::Go => (&programs.go, GO_FLAGS),
        Side::Stillwire => (&programs.stillwire, row.work.ours),
    };
    let mut command = Command::new(program);
    command.args([verb, "--driver", row.service.driver(), "--mode", mode]);
    command.args(extra);
    for (name, value) in row.work.arguments {
        command.arg(format!("--{name}={value}"));
    }
    command
        .env("AZURE_STORAGE_ACCOUNT", ACCOUNT)
        .env("AZURE_STORAGE_KEY", azurite::KEY);
    command
}

/// Counts the reads of a connection that carries nothing, once it has found its pace.
fn idle(programs: &Programs, row: &Row, side: Side) -> Result<Measured, Problem> {
    let mut stage = Stage::set(programs, row, side, true, 1)?;
    let dialer = stage.dial()?;
    dialer.await_event("connected")?;
    thread::sleep(SETTLING);
    let proxy = stage.proxy.as_mut().ok_or("no proxy to count")?;
    proxy.counts()?;
    let start = Instant::now();
    thread::sleep(IDLE_WINDOW);
    let counts = proxy.counts()?;
    let window = start.elapsed().as_secs_f64();
    let all = counts["requests"].as_u64().unwrap_or(0);
    let reads = ["read", "get messages", "query"].map(|kind| counts["kinds"][kind].as_u64());
    let reads: u64 = reads.into_iter().flatten().sum();
    Ok(Measured {
        seconds: window,
        requests: (reads as f64 * 3600.0 / window).round() as u64,
        kinds: format!("an hour of reads, from {reads} in {window:.0} s of {all} requests"),
        memory: [0; 2],
    })
}

fn run(programs: &Programs, row: &Row, side: Side, through: bool) -> Result<Measured, Problem> {
    let dials = if row.work.figure == Figure::Connect {
        CONNECTS
    } else {
        1
    };
    let mut stage = Stage::set(programs, row, side, through, dials)?;

    let mut figures = Vec::new();
    let mut memory = [0; 2];
    for _ in 0..dials {
        let mut dialer = stage.dial()?;
        let connected = dialer.await_event("connected")?;
        let done = dialer.await_event("done")?;
        figures.push(match row.work.figure {
            Figure::Connect => connected["seconds"].as_f64().unwrap_or(f64::NAN),
            Figure::RoundTrip => {
                // The first one waits for the peer's slow polling to notice.
                let times = house::list(&done, "times")
                    .iter()
                    .skip(1)
                    .filter_map(Value::as_f64);
                let times: Vec<f64> = times.collect();
                times.iter().sum::<f64>() / times.len() as f64
            }
            Figure::Total | Figure::Memory | Figure::Idle => {
                done["seconds"].as_f64().unwrap_or(f64::NAN)
            }
        });
        memory[0] = done["peak_kib"].as_u64().unwrap_or(0);
        if !dialer.process.wait(LIMIT)?.success() {
            return Err("the dialer ended badly".into());
        }
    }
    let counts = stage.proxy.as_mut().map(Proxy::counts).transpose()?;
    for _ in 0..dials {
        memory[1] = stage.listener.await_event("done")?["peak_kib"]
            .as_u64()
            .unwrap_or(0);
    }
    let (mut requests, mut kinds) = (0, String::new());
    if let Some(counts) = counts {
        let dials = dials as u64;
        requests = counts["requests"].as_u64().unwrap_or(0) / dials;
        let by_kind = counts["kinds"].as_object().into_iter().flatten();
        // Rounded, since retries and polls do not divide evenly among the dials.
        let each = |count: &Value| count.as_u64().unwrap_or(0).div_ceil(dials);
        let shown = by_kind.map(|(kind, count)| format!("{kind} {}", each(count)));
        kinds = shown.collect::<Vec<_>>().join(", ");
    }
    Ok(Measured {
        seconds: median(figures),
        requests,
        kinds,
        memory,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
