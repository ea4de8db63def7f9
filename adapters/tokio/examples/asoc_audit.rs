//! The audit events of an ASoc node, as JSON Lines in a file and to `tracing`.
//!
//! ```sh
//! cargo run -p stillwire-tokio --example asoc_audit -- audit.jsonl
//! ```
//!
//! A node listens on the loopback. A friend says hello; somebody with another key tries until he is
//! locked out; a node that is not on the list has the key and is refused all the same.

// ANCHOR: sink
use serde_json::json;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use stillwire_tokio::Class;
use stillwire_tokio::asoc::{AuditEvent, AuditKind, AuditSink};

/// Writes each event as a line of JSON, and tells `tracing`.
///
/// The node calls it from its own task: a log that can block for long belongs behind a channel.
fn sink(log: File) -> AuditSink {
    let log = Mutex::new(log);
    Arc::new(move |event| {
        let mut line = line(event).to_string();
        line.push('\n');
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        // One write a line: whoever reads along never sees half of one.
        if let Err(error) = log.write_all(line.as_bytes()) {
            tracing::error!(%error, "an audit event is lost");
        }
        drop(log);
        trace(event);
    })
}

fn line(event: &AuditEvent) -> serde_json::Value {
    json!({
        "time_ms": event.time.as_millis(),
        "event": event.kind.as_str(),
        "class": event.kind.class().map(Class::as_str),
        "node": event.node.map(|node| node.to_string()),
        "address": event.address.map(|address| address.to_string()),
        // Only a success and the events of a rotation name a key, by the first 8 bytes of its hash.
        "key": key(&event.kind),
    })
}

fn key(kind: &AuditKind) -> Option<String> {
    match kind {
        AuditKind::Success { key, .. }
        | AuditKind::UnknownKey(key)
        | AuditKind::DifferentActivation(key)
        | AuditKind::KeyActivated(key)
        | AuditKind::KeyPurged(key)
        | AuditKind::KeyAcknowledged(key) => Some(key.to_string()),
        _ => None,
    }
}

fn trace(event: &AuditEvent) {
    let kind = event.kind.as_str();
    let node = event.node.map(tracing::field::display);
    let address = event.address.map(tracing::field::display);
    match &event.kind {
        AuditKind::LockedOut | AuditKind::Alert { .. } => {
            tracing::error!(target: "audit", kind, node, address);
        }
        AuditKind::Failure(error) | AuditKind::Limited(error) => {
            tracing::warn!(target: "audit", kind, node, address, %error);
        }
        AuditKind::Replay
        | AuditKind::UnexpectedNode
        | AuditKind::RepeatedToken
        | AuditKind::UnknownKey(_)
        | AuditKind::DifferentActivation(_) => {
            tracing::warn!(target: "audit", kind, node, address);
        }
        _ => tracing::info!(target: "audit", kind, node, address),
    }
}
// ANCHOR_END: sink

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use stillwire_tokio::asoc::{ApiKey, Config, Identity, NodeId, Options, connect, start};

type Problem = Box<dyn std::error::Error>;

const KEY: &[u8] = b"a key of the cluster, 32 bytes..";

fn identity(node: u8, key: &[u8]) -> Result<Identity, Problem> {
    Ok(Identity {
        node: NodeId::from_bytes([node; 16]),
        keys: vec![ApiKey::new(key)?],
        community: String::from("blue"),
    })
}

pub(crate) async fn run(log: &Path) -> Result<(), Problem> {
    let mut options = Options::new(NodeId::from_bytes([1; 16]), ApiKey::new(KEY)?);
    options.config.community = String::from("blue");
    options.config.audit.allowed = Some([NodeId::from_bytes([2; 16])].into());
    options.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    options.audit = Some(sink(File::options().create(true).append(true).open(log)?));
    let node = start(options).await?;
    let at = node.local_addr().ok_or("the node does not listen")?;

    let friend = connect(at, identity(2, KEY)?, Config::default(), None).await?;
    friend.close().await?;

    // It has the key, and is not on the list.
    let unexpected = connect(at, identity(3, KEY)?, Config::default(), None).await;
    assert!(unexpected.is_err());

    // Five failures lock an address out; the sixth attempt is not even looked at.
    for _ in 0..6 {
        let stranger = identity(4, b"a key that somebody has guessed")?;
        let refused = connect(at, stranger, Config::default(), None).await;
        assert!(refused.is_err());
    }
    // The node's own task writes the log: wait until it has told of the last attempt.
    let told = async {
        while !std::fs::read_to_string(log)?.contains("limited") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<(), std::io::Error>(())
    };
    tokio::time::timeout(Duration::from_secs(60), told).await??;
    for (peer, counters) in node.counters() {
        println!("{peer:?}: {counters:?}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Problem> {
    tracing_subscriber::fmt().init();
    let log = std::env::args_os().nth(1).unwrap_or("audit.jsonl".into());
    run(Path::new(&log)).await
}
