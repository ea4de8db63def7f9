//! The PacketFS overlay: sealed records under a pre-shared secret, and objects described by
//! references to a pre-shared blob. Wire page `packetfs`.
//!
//! Three rooms, as everywhere: [`wire`] (bytes, no state), [`handshake`] (prefaces and keys) and
//! the records that move: [`record`] and [`window`]. A session is a [`Connection`] on an ordered
//! stream, or [`Datagrams`]. An object that is described instead of sent
//! is a [`blueprint`], made by an [`encoder`] and sent by an [`object`] session; what both sides
//! hold is a [`blob`].
//!
//! Confidentiality and integrity rest on the AEAD and the key schedule under conventional
//! assumptions. The blob is *not* a keystream here and adds no confidentiality. The pre-shared key
//! alone gives no forward secrecy; the X25519 flag does.

pub mod blob;
pub mod blueprint;
mod config;
mod connection;
pub mod datagrams;
pub mod encoder;
mod epochs;
pub mod handshake;
mod inbound;
mod link;
pub mod object;
mod outbound;
pub mod rebuild;
pub mod record;
pub mod window;
pub mod wire;

pub use blob::{Blob, Missing, Seeded};
pub use blueprint::{Blueprint, Descriptor, Transform};
pub use config::Config;
pub use connection::{Connection, Event};
pub use datagrams::Datagrams;
pub use handshake::{Psk, Schedule};
pub use record::{Opener, Sealer};
pub use wire::{Algorithm, ChannelId, Direction};
