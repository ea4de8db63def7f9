//! Every bit and every byte of every handshake message, altered on its way to either end, in both
//! profiles; and whole handshakes of another connection.

use crate::world::{NOW, World, class, drain, end, identity, pair, read_all, told};
use std::ops::Range;
use stillwire_core::crypto::Rng;
use stillwire_core::ziti::{Config, Connection, Exchange, Identity, Role};
use stillwire_core::{Channel, Class, Error, Input, Machine, Streamed};

const PROFILES: [bool; 2] = [false, true];
const ROLES: [Role; 2] = [Role::Dialer, Role::Listener];

fn who(role: Role, hardened: bool) -> Option<Identity> {
    let (own, peer) = match role {
        Role::Dialer => (1, 2),
        Role::Listener => (2, 1),
    };
    if hardened {
        identity(own, &[peer])
    } else {
        None
    }
}

fn fresh(role: Role, hardened: bool) -> Connection {
    end(role, who(role, hardened), &Config::default())
}

fn other(role: Role) -> Role {
    match role {
        Role::Dialer => Role::Listener,
        Role::Listener => Role::Dialer,
    }
}

/// What the peer of `victim` says: its whole handshake, and its first message.
struct Said {
    handshake: Vec<u8>,
    message: Vec<u8>,
}

fn listen_to(mut peer: Connection, mut victim: Connection) -> Said {
    let mut handshake = Vec::new();
    while !(peer.is_established() && victim.is_established()) {
        let (bytes, _) = drain(&mut peer);
        victim.handle(NOW, Input::Bytes(&bytes)).unwrap();
        handshake.extend(bytes);
        let (bytes, _) = drain(&mut victim);
        peer.handle(NOW, Input::Bytes(&bytes)).unwrap();
    }
    peer.write(NOW, b"secret").unwrap();
    let (message, _) = drain(&mut peer);
    Said { handshake, message }
}

fn said_to(victim: Role, hardened: bool) -> Said {
    listen_to(fresh(other(victim), hardened), fresh(victim, hardened))
}

/// How a handshake that was altered ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Refused before the connection was established.
    Refused(Class),
    /// Established, and refused at the first message or where it should have been.
    AtTheFirstMessage(Class),
    Delivered(Vec<u8>),
}

/// Gives the victim a handshake, a message, and the end of the stream.
fn give(mut victim: Connection, handshake: &[u8], message: &[u8]) -> Outcome {
    drain(&mut victim);
    let hear = |victim: &mut Connection| -> Result<(), Error> {
        victim.handle(NOW, Input::Bytes(handshake))?;
        victim.handle(NOW, Input::Bytes(message))
    };
    let heard = hear(&mut victim);
    let (delivered, _) = read_all(&mut victim);
    if !delivered.is_empty() {
        heard.unwrap();
        return Outcome::Delivered(delivered);
    }
    let found = class(heard.and_then(|()| victim.handle(NOW, Input::End)));
    // It stays so, whatever comes.
    assert_eq!(class(victim.handle(NOW, Input::Bytes(message))), found);
    assert_eq!(class(victim.write(NOW, b"x")), found);
    if victim.is_established() {
        Outcome::AtTheFirstMessage(found)
    } else {
        Outcome::Refused(found)
    }
}

/// Where the parts of a handshake lie.
struct Parts {
    key: Range<usize>,
    prefixes: [Range<usize>; 2],
    signature: Range<usize>,
    header: Range<usize>,
}

const fn parts(hardened: bool) -> Parts {
    if hardened {
        Parts {
            key: 0..32,
            prefixes: [32..36, 100..104],
            signature: 36..100,
            header: 104..128,
        }
    } else {
        Parts {
            key: 0..32,
            prefixes: [32..36, 32..36],
            signature: 0..0,
            header: 36..60,
        }
    }
}

/// What becomes of one alteration in each part.
struct Expected {
    key: Outcome,
    prefix: Outcome,
    signature: Outcome,
    header: Outcome,
}

impl Expected {
    fn at(&self, hardened: bool, byte: usize) -> &Outcome {
        let parts = parts(hardened);
        if parts.key.contains(&byte) {
            &self.key
        } else if parts.prefixes.iter().any(|prefix| prefix.contains(&byte)) {
            &self.prefix
        } else if parts.signature.contains(&byte) {
            &self.signature
        } else {
            assert!(parts.header.contains(&byte), "{byte}");
            &self.header
        }
    }
}

#[test]
fn an_unaltered_handshake_of_the_recorded_bytes_delivers() {
    for hardened in PROFILES {
        for victim in ROLES {
            let said = said_to(victim, hardened);
            assert_eq!(said.handshake.len(), parts(hardened).header.end);
            let outcome = give(fresh(victim, hardened), &said.handshake, &said.message);
            assert_eq!(outcome, Outcome::Delivered(b"secret".to_vec()));
        }
    }
}

