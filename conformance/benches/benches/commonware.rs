//! Handshakes and records of commonware-stream, both ends on one thread and without a socket, as lines
//! that `cargo xtask bench commonware` compares with the crate's own on the same work.

mod measure;

use measure::{Once, in_turn, megabytes};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use stillwire_core::commonware::handshake::{Dialer, IDENTITY, Keys, Listener, Terms};
use stillwire_core::commonware::wire::split_frame;
use stillwire_core::commonware::{
    Admission, Config, Connection, Door, Ed25519, Identity, Profile, Window,
};
use stillwire_core::crypto::{Rng, Secret};
use stillwire_core::{Input, Machine, Messages, Output, Received, Streamed, UnixTime};

const NOW: UnixTime = UnixTime::from_secs(1_780_000_000);

fn identity(seed: u8) -> Arc<Ed25519> {
    Arc::new(Ed25519::new(&Secret::from([seed; 32])))
}

fn terms(profile: Profile, seed: u8) -> Terms {
    Terms {
        profile,
        namespace: Arc::from(&b"bench"[..]),
        identity: identity(seed),
        window: Window::default(),
        refuse_self: false,
    }
}

/// One handshake, both ends; gives the keys of each.
fn handshake(dialer: &Terms, listener: &Terms, rng: &mut Rng) -> [Keys; 2] {
    let prefix = dialer.profile.prefix();
    let frame = |bytes: &[u8], size: usize| {
        let split = split_frame(prefix, bytes, &(size..=size)).expect("it has this size");
        let (body, rest) = split.expect("it is whole");
        (body.to_vec(), rest.to_vec())
    };
    let public = listener.identity.public();
    let (dial, out) =
        Dialer::start(dialer, &public, Secret::from(rng.array()), NOW).expect("a real key");
    let Listener::Identity(wait) = Listener::start(listener) else {
        unreachable!("these profiles begin with the identity");
    };
    let (identity, rest) = frame(&out, IDENTITY);
    let wait = wait.take(&identity).expect("a real key");
    let size = *wait.sizes().end();
    let claim = wait.open(&frame(&rest, size).0, NOW).expect("in time");
    let verified = claim.verify().expect("it was signed");
    let answered = verified.answer(Secret::from(rng.array()), NOW);
    let (out, ack) = answered.expect("a real key");
    let size = *dial.sizes().end();
    let finished = dial.finish(&frame(&out, size).0, NOW);
    let (out, ours) = finished.expect("an honest answer");
    let size = *ack.sizes().end();
    let theirs = ack.finish(&frame(&out, size).0).expect("an honest ack");
    [ours, theirs]
}

fn handshakes(profile: Profile) -> Once<'static> {
    let (dialer, listener) = (terms(profile, 1), terms(profile, 2));
    let mut rng = Rng::from_seed([5; 32]);
    Box::new(move || {
        let start = Instant::now();
        black_box(handshake(&dialer, &listener, &mut rng));
        start.elapsed()
    })
}

/// Hands everything that `from` has to say to `to`.
fn carry(from: &mut Connection, to: &mut Connection) {
    let now = stillwire_core::Instant::ZERO;
    loop {
        match from.poll(now) {
            Output::Transmit(bytes) => {
                let taken = to.handle(now, Input::Bytes(&bytes));
                taken.expect("the peer is honest");
            }
            Output::Wait(_) => return,
            _ => {}
        }
    }
}

/// A dialer and its listener.
fn connected(profile: Profile) -> [Connection; 2] {
    let now = stillwire_core::Instant::ZERO;
    let config = Config {
        profile,
        namespace: Arc::from(&b"bench"[..]),
        ..Config::default()
    };
    let door = Door {
        admission: Admission::Anyone,
        seen: None,
    };
    let public = identity(2).public();
    let dialer = Connection::dial(config.clone(), identity(1), &public, [3; 32], now, NOW);
    let mut dialer = dialer.expect("a real key");
    let mut listener = Connection::listen(config, identity(2), door, [4; 32], now, NOW);
    while !(dialer.is_established() && listener.is_established()) {
        carry(&mut dialer, &mut listener);
        carry(&mut listener, &mut dialer);
    }
    [dialer, listener]
}

/// A message of one connection is taken out of the other, as the crate's program does it: each
/// message is the sender's own copy, and what arrives is the receiver's.
fn records(profile: Profile, size: usize) -> Once<'static> {
    let [mut dialer, mut listener] = connected(profile);
    let (message, now) = (vec![7; size], stillwire_core::Instant::ZERO);
    Box::new(move || {
        let start = Instant::now();
        let own = message.clone();
        assert_eq!(dialer.send(now, &own), Ok(true));
        drop(own);
        carry(&mut dialer, &mut listener);
        let received = listener.receive(now).expect("the peer is honest");
        let Received::Message(message) = received else {
            unreachable!("it was handed in whole");
        };
        assert_eq!(black_box(message).len(), size);
        start.elapsed()
    })
}

fn main() {
    let name = std::env::args().find_map(|word| Profile::from_name(&word));
    let profile = name.unwrap_or_default();
    const SIZES: [usize; 2] = [64 << 10, 1 << 20];
    let [each, small, large] = in_turn([
        handshakes(profile),
        records(profile, SIZES[0]),
        records(profile, SIZES[1]),
    ]);
    println!("handshakes_per_s {each:.0}");
    for (rate, size) in [small, large].into_iter().zip(SIZES) {
        println!("records_{size}_mb_per_s {:.0}", megabytes(rate, size));
    }
}
