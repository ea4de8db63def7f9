//! SIGINT and SIGTERM.
#![cfg(unix)]

use crate::support::{Input, Place, names, noise, start, stillwire, wait_for};
use rustix::process::Signal;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn a_waiting_listener_ends_with_130() {
    for signal in [Signal::INT, Signal::TERM] {
        let place = Place::directory();
        let listener = start(place.listening("listen", &[]), Input::Nothing);
        wait_for(|| place.path("ticket").exists());
        listener.signal(signal);
        let done = listener.finish().expect(130);
        assert_eq!(done.last_line(), "stillwire: interrupted");
        assert!(place.names("store/sessions").is_empty());
    }
}

#[test]
fn a_waiting_dialer_ends_with_130() {
    let place = Place::directory();
    let store = format!("dir:{}", place.path("store").display());
    let done = crate::support::run(stillwire(["ticket", &store]), Input::Nothing).expect(0);
    let ticket = String::from_utf8(done.stdout).unwrap();
    let dialer = start(stillwire(["dial", "-q", ticket.trim()]), Input::Nothing);
    thread::sleep(Duration::from_millis(500));
    dialer.signal(Signal::INT);
    assert_eq!(dialer.finish().expect(130).stderr, "");
}

#[test]
fn an_interrupted_stream_ends_gracefully_at_the_peer() {
    let place = Place::directory();
    let listener = start(place.listening("listen", &[]), Input::Nothing);
    let mut dialer = start(place.dialing("dial", &["-v"]), Input::Open);
    let mut stdin = dialer.stdin();
    stdin.write_all(b"so far").unwrap();
    dialer.wait_to_hear("connected");
    thread::sleep(Duration::from_millis(500));
    dialer.signal(Signal::INT);
    // The listener sees an end, not a broken stream.
    let listened = listener.finish().expect(0);
    assert_eq!(listened.stdout, b"so far");
    dialer.finish().expect(130);
    assert!(place.names("store/sessions").is_empty());
    drop(stdin);
}

/// While it waits for somebody, and in the middle of a file.
#[test]
fn an_interrupted_packetfs_receiver_leaves_nothing_behind() {
    for under_way in [false, true] {
        let room = TempDir::new().unwrap();
        let blob = room.path().join("blob");
        std::fs::write(&blob, noise(100_000)).unwrap();
        let end = |verb: &str, role: &str, address: &str, file: &str| {
            let mut command = stillwire(["packetfs", verb, "--json", role, address]);
            command.arg(room.path().join(file));
            command.arg("--blob").arg(&blob);
            command.env("STILLWIRE_PACKETFS_PSK", "5".repeat(64));
            command
        };
        // Lengths of what lies beside the file's place.
        let parts = || -> Vec<u64> {
            let entries = std::fs::read_dir(room.path()).unwrap().map(Result::unwrap);
            let parts =
                entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "part"));
            parts.map(|part| part.metadata().unwrap().len()).collect()
        };
        let receiver = end("recv", "--listen", "127.0.0.1:0", "out");
        let receiver = start(receiver, Input::Nothing);
        receiver.wait_to_hear("listening");
        let told = receiver.told();
        let line: serde_json::Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
        let address = line["address"].as_str().unwrap();
        let file = room.path().join("file");
        let mut sender = None;
        if under_way {
            // Foreign bytes, and more of them than one object holds: three more are to come when
            // the first is here.
            std::fs::write(&file, noise(20 << 20).repeat(5)).unwrap();
            sender = Some(start(
                end("send", "--connect", address, "file"),
                Input::Nothing,
            ));
            let size = || parts().iter().sum::<u64>();
            wait_for(|| size() > 0);
        }
        assert_eq!(parts().len(), 1);
        receiver.signal(Signal::INT);
        receiver.finish().expect(130);
        if let Some(sender) = sender {
            let sent = sender.finish();
            assert!(matches!(sent.code, Some(4 | 5)), "{sent:?}");
            std::fs::remove_file(&file).unwrap();
        }
        assert_eq!(names(room.path()), ["blob"]);
    }
}

#[test]
fn an_interrupted_listener_ends_gracefully_and_leaves_no_session() {
    for (verb, serving) in [
        ("listen", &[][..]),
        ("listen", &["--echo"]),
        ("recv", &["in"]),
    ] {
        let place = Place::directory();
        let mut command = place.listening(verb, serving);
        command.current_dir(place.dir.path());
        let listener = start(command, Input::Nothing);
        let mut dialer = start(place.dialing("dial", &["-v"]), Input::Open);
        let mut stdin = dialer.stdin();
        // The beginning of a stream of files, and as good as any other bytes.
        stdin.write_all(b"swfiles\x01").unwrap();
        dialer.wait_to_hear("connected");
        wait_for(|| place.names("store/sessions").len() == 1);
        // It has taken in what there was.
        let session = place.names("store/sessions").remove(0);
        let way = format!("store/sessions/{session}/req/0");
        wait_for(|| place.names(&way).is_empty());
        listener.signal(Signal::INT);
        drop(stdin);
        listener.finish().expect(130);
        drop(dialer);
        let left = place.names("store/sessions");
        assert!(left.is_empty(), "{verb} {serving:?}: {left:?}");
    }
}

/// Only a dialer that is there can say that it has read everything. Before its end and after it.
#[test]
fn an_interrupted_listener_leaves_no_session_of_a_dialer_that_is_gone() {
    for ended in [false, true] {
        let place = Place::directory();
        let listener = start(place.listening("listen", &["-v"]), Input::Open);
        let input = if ended { Input::Nothing } else { Input::Open };
        let dialer = start(place.dialing("dial", &["-v"]), input);
        dialer.wait_to_hear("connected");
        listener.wait_to_hear("confirmed");
        if ended {
            listener.wait_to_hear("the peer has finished");
        }
        dialer.signal(Signal::KILL);
        drop(dialer);
        assert_eq!(place.names("store/sessions").len(), 1);
        listener.signal(Signal::INT);
        listener.finish().expect(130);
        let left = place.names("store/sessions");
        assert!(left.is_empty(), "ended: {ended}: {left:?}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let place = Place::directory();
    let mut listener = start(place.listening("listen", &[]), Input::Open);
    let mut dialer = start(place.dialing("dial", &[]), Input::Open);
    let (held, also_held) = (listener.stdin(), dialer.stdin());
    dialer.wait_to_hear("connected");
    // The farewell would wait for the listener, whose input stays open.
    dialer.signal(Signal::INT);
    thread::sleep(Duration::from_millis(400));
    assert!(dialer.is_running());
    let asked = Instant::now();
    dialer.signal(Signal::INT);
    dialer.finish().expect(130);
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    drop((held, also_held));
}