#[test]
fn every_flipped_bit_of_a_handshake_is_refused_before_anything_is_delivered() {
    for hardened in PROFILES {
        let expected = Expected {
            // With its top bit, which X25519 ignores: it is hashed, and signed, as it came.
            key: if hardened {
                Outcome::Refused(Class::Auth)
            } else {
                Outcome::AtTheFirstMessage(Class::Auth)
            },
            prefix: Outcome::Refused(Class::Length),
            signature: Outcome::Refused(Class::Auth),
            // Nobody signs it, and it opens nothing but what it was made for.
            header: Outcome::AtTheFirstMessage(Class::Auth),
        };
        for victim in ROLES {
            let Said { handshake, message } = said_to(victim, hardened);
            for bit in 0..handshake.len() * 8 {
                let mut forged = handshake.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                let outcome = give(fresh(victim, hardened), &forged, &message);
                let expected = expected.at(hardened, bit / 8);
                assert_eq!(&outcome, expected, "{victim:?}, hardened {hardened}: {bit}");
            }
        }
    }
}

#[test]
fn every_truncation_of_a_handshake_is_an_unauthenticated_end() {
    for hardened in PROFILES {
        for victim in ROLES {
            let Said { handshake, .. } = said_to(victim, hardened);
            for length in 0..handshake.len() {
                let outcome = give(fresh(victim, hardened), &handshake[..length], &[]);
                assert_eq!(outcome, Outcome::Refused(Class::Eof), "{length}");
            }
        }
    }
}

/// Each message cut by a byte, anywhere in it, with everything behind it.
#[test]
fn every_byte_that_is_left_out_of_a_handshake_is_refused_before_anything_is_delivered() {
    let expected = Expected {
        // What follows is read as a length that no frame here has.
        key: Outcome::Refused(Class::Length),
        prefix: Outcome::Refused(Class::Length),
        signature: Outcome::Refused(Class::Auth),
        // The first message is read as one that is longer than what comes.
        header: Outcome::AtTheFirstMessage(Class::Eof),
    };
    for hardened in PROFILES {
        for victim in ROLES {
            let Said { handshake, message } = said_to(victim, hardened);
            for byte in 0..handshake.len() {
                let mut forged = handshake.clone();
                forged.remove(byte);
                let outcome = give(fresh(victim, hardened), &forged, &message);
                let expected = expected.at(hardened, byte);
                assert_eq!(
                    &outcome, expected,
                    "{victim:?}, hardened {hardened}: {byte}"
                );
            }
        }
    }
}

/// One end like [`fresh`], of another connection.
fn again(role: Role, hardened: bool) -> Connection {
    let rng = Rng::from_seed([99; 32]);
    let (who, config) = (who(role, hardened), Config::default());
    Connection::new(role, Exchange::Fresh, who, config, rng, NOW).unwrap()
}

#[test]
fn a_recorded_connection_played_to_a_fresh_end_delivers_nothing() {
    for (hardened, expected) in [
        (false, Outcome::AtTheFirstMessage(Class::Auth)),
        // What was signed names the key of the connection before.
        (true, Outcome::Refused(Class::Auth)),
    ] {
        for victim in ROLES {
            let Said { handshake, message } = said_to(victim, hardened);
            let outcome = give(again(victim, hardened), &handshake, &message);
            assert_eq!(outcome, expected, "{victim:?}");
        }
    }
}

/// The session's keys follow from both pairs alone, and so do the signatures: the pairs of an earlier
/// session open what was sent in it.
#[test]
fn key_pairs_of_a_controller_are_per_session_a_recording_opens_under_the_same_ones() {
    for hardened in PROFILES {
        let ends = |dialer: u8, listener: u8| {
            let (dialer, listener) = (pair(dialer), pair(listener));
            let keys = [dialer.public(), listener.public()];
            [
                (Role::Dialer, dialer, keys[1]),
                (Role::Listener, listener, keys[0]),
            ]
            .map(|(role, own, peer)| told(role, own, peer, who(role, hardened)))
        };
        let [dialer, listener] = ends(1, 2);
        let Said { handshake, message } = listen_to(dialer, listener);
        // Why a pair must never serve twice.
        let [_, reused] = ends(1, 2);
        let outcome = give(reused, &handshake, &message);
        assert_eq!(outcome, Outcome::Delivered(b"secret".to_vec()));
        // One fresh pair, of either end, is enough.
        let expected = if hardened {
            Outcome::Refused(Class::Auth)
        } else {
            Outcome::AtTheFirstMessage(Class::Auth)
        };
        for (dialer, listener) in [(1, 4), (3, 2)] {
            let [_, fresh] = ends(dialer, listener);
            assert_eq!(give(fresh, &handshake, &message), expected);
        }
    }
}

#[test]
fn a_recorded_message_is_no_message_of_another_connection() {
    let Said { message, .. } = said_to(Role::Listener, false);
    let mut world = World::of(again(Role::Dialer, false), fresh(Role::Listener, false));
    world.run().unwrap();
    let refused = world.listener.handle(NOW, Input::Bytes(&message));
    assert_eq!(class(refused), Class::Auth);
}
