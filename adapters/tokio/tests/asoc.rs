//! ASoc on tokio, over loopback.

use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stillwire_tokio::asoc::{
    ApiKey, AuditKind, Config, Connection, Identity, Node, NodeEvent, NodeId, Options, Profile,
    Suite, connect, start,
};
use stillwire_tokio::{Class, Error};

const LIMIT: usize = 64 << 20;

fn key() -> ApiKey {
    ApiKey::new(b"a key of the cluster, 32 bytes..").unwrap()
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn identity(n: u8) -> Identity {
    Identity {
        node: node(n),
        keys: vec![key()],
        community: String::new(),
    }
}

async fn listening(change: impl FnOnce(&mut Options)) -> (Node, SocketAddr) {
    let mut options = Options::new(node(1), key());
    options.listen = Some(loopback());
    change(&mut options);
    let node = start(options).await.unwrap();
    let at = node.local_addr().unwrap();
    (node, at)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect()
}

#[tokio::test]
async fn messages_and_streams_go_both_ways() {
    let (node, at) = listening(|_| {}).await;
    let served = tokio::spawn(async move {
        let connection = node.accept().await.unwrap();
        assert_eq!(connection.peer(), Some(self::node(2)));
        while let Some(message) = connection.receive_message(LIMIT).await.unwrap() {
            connection.send_message(Bytes::from(message)).await.unwrap();
        }
        node
    });
    let connection = connect(at, identity(2), Config::default(), None)
        .await
        .unwrap();
    assert_eq!(connection.peer(), None, "the default profile does not tell");
    for length in [0, 1, 1 << 20, (1 << 20) + 1, 20_000_000] {
        let message = pattern(length);
        connection
            .send_message(Bytes::from(message.clone()))
            .await
            .unwrap();
        let back = connection.receive_message(LIMIT).await.unwrap().unwrap();
        assert!(back == message, "{length}");
    }
    connection.close().await.unwrap();
    let node = served.await.unwrap();
    let counters = node.counters();
    let counted = counters.values().next().unwrap();
    assert_eq!(counted.received, 20_000_000 + (2 << 20) + 2);
}

/// Many large chunks both ways at once, some of them with bytes that we still hold, and all pieces
/// kept until the end: a buffer that is used again too early would show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_pieces_of_large_streams_stay_what_they_were_in_every_profile() {
    let hardened = [Suite::Aes256Gcm, Suite::ChaCha20Poly1305].map(Profile::Hardened);
    for profile in [Profile::Default, hardened[0], hardened[1]] {
        let (node, at) = listening(|options| options.config.connection.profile = profile).await;
        let config = Config {
            profile,
            ..Config::default()
        };
        let client = connect(at, identity(2), config, None).await.unwrap();
        let server = node.accept().await.unwrap();
        let data = pattern(12 << 20);
        let send = async |connection: &Connection| {
            let mut stream = connection.open().unwrap();
            for (index, chunk) in data.chunks(700_001).enumerate() {
                let chunk = Bytes::copy_from_slice(chunk);
                let held = (index % 2 == 0).then(|| chunk.clone());
                stream.send(chunk).await.unwrap();
                drop(held);
            }
            stream.finish().unwrap();
        };
        let receive = async |connection: &Connection| {
            let mut stream = connection.accept().await.unwrap().unwrap();
            let mut pieces = Vec::new();
            while let Some(piece) = stream.chunk().await.unwrap() {
                pieces.push(piece);
            }
            assert!(pieces.concat() == data);
        };
        tokio::join!(
            send(&client),
            send(&server),
            receive(&client),
            receive(&server)
        );
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_reader_holds_the_sender_back() {
    let (node, at) = listening(|options| options.receive_buffer = 100_000).await;
    let connection = connect(at, identity(2), Config::default(), None)
        .await
        .unwrap();
    let accepted = node.accept().await.unwrap();
    let mut stream = connection.open().unwrap();
    let sending = tokio::spawn(async move {
        let mut taken = 0_usize;
        let piece = Bytes::from(vec![7; 1 << 20]);
        while taken < 200 << 20 {
            let next = tokio::time::timeout(Duration::from_millis(500), stream.send(piece.clone()));
            match next.await {
                Ok(sent) => sent.unwrap(),
                Err(_) => break,
            }
            taken += piece.len();
        }
        (taken, connection, stream)
    });
    let (taken, connection, _stream) = sending.await.unwrap();
    assert!(
        taken < 100 << 20,
        "{taken} bytes were taken though nobody reads"
    );
    let mut received = accepted.accept().await.unwrap().unwrap();
    let first = received.chunk().await.unwrap().unwrap();
    assert!(first.iter().all(|byte| *byte == 7));
    drop(connection);
}

#[tokio::test]
async fn a_wrong_key_is_refused_without_a_reply_and_reported_once() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let (node, at) = listening(|options| {
        options.audit = Some(Arc::new(move |event| {
            heard.lock().unwrap().push(event.clone());
        }));
    })
    .await;
    let wrong = Identity {
        node: self::node(2),
        keys: vec![ApiKey::new(b"not the key of the cluster").unwrap()],
        community: String::new(),
    };
    let refused = connect(at, wrong, Config::default(), None)
        .await
        .unwrap_err();
    assert_eq!(refused.class(), Some(Class::Eof), "{refused}");
    // Honest peers are let in all the same.
    let connection = connect(at, identity(3), Config::default(), None)
        .await
        .unwrap();
    assert_eq!(node.accept().await.unwrap().peer(), Some(self::node(3)));
    drop(connection);
    let events = events.lock().unwrap();
    let failures = |class| {
        let same = |kind: &AuditKind| matches!(kind, AuditKind::Failure(e) if e.class() == class);
        events.iter().filter(|event| same(&event.kind)).count()
    };
    assert_eq!(failures(Some(Class::Auth)), 1, "{events:?}");
    assert!(!format!("{events:?}").contains("not the key"));
}

#[tokio::test]
async fn a_node_reaches_a_static_peer_that_comes_late_and_again() {
    let (first, at) = listening(|_| {}).await;
    let mut options = Options::new(node(2), key());
    options.config.static_peers = vec![at];
    options.config.first_retry = (Duration::from_millis(20), Duration::from_millis(40));
    let dialing = start(options).await.unwrap();
    for _ in 0..2 {
        let accepted = first.accept().await.unwrap();
        let dialed = dialing.accept().await.unwrap();
        assert!(matches!(dialing.event().await, Some(NodeEvent::Up { .. })));
        dialed
            .send_message(Bytes::from_static(b"hello"))
            .await
            .unwrap();
        let heard = accepted.receive_message(100).await.unwrap().unwrap();
        assert_eq!(heard, b"hello");
        drop(accepted);
        assert!(matches!(
            dialing.event().await,
            Some(NodeEvent::Down { .. })
        ));
    }
}

#[tokio::test]
async fn nodes_find_each_other_over_loopback_datagrams() {
    let udp = |n: u8| SocketAddr::from(([127, 0, 0, n], 0));
    // One hears, the other announces to it.
    let mut options = Options::new(node(1), key());
    options.config.community = "test".into();
    options.config.discovery = true;
    options.config.first_retry = (Duration::from_millis(20), Duration::from_millis(40));
    options.discovery_bind = udp(1);
    options.discovery_to = udp(1);
    options.discovery_to.set_port(9);
    let hears = start(options).await.unwrap();
    let mut options = Options::new(node(2), key());
    options.config.community = "test".into();
    options.config.discovery = true;
    options.listen = Some(loopback());
    options.discovery_bind = udp(1);
    options.discovery_to = hears.discovery_addr().unwrap();
    let announces = start(options).await.unwrap();
    let found = hears.event().await;
    let at = announces.local_addr().unwrap();
    assert_eq!(
        found,
        Some(NodeEvent::Found {
            node: node(2),
            address: at
        })
    );
    // Found is dialed.
    assert_eq!(announces.accept().await.unwrap().peer(), Some(node(1)));
}

#[tokio::test]
async fn a_stream_that_is_cut_off_is_never_taken_for_a_whole_one() {
    let (node, at) = listening(|_| {}).await;
    let connection = connect(at, identity(2), Config::default(), None)
        .await
        .unwrap();
    let accepted = node.accept().await.unwrap();
    let mut stream = connection.open().unwrap();
    stream.send(Bytes::from_static(b"half")).await.unwrap();
    connection.flush().await.unwrap();
    drop((stream, connection));
    let cut = accepted.receive_message(100).await.unwrap_err();
    assert_eq!(cut.class(), Some(Class::Eof), "{cut}");
    assert!(!matches!(cut, Error::Closed));
}
