//! PacketFS over real UDP sockets: the bare machine, and every adapter.

use crate::line::{Line, socket};
use crate::{PATIENCE, psk, rng, tokio_runtime};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant as Clock};
use stillwire_core::packetfs::datagrams::Counters;
use stillwire_core::packetfs::{Config, Datagrams, Psk};
use stillwire_core::store::Role;
use stillwire_core::{
    Datagrammed, Error, Input, Instant, Machine, Messages, Output, Received, Timer,
};
use stillwire_futures::datagram::DatagramSession;

/// Messages that each end must have received before it ends its direction.
const ENOUGH: usize = 400;

fn config() -> Config {
    Config {
        epoch_records: 200,
        resend: Duration::from_millis(50),
        idle_timeout: Duration::from_secs(20),
        ..Config::default()
    }
}

fn machine(role: Role, now: Instant) -> Datagrams {
    match role {
        Role::Dialer => Datagrams::initiator(config(), psk(), rng(role), now),
        Role::Listener => Datagrams::responder(config(), psk(), rng(role), now),
    }
}

fn message(from: u8, number: u32) -> Vec<u8> {
    let mut message = vec![from; 5 + number as usize % 900];
    message[1..5].copy_from_slice(&number.to_be_bytes());
    message
}

fn number_of(found: &[u8], from: u8) -> u32 {
    let number = u32::from_be_bytes(found[1..5].try_into().unwrap());
    assert_eq!(*found, message(from, number), "altered");
    number
}

struct Ended {
    got: BTreeSet<u32>,
    epoch: u32,
    counters: Counters,
}

impl Ended {
    fn check(&self) {
        assert!(self.got.len() >= ENOUGH);
        assert!(self.epoch >= 2, "{}", self.epoch);
        let Counters {
            refused, replayed, ..
        } = self.counters;
        assert!(refused > 0 && replayed > 0, "{refused} {replayed}");
    }
}

/// One end of the bare machine: sends numbered messages until both have received enough.
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
            let number = number_of(&found, 1 - me);
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

fn assert_bad(line: Line) {
    let faults = line.end();
    let all = [faults.lost, faults.doubled, faults.late, faults.altered];
    assert!(all.into_iter().all(|many| many > 10), "{faults:?}");
}

#[test]
fn a_session_holds_on_a_bad_line() {
    let ((one, first), (other, second)) = (socket(), socket());
    let line = Line::bad([first, second]);
    one.connect(line.address).unwrap();
    other.connect(line.address).unwrap();
    let enough = AtomicU64::new(0);
    let ends = thread::scope(|scope| {
        let initiator = machine(Role::Dialer, Instant::ZERO);
        let responder = machine(Role::Listener, Instant::ZERO);
        let one = scope.spawn(|| end(0, initiator, &one, &enough));
        let other = scope.spawn(|| end(1, responder, &other, &enough));
        [one.join(), other.join()].map(Result::unwrap)
    });
    ends.iter().for_each(Ended::check);
    assert_bad(line);
}

/// A session of one of the adapters. Those of the async ones are polled from any thread; what
/// drives them is on the runtime's own, which must not go before them.
enum Session {
    Tokio(
        DatagramSession<Datagrams>,
        #[expect(dead_code)] tokio::runtime::Runtime,
    ),
    Async(DatagramSession<Datagrams>),
    Blocking(stillwire_blocking::DatagramSession<Datagrams>),
}

type Make = fn(Role, Instant) -> Datagrams;
type Open = fn(UdpSocket, Option<SocketAddr>, Role, Make) -> Result<Session, Error>;

