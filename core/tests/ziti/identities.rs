//! Controllers that swap keys, and identities that catch them.

use crate::world::{NOW, World, class, drain, end, identity, pair, read_all, signer, told};
use stillwire_core::crypto::{Rng, ed25519};
use stillwire_core::ziti::wire::{self, Method};
use stillwire_core::ziti::{Config, Connection, Exchange, Identity, KeyPair, Role};
use stillwire_core::{Channel, Class, Error, Input, Machine, Streamed};

/// What an end hears of its peer from the controller, as a connect or dial message has it.
struct Introduction {
    key: Option<Vec<u8>>,
    method: Option<Vec<u8>>,
}

impl Introduction {
    /// The connection that an embedder makes of it, where encryption is required.
    fn connect(
        &self,
        role: Role,
        own: KeyPair,
        identity: Option<Identity>,
    ) -> Result<Connection, Error> {
        let Method::Libsodium = Method::parse(self.method.as_deref())?;
        let peer = wire::peer_key(self.key.as_deref())?;
        Ok(told(role, own, peer, identity))
    }
}

/// A controller: both ends register a public key with it, and it tells each of the other.
#[derive(Default)]
struct Controller {
    /// It tells a key of its own instead.
    swaps: Option<u8>,
    /// It tells no key at all.
    withholds: bool,
    /// It cuts or prolongs the key.
    length: Option<usize>,
    method: Option<&'static [u8]>,
}

impl Controller {
    fn tell(&self, registered: [u8; 32]) -> Introduction {
        let key = self.swaps.map_or(registered, |seed| pair(seed).public());
        let mut key = key.to_vec();
        key.resize(self.length.unwrap_or(key.len()), 7);
        Introduction {
            key: (!self.withholds).then_some(key),
            method: self.method.map(<[u8]>::to_vec),
        }
    }

    /// Both ends after the exchange.
    fn introduce_ends(&self, identities: [Option<Identity>; 2]) -> [Result<Connection, Error>; 2] {
        let (dialer, listener) = (pair(1), pair(2));
        let of = [self.tell(listener.public()), self.tell(dialer.public())];
        let [first, second] = identities;
        [
            of[0].connect(Role::Dialer, dialer, first),
            of[1].connect(Role::Listener, listener, second),
        ]
    }

    fn introduce(&self, identities: [Option<Identity>; 2]) -> World {
        let [dialer, listener] = self.introduce_ends(identities);
        World::of(dialer.unwrap(), listener.unwrap())
    }

    /// The controller's own two ends, between the real ones.
    fn between(&self) -> World {
        let seed = self.swaps.unwrap();
        World::of(
            told(Role::Dialer, pair(seed), pair(2).public(), None),
            told(Role::Listener, pair(seed), pair(1).public(), None),
        )
    }
}

fn swapping() -> Controller {
    Controller {
        swaps: Some(66),
        ..Controller::default()
    }
}

/// Moves everything between the real ends and the controller's.
fn relay(world: &mut World, between: &mut World) -> Result<(), Error> {
    for _ in 0..4 {
        let (bytes, _) = drain(&mut world.dialer);
        between.listener.handle(NOW, Input::Bytes(&bytes))?;
        let (bytes, _) = drain(&mut between.listener);
        world.dialer.handle(NOW, Input::Bytes(&bytes))?;
        let (bytes, _) = drain(&mut between.dialer);
        world.listener.handle(NOW, Input::Bytes(&bytes))?;
        let (bytes, _) = drain(&mut world.listener);
        between.dialer.handle(NOW, Input::Bytes(&bytes))?;
    }
    Ok(())
}

#[test]
fn an_honest_controller_introduces_both_ends() {
    for identities in [[None, None], [identity(1, &[2]), identity(2, &[1])]] {
        let mut world = Controller::default().introduce(identities);
        world.dialer.write(NOW, b"hello").unwrap();
        world.run().unwrap();
        assert_eq!(read_all(&mut world.listener).0, b"hello");
        assert!(world.dialer.transcript().is_some());
        assert_eq!(world.dialer.transcript(), world.listener.transcript());
    }
}

#[test]
fn trap_04_a_controller_that_withholds_the_key_or_names_another_method_is_refused() {
    let honest = Controller::default;
    let refused = [
        (
            Controller {
                withholds: true,
                ..honest()
            },
            Class::Downgrade,
        ),
        (
            Controller {
                method: Some(b"aes-gcm"),
                ..honest()
            },
            Class::Type,
        ),
        (
            Controller {
                method: Some(&[1]),
                ..honest()
            },
            Class::Type,
        ),
        (
            Controller {
                length: Some(31),
                ..honest()
            },
            Class::Length,
        ),
        (
            Controller {
                length: Some(33),
                ..honest()
            },
            Class::Length,
        ),
        // An empty key is no key either, and nothing goes on in the clear.
        (
            Controller {
                length: Some(0),
                ..honest()
            },
            Class::Length,
        ),
    ];
    for (controller, expected) in refused {
        for hardened in [false, true] {
            let identities = if hardened {
                [identity(1, &[2]), identity(2, &[1])]
            } else {
                [None, None]
            };
            for end in controller.introduce_ends(identities) {
                assert_eq!(end.err().unwrap().class(), Some(expected));
            }
        }
    }
}

#[test]
fn trap_04_a_method_absent_zero_or_libsodium_is_one() {
    for method in [None, Some(&[0][..]), Some(b"libsodium")] {
        let controller = Controller {
            method,
            ..Controller::default()
        };
        let mut world = controller.introduce([None, None]);
        world.dialer.write(NOW, b"hello").unwrap();
        world.run().unwrap();
        assert_eq!(read_all(&mut world.listener).0, b"hello");
    }
}

