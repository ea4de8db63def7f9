//! HKDF-SHA-256 (RFC 5869).

use super::Secret;
use crate::error::Error;
use ::hkdf::Hkdf;
use sha2::Sha256;

/// HKDF-Extract: the pseudorandom key.
pub fn extract(salt: &[u8], ikm: &[u8]) -> Secret {
    Secret::from(super::sha256::hmac(salt, ikm))
}

/// HKDF-Expand into `okm`, at most 8,160 bytes; `info` comes in parts that are joined.
pub fn expand(prk: &Secret, info: &[&[u8]], okm: &mut [u8]) -> Result<(), Error> {
    let misuse = |_| Error::Misuse("HKDF-SHA-256 gives at most 8,160 bytes");
    let hkdf = Hkdf::<Sha256>::from_prk(prk.as_bytes())
        .map_err(|_| Error::Misuse("the pseudorandom key is too short"))?;
    hkdf.expand_multi_info(info, okm).map_err(misuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::hex;

    #[test]
    fn rfc_5869_test_case_1() {
        let prk = extract(&hex("000102030405060708090a0b0c"), &[0x0b; 22]);
        let expected = hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        assert_eq!(prk.as_bytes().to_vec(), expected);
        let mut okm = [0; 42];
        let info = hex("f0f1f2f3f4f5f6f7f8f9");
        expand(&prk, &[&info[..3], &info[3..]], &mut okm).unwrap();
        let expected = hex(
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        );
        assert_eq!(okm.to_vec(), expected);
    }

    #[test]
    fn no_more_than_255_blocks() {
        let prk = Secret::from([1; 32]);
        assert!(expand(&prk, &[], &mut [0; 8_160]).is_ok());
        assert!(expand(&prk, &[], &mut [0; 8_161]).is_err());
    }
}
