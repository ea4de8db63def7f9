//! PacketFS over real UDP sockets on the loopback, through a proxy that loses, doubles, reorders and
//! alters datagrams.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant as Clock};
use stillwire_core::crypto::Rng;
use stillwire_core::packetfs::datagrams::Counters;
use stillwire_core::packetfs::{Config, Datagrams, Psk};
use stillwire_core::{Input, Instant, Machine, Messages, Output, Received};

/// Messages that each end must have received before it ends its direction.
const ENOUGH: usize = 400;
const PATIENCE: Duration = Duration::from_secs(60);

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let pause = Some(Duration::from_millis(2));
    socket.set_read_timeout(pause).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Carries datagrams between two addresses, badly, until it is told to stop. Gives how many it
/// lost, doubled, held back or altered.
fn proxy(socket: &UdpSocket, ends: [SocketAddr; 2], stop: &AtomicBool) -> u64 {
    let mut rng = Rng::from_seed([3; 32]);
    let mut buffer = [0; 2_048];
    let mut held: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
    let mut faults = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok((n, from)) = socket.recv_from(&mut buffer) else {
            // Nothing comes: what was held back goes out.
            for (to, datagram) in held.drain(..) {
                let _ = socket.send_to(&datagram, to);
            }
            continue;
        };
        let to = if from == ends[0] { ends[1] } else { ends[0] };
        let mut datagram = buffer[..n].to_vec();
        let [chance, place, which] = rng.array();
        match chance {
            0..30 => faults += 1,
            30..60 => {
                faults += 1;
                held.push((to, datagram));
            }
            60..80 => {
                faults += 1;
                let _ = socket.send_to(&datagram, to);
                let _ = socket.send_to(&datagram, to);
            }
            80..90 => {
                faults += 1;
                let at = usize::from(place) % n;
                datagram[at] ^= 1 << (which % 8);
                let _ = socket.send_to(&datagram, to);
            }
            _ => {
                let _ = socket.send_to(&datagram, to);
            }
        }
        if held.len() > 8 {
            let (to, datagram) = held.swap_remove(usize::from(place) % held.len());
            let _ = socket.send_to(&datagram, to);
        }
    }
    faults
}

fn message(from: u8, number: u32) -> Vec<u8> {
    let mut message = vec![from; 5 + number as usize % 900];
    message[1..5].copy_from_slice(&number.to_be_bytes());
    message
}

struct Ended {
    got: BTreeSet<u32>,
    epoch: u32,
    counters: Counters,
}

/// One end: sends numbered messages until both have received enough.
fn end(me: u8, mut machine: Datagrams, socket: &UdpSocket, enough: &AtomicU64) -> Ended {
    let began = Clock::now();
    let mut buffer = [0; 2_048];
    let (mut number, mut got, mut told, mut closed) = (0, BTreeSet::new(), false, false);
    while !machine.is_finished() {
        assert!(began.elapsed() < PATIENCE, "{} messages came", got.len());
        let now = Instant::from_micros(began.elapsed().as_micros() as u64);
        if enough.load(Ordering::SeqCst) == 2 && !closed {
            closed = machine.close(now).is_ok();
        }
        if !closed && machine.is_established() && machine.send(now, &message(me, number)).unwrap() {
            number += 1;
        }
        loop {
            match machine.poll(now) {
                Output::Transmit(datagram) => {
                    let _ = socket.send(&datagram);
                }
                Output::Event(_) => {}
                _ => break,
            }
        }
        match socket.recv(&mut buffer) {
            Ok(n) => machine.handle(now, Input::Datagram(&buffer[..n])).unwrap(),
            Err(_) => machine.handle(now, Input::Time).unwrap(),
        }
        while let Ok(Received::Message(found)) = machine.receive(now) {
            let number = u32::from_be_bytes(found[1..5].try_into().unwrap());
            assert_eq!(found[..], message(1 - me, number), "altered");
            assert!(got.insert(number), "{number} came twice");
        }
        if got.len() >= ENOUGH && !std::mem::replace(&mut told, true) {
            enough.fetch_add(1, Ordering::SeqCst);
        }
        // All end marks may be lost: the other end is gone then, and only silence is left.
        if closed && began.elapsed() > PATIENCE / 2 {
            break;
        }
    }
    Ended {
        got,
        epoch: machine.epoch(),
        counters: machine.counters(),
    }
}

#[test]
fn a_session_holds_on_a_bad_line() {
    let config = Config {
        epoch_records: 200,
        ..Config::default()
    };
    let psk = || Psk::new(vec![6; 32]).unwrap();
    let (middle, through) = socket();
    let ((one, first), (other, second)) = (socket(), socket());
    one.connect(through).unwrap();
    other.connect(through).unwrap();
    let (stop, enough) = (AtomicBool::new(false), AtomicU64::new(0));
    let zero = Instant::ZERO;
    let initiator = Datagrams::initiator(config.clone(), psk(), Rng::from_seed([1; 32]), zero);
    let responder = Datagrams::responder(config, psk(), Rng::from_seed([2; 32]), zero);
    let (faults, ends) = std::thread::scope(|scope| {
        let bad = scope.spawn(|| proxy(&middle, [first, second], &stop));
        let one = scope.spawn(|| end(0, initiator, &one, &enough));
        let other = scope.spawn(|| end(1, responder, &other, &enough));
        let ends = [one.join(), other.join()];
        stop.store(true, Ordering::Relaxed);
        (bad.join().unwrap(), ends.map(Result::unwrap))
    });
    assert!(faults > 100, "the line was good: {faults}");
    for end in ends {
        assert!(end.got.len() >= ENOUGH);
        assert!(end.epoch >= 2, "{}", end.epoch);
        let Counters {
            refused, replayed, ..
        } = end.counters;
        assert!(refused > 0 && replayed > 0, "{refused} {replayed}");
    }
}
