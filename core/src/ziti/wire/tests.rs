use super::*;
use crate::crypto::tests::hex;
use std::vec;

fn class<T>(result: Result<T, Error>) -> Class {
    result.err().and_then(|error| error.class()).unwrap()
}

/// Made by the real peer's splitter (vector ziti-multipart-0005).
const FOUR: &str = "00000200de6d00000100e2";

#[test]
fn parts_there_and_back() {
    let parts: [&[u8]; 4] = [b"", &[0xde, 0x6d], b"", &[0xe2]];
    let bytes = hex(FOUR);
    assert_eq!(encode_parts(&parts).unwrap(), bytes);
    assert!(decode_parts(&bytes).unwrap().eq(parts));
    assert_eq!(encode_parts::<&[u8]>(&[]).unwrap(), b"");
    assert_eq!(decode_parts(b"").unwrap().count(), 0);
}

#[test]
fn case_95_a_list_of_parts_that_breaks_off_is_truncated() {
    let bytes = hex(FOUR);
    // Ends of whole parts: what was cut there is a shorter list.
    let whole = [0, 2, 6, 8, 11];
    for end in 0..=bytes.len() {
        let cut = decode_parts(&bytes[..end]);
        assert_eq!(cut.is_ok(), whole.contains(&end), "{end}");
        if !whole.contains(&end) {
            assert_eq!(class(cut), Class::Truncated);
        }
    }
    assert_eq!(class(decode_parts(&[0xff, 0xff])), Class::Truncated);
}

#[test]
fn case_95_a_part_of_more_than_65_535_bytes_is_over_the_limit() {
    let longest = vec![7; 65_535];
    let bytes = encode_parts(&[&longest]).unwrap();
    assert_eq!(bytes[..2], [0xff, 0xff]);
    assert!(decode_parts(&bytes).unwrap().eq([longest.as_slice()]));
    assert_eq!(class(encode_parts(&[vec![7; 65_536]])), Class::Limit);
}

#[test]
fn trap_04_absent_zero_and_libsodium_are_one_method_and_others_are_refused() {
    for same in [None, Some(&[0_u8][..]), Some(b"libsodium")] {
        assert_eq!(Method::parse(same), Ok(Method::Libsodium));
    }
    // Case 94 among them.
    let others: [&[u8]; 6] = [&[1], b"aes-gcm", b"", b"Libsodium", &[0, 0], b"libsodium\0"];
    for other in others {
        assert_eq!(class(Method::parse(Some(other))), Class::Type, "{other:?}");
    }
}

#[test]
fn trap_04_no_peer_key_where_one_is_required_fails_closed() {
    assert_eq!(class(peer_key(None)), Class::Downgrade);
    assert_eq!(peer_key(Some(&[5; 32])), Ok([5; 32]));
    // Case 76.
    for length in [0, 1, 31, 33, 64] {
        assert_eq!(class(peer_key(Some(&vec![5; length]))), Class::Length);
    }
}

#[test]
fn trap_04_a_header_has_exactly_24_bytes() {
    assert_eq!(header(&[3; 24]), Ok([3; 24]));
    // Cases 79 and 81.
    for length in [0, 23, 25, 24 + 17] {
        assert_eq!(class(header(&vec![3; length])), Class::Length, "{length}");
    }
}

#[test]
fn a_declared_length_is_checked_before_anything_is_there() {
    let declared = |length: u32| declared(length.to_be_bytes(), 100);
    assert_eq!(class(declared(0)), Class::Truncated);
    assert_eq!(class(declared(16)), Class::Truncated);
    assert_eq!(declared(17), Ok(17));
    assert_eq!(declared(117), Ok(117));
    assert_eq!(class(declared(118)), Class::Limit);
    assert_eq!(class(declared(u32::MAX)), Class::Limit);
}
