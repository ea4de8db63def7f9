//! `stillwire doctor STORE or TICKET`

mod remote;

use crate::args::Doctor;
use crate::exit::{Code, Fault};
use crate::run::{NamedStore, Run, printable};
use crate::verb::bench;
use crate::{source, units};
use remote::Remote;
use serde_json::json;
use std::time::{Duration, Instant};

/// Questions asked for the latency.
const QUESTIONS: usize = 5;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    Failed,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// All that is told, and the worst of it.
struct Report<'a> {
    run: &'a Run,
    worst: Option<Fault>,
    warnings: u64,
}

impl Report<'_> {
    fn line(&self, state: State, check: &str, what: &str) {
        let json = json!({ "check": check, "state": state.word(), "message": what });
        let human = format!("{:<8} {check:<11} {what}", state.word());
        self.run.out.result(&json, &human);
    }

    fn ok(&self, check: &str, what: &str) {
        self.line(State::Ok, check, what);
    }

    fn warn(&mut self, check: &str, what: &str) {
        self.warnings += 1;
        self.line(State::Warning, check, what);
    }

    /// The first failure is the one to begin with: it decides how we end.
    fn fail(&mut self, check: &str, fault: Fault) {
        self.line(State::Failed, check, &fault.line());
        self.worst.get_or_insert(fault);
    }

    fn check(&mut self, check: &str, result: Result<String, Fault>) -> bool {
        match result {
            Ok(what) => self.ok(check, &what),
            Err(fault) => {
                self.fail(check, fault);
                return false;
            }
        }
        true
    }
}

/// Checks one thing after the other.
pub(crate) async fn run(verb: &Doctor, run: &Run) -> Result<(), Fault> {
    let mut report = Report {
        run,
        worst: None,
        warnings: 0,
    };
    let examine = async {
        match target(verb)? {
            Target::Store(address) => store(&address, verb, &mut report).await,
            Target::Ticket(ticket) => remote::ticket(&ticket, &mut report).await,
        }
        Ok(())
    };
    run.interrupt.or(examine).await?;
    if let Some(fault) = report.worst {
        // It was told already, as a result; the exit code is what is left.
        let what = "something is wrong: see above";
        return Err(Fault::new(fault.code(), what));
    }
    let human = match report.warnings {
        0 => "all is well".to_owned(),
        n => format!("it works, with {}", units::count(n, "warning")),
    };
    let json = json!({ "event": "examined", "warnings": report.warnings });
    run.out.event(&json, &human);
    Ok(())
}

enum Target {
    Store(String),
    Ticket(String),
}

fn target(verb: &Doctor) -> Result<Target, Fault> {
    let Some(text) = verb.target.as_deref().filter(|text| *text != "-") else {
        let ticket = source::ticket(verb.target.as_deref(), verb.ticket_file.as_deref());
        return ticket.map(Target::Ticket).map_err(|fault| {
            if verb.target.is_none() && verb.ticket_file.is_none() {
                return Fault::new(Code::Usage, "nothing to look at")
                    .with_hint("name a store or a ticket: stillwire doctor azblob");
            }
            fault
        });
    };
    let is_ticket = text.starts_with("stillwire:")
        || (text.contains('?') && (text.starts_with("http://") || text.starts_with("https://")));
    Ok(if is_ticket {
        Target::Ticket(text.trim().to_owned())
    } else {
        Target::Store(text.to_owned())
    })
}

async fn store(address: &str, verb: &Doctor, report: &mut Report<'_>) {
    let run = report.run;
    let store = match bench::private(run, address) {
        Ok(store) => store,
        Err(fault) => return report.fail("settings", fault),
    };
    match Remote::of_store(run, address) {
        Some(Ok(remote)) => {
            report.ok("settings", &remote.settings);
            if !remote.examine(report).await {
                return;
            }
        }
        Some(Err(fault)) => return report.fail("settings", fault),
        None => report.ok("settings", &printable(address)),
    }
    let config = run.config();
    if !latency(report, || store.probe(&config)).await {
        return;
    }
    if verb.bytes == 0 {
        return;
    }
    let measured = throughput(report.run, &store, verb.bytes).await;
    report.check(
        "throughput",
        measured.map_err(|fault| fault.over(&store.name)),
    );
}

/// Asks a few times: may we, and how long does it take?
async fn latency<F: Future<Output = Result<(), Fault>>>(
    report: &mut Report<'_>,
    ask: impl Fn() -> F,
) -> bool {
    let first = ask().await.map(|()| "the store lets us in".to_owned());
    if !report.check("access", first) {
        return false;
    }
    let mut times = Vec::new();
    for _ in 0..QUESTIONS {
        let asked = Instant::now();
        if let Err(fault) = ask().await {
            report.fail("latency", fault);
            return false;
        }
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    let middle = times.get(QUESTIONS / 2).copied().unwrap_or_default();
    let longest = times.last().copied().unwrap_or_default();
    let what = format!(
        "a request takes {}, of {QUESTIONS} the longest {}",
        units::milliseconds(middle),
        units::milliseconds(longest)
    );
    if middle > Duration::from_secs(1) {
        report.warn(
            "latency",
            &format!("{what}; that is slow: use a store nearby, or look at the network"),
        );
    } else {
        report.ok("latency", &what);
    }
    true
}

async fn throughput(run: &Run, store: &NamedStore, bytes: u64) -> Result<String, Fault> {
    let figures = bench::measure(run, store, bytes, 0).await?;
    Ok(format!(
        "{} there, {} back, of {}; connected in {}",
        units::rate(bytes, figures.up),
        units::rate(bytes, figures.down),
        units::bytes(bytes),
        units::seconds(figures.connect),
    ))
}
