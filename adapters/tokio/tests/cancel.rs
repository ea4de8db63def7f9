//! Cancel safety: every waiting call is dropped at its k-th `Pending`, for every k until no call waits
//! so often, and called again; all bytes are compared at the end. No timer decides when a call is
//! dropped.

mod common;

use common::{Place, assert_same, config, directory, echo, exchange, memory, noise, pair};
use std::future::{Future, poll_fn};
use std::ops::AddAssign;
use std::pin::pin;
use std::task::Poll;
use stillwire_tokio::{Config, Connection, ReadHalf, WriteHalf, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// More often than any call waits.
const DEEPEST: u32 = 1_000;

/// On several threads a call may be through before it is looked at: tried so often until it waits.
const ROUNDS: u32 = 100;

/// When the same call is polled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// When it is woken.
    Woken,
    /// At once, with others in between, as with a `select!` full of busy branches.
    Busy,
}

/// At which `Pending` to drop, and how it comes to it.
type Depth = (u32, Again);

/// Polls to the end, or drops the future at its k-th `Pending`.
async fn until_pending<F: Future>((k, again): Depth, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut seen = 0;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        seen += 1;
        if seen == k {
            return Poll::Ready(None);
        }
        if again == Again::Busy {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

/// How often each call of a stream was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Dropped {
    reads: u32,
    writes: u32,
    flushes: u32,
    ends: u32,
    closes: u32,
}

impl Dropped {
    /// Each but `closed`, which has nothing to wait for when both ends are through: see [`closing`].
    fn each(self) -> bool {
        ![self.reads, self.writes, self.flushes, self.ends].contains(&0)
    }
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, more: Self) {
        self.reads += more.reads;
        self.writes += more.writes;
        self.flushes += more.flushes;
        self.ends += more.ends;
        self.closes += more.closes;
    }
}

/// Small buffers, so that there is something to wait for.
fn small() -> Config {
    Config {
        receive_buffer: 1 << 20,
        // The carrier's largest chunk is the least there is: 4 MiB.
        send_buffer: 0,
        ..config()
    }
}

