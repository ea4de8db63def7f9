//! OpenZiti's end-to-end encryption: libsodium's `crypto_kx` and `crypto_secretstream` (wire page
//! `ziti`).
//!
//! | Room | Holds |
//! |---|---|
//! | [`wire`] | multipart payloads, crypto methods, our frames over byte streams |
//! | [`kx`] | key pairs and the session keys of two of them |
//! | [`secretstream`] | sealing and opening the messages of one direction |
//! | [`handshake`] | the exchange of keys over a byte stream, plain or signed |
//! | [`Connection`] | both directions over a byte stream, as a machine |
//!
//! Over a layer that has messages of its own (a ziti edge connection) use [`kx`], [`wire`] and
//! [`secretstream`] directly: each message of that layer is one of ours, the header first.

mod config;
mod connection;
pub mod handshake;
mod inbound;
pub mod kx;
mod outbound;
pub mod secretstream;
pub mod wire;

pub use crate::store::Role;
pub use config::{Config, Rekeying};
pub use connection::{Connection, Event, Exchange};
pub use handshake::Identity;
pub use kx::KeyPair;
pub use secretstream::{Dialect, Pull, Push};
