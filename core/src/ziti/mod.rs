//! OpenZiti's end-to-end encryption: libsodium's `crypto_kx` and `crypto_secretstream` (wire page
//! `ziti`).
//!
//! | Room | Holds |
//! |---|---|
//! | [`wire`] | multipart payloads, crypto methods, our frames over byte streams |
//! | [`kx`] | key pairs and the session keys of two of them |
//! | [`secretstream`] | sealing and opening the messages of one direction |

pub mod kx;
pub mod secretstream;
pub mod wire;

pub use crate::store::Role;
pub use kx::KeyPair;
pub use secretstream::{Dialect, Pull, Push};
