//! `latency-proxy --upstream ADDRESS:PORT`: the counting proxy as a process.
//!
//! Prints `{"event":"listening","address":"…"}`, then takes commands on standard
//! input, one a line: `delay MILLISECONDS`, and `counts`, which prints what passed
//! since the last time. Ends with standard input.

use std::io::BufRead;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use stillwire_benches::process::Flags;
use stillwire_benches::proxy::Proxy;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("latency-proxy: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), String> {
    let flags = Flags::parse(std::env::args().skip(1), &["upstream"])?;
    let upstream: SocketAddr = flags
        .text("upstream")
        .and_then(|text| text.parse().ok())
        .ok_or("--upstream is an address and a port")?;
    let proxy = Proxy::start(upstream).map_err(|error| error.to_string())?;
    println!(
        "{}",
        json!({ "event": "listening", "address": proxy.address().to_string() })
    );
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("delay", millis)) => {
                let millis = millis.parse().map_err(|_| "delay takes milliseconds")?;
                proxy.delay(Duration::from_millis(millis));
            }
            None if line == "counts" => {
                let counts = proxy.take_counts();
                let statuses: serde_json::Map<_, _> = counts
                    .statuses
                    .iter()
                    .map(|(status, count)| (status.to_string(), json!(count)))
                    .collect();
                println!(
                    "{}",
                    json!({
                        "event": "counts",
                        "requests": counts.requests(),
                        "kinds": counts.kinds,
                        "statuses": statuses,
                        "sent": counts.sent,
                        "received": counts.received,
                    })
                );
            }
            _ => return Err(format!("unknown command {line}")),
        }
    }
    Ok(())
}
