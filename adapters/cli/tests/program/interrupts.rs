//! SIGINT and SIGTERM.
#![cfg(unix)]

use crate::support::{Input, Place, start, stillwire, wait_for};
use rustix::process::Signal;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_waiting_listener_ends_with_130() {
    for signal in [Signal::INT, Signal::TERM] {
        let place = Place::directory();
        let listener = start(place.listening("listen", &[]), Input::Nothing);
        wait_for(|| place.path("ticket").exists());
        listener.signal(signal);
        let done = listener.finish().expect(130);
        assert_eq!(done.last_line(), "stillwire: interrupted");
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
    drop(stdin);
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
