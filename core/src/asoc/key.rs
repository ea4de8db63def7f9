//! API keys, and the cluster's key from a master key (wire page `asoc`, first lines and "Timeouts,
//! reconnection, limits").

use crate::crypto::{pbkdf2, sha256};
use crate::error::{Class, Error};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

/// Rounds of PBKDF2 for a cluster key.
const ROUNDS: u32 = 100_000;

/// A key that all nodes of a cluster share: the bytes of the configured text, whatever they look
/// like. 64 hex digits are 64 bytes. Zeroized on drop; no `Debug` and no comparison.
#[derive(Clone)]
pub struct ApiKey(Zeroizing<Vec<u8>>);

impl ApiKey {
    /// Fewest bytes that [`ApiKey::new`] takes.
    pub const SHORTEST: usize = 16;
    /// Fewest bytes that are recommended.
    pub const RECOMMENDED: usize = 32;

    /// A key of at least [`ApiKey::SHORTEST`] bytes; a shorter one is [`Class::WeakKey`].
    pub fn new(text: &[u8]) -> Result<Self, Error> {
        if text.len() < Self::SHORTEST {
            return Err(Error::limit(
                Class::WeakKey,
                "the API key is shorter than 16 bytes; take a longer one (32 bytes are recommended)",
            ));
        }
        Ok(Self::of_any_length(text))
    }

    /// A key however short, for whoever was told that this is wanted.
    pub fn of_any_length(text: &[u8]) -> Self {
        Self(Zeroizing::new(text.to_vec()))
    }

    /// True when the key is shorter than is recommended.
    pub fn is_short(&self) -> bool {
        self.0.len() < Self::RECOMMENDED
    }

    /// What names the key without telling it: the first 8 bytes of its SHA-256.
    pub fn id(&self) -> KeyId {
        KeyId(first(&sha256::digest(&self.0)))
    }

    /// The first `N` (at most 32) bytes of the HMAC of `data`.
    pub(crate) fn mac<const N: usize>(&self, data: &[u8]) -> [u8; N] {
        first(&sha256::hmac(&self.0, data))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether `tag` begins the HMAC of `data`; in constant time.
    pub(crate) fn verify(&self, data: &[u8], tag: &[u8]) -> bool {
        sha256::verify(&self.0, data, tag)
    }
}

/// The first `N` bytes of a hash; `N` is at most 32.
pub(crate) fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32) };
    hash.first_chunk().copied().unwrap_or([0; N])
}

/// The public name of an API key: SHA-256, first 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of a cluster as it stands in discovery messages: SHA-256 of the text, first 8 bytes.
pub fn community_hash(community: &str) -> [u8; 8] {
    first(&sha256::digest(community.as_bytes()))
}

/// A cluster's key from a master key and the cluster's name: PBKDF2-HMAC-SHA-256, the name as salt,
/// 100,000 rounds, 32 bytes.
pub fn cluster_key(master: &str, name: &str) -> crate::crypto::Secret {
    pbkdf2::derive(master.as_bytes(), name.as_bytes(), ROUNDS)
}

/// [`cluster_key`] as the text that goes into a configuration: 64 lowercase hex digits.
pub fn cluster_key_text(master: &str, name: &str) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let key = cluster_key(master, name);
    // As large as it gets: growing would leave pieces of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(64));
    for byte in key.as_bytes() {
        for digit in [byte >> 4, byte & 15] {
            text.push(
                DIGITS
                    .get(usize::from(digit))
                    .copied()
                    .map_or('0', char::from),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::{hex, hex32};

    #[test]
    fn trap_09_the_true_values_of_the_rfc_samples() {
        assert_eq!(
            community_hash("test-cluster").to_vec(),
            hex("f069097ced1b3fc7")
        );
        let key = ApiKey::of_any_length(b"test-key");
        assert_eq!(key.mac::<4>(b"test-message").to_vec(), hex("f8c2bb87"));
    }

    #[test]
    fn a_key_under_16_bytes_is_refused_unless_told_otherwise() {
        let fault = ApiKey::new(&[b'k'; 15]).err().unwrap();
        assert_eq!(fault.class(), Some(Class::WeakKey));
        assert!(ApiKey::new(&[b'k'; 16]).unwrap().is_short());
        assert!(!ApiKey::new(&[b'k'; 32]).unwrap().is_short());
        assert!(ApiKey::of_any_length(b"k").is_short());
    }

    #[test]
    fn a_key_is_its_text_and_not_the_bytes_that_the_text_may_spell() {
        let text = ApiKey::new(b"00112233445566778899aabbccddeeff").unwrap();
        let bytes = ApiKey::new(&hex("00112233445566778899aabbccddeeff")).unwrap();
        assert_ne!(text.mac::<32>(b"x"), bytes.mac::<32>(b"x"));
        assert_ne!(text.id(), bytes.id());
    }

    #[test]
    fn cluster_keys_as_hashlib_has_them() {
        // Python: hashlib.pbkdf2_hmac("sha256", b"master-671efebfe18393e84061cba2", b"prod", 100000)
        let digits = "2713184a6d4da065de2adc9aa6407e08112a63d0413b316626d04a5162db2944";
        let master = "master-671efebfe18393e84061cba2";
        assert_eq!(cluster_key(master, "prod").as_bytes(), &hex32(digits));
        assert_eq!(cluster_key_text(master, "prod").as_str(), digits);
        assert_ne!(cluster_key(master, "prob").as_bytes(), &hex32(digits));
    }
}
