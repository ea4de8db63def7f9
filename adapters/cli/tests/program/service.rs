//! What keeps a listener running for long, and what looks after a store.
#![cfg_attr(
    not(unix),
    allow(dead_code, unused_imports, reason = "some tests send signals")
)]

use crate::hostile::{Account, session};
use crate::support::{Input, KEY, Place, Running, noise, run, start, stillwire, wait_for};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3_600);

/// Everything below `path` was last touched so long ago.
fn backdate(path: &Path, by: Duration) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            backdate(&entry.unwrap().path(), by);
        }
    }
    let file = fs::File::open(path).unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

/// A listener and a dialer in the middle of a stream, both killed: what they leave behind stays.
pub(crate) fn kill_both(place: &Place) -> String {
    let listener = start(
        place.listening("listen", &["--echo", "--json"]),
        Input::Nothing,
    );
    let mut dialer = start(place.dialing("dial", &[]), Input::Open);
    let mut stdin = dialer.stdin();
    dialer.wait_to_hear("connected");
    stdin.write_all(&noise(10_000)).unwrap();
    listener.wait_to_hear("connected");
    std::thread::sleep(Duration::from_millis(500));
    let id = session(&listener);
    // Dropped, they are killed at once and clean nothing up.
    drop((listener, dialer));
    id
}

pub(crate) fn lines(stdout: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(stdout.to_vec()).unwrap();
    let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap());
    parsed.collect()
}

