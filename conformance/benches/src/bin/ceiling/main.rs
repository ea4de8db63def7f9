//! `ceiling --endpoint URL [--service azblob|azqueue|aztable] [--bytes N] [--block N]
//! [--rounds N]`: how fast the emulator moves what an echo of N bytes must move, with
//! nothing around it: bare requests on keep-alive connections, no encryption, no polling.
//!
//! An echo writes its bytes twice and reads them twice. That work is done over one
//! connection and over several at once; the best counts. Prints one JSON line. The
//! account key comes from AZURE_STORAGE_KEY.

mod blob;
mod client;
mod queue;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use client::Problem;
use stillwire_benches::process::Flags;

const MIB: f64 = 1024.0 * 1024.0;

fn main() -> ExitCode {
    match measure() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("ceiling: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Seconds of one piece of work.
fn timed(work: impl FnOnce() -> Result<(), Problem>) -> Result<f64, Problem> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn measure() -> Result<serde_json::Value, Problem> {
    let known = ["service", "endpoint", "bytes", "block", "rounds"];
    let flags = Flags::parse(std::env::args().skip(1), &known)?;
    let bytes = flags.number("bytes", 100_000_000)?;
    let block = flags.number("block", 16 << 20)?;
    if block == 0 {
        return Err("--block is not zero".into());
    }
    let rounds = flags.number("rounds", 3)?.max(1);
    let endpoint = flags.text("endpoint").ok_or("--endpoint is missing")?;
    let endpoint = endpoint.trim_end_matches('/');
    match flags.text("service").unwrap_or("azblob") {
        "azblob" => blob::measure(endpoint, bytes, block, rounds),
        "azqueue" => queue::measure(endpoint, bytes),
        "aztable" => table::measure(endpoint, bytes, rounds),
        other => Err(format!("there is no service {other}").into()),
    }
}
