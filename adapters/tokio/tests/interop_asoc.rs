//! The real Python ASoc node, both roles. `cargo xtask test` says where its Python is.

use bytes::Bytes;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use stillwire_tokio::asoc::{
    ApiKey, Config, Connection, Identity, NodeId, Options, connect, start,
};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const KEY: &str = "a key of the cluster, 32 bytes..";
const LIMIT: usize = 128 << 20;
const PATIENCE: Duration = Duration::from_secs(90);

fn python() -> Option<String> {
    let found = std::env::var("STILLWIRE_ASOC_PYTHON").ok();
    if found.is_none() {
        println!("skipped: the Python ASoc node is not here (STILLWIRE_ASOC_PYTHON)");
    }
    found
}

struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    fn start(python: &str, arguments: &[&str]) -> Self {
        let script =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance/peers/asoc/node.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(arguments)
            .env("ASOC_API_KEY", KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            stdin,
            lines,
        }
    }

    /// The next line that tells of `event`; the node prints others besides.
    async fn event(&mut self, event: &str) -> String {
        let mark = format!("{{\"event\": \"{event}\"");
        let wait = async {
            loop {
                let line = self
                    .lines
                    .next_line()
                    .await
                    .unwrap()
                    .expect("the peer ended");
                if line.starts_with(&mark) {
                    return line;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, wait).await;
        found.unwrap_or_else(|_| panic!("the peer never said {event}"))
    }

    async fn stop(mut self) -> String {
        drop(self.stdin.take());
        let peers = self.event("peers").await;
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        assert!(ended.unwrap().unwrap().success());
        peers
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect()
}

/// A port that was free a moment ago: the Python node cannot say which one it took.
fn port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    socket.local_addr().unwrap().port()
}

/// Dials; the Python node says that it is ready a little before it listens.
async fn dial(port: u16) -> Connection {
    let identity = || Identity {
        node: NodeId::from_bytes([2; 16]),
        keys: vec![ApiKey::new(KEY.as_bytes()).unwrap()],
        community: "stillwire".into(),
    };
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let mut tries = 0;
    loop {
        match connect(at, identity(), Config::default(), None).await {
            Ok(connection) => return connection,
            Err(error) => assert!(tries < 50, "{error}"),
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_node_dials_us_and_streams_go_both_ways() {
    let Some(python) = python() else { return };
    let key = ApiKey::new(KEY.as_bytes()).unwrap();
    let mut options = Options::new(NodeId::from_bytes([1; 16]), key);
    options.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let node = start(options).await.unwrap();
    let port = node.local_addr().unwrap().port().to_string();
    for bytes in ["0", "1", "1048577", "100000000"] {
        let mut peer = Peer::start(&python, &["dial", "--port", &port, "--bytes", bytes]);
        let connection = tokio::time::timeout(PATIENCE, node.accept()).await;
        let connection = connection.unwrap().unwrap();
        assert!(connection.peer().is_some());
        let message = connection.receive_message(LIMIT).await.unwrap().unwrap();
        assert_eq!(message.len().to_string(), bytes);
        connection.send_message(Bytes::from(message)).await.unwrap();
        let back = peer.event("back").await;
        assert!(back.contains("\"same\": true"), "{back}");
        peer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_dial_the_python_node_and_streams_go_both_ways() {
    let Some(python) = python() else { return };
    let port = port();
    let mut peer = Peer::start(&python, &["listen", "--port", &port.to_string()]);
    peer.event("ready").await;
    let connection = dial(port).await;
    for bytes in [0, 1, (1 << 20) + 1, 100_000_000] {
        let message = pattern(bytes);
        connection
            .send_message(Bytes::from(message.clone()))
            .await
            .unwrap();
        let heard = peer.event("stream").await;
        assert!(heard.contains(&format!("\"bytes\": {bytes},")), "{heard}");
        let back = connection.receive_message(LIMIT).await.unwrap().unwrap();
        assert!(back == message, "{bytes} bytes came back changed");
    }
    connection.close().await.unwrap();
    peer.event("closed").await;
    peer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_01_a_python_node_that_only_receives_lives_past_its_own_time_out() {
    let Some(python) = python() else { return };
    let port = port();
    let mut peer = Peer::start(&python, &["listen", "--port", &port.to_string(), "--plain"]);
    peer.event("ready").await;
    let connection = dial(port).await;
    // It would give up after 30 s without a frame.
    tokio::time::sleep(Duration::from_secs(36)).await;
    connection
        .send_message(Bytes::from_static(b"still here"))
        .await
        .unwrap();
    connection.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let peers = peer.stop().await;
    assert!(peers.contains("\"count\": 1"), "{peers}");
    drop(connection);
}
