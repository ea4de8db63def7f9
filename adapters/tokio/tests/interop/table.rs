//! Tables: both roles, all sizes, both ways.

use crate::Emulator;
use crate::go::{config, echo, exchange, number, pattern};
use stillwire_tokio::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SIZES: [usize; 5] = [0, 1, 1_000, 100_000, 5_000_000];

fn open(test: &str) -> Option<Emulator> {
    Emulator::open_on("aztable", test)
}

#[tokio::test(flavor = "multi_thread")]
async fn go_dials_our_tables_and_gets_its_bytes_back() {
    let Some(emulator) = open("go_dials_our_tables") else {
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
async fn we_dial_gos_tables_and_get_our_bytes_back() {
    let Some(emulator) = open("we_dial_gos_tables") else {
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
async fn several_connections_over_tables_at_once_in_both_roles() {
    let Some(emulator) = open("several_tables") else {
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

    let emulator = open("several_tables").unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_half_close_over_tables_leaves_the_other_direction_open() {
    let Some(emulator) = open("half_close_over_tables") else {
        return;
    };
    // Go ends first and still receives.
    let mut listener = emulator
        .listen(&emulator.options(), Config::default())
        .await;
    let url = listener.ticket().to_string();
    let mut go = emulator.go("dial", &["--mode", "connect", &url]);
    let mut connection = listener.accept().await.unwrap();
    assert_eq!(connection.read(&mut [0; 8]).await.unwrap(), 0);
    connection.write_all(&pattern(1, 2_500_000)).await.unwrap();
    connection.shutdown().await.unwrap();
    let done = go.next("done").await;
    assert_eq!(number(&done, "received"), Some(2_500_000), "{done}");

    // We end first and still receive.
    let emulator = open("half_close_over_tables").unwrap();
    let arguments = ["--mode", "source", "--seed", "7", "--bytes", "2500000"];
    let (_go, url) = emulator.go_listen(&arguments).await;
    let mut connection = emulator.dial(&url, config()).await;
    connection.shutdown().await.unwrap();
    let mut received = Vec::new();
    connection.read_to_end(&mut received).await.unwrap();
    assert!(received == pattern(7, 2_500_000));
    connection.closed().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_way_over_tables_in_our_own_hands() {
    let Some(emulator) = open("one_way_over_tables") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let mut dialed = emulator.dial(&url, config()).await;
    let mut accepted = listener.accept().await.unwrap();
    let sent = pattern(11, 20_000_000);
    let writing = async {
        dialed.write_all(&sent).await.unwrap();
        dialed.shutdown().await.unwrap();
        assert_eq!(dialed.read(&mut [0; 1]).await.unwrap(), 0);
        dialed.closed().await.unwrap();
    };
    let reading = async {
        let mut received = Vec::new();
        accepted.read_to_end(&mut received).await.unwrap();
        assert!(received == sent);
        accepted.shutdown().await.unwrap();
        accepted.closed().await.unwrap();
    };
    tokio::join!(writing, reading);
    listener.stop().await.unwrap();
}