#[test]
fn trap_06_a_controller_that_swaps_the_keys_is_caught_by_the_transcript_hash() {
    let controller = swapping();
    let mut world = controller.introduce([None, None]);
    let mut between = controller.between();
    relay(&mut world, &mut between).unwrap();
    world.dialer.write(NOW, b"secret").unwrap();
    relay(&mut world, &mut between).unwrap();
    // The attack works: the controller reads, and each end believes it is connected...
    assert_eq!(read_all(&mut between.listener).0, b"secret");
    assert!(world.dialer.is_established() && world.listener.is_established());
    // ...but the two hashes differ.
    assert_ne!(world.dialer.transcript(), world.listener.transcript());
}

#[test]
fn trap_06_a_controller_that_swaps_the_keys_is_caught_by_the_signature() {
    let controller = swapping();
    // It passes the signatures of the real ends on: all it can do without their keys.
    let mut world = controller.introduce([identity(1, &[2]), identity(2, &[1])]);
    assert_eq!(class(world.run()), Class::Auth);
    assert!(!world.dialer.is_established() && !world.listener.is_established());
    // It does not get further with a signature of its own.
    let mut world = controller.introduce([identity(1, &[2]), identity(2, &[1])]);
    let mut mallory = told(
        Role::Listener,
        pair(66),
        pair(1).public(),
        identity(9, &[1]),
    );
    let (proof, _) = drain(&mut mallory);
    let refused = world.dialer.handle(NOW, Input::Bytes(&proof));
    assert_eq!(class(refused), Class::Auth);
}

fn signed(dialer: Option<Identity>, listener: Option<Identity>) -> World {
    let config = Config::default();
    World::of(
        end(Role::Dialer, dialer, &config),
        end(Role::Listener, listener, &config),
    )
}

#[test]
fn pinned_identities_know_each_other_in_every_split() {
    for split in [1, 7, 32, 64, 68, usize::MAX] {
        let mut world = signed(identity(1, &[5, 2]), identity(2, &[1]));
        world.split = split;
        world.dialer.write(NOW, b"signed").unwrap();
        world.run().unwrap();
        assert_eq!(read_all(&mut world.listener).0, b"signed");
        assert_eq!(world.dialer.peer_identity(), Some(signer(2).public()));
        assert_eq!(world.listener.peer_identity(), Some(signer(1).public()));
    }
}

#[test]
fn a_stranger_is_refused_by_whoever_pins_another() {
    let mut world = signed(identity(3, &[2]), identity(2, &[1]));
    assert_eq!(class(world.run()), Class::Auth);
    assert!(!world.listener.is_established());
}

#[test]
fn trap_04_a_peer_that_does_not_sign_is_a_downgrade() {
    let mut world = signed(None, identity(2, &[1]));
    assert_eq!(class(world.run()), Class::Downgrade);
    assert!(!world.listener.is_established());
    // And one that does is not taken for one that does not.
    let mut world = signed(identity(1, &[2]), None);
    let ran = class(world.run());
    assert!(matches!(ran, Class::Length | Class::Downgrade), "{ran:?}");
}

#[test]
fn what_is_signed_is_the_word_the_role_and_both_keys() {
    let mut dialer = end(Role::Dialer, identity(1, &[2]), &Config::default());
    let mut listener = end(Role::Listener, identity(2, &[1]), &Config::default());
    let (client, _) = drain(&mut dialer);
    let (server, _) = drain(&mut listener);
    dialer.handle(NOW, Input::Bytes(&server)).unwrap();
    listener.handle(NOW, Input::Bytes(&client)).unwrap();
    for (mut end, seed, role) in [(dialer, 1, b"c"), (listener, 2, b"s")] {
        let (proof, _) = drain(&mut end);
        assert_eq!(proof.len(), 4 + 64 + 4 + 24);
        assert_eq!(proof[..4], [0, 0, 0, 64]);
        assert_eq!(proof[68..72], [0, 0, 0, 24]);
        let signature = proof[4..68].try_into().unwrap();
        let text = [b"stillwire ziti v1", &role[..], &client, &server].concat();
        ed25519::verify(&signer(seed).public(), &text, signature).unwrap();
    }
}

#[test]
fn the_transcript_hash_is_that_of_both_keys() {
    let mut world = World::established(&Config::default());
    let keys = [Role::Dialer, Role::Listener]
        .map(|role| drain(&mut end(role, None, &Config::default())).0[..32].to_vec());
    let text = [b"stillwire ziti v1 transcript", &*keys[0], &*keys[1]];
    let hash = stillwire_core::crypto::blake2b::digest_256(&text);
    assert_eq!(world.dialer.transcript(), Some(hash));
    world.run().unwrap();
}

#[test]
fn identities_that_prove_nothing_are_refused() {
    let refused = |peers: &[[u8; 32]]| Identity::new(signer(1), peers).err().unwrap().class();
    assert_eq!(refused(&[]), Some(Class::Identity));
    assert_eq!(refused(&[[0; 32]]), Some(Class::Identity));
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(
        refused(&[signer(2).public(), neutral]),
        Some(Class::Identity)
    );
}

#[test]
fn a_controller_that_hands_out_a_bad_key_is_refused_at_once() {
    for (peer, expected) in [
        ([0; 32], Class::WeakKey),
        (pair(1).public(), Class::Identity),
    ] {
        let exchange = Exchange::Controller { own: pair(1), peer };
        let rng = Rng::from_seed([1; 32]);
        let config = Config::default();
        let refused = Connection::new(Role::Dialer, exchange, None, config, rng, NOW);
        assert_eq!(refused.err().unwrap().class(), Some(expected));
    }
}
