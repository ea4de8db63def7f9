//! `stillwire demo [STORE]`

use crate::args::Demo;
use crate::exit::{Code, Fault};
use crate::run::{FAREWELL, NamedStore, Run};
use crate::{echo, units};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use stillwire_tokio::{Config, ReadHalf, Stats, Ticket, WriteHalf, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::block_in_place;

const BUFFER: usize = 1 << 20;

/// The dialer comes at once, and nobody pays for a short wait.
const MEETING: Duration = Duration::from_millis(20);

/// What one end saw of the stream.
struct Seen {
    bytes: u64,
    sha256: [u8; 32],
    stats: Stats,
}

/// The dialing end's view.
struct There {
    sent: Seen,
    returned: [u8; 32],
    handshake: Duration,
    transfer: Duration,
}

/// Runs both ends, each in a thread and a runtime of its own, and compares what they saw.
pub(crate) async fn run(verb: &Demo, run: &Run) -> Result<(), Fault> {
    let mut data = match &verb.file {
        Some(path) => Data::from_file(path)?,
        None => Data::random(verb.bytes),
    };
    // Removed when it goes out of scope.
    let mut temporary = None;
    let address = if let Some(address) = &verb.store {
        address.clone()
    } else {
        let directory = tempfile::Builder::new().prefix("stillwire-demo-").tempdir();
        let directory =
            directory.map_err(|error| Fault::file("cannot make a temporary directory", &error))?;
        let address = format!("dir:{}", directory.path().display());
        temporary = Some(directory);
        address
    };
    let store = run.open(&address)?;
    let config = Config {
        accept_poll: MEETING,
        token_poll: MEETING,
        ..run.config()
    };
    let (stop, stopped) = oneshot::channel();
    let (ticket, listening) = oneshot::channel();
    let (done, listened) = oneshot::channel();
    let (its_store, its_config) = (store.clone(), config.clone());
    let listener = thread::Builder::new()
        .name("listener".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let result = match runtime {
                Ok(runtime) => runtime.block_on(listen(&its_store, its_config, ticket, stopped)),
                Err(error) => Err(Fault::file("cannot start", &error)),
            };
            // Nobody listens any more after an interruption.
            let _ = done.send(result);
        });
    listener.map_err(|error| Fault::file("cannot start a thread", &error))?;
    let there = run
        .interrupt
        .or(async {
            let Ok(ticket) = listening.await else {
                return Ok(None);
            };
            send(&mut data, &ticket, config).await.map(Some)
        })
        .await;
    if there.is_err() {
        drop(stop);
    }
    let patience = if there.is_ok() {
        Duration::MAX
    } else {
        FAREWELL
    };
    let here = match tokio::time::timeout(patience, listened).await {
        Ok(Ok(here)) => here,
        _ => Err(Fault::new(Code::Local, "the listening end is gone")),
    };
    drop(temporary);
    // The dialer's fault tells more than what it does to the listener; without a ticket it has none.
    let (there, here) = match (there, here) {
        (Err(fault), _) | (Ok(_), Err(fault)) => return Err(fault.over(&store.name)),
        (Ok(None), Ok(_)) => return Err(Fault::new(Code::Local, "the listening end is gone")),
        (Ok(Some(there)), Ok(here)) => (there, here),
    };
    run.totals.add(&there.sent.stats);
    run.totals.add(&here.stats);
    report(run, &store, &there, &here)
}

/// The listening end: echoes one connection.
async fn listen(
    store: &NamedStore,
    config: Config,
    ticket: oneshot::Sender<Ticket>,
    stop: oneshot::Receiver<()>,
) -> Result<Seen, Fault> {
    let mut listener = store.listen(config).await?;
    if ticket.send(listener.ticket().clone()).is_err() {
        return Err(Fault::interrupted());
    }
    let echo = async {
        let connection = listener.accept().await.map_err(Fault::from)?;
        let (mut read, mut write) = connection.split();
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        echo::copy(&mut read, &mut write, |data| {
            digest.update(data);
            bytes += data.len() as u64;
        })
        .await?;
        Ok(Seen {
            bytes,
            sha256: digest.finalize().into(),
            stats: write.stats(),
        })
    };
    let result = tokio::select! {
        result = echo => result,
        _ = stop => Err(Fault::interrupted()),
    };
    listener.stop().await.map_err(Fault::from)?;
    result
}

