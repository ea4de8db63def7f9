//! Primitives, one per file. Secrets are zeroized on drop and have no `Debug`.
//!
//! Everything is pure Rust by default. Feature `aws-lc` takes the AEADs from aws-lc instead;
//! it changes the speed and nothing else.

pub mod aes_gcm;
pub mod blake2b;
pub mod blake3;
pub mod chacha20;
pub mod chacha20_poly1305;
pub mod ed25519;
pub mod hkdf;
pub mod noise;
pub mod pbkdf2;
pub mod poly1305;
pub mod rng;
pub mod secret;
pub mod sha256;
pub mod x25519;
pub mod xchacha20_poly1305;

pub use aes_gcm::Aes256Gcm;
pub use chacha20_poly1305::ChaCha20Poly1305;
pub use rng::Rng;
pub use secret::Secret;
pub use xchacha20_poly1305::XChaCha20Poly1305;

#[cfg(test)]
pub(crate) mod tests;