const ADAPTERS: [(&str, Open); 4] = [
    ("tokio", |socket, peer, role, machine| {
        let runtime = tokio_runtime();
        let session = runtime.block_on(async {
            socket.set_nonblocking(true).unwrap();
            let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
            stillwire_tokio::datagram::open(socket, peer, |now| Ok(machine(role, now))).await
        })?;
        Ok(Session::Tokio(session, runtime))
    }),
    ("smol", |socket, peer, role, machine| {
        let socket = smol::net::UdpSocket::try_from(socket).unwrap();
        let open = stillwire_smol::datagram::open(socket, peer, |now| Ok(machine(role, now)));
        Ok(Session::Async(smol::block_on(open)?))
    }),
    ("async-std", |socket, peer, role, machine| {
        let socket = async_std::net::UdpSocket::from(socket);
        let open = stillwire_async_std::datagram::open(socket, peer, |now| Ok(machine(role, now)));
        Ok(Session::Async(async_std::task::block_on(open)?))
    }),
    ("blocking", |socket, peer, role, machine| {
        let made = |now| Ok(machine(role, now));
        stillwire_blocking::DatagramSession::open(socket, peer, made).map(Session::Blocking)
    }),
];

impl Session {
    fn send(&self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Tokio(session, _) | Self::Async(session) => smol::block_on(session.send(message)),
            Self::Blocking(session) => session.send(message),
        }
    }

    fn receive(&self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Tokio(session, _) | Self::Async(session) => smol::block_on(session.receive()),
            Self::Blocking(session) => session.receive(),
        }
    }

    fn close(&self) -> Result<(), Error> {
        match self {
            Self::Tokio(session, _) | Self::Async(session) => session.close(),
            Self::Blocking(session) => session.close(),
        }
    }

    fn closed(&self) -> Result<(), Error> {
        match self {
            Self::Tokio(session, _) | Self::Async(session) => smol::block_on(session.closed()),
            Self::Blocking(session) => session.closed(),
        }
    }

    fn with<R>(&self, look: impl FnOnce(&Datagrams) -> R) -> R {
        match self {
            Self::Tokio(session, _) | Self::Async(session) => session.with(look),
            Self::Blocking(session) => session.with(look),
        }
    }

    fn strangers(&self) -> u64 {
        match self {
            Self::Tokio(session, _) | Self::Async(session) => session.strangers(),
            Self::Blocking(session) => session.strangers(),
        }
    }
}

/// As [`end`], through an adapter: one thread sends, another receives.
fn session(me: u8, session: &Session, enough: &AtomicU64) -> Ended {
    let over = AtomicBool::new(false);
    let mut got = BTreeSet::new();
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for number in 0.. {
                if enough.load(Ordering::SeqCst) == 2 || over.load(Ordering::SeqCst) {
                    break;
                }
                if session.send(&message(me, number)).is_err() {
                    return;
                }
                // A socket whose buffer is full loses, too; that is not what is tried here.
                thread::sleep(Duration::from_millis(1));
            }
            session.close().unwrap();
        });
        let mut told = false;
        loop {
            match session.receive() {
                Ok(Some(found)) => {
                    let number = number_of(&found, 1 - me);
                    assert!(got.insert(number), "{number} came twice");
                }
                Ok(None) => break,
                // All end marks were lost.
                Err(error) => {
                    assert!(told, "{error}");
                    break;
                }
            }
            if got.len() >= ENOUGH && !std::mem::replace(&mut told, true) {
                enough.fetch_add(1, Ordering::SeqCst);
            }
        }
        over.store(true, Ordering::SeqCst);
        sending.join().unwrap();
    });
    let ended = session.closed();
    assert!(
        matches!(ended, Ok(()) | Err(Error::Timeout(Timer::Idle))),
        "{ended:?}"
    );
    Ended {
        got,
        epoch: session.with(Datagrams::epoch),
        counters: session.with(Datagrams::counters),
    }
}

#[test]
fn a_session_of_each_adapter_holds_on_a_bad_line() {
    for (at, (name, dial)) in ADAPTERS.iter().enumerate() {
        let (other, listen) = &ADAPTERS[(at + 3) % ADAPTERS.len()];
        println!("{name} dials {other}");
        let ((one, first), (two, second)) = (socket(), socket());
        let line = Line::bad([first, second]);
        let enough = AtomicU64::new(0);
        let ends = thread::scope(|scope| {
            let listening = scope.spawn(|| {
                let opened = listen(two, None, Role::Listener, machine).unwrap();
                session(1, &opened, &enough)
            });
            let opened = dial(one, Some(line.address), Role::Dialer, machine).unwrap();
            let dialed = session(0, &opened, &enough);
            [dialed, listening.join().unwrap()]
        });
        ends.iter().for_each(Ended::check);
        assert_bad(line);
    }
}

