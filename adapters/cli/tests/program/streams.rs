//! `listen` and `dial` on standard streams, and `--echo`.

use crate::support::{Input, Place, noise, run, start, start_unread, stillwire};
use std::io::Write;

fn raw_streams_both_ways(place: &Place) {
    let (up, down) = (noise(5_000_003), noise(1_000_001));
    let listener = start(place.listening("listen", &[]), Input::Bytes(down.clone()));
    let dialer = run(
        place.dialing("dial", &["--stats"]),
        Input::Bytes(up.clone()),
    )
    .expect(0);
    let listened = listener.finish().expect(0);
    assert!(dialer.stdout == down, "the dialer got something else");
    assert!(listened.stdout == up, "the listener got something else");
    let stats: serde_json::Value = serde_json::from_str(dialer.last_line()).unwrap();
    assert_eq!(stats["bytes_sent"], up.len());
    assert_eq!(stats["bytes_received"], down.len());
}

fn one_way_each_way(place: &Place) {
    let data = noise(3_000_000);
    let listener = start(place.listening("listen", &[]), Input::Nothing);
    run(place.dialing("dial", &[]), Input::Bytes(data.clone())).expect(0);
    assert!(listener.finish().expect(0).stdout == data);

    let listener = start(place.listening("listen", &[]), Input::Bytes(data.clone()));
    let dialer = run(place.dialing("dial", &[]), Input::Nothing).expect(0);
    assert!(dialer.stdout == data);
    assert!(listener.finish().expect(0).stdout.is_empty());
}

fn many_echoes_at_once(place: &Place) {
    let listener = start(place.listening("listen", &["--echo"]), Input::Nothing);
    let dialers: Vec<_> = [0, 1, 100_000, 2_000_000]
        .into_iter()
        .map(|bytes| {
            let data = noise(bytes);
            let input = Input::Bytes(data.clone());
            (data, start(place.dialing("dial", &["-q"]), input))
        })
        .collect();
    for (data, dialer) in dialers {
        assert!(dialer.finish().expect(0).stdout == data);
    }
    #[cfg(unix)]
    {
        listener.signal(rustix::process::Signal::TERM);
        listener.finish().expect(130);
    }
}

#[test]
fn raw_streams_over_a_directory() {
    raw_streams_both_ways(&Place::directory());
    one_way_each_way(&Place::directory());
}

#[test]
fn raw_streams_over_blobs() {
    let Some(place) = Place::azurite() else {
        return;
    };
    raw_streams_both_ways(&place);
    one_way_each_way(&place);
}

#[test]
fn streams_and_echoes_over_queues() {
    let Some(place) = Place::azurite_queue() else {
        return;
    };
    raw_streams_both_ways(&place);
    one_way_each_way(&place);
    many_echoes_at_once(&place);
}

#[test]
fn streams_and_echoes_over_tables() {
    let Some(place) = Place::azurite_table() else {
        return;
    };
    raw_streams_both_ways(&place);
    one_way_each_way(&place);
    many_echoes_at_once(&place);
}

#[test]
fn a_ticket_made_beforehand_works_over_every_service() {
    for (name, place) in Place::azurites() {
        place.prepare();
        let ticket = std::fs::read_to_string(place.path("ticket")).unwrap();
        assert!(!ticket.contains("devstoreaccount1:"), "{name}");
        // The dialer is there first, and waits.
        let mut dial = stillwire(["dial", "-q"]);
        dial.env("STILLWIRE_TICKET", ticket.trim());
        let dialer = start(dial, Input::Bytes(noise(100_000)));
        let listener = start(
            place.listening("listen", &["-q", "--once", "--echo"]),
            Input::Nothing,
        );
        let done = dialer.finish().expect(0);
        assert!(done.stdout == noise(100_000), "{name}");
        listener.finish().expect(0);
    }
}

