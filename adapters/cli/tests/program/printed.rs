//! Help, completions, the manual, and what goes to which stream.

use crate::snapshots::assert_snapshot;
use crate::support::{Input, Place, run, stillwire};
use serde_json::Value;

const VERBS: [&str; 16] = [
    "demo",
    "listen",
    "dial",
    "send",
    "recv",
    "ticket",
    "gc",
    "doctor",
    "bench",
    "estimate",
    "asoc",
    "ziti",
    "commonware",
    "packetfs",
    "completions",
    "man",
];

#[test]
fn help_is_as_it_was() {
    let help = |arguments: &[&str]| {
        let done = run(stillwire(arguments), Input::Nothing).expect(0);
        assert!(done.stderr.is_empty());
        String::from_utf8(done.stdout).unwrap()
    };
    assert_snapshot("help.txt", &help(&["-h"]));
    assert_snapshot("help-long.txt", &help(&["--help"]));
    for verb in VERBS {
        assert_snapshot(&format!("help-{verb}.txt"), &help(&[verb, "-h"]));
    }
    for verb in ["send", "recv"] {
        let text = help(&["packetfs", verb, "-h"]);
        assert_snapshot(&format!("help-packetfs-{verb}.txt"), &text);
    }
}

#[test]
fn without_a_verb_help_goes_to_stderr() {
    let done = run(stillwire::<&str>([]), Input::Nothing).expect(2);
    assert!(done.stdout.is_empty());
    assert!(done.stderr.contains("Usage: stillwire"));
}

#[test]
fn help_of_the_protocols_over_tcp_is_as_it_was() {
    for (protocol, verb) in [
        ("ziti", "listen"),
        ("ziti", "dial"),
        ("ziti", "keygen"),
        ("commonware", "listen"),
        ("commonware", "dial"),
        ("packetfs", "listen"),
        ("packetfs", "dial"),
    ] {
        let done = run(stillwire([protocol, verb, "-h"]), Input::Nothing).expect(0);
        let text = String::from_utf8(done.stdout).unwrap();
        assert_snapshot(&format!("help-{protocol}-{verb}.txt"), &text);
    }
    for protocol in ["ziti", "commonware", "packetfs"] {
        run(stillwire([protocol]), Input::Nothing).expect(2);
    }
}

#[test]
fn completions_and_manual_name_every_verb() {
    for arguments in [
        ["completions", "bash"],
        ["completions", "zsh"],
        ["man", "-q"],
    ] {
        let done = run(stillwire(arguments), Input::Nothing).expect(0);
        let text = String::from_utf8(done.stdout).unwrap();
        for verb in VERBS {
            assert!(text.contains(verb), "{arguments:?}: {verb}");
        }
    }
}

#[test]
fn the_demo_prints_its_figures() {
    let done = run(stillwire(["demo", "--bytes", "3MB"]), Input::Nothing).expect(0);
    let text = String::from_utf8(done.stdout).unwrap();
    for part in [
        "store      dir:",
        "3.0 MB there and back in",
        "MB/s",
        "transactions",
        "overhead   ",
        " chunks (",
        "equal",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert!(done.stderr.is_empty(), "{}", done.stderr);
    let directory = text
        .lines()
        .next()
        .unwrap()
        .trim_start_matches("store      dir:");
    assert!(
        !std::path::Path::new(directory).exists(),
        "{directory} is left behind"
    );
    // Of nothing there is no share.
    let done = run(stillwire(["demo", "--bytes", "0"]), Input::Nothing).expect(0);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(!text.contains('%'), "{text}");
}

#[test]
fn the_demo_takes_a_file_and_speaks_json() {
    let place = Place::directory();
    let file = place.write("file", b"abc");
    let mut command = stillwire(["demo", "memory:", "--json", "--stats", "--file"]);
    command.arg(file);
    let done = run(command, Input::Nothing).expect(0);
    let result: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(result["store"], "memory:");
    assert_eq!(result["bytes_each_way"], 3);
    assert_eq!(
        result["sha256"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    // A chunk costs its length (4), its tag (16) and the header of its frame (5).
    let chunks = result["chunks"].as_u64().unwrap();
    assert!(chunks >= 2, "one each way at least: {result}");
    assert_eq!(result["overhead_bytes"], chunks * 25);
    let stats: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(stats["event"], "stats");
    assert_eq!(stats["bytes_sent"], 6);
    assert_eq!(stats["bytes_received"], 6);
    for counter in [
        "connections",
        "chunks_sent",
        "chunks_received",
        "retries",
        "seconds",
    ] {
        assert!(stats[counter].is_number(), "{counter}");
    }
    let transactions = &stats["transactions"];
    assert!(transactions["listing"].is_number());
    let sum: u64 = ["write", "read", "read_empty", "delete", "listing", "other"]
        .iter()
        .map(|kind| transactions[kind].as_u64().unwrap())
        .sum();
    assert_eq!(transactions["total"], sum);
    assert!(sum > 0);
}

#[test]
fn a_ticket_goes_to_stdout_and_works_later() {
    let place = Place::directory();
    let store = format!("dir:{}", place.path("store").display());
    let done = run(
        stillwire(["ticket", &store, "--expiry", "2h"]),
        Input::Nothing,
    )
    .expect(0);
    let ticket = String::from_utf8(done.stdout).unwrap();
    assert!(ticket.starts_with("stillwire:dir:"), "{ticket}");
    assert_eq!(ticket.lines().count(), 1);

    let done = run(stillwire(["ticket", &store, "--json"]), Input::Nothing).expect(0);
    let json: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(json["ticket"], ticket.trim());
    assert_eq!(json["expires_in_seconds"], 86_400);

    // By environment, and by stdin in front of the data.
    for by_stdin in [false, true] {
        let listener = crate::support::start(place.listening("listen", &["-q"]), Input::Nothing);
        crate::support::wait_for(|| place.path("ticket").exists());
        let (mut command, input) = if by_stdin {
            let input = format!("{}\nhello", ticket.trim());
            (stillwire(["dial", "-q", "-"]), input)
        } else {
            (stillwire(["dial", "-q"]), "hello".to_owned())
        };
        if !by_stdin {
            command.env("STILLWIRE_TICKET", ticket.trim());
        }
        run(command, Input::Bytes(input.into_bytes())).expect(0);
        assert_eq!(listener.finish().expect(0).stdout, b"hello");
    }
}

#[test]
fn the_warning_is_one_line_unless_quiet() {
    let place = Place::directory();
    let listener = crate::support::start(place.listening("listen", &["--json"]), Input::Nothing);
    let dialer = run(place.dialing("dial", &[]), Input::Nothing).expect(0);
    let warnings = |text: &str| text.matches("anonymous").count();
    assert_eq!(warnings(&dialer.stderr), 1, "{}", dialer.stderr);
    let events: Vec<Value> = listener
        .finish()
        .expect(0)
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<_> = events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["warning", "ticket", "connected", "finished"]);

    let listener = crate::support::start(place.listening("listen", &["-q"]), Input::Nothing);
    let dialer = run(place.dialing("dial", &["-q"]), Input::Nothing).expect(0);
    assert_eq!(dialer.stderr, "");
    assert_eq!(listener.finish().expect(0).stderr, "");
}
