//! A connection of ASoc in any state: role, profile, dialect and handshake are chosen by the first
//! byte, the sizes of the pieces by the second. Whole or in pieces, it comes to the same end.

use stillwire_core::asoc::{
    Accept, ApiKey, Config, Connection, ConnectionEvent, Dialect, Fresh, Hello, Identity, NodeId,
    Profile, Suite, TokenCheck, handshake,
};
use stillwire_core::crypto::Rng;
use stillwire_core::{Class, Error, Input, Instant, Machine, Output, UnixTime};

const KEY: &[u8] = b"the key of the fuzzer, long enough";

fn drain(machine: &mut Connection, data: &mut Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        match machine.poll(Instant::ZERO) {
            Output::Transmit(bytes) => out.extend_from_slice(&bytes),
            Output::Event(ConnectionEvent::Hello { .. }) => {
                let _ = machine.admit(Instant::ZERO);
            }
            Output::Event(ConnectionEvent::Data { stream, bytes, .. }) => {
                data.extend_from_slice(&stream.to_be_bytes());
                data.extend_from_slice(&bytes);
            }
            Output::Event(_) => {}
            _ => return out,
        }
    }
}

fn identity(node: u8) -> Identity {
    Identity {
        node: NodeId::from_bytes([node; 16]),
        keys: vec![ApiKey::new(KEY).unwrap()],
        community: String::new(),
    }
}

fn fresh(seed: u8) -> Fresh {
    Fresh::draw(
        &mut Rng::from_seed([seed; 32]),
        UnixTime::from_secs(1_700_000_000),
    )
}

/// The machine under test, brought as far as `how` says.
fn begin(how: u8) -> Connection {
    let (hardened, client, done) = (how & 1 != 0, how & 2 != 0, how & 4 != 0);
    let mut config = Config {
        max_frame: 4096,
        ..Config::default()
    };
    if hardened {
        config.profile = Profile::Hardened(Suite::Aes256Gcm);
    } else {
        if how & 8 != 0 {
            config.dialect = Dialect::Nibble;
        }
        if how & 16 != 0 {
            config.token_check = TokenCheck::First;
        }
    }
    let dialect = config.dialect;
    let mut tested = if client {
        Connection::client(config.clone(), identity(1), fresh(1), Instant::ZERO).unwrap()
    } else {
        Connection::server(config.clone(), identity(1), fresh(1), Instant::ZERO).unwrap()
    };
    if !done {
        return tested;
    }
    if hardened {
        let mut other = if client {
            Connection::server(config, identity(2), fresh(2), Instant::ZERO).unwrap()
        } else {
            Connection::client(config, identity(2), fresh(2), Instant::ZERO).unwrap()
        };
        let mut none = Vec::new();
        for _ in 0..3 {
            let said = drain(&mut tested, &mut none);
            other.handle(Instant::ZERO, Input::Bytes(&said)).unwrap();
            let said = drain(&mut other, &mut none);
            tested.handle(Instant::ZERO, Input::Bytes(&said)).unwrap();
        }
    } else {
        let key = ApiKey::new(KEY).unwrap();
        let bytes = if client {
            frame(5, &Accept { token: [7; 8] }.encode(&key), dialect)
        } else {
            let node = NodeId::from_bytes([2; 16]);
            frame(4, &Hello { node, challenge: 1 }.encode(&key), dialect)
        };
        tested.handle(Instant::ZERO, Input::Bytes(&bytes)).unwrap();
    }
    drain(&mut tested, &mut Vec::new());
    assert!(tested.is_open());
    tested
}

fn frame(kind: u8, payload: &[u8], dialect: Dialect) -> Vec<u8> {
    handshake::frame(kind, payload, dialect).unwrap()
}

/// What arrived, and how it ended.
fn run(how: u8, input: &[u8], piece: usize) -> (Vec<u8>, Option<Error>) {
    let mut machine = begin(how);
    let mut data = Vec::new();
    for part in input.chunks(piece.max(1)) {
        let met = machine.handle(Instant::ZERO, Input::Bytes(part));
        drain(&mut machine, &mut data);
        if let Err(fault) = met {
            assert_eq!(machine.handle(Instant::ZERO, Input::Time), Err(fault));
        }
    }
    // Pieces of a frame come with its stream each time; only the bytes are compared.
    (data, machine.error().cloned())
}

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let [how, piece, input @ ..] = data else {
        return;
    };
    let (whole, ended) = run(*how, input, input.len());
    let (pieces, again) = run(*how, input, usize::from(*piece));
    assert_eq!(ended, again);
    assert_eq!(whole.is_empty(), pieces.is_empty());
    if how & 1 != 0 {
        // Nobody can guess a sealed frame.
        assert!(whole.is_empty());
        assert!(ended.and_then(|fault| fault.class()) != Some(Class::DataLimit));
    }
}
