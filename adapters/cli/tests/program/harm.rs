//! What goes wrong over each of the three services: the same codes, and words that fit each.

use crate::hostile::{
    Account, append, base64, ends_with_one_event, ends_with_one_line, garbage, session,
};
use crate::service::lines;
use crate::services::{JSON, account, places_of};
use crate::support::{ACCOUNT, Input, Place, noise, run, start, wait_for};
use std::io::Write;
use std::time::Duration;
use stillwire_azure::http::Method;

/// What one place is called where, and what the emulator calls a refusal there.
fn words(name: &str) -> (&'static str, &'static str, &'static str) {
    match name {
        "queues" => ("queue", "looking for", "AuthenticationFailed"),
        "tables" => ("table", "creating", "AuthorizationFailure"),
        _ => ("container", "looking for", "AuthorizationFailure"),
    }
}

#[test]
fn a_wrong_key_is_refused_by_every_service() {
    for (name, place) in Place::azurites() {
        let (endpoint, handshake) = place.meeting();
        let (kind, doing, code) = words(name);
        let mut wrong = place.listening("listen", &["-q"]);
        wrong.env("AZURE_STORAGE_KEY", "bm90IHRoZSBrZXk=");
        let done = run(wrong, Input::Nothing).expect(3);
        assert_eq!(
            done.stderr.trim_end(),
            format!(
                "stillwire: {doing} {kind} \"{handshake}\" at {endpoint}: the key is not that of \
                 account \"{ACCOUNT}\": check AZURE_STORAGE_KEY (HTTP 403 {code})"
            ),
        );
    }
}

#[test]
fn an_expired_ticket_is_refused_by_every_service() {
    for (name, place) in Place::azurites() {
        let (endpoint, handshake) = place.meeting();
        let (kind, _, code) = words(name);
        let listener = start(
            place.listening("listen", &["--expiry", "1s"]),
            Input::Nothing,
        );
        wait_for(|| place.path("ticket").exists());
        std::thread::sleep(Duration::from_secs(3));
        let done = run(place.dialing("dial", &["-q"]), Input::Nothing).expect(3);
        assert_eq!(done.stderr.lines().count(), 1, "{name}: {}", done.stderr);
        let start = format!(
            "stillwire: knocking in {kind} \"{handshake}\" at {endpoint}: the SAS expired at 20"
        );
        let end = format!("Z: get a new ticket (HTTP 403 {code})");
        let told = done.last_line();
        assert!(told.starts_with(&start) && told.ends_with(&end), "{told}");
        drop(listener);
    }
}

/// Puts bytes that nobody has sealed where a session's next chunk is due: `side` is `req` or `res`.
fn plant(name: &str, account: &Account, session: &str, side: &str, sequence: u64) {
    let chunk = garbage();
    let (status, told) = match name {
        "queues" => {
            let text = base64(&[&sequence.to_be_bytes()[..], &chunk].concat());
            let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
            let path = format!("{side}-{session}/messages");
            account.send(Method::Post, &path, &[], body.as_bytes())
        }
        "tables" => {
            let data = base64(&chunk);
            let row = format!(
                "{{\"PartitionKey\":\"data\",\"RowKey\":\"{sequence:09}\",\
                 \"Data@odata.type\":\"Edm.Binary\",\"Data\":\"{data}\"}}"
            );
            let path = format!("{side}{}", session.replace('-', ""));
            account.send(Method::Post, &path, &JSON, row.as_bytes())
        }
        _ => return append(account, session, &format!("{side}-0")),
    };
    assert_eq!(status, 201, "{name}: {told}");
}

#[test]
fn a_corrupted_chunk_ends_whoever_reads_it_over_every_service() {
    for (name, place) in Place::azurites() {
        // The listener has written nothing: its first chunk is due.
        let listener = start(place.listening("listen", &["--json"]), Input::Open);
        let dialer = start(place.dialing("dial", &["-q"]), Input::Open);
        plant(name, &account(name, &place), &session(&listener), "res", 0);
        ends_with_one_line(dialer, 5, "authentication failed");
        drop(listener);

        // The dialer has greeted: its second is.
        let listener = start(place.listening("listen", &["--json"]), Input::Open);
        let dialer = start(place.dialing("dial", &["-q"]), Input::Open);
        plant(name, &account(name, &place), &session(&listener), "req", 1);
        ends_with_one_event(listener, 5, "authentication failed");
        drop(dialer);
    }
}

