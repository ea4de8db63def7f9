//! Peers that go away without a word.

use crate::Emulator;
use crate::go::{config, echo};
use crate::hostile::signed;
use std::io;
use std::time::Duration;
use stillwire_core::store::FailureKind;
use stillwire_tokio::{Config, Connection, ConnectionId, Error, Timer, source_of};
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
    let id = broken.id();
    assert!(
        is_there(&emulator, id).await,
        "what was left is for us to remove"
    );
    drop(broken);
    // The session it left goes when the listener stops.
    listener.stop().await.unwrap();
    assert!(
        !is_there(&emulator, id).await,
        "{id} is still in the account"
    );
}

/// Whether the account has the session's container, by its own list.
async fn is_there(emulator: &Emulator, id: ConnectionId) -> bool {
    let path = format!("?comp=list&prefix={id}");
    let response = signed(emulator, "GET", &path, &[], b"").await;
    assert_eq!(response.status().as_u16(), 200);
    let list = response.text().await.unwrap();
    assert!(list.contains("<Containers"), "{list}");
    list.contains(&format!("<Name>{id}</Name>"))
}

/// What somebody with the account's key can do while both ends talk.
async fn remove_session(emulator: &Emulator, id: ConnectionId) {
    let path = format!("{id}?restype=container");
    let response = signed(emulator, "DELETE", &path, &[], b"").await;
    assert_eq!(response.status().as_u16(), 202);
}

fn assert_gone(error: &io::Error) {
    match source_of(error) {
        Some(Error::Store(failure)) => assert_eq!(failure.kind, FailureKind::NotFound, "{error}"),
        _ => panic!("{error}"),
    }
}

/// Never an end of stream: the same typed error for readers and writers, from then on.
async fn ends_as_gone(mut connection: Connection) {
    let mut rest = Vec::new();
    assert_gone(&connection.read_to_end(&mut rest).await.unwrap_err());
    assert_gone(&connection.read(&mut [0; 10]).await.unwrap_err());
    assert_gone(&connection.write_all(b"more").await.unwrap_err());
}

fn impatient() -> Config {
    Config {
        connect_timeout: Duration::from_secs(10),
        ..config()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_12_a_container_that_vanishes_under_our_dialer_is_a_typed_error() {
    let Some(emulator) = Emulator::open("dialers_container_vanishes") else {
        return;
    };
    let (_go, url) = emulator.go_listen(&["--mode", "echo"]).await;
    let mut connection = emulator.dial(&url, impatient()).await;
    connection.write_all(b"a few bytes").await.unwrap();
    connection.flush().await.unwrap();
    let mut back = [0; 11];
    connection.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"a few bytes");
    remove_session(&emulator, connection.id()).await;
    ends_as_gone(connection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_12_a_container_that_vanishes_under_our_listener_ends_that_connection_only() {
    let Some(emulator) = Emulator::open("listeners_container_vanishes") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), impatient()).await;
    let url = listener.ticket().to_string();
    // It sends no end of its own before it has seen ours.
    let arguments = ["--mode", "pingpong", "--count", "2000", &url];
    let _ponging = emulator.go("dial", &arguments);
    let mut connection = listener.accept().await.unwrap();
    let mut ping = [0; 1024];
    connection.read_exact(&mut ping).await.unwrap();
    assert!(ping[..] == crate::go::pattern(1, 1024));
    remove_session(&emulator, connection.id()).await;
    ends_as_gone(connection).await;

    let mut go = emulator.go("dial", &["--mode", "echo", "--bytes", "1000000", &url]);
    let served = tokio::spawn(echo(listener.accept().await.unwrap()));
    go.next("done").await;
    served.await.unwrap().closed().await.unwrap();
}
