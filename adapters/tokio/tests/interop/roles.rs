//! Both roles, all sizes, both ways.

use crate::Emulator;
use crate::go::{config, echo, exchange, number, pattern, text};
use std::process::Command as StdCommand;
use stillwire_tokio::{Config, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SIZES: [usize; 6] = [0, 1, 1_000, 100_000, 5_000_000, 30_000_000];

#[tokio::test(flavor = "multi_thread")]
async fn go_dials_us_and_gets_its_bytes_back() {
    let Some(emulator) = Emulator::open("go_dials_us") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    for size in SIZES {
        let url = listener.ticket().to_string();
        let size_text = size.to_string();
        let mut go = emulator.go("dial", &["--mode", "echo", "--bytes", &size_text, &url]);
        let mut connection = echo(listener.accept().await.unwrap()).await;
        let done = go.next("done").await;
        assert_eq!(number(&done, "received"), Some(size as u64), "{done}");
        assert_eq!(go.wait().await, Some(0));
        assert_eq!(connection.stats().bytes_received, size as u64);
        connection.closed().await.unwrap();
    }
    listener.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn we_dial_go_and_get_our_bytes_back() {
    let Some(emulator) = Emulator::open("we_dial_go") else {
        return;
    };
    let (_go, url) = emulator.go_listen(&["--mode", "echo"]).await;
    for (seed, size) in SIZES.into_iter().enumerate() {
        let connection = emulator.dial(&url, config()).await;
        let mut connection = exchange(connection, seed as u64, size).await;
        connection.closed().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_in_every_direction() {
    let Some(emulator) = Emulator::open("one_way") else {
        return;
    };
    let length = 10_000_000;
    let bytes = length.to_string();
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();

    // Go sends to our listener.
    let mut go = emulator.go(
        "dial",
        &["--mode", "send", "--seed", "7", "--bytes", &bytes, &url],
    );
    let mut connection = listener.accept().await.unwrap();
    let mut received = Vec::new();
    connection.read_to_end(&mut received).await.unwrap();
    assert!(received == pattern(7, length));
    connection.shutdown().await.unwrap();
    go.next("done").await;
    connection.closed().await.unwrap();

    // Our listener sends to Go.
    let mut go = emulator.go("dial", &["--mode", "receive", &url]);
    let mut connection = listener.accept().await.unwrap();
    connection.write_all(&pattern(8, length)).await.unwrap();
    connection.shutdown().await.unwrap();
    let done = go.next("done").await;
    assert_eq!(text(&done, "sha256"), Some(sha256(&pattern(8, length))));
    assert_eq!(connection.read(&mut [0; 1]).await.unwrap(), 0);
    connection.closed().await.unwrap();
    listener.stop().await.unwrap();

    // We dial a Go sink, then a Go source.
    let emulator = Emulator::open("one_way").unwrap();
    let (mut go, url) = emulator.go_listen(&["--mode", "sink"]).await;
    let mut connection = emulator.dial(&url, config()).await;
    connection.write_all(&pattern(9, length)).await.unwrap();
    connection.shutdown().await.unwrap();
    let done = go.next("done").await;
    assert_eq!(text(&done, "sha256"), Some(sha256(&pattern(9, length))));
    drop(connection);

    let emulator = Emulator::open("one_way").unwrap();
    let arguments = ["--mode", "source", "--seed", "10", "--bytes", &bytes];
    let (_go, url) = emulator.go_listen(&arguments).await;
    let mut connection = emulator.dial(&url, config()).await;
    let mut received = Vec::new();
    connection.read_to_end(&mut received).await.unwrap();
    assert!(received == pattern(10, length));
    connection.shutdown().await.unwrap();
    connection.closed().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_connections_at_once_in_both_roles() {
    let Some(emulator) = Emulator::open("several_connections") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let arguments = [
        "--mode",
        "echo",
        "--bytes",
        "300000",
        "--connections",
        "5",
        &url,
    ];
    let mut go = emulator.go("dial", &arguments);
    let mut serving = Vec::new();
    for _ in 0..5 {
        serving.push(tokio::spawn(echo(listener.accept().await.unwrap())));
    }
    assert_eq!(go.wait().await, Some(0));
    for task in serving {
        task.await.unwrap().closed().await.unwrap();
    }
    listener.stop().await.unwrap();

    let emulator = Emulator::open("several_connections").unwrap();
    let (_go, url) = emulator.go_listen(&["--mode", "echo"]).await;
    let first = emulator.dial(&url, config()).await;
    let second = emulator.dial(&url, config()).await;
    let third = emulator.dial(&url, config()).await;
    tokio::join!(
        exchange(first, 1, 300_000),
        exchange(second, 2, 300_000),
        exchange(third, 3, 300_000),
    );
}

/// Small writes that wait for each other, so that each is a block of its own.
async fn many_blocks(connection: &mut (impl AsyncWriteExt + Unpin), data: &[u8], blocks: usize) {
    for piece in data.chunks(data.len().div_ceil(blocks)) {
        connection.write_all(piece).await.unwrap();
        connection.flush().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn go_follows_our_rotations_in_both_roles() {
    let Some(emulator) = Emulator::open("rotation") else {
        return;
    };
    let mut options = emulator.options();
    options.blob.writes_before_rotation = 5;
    let mut listener = emulator.listen(&options, config()).await;
    let url = listener.ticket().to_string();
    let mut go = emulator.go("dial", &["--mode", "receive", &url]);
    let mut connection = listener.accept().await.unwrap();
    let data = pattern(3, 200_000);
    many_blocks(&mut connection, &data, 23).await;
    connection.shutdown().await.unwrap();
    let done = go.next("done").await;
    assert_eq!(text(&done, "sha256"), Some(sha256(&data)));
    assert!(
        connection.stats().rotations >= 4,
        "{:?}",
        connection.stats()
    );
    assert_eq!(connection.read(&mut [0; 1]).await.unwrap(), 0);
    connection.closed().await.unwrap();
    listener.stop().await.unwrap();

    // As dialer: `req-1` and its successors are made with the Go listener's grant.
    let emulator = Emulator::open("rotation").unwrap();
    let (mut go, url) = emulator.go_listen(&["--mode", "sink"]).await;
    let mut options = Options::default();
    options.blob.writes_before_rotation = 5;
    let ticket = stillwire_tokio::Ticket::parse(&url, &options).unwrap();
    let mut connection = stillwire_tokio::dial(&ticket, config()).await.unwrap();
    many_blocks(&mut connection, &data, 23).await;
    connection.shutdown().await.unwrap();
    let done = go.next("done").await;
    assert_eq!(text(&done, "sha256"), Some(sha256(&data)));
    assert!(
        connection.stats().rotations >= 4,
        "{:?}",
        connection.stats()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_close_leaves_the_other_direction_open() {
    let Some(emulator) = Emulator::open("half_close") else {
        return;
    };
    // Go ends first and still receives ten times as much.
    let mut listener = emulator
        .listen(&emulator.options(), Config::default())
        .await;
    let url = listener.ticket().to_string();
    let mut go = emulator.go("dial", &["--mode", "connect", &url]);
    let mut connection = listener.accept().await.unwrap();
    assert_eq!(connection.read(&mut [0; 8]).await.unwrap(), 0);
    connection.write_all(&pattern(1, 1_000_000)).await.unwrap();
    connection.shutdown().await.unwrap();
    let done = go.next("done").await;
    assert_eq!(number(&done, "received"), Some(1_000_000), "{done}");
}

/// SHA-256 as the system's own tool sees it, so that nothing of ours checks itself.
fn sha256(data: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("data");
    std::fs::write(&file, data).unwrap();
    let output = StdCommand::new("sha256sum").arg(&file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}
