//! Two halves on two tasks, calls that are given up, ends that race with reads and drops: every
//! byte comes once and in order, every end is told, and nobody waits for ever.
//!
//! Each pair has a seed, which a failure names; how its tasks run against each other, no seed says.
//! `STILLWIRE_RACES` is how many pairs each test takes, a few by default.

mod machines;
mod pipe;

use futures_util::future::BoxFuture;
use futures_util::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use machines::{Ends, Opening};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Poll;
use std::time::Duration;
use stillwire_core::Error;
use stillwire_futures::Runtime;

/// Longer than any pair takes, and than a connection that was dropped lingers.
const PATIENCE: Duration = Duration::from_secs(90);
/// Pairs that run at once.
const CROWD: usize = 8;

/// Numbers from a seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// At least one; any magnitude of less than so many bits is as likely as any other.
    pub(crate) fn size(&mut self, bits: usize) -> usize {
        let magnitude = self.below(bits);
        1 + self.below(1 << magnitude)
    }

    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = length.div_ceil(8);
        let mut bytes: Vec<u8> = (0..words).flat_map(|_| self.next().to_ne_bytes()).collect();
        bytes.truncate(length);
        bytes
    }
}

/// The reading half of any connection.
pub(crate) trait Reads: AsyncRead + Send + Unpin {}

/// The writing half.
pub(crate) trait Writes: AsyncWrite + Send + Unpin {
    /// Its `closed`.
    fn over(&mut self) -> BoxFuture<'_, Result<(), Error>>;
}

/// A connection taken apart.
pub(crate) type Halves = (Box<dyn Reads>, Box<dyn Writes>);

/// How an end leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// Ends its direction, and stays until both have ended.
    Closing,
    /// Asks for its end once, and drops everything.
    Hasty,
    /// Drops everything.
    Dropping,
}

/// What one end sends, and how the other is going to leave.
struct Part {
    dice: Dice,
    sends: Arc<Vec<u8>>,
    expects: Arc<Vec<u8>>,
    leaves: Leaving,
    peer: Leaving,
    /// False where the protocol has no end mark.
    marked: bool,
}

/// Waits for `future`, or gives it up after a few polls that found it pending.
async fn perhaps<T>(dice: &mut Dice, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut patience = match dice.below(3) {
        0 => u32::MAX,
        some => some as u32,
    };
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => {
            patience -= 1;
            if patience == 0 {
                return Poll::Ready(None);
            }
            Poll::Pending
        }
    })
    .await
}

async fn let_others_run() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn send(to: &mut dyn Writes, dice: &mut Dice, data: &[u8]) -> io::Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        let most = dice.size(17);
        let piece = &rest[..rest.len().min(most)];
        if let Some(n) = perhaps(dice, to.write(piece)).await {
            rest = &rest[n?..];
        }
        if dice.below(16) == 0
            && let Some(flushed) = perhaps(dice, to.flush()).await
        {
            flushed?;
        }
        if dice.below(16) == 0 {
            let_others_run().await;
        }
    }
    Ok(())
}

/// Our direction, to its end.
async fn write(mut to: Box<dyn Writes>, mut part: Part) -> Result<(), String> {
    let dice = &mut part.dice;
    let sent = send(&mut *to, dice, &part.sends).await;
    if part.peer != Leaving::Closing {
        // Whoever has left may have left before this was sent.
        let _ = to.close().await;
        return Ok(());
    }
    sent.map_err(|error| format!("while sending: {error}"))?;
    match part.leaves {
        Leaving::Closing => {
            let ended = loop {
                if let Some(ended) = perhaps(dice, to.close()).await {
                    break ended;
                }
            };
            ended.map_err(|error| format!("while ending: {error}"))?;
            let over = loop {
                if let Some(over) = perhaps(dice, to.over()).await {
                    break over;
                }
            };
            over.map_err(|error| format!("at the end: {error}"))
        }
        Leaving::Hasty => {
            let polled = poll_fn(|cx| Poll::Ready(pin!(to.close()).poll(cx))).await;
            match polled {
                Poll::Ready(Err(error)) => Err(format!("while ending: {error}")),
                _ => Ok(()),
            }
        }
        Leaving::Dropping => Ok(()),
    }
}

/// The peer's direction, to its end.
async fn read(mut from: Box<dyn Reads>, mut part: Part) -> Result<(), String> {
    let dice = &mut part.dice;
    let mut buffer = vec![0; dice.size(17)];
    let mut got = 0;
    if part.leaves != Leaving::Closing {
        // Reads a little, and is gone.
        for _ in 0..dice.below(8) {
            let _ = perhaps(dice, from.read(&mut buffer)).await;
        }
        return Ok(());
    }
    loop {
        let room = 1 + dice.below(buffer.len());
        let Some(read) = perhaps(dice, from.read(&mut buffer[..room])).await else {
            continue;
        };
        match read {
            Ok(0) => break,
            Ok(n) if part.expects.get(got..got + n) == Some(&buffer[..n]) => got += n,
            Ok(n) => return Err(format!("{n} bytes at {got} are not those that were sent")),
            Err(_) if part.peer == Leaving::Dropping && part.marked => {
                return complete(got, &part.expects);
            }
            Err(error) => return Err(format!("after {got} bytes: {error}")),
        }
        if dice.below(16) == 0 {
            let_others_run().await;
        }
    }
    if part.peer == Leaving::Dropping && part.marked {
        return Err("an end that nobody said".to_owned());
    }
    complete(got, &part.expects)?;
    match from.read(&mut buffer).await {
        Ok(0) => Ok(()),
        other => Err(format!("behind the end: {other:?}")),
    }
}

