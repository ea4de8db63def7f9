use super::*;
use crate::crypto::tests::{hex, hex32};

// packetfs-preface-0001 and -0007 of the shared vectors.
const AES: &str =
    "5046534f01010000f011b87b658fda781300983df048257e48115b591b1903cb7155faef4089fa49";
const XCHACHA: &str = "5046534f010201002e91fc21c21331edfc8a1898ee1c76f0c919481592020bdf5f0456762d9a2131\
     6cc2a6573bee7011cf069ef1e272d76879537656d7eff5405f1dd449249812dc";

fn class(bytes: &[u8]) -> Option<Class> {
    Preface::decode(bytes).err().and_then(|error| error.class())
}

#[test]
fn bytes_of_both_shapes() {
    let short = Preface {
        algorithm: Algorithm::Aes256Gcm,
        salt: hex32("f011b87b658fda781300983df048257e48115b591b1903cb7155faef4089fa49"),
        ephemeral: None,
    };
    let long = Preface {
        algorithm: Algorithm::XChaCha20Poly1305,
        salt: hex32("2e91fc21c21331edfc8a1898ee1c76f0c919481592020bdf5f0456762d9a2131"),
        ephemeral: Some(hex32(
            "6cc2a6573bee7011cf069ef1e272d76879537656d7eff5405f1dd449249812dc",
        )),
    };
    assert_eq!(short.encode(), hex(AES));
    assert_eq!(long.encode(), hex(XCHACHA));
    assert_eq!(Preface::decode(&hex(AES)).unwrap(), short);
    assert_eq!(Preface::decode(&hex(XCHACHA)).unwrap(), long);
}

#[test]
fn every_truncation_and_every_extra_byte_is_refused() {
    for bytes in [hex(AES), hex(XCHACHA)] {
        for cut in 0..bytes.len() {
            assert_eq!(class(&bytes[..cut]), Some(Class::Truncated), "{cut}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(class(&longer), Some(Class::Length));
    }
}

#[test]
fn every_bit_of_the_fixed_part_counts() {
    for bytes in [hex(AES), hex(XCHACHA)] {
        for bit in 0..FIXED * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let found = class(&flipped);
            let expected = match bit / 8 {
                // 1 and 2 are two bits apart: no flip makes one of the other.
                0..=3 | 5 => Some(Class::Type),
                4 => Some(Class::Version),
                6 if bit % 8 == 0 && bytes.len() == SHORT => Some(Class::Truncated),
                6 if bit % 8 == 0 => Some(Class::Length),
                _ => Some(Class::Encoding),
            };
            assert_eq!(found, expected, "bit {bit}");
            if !matches!(found, Some(Class::Truncated | Class::Length)) {
                // What is wrong is seen as soon as the byte is there.
                assert!(announced(&flipped[..=bit / 8]).is_err(), "bit {bit}");
                assert_eq!(announced(&flipped[..bit / 8]), Ok(None), "bit {bit}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_of_salt_or_key_is_another_preface() {
    for bytes in [hex(AES), hex(XCHACHA)] {
        let whole = Preface::decode(&bytes).unwrap();
        for bit in FIXED * 8..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Preface::decode(&flipped).unwrap(), whole, "bit {bit}");
        }
    }
}

#[test]
fn the_length_is_known_from_eight_bytes() {
    for (bytes, length) in [(hex(AES), SHORT), (hex(XCHACHA), LONG)] {
        assert_eq!(announced(&bytes[..7]), Ok(None));
        assert_eq!(announced(&bytes[..8]), Ok(Some(length)));
        assert_eq!(announced(&bytes), Ok(Some(length)));
    }
}
