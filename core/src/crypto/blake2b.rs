//! BLAKE2b without a key (RFC 7693).

use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest};

/// BLAKE2b with 32 bytes of output over the parts, one after the other.
pub fn digest_256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2b::<U32>::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// BLAKE2b with 64 bytes of output over the parts, one after the other.
pub fn digest_512(parts: &[&[u8]]) -> [u8; 64] {
    let mut hash = Blake2b512::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::hex;

    #[test]
    fn rfc_7693_appendix_a() {
        let abc = hex(
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1\
             7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        );
        assert_eq!(digest_512(&[b"abc"]).to_vec(), abc);
        assert_eq!(digest_512(&[b"a", b"", b"bc"]).to_vec(), abc);
    }

    #[test]
    fn another_length_is_another_hash() {
        // Python's hashlib.blake2b(b"abc", digest_size=32).
        let abc = hex("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
        assert_eq!(digest_256(&[b"abc"]).to_vec(), abc);
        assert_ne!(digest_256(&[b"abc"]), digest_512(&[b"abc"])[..32]);
    }
}
