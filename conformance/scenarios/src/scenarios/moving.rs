//! Bytes that arrive.

use crate::bytes::{self, assert_same, exchange, pattern, read_exact, read_to_end};
use crate::{Ground, Place, config};
use std::thread;
use std::time::Duration;
use stillwire_futures::{Config, Role};

/// Both ends agree on who they are, and the listener's knows when it was confirmed.
pub fn connect(ground: &Ground, place: &Place) {
    let (_listener, mut dialed, mut accepted) = ground.pair(place, config());
    let (there, here) = (dialed.read.identity(), accepted.read.identity());
    assert_eq!(there.id, here.id);
    assert_eq!(there.binding, here.binding);
    assert_eq!((there.role, here.role), (Role::Dialer, Role::Listener));
    dialed.say(b"x");
    assert_eq!(read_exact(accepted.read.as_mut(), 1), b"x");
    assert!(accepted.read.is_confirmed());
    assert_eq!(dialed.write.stats().bytes_stored, 1);
    assert_eq!(accepted.read.stats().bytes_received, 1);
}

/// Nothing, a byte, and some more come back.
pub fn echo(ground: &Ground, place: &Place) {
    let mut listener = ground.listen(place, config());
    let ticket = listener.ticket();
    for length in [0, 1, 70_000] {
        let adapter = ground.adapter;
        let ticket = ticket.clone();
        let dialing = thread::spawn(move || {
            let dialed = adapter.dial(&ticket, config()).expect("dialing");
            let data = pattern(1, length);
            let (back, mut write) = exchange(dialed, data.clone());
            assert_same(&back, &data);
            write.closed().expect("a good end");
        });
        let (echoed, mut write) = bytes::echo(listener.accept().expect("accepting"));
        assert_eq!(echoed, length);
        dialing.join().expect("the dialer");
        write.closed().expect("a good end");
    }
    listener.stop().expect("stopping");
}

/// Many chunks in both directions at once.
pub fn large(ground: &Ground, place: &Place) {
    let (_listener, dialed, accepted) = ground.pair(place, config());
    let serving = thread::spawn(move || bytes::echo(accepted));
    let data = pattern(3, ground.store.many);
    let (back, mut write) = exchange(dialed, data.clone());
    assert_same(&back, &data);
    let (_, mut served) = serving.join().expect("the echo");
    write.closed().expect("a good end");
    served.closed().expect("a good end");
}

/// Small writes gather.
pub fn many_small(ground: &Ground, place: &Place) {
    let (_listener, dialed, mut accepted) = ground.pair(place, config());
    let data = pattern(4, 200_000);
    let copy = data.clone();
    let mut write = dialed.write;
    let writing = thread::spawn(move || {
        for part in copy.chunks(100) {
            write.write_all(part).expect("writing");
        }
        write.close_write().expect("ending");
        write
    });
    assert_same(&read_to_end(accepted.read.as_mut()), &data);
    let stats = writing.join().expect("writing").stats();
    assert_eq!(stats.bytes_stored, 200_000);
    // Memory answers as fast as one can write: there may be nothing to gather.
    if ground.store.shared {
        assert!(stats.writes < 1_900, "2,000 writes gathered: {stats:?}");
    }
}

/// A reader that does not read stops the fetching, not the writer: storage holds it all.
pub fn slow_reader(ground: &Ground, place: &Place) {
    let small = Config {
        receive_buffer: 64 << 10,
        ..config()
    };
    let (_listener, mut dialed, mut accepted) = ground.pair(place, small);
    let data = pattern(5, 2 * ground.store.one_read + (1 << 20));
    dialed.write.write_all(&data).expect("writing");
    dialed.write.close_write().expect("ending");
    // Something comes, and then no more.
    while accepted.read.stats().bytes_received == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(500));
    let received = accepted.read.stats().bytes_received;
    let most = ((64 << 10) + ground.store.one_read) as u64;
    assert!(
        received <= most,
        "{received} bytes held, {most} are the buffer and one read"
    );
    assert_same(&read_to_end(accepted.read.as_mut()), &data);
}

/// Calls that are given up lose nothing and double nothing.
pub fn cancel(ground: &Ground, place: &Place) {
    let small = Config {
        // The carrier's largest chunk is the least there is.
        send_buffer: 0,
        receive_buffer: 1 << 20,
        ..config()
    };
    let (_listener, dialed, mut accepted) = ground.pair(place, small);
    let mut buffer = vec![0; 100_000];
    for _ in 0..3 {
        let limit = Duration::from_millis(20);
        let read = accepted.read.read_within(limit, &mut buffer);
        assert!(read.is_none(), "nothing was written: {read:?}");
    }
    let moment = Duration::from_millis(1);
    let data = pattern(6, ground.store.many / 2);
    let copy = data.clone();
    let mut write = dialed.write;
    let writing = thread::spawn(move || {
        let mut rest = &copy[..];
        while !rest.is_empty() {
            let most = rest.len().min(1_500_000);
            if let Some(n) = write.write_within(moment, &rest[..most]) {
                rest = &rest[n.expect("writing")..];
            }
        }
        write.close_write().expect("ending");
        write
    });
    let mut got = Vec::new();
    loop {
        match accepted.read.read_within(moment, &mut buffer) {
            None => {}
            Some(Ok(0)) => break,
            Some(n) => got.extend_from_slice(&buffer[..n.expect("reading")]),
        }
    }
    assert_same(&got, &data);
    writing.join().expect("the writer");
}

/// Every call is dropped when it is pending for the k-th time, for every k, and called again:
/// nothing is lost and nothing is doubled.
pub fn cancel_at_pending(ground: &Ground, place: &Place) {
    let small = Config {
        // The carrier's largest chunk is the least there is.
        send_buffer: 0,
        receive_buffer: 1 << 20,
        ..config()
    };
    let mut dropped = 0;
    for k in 1..=6 {
        let (listener, dialed, mut accepted) = ground.pair(place, small.clone());
        let data = pattern(u64::from(k), ground.store.many / 4);
        let copy = data.clone();
        let mut write = dialed.write;
        let writing = thread::spawn(move || {
            let (mut rest, mut dropped) = (&copy[..], 0);
            while !rest.is_empty() {
                // What a write was given when it was dropped must not matter to the next one.
                let most = rest.len().min(700_000 + dropped % 1_000);
                match write.write_to_pending(k, &rest[..most]) {
                    Some(n) => rest = &rest[n.expect("writing")..],
                    None => dropped += 1,
                }
                thread::yield_now();
            }
            while write
                .flush_to_pending(k)
                .map(|done| done.expect("flushing"))
                .is_none()
            {
                dropped += 1;
                thread::yield_now();
            }
            while write
                .close_to_pending(k)
                .map(|done| done.expect("ending"))
                .is_none()
            {
                dropped += 1;
                thread::yield_now();
            }
            (write, dropped)
        });
        let (mut got, mut buffer) = (Vec::new(), vec![0; 100_000]);
        loop {
            match accepted.read.read_to_pending(k, &mut buffer) {
                None => {
                    dropped += 1;
                    thread::yield_now();
                }
                Some(Ok(0)) => break,
                Some(n) => got.extend_from_slice(&buffer[..n.expect("reading")]),
            }
        }
        assert_same(&got, &data);
        let (mut write, times) = writing.join().expect("the writer");
        dropped += times;
        accepted.write.close_write().expect("ending");
        write.closed().expect("closed");
        listener.stop().expect("stopping");
    }
    let futures = ground.adapter.name() != "blocking";
    assert_eq!(dropped > 0, futures, "{dropped} calls were dropped");
}
