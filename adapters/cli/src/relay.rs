//! Joins a connection to a local stream, both ways, until both directions have ended.

use crate::exit::Fault;
use crate::run::{FAREWELL, Run};
use crate::units;
use serde_json::json;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use stillwire_core::Error;
use stillwire_tokio::{
    Connection, ReadHalf, Secure, SecureReader, SecureStream, SecureWriter, Stats, WriteHalf,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

const BUFFER: usize = 256 << 10;

/// A connection of any protocol that carries bytes both ways.
pub(crate) trait Joins: Send {
    type Read: Hears;
    type Write: Ends;

    fn halves(self) -> (Self::Read, Self::Write);
}

/// Its reading half.
pub(crate) trait Hears: AsyncRead + Send + Unpin {
    /// Whether the peer's end is authentic, once it was read.
    fn ended_authentically(&self) -> Option<bool>;
}

/// Its writing half.
pub(crate) trait Ends: AsyncWrite + Send + Unpin {
    /// Ends our direction.
    fn close_write(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// Waits until the connection is over.
    fn closed(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// What it has counted, where requests cost something.
    fn counted(&self) -> Option<Stats>;
}

impl Joins for Connection {
    type Read = ReadHalf;
    type Write = WriteHalf;

    fn halves(self) -> (ReadHalf, WriteHalf) {
        self.split()
    }
}

impl Hears for ReadHalf {
    fn ended_authentically(&self) -> Option<bool> {
        // Any other end of a stream over storage is an error.
        None
    }
}

impl Ends for WriteHalf {
    async fn close_write(&mut self) -> io::Result<()> {
        (**self).close_write().await
    }

    async fn closed(&mut self) -> Result<(), Error> {
        (**self).closed().await
    }

    fn counted(&self) -> Option<Stats> {
        Some(self.stats())
    }
}

impl<M: Secure> Joins for SecureStream<M> {
    type Read = SecureReader<M>;
    type Write = SecureWriter<M>;

    fn halves(self) -> (SecureReader<M>, SecureWriter<M>) {
        self.split()
    }
}

impl<M: Secure> Hears for SecureReader<M> {
    fn ended_authentically(&self) -> Option<bool> {
        (**self).ended_authentically()
    }
}

impl<M: Secure> Ends for SecureWriter<M> {
    async fn close_write(&mut self) -> io::Result<()> {
        (**self).close_write().await
    }

    async fn closed(&mut self) -> Result<(), Error> {
        (**self).closed().await
    }

    fn counted(&self) -> Option<Stats> {
        None
    }
}

/// What is on our side of a connection.
pub(crate) struct Local<R, W> {
    /// Its bytes go to the peer; its end ends our direction.
    pub(crate) source: R,
    /// Gets the peer's bytes and is shut down at the peer's end.
    pub(crate) sink: W,
    /// Nobody waits for more of the source once the peer has ended.
    pub(crate) ends_with_peer: bool,
    /// Turns what went wrong here into a fault.
    pub(crate) fault: fn(&str, &io::Error) -> Fault,
}

/// Why the copying stopped.
enum Stopped {
    BothEnded,
    PeerEnded,
    SinkGone,
    Interrupted,
}

enum Copied {
    ToTheEnd,
    SinkGone,
}

/// Bytes copied each way so far.
#[derive(Default)]
struct Moved {
    up: AtomicU64,
    down: AtomicU64,
}

/// Copies both ways at once, ends both directions, and waits until the connection is over.
pub(crate) async fn relay<R, W>(
    run: &Run,
    connection: impl Joins,
    local: Local<R, W>,
) -> Result<(), Fault>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let started = Instant::now();
    let (mut read, mut write) = connection.halves();
    let moved = Moved::default();
    let result = copy_both(run, &mut read, &mut write, local, &moved).await;
    let result = match result {
        Ok(Stopped::SinkGone) => Ok(()),
        Ok(_) => {
            if let Some(stats) = write.counted() {
                tell_end(run, &stats, started.elapsed());
            }
            last_words(run, &mut write).await
        }
        Err(fault) => Err(fault),
    };
    match write.counted() {
        Some(stats) => run.totals.add(&stats),
        None => run
            .totals
            .carried(moved.up.into_inner(), moved.down.into_inner()),
    }
    result
}

/// Says of an end that anybody in between may have brought about that it is one.
pub(crate) fn tell_unauthenticated(run: &Run, read: &impl Hears) {
    if read.ended_authentically() == Some(false) {
        run.out.event(
            &json!({ "event": "ended", "authenticated": false }),
            "the peer's end is not authenticated: this protocol has no end mark, and somebody in \
             between may have cut the stream there",
        );
    }
}

fn tell_end(run: &Run, stats: &Stats, time: Duration) {
    let (sent, received) = (stats.bytes_stored, stats.bytes_received);
    let json = json!({
        "event": "finished",
        "bytes_sent": sent,
        "bytes_received": received,
        "seconds": time.as_secs_f64(),
        "transactions": stats.requests(),
    });
    let human = format!(
        "sent {}, received {} in {}, {}, {}",
        units::bytes(sent),
        units::bytes(received),
        units::seconds(time),
        units::rate(sent + received, time),
        units::count(stats.requests(), "transaction"),
    );
    run.out.event(&json, &human);
}

async fn copy_both<R, W>(
    run: &Run,
    read: &mut impl Hears,
    write: &mut impl Ends,
    local: Local<R, W>,
    moved: &Moved,
) -> Result<Stopped, Fault>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let ends_with_peer = local.ends_with_peer;
    let stopped = {
        let mut up = pin!(copy_up(local.source, write, local.fault, &moved.up));
        let mut down = pin!(copy_down(run, read, local.sink, local.fault, &moved.down));
        let (mut up_ended, mut down_ended) = (false, false);
        loop {
            tokio::select! {
                biased;
                () = run.interrupt.asked() => break Stopped::Interrupted,
                result = &mut up, if !up_ended => {
                    result?;
                    up_ended = true;
                }
                result = &mut down, if !down_ended => match result? {
                    Copied::ToTheEnd => down_ended = true,
                    Copied::SinkGone => break Stopped::SinkGone,
                },
            }
            if up_ended && down_ended {
                break Stopped::BothEnded;
            }
            if down_ended && ends_with_peer {
                break Stopped::PeerEnded;
            }
        }
    };
    match stopped {
        Stopped::BothEnded => {}
        Stopped::PeerEnded => write.close_write().await.map_err(lost)?,
        // Whoever read our output has enough: a quiet end, and the peer's bytes are for nobody.
        Stopped::SinkGone => {
            let _ = timeout(FAREWELL, write.close_write()).await;
        }
        Stopped::Interrupted => {
            farewell(write).await;
            return Err(Fault::interrupted());
        }
    }
    Ok(stopped)
}

/// Everything has been delivered; the peer may still have to learn that, and a listener to clean
/// up behind it.
async fn last_words(run: &Run, write: &mut impl Ends) -> Result<(), Fault> {
    tokio::select! {
        biased;
        result = write.closed() => result.map_err(Fault::from),
        () = run.interrupt.asked() => Err(Fault::interrupted()),
    }
}

/// Ends our direction and gives the peer a moment to end its own.
pub(crate) async fn farewell(write: &mut impl Ends) {
    let end = async {
        if write.close_write().await.is_ok() {
            let _ = write.closed().await;
        }
    };
    let _ = timeout(FAREWELL, end).await;
}

async fn copy_up(
    mut source: impl AsyncRead + Unpin,
    write: &mut impl Ends,
    fault: fn(&str, &io::Error) -> Fault,
    moved: &AtomicU64,
) -> Result<(), Fault> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = tokio::select! {
            biased;
            read = source.read(&mut buffer) => {
                read.map_err(|error| fault("cannot read what to send", &error))?
            }
            // Before our end it can only have ended badly; the source may stay silent for ever.
            ended = write.closed() => return ended.map_err(Fault::from),
        };
        match buffer.get(..n).filter(|data| !data.is_empty()) {
            Some(data) => {
                write.write_all(data).await.map_err(lost)?;
                moved.fetch_add(data.len() as u64, Ordering::Relaxed);
            }
            None => return write.close_write().await.map_err(lost),
        }
    }
}

