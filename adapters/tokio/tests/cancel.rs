//! Cancel safety: every waiting call is dropped at its k-th `Pending`, for every k, and called
//! again; all bytes are compared at the end. No timer decides when a call is dropped.

mod common;

use common::{Place, assert_same, config, directory, echo, exchange, memory, noise, pair};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use stillwire_tokio::{Config, Connection, ReadHalf, WriteHalf, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How deep into its waiting a call is dropped.
const DEPTHS: std::ops::RangeInclusive<u32> = 1..=6;

/// What happens between two polls of the same call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// Nothing: on one thread every call that waits at all is dropped at its k-th `Pending`.
    Nothing,
    /// Others run, as with a `select!` full of busy branches.
    Others,
    /// Others run until the call itself is woken.
    Waking,
}

/// Polls to the end, or drops the future at its k-th `Pending`.
async fn until_pending<F: Future>(k: u32, between: Between, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut seen = 0;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            seen += 1;
            if seen == k {
                return Poll::Ready(None);
            }
            match between {
                Between::Nothing => {}
                Between::Others => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Between::Waking => return Poll::Pending,
            }
        }
    })
    .await
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

/// At which `Pending` to drop, and what happens before.
type Depth = (u32, Between);

/// Calls `$again` until it was not dropped, letting others run in between.
macro_rules! insist {
    ($k:expr, $dropped:expr, $again:expr) => {
        loop {
            match until_pending($k.0, $k.1, $again).await {
                Some(output) => break output.unwrap(),
                None => {
                    *$dropped += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
    };
}

async fn write_insisting(write: &mut WriteHalf, data: &[u8], k: Depth) -> [u32; 3] {
    let [mut writes, mut flushes, mut closes] = [0; 3];
    let mut rest = data;
    for turn in 1_u32.. {
        if rest.is_empty() {
            break;
        }
        // What a write was given when it was dropped must not matter to the next one.
        let n = insist!(
            k,
            &mut writes,
            write.write(&rest[..rest.len().min(1_500_000)])
        );
        rest = &rest[n..];
        if turn % 7 == 0 {
            insist!(k, &mut flushes, write.flush());
        }
    }
    insist!(k, &mut flushes, write.flush());
    insist!(k, &mut closes, write.close_write());
    [writes, flushes, closes]
}

async fn read_insisting(read: &mut ReadHalf, k: Depth) -> (Vec<u8>, u32) {
    let (mut got, mut dropped) = (Vec::new(), 0);
    let mut buffer = vec![0; 400_000];
    loop {
        let n = insist!(k, &mut dropped, read.read(&mut buffer));
        if n == 0 {
            return (got, dropped);
        }
        got.extend_from_slice(&buffer[..n]);
    }
}

async fn one_end(connection: Connection, data: &[u8], k: Depth) -> (Vec<u8>, [u32; 4]) {
    let (mut read, mut write) = connection.split();
    let early = until_pending(k.0, k.1, write.closed()).await;
    assert_eq!(early, None, "the connection is open");
    let (writing, reading) = tokio::join!(
        write_insisting(&mut write, data, k),
        read_insisting(&mut read, k)
    );
    let [writes, flushes, closes] = writing;
    let (got, reads) = reading;
    write.closed().await.unwrap();
    (got, [writes, flushes, closes, reads])
}

async fn every_stream_call(place: Place, between: Between) {
    let mut total = [0; 4];
    for k in DEPTHS {
        let pair = pair(&place, small()).await;
        let there = noise(11_000_000, u64::from(k));
        let back = noise(9_000_000, u64::from(k) + 100);
        let (dialed, accepted) = tokio::join!(
            one_end(pair.dialed, &there, (k, between)),
            one_end(pair.accepted, &back, (k, between))
        );
        assert_same(&accepted.0, &there);
        assert_same(&dialed.0, &back);
        for (total, (a, b)) in total.iter_mut().zip(dialed.1.into_iter().zip(accepted.1)) {
            if between == Between::Nothing {
                assert!(a + b > 0, "depth {k}: {:?} {:?}", dialed.1, accepted.1);
            }
            *total += a + b;
        }
    }
    assert!(total.iter().any(|&times| times > 0), "{total:?}");
}

/// A dial that is dropped leaves other dials alone.
async fn dialing(place: Place, _: Between) {
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
    for k in 1.. {
        let outcome = until_pending(k, Between::Waking, dial(&ticket, config())).await;
        if let Some(connection) = outcome {
            assert_same(&exchange(connection.unwrap(), &data).await, &data);
            break;
        }
        dropped += 1;
        let whole = dial(&ticket, config()).await.unwrap();
        assert_same(&exchange(whole, &data).await, &data);
    }
    assert!(dropped > 0);
    accepting.abort();
}

/// An accept that is dropped takes no connection with it.
async fn accepting(place: Place, between: Between) {
    for k in DEPTHS {
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
            let connection = insist!((k, between), &mut dropped, listener.accept());
            echo(connection).await;
        }
        dialing.await.unwrap();
        assert!(dropped > 0 || between != Between::Nothing, "depth {k}");
        listener.stop().await.unwrap();
    }
}

/// A stop that is dropped goes on.
#[tokio::test]
async fn stopping_goes_on_when_nobody_waits() {
    let place = memory();
    for k in DEPTHS {
        let pair = pair(&place, config()).await;
        let stopped = until_pending(k, Between::Others, pair.listener.stop()).await;
        assert!(stopped.is_none(), "a connection is open");
        let served = tokio::spawn(echo(pair.accepted));
        assert_eq!(exchange(pair.dialed, b"x").await, b"x");
        served.await.unwrap();
    }
}

macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod over_memory {
            $(mod $name {
                use crate::Between;

                #[tokio::test]
                async fn on_one_thread() {
                    crate::$name(crate::memory(), Between::Nothing).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_several() {
                    crate::$name(crate::memory(), Between::Others).await;
                }
            })*
        }
        mod over_directory {
            $(mod $name {
                use crate::Between;

                #[tokio::test]
                async fn on_one_thread() {
                    crate::$name(crate::directory(), Between::Nothing).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_several() {
                    crate::$name(crate::directory(), Between::Others).await;
                }
            })*
        }
    };
}

over_both!(every_stream_call, dialing, accepting);