/// Calls `$again` until it was not dropped, letting others run in between.
macro_rules! insist {
    ($k:expr, $dropped:expr, $again:expr) => {
        loop {
            match until_pending($k, $again).await {
                Some(output) => break output.unwrap(),
                None => {
                    $dropped += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
    };
}

async fn write_insisting(write: &mut WriteHalf, data: &[u8], k: Depth) -> Dropped {
    let mut dropped = Dropped::default();
    let mut rest = data;
    for turn in 1_u32.. {
        if rest.is_empty() {
            break;
        }
        // What a write was given when it was dropped must not matter to the next one.
        let piece = &rest[..rest.len().min(1_500_000)];
        let n = insist!(k, dropped.writes, write.write(piece));
        rest = &rest[n..];
        if turn % 7 == 0 {
            insist!(k, dropped.flushes, write.flush());
        }
    }
    insist!(k, dropped.flushes, write.flush());
    insist!(k, dropped.ends, write.close_write());
    dropped
}

async fn read_insisting(read: &mut ReadHalf, k: Depth) -> (Vec<u8>, Dropped) {
    let (mut got, mut dropped) = (Vec::new(), Dropped::default());
    let mut buffer = vec![0; 400_000];
    loop {
        let n = insist!(k, dropped.reads, read.read(&mut buffer));
        if n == 0 {
            return (got, dropped);
        }
        got.extend_from_slice(&buffer[..n]);
    }
}

async fn one_end(connection: Connection, data: &[u8], k: Depth) -> (Vec<u8>, Dropped) {
    let (mut read, mut write) = connection.split();
    let early = until_pending((1, k.1), write.closed()).await;
    assert_eq!(early, None, "the connection is open");
    let (writing, (got, reading)) = tokio::join!(
        write_insisting(&mut write, data, k),
        read_insisting(&mut read, k)
    );
    let mut dropped = writing;
    dropped += reading;
    insist!(k, dropped.closes, write.closed());
    (got, dropped)
}

/// Bytes both ways, with every call dropped at this depth.
async fn round(place: &Place, k: Depth) -> Dropped {
    let pair = pair(place, small()).await;
    let there = noise(11_000_000, u64::from(k.0));
    let back = noise(9_000_000, u64::from(k.0) + 100);
    let (dialed, accepted) = tokio::join!(
        one_end(pair.dialed, &there, k),
        one_end(pair.accepted, &back, k)
    );
    assert_same(&accepted.0, &there);
    assert_same(&dialed.0, &back);
    let mut dropped = dialed.1;
    dropped += accepted.1;
    dropped
}

async fn every_stream_call(place: Place) {
    let mut first = Dropped::default();
    for _ in 0..ROUNDS {
        first += round(&place, (1, Again::Woken)).await;
        if first.each() {
            break;
        }
    }
    // Every call waits somewhere, and was dropped there.
    assert!(first.each(), "{first:?}");
    for k in 2..DEEPEST {
        if round(&place, (k, Again::Woken)).await == Dropped::default() {
            return;
        }
    }
    panic!("calls wait more than {DEEPEST} times");
}

/// Waiting for the end of it all, given up again and again.
async fn closing(place: Place) {
    for k in 1..DEEPEST {
        let pair = pair(&place, config()).await;
        let (mut read, mut write) = pair.dialed.split();
        write.write_all(b"the last").await.unwrap();
        write.close_write().await.unwrap();
        let mut dropped = 0;
        // The other end has yet to read and to end.
        let waiting = async { insist!((k, Again::Woken), dropped, write.closed()) };
        let mut back = Vec::new();
        let reading = async { read.read_to_end(&mut back).await.unwrap() };
        tokio::join!(waiting, echo(pair.accepted), reading);
        assert_eq!(back, b"the last");
        assert!(dropped > 0 || k > 1);
        if dropped == 0 {
            return;
        }
    }
    panic!("closed waits more than {DEEPEST} times");
}

/// Calls that are polled though nothing has woken them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_calls_among_busy_branches() {
    for place in [memory(), directory()] {
        let mut dropped = Dropped::default();
        for k in [1, 2, 3, 10, 100] {
            dropped += round(&place, (k, Again::Busy)).await;
        }
        assert!(dropped.reads > 0, "{dropped:?}");
    }
}

/// A dial that is dropped leaves other dials alone.
async fn dialing(place: Place) {
    let mut listener = place.store.listen(config()).await.unwrap();
    let ticket = listener.ticket().clone();
    let accepting = tokio::spawn(async move {
        while let Ok(connection) = listener.accept().await {
            tokio::spawn(async move {
                // Those of dropped dials never say anything.
                let (mut read, mut write) = connection.split();
                if tokio::io::copy(&mut read, &mut write).await.is_ok() {
                    let _ = write.shutdown().await;
                    let _ = write.closed().await;
                }
            });
        }
    });
    let data = noise(50_000, 1);
    let mut dropped = 0;
    for k in 1..DEEPEST {
        let dialed = until_pending((k, Again::Woken), dial(&ticket, config())).await;
        if let Some(connection) = dialed {
            assert_same(&exchange(connection.unwrap(), &data).await, &data);
            break;
        }
        dropped += 1;
        let whole = dial(&ticket, config()).await.unwrap();
        assert_same(&exchange(whole, &data).await, &data);
    }
    assert!((1..DEEPEST - 1).contains(&dropped), "{dropped}");
    accepting.abort();
}

/// Three connections, each accepted by calls that are dropped; how many were.
async fn accept_three(place: &Place, k: u32) -> u32 {
    let mut listener = place.store.listen(config()).await.unwrap();
    let ticket = listener.ticket().clone();
    let dialing = tokio::spawn(async move {
        for n in 0..3 {
            let connection = dial(&ticket, config()).await.unwrap();
            let data = noise(1_000, n);
            assert_same(&exchange(connection, &data).await, &data);
        }
    });
    let mut dropped = 0;
    for _ in 0..3 {
        let connection = insist!((k, Again::Woken), dropped, listener.accept());
        echo(connection).await;
    }
    dialing.await.unwrap();
    listener.stop().await.unwrap();
    dropped
}

/// An accept that is dropped takes no connection with it.
async fn accepting(place: Place) {
    let mut first = 0;
    for _ in 0..ROUNDS {
        first += accept_three(&place, 1).await;
        if first > 0 {
            break;
        }
    }
    assert!(first > 0);
    for k in 2..DEEPEST {
        if accept_three(&place, k).await == 0 {
            return;
        }
    }
    panic!("an accept waits more than {DEEPEST} times");
}

/// A listen that is dropped leaves the store to the next one.
async fn listening(place: Place) {
    let mut dropped = 0;
    for k in 1..DEEPEST {
        let listener = until_pending((k, Again::Woken), place.store.listen(config())).await;
        let done = listener.is_some();
        dropped += u32::from(!done);
        let mut listener = match listener {
            Some(listener) => listener.unwrap(),
            None => place.store.listen(config()).await.unwrap(),
        };
        let ticket = listener.ticket().clone();
        let served = tokio::spawn(async move {
            echo(listener.accept().await.unwrap()).await;
            listener
        });
        let dialed = dial(&ticket, config()).await.unwrap();
        let data = noise(1_000, u64::from(k));
        assert_same(&exchange(dialed, &data).await, &data);
        served.await.unwrap().stop().await.unwrap();
        if done {
            break;
        }
    }
    assert!((1..DEEPEST - 1).contains(&dropped), "{dropped}");
}

/// A stop that is dropped goes on, and the connections that are open with it.
async fn stopping(place: Place) {
    let mut dropped = 0;
    for k in 1..DEEPEST {
        let pair = pair(&place, config()).await;
        let (stopped, (), back) = tokio::join!(
            until_pending((k, Again::Woken), pair.listener.stop()),
            echo(pair.accepted),
            exchange(pair.dialed, b"x")
        );
        assert_eq!(back, b"x");
        if let Some(stopped) = stopped {
            stopped.unwrap();
            break;
        }
        dropped += 1;
    }
    assert!((1..DEEPEST - 1).contains(&dropped), "{dropped}");
}

macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod over_memory {
            $(mod $name {
                #[tokio::test]
                async fn on_one_thread() {
                    crate::$name(crate::memory()).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_several() {
                    crate::$name(crate::memory()).await;
                }
            })*
        }
        mod over_directory {
            $(mod $name {
                #[tokio::test]
                async fn on_one_thread() {
                    crate::$name(crate::directory()).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_several() {
                    crate::$name(crate::directory()).await;
                }
            })*
        }
    };
}

over_both!(
    every_stream_call,
    closing,
    dialing,
    accepting,
    listening,
    stopping
);
