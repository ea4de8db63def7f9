//! All the ways it ends.

use crate::bytes::{assert_same, echo, exchange, pattern, read_exact, read_to_end};
use crate::{Ground, Place, config};
use std::thread;
use std::time::{Duration, Instant};
use stillwire_futures::{Config, Error, Failure, FailureKind, Timer, source_of};

/// One direction ends, the other goes on.
pub fn half_close(ground: &Ground, place: &Place) {
    let (listener, mut dialed, mut accepted) = ground.pair(place, config());
    dialed.write.write_all(b"question").expect("writing");
    dialed.write.close_write().expect("ending");
    assert_eq!(read_to_end(accepted.read.as_mut()), b"question");
    let refused = dialed.write.write_all(b"more").expect_err("it has ended");
    assert_eq!(refused.kind(), std::io::ErrorKind::BrokenPipe);
    let answer = pattern(2, 300_000);
    accepted.write.write_all(&answer).expect("writing");
    accepted.write.close_write().expect("ending");
    assert_same(&read_to_end(dialed.read.as_mut()), &answer);
    let again = dialed.read.read(&mut [0; 8]).expect("reading");
    assert_eq!(again, 0, "stays ended");
    dialed.write.closed().expect("a good end");
    accepted.write.closed().expect("a good end");
    drop((dialed, accepted));
    listener.stop().expect("stopping");
}

/// A dropped connection delivers what was written, and does not look whole.
pub fn drop_delivers(ground: &Ground, place: &Place) {
    let (_listener, mut dialed, mut accepted) = ground.pair(place, config());
    let data = pattern(7, 500_000);
    dialed.write.write_all(&data).expect("writing");
    drop(dialed);
    assert_same(&read_exact(accepted.read.as_mut(), data.len()), &data);
    let more = accepted
        .read
        .read_within(Duration::from_millis(300), &mut [0; 8]);
    assert!(more.is_none(), "no end mark: {more:?}");
}

/// Stopping waits for the connections handed out, takes no new ones, and cleans up.
pub fn listener_stop(ground: &Ground, place: &Place) {
    let (listener, dialed, accepted) = ground.pair(place, config());
    let ticket = listener.ticket();
    let (told, stopped) = std::sync::mpsc::channel();
    let stopping = thread::spawn(move || {
        let outcome = listener.stop();
        told.send(()).expect("somebody listens");
        outcome
    });
    let early = stopped.recv_timeout(Duration::from_millis(200));
    assert!(early.is_err(), "a connection is open");
    let serving = thread::spawn(move || echo(accepted));
    let data = pattern(8, 100_000);
    let (back, mut write) = exchange(dialed, data.clone());
    assert_same(&back, &data);
    let (_, mut served) = serving.join().expect("the echo");
    write.closed().expect("a good end");
    served.closed().expect("a good end");
    drop((write, served));
    stopping.join().expect("stopping").expect("a good stop");

    let impatient = Config {
        connect_timeout: Duration::from_secs(1),
        ..config()
    };
    match ground.adapter.dial(&ticket, impatient) {
        Err(Error::Timeout(Timer::Connect)) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("nobody listens"),
    }
}

/// A ticket and a grant that have expired are a refusal in words, for good.
pub fn expired_sas(ground: &Ground, place: &Place) {
    const LIFETIME: Duration = Duration::from_secs(6);
    if !ground.store.expires {
        ground.skip("expired_sas", "its tickets do not expire");
        return;
    }
    let short = place.expiring(LIFETIME);
    let (listener, mut dialed, mut accepted) = ground.pair(&short, config());
    // The grant is younger than the ticket, by all that the pair took to meet.
    let minted = Instant::now();
    let ticket = listener.ticket();
    dialed.say(b"in time");
    assert_eq!(read_exact(accepted.read.as_mut(), 7), b"in time");
    // Times in it are whole seconds.
    thread::sleep(LIFETIME.saturating_sub(minted.elapsed()) + Duration::from_secs(2));

    let mut failed = || {
        let error = dialed
            .write
            .write_all(b"too late")
            .and_then(|()| dialed.write.flush())
            .expect_err("the grant has expired");
        match source_of(&error) {
            Some(Error::Store(failure)) => assert_denied(failure),
            _ => panic!("{error}"),
        }
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    };
    failed();
    failed();
    match ground.adapter.dial(&ticket, config()) {
        Err(Error::Store(failure)) => assert_denied(&failure),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the ticket has expired"),
    }
    drop((dialed, accepted, listener));
}

fn assert_denied(failure: &Failure) {
    assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
    let shown = format!("{failure} {failure:?}");
    assert!(!shown.contains("sig="), "{shown}");
}
