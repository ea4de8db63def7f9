//! SHA-256 and HMAC-SHA-256.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const BLOCK: usize = 64;

/// SHA-256 of `data`.
pub fn digest(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// HMAC-SHA-256 of `data` under a key of any length (RFC 2104: longer than 64 bytes is hashed).
pub fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    keyed(key, data).finalize().into_bytes().into()
}

/// True when `tag`, of 1 to 32 bytes, is the beginning of the HMAC of `data`; in constant time.
pub fn verify(key: &[u8], data: &[u8], tag: &[u8]) -> bool {
    keyed(key, data).verify_truncated_left(tag).is_ok()
}

fn keyed(key: &[u8], data: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; BLOCK]);
    if let Some(start) = block.get_mut(..key.len()) {
        start.copy_from_slice(key);
    } else {
        let hashed = Zeroizing::new(digest(key));
        for (to, from) in block.iter_mut().zip(hashed.iter()) {
            *to = *from;
        }
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(data);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::hex;

    #[test]
    fn fips_180_abc() {
        assert_eq!(
            digest(b"abc").to_vec(),
            hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
    }

    #[test]
    fn rfc_4231_cases() {
        assert_eq!(
            hmac(&[0x0b; 20], b"Hi There").to_vec(),
            hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        );
        assert_eq!(
            hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )
            .to_vec(),
            hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
        );
    }

    #[test]
    fn a_truncated_tag_verifies_from_the_left_only() {
        // RFC 4231, case 5: truncation to 128 bits.
        let (key, data) = ([0x0c; 20], b"Test With Truncation");
        let tag = hex("a3b6167473100ee06e0c796c2955552b");
        assert!(verify(&key, data, &tag));
        assert!(verify(&key, data, &tag[..8]));
        assert!(!verify(&key, data, &tag[8..]));
        assert!(!verify(&key, data, &[]));
        assert!(!verify(&[0x0d; 20], data, &tag));
    }
}
