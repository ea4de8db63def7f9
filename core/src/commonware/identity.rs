//! Who signs the handshake.

use crate::crypto::{Secret, ed25519};
use crate::error::Error;

/// A public key as it goes over the wire.
pub type PublicKey = [u8; 32];
/// A signature as it goes over the wire.
pub type Signature = [u8; 64];

/// A long-term key pair, or what stands for one (an agent, a hardware module).
pub trait Identity: Send + Sync {
    /// Our own public key.
    fn public(&self) -> PublicKey;

    /// Signs a message: 33 bytes in V0 and V1, 32 in era b, namespace and message in era a.
    /// An error ends the handshake.
    fn sign(&self, message: &[u8]) -> Result<Signature, Error>;

    /// Whether a peer's key can be an identity at all; else [`crate::Class::Identity`]. Keys that
    /// verify what nobody signed must be refused here.
    fn check(&self, public: &PublicKey) -> Result<(), Error>;

    /// Verifies a peer's signature; else [`crate::Class::Auth`].
    fn verify(
        &self,
        public: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), Error>;
}

/// Ed25519 with the ZIP-215 rules of the peer, save that small-order identities are refused
/// (wire page, trap 1).
pub struct Ed25519 {
    key: ed25519::SigningKey,
    public: PublicKey,
}

impl Ed25519 {
    /// From the 32-byte seed of RFC 8032.
    pub fn new(seed: &Secret) -> Self {
        let key = ed25519::SigningKey::new(seed);
        let public = key.public();
        Self { key, public }
    }
}

impl Identity for Ed25519 {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        Ok(self.key.sign(message))
    }

    fn check(&self, public: &PublicKey) -> Result<(), Error> {
        ed25519::check(public)
    }

    fn verify(
        &self,
        public: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), Error> {
        ed25519::verify(public, message, signature)
    }
}
