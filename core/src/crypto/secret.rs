//! A 32-byte secret.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes: a key, a private scalar or a pre-shared key. Zeroized on drop; it has no
/// `Debug` and no comparison, so it is neither printed nor compared byte by byte.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The bytes. Whoever copies them answers for the copy.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Secret {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}
