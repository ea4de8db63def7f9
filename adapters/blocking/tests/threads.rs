//! What only threads can do: many at once on one connection, and calls that give up.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;
use stillwire_blocking::{
    Config, Connection, Listener, Options, Policy, Store, SweepEvent, dial, source_of,
};

fn config() -> Config {
    Config {
        policy: Policy::Latency,
        accept_poll: Duration::from_millis(5),
        token_poll: Duration::from_millis(5),
        ..Config::default()
    }
}

fn pair() -> (Listener, Connection, Connection) {
    let store = Store::from_address("memory:", &Options::default()).unwrap();
    let listener = store.listen(config()).unwrap();
    let ticket = listener.ticket().clone();
    let dialing = thread::spawn(move || dial(&ticket, config()).unwrap());
    let accepted = listener.accept().unwrap();
    (listener, dialing.join().unwrap(), accepted)
}

#[test]
fn many_threads_read_and_every_byte_is_read_once() {
    let (_listener, dialed, accepted) = pair();
    // Who reads what is anybody's guess: how often each byte was read is not.
    let numbers: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    let total = numbers.len();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let mut connection = accepted.try_clone().unwrap();
            thread::spawn(move || {
                let (mut counts, mut buffer) = (BTreeMap::new(), [0; 1_000]);
                loop {
                    match connection.read(&mut buffer).unwrap() {
                        0 => return counts,
                        n => {
                            for byte in &buffer[..n] {
                                *counts.entry(*byte).or_insert(0_usize) += 1;
                            }
                        }
                    }
                }
            })
        })
        .collect();
    (&dialed).write_all(&numbers).unwrap();
    dialed.close_write().unwrap();
    let mut expected = BTreeMap::new();
    for byte in numbers {
        *expected.entry(byte).or_insert(0_usize) += 1;
    }
    let mut counts = BTreeMap::new();
    for reader in readers {
        for (byte, count) in reader.join().unwrap() {
            *counts.entry(byte).or_insert(0) += count;
        }
    }
    assert_eq!(counts, expected);
    assert_eq!(accepted.stats().bytes_received, total as u64);
}

#[test]
fn one_thread_reads_and_another_writes_through_references() {
    let (_listener, dialed, accepted) = pair();
    let data: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            io::copy(&mut &accepted, &mut &accepted).unwrap();
            accepted.close_write().unwrap();
        });
        scope.spawn(|| {
            (&dialed).write_all(&data).unwrap();
            dialed.close_write().unwrap();
        });
        let mut back = Vec::new();
        (&dialed).read_to_end(&mut back).unwrap();
        assert!(back == data, "{} bytes came back", back.len());
    });
    dialed.closed().unwrap();
    accepted.closed().unwrap();
}

#[test]
fn a_read_gives_up_in_its_time_and_loses_nothing() {
    let (_listener, dialed, accepted) = pair();
    let limit = Duration::from_millis(20);
    accepted.set_read_timeout(Some(limit)).unwrap();
    assert_eq!(accepted.try_clone().unwrap().read_timeout(), Some(limit));
    let mut buffer = [0; 16];
    for _ in 0..2 {
        let error = (&accepted).read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(source_of(&error), None, "the connection lives");
    }
    accepted.set_read_timeout(None).unwrap();
    (&dialed).write_all(b"at last").unwrap();
    let n = (&accepted).read(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"at last");
    // A read that waits for ever is not in the way of one that does not.
    let other = accepted.try_clone().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let waiting = thread::spawn(move || {
        tell.send(()).unwrap();
        (&other).read(&mut [0; 4]).unwrap()
    });
    // Clones share the limit, so it may change only once the other read waits.
    told.recv().unwrap();
    thread::sleep(Duration::from_millis(300));
    accepted.set_read_timeout(Some(limit)).unwrap();
    let error = (&accepted).read(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    dialed.close_write().unwrap();
    assert_eq!(waiting.join().unwrap(), 0);
}

#[test]
fn no_time_is_no_time_out() {
    let (_listener, dialed, _accepted) = pair();
    for set in [Connection::set_read_timeout, Connection::set_write_timeout] {
        let error = set(&dialed, Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        set(&dialed, Some(Duration::MAX)).unwrap();
    }
    assert_eq!(dialed.write_timeout(), Some(Duration::MAX));
    (&dialed).write_all(b"x").unwrap();
    (&dialed).flush().unwrap();
}

#[test]
fn waiting_for_the_end_holds_up_nobody() {
    let (_listener, dialed, accepted) = pair();
    assert_eq!(dialed.closed_within(Duration::from_millis(10)), None);
    let watching = dialed.try_clone().unwrap();
    let watcher = thread::spawn(move || watching.closed());
    let also = dialed.try_clone().unwrap();
    let another = thread::spawn(move || also.closed());
    (&dialed).write_all(b"meanwhile").unwrap();
    dialed.close_write().unwrap();
    let mut got = String::new();
    (&accepted).read_to_string(&mut got).unwrap();
    assert_eq!(got, "meanwhile");
    accepted.close_write().unwrap();
    assert_eq!((&dialed).read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(watcher.join().unwrap(), Ok(()));
    assert_eq!(another.join().unwrap(), Ok(()));
    assert_eq!(accepted.closed(), Ok(()));
}

#[test]
fn a_listener_gives_connections_to_whoever_accepts() {
    let store = Store::from_address("memory:", &Options::default()).unwrap();
    let listener = store.listen(config()).unwrap();
    let limit = Duration::from_millis(10);
    assert!(listener.accept_within(limit).unwrap().is_none());
    let ticket = listener.ticket().clone();
    let dialing = thread::spawn(move || {
        (0..6)
            .map(|_| dial(&ticket, config()).unwrap())
            .collect::<Vec<_>>()
    });
    let accepted = thread::scope(|scope| {
        let accepting: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| listener.incoming().take(2).collect::<Vec<_>>()))
            .collect();
        accepting
            .into_iter()
            .flat_map(|one| one.join().unwrap())
            .map(|one| one.unwrap().id())
            .collect::<Vec<_>>()
    });
    let dialed = dialing.join().unwrap();
    let mut ours: Vec<_> = dialed.iter().map(Connection::id).collect();
    let mut theirs = accepted;
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    assert_eq!(listener.rejected(), 0);
    drop(dialed);
    listener.stop_within(Duration::ZERO).unwrap();
}

#[test]
fn a_sweep_is_an_iterator_that_ends() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("dir:{}", folder.path().display());
    let store = Store::from_address(&address, &Options::default()).unwrap();
    store.prepare(config()).unwrap();
    let sweep = store.sweep(config(), Duration::from_secs(3_600), true);
    let events: Vec<_> = sweep.unwrap().collect();
    assert!(
        matches!(events[..], [SweepEvent::Finished(Ok(()))]),
        "{events:?}"
    );
}
