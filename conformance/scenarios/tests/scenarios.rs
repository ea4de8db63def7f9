//! The list over the stores of this machine, and every adapter with every other.

use std::thread;
use stillwire_scenarios::bytes::{assert_same, echo, exchange, pattern};
use stillwire_scenarios::{adapters, config, grid, scenarios, stores};

grid!([tokio async_std smol blocking] x [memory directory]);

/// Four runtimes in one process: features are unified, and nobody finds somebody else's reactor.
#[test]
fn every_adapter_with_every_other() {
    for listening in adapters::ALL {
        let place = (stores::memory.open)().unwrap();
        let mut listener = listening.listen(&place, config()).unwrap();
        for dialing in adapters::ALL {
            let ticket = listener.ticket();
            let data = pattern(11, 1_000_000);
            let sent = data.clone();
            let dialer = thread::spawn(move || {
                let dialed = dialing.dial(&ticket, config()).unwrap();
                let (back, mut write) = exchange(dialed, sent);
                write.closed().unwrap();
                back
            });
            let (length, mut write) = echo(listener.accept().unwrap());
            let names = format!("{} dials {}", dialing.name(), listening.name());
            assert_eq!(length, data.len(), "{names}");
            assert_same(&dialer.join().unwrap(), &data);
            write.closed().unwrap();
        }
        listener.stop().unwrap();
    }
}

#[test]
#[ignore = "peer_crash runs it in a process of its own"]
fn child_of_peer_crash() {
    scenarios::child();
}
