use super::*;
use std::vec;

/// Values of the Protocol Buffers documentation and edges, written out by hand.
const VARINTS: &[(u64, &[u8])] = &[
    (0, &[0]),
    (1, &[1]),
    (127, &[0x7f]),
    (128, &[0x80, 1]),
    (150, &[0x96, 1]),
    (300, &[0xac, 2]),
    (16_383, &[0xff, 0x7f]),
    (16_384, &[0x80, 0x80, 1]),
    (0xffff_ffff, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
];

const LONG: &[(u64, &[u8])] = &[
    (1 << 32, &[0x80, 0x80, 0x80, 0x80, 0x10]),
    (
        u64::MAX,
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ),
];

fn class<T>(result: Result<T, Error>) -> Option<Class> {
    result.err().and_then(|error| error.class())
}

#[test]
fn varints_both_ways_with_every_cut_and_with_bytes_behind() {
    for (value, bytes) in VARINTS.iter().chain(LONG) {
        let mut out = Vec::new();
        put_varint(*value, &mut out);
        assert_eq!(out, *bytes);
        for cut in 0..bytes.len() {
            assert_eq!(varint(&bytes[..cut], 64), Ok(None), "{value} cut at {cut}");
        }
        out.extend([0xff, 0x00]);
        assert_eq!(varint(&out, 64), Ok(Some((*value, bytes.len()))));
        if u32::try_from(*value).is_ok() {
            assert_eq!(varint(&out, 32), Ok(Some((*value, bytes.len()))));
        } else {
            assert_eq!(class(varint(&out, 32)), Some(Class::Encoding));
        }
    }
}

#[test]
fn case_098_varints_that_are_not_canonical_are_refused() {
    let bad: &[&[u8]] = &[
        &[0x80, 0],
        &[0xa0, 0],
        &[0xff, 0x80, 0],
        &[0xff, 0xff, 0xff, 0xff, 0x1f],
        &[0xff, 0xff, 0xff, 0xff, 0x8f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0],
        &[0x80, 0x80, 0x80, 0x80, 0x80],
        &[0x80, 0x80, 0x80, 0x80, 0],
    ];
    for bytes in bad {
        assert_eq!(
            class(varint(bytes, 32)),
            Some(Class::Encoding),
            "{bytes:x?}"
        );
    }
    let bad: &[&[u8]] = &[
        &[0x80, 0],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
    ];
    for bytes in bad {
        assert_eq!(
            class(varint(bytes, 64)),
            Some(Class::Encoding),
            "{bytes:x?}"
        );
    }
}

#[test]
fn frames_both_ways_with_every_cut_and_with_bytes_behind() {
    for prefix in [Prefix::Varint, Prefix::Fixed] {
        for length in [0, 1, 127, 128, 300] {
            let body = vec![7; length];
            let mut frame = Vec::new();
            put_frame(prefix, &body, &mut frame).unwrap();
            let sizes = length..=length;
            for cut in 0..frame.len() {
                assert_eq!(split_frame(prefix, &frame[..cut], &sizes), Ok(None));
            }
            frame.extend([1, 2]);
            let split = split_frame(prefix, &frame, &sizes);
            assert_eq!(split, Ok(Some((&body[..], &[1, 2][..]))));
        }
    }
}

#[test]
fn a_wrong_size_is_refused_before_the_body_is_there() {
    for prefix in [Prefix::Varint, Prefix::Fixed] {
        for declared in [0, 31, 33, u32::MAX] {
            let mut bytes = Vec::new();
            prefix.put(declared, &mut bytes);
            let refused = split_frame(prefix, &bytes, &(32..=32));
            assert_eq!(class(refused), Some(Class::Length), "{declared}");
        }
    }
}
