//! RFC 8032, and signatures from `conformance/peers/commonware/vectors/edwards25519.py`, which is
//! written from the RFC and from ZIP-215 and shares no code with this crate.

use super::*;
use crate::crypto::tests::{hex, hex32};
use std::vec::Vec;

fn hex64(text: &str) -> [u8; 64] {
    hex(text).try_into().unwrap()
}

fn class(result: Result<(), Error>) -> Option<Class> {
    result.err().and_then(|error| error.class())
}

/// The seed 00 01 … 1f, its public key, and its signature of [`MESSAGE`].
const PUBLIC: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
const MESSAGE: &[u8] = b"stillwire";
const R: &str = "510c5c2b839517934bcce30c4e3f3a66710186bda4b21f853d163215a60975ec";
const S: &str = "a0059849b4d4ab750a9371e09a0ac9eee2a94379b60903825e2bd89e18d2ba0e";

fn seed() -> Secret {
    let mut seed = [0; 32];
    for (index, byte) in seed.iter_mut().enumerate() {
        *byte = index as u8;
    }
    Secret::from(seed)
}

/// Every encoding of a point of order 1, 2, 4 or 8.
fn small_order() -> Vec<[u8; 32]> {
    let mut all = Vec::new();
    for y in SMALL_ORDER {
        let mut signed = y;
        signed[31] |= 0x80;
        all.extend([y, signed]);
    }
    all
}

#[test]
fn rfc_8032_section_7_1() {
    let cases: [(&str, &str, &[u8], &str); 2] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            b"",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555\
             fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            &[0x72],
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da0\
             85ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ];
    for (seed, public, message, signature) in cases {
        let key = SigningKey::new(&Secret::from(hex32(seed)));
        assert_eq!(key.public(), hex32(public));
        assert_eq!(key.sign(message), hex64(signature));
        assert_eq!(check(&hex32(public)), Ok(()));
        assert_eq!(verify(&hex32(public), message, &hex64(signature)), Ok(()));
        let other = verify(&hex32(public), b"another", &hex64(signature));
        assert_eq!(class(other), Some(Class::Auth));
    }
}

#[test]
fn small_order_keys_are_refused_because_they_verify_anything() {
    let mut signature = [0; 64];
    signature[0] = 1;
    for key in small_order() {
        for message in [&b"one"[..], b"two"] {
            assert_eq!(verify(&key, message, &signature), Ok(()), "{key:02x?}");
        }
        assert_eq!(class(check(&key)), Some(Class::Identity), "{key:02x?}");
    }
    let honest = hex32(PUBLIC);
    assert_eq!(
        class(verify(&honest, b"one", &signature)),
        Some(Class::Auth)
    );
}

#[test]
fn what_is_no_point_is_no_identity() {
    let mut none = [0; 32];
    none[0] = 2;
    assert_eq!(class(check(&none)), Some(Class::Identity));
}

#[test]
fn encodings_that_are_not_canonical_are_keys() {
    for last in [0x7f, 0xff] {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (0xf0, last);
        assert_eq!(check(&key), Ok(()));
    }
}

#[test]
fn zip_215_takes_keys_with_a_torsion_part() {
    let signed = [
        (
            "b502ff3d92e31d8190b4aa4ea0414005167fad089c4de9dac8a2fc850fed4f58",
            "da132eed94b1fe3e833aa4d3c21c297a0f683beaa84a604ef44408fc353bb200",
        ),
        (
            "8b2a59ac4324b312dd8d7e5480f0d2e11412b04eeb4e515268a730a951142b6c",
            "eec7fb9ec23e07656eba4ed3348dcd2e46ff49de971c1fbce3ddf46a871fc609",
        ),
        (
            "ea5ef8400c31ef41e28f22e718b43f66981b29cf645af2a0e223799bedaace47",
            "878fad26099b71efd077b648161da671242206adcef143a9312a6c6fca8e1407",
        ),
        (
            "3cab429de7751d7c22e78010173ce0a1d89120f7c4b300ee362a3007a938bbbf",
            "3e4a3a1ca8da2bfbfa365d273582f73f79cfb6219202112b3464d6e11ae3eb0b",
        ),
    ];
    for (key, s) in signed {
        let signature = hex64(&std::format!("{R}{s}"));
        assert_eq!(check(&hex32(key)), Ok(()));
        assert_eq!(verify(&hex32(key), MESSAGE, &signature), Ok(()), "{key}");
        let other = verify(&hex32(key), b"another", &signature);
        assert_eq!(class(other), Some(Class::Auth), "{key}");
    }
}

#[test]
fn zip_215_takes_an_r_with_a_torsion_part_or_not_canonical() {
    let signatures = [
        "6d181e666b38f45de4215706fc6c12a9952c6b301f3cef4e23b77901eec6930d\
         6f6e3acda337975f862a2b8e332035d28fb52bc956efb35da1aebca97837770d",
        "0100000000000000000000000000000000000000000000000000000000000080\
         c7473938c9aaa6cc42cfe1fc53e333201d1d6c2bdb6ac241b42f7d69599a3207",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f\
         f07a4f290226c08e544b97c789b018acff0b2eb1162cd57032ac328af26f710a",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
         962d615b7283399ba4fccc151f10bbeaece106562c0cdafc439d6846b8746b0c",
    ];
    for signature in signatures {
        let signature = hex64(signature);
        assert_eq!(verify(&hex32(PUBLIC), MESSAGE, &signature), Ok(()));
        let other = verify(&hex32(PUBLIC), b"another", &signature);
        assert_eq!(class(other), Some(Class::Auth));
    }
}

#[test]
fn an_s_above_the_group_order_is_refused() {
    let key = SigningKey::new(&seed());
    assert_eq!(key.public(), hex32(PUBLIC));
    assert_eq!(key.sign(MESSAGE), hex64(&std::format!("{R}{S}")));
    let plus_order = "8dd98da6ce37becde02f69837904a803e3a94379b60903825e2bd89e18d2ba1e";
    let signature = hex64(&std::format!("{R}{plus_order}"));
    let refused = verify(&hex32(PUBLIC), MESSAGE, &signature);
    assert_eq!(class(refused), Some(Class::Auth));
}
