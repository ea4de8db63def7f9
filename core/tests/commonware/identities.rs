//! Identities that are not ours: the trait is all that the handshake knows of them.

use super::world::{End, UNIX, anyone, config};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use stillwire_core::commonware::{Connection, Identity, Profile, PublicKey, Signature};
use stillwire_core::crypto::blake2b;
use stillwire_core::{Channel, Class, Error, Instant};

const NOW: Instant = Instant::ZERO;

const LOCKED: Error = Error::limit(Class::Identity, "the agent is locked; unlock it");

/// What a badge reader knows: a name is valid when it begins like this.
const VALID: [u8; 4] = *b"name";

/// Keys stay in an agent, which many identities share. Its scheme is its own: a signature is two
/// hashes over a secret, the name and the message.
struct Agent {
    secret: [u8; 32],
    locked: bool,
    signed: Mutex<Vec<usize>>,
    verified: AtomicUsize,
}

impl Agent {
    fn new(secret: u8) -> Arc<Self> {
        Arc::new(Self {
            secret: [secret; 32],
            locked: false,
            signed: Mutex::default(),
            verified: AtomicUsize::new(0),
        })
    }

    fn mark(&self, name: &PublicKey, message: &[u8]) -> Signature {
        let half = |half: &[u8]| blake2b::digest_256(&[half, &self.secret, name, message]);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&half(b"first"));
        signature[32..].copy_from_slice(&half(b"second"));
        signature
    }
}

struct Badge {
    name: PublicKey,
    agent: Arc<Agent>,
}

impl Identity for Badge {
    fn public(&self) -> PublicKey {
        self.name
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        if self.agent.locked {
            return Err(LOCKED);
        }
        self.agent.signed.lock().unwrap().push(message.len());
        Ok(self.agent.mark(&self.name, message))
    }

    fn check(&self, public: &PublicKey) -> Result<(), Error> {
        if public.starts_with(&VALID) {
            return Ok(());
        }
        Err(Error::peer(Class::Identity, "this is no name of ours"))
    }

    fn verify(
        &self,
        public: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), Error> {
        self.agent.verified.fetch_add(1, Ordering::Relaxed);
        if *signature == self.agent.mark(public, message) {
            return Ok(());
        }
        Err(Error::auth())
    }
}

fn name(number: u8) -> PublicKey {
    let mut name = [number; 32];
    name[..4].copy_from_slice(&VALID);
    name
}

fn badge(number: u8, agent: &Arc<Agent>) -> Arc<dyn Identity> {
    Arc::new(Badge {
        name: name(number),
        agent: agent.clone(),
    })
}

/// Both ends after everything they had to say.
fn meet(
    profile: Profile,
    dialer: Arc<dyn Identity>,
    listener: Arc<dyn Identity>,
) -> Result<[End; 2], Error> {
    let (config, known) = (config(profile), listener.public());
    let dialer = Connection::dial(config.clone(), dialer, &known, [1; 32], NOW, UNIX)?;
    let listener = Connection::listen(config, listener, anyone(), [2; 32], NOW, UNIX);
    let (mut dialer, mut listener) = (End::new(dialer), End::new(listener));
    for _ in 0..4 {
        dialer.drain(NOW);
        listener.feed(NOW, &core::mem::take(&mut dialer.out))?;
        dialer.feed(NOW, &core::mem::take(&mut listener.out))?;
    }
    Ok([dialer, listener])
}

#[test]
fn another_scheme_than_ed25519_connects_in_every_profile() {
    for profile in Profile::ALL {
        let agent = Agent::new(7);
        let ends = meet(profile, badge(1, &agent), badge(2, &agent)).unwrap();
        let [mut dialer, mut listener] = ends;
        assert!(dialer.is_established() && listener.is_established());
        assert_eq!(listener.machine.peer(), Some(name(1)));
        assert_eq!(dialer.machine.peer(), Some(name(2)));
        // Each end signed one message, and verified one.
        let signed = agent.signed.lock().unwrap().clone();
        assert_eq!(signed.len(), 2, "{profile}");
        let expected = match profile {
            Profile::V0 | Profile::V1 => Some(33),
            Profile::B => Some(32),
            Profile::A => None,
        };
        if let Some(expected) = expected {
            assert_eq!(signed, [expected; 2], "{profile}");
        }
        assert_eq!(agent.verified.load(Ordering::Relaxed), 2, "{profile}");
        assert_eq!(dialer.machine.write(NOW, b"signed elsewhere"), Ok(16));
        dialer.drain(NOW);
        listener.feed(NOW, &dialer.out).unwrap();
        assert_eq!(listener.read_all(NOW), b"signed elsewhere");
    }
}

#[test]
fn what_another_scheme_refuses_is_refused() {
    for profile in Profile::ALL {
        let agent = Agent::new(7);
        let refused = |dialer, listener| {
            let met = meet(profile, dialer, listener);
            met.err().unwrap()
        };
        // Signed by an agent with another secret.
        let stranger = badge(1, &Agent::new(8));
        let found = refused(stranger, badge(2, &agent));
        assert_eq!(found.class(), Some(Class::Auth), "{profile}");
        // A key that is no name, of the peer that dials and of the one that is dialed.
        let nobody = || -> Arc<dyn Identity> {
            Arc::new(Badge {
                name: [9; 32],
                agent: agent.clone(),
            })
        };
        let found = refused(nobody(), badge(2, &agent));
        assert_eq!(found.class(), Some(Class::Identity), "{profile}");
        let found = refused(badge(1, &agent), nobody());
        assert_eq!(found.class(), Some(Class::Identity), "{profile}");
    }
}

#[test]
fn an_agent_that_does_not_sign_ends_the_handshake() {
    for profile in Profile::ALL {
        let locked = || {
            Arc::new(Agent {
                secret: [7; 32],
                locked: true,
                signed: Mutex::default(),
                verified: AtomicUsize::new(0),
            })
        };
        let open = Agent::new(7);
        for (dialer, listener) in [
            (badge(1, &locked()), badge(2, &open)),
            (badge(1, &open), badge(2, &locked())),
        ] {
            let failed = meet(profile, dialer, listener).err().unwrap();
            assert_eq!(failed, LOCKED);
        }
    }
}
