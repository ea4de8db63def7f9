//! The example that writes audit events, run: what is in its log, and what `tracing` was told.

#[path = "../examples/asoc_audit.rs"]
#[expect(dead_code, reason = "its `main` is the program's")]
mod example;

use serde_json::Value;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// Where `tracing` writes to.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn events_are_json_lines_and_go_to_tracing() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("audit.jsonl");
    let lines = Lines::default();
    let writer = lines.clone();
    // The runtime has this thread only, so the node's task is under this subscriber too.
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    example::run(&log).await.unwrap();
    drop(guard);

    let text = std::fs::read_to_string(&log).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    let expected = [
        "success",
        "unexpected_node",
        "failure",
        "failure",
        "failure",
        "failure",
        "failure",
        "locked_out",
        "limited",
    ];
    assert_eq!(kinds, expected);
    for event in &events {
        assert_eq!(event["address"], "127.0.0.1");
        assert!(event["time_ms"].as_u64().unwrap() > 1_600_000_000_000);
    }
    let named = |index: usize| events[index]["node"].as_str();
    assert_eq!(named(0), Some("02020202-0202-0202-0202-020202020202"));
    assert_eq!(named(1), Some("03030303-0303-0303-0303-030303030303"));
    // Who does not have the key has no name.
    assert_eq!(named(2), None);
    assert_eq!(events[1]["class"], "identity");
    assert_eq!(events[2]["class"], "auth");

    let told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let audited: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("audit:"))
        .collect();
    assert_eq!(audited.len(), expected.len(), "{told}");
    for (line, kind) in audited.iter().zip(expected) {
        assert!(line.contains(&format!("kind=\"{kind}\"")), "{line}");
        let level = match kind {
            "success" => " INFO ",
            "locked_out" => "ERROR ",
            _ => " WARN ",
        };
        assert!(line.contains(level), "{line}");
    }
    for said in [&text, &told] {
        assert!(
            !said.contains("a key of the cluster") && !said.contains("guessed"),
            "{said}"
        );
    }
}