#[test]
fn a_ticket_of_one_service_is_refused_for_another() {
    for (name, place) in Place::azurites() {
        place.prepare();
        let (endpoint, handshake) = place.meeting();
        // The emulator's host tells nothing: what does not fit shows when it is asked.
        let answers = |there: &str, wanted: &str, place: &str| {
            format!(
                "stillwire: knocking in {place} \"{handshake}\" at {endpoint}: {there} storage \
                 answers there, not {wanted} storage: check the endpoint, it is the account's \
                 {wanted} endpoint that is wanted"
            )
        };
        let tries = match name {
            "blobs" => vec![("azqueue", 5, answers("blob", "queue", "queue"))],
            "tables" => vec![
                ("azqueue", 5, answers("table", "queue", "queue")),
                ("azblob", 5, answers("table", "blob", "container")),
            ],
            // A queue's name may have a hyphen.
            _ => vec![
                ("azblob", 5, answers("queue", "blob", "container")),
                (
                    "aztable",
                    2,
                    format!(
                        "stillwire: not a table name: \"{handshake}\" (3 to 63 letters and \
                         digits, a letter first, not the same twice)"
                    ),
                ),
            ],
        };
        for (driver, code, words) in tries {
            let dial = place.dialing("dial", &["-q", "--driver", driver]);
            let done = run(dial, Input::Nothing).expect(code);
            assert_eq!(done.stderr.trim_end(), words, "{name} as {driver}");
        }
    }
}

#[test]
fn a_dialer_waits_as_long_as_it_is_told_and_says_what_may_help() {
    let mut places = vec![("a directory", Place::directory())];
    places.extend(Place::azurites());
    for (name, place) in places {
        place.prepare();
        let timeout = ["-q", "--connect-timeout", "1s"];
        let done = run(place.dialing("dial", &timeout), Input::Nothing).expect(4);
        assert_eq!(done.stderr.lines().count(), 1, "{name}: {}", done.stderr);
        let told = done.last_line();
        assert!(
            told.contains("the peer did not answer in time"),
            "{name}: {told}"
        );
        // Trap 9: a listener that runs Go hides the handshakes of others for a minute.
        let longer = told.contains("--connect-timeout 90s");
        assert_eq!(longer, name == "queues", "{name}: {told}");
    }
    let done = run(
        stillwire(["dial", "stillwire:dir:x", "--connect-timeout", "0s"]),
        Input::Nothing,
    )
    .expect(2);
    assert!(done.stderr.contains("write it like"), "{}", done.stderr);
}

#[test]
fn echoes_over_a_directory() {
    many_echoes_at_once(&Place::directory());
}

#[test]
fn echoes_over_blobs() {
    let Some(place) = Place::azurite() else {
        return;
    };
    many_echoes_at_once(&place);
}

#[test]
fn once_serves_one_connection_and_ends() {
    let place = Place::directory();
    let listener = start(
        place.listening("listen", &["--echo", "--once"]),
        Input::Nothing,
    );
    let dialer = run(place.dialing("dial", &[]), Input::Bytes(b"once".to_vec())).expect(0);
    assert_eq!(dialer.stdout, b"once");
    listener.finish().expect(0);
}

#[test]
fn our_output_ends_with_the_peers_stream_while_we_may_still_write() {
    let place = Place::directory();
    let mut listener = start(place.listening("listen", &[]), Input::Open);
    let mut dialer = start(place.dialing("dial", &[]), Input::Nothing);
    // The dialer's direction has ended; the listener's has not.
    let mut stdin = listener.stdin();
    stdin.write_all(b"late").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(listener.is_running() && dialer.is_running());
    stdin.write_all(b" but whole").unwrap();
    drop(stdin);
    assert_eq!(dialer.finish().expect(0).stdout, b"late but whole");
    listener.finish().expect(0);
}

#[test]
fn a_reader_that_has_enough_is_no_error_of_a_dialer() {
    let place = Place::directory();
    let listener = start(
        place.listening("listen", &[]),
        Input::Bytes(noise(4_000_000)),
    );
    let dialer = start_unread(place.dialing("dial", &["-q"]), Input::Nothing);
    assert_eq!(dialer.finish().expect(0).stderr, "");
    drop(listener);
}

#[test]
fn a_reader_that_has_enough_is_no_error_of_a_listener() {
    let place = Place::directory();
    let listener = start_unread(place.listening("listen", &["-q"]), Input::Nothing);
    let dialer = start(
        place.dialing("dial", &["-q"]),
        Input::Bytes(noise(4_000_000)),
    );
    assert_eq!(listener.finish().expect(0).stderr, "");
    drop(dialer);
}
