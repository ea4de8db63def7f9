//! `--forward` on both ends: TCP over Stillwire.

use crate::support::{Done, Input, LIMIT, Place, Running, noise, start, wait_for};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A TCP server that sends everything back, for as long as the tests run.
fn tcp_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut reader = stream.try_clone().unwrap();
                if std::io::copy(&mut reader, &mut stream).is_ok() {
                    let _ = stream.shutdown(Shutdown::Write);
                }
            });
        }
    });
    address
}

/// A free port, most likely still free in a moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn connect(port: u16) -> TcpStream {
    let mut stream = None;
    wait_for(|| {
        stream = TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    let stream = stream.unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

#[cfg(unix)]
fn stop(running: Running) -> Done {
    running.signal(rustix::process::Signal::INT);
    running.finish().expect(130)
}

#[cfg(unix)]
fn tcp_through(place: &Place) {
    let to = tcp_echo().to_string();
    let port = free_port();
    let listener = start(
        place.listening("listen", &["--forward", &to]),
        Input::Nothing,
    );
    let dialer = start(
        place.dialing("dial", &["--forward", &port.to_string()]),
        Input::Nothing,
    );
    let clients: Vec<_> = [1, 300_000, 1_000_000]
        .into_iter()
        .map(|bytes| {
            let stream = connect(port);
            thread::spawn(move || {
                let data = noise(bytes);
                let mut writer = stream.try_clone().unwrap();
                let sent = data.clone();
                let writing = thread::spawn(move || {
                    writer.write_all(&sent).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                let mut back = Vec::new();
                (&stream).read_to_end(&mut back).unwrap();
                writing.join().unwrap();
                assert!(back == data, "{bytes} bytes came back as {}", back.len());
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    stop(dialer);
    stop(listener);
}

#[cfg(unix)]
#[test]
fn tcp_over_a_directory() {
    tcp_through(&Place::directory());
}

#[cfg(unix)]
#[test]
fn tcp_over_blobs() {
    let Some(place) = Place::azurite() else {
        return;
    };
    tcp_through(&place);
}

#[cfg(unix)]
#[test]
fn tcp_over_queues() {
    let Some(place) = Place::azurite_queue() else {
        return;
    };
    tcp_through(&place);
}

#[cfg(unix)]
#[test]
fn tcp_over_tables() {
    let Some(place) = Place::azurite_table() else {
        return;
    };
    tcp_through(&place);
}

/// So many TCP connections at once, all of them open until each has had its echo.
#[cfg(unix)]
const MANY: usize = 50;

#[cfg(unix)]
fn many_through(place: &Place) {
    let to = tcp_echo().to_string();
    let port = free_port();
    let listener = start(
        place.listening("listen", &["--forward", &to]),
        Input::Nothing,
    );
    let arguments = ["--forward", &port.to_string(), "--connect-timeout", "80s"];
    let dialer = start(place.dialing("dial", &arguments), Input::Nothing);
    let echoed = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..MANY)
        .map(|number| {
            let mut stream = connect(port);
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let echoed = echoed.clone();
            thread::spawn(move || {
                let data = noise(5_000 + number);
                stream.write_all(&data).unwrap();
                let mut back = vec![0; data.len()];
                stream.read_exact(&mut back).unwrap();
                assert!(back == data, "connection {number}");
                echoed.fetch_add(1, Ordering::SeqCst);
                wait_for(|| echoed.load(Ordering::SeqCst) == MANY);
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut back).unwrap(), 0);
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(listener.told().matches("connected").count(), MANY);
    stop(dialer);
    stop(listener);
}

#[cfg(unix)]
#[test]
fn fifty_tcp_connections_at_once_over_a_directory() {
    many_through(&Place::directory());
}

#[cfg(unix)]
#[test]
fn fifty_tcp_connections_at_once_over_blobs() {
    let Some(place) = Place::azurite() else {
        return;
    };
    many_through(&place);
}

#[cfg(unix)]
#[test]
fn fifty_tcp_connections_at_once_over_queues() {
    let Some(place) = Place::azurite_queue() else {
        return;
    };
    many_through(&place);
}

#[cfg(unix)]
#[test]
fn fifty_tcp_connections_at_once_over_tables() {
    let Some(place) = Place::azurite_table() else {
        return;
    };
    many_through(&place);
}

#[cfg(unix)]
#[test]
fn a_target_that_is_down_ends_only_its_connection() {
    let place = Place::directory();
    let to = format!("127.0.0.1:{}", free_port());
    let port = free_port();
    let mut listener = start(
        place.listening("listen", &["--forward", &to]),
        Input::Nothing,
    );
    let dialer = start(
        place.dialing("dial", &["--forward", &format!("127.0.0.1:{port}")]),
        Input::Nothing,
    );
    let stream = connect(port);
    let told = format!("stillwire: cannot connect to {to}: connection refused");
    listener.wait_to_hear(&told);
    assert!(listener.is_running());
    drop(stream);
    stop(dialer);
    stop(listener);
}

#[test]
fn the_dialer_learns_that_the_target_is_down() {
    let place = Place::directory();
    let to = format!("127.0.0.1:{}", free_port());
    let listener = start(
        place.listening("listen", &["--forward", &to]),
        Input::Nothing,
    );
    // It waits for so long when the session is gone, and not for the idle time.
    let dialer = start(
        place.dialing("dial", &["--connect-timeout", "3s"]),
        Input::Open,
    );
    listener.wait_to_hear("cannot connect to ");
    let done = dialer.finish().expect(5);
    assert!(
        done.last_line().contains("the session was deleted"),
        "{}",
        done.stderr
    );
    let left = place.names("store/sessions");
    assert!(left.is_empty(), "{left:?}");
    drop(listener);
}
