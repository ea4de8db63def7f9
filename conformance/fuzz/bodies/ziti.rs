//! Whatever comes to either end of an OpenZiti connection, in whatever pieces: an error that repeats, or
//! plaintext within the limits; and any bytes as a multipart payload.

use stillwire_core::crypto::{Rng, Secret};
use stillwire_core::ziti::handshake::Session;
use stillwire_core::ziti::{Config, Connection, Dialect, Exchange, Pull, Push, Role, wire};
use stillwire_core::{Channel, Input, Instant, Machine, Output, Read, Streamed};

const LIMIT: usize = 1 << 16;

fn connection(kind: u8, config: Config) -> Connection {
    let (exchange, rng, now) = (Exchange::Fresh, Rng::from_seed([1; 32]), Instant::ZERO);
    let key = || Secret::from([2; 32]);
    match kind % 3 {
        0 => Connection::new(Role::Dialer, exchange, None, config, rng, now).unwrap(),
        1 => Connection::new(Role::Listener, exchange, None, config, rng, now).unwrap(),
        _ => {
            let session = Session {
                push: Push::new(&key(), &[3; 24]),
                pull: Pull::new(&key(), &[3; 24], Dialect::Sodium),
                transcript: [0; 32],
                peer: None,
            };
            Connection::established(session, config, now)
        }
    }
}

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let [kind, split, data @ ..] = data else {
        return;
    };
    if let Ok(parts) = wire::decode_parts(data) {
        let parts: Vec<&[u8]> = parts.collect();
        assert_eq!(wire::encode_parts(&parts).unwrap(), data);
    }
    let config = Config {
        largest_message: LIMIT,
        receive_buffer: LIMIT,
        ..Config::default()
    };
    let mut connection = connection(*kind, config);
    let mut buffer = [0; 1_000];
    for piece in data.chunks(usize::from(*split).max(1)) {
        while !matches!(connection.poll(Instant::ZERO), Output::Wait(_)) {}
        if !connection.wants_bytes() {
            break;
        }
        let taken = connection.handle(Instant::ZERO, Input::Bytes(piece));
        while let Ok(Read::Data(n)) = connection.read(Instant::ZERO, &mut buffer) {
            assert!(n > 0);
        }
        if let Err(error) = taken {
            let again = connection.handle(Instant::ZERO, Input::Time);
            assert_eq!(again, Err(error.clone()));
            assert_eq!(connection.read(Instant::ZERO, &mut buffer), Err(error));
            return;
        }
    }
}
