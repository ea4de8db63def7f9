//! commonware-stream: a mutually authenticated handshake and sealed records over any ordered byte
//! stream (wire page `commonware`).
//!
//! Four eras of the wire exist and nothing is negotiated; both ends are told one [`Profile`].
//! [`Connection`] is either end of one. The bytes are in [`wire`] and [`record`], the key exchange
//! in [`handshake`].

mod config;
mod connection;
pub mod handshake;
mod identity;
mod profile;
pub mod record;
mod replay;
mod transcript;
mod window;
pub mod wire;

pub use config::{Admission, Config, Door, MESSAGE_COST};
pub use connection::{Connection, ConnectionEvent};
pub use identity::{Ed25519, Identity, PublicKey, Signature};
pub use profile::Profile;
pub use replay::SynCache;
pub use window::Window;
