//! `stillwire-peer`: the work of the Go peer's benchmarks, done over `stillwire-tokio`
//! with the same verbs, flags and lines of JSON.
//!
//! ```text
//! stillwire-peer listen --endpoint URL --mode echo|sink|source [--connections N] [--bytes N]
//! stillwire-peer dial --mode echo|send|receive|pingpong|writes|connect [--bytes N]
//!                     [--count N] [--size N] [--buffer N] URL
//! ```
//!
//! Both take `--driver azblob|azqueue|aztable`, `--poll latency|balanced|thrift` and
//! `--queue delete|leave`: whether what was read is deleted or goes with its queue.
//!
//! The account key comes from AZURE_STORAGE_KEY. Ends with standard input.

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Value, json};
use stillwire_azure::queue::Limits;
use stillwire_benches::pattern::Pattern;
use stillwire_benches::process::{Flags, follow_stdin, peak_kib};
use stillwire_tokio::{
    Config, Connection, Options, Policy, ReadHalf, Store, Ticket, WriteHalf, dial,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const FLAGS: &[&str] = &[
    "driver",
    "poll",
    "queue",
    "endpoint",
    "mode",
    "bytes",
    "seed",
    "count",
    "size",
    "buffer",
    "connections",
];

type Problem = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Debug)]
struct Settings {
    driver: String,
    config: Config,
    options: Options,
    mode: String,
    bytes: u64,
    seed: u64,
    count: u64,
    size: usize,
    buffer: usize,
    connections: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    follow_stdin();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say("failed", json!({ "error": problem.to_string() }));
            ExitCode::FAILURE
        }
    }
}

/// Prints one line; standard output is flushed at each.
fn say(event: &str, mut fields: Value) {
    fields["event"] = event.into();
    fields["peak_kib"] = peak_kib().into();
    println!("{fields}");
}

async fn run() -> Result<(), Problem> {
    let flags = Flags::parse(std::env::args().skip(1), FLAGS)?;
    let queue = match flags.text("queue") {
        None | Some("delete") => Limits::default(),
        Some("leave") => Limits::leaving(),
        Some(other) => return Err(format!("--queue is delete or leave, not {other}").into()),
    };
    let policy = match flags.text("poll") {
        None | Some("balanced") => Policy::Balanced,
        Some("latency") => Policy::Latency,
        Some("thrift") => Policy::Thrift,
        Some(other) => return Err(format!("there is no policy {other}").into()),
    };
    let settings = Settings {
        driver: flags.text("driver").unwrap_or("azblob").to_owned(),
        config: Config {
            policy,
            ..Config::default()
        },
        options: Options {
            queue,
            ..Options::default()
        },
        mode: flags.text("mode").unwrap_or("echo").to_owned(),
        bytes: flags.number("bytes", 0)?,
        seed: flags.number("seed", 1)?,
        count: flags.number("count", 100)?,
        size: usize::try_from(flags.number("size", 1024)?)?,
        buffer: usize::try_from(flags.number("buffer", 32 * 1024)?)?.max(1),
        connections: flags.number("connections", 0)?,
    };
    match flags
        .words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["listen"] => {
            let endpoint = flags.text("endpoint").ok_or("--endpoint is missing")?;
            listen(&settings, endpoint).await
        }
        ["dial", url] => {
            let ticket = Ticket::parse(url, &settings.options)?;
            one(&settings, &ticket).await
        }
        _ => Err("usage: stillwire-peer listen | dial URL".into()),
    }
}

async fn listen(settings: &Settings, endpoint: &str) -> Result<(), Problem> {
    let address = format!("{}+{endpoint}", settings.driver);
    let store = Store::from_address(&address, &settings.options)?;
    let mut listener = store.listen(settings.config.clone()).await?;
    say("listening", json!({ "url": listener.ticket().to_string() }));
    let mut serving = Vec::new();
    while settings.connections == 0 || (serving.len() as u64) < settings.connections {
        let connection = listener.accept().await?;
        let settings = settings.clone();
        serving.push(tokio::spawn(async move {
            let start = Instant::now();
            let mut work = Work::new(settings, connection);
            let done = work.serve().await;
            work.report(start, done, &[])
        }));
    }
    for connection in serving {
        connection.await??;
    }
    listener.stop().await?;
    Ok(())
}

async fn one(settings: &Settings, ticket: &Ticket) -> Result<(), Problem> {
    let start = Instant::now();
    let connection = dial(ticket, settings.config.clone()).await?;
    say(
        "connected",
        json!({ "seconds": start.elapsed().as_secs_f64() }),
    );
    let start = Instant::now();
    let mut work = Work::new(settings.clone(), connection);
    let mut times = Vec::new();
    let done = work.dialed(&mut times).await;
    let open = done.is_ok();
    work.report(start, done, &times)?;
    if open {
        // The listener hears now that we have read everything, and need not wait for it.
        work.writer.closed().await?;
    }
    Ok(())
}

/// One connection and what has moved over it.
struct Work {
    settings: Settings,
    reader: ReadHalf,
    writer: WriteHalf,
    received: u64,
    sent: u64,
}

impl Work {
    fn new(settings: Settings, connection: Connection) -> Self {
        let (reader, writer) = connection.split();
        Self {
            settings,
            reader,
            writer,
            received: 0,
            sent: 0,
        }
    }

