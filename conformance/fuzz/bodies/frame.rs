//! A chunk's plaintext: what is decoded and encoded again is the same bytes, however it is split.

use stillwire_core::aznet::wire::frame::{decode, encode, split_first};

const LIMIT: usize = 1_000;

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let Ok((frames, rest)) = decode(data, LIMIT) else {
        return;
    };
    let mut again = Vec::new();
    for frame in frames {
        assert!(frame.payload.len() <= LIMIT);
        encode(frame, &mut again).unwrap();
    }
    again.extend_from_slice(rest);
    assert_eq!(again, data);
    assert!(split_first(rest, LIMIT).unwrap().is_none());
}