/// Where a record stands in the payload channel.
fn payload(datagram: &[u8]) -> Option<u64> {
    let is_payload = datagram.len() > 15 && datagram.starts_with(b"PF") && datagram[14] & 3 == 2;
    is_payload.then(|| u64::from_be_bytes(datagram[2..10].try_into().unwrap()))
}

/// Opens both ends of a session over this line.
fn both(open: Open, sockets: [UdpSocket; 2], line: &Line) -> [Session; 2] {
    // One epoch: a window is that of one key.
    let machine = |role, now| match role {
        Role::Dialer => Datagrams::initiator(Config::default(), psk(), rng(role), now),
        Role::Listener => Datagrams::responder(Config::default(), psk(), rng(role), now),
    };
    let [one, two] = sockets;
    thread::scope(|scope| {
        let listening = scope.spawn(|| open(two, None, Role::Listener, machine).unwrap());
        let dialed = open(one, Some(line.address), Role::Dialer, machine).unwrap();
        [dialed, listening.join().unwrap()]
    })
}

#[test]
fn a_datagram_1_023_late_is_delivered_and_one_1_024_late_is_dropped_and_counted() {
    for (name, open) in [ADAPTERS[0], ADAPTERS[3]] {
        let ((one, first), (two, second)) = (socket(), socket());
        let (mut fifth, mut sixth) = (Vec::new(), Vec::new());
        let line = Line::new([first, second], move |from, datagram, _| {
            let Some(datagram) = datagram.map(<[u8]>::to_vec) else {
                return Vec::new();
            };
            let place = payload(&datagram).filter(|_| from == 0);
            let mut passed = vec![(1 - from, datagram.clone())];
            match place {
                Some(5) => std::mem::swap(&mut fifth, &mut passed),
                Some(6) => std::mem::swap(&mut sixth, &mut passed),
                // What is held back goes in front of these: 1,028 and 1,030 came before.
                Some(1_029) => passed.splice(..0, fifth.drain(..)).for_each(drop),
                Some(1_031) => passed.splice(..0, sixth.drain(..)).for_each(drop),
                _ => {}
            }
            passed
        });
        let [dialer, listener] = both(open, [one, two], &line);
        let mut got = Vec::new();
        for number in 0..1_033_u32 {
            dialer.send(&number.to_be_bytes()).unwrap();
            // One at a time, so that the socket loses none.
            let late = usize::from(number == 1_029);
            let come = usize::from(number != 5 && number != 6) + late;
            for _ in 0..come {
                let found = listener.receive().unwrap().unwrap();
                got.push(u32::from_be_bytes(found[..].try_into().unwrap()));
            }
        }
        assert!(got.contains(&5), "{name}");
        assert!(!got.contains(&6), "{name}");
        assert_eq!(got.len(), 1_032);
        assert_eq!(listener.with(Datagrams::counters).replayed, 1, "{name}");
    }
}

#[test]
fn a_bad_datagram_is_dropped_and_counted_and_ends_nothing() {
    for (name, open) in ADAPTERS {
        let ((one, first), (two, second)) = (socket(), socket());
        // Whoever answers is not decided by junk that came before.
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.send_to(b"PFSO but no preface", second).unwrap();
        let line = Line::new([first, second], |from, datagram, _| {
            let Some(datagram) = datagram else {
                return Vec::new();
            };
            let mut passed = vec![(1 - from, datagram.to_vec())];
            if payload(datagram).is_some() {
                // The same with a flipped bit, cut short, and with a byte behind it.
                let mut flipped = datagram.to_vec();
                flipped[20] ^= 4;
                let mut longer = datagram.to_vec();
                longer.push(0);
                let shorter = datagram[..datagram.len() - 1].to_vec();
                for bad in [flipped, longer, shorter] {
                    passed.insert(0, (1 - from, bad));
                }
            }
            passed
        });
        let [dialer, listener] = both(open, [one, two], &line);
        for number in 0..20_u32 {
            dialer.send(&number.to_be_bytes()).unwrap();
            let found = listener.receive().unwrap().unwrap();
            assert_eq!(found[..], number.to_be_bytes(), "{name}");
        }
        let refused = listener.with(Datagrams::counters).refused;
        assert!(refused >= 60, "{name}: {refused}");
        // From elsewhere nothing is even looked at any more.
        for _ in 0..50 {
            stranger.send_to(b"junk", second).unwrap();
        }
        dialer.send(b"still there").unwrap();
        assert_eq!(listener.receive().unwrap().unwrap(), &b"still there"[..]);
        assert!(listener.strangers() > 0, "{name}");
        let long = vec![0; 1_202];
        let error = dialer.send(&long).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        dialer.close().unwrap();
        assert_eq!(listener.receive().unwrap(), None, "{name}");
        listener.close().unwrap();
        assert_eq!((dialer.closed(), listener.closed()), (Ok(()), Ok(())));
    }
}

