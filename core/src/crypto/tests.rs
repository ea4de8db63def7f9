//! What tests of cryptography share.

use std::vec::Vec;

/// Every encoding of a point of low order on Curve25519 or its twist, canonical or not (p and p + 1),
/// without the top bit, which X25519 masks.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// [`LOW_ORDER`], each with the top bit clear and set.
pub(crate) fn low_order() -> Vec<[u8; 32]> {
    let mut all = Vec::new();
    for encoding in LOW_ORDER {
        let mut key = hex32(encoding);
        all.push(key);
        key[31] |= 0x80;
        all.push(key);
    }
    all
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of digits");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}