fn complete(got: usize, expected: &[u8]) -> Result<(), String> {
    if got == expected.len() {
        return Ok(());
    }
    Err(format!("{got} bytes of {} came", expected.len()))
}

const READS: [&str; 2] = ["one reads", "other reads"];
const WRITES: [&str; 2] = ["one writes", "other writes"];

type Told = (u64, &'static str, Result<(), String>);

/// Starts a pair; its four tasks report.
fn start(runtime: &Arc<dyn Runtime>, opening: Opening, seed: u64, tell: &Sender<Told>) {
    let mut dice = Dice(seed);
    let leaving = [Leaving::Closing, Leaving::Hasty, Leaving::Dropping];
    let leaves = [leaving[dice.below(3)], Leaving::Closing];
    let mut data = || {
        let length = dice.size(16);
        Arc::new(dice.bytes(length))
    };
    let data = [data(), data()];
    let (run, tell) = (Arc::clone(runtime), tell.clone());
    let task = async move {
        let Ends {
            halves,
            marked,
            silent,
        } = match opening(run.clone(), dice.fork()).await {
            Ok(ends) => ends,
            Err(error) => {
                let _ = tell.send((seed, "opening", Err(error.to_string())));
                return;
            }
        };
        let leaves = leaves.map(|how| match how {
            Leaving::Dropping if silent => Leaving::Hasty,
            how => how,
        });
        for (me, (from, to)) in halves.into_iter().enumerate() {
            let mut part = || Part {
                dice: dice.fork(),
                sends: data[me].clone(),
                expects: data[1 - me].clone(),
                leaves: leaves[me],
                peer: leaves[1 - me],
                marked,
            };
            let (reading, writing, heard) = (part(), part(), tell.clone());
            run.spawn(Box::pin(async move {
                let outcome = read(from, reading).await;
                let _ = heard.send((seed, READS[me], outcome));
            }));
            let heard = tell.clone();
            run.spawn(Box::pin(async move {
                let outcome = write(to, writing).await;
                let _ = heard.send((seed, WRITES[me], outcome));
            }));
        }
    };
    runtime.spawn(Box::pin(task));
}

fn settle(told: &Receiver<Told>, due: &mut Vec<(u64, Vec<&'static str>)>) {
    let Ok((seed, who, outcome)) = told.recv_timeout(PATIENCE) else {
        panic!("no more is told: {due:?}");
    };
    if let Err(error) = outcome {
        panic!("seed {seed}: {who}: {error}");
    }
    for pair in due.iter_mut().filter(|pair| pair.0 == seed) {
        pair.1.retain(|task| *task != who);
    }
    due.retain(|pair| !pair.1.is_empty());
}

/// Runs pairs, some at once, until all is told.
fn hammer(runtime: &Arc<dyn Runtime>, opening: fn() -> Opening) {
    let pairs = std::env::var("STILLWIRE_RACES").ok();
    let pairs = pairs.and_then(|pairs| pairs.parse().ok()).unwrap_or(16);
    let first = std::env::var("STILLWIRE_RACES_FROM").ok();
    let first = first.and_then(|first| first.parse().ok()).unwrap_or(0);
    let (tell, told) = channel();
    let mut due = Vec::new();
    for seed in first..first + pairs {
        while due.len() >= CROWD {
            settle(&told, &mut due);
        }
        start(runtime, opening(), seed, &tell);
        due.push((seed, READS.into_iter().chain(WRITES).collect()));
    }
    while !due.is_empty() {
        settle(&told, &mut due);
    }
}

fn on_tokio(opening: fn() -> Opening) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let ours: Arc<dyn Runtime> = Arc::new(stillwire_tokio::TokioRuntime::new(handle));
    hammer(&ours, opening);
    runtime.shutdown_background();
}

fn on_smol(opening: fn() -> Opening) {
    let ours: Arc<dyn Runtime> = Arc::new(stillwire_smol::SmolRuntime::new());
    hammer(&ours, opening);
}

fn on_threads(opening: fn() -> Opening) {
    let ours: Arc<dyn Runtime> = Arc::new(stillwire_blocking::Threads::shared());
    hammer(&ours, opening);
}

macro_rules! races {
    ($($protocol:ident),*) => {$(
        mod $protocol {
            use crate::machines::$protocol as opening;

            #[test]
            fn on_tokio() {
                crate::on_tokio(opening);
            }

            #[test]
            fn on_smol() {
                crate::on_smol(opening);
            }

            #[test]
            fn on_threads() {
                crate::on_threads(opening);
            }
        }
    )*};
}

races!(aznet, commonware, packetfs, ziti);
