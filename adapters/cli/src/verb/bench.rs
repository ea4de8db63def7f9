//! `stillwire bench STORE`

use crate::args::{Bench, Place};
use crate::exit::Fault;
use crate::run::{NamedStore, Run};
use crate::units;
use serde_json::json;
use std::time::{Duration, Instant};
use stillwire_tokio::{Config, Connection, ReadHalf, Stats, WriteHalf, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BUFFER: usize = 1 << 20;
/// Bytes of a question, and of its answer.
const QUESTION: usize = 64;
/// The dialer comes at once, and nobody pays for a short wait.
const MEETING: Duration = Duration::from_millis(20);
/// How long the clean-up may take.
const GRACE: Duration = Duration::from_secs(10);

/// What was measured.
pub(crate) struct Figures {
    pub(crate) connect: Duration,
    /// From the dialer to the listener.
    pub(crate) up: Duration,
    /// Back.
    pub(crate) down: Duration,
    /// Each question's way there and back, the shortest first.
    pub(crate) round_trips: Vec<Duration>,
    pub(crate) transactions: u64,
}

/// Measures, and prints.
pub(crate) async fn run(verb: &Bench, run: &Run) -> Result<(), Fault> {
    let store = private(run, &verb.store)?;
    let figures = measure(run, &store, verb.bytes, verb.rounds)
        .await
        .map_err(|fault| fault.over(&store.name))?;
    let percentile = |part: usize| {
        let at = figures.round_trips.len().saturating_sub(1) * part / 100;
        figures.round_trips.get(at).copied().unwrap_or_default()
    };
    let (p50, p90) = (percentile(50), percentile(90));
    let json = json!({
        "store": store.name,
        "bytes_each_way": verb.bytes,
        "connect_seconds": figures.connect.as_secs_f64(),
        "up_megabytes_per_second": units::megabytes_per_second(verb.bytes, figures.up),
        "down_megabytes_per_second": units::megabytes_per_second(verb.bytes, figures.down),
        "rounds": figures.round_trips.len(),
        "round_trip_p50_seconds": p50.as_secs_f64(),
        "round_trip_p90_seconds": p90.as_secs_f64(),
        "transactions": figures.transactions,
    });
    let mut lines = vec![
        format!("store         {}", store.name),
        format!("connect       {}", units::seconds(figures.connect)),
    ];
    if verb.bytes > 0 {
        lines.push(format!(
            "throughput    {} there, {} back, of {}",
            units::rate(verb.bytes, figures.up),
            units::rate(verb.bytes, figures.down),
            units::bytes(verb.bytes),
        ));
    }
    if !figures.round_trips.is_empty() {
        lines.push(format!(
            "round trip    {} in the middle, {} for nine in ten, of {}",
            units::milliseconds(p50),
            units::milliseconds(p90),
            units::count(figures.round_trips.len() as u64, "question"),
        ));
    }
    lines.push(format!(
        "transactions  {}, both ends, with the handshake",
        figures.transactions
    ));
    let human = lines.join("\n");
    run.out.result(&json, &human);
    Ok(())
}

/// A store under names that nobody else uses, so that no dialer of others is taken.
pub(crate) fn private(run: &Run, address: &str) -> Result<NamedStore, Fault> {
    if address == "memory:" {
        return run.open(address);
    }
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    let name = |what: &str| Some(format!("sw{what}{:x}x{nanos:08x}", std::process::id()));
    run.open_place(&Place {
        store: address.to_owned(),
        handshake: name("hand"),
        token: name("tok"),
    })
}

/// Runs both ends here, and removes the meeting place again.
pub(crate) async fn measure(
    run: &Run,
    store: &NamedStore,
    bytes: u64,
    rounds: u32,
) -> Result<Figures, Fault> {
    let config = Config {
        accept_poll: MEETING,
        token_poll: MEETING,
        remove_bootstrap: true,
        ..run.config()
    };
    let mut listener = store.listen(config.clone()).await?;
    let monitor = listener.monitor();
    run.totals.watch(monitor.clone());
    let mut requests = 0;
    let ticket = listener.ticket().clone();
    let started = Instant::now();
    let meeting = async {
        let (here, there) = tokio::join!(listener.accept(), dial(&ticket, config));
        Ok::<_, Fault>((here.map_err(Fault::from)?, there.map_err(Fault::handshake)?))
    };
    let measured = async {
        let (here, there) = meeting.await?;
        let connect = started.elapsed();
        let (mut figures, stats) = converse(here, there, bytes, rounds).await?;
        for stats in &stats {
            run.totals.add(stats);
        }
        requests = stats.iter().map(Stats::requests).sum();
        figures.connect = connect;
        Ok(figures)
    };
    let result = run.interrupt.or(measured).await;
    let grace = if result.is_ok() {
        GRACE
    } else {
        Duration::ZERO
    };
    let stopped = tokio::time::timeout(2 * GRACE, listener.stop_within(grace)).await;
    let mut figures = result?;
    figures.transactions = requests + monitor.stats().requests();
    stopped.map_or(Ok(()), |stopped| stopped.map_err(Fault::from))?;
    Ok(figures)
}

async fn converse(
    here: Connection,
    there: Connection,
    bytes: u64,
    rounds: u32,
) -> Result<(Figures, [Stats; 2]), Fault> {
    let lost = |error: std::io::Error| Fault::connection(&error);
    let (mut here_read, mut here_write) = here.split();
    let (mut there_read, mut there_write) = there.split();
    // Questions first: what a bulk transfer teaches the poller would flatter them.
    let mut round_trips = Vec::new();
    for _ in 0..rounds {
        let asked = Instant::now();
        let mut question = [7; QUESTION];
        there_write.write_all(&question).await.map_err(lost)?;
        let answering = async {
            let mut heard = [0; QUESTION];
            here_read.read_exact(&mut heard).await?;
            here_write.write_all(&heard).await
        };
        let (answered, heard) = tokio::join!(answering, there_read.read_exact(&mut question));
        answered.map_err(lost)?;
        heard.map_err(lost)?;
        round_trips.push(asked.elapsed());
    }
    round_trips.sort_unstable();
    let up = transfer(&mut there_write, &mut here_read, bytes).await?;
    let down = transfer(&mut here_write, &mut there_read, bytes).await?;
    let ends = async {
        let (a, b) = tokio::join!(here_write.close_write(), there_write.close_write());
        a.and(b).map_err(lost)?;
        let (mut here, mut there) = ([0; 1], [0; 1]);
        let (a, b) = tokio::join!(here_read.read(&mut here), there_read.read(&mut there));
        a.and(b).map_err(lost)?;
        let (a, b) = tokio::join!(here_write.closed(), there_write.closed());
        a.and(b).map_err(Fault::from)
    };
    ends.await?;
    let figures = Figures {
        connect: Duration::ZERO,
        up,
        down,
        round_trips,
        transactions: 0,
    };
    Ok((figures, [here_write.stats(), there_write.stats()]))
}

/// The time from the first byte's writing to the last one's arrival.
async fn transfer(
    write: &mut WriteHalf,
    read: &mut ReadHalf,
    bytes: u64,
) -> Result<Duration, Fault> {
    let lost = |error: std::io::Error| Fault::connection(&error);
    let started = Instant::now();
    let sending = async {
        let data = vec![0x5a; BUFFER];
        let mut left = bytes;
        while left > 0 {
            let n = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            write.write_all(data.get(..n).unwrap_or_default()).await?;
            left -= n as u64;
        }
        write.flush().await
    };
    let taking = async {
        let mut buffer = vec![0; BUFFER];
        let mut left = bytes;
        while left > 0 {
            let n = read.read(&mut buffer).await?;
            if n == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            left = left.saturating_sub(n as u64);
        }
        Ok(started.elapsed())
    };
    let (sent, taken) = tokio::join!(sending, taking);
    sent.map_err(lost)?;
    taken.map_err(lost)
}
