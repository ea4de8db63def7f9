//! `scale`: many connections at once through one listener process over the directory store. Prints
//! how much memory that process had resident at the most, and how long things took.
//!
//! ```text
//! scale [--connections N] [--bytes N] [--still SECONDS] [--poll latency|balanced|thrift]
//! ```
//!
//! It starts itself a second time as the listener, which echoes. All connections are opened, each
//! echoes `--bytes`, all stay open and silent for `--still` seconds, each echoes once more, and all
//! are closed. A connection that fails fails the program.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillwire_benches::pattern::Pattern;
use stillwire_benches::process::{Flags, follow_stdin, peak_kib};
use stillwire_tokio::{Config, Connection, Options, Policy, Store, Ticket, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Barrier;

const FLAGS: &[&str] = &["connections", "bytes", "still", "poll", "directory"];

/// A thousand connections are to take no more than 256 MiB, the program included.
const MOST_KIB_EACH: u64 = 262;
const LEAST: u64 = 100;

type Problem = Box<dyn std::error::Error + Send + Sync>;

fn config(flags: &Flags) -> Result<Config, Problem> {
    let policy = match flags.text("poll") {
        None | Some("balanced") => Policy::Balanced,
        Some("latency") => Policy::Latency,
        Some("thrift") => Policy::Thrift,
        Some(other) => return Err(format!("there is no policy {other}").into()),
    };
    let connections = usize::try_from(flags.number("connections", 1_000)?)?;
    Ok(Config {
        policy,
        connections: connections.max(1),
        // The last one waits until all others have shaken hands.
        connect_timeout: Duration::from_secs(600),
        ..Config::default()
    })
}

fn say(event: &str, mut fields: Value) {
    fields["event"] = event.into();
    println!("{fields}");
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = async {
        let flags = Flags::parse(std::env::args().skip(1), FLAGS)?;
        match flags.text("directory") {
            Some(directory) => listen(&flags, directory).await,
            None => measure(&flags).await,
        }
    };
    match outcome.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say("failed", json!({ "error": problem.to_string() }));
            ExitCode::FAILURE
        }
    }
}

/// The listener: echoes every connection to its end.
async fn listen(flags: &Flags, directory: &str) -> Result<(), Problem> {
    follow_stdin();
    let config = config(flags)?;
    let connections = config.connections;
    let store = Store::from_address(&format!("dir:{directory}"), &Options::default())?;
    let mut listener = store.listen(config).await?;
    say(
        "listening",
        json!({ "ticket": listener.ticket().to_string() }),
    );
    let mut serving = Vec::new();
    while serving.len() < connections {
        let connection = listener.accept().await?;
        serving.push(tokio::spawn(echo(connection)));
    }
    for connection in serving {
        connection.await??;
    }
    listener.stop().await?;
    say("over", json!({ "peak_kib": peak_kib() }));
    Ok(())
}

async fn echo(connection: Connection) -> Result<(), Problem> {
    let (mut read, mut write) = connection.split();
    let mut buffer = vec![0; 4_096];
    loop {
        let n = read.read(&mut buffer).await?;
        if n == 0 {
            break;
        }
        write.write_all(&buffer[..n]).await?;
        write.flush().await?;
    }
    write.close_write().await?;
    write.closed().await?;
    Ok(())
}

/// A directory that goes away with it, and the listener in it.
struct Place {
    directory: std::path::PathBuf,
    listener: Child,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.listener.kill();
        let _ = self.listener.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Place {
    fn new(flags: &Flags) -> Result<Self, Problem> {
        let directory =
            std::env::temp_dir().join(format!("stillwire-scale-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--directory").arg(Path::new(&directory));
        for name in ["connections", "poll"] {
            if let Some(value) = flags.text(name) {
                command.arg(format!("--{name}")).arg(value);
            }
        }
        let listener = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self {
            directory,
            listener,
        })
    }
}

fn next(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Result<Value, Problem> {
    let line = lines.next().ok_or("the listener has ended")??;
    let value: Value = serde_json::from_str(&line)?;
    match value["error"].as_str() {
        Some(error) => Err(error.to_owned().into()),
        None => Ok(value),
    }
}

async fn measure(flags: &Flags) -> Result<(), Problem> {
    let config = config(flags)?;
    let connections = config.connections;
    let bytes = usize::try_from(flags.number("bytes", 1_024)?)?;
    let still = Duration::from_secs(flags.number("still", 10)?);
    let mut place = Place::new(flags)?;
    let stdout = place.listener.stdout.take().ok_or("no pipe")?;
    // The listener ends with its standard input, which waiting for it would close.
    let stdin = place.listener.stdin.take();
    let mut lines = BufReader::new(stdout).lines();
    let listening = next(&mut lines)?;
    let ticket = listening["ticket"].as_str().ok_or("no ticket")?;
    let ticket = Ticket::parse(ticket, &Options::default())?;

    let started = Instant::now();
    let together = Arc::new(Barrier::new(connections + 1));
    let dialing: Vec<_> = (0..connections)
        .map(|number| {
            let (ticket, config) = (ticket.clone(), config.clone());
            let together = Arc::clone(&together);
            tokio::spawn(async move {
                let connected = connect(&ticket, config, number as u64, bytes).await;
                // All wait for all, also for those that failed.
                together.wait().await;
                together.wait().await;
                part(connected?, number as u64, bytes).await
            })
        })
        .collect();
    together.wait().await;
    say(
        "open",
        json!({ "connections": connections, "seconds": started.elapsed().as_secs_f64() }),
    );
    tokio::time::sleep(still).await;
    let parting = Instant::now();
    together.wait().await;
    for connection in dialing {
        connection.await??;
    }
    say(
        "closed",
        json!({ "seconds": parting.elapsed().as_secs_f64() }),
    );
    let over = next(&mut lines)?;
    let peak = over["peak_kib"].as_u64().unwrap_or_default();
    let status = place.listener.wait()?;
    drop(stdin);
    if !status.success() {
        return Err(format!("the listener ended with {status}").into());
    }
    say(
        "listener",
        json!({
            "connections": connections,
            "peak_mib": peak as f64 / 1024.0,
            "kib_each": peak as f64 / connections as f64,
            "seconds": started.elapsed().as_secs_f64(),
        }),
    );
    // Room is counted, not timed: a machine that is slow or busy needs no more of it.
    let most = MOST_KIB_EACH * u64::try_from(connections)?.max(LEAST);
    if peak > most {
        return Err(format!("the listener had {peak} KiB resident, {most} are allowed").into());
    }
    Ok(())
}

/// Dials, and sends and gets the first bytes.
async fn connect(
    ticket: &Ticket,
    config: Config,
    number: u64,
    bytes: usize,
) -> Result<Connection, Problem> {
    let mut connection = dial(ticket, config).await?;
    exchange(&mut connection, number, bytes).await?;
    Ok(connection)
}

async fn exchange(connection: &mut Connection, seed: u64, bytes: usize) -> Result<(), Problem> {
    let mut data = vec![0; bytes];
    Pattern::new(seed).fill(&mut data);
    connection.write_all(&data).await?;
    connection.flush().await?;
    let mut back = vec![0; bytes];
    connection.read_exact(&mut back).await?;
    if back != data {
        return Err("the echo differs".into());
    }
    Ok(())
}

/// Sends and gets once more, and closes.
async fn part(mut connection: Connection, number: u64, bytes: usize) -> Result<(), Problem> {
    exchange(&mut connection, number, bytes).await?;
    connection.close_write().await?;
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).await?;
    if !rest.is_empty() {
        return Err("more came back than was sent".into());
    }
    connection.closed().await?;
    Ok(())
}
