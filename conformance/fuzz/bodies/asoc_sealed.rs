//! What a node that holds the key may send in ASoc's hardened profile: any frames, sealed as they must
//! be. They come to the same as the same frames in the clear do in the default profile.

use stillwire_core::asoc::hardened::{Schedule, Sealer, TAG};
use stillwire_core::asoc::{
    ApiKey, Config, Connection, ConnectionEvent, Dialect, Fresh, Header, Identity, NodeId, Profile,
    Suite,
};
use stillwire_core::crypto::{Rng, Secret, x25519};
use stillwire_core::{Class, Input, Instant, Machine, Output, UnixTime};

const KEY: &[u8] = b"the key of the fuzzer, long enough";
const LIMIT: usize = 200;
/// Header bytes before each payload of the handshake.
const HEADER: usize = 14;

/// What came of the frames: streams' bytes and ends, and how it ended.
type Came = (Vec<(u32, Option<Vec<u8>>)>, Option<Class>);

fn identity(node: u8) -> Identity {
    Identity {
        node: NodeId::from_bytes([node; 16]),
        keys: vec![ApiKey::new(KEY).unwrap()],
        community: String::from("fuzz"),
    }
}

fn fresh(seed: u8) -> Fresh {
    let unix = UnixTime::from_secs(1_700_000_000);
    Fresh::draw(&mut Rng::from_seed([seed; 32]), unix)
}

fn drain(machine: &mut Connection, came: &mut Came) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        match machine.poll(Instant::ZERO) {
            Output::Transmit(bytes) => out.extend_from_slice(&bytes),
            Output::Event(ConnectionEvent::Hello { .. }) => machine.admit(Instant::ZERO).unwrap(),
            Output::Event(ConnectionEvent::Data { stream, bytes, .. }) => match came.0.last_mut() {
                Some((last, Some(sofar))) if *last == stream => sofar.extend_from_slice(&bytes),
                _ => came.0.push((stream, Some(bytes.to_vec()))),
            },
            Output::Event(ConnectionEvent::End { stream }) => came.0.push((stream, None)),
            Output::Event(_) => {}
            _ => return out,
        }
    }
}

/// Both ends after the handshake, and what the client and the server said in it.
fn pair(profile: Profile) -> (Connection, Connection, Vec<u8>, Vec<u8>) {
    let config = Config {
        profile,
        max_frame: LIMIT,
        ..Config::default()
    };
    let mut none = Came::default();
    let now = Instant::ZERO;
    let mut client = Connection::client(config.clone(), identity(1), fresh(1), now).unwrap();
    let mut server = Connection::server(config, identity(2), fresh(2), now).unwrap();
    let hello = drain(&mut client, &mut none);
    server.handle(now, Input::Bytes(&hello)).unwrap();
    let accept = drain(&mut server, &mut none);
    client.handle(now, Input::Bytes(&accept)).unwrap();
    let proof = drain(&mut client, &mut none);
    server.handle(now, Input::Bytes(&proof)).unwrap();
    drain(&mut server, &mut none);
    assert!(client.is_open() && server.is_open());
    (client, server, hello, accept)
}

/// Feeds frames, and makes sure that an error repeats.
fn run(mut machine: Connection, frames: &[Vec<u8>], piece: usize) -> Came {
    let mut came = Came::default();
    for part in frames.concat().chunks(piece) {
        let met = machine.handle(Instant::ZERO, Input::Bytes(part));
        drain(&mut machine, &mut came);
        if let Err(fault) = met {
            assert_eq!(machine.handle(Instant::ZERO, Input::Time), Err(fault));
        }
    }
    came.1 = machine.error().and_then(stillwire_core::Error::class);
    came
}

/// One input: which end and cipher, the size of pieces, then frames: type, stream, sequence and
/// length in a byte each, and the payload.
pub(crate) fn fuzz(data: &[u8]) {
    let [how, piece, rest @ ..] = data else {
        return;
    };
    let mut rest = rest;
    let suite = match how & 2 {
        0 => Suite::Aes256Gcm,
        _ => Suite::ChaCha20Poly1305,
    };
    let (client, server, hello, accept) = pair(Profile::Hardened(suite));
    let shared = x25519::dh(&fresh(1).ephemeral, &x25519::public(&fresh(2).ephemeral)).unwrap();
    let (hello, accept) = (&hello[HEADER..], &accept[HEADER..]);
    let key = ApiKey::new(KEY).unwrap();
    let (hello, accept) = (hello.try_into().unwrap(), accept.try_into().unwrap());
    let schedule = Schedule::derive(&key, "fuzz", hello, accept, &shared).unwrap();
    let (tested, plain, key): (_, _, &Secret) = match how & 1 {
        0 => (server, pair(Profile::Default).1, &schedule.client_to_server),
        _ => (client, pair(Profile::Default).0, &schedule.server_to_client),
    };
    let mut sealer = Sealer::at(suite, key, 0, 0);
    let (mut sealed, mut clear) = (Vec::new(), Vec::new());
    while let [kind, stream, sequence, length, after @ ..] = rest {
        let payload = &after[..usize::from(*length).min(after.len())];
        rest = &after[payload.len()..];
        // The default profile knows no such types, and reads over them.
        if (16..=18).contains(kind) {
            continue;
        }
        let header = |extra: usize| {
            let header = Header {
                kind: *kind,
                stream: (*stream).into(),
                sequence: (*sequence).into(),
                length: u32::try_from(payload.len() + extra).unwrap(),
            };
            header.encode(Dialect::Octet).unwrap()
        };
        clear.push([&header(0)[..], payload].concat());
        let mut body = payload.to_vec();
        sealer.seal(&header(TAG), &mut body).unwrap();
        sealed.push([&header(TAG)[..], &body].concat());
    }
    let piece = usize::from(*piece).max(1);
    assert_eq!(run(tested, &sealed, piece), run(plain, &clear, piece));
}
