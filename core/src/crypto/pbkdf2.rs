//! PBKDF2-HMAC-SHA-256 (RFC 8018).

use super::Secret;
use sha2::Sha256;
use zeroize::Zeroizing;

/// 32 bytes from a password and a salt.
pub fn derive(password: &[u8], salt: &[u8], rounds: u32) -> Secret {
    let mut out = Zeroizing::new([0; 32]);
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, out.as_mut_slice());
    Secret::from(*out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::hex32;

    #[test]
    fn rfc_7914_section_11() {
        // The first 32 of the 64 bytes that the RFC gives: PBKDF2's first block.
        assert_eq!(
            derive(b"passwd", b"salt", 1).as_bytes(),
            &hex32("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc")
        );
        assert_eq!(
            derive(b"Password", b"NaCl", 80_000).as_bytes(),
            &hex32("4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56")
        );
    }
}