    /// The listener's side of a mode.
    async fn serve(&mut self) -> Result<(), Problem> {
        match self.settings.mode.as_str() {
            "echo" => {
                let mut buffer = vec![0; self.settings.buffer];
                loop {
                    let n = self.reader.read(&mut buffer).await?;
                    if n == 0 {
                        break;
                    }
                    self.received += n as u64;
                    self.writer.write_all(&buffer[..n]).await?;
                    self.sent += n as u64;
                }
            }
            "sink" => self.check_all().await?,
            "source" => self.send_all().await?,
            other => return Err(format!("listen has no mode {other}").into()),
        }
        self.writer.close_write().await?;
        if self.settings.mode == "source" {
            self.await_end().await?;
        }
        self.writer.closed().await?;
        Ok(())
    }

    /// The dialer's side of a mode.
    async fn dialed(&mut self, times: &mut Vec<f64>) -> Result<(), Problem> {
        match self.settings.mode.as_str() {
            "echo" => {
                let settings = &self.settings;
                let (reader, writer) = (&mut self.reader, &mut self.writer);
                let sending = async {
                    let sent = send(writer, settings).await?;
                    writer.close_write().await?;
                    Ok::<u64, Problem>(sent)
                };
                let (sent, received) = tokio::try_join!(sending, check(reader, settings))?;
                (self.sent, self.received) = (sent, received);
                if sent != received {
                    return Err(format!("sent {sent} bytes, {received} came back").into());
                }
            }
            "send" => {
                self.send_all().await?;
                self.writer.close_write().await?;
                self.await_end().await?;
            }
            "receive" => {
                self.check_all().await?;
                self.writer.close_write().await?;
            }
            "pingpong" => self.ping_pong(times).await?,
            "writes" => {
                let mut from = Pattern::new(self.settings.seed);
                let mut message = vec![0; self.settings.size];
                for _ in 0..self.settings.count {
                    from.fill(&mut message);
                    self.writer.write_all(&message).await?;
                    self.sent += message.len() as u64;
                }
                self.writer.close_write().await?;
                self.await_end().await?;
            }
            "connect" => {
                self.writer.close_write().await?;
                self.await_end().await?;
            }
            other => return Err(format!("dial has no mode {other}").into()),
        }
        Ok(())
    }

    async fn ping_pong(&mut self, times: &mut Vec<f64>) -> Result<(), Problem> {
        let mut from = Pattern::new(self.settings.seed);
        let mut check = from.clone();
        let mut message = vec![0; self.settings.size];
        for _ in 0..self.settings.count {
            from.fill(&mut message);
            let start = Instant::now();
            self.writer.write_all(&message).await?;
            self.reader.read_exact(&mut message).await?;
            times.push(start.elapsed().as_secs_f64());
            self.sent += message.len() as u64;
            self.received += message.len() as u64;
            if !check.matches(&message) {
                return Err("the pong differs from the ping".into());
            }
        }
        self.writer.close_write().await?;
        self.await_end().await
    }

    async fn send_all(&mut self) -> Result<(), Problem> {
        self.sent += send(&mut self.writer, &self.settings).await?;
        Ok(())
    }

    async fn check_all(&mut self) -> Result<(), Problem> {
        self.received += check(&mut self.reader, &self.settings).await?;
        Ok(())
    }

    /// Reads to the peer's end, which tells that it has everything.
    async fn await_end(&mut self) -> Result<(), Problem> {
        let mut buffer = vec![0; self.settings.buffer];
        while self.reader.read(&mut buffer).await? > 0 {}
        Ok(())
    }

    fn report(
        &self,
        start: Instant,
        done: Result<(), Problem>,
        times: &[f64],
    ) -> Result<(), Problem> {
        let stats = self.writer.stats();
        let fields = json!({
            "mode": self.settings.mode,
            "seconds": start.elapsed().as_secs_f64(),
            "received": self.received,
            "sent": self.sent,
            "times": times,
            "counted": {
                "writes": stats.writes,
                "reads": stats.reads,
                "empty_reads": stats.empty_reads,
                "deletes": stats.deletes,
                "other": stats.other_requests,
                "retries": stats.retries,
            },
        });
        if done.is_ok() {
            say("done", fields);
        }
        done
    }
}

/// Writes so many bytes of the pattern.
async fn send(to: &mut (impl AsyncWrite + Unpin), settings: &Settings) -> io::Result<u64> {
    let mut pattern = Pattern::new(settings.seed);
    let mut buffer = vec![0; settings.buffer];
    let mut left = settings.bytes;
    while left > 0 {
        let n = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        pattern.fill(&mut buffer[..n]);
        to.write_all(&buffer[..n]).await?;
        left -= n as u64;
    }
    Ok(settings.bytes)
}

/// Reads to the end and compares with the pattern.
async fn check(from: &mut (impl AsyncRead + Unpin), settings: &Settings) -> Result<u64, Problem> {
    let mut pattern = Pattern::new(settings.seed);
    let mut buffer = vec![0; settings.buffer];
    let mut received = 0;
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(received);
        }
        if !pattern.matches(&buffer[..n]) {
            return Err(format!("bytes differ from the pattern after offset {received}").into());
        }
        received += n as u64;
    }
}