async fn copy_down(
    run: &Run,
    read: &mut impl Hears,
    mut sink: impl AsyncWrite + Unpin,
    fault: fn(&str, &io::Error) -> Fault,
    moved: &AtomicU64,
) -> Result<Copied, Fault> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = read.read(&mut buffer).await.map_err(lost)?;
        moved.fetch_add(n as u64, Ordering::Relaxed);
        if n == 0 {
            tell_unauthenticated(run, read);
        }
        let delivered = match buffer.get(..n).filter(|data| !data.is_empty()) {
            Some(data) => deliver(&mut sink, data).await,
            None => sink.shutdown().await,
        };
        match delivered {
            Err(error) if is_gone(&error) => return Ok(Copied::SinkGone),
            Err(error) => return Err(fault("cannot write what arrived", &error)),
            Ok(()) if n == 0 => return Ok(Copied::ToTheEnd),
            Ok(()) => {}
        }
    }
}

/// Whoever read what we wrote has closed it: enough for them, and no fault.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

async fn deliver(sink: &mut (impl AsyncWrite + Unpin), data: &[u8]) -> io::Result<()> {
    sink.write_all(data).await?;
    sink.flush().await
}

/// A connection that failed under us.
#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
pub(crate) fn lost(error: io::Error) -> Fault {
    Fault::connection(&error)
}