#[test]
fn a_forged_preface_ends_nothing_whoever_it_seems_to_come_from() {
    const PREFACE: &[u8] = b"PFSO\x01\x01\x01\0";
    for (name, open) in ADAPTERS {
        let ((one, first), (two, second)) = (socket(), socket());
        // Sound ones of a stranger, before anybody else is there...
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        for salt in 0..3 {
            let forged = [PREFACE, &[salt; 32], &[9; 32]].concat();
            stranger.send_to(&forged, second).unwrap();
        }
        // ...and with another salt in front of each genuine one, from the same address.
        let line = Line::new([first, second], |from, datagram, _| {
            let Some(datagram) = datagram else {
                return Vec::new();
            };
            let mut passed = vec![(1 - from, datagram.to_vec())];
            if datagram.starts_with(PREFACE) {
                let mut forged = datagram.to_vec();
                forged[8] ^= 1;
                passed.insert(0, (1 - from, forged));
            }
            passed
        });
        let [dialer, listener] = both(open, [one, two], &line);
        dialer.send(b"there").unwrap();
        assert_eq!(
            listener.receive().unwrap().unwrap(),
            &b"there"[..],
            "{name}"
        );
        listener.send(b"back").unwrap();
        assert_eq!(dialer.receive().unwrap().unwrap(), &b"back"[..], "{name}");
        // The stranger was answered, for it might have been the peer, and is nobody now.
        let mut answer = [0; 200];
        let (length, from) = stranger.recv_from(&mut answer).unwrap();
        assert_eq!((length, from), (72, second), "{name}");
        let forged = [PREFACE, &[7; 32], &[9; 32]].concat();
        stranger.send_to(&forged, second).unwrap();
        dialer.send(b"still there").unwrap();
        assert_eq!(listener.receive().unwrap().unwrap(), &b"still there"[..]);
        assert!(listener.strangers() > 0, "{name}");
    }
}

#[test]
fn nobody_there_ends_with_the_configured_deadline_and_another_key_too() {
    fn machine(role: Role, key: u8, now: Instant) -> Datagrams {
        let config = Config {
            handshake_timeout: Duration::from_millis(300),
            ..config()
        };
        let psk = Psk::new(vec![key; 32]).unwrap();
        match role {
            Role::Dialer => Datagrams::initiator(config, psk, rng(role), now),
            Role::Listener => Datagrams::responder(config, psk, rng(role), now),
        }
    }
    let ((one, _), (_silent, nowhere)) = (socket(), socket());
    let opened = stillwire_blocking::DatagramSession::open(one, Some(nowhere), |now| {
        Ok(machine(Role::Dialer, 1, now))
    });
    assert_eq!(opened.unwrap_err(), Error::Timeout(Timer::Connect));

    let ((one, _), (two, at)) = (socket(), socket());
    let refused = thread::scope(|scope| {
        let listening = scope.spawn(|| {
            let opened = stillwire_blocking::DatagramSession::open(two, None, |now| {
                Ok(machine(Role::Listener, 1, now))
            });
            opened.unwrap_err()
        });
        let dialed = stillwire_blocking::DatagramSession::open(one, Some(at), |now| {
            Ok(machine(Role::Dialer, 2, now))
        });
        [dialed.unwrap_err(), listening.join().unwrap()]
    });
    assert_eq!(refused, [const { Error::Timeout(Timer::Connect) }; 2]);
}
