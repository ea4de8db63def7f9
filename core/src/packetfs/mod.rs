//! The PacketFS overlay: sealed records under a pre-shared secret, and objects described by
//! references to a pre-shared blob. Wire page `packetfs`.
//!
//! Three rooms, as everywhere: [`wire`] (bytes, no state), [`handshake`] (prefaces and keys) and
//! the records that move: [`record`] and [`window`]. An object that is described instead of sent
//! is a [`blueprint`]; what both sides hold is a [`blob`].
//!
//! Confidentiality and integrity rest on the AEAD and the key schedule under conventional
//! assumptions. The blob is *not* a keystream here and adds no confidentiality. The pre-shared key
//! alone gives no forward secrecy; the X25519 flag does.

pub mod blob;
pub mod blueprint;
pub mod handshake;
pub mod record;
pub mod window;
pub mod wire;

pub use blob::{Blob, Missing, Seeded};
pub use blueprint::{Blueprint, Descriptor, Transform};
pub use handshake::{Psk, Schedule};
pub use wire::{Algorithm, ChannelId, Direction};
