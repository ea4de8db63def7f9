//! Peers that go away without a word.

use crate::Emulator;
use crate::go::{config, echo, exchange};
use std::time::Duration;
use stillwire_tokio::{Config, Error, Timer, source_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn a_go_client_that_disappears_harms_nobody_else() {
    let Some(emulator) = Emulator::open("go_vanishes") else {
        return;
    };
    let impatient = Config {
        idle_timeout: Duration::from_secs(6),
        ping_interval: Duration::from_secs(2),
        ..config()
    };
    let mut listener = emulator.listen(&emulator.options(), impatient).await;
    let url = listener.ticket().to_string();
    let arguments = [
        "--mode", "send", "--bytes", "50000000", "--vanish", "3000000", &url,
    ];
    let mut gone = emulator.go("dial", &arguments);
    let mut broken = listener.accept().await.unwrap();
    assert_eq!(gone.wait().await, Some(9));

    // Others are served meanwhile.
    let mut go = emulator.go("dial", &["--mode", "echo", "--bytes", "1000000", &url]);
    let served = tokio::spawn(echo(listener.accept().await.unwrap()));
    go.next("done").await;
    served.await.unwrap().closed().await.unwrap();

    // What came is delivered; the end is a typed time-out and never an end of stream.
    let mut received = Vec::new();
    let error = broken.read_to_end(&mut received).await.unwrap_err();
    assert!(
        matches!(source_of(&error), Some(Error::Timeout(Timer::Idle))),
        "{error}"
    );
    assert!(received == crate::go::pattern(1, received.len()));
    drop(broken);
    // The session it left goes when the listener stops.
    listener.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_vanishes_mid_stream_is_a_typed_error() {
    let Some(emulator) = Emulator::open("container_vanishes") else {
        return;
    };
    // A Go listener that is told not to wait deletes the session at its full close.
    let arguments = ["--mode", "sink", "--linger", "0s"];
    let (_go, url) = emulator.go_listen(&arguments).await;
    let impatient = Config {
        connect_timeout: Duration::from_secs(4),
        ..config()
    };
    let mut connection = emulator.dial(&url, impatient).await;
    connection.write_all(b"a few bytes").await.unwrap();
    connection.shutdown().await.unwrap();
    let mut rest = Vec::new();
    // Either the end came through before the container went, or the loss is an error in words.
    if let Err(error) = connection.read_to_end(&mut rest).await {
        assert!(error.to_string().contains("deleted"), "{error}");
    }
    let emulator = Emulator::open("container_vanishes").unwrap();
    let (_go, url) = emulator.go_listen(&["--mode", "echo"]).await;
    let again = emulator.dial(&url, config()).await;
    exchange(again, 4, 10_000).await;
}
