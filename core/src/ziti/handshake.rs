//! The handshake over a byte stream (wire page `ziti`, "Stream"): steps that consume their state.
//!
//! Each end sends a fresh public key, then its framed header; with identities, a framed signature
//! goes between the two. Where a controller has exchanged the public keys already, the first of
//! the three is not sent.

use super::kx::{KeyPair, PUBLIC_KEY, in_order, session_keys};
use super::secretstream::{Dialect, HEADER, Pull, Push};
use super::{Role, wire};
use crate::crypto::ed25519::{self, SigningKey};
use crate::crypto::{Rng, Secret, blake2b};
use crate::error::{Class, Error};
use alloc::vec::Vec;

/// Bytes of a signature.
pub const SIGNATURE: usize = 64;

const SIGNED: &[u8] = b"stillwire ziti v1";
const TRANSCRIPT: &[u8] = b"stillwire ziti v1 transcript";

/// Who we are and whom we talk to: the hardened profile.
pub struct Identity {
    own: SigningKey,
    peers: Vec<[u8; 32]>,
}

impl Identity {
    /// `peers` are the Ed25519 public keys of which the peer must hold one; none, and one that
    /// proves nothing, are [`Class::Identity`].
    pub fn new(own: SigningKey, peers: &[[u8; 32]]) -> Result<Self, Error> {
        if peers.is_empty() {
            return Err(Error::peer(
                Class::Identity,
                "no peer identity is pinned; name the peer's public key",
            ));
        }
        peers.iter().try_for_each(ed25519::check)?;
        Ok(Self {
            own,
            peers: peers.to_vec(),
        })
    }
}

/// Both ephemeral public keys, the client's first.
#[derive(Clone, Copy)]
struct Keys {
    client: [u8; PUBLIC_KEY],
    server: [u8; PUBLIC_KEY],
}

impl Keys {
    fn transcript(&self) -> [u8; 32] {
        blake2b::digest_256(&[TRANSCRIPT, &self.client, &self.server])
    }

    /// What the end in `role` signs.
    fn signed(&self, role: Role) -> Vec<u8> {
        let role: &[u8] = match role {
            Role::Dialer => b"c",
            Role::Listener => b"s",
        };
        [SIGNED, role, &self.client, &self.server].concat()
    }
}

fn frame(out: &mut Vec<u8>, message: &[u8]) {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
}

/// We have offered a fresh public key and wait for the peer's.
pub struct Offered {
    role: Role,
    own: KeyPair,
    header: [u8; HEADER],
    identity: Option<Identity>,
}

impl Offered {
    /// Gives the first bytes to send: the public key, and the framed header unless a signature
    /// must come between.
    pub fn start(role: Role, identity: Option<Identity>, rng: &mut Rng) -> (Self, Vec<u8>) {
        let own = KeyPair::generate(rng);
        let header = rng.array();
        let mut out = own.public().to_vec();
        if identity.is_none() {
            frame(&mut out, &header);
        }
        let offered = Self {
            role,
            own,
            header,
            identity,
        };
        (offered, out)
    }

    /// Takes the peer's public key; gives the next step and what is to be sent.
    ///
    /// [`Class::WeakKey`] for a key of low order, [`Class::Identity`] for our own come back.
    pub fn key(self, peer: &[u8; PUBLIC_KEY]) -> Result<(Agreed, Vec<u8>), Error> {
        let sent = self.identity.is_none();
        let agreed = agree(self.role, &self.own, peer, self.header, self.identity)?;
        Ok(if sent { (agreed.0, Vec::new()) } else { agreed })
    }
}

/// Both public keys are known.
pub enum Agreed {
    /// The peer must prove who it is.
    Unproven(Unproven),
    /// The peer's header is all that is missing.
    Proven(Proven),
}

impl Agreed {
    /// Starts where a controller has exchanged the public keys; gives what is to be sent.
    ///
    /// Errors as [`Offered::key`].
    pub fn start(
        role: Role,
        own: &KeyPair,
        peer: &[u8; PUBLIC_KEY],
        identity: Option<Identity>,
        rng: &mut Rng,
    ) -> Result<(Self, Vec<u8>), Error> {
        agree(role, own, peer, rng.array(), identity)
    }
}

fn agree(
    role: Role,
    own: &KeyPair,
    peer: &[u8; PUBLIC_KEY],
    header: [u8; HEADER],
    identity: Option<Identity>,
) -> Result<(Agreed, Vec<u8>), Error> {
    if *peer == own.public() {
        return Err(Error::peer(
            Class::Identity,
            "our own public key came back; somebody reflects what we send",
        ));
    }
    let session = session_keys(role, own, peer)?;
    let public = own.public();
    let (client, server) = in_order(role, &public, peer);
    let keys = Keys {
        client: *client,
        server: *server,
    };
    let mut out = Vec::new();
    if let Some(identity) = &identity {
        frame(&mut out, &identity.own.sign(&keys.signed(role)));
    }
    frame(&mut out, &header);
    let proven = Proven {
        push: Push::new(&session.tx, &header),
        rx: session.rx,
        transcript: keys.transcript(),
        peer: None,
    };
    let next = match identity {
        None => Agreed::Proven(proven),
        Some(identity) => Agreed::Unproven(Unproven {
            signed: keys.signed(match role {
                Role::Dialer => Role::Listener,
                Role::Listener => Role::Dialer,
            }),
            peers: identity.peers,
            proven,
        }),
    };
    Ok((next, out))
}

/// We wait for the peer's signature.
pub struct Unproven {
    signed: Vec<u8>,
    peers: Vec<[u8; 32]>,
    proven: Proven,
}

impl Unproven {
    /// Takes the peer's signature over both public keys. One that no pinned identity made is
    /// [`Class::Auth`].
    pub fn signature(self, signature: &[u8; SIGNATURE]) -> Result<Proven, Error> {
        let signer = self
            .peers
            .iter()
            .find(|peer| ed25519::verify(peer, &self.signed, signature).is_ok());
        let signer = signer.copied().ok_or(Error::auth())?;
        Ok(Proven {
            peer: Some(signer),
            ..self.proven
        })
    }
}

/// We wait for the peer's header.
pub struct Proven {
    push: Push,
    rx: Secret,
    transcript: [u8; 32],
    peer: Option<[u8; 32]>,
}

impl Proven {
    /// Takes the peer's header: exactly 24 bytes, else [`Class::Length`].
    pub fn header(self, message: &[u8], dialect: Dialect) -> Result<Session, Error> {
        let pull = Pull::new(&self.rx, &wire::header(message)?, dialect);
        Ok(Session {
            push: self.push,
            pull,
            transcript: self.transcript,
            peer: self.peer,
        })
    }
}

/// Both directions, ready.
pub struct Session {
    /// Seals what we send.
    pub push: Push,
    /// Opens what the peer sends.
    pub pull: Pull,
    /// BLAKE2b-256 of `stillwire ziti v1 transcript` and both public keys, the client's first:
    /// equal at both ends, and different when somebody swapped the keys on their way (trap 6).
    pub transcript: [u8; 32],
    /// The pinned identity that the peer has proved, in the hardened profile.
    pub peer: Option<[u8; 32]>,
}
