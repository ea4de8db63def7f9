//! Connections over memory and a directory, as an application uses them.

mod common;

use common::{Place, assert_same, config, directory, echo, exchange, memory, noise, pair};
use futures_util::StreamExt;
use std::io;
use std::time::Duration;
use stillwire_tokio::{Config, Error, Role, dial, source_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// The same test over both stores.
macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod over_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::memory()).await;
            })*
        }
        mod over_directory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::directory()).await;
            })*
        }
    };
}

over_both!(
    echoes_and_ends_well,
    both_ends_agree_on_who_they_are,
    half_close_leaves_the_other_direction_open,
    echoes_64_mib,
    gathers_many_small_writes,
    a_slow_reader_stops_fetching,
    a_dropped_connection_delivers_what_was_written,
    dropping_one_half_ends_nothing,
    several_connections_at_once,
    a_stopped_listener_waits_and_cleans_up,
    a_dropped_listener_leaves_connections_alone,
    a_listener_is_a_stream,
    writing_after_the_end_is_a_broken_pipe,
);

async fn echoes_and_ends_well(place: Place) {
    let pair = pair(&place, config()).await;
    let served = tokio::spawn(echo(pair.accepted));
    let data = noise(70_000, 1);
    assert_same(&exchange(pair.dialed, &data).await, &data);
    served.await.unwrap();
    pair.listener.stop().await.unwrap();
}

async fn both_ends_agree_on_who_they_are(place: Place) {
    let mut pair = pair(&place, config()).await;
    assert_eq!(pair.dialed.id(), pair.accepted.id());
    assert_eq!(
        pair.dialed.channel_binding(),
        pair.accepted.channel_binding()
    );
    assert_eq!(pair.dialed.role(), Role::Dialer);
    assert_eq!(pair.accepted.role(), Role::Listener);
    assert!(!pair.accepted.is_confirmed());
    pair.dialed.write_all(b"x").await.unwrap();
    pair.accepted.read_u8().await.unwrap();
    assert!(pair.accepted.is_confirmed());
    assert_eq!(pair.dialed.stats().bytes_written, 1);
    assert_eq!(pair.accepted.stats().bytes_received, 1);
}

async fn half_close_leaves_the_other_direction_open(place: Place) {
    let mut pair = pair(&place, config()).await;
    pair.dialed.write_all(b"question").await.unwrap();
    pair.dialed.shutdown().await.unwrap();
    let mut question = String::new();
    pair.accepted.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    let answer = noise(300_000, 2);
    pair.accepted.write_all(&answer).await.unwrap();
    pair.accepted.shutdown().await.unwrap();
    let mut got = Vec::new();
    pair.dialed.read_to_end(&mut got).await.unwrap();
    assert_same(&got, &answer);
    assert_eq!(
        pair.dialed.read(&mut [0; 8]).await.unwrap(),
        0,
        "stays ended"
    );
    pair.dialed.closed().await.unwrap();
    pair.accepted.closed().await.unwrap();
}

async fn echoes_64_mib(place: Place) {
    let pair = pair(&place, config()).await;
    let served = tokio::spawn(echo(pair.accepted));
    let data = noise(64 << 20, 3);
    assert_same(&exchange(pair.dialed, &data).await, &data);
    served.await.unwrap();
}

async fn gathers_many_small_writes(place: Place) {
    let pair = pair(&place, config()).await;
    let data = noise(200_000, 4);
    let copy = data.clone();
    let mut dialed = pair.dialed;
    let writer = tokio::spawn(async move {
        for part in copy.chunks(100) {
            dialed.write_all(part).await.unwrap();
        }
        dialed.shutdown().await.unwrap();
        dialed
    });
    let mut accepted = pair.accepted;
    let mut got = Vec::new();
    accepted.read_to_end(&mut got).await.unwrap();
    assert_same(&got, &data);
    let stats = writer.await.unwrap().stats();
    assert_eq!(stats.bytes_stored, 200_000);
    assert!(stats.writes < 1_000, "2,000 writes gathered: {stats:?}");
}

async fn a_slow_reader_stops_fetching(place: Place) {
    let small = Config {
        receive_buffer: 64 << 10,
        ..config()
    };
    let mut pair = pair(&place, small).await;
    let data = noise(40 << 20, 5);
    // Storage holds it all, whoever reads.
    pair.dialed.write_all(&data).await.unwrap();
    pair.dialed.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let received = pair.accepted.stats().bytes_received;
    let most = (64 << 10) + (16 << 20);
    assert!(
        received > 0 && received <= most,
        "{received} bytes held, {most} are the buffer and one read"
    );
    let mut got = Vec::new();
    pair.accepted.read_to_end(&mut got).await.unwrap();
    assert_same(&got, &data);
}

