//! The `stillwire` command, as a library, so that the program, its tests and its manual page
//! share one description of the command line ([`args::Cli`]).
//!
//! | Module | Has |
//! |---|---|
//! | [`args`] | the command line |
//! | [`exit`] | every error's exit code, line and advice |
//! | `verb` | the verbs, a file each |
//! | `run` | what every verb is handed: settings, stores, tickets |
//! | `asoc` | the verbs of ASoc |
//! | `stream` | the verbs of the protocols over TCP |
//! | `key` | where keys come from |
//! | `relay`, `stdio`, `tcp`, `echo`, `exec` | a connection joined to something local |
//! | `metrics` | counters for Prometheus |
//! | `transfer` | the framing of `send` and `recv` |
//! | `output`, `process`, `units` | telling, signals, figures |

pub mod args;
mod asoc;
mod echo;
mod exec;
pub mod exit;
mod key;
mod metrics;
mod output;
mod process;
mod relay;
mod run;
mod source;
mod stdio;
mod stream;
mod tcp;
mod totals;
mod transfer;
mod units;
mod usage;
mod verb;

pub use verb::man::page as manual_page;

use args::{Cli, Verb};
use clap::Parser;
use exit::{Code, Fault};
use output::Output;
use process::Interrupt;
use run::Run;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use totals::Totals;

/// How long work in the background may go on once the verb is over: nothing of it matters then.
const REST: Duration = Duration::from_millis(100);

/// Runs the program: arguments, standard streams and environment are the process's.
pub fn main() -> ExitCode {
    let dumps = process::forbid_core_dumps();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error),
    };
    let out = Output::new(&cli.global);
    let dumps = dumps.map_err(|error| Fault::file("cannot turn core dumps off", &error));
    let code = match dumps.and_then(|()| dispatch(cli)) {
        Ok(()) => Code::Ok,
        Err(fault) => {
            out.fault(&fault);
            fault.code()
        }
    };
    ExitCode::from(code as u8)
}

fn dispatch(cli: Cli) -> Result<(), Fault> {
    process::start_tracing(&cli.global);
    match &cli.verb {
        Verb::Completions(verb) => return verb::completions::run(verb),
        Verb::Man => return verb::man::run(),
        _ => {}
    }
    let cannot = |error| Fault::file("cannot start", &error);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(cannot)?;
    let result = runtime.block_on(async {
        let interrupt = Interrupt::watch().map_err(cannot)?;
        let run = Run {
            out: Output::new(&cli.global),
            interrupt,
            totals: Arc::new(Totals::default()),
            global: cli.global,
        };
        let started = Instant::now();
        let result = perform(&cli.verb, &run).await;
        if run.global.stats {
            output::eprint_line(&run.totals.json(started.elapsed()).to_string());
        }
        result
    });
    // Not waited for: a read of stdin may never return.
    runtime.shutdown_timeout(REST);
    result.and_then(|()| output::unwritten())
}

async fn perform(verb: &Verb, run: &Run) -> Result<(), Fault> {
    match verb {
        Verb::Demo(verb) => verb::demo::run(verb, run).await,
        Verb::Listen(verb) => verb::listen::run(verb, run).await,
        Verb::Dial(verb) => verb::dial::run(verb, run).await,
        Verb::Send(verb) => verb::send::run(verb, run).await,
        Verb::Recv(verb) => verb::recv::run(verb, run).await,
        Verb::Ticket(verb) => verb::ticket::run(verb, run).await,
        Verb::Gc(verb) => verb::gc::run(verb, run).await,
        Verb::Doctor(verb) => verb::doctor::run(verb, run).await,
        Verb::Bench(verb) => verb::bench::run(verb, run).await,
        Verb::Estimate(verb) => verb::estimate::run(verb, run),
        Verb::Asoc(asoc) => asoc::run(&asoc.verb, run).await,
        Verb::Ziti(ziti) => stream::ziti(&ziti.verb, run).await,
        Verb::Commonware(commonware) => stream::commonware(&commonware.verb, run).await,
        Verb::Packetfs(packetfs) => verb::packetfs::run(packetfs.verb.clone(), run).await,
        Verb::Completions(verb) => verb::completions::run(verb),
        Verb::Man => verb::man::run(),
    }
}
