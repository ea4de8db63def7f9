//! Hostile bytes for either end of commonware-stream, before and after the handshake: nothing is
//! ever established or delivered by them, and what they claim is never allocated.

use std::sync::Arc;
use stillwire_core::commonware::{
    Admission, Config, Connection, Door, Ed25519, Identity, Profile, PublicKey,
};
use stillwire_core::crypto::Secret;
use stillwire_core::{
    Channel, Input, Instant, Machine, Messages, Output, Received, Streamed, UnixTime,
};

const NOW: Instant = Instant::ZERO;
/// That of the seeds, which are the vectors' own frames.
const UNIX: UnixTime = UnixTime::from_millis(1_780_000_000_040);

fn identity(seed: u8) -> Arc<dyn Identity> {
    Arc::new(Ed25519::new(&Secret::from([seed; 32])))
}

fn config(profile: Profile) -> Config {
    Config {
        profile,
        namespace: Arc::from(&b"fuzz"[..]),
        longest_message: 4096,
        receive_buffer: 8192,
        ..Config::default()
    }
}

fn dialer(profile: Profile) -> Connection {
    let listener: PublicKey = identity(2).public();
    Connection::dial(config(profile), identity(1), &listener, [3; 32], NOW, UNIX).unwrap()
}

fn listener(profile: Profile) -> Connection {
    let door = Door {
        admission: Admission::Anyone,
        seen: None,
    };
    Connection::listen(config(profile), identity(2), door, [4; 32], NOW, UNIX)
}

fn out(machine: &mut Connection) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match machine.poll(NOW) {
            Output::Transmit(bytes) => all.extend_from_slice(&bytes),
            Output::Wait(_) => return all,
            _ => {}
        }
    }
}

fn established(profile: Profile) -> (Connection, Connection) {
    let (mut dialer, mut listener) = (dialer(profile), listener(profile));
    for _ in 0..2 {
        let sent = out(&mut dialer);
        listener.handle(NOW, Input::Bytes(&sent)).unwrap();
        let sent = out(&mut listener);
        dialer.handle(NOW, Input::Bytes(&sent)).unwrap();
    }
    assert!(dialer.is_established() && listener.is_established());
    (dialer, listener)
}

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let [profile, end, size, rest @ ..] = data else {
        return;
    };
    let profile = Profile::ALL[usize::from(profile % 4)];
    let before = end % 4 < 2;
    let mut machine = match end % 4 {
        0 => listener(profile),
        1 => dialer(profile),
        2 => established(profile).0,
        _ => established(profile).1,
    };
    for piece in rest.chunks(usize::from(*size).max(1)) {
        if !machine.wants_bytes() {
            break;
        }
        let _ = machine.handle(NOW, Input::Bytes(piece));
        out(&mut machine);
    }
    assert_eq!(machine.is_established(), !before);
    assert_eq!(machine.buffered(), 0);
    assert!(!matches!(machine.receive(NOW), Ok(Received::Message(_))));
    let ended = machine.handle(NOW, Input::End);
    out(&mut machine);
    assert_eq!(machine.error().is_some(), ended.is_err());
}