/// The dialing end: sends and takes back.
async fn send(data: &mut Data, ticket: &Ticket, config: Config) -> Result<There, Fault> {
    let started = Instant::now();
    let connection = dial(ticket, config).await.map_err(Fault::handshake)?;
    let handshake = started.elapsed();
    let started = Instant::now();
    let (mut read, mut write) = connection.split();
    let (sent, returned) = tokio::try_join!(pour(data, &mut write), drain(&mut read))?;
    write.closed().await.map_err(Fault::from)?;
    Ok(There {
        sent: Seen {
            bytes: sent.0,
            sha256: sent.1,
            stats: write.stats(),
        },
        returned,
        handshake,
        transfer: started.elapsed(),
    })
}

async fn pour(data: &mut Data, write: &mut WriteHalf) -> Result<(u64, [u8; 32]), Fault> {
    let lost = |error: std::io::Error| Fault::connection(&error);
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = block_in_place(|| {
            let n = data.fill(&mut buffer)?;
            digest.update(buffer.get(..n).unwrap_or_default());
            Ok::<_, Fault>(n)
        })?;
        let part = buffer.get(..n).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        write.write_all(part).await.map_err(lost)?;
        bytes += n as u64;
    }
    write.close_write().await.map_err(lost)?;
    Ok((bytes, digest.finalize().into()))
}

async fn drain(read: &mut ReadHalf) -> Result<[u8; 32], Fault> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = read.read(&mut buffer).await;
        let n = n.map_err(|error| Fault::connection(&error))?;
        if n == 0 {
            return Ok(digest.finalize().into());
        }
        digest.update(buffer.get(..n).unwrap_or_default());
    }
}

fn report(run: &Run, store: &NamedStore, there: &There, here: &Seen) -> Result<(), Fault> {
    let sent = &there.sent;
    let equal = sent.sha256 == here.sha256 && sent.sha256 == there.returned;
    if !equal || sent.bytes != here.bytes {
        return Err(
            Fault::new(Code::Peer, "what came back is not what was sent")
                .over(&store.name)
                .with_hint("please report this"),
        );
    }
    let transactions = sent.stats.requests() + here.stats.requests();
    let chunks = sent.stats.chunks_sealed + here.stats.chunks_sealed;
    let moved = sent.bytes * 2;
    let overhead = overhead(chunks);
    let share = match moved {
        0 => String::new(),
        _ => format!(" ({:.3} %)", overhead as f64 * 100.0 / moved as f64),
    };
    let digest = units::hex(&sent.sha256);
    let json = json!({
        "store": store.name,
        "bytes_each_way": sent.bytes,
        "sha256": digest,
        "handshake_seconds": there.handshake.as_secs_f64(),
        "seconds": there.transfer.as_secs_f64(),
        "megabytes_per_second": units::megabytes_per_second(moved, there.transfer),
        "transactions": transactions,
        "chunks": chunks,
        "overhead_bytes": overhead,
    });
    let human = format!(
        "store      {}\n\
         handshake  {}, Noise NN (anonymous)\n\
         echo       {} there and back in {}, {}, {}\n\
         overhead   {} for {}{share}\n\
         sha256     {digest}, equal at both ends",
        store.name,
        units::seconds(there.handshake),
        units::bytes(sent.bytes),
        units::seconds(there.transfer),
        units::rate(moved, there.transfer),
        units::count(transactions, "transaction"),
        units::bytes(overhead),
        units::count(chunks, "chunk"),
    );
    run.out.result(&json, &human);
    Ok(())
}

/// What a chunk costs beyond its data: length (4), tag (16), and the header of its frame (5).
fn overhead(chunks: u64) -> u64 {
    chunks * 25
}

/// What is sent: a file, or bytes that no one could compress.
enum Data {
    File(File, String),
    Random { state: u64, left: u64 },
}

impl Data {
    fn from_file(path: &Path) -> Result<Self, Fault> {
        let shown = path.display().to_string();
        let file = File::open(path)
            .map_err(|error| Fault::file(&format!("cannot read {shown:?}"), &error))?;
        Ok(Self::File(file, shown))
    }

    fn random(bytes: u64) -> Self {
        Self::Random {
            state: 0x9E37_79B9_7F4A_7C15,
            left: bytes,
        }
    }

    /// Fills the buffer from its front; 0 at the end.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        match self {
            Self::File(file, shown) => file
                .read(buffer)
                .map_err(|error| Fault::file(&format!("cannot read {shown:?}"), &error)),
            Self::Random { state, left } => {
                let n = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                for part in buffer.get_mut(..n).unwrap_or_default().chunks_mut(8) {
                    // xorshift64*: nothing here is a secret.
                    *state ^= *state >> 12;
                    *state ^= *state << 25;
                    *state ^= *state >> 27;
                    let word = state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
                    part.copy_from_slice(word.get(..part.len()).unwrap_or_default());
                }
                *left -= n as u64;
                Ok(n)
            }
        }
    }
}