async fn a_dropped_connection_delivers_what_was_written(place: Place) {
    let mut pair = pair(&place, config()).await;
    let data = noise(500_000, 6);
    pair.dialed.write_all(&data).await.unwrap();
    drop(pair.dialed);
    let mut got = vec![0; data.len()];
    pair.accepted.read_exact(&mut got).await.unwrap();
    assert_same(&got, &data);
    // No end mark: the stream stays open, it must not look whole.
    let more = timeout(Duration::from_millis(300), pair.accepted.read_u8()).await;
    assert!(more.is_err(), "{more:?}");
}

async fn dropping_one_half_ends_nothing(place: Place) {
    let pair = pair(&place, config()).await;
    let (read, mut write) = pair.dialed.split();
    drop(read);
    let (mut far_read, far_write) = pair.accepted.split();
    drop(far_write);
    write.write_all(b"still here").await.unwrap();
    let mut got = [0; 10];
    far_read.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"still here");
}

async fn several_connections_at_once(place: Place) {
    let mut listener = place.store.listen(config()).await.unwrap();
    let ticket = listener.ticket().clone();
    let serving = tokio::spawn(async move {
        let mut served = Vec::new();
        for _ in 0..8 {
            served.push(tokio::spawn(echo(listener.accept().await.unwrap())));
        }
        for one in served {
            one.await.unwrap();
        }
        listener.stop().await.unwrap();
    });
    let dials = (0..8_u64).map(|n| {
        let ticket = ticket.clone();
        tokio::spawn(async move {
            let connection = dial(&ticket, config()).await.unwrap();
            let data = noise(100_000 + usize::try_from(n).unwrap(), n);
            assert_same(&exchange(connection, &data).await, &data);
        })
    });
    for dialed in dials.collect::<Vec<_>>() {
        dialed.await.unwrap();
    }
    serving.await.unwrap();
}

async fn a_stopped_listener_waits_and_cleans_up(place: Place) {
    let pair = pair(&place, config()).await;
    let ticket = pair.listener.ticket().clone();
    let stopping = tokio::spawn(pair.listener.stop());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!stopping.is_finished(), "a connection is still open");
    let served = tokio::spawn(echo(pair.accepted));
    assert_eq!(exchange(pair.dialed, b"bye").await, b"bye");
    served.await.unwrap();
    timeout(Duration::from_secs(20), stopping)
        .await
        .expect("stops")
        .unwrap()
        .unwrap();
    let late = Config {
        connect_timeout: Duration::from_millis(300),
        ..config()
    };
    let error = dial(&ticket, late).await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout(_) | Error::Store(_)),
        "{error:?}"
    );
}

async fn a_dropped_listener_leaves_connections_alone(place: Place) {
    let pair = pair(&place, config()).await;
    drop(pair.listener);
    let served = tokio::spawn(echo(pair.accepted));
    let data = noise(100_000, 7);
    assert_same(&exchange(pair.dialed, &data).await, &data);
    served.await.unwrap();
}

async fn a_listener_is_a_stream(place: Place) {
    let mut listener = place.store.listen(config()).await.unwrap();
    let ticket = listener.ticket().clone();
    let (dialed, accepted) = tokio::join!(dial(&ticket, config()), listener.next());
    let (dialed, accepted) = (dialed.unwrap(), accepted.unwrap().unwrap());
    assert_eq!(dialed.id(), accepted.id());
}

async fn writing_after_the_end_is_a_broken_pipe(place: Place) {
    let mut pair = pair(&place, config()).await;
    pair.dialed.shutdown().await.unwrap();
    pair.dialed.shutdown().await.unwrap();
    let error = pair.dialed.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn nobody_answers() {
    let place = memory();
    let ticket = place.store.prepare(config()).await.unwrap();
    let hasty = Config {
        connect_timeout: Duration::from_millis(200),
        ..config()
    };
    let error = dial(&ticket, hasty).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn a_silent_peer_is_a_typed_time_out() {
    let place = memory();
    let mut pair = pair(
        &place,
        Config {
            idle_timeout: Duration::from_millis(300),
            close_timeout: Duration::from_millis(100),
            ..config()
        },
    )
    .await;
    drop(pair.dialed);
    let error = pair.accepted.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error:?}");
    assert!(matches!(source_of(&error), Some(Error::Timeout(_))));
    let again = pair.accepted.write_all(b"x").await.unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::TimedOut, "it stays");
    assert!(matches!(
        pair.accepted.closed().await,
        Err(Error::Timeout(_))
    ));
}

#[test]
fn a_runtime_that_goes_away_leaves_nobody_waiting() {
    let first = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let place = memory();
    let mut pair = first.block_on(pair(&place, config()));
    first.shutdown_background();
    let second = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    second.block_on(async {
        let limit = Duration::from_secs(5);
        let read = timeout(limit, pair.dialed.read_u8()).await.expect("waits");
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        let closed = timeout(limit, pair.dialed.closed()).await.expect("waits");
        assert_eq!(closed, Err(Error::Closed));
        let accept = timeout(limit, pair.listener.accept()).await.expect("waits");
        assert!(matches!(accept, Err(Error::Closed)));
    });
}