#[test]
fn gc_removes_what_a_killed_listener_left_and_nothing_else() {
    let place = Place::directory();
    let id = kill_both(&place);
    let left = place.names("store/sessions");
    assert_eq!(left, [id]);
    // Not ours: a directory named like a session, and one of somebody else's.
    let foreign = "7ba7b810-9dad-41d1-80b4-00c04fd430c8";
    let sessions = place.path("store").join("sessions");
    for name in [foreign, "photos"] {
        fs::create_dir(sessions.join(name)).unwrap();
        fs::write(sessions.join(name).join("precious"), "x").unwrap();
    }

    // Young: it may be in use.
    let done = run(place.about("gc", &["--json"]), Input::Nothing).expect(0);
    assert!(done.stdout.is_empty());
    assert!(done.stderr.contains(r#""removed":0"#), "{}", done.stderr);

    backdate(&sessions, 2 * HOUR);
    let dry = run(place.about("gc", &["--dry-run", "--json"]), Input::Nothing).expect(0);
    let found = lines(&dry.stdout);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["found"], left[0]);
    assert!(found[0]["still_seconds"].as_u64().unwrap() >= 7_200);
    assert!(sessions.join(&left[0]).exists(), "dry");

    let done = run(place.about("gc", &[]), Input::Nothing).expect(0);
    assert_eq!(String::from_utf8(done.stdout).unwrap().trim(), left[0]);
    assert!(done.stderr.contains("1 session removed"), "{}", done.stderr);
    assert_eq!(place.names("store/sessions"), [foreign, "photos"]);
    assert!(sessions.join(foreign).join("precious").exists());
    assert!(place.names("store/token").is_empty());
}

#[cfg(unix)]
#[test]
fn gc_leaves_a_connection_in_use_alone() {
    let place = Place::directory();
    let listener = start(place.listening("listen", &["--echo"]), Input::Nothing);
    let mut dialer = start(place.dialing("dial", &["-q"]), Input::Open);
    let mut stdin = dialer.stdin();
    listener.wait_to_hear("connected");
    let sessions = place.path("store").join("sessions");
    wait_for(|| fs::read_dir(&sessions).is_ok_and(|mut found| found.next().is_some()));
    let session = fs::read_dir(&sessions).unwrap().next().unwrap().unwrap();
    // Made long ago, and written to just now.
    backdate(&session.path().join("mark"), 5 * HOUR);
    stdin.write_all(b"still here").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let done = run(place.about("gc", &["--older", "5m"]), Input::Nothing).expect(0);
    assert!(done.stdout.is_empty(), "{:?}", done.stdout);
    drop(stdin);
    assert_eq!(dialer.finish().expect(0).stdout, b"still here");
    listener.signal(rustix::process::Signal::INT);
    listener.finish().expect(130);
}

#[test]
fn gc_over_blobs_touches_nothing_young_and_nothing_foreign() {
    let Some(place) = Place::azurite() else {
        return;
    };
    let id = kill_both(&place);
    let account = Account::of(&place);
    let foreign = "7ba7b810-9dad-41d1-80b4-00c04fd430c8";
    account.put(&format!("{foreign}?restype=container"), &[], b"");
    let done = run(
        place.about("gc", &["--older", "5m", "--json"]),
        Input::Nothing,
    )
    .expect(0);
    // Other runs may have left something on the emulator, long ago.
    let removed = lines(&done.stdout);
    for name in [&id, foreign] {
        assert!(
            removed.iter().all(|line| line["removed"] != *name),
            "{name}"
        );
        let path = format!("{name}?restype=container");
        let method = stillwire_azure::http::Method::Get;
        assert_eq!(account.send(method, &path, &[], b"").0, 200, "{name}");
    }
}

#[test]
fn gc_over_queues_removes_what_was_not_dated_for_long_and_nothing_else() {
    let Some(place) = Place::azurite_queue() else {
        return;
    };
    let id = kill_both(&place);
    let account = Account::new(stillwire_azure::Service::Queue, place.meeting().0);
    let mark = ("x-ms-meta-stillwire", "0123456789abcdef0123456789abcdef");
    let foreign = "7ba7b810-9dad-41d1-80b4-00c04fd430c8";
    // Old, and not ours: named like a session, and bearing the mark under another name.
    let unmarked = format!("req-{foreign}");
    let photos = format!("photos-{}", std::process::id());
    account.put(&unmarked, &[("x-ms-meta-created", "1")], b"");
    account.put(&photos, &[("x-ms-meta-created", "1"), mark], b"");
    let gc = |arguments: &[&str]| {
        let done = run(place.about("gc", arguments), Input::Nothing).expect(0);
        lines(&done.stdout)
    };
    let there = |queue: &str| {
        let method = stillwire_azure::http::Method::Get;
        let path = format!("{queue}?comp=metadata");
        account.send(method, &path, &[], b"").0 == 200
    };
    let ours = [format!("req-{id}"), format!("res-{id}")];
    // Other runs may have left something on the emulator, long ago.
    let removed = gc(&["--older", "5m", "--json"]);
    assert!(removed.iter().all(|line| line["removed"] != *id));
    assert!(ours.iter().all(|queue| there(queue)));

    for queue in &ours {
        let path = format!("{queue}?comp=metadata");
        assert_eq!(
            account.put(&path, &[("x-ms-meta-created", "1"), mark], b""),
            204
        );
    }
    let found = gc(&["--dry-run", "--json"]);
    let same = found.iter().filter(|line| line["found"] == *id);
    let still: Vec<_> = same.map(|line| line["still_seconds"].as_u64()).collect();
    assert!(matches!(*still, [Some(1_000_000_000..)]), "{found:?}");
    assert!(ours.iter().all(|queue| there(queue)), "dry");

    let removed = gc(&["--json"]);
    assert!(removed.iter().any(|line| line["removed"] == *id));
    assert!(!ours.iter().any(|queue| there(queue)));
    assert!(there(&unmarked) && there(&photos));
}

#[test]
fn a_time_in_which_connections_are_silent_is_too_short_for_gc() {
    let done = run(stillwire(["gc", "dir:x", "--older", "4m"]), Input::Nothing).expect(2);
    assert!(done.last_line().contains("five minutes"), "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn a_command_is_served_over_each_connection_and_its_failure_is_told() {
    let place = Place::directory();
    let command = "read line; echo \"$line, $STILLWIRE_CONNECTION\"; test \"$line\" != bad";
    let listener = start(
        place.listening("listen", &["--exec", command]),
        Input::Nothing,
    );
    let mut ids = Vec::new();
    for _ in 0..3 {
        let said = run(
            place.dialing("dial", &["-q"]),
            Input::Bytes(b"hello\n".to_vec()),
        )
        .expect(0);
        let said = String::from_utf8(said.stdout).unwrap();
        let id = said.trim().strip_prefix("hello, ").unwrap().to_owned();
        assert_eq!(id.len(), 36, "{said}");
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "one command each");
    run(
        place.dialing("dial", &["-q"]),
        Input::Bytes(b"bad\n".to_vec()),
    )
    .expect(0);
    listener.wait_to_hear("the command failed: exit status: 1");
    listener.signal(rustix::process::Signal::INT);
    listener.finish().expect(130);
}

#[test]
fn a_command_sees_nothing_that_opens_the_account() {
    let place = Place::directory();
    let mut command = place.listening(
        "listen",
        &["--once", "-q", "--exec", "env; cat > /dev/null"],
    );
    command.env("AZURE_STORAGE_KEY", KEY);
    let listener = start(command, Input::Nothing);
    let done = run(place.dialing("dial", &["-q"]), Input::Nothing).expect(0);
    let environment = String::from_utf8(done.stdout).unwrap();
    assert!(environment.contains("STILLWIRE_CHANNEL_BINDING="));
    assert!(!environment.contains("AZURE_STORAGE"), "{environment}");
    listener.finish().expect(0);
}

/// One scrape, as Prometheus makes it.
fn scrape(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Where a listener with `--json --metrics` says that it can be scraped.
fn metrics_of(listener: &Running) -> String {
    listener.wait_to_hear("\"metrics\"");
    let told = listener.told();
    let line = told.lines().find(|line| line.contains("\"metrics\""));
    let event: Value = serde_json::from_str(line.unwrap()).unwrap();
    event["address"].as_str().unwrap().to_owned()
}

#[cfg(unix)]
#[test]
fn counters_are_served_to_prometheus() {
    let place = Place::directory();
    let listener = start(
        place.listening("listen", &["--echo", "--json", "--metrics", "0"]),
        Input::Nothing,
    );
    let address = metrics_of(&listener);
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    run(place.dialing("dial", &["-q"]), Input::Bytes(noise(100_000))).expect(0);
    let answer = scrape(&address, "/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in [
        "# TYPE stillwire_requests_total counter",
        "stillwire_connections_total{role=\"listener\"} 1",
        "stillwire_listener_accepted_total 1",
        "stillwire_listener_half_open 0",
    ] {
        assert!(answer.contains(line), "{line} is not in {answer}");
    }
    let value = |name: &str| -> u64 {
        let line = answer.lines().find(|line| line.starts_with(name));
        let value = line.unwrap().rsplit(' ').next().unwrap();
        value.parse().unwrap()
    };
    assert!(value("stillwire_bytes_read_total ") >= 100_000);
    assert!(value("stillwire_bytes_written_total ") >= 100_000);
    assert!(value("stillwire_listener_listings_total ") >= 1);
    assert!(scrape(&address, "/else").starts_with("HTTP/1.1 404 "));
    // Neither nonsense nor silence keeps it from answering.
    let silent = TcpStream::connect(&address).unwrap();
    let mut nonsense = TcpStream::connect(&address).unwrap();
    nonsense.write_all(&noise(20_000)).unwrap();
    assert!(scrape(&address, "/metrics").contains("stillwire_"));
    drop((silent, nonsense));
    listener.signal(rustix::process::Signal::INT);
    listener.finish().expect(130);
}

#[test]
fn an_address_in_use_is_told_before_anything_is_made() {
    let place = Place::directory();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = run(
        place.listening("listen", &["--echo", "--metrics", &address]),
        Input::Nothing,
    )
    .expect(1);
    assert!(done.last_line().contains(&address), "{}", done.stderr);
    assert!(!place.path("store").exists());
}

#[cfg(unix)]
#[test]
fn listings_of_a_listener_are_in_its_stats() {
    let place = Place::directory();
    let listener = start(
        place.listening("listen", &["--echo", "--stats", "-q"]),
        Input::Nothing,
    );
    run(place.dialing("dial", &["-q"]), Input::Bytes(noise(1_000))).expect(0);
    std::thread::sleep(Duration::from_secs(2));
    listener.signal(rustix::process::Signal::INT);
    let done = listener.finish().expect(130);
    let line = done.stderr.lines().find(|line| line.contains("\"stats\""));
    let stats: Value = serde_json::from_str(line.unwrap()).unwrap();
    let transactions = &stats["transactions"];
    assert!(transactions["listing"].as_u64().unwrap() >= 2, "{stats}");
    // Prepare, session, token, and their removal.
    assert!(transactions["other"].as_u64().unwrap() >= 4, "{stats}");
    assert_eq!(stats["connections"], 1);
}

#[cfg(unix)]
#[test]
fn past_the_bound_on_connections_dialers_wait_and_are_served_in_turn() {
    let place = Place::directory();
    let listener = start(
        place.listening("listen", &["--echo", "--connections", "2"]),
        Input::Nothing,
    );
    let mut holding: Vec<_> = (0..2)
        .map(|_| start(place.dialing("dial", &["-q"]), Input::Open))
        .collect();
    let inputs: Vec<_> = holding.iter_mut().map(Running::stdin).collect();
    wait_for(|| listener.told().matches("connected").count() == 2);
    let mut waiting = start(
        place.dialing("dial", &["-q"]),
        Input::Bytes(b"me too".to_vec()),
    );
    std::thread::sleep(Duration::from_secs(3));
    assert!(waiting.is_running());
    assert_eq!(listener.told().matches("connected").count(), 2);
    drop(inputs);
    assert_eq!(waiting.finish().expect(0).stdout, b"me too");
    for dialer in holding {
        dialer.finish().expect(0);
    }
    listener.signal(rustix::process::Signal::INT);
    listener.finish().expect(130);
    assert!(place.names("store/sessions").is_empty());
}

#[cfg(unix)]
#[test]
fn a_key_is_read_from_its_file_and_a_wrong_one_is_refused_at_the_start() {
    let Some(place) = Place::azurite() else {
        return;
    };
    // The emulator's key cannot be changed: what a listener makes of that is tested without it.
    let file = place.write("key", KEY.as_bytes());
    let mut command = place.listening("listen", &["--echo", "-v"]);
    command
        .env_remove("AZURE_STORAGE_KEY")
        .env("AZURE_STORAGE_KEY_FILE", &file);
    let listener = start(command, Input::Nothing);
    run(
        place.dialing("dial", &["-q"]),
        Input::Bytes(b"before".to_vec()),
    )
    .expect(0);
    assert!(listener.told().contains("connected"));
    listener.signal(rustix::process::Signal::INT);
    listener.finish().expect(130);

    // Refused at the start is refused for good.
    place.write("key", b"bm90IHRoZSBrZXk=");
    let mut command = place.listening("listen", &["--echo"]);
    command
        .env_remove("AZURE_STORAGE_KEY")
        .env("AZURE_STORAGE_KEY_FILE", &file);
    let done = run(command, Input::Nothing).expect(3);
    assert!(done.last_line().contains("the key is not that of"));
    assert!(!done.stderr.contains("bm90IHRoZSBrZXk"), "{}", done.stderr);
}
