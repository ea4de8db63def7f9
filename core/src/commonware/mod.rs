//! commonware-stream: a mutually authenticated handshake and sealed records over any ordered byte
//! stream (wire page `commonware`).
//!
//! Four eras of the wire exist and nothing is negotiated; both ends are told one [`Profile`].
//! The bytes are in [`wire`] and [`record`], the key exchange in [`handshake`].

pub mod handshake;
mod identity;
mod profile;
pub mod record;
mod transcript;
mod window;
pub mod wire;

pub use identity::{Ed25519, Identity, PublicKey, Signature};
pub use profile::Profile;
pub use window::Window;