#[test]
fn a_corrupted_chunk_ends_its_own_connection_alone_over_every_service() {
    for (name, place) in Place::azurites() {
        let mut listener = start(
            place.listening("listen", &["--echo", "--json"]),
            Input::Nothing,
        );
        let open = || start(place.dialing("dial", &["--json"]), Input::Open);
        let (mut honest, victim) = (open(), open());
        session(&honest);
        plant(name, &account(name, &place), &session(&victim), "req", 1);
        listener.wait_to_hear("\"trouble\"");
        drop(victim);

        // Whoever was there before, and whoever comes after.
        let (before, after) = (noise(70_000), noise(50_001));
        let mut stdin = honest.stdin();
        stdin.write_all(&before).unwrap();
        drop(stdin);
        assert!(honest.finish().expect(0).stdout == before, "{name}");
        let next = run(place.dialing("dial", &["-q"]), Input::Bytes(after.clone()));
        assert!(next.expect(0).stdout == after, "{name}");

        assert!(listener.is_running(), "{name}");
        let told = listener.told();
        let events: Vec<_> = lines(told.as_bytes());
        let of = |kind: &str| {
            let found = events.iter().filter(|event| event["event"] == kind);
            found.collect::<Vec<_>>()
        };
        assert_eq!(of("connected").len(), 3, "{name}: {told}");
        assert!(of("error").is_empty(), "{name}: {told}");
        let [trouble] = of("trouble")[..] else {
            panic!("{name}: {told}")
        };
        assert_eq!(trouble["code"], 5, "{name}");
        let message = trouble["message"].as_str().unwrap();
        assert!(message.contains("authentication failed"), "{message}");
        // One line per event, and nothing else was said.
        assert_eq!(events.len(), 6, "{name}: {told}");
    }
}

/// Removes a session's places.
fn destroy(name: &str, account: &Account, session: &str) {
    for place in places_of(name, session) {
        let (path, headers) = match name {
            "tables" => (format!("Tables('{place}')"), &JSON[..]),
            "queues" => (place, &[][..]),
            _ => (format!("{place}?restype=container"), &[][..]),
        };
        let (status, told) = account.send(Method::Delete, &path, headers, b"");
        assert!(matches!(status, 202 | 204), "{name}: {told}");
    }
}

fn vanishes_mid_stream(name: &str, place: &Place) {
    let listener = start(place.listening("listen", &["-q"]), Input::Open);
    let dialer = start(place.dialing("dial", &["--json"]), Input::Open);
    let session = session(&dialer);
    destroy(name, &account(name, place), &session);
    // Neither side writes: the loss shows in reading alone, or to a ping.
    let plain = session.replace('-', "");
    let its = if name == "tables" { &plain } else { &session };
    ends_with_one_line(listener, 5, its);
    let done = dialer.finish().expect(5);
    let told = done.last_line();
    let gone = [
        "is not there: was it removed?",
        "deleted while it was in use",
    ];
    assert!(gone.iter().any(|words| told.contains(words)), "{told}");
    assert_eq!(done.stderr.matches("\"error\"").count(), 1, "{told}");
}

#[test]
fn a_container_that_vanishes_mid_stream_ends_both_sides() {
    let Some(place) = Place::azurite() else {
        return;
    };
    vanishes_mid_stream("blobs", &place);
}

#[test]
fn queues_that_vanish_mid_stream_end_both_sides() {
    let Some(place) = Place::azurite_queue() else {
        return;
    };
    vanishes_mid_stream("queues", &place);
}

#[test]
fn tables_that_vanish_mid_stream_end_both_sides() {
    let Some(place) = Place::azurite_table() else {
        return;
    };
    vanishes_mid_stream("tables", &place);
}

#[test]
fn a_session_that_vanishes_under_a_writer_ends_it_at_once_over_every_service() {
    for (name, place) in Place::azurites() {
        let listener = start(place.listening("listen", &["--json"]), Input::Open);
        let mut dialer = start(place.dialing("dial", &["-q"]), Input::Open);
        destroy(name, &account(name, &place), &session(&listener));
        let mut stdin = dialer.stdin();
        // It may end before it has taken everything.
        let _ = stdin.write_all(&noise(100_000));
        ends_with_one_line(dialer, 5, "is not there");
        drop((stdin, listener));
    }
}
