use super::*;
use crate::crypto::tests::hex;
use crate::packetfs::blob::Missing;
use std::vec;

// packetfs-rebuild-0020.
const SHARED: &str = "000000000000001f000000040100000000000000000000001000000000000005a9a1ceeec5\
                      01000000000000000900000007015a010000000000000064000000030201339fc55984979203\
                      eba241327a000b9e1672d4efbd3a67d4b004a6bfa5a25857";

fn shared() -> [Descriptor; 4] {
    let reference = |offset, length, transform| Descriptor::Reference {
        offset,
        length,
        transform,
    };
    [
        reference(0, 16, Transform::None),
        Descriptor::Literal(hex("a9a1ceeec5").into()),
        reference(9, 7, Transform::Xor(0x5a)),
        reference(100, 3, Transform::Add(1)),
    ]
}

fn class(bytes: &[u8]) -> Option<Class> {
    let decoded = Blueprint::decode(Bytes::copy_from_slice(bytes));
    decoded.err().and_then(|error| error.class())
}

#[test]
fn bytes_of_the_shared_vectors() {
    let bytes = hex(SHARED);
    let blueprint = Blueprint::decode(bytes.clone().into()).unwrap();
    assert_eq!(blueprint.size(), 31);
    assert_eq!(blueprint.descriptors().collect::<Vec<_>>(), shared());
    let digest: [u8; 32] = bytes[bytes.len() - 32..].try_into().unwrap();
    assert_eq!(blueprint.digests().collect::<Vec<_>>(), [digest]);
    assert_eq!(blueprint.digest(0), Some(digest));
    assert_eq!(blueprint.digest(1), None);

    let mut builder = Builder::new(bytes.len());
    for descriptor in shared() {
        builder.push(&descriptor).unwrap();
    }
    assert_eq!(builder.referenced(), 26);
    assert_eq!(builder.finish(&[digest]).unwrap().bytes(), &bytes);
}

#[test]
fn every_truncation_and_every_extra_byte_is_refused() {
    let bytes = hex(SHARED);
    for cut in 0..bytes.len() {
        assert_eq!(class(&bytes[..cut]), Some(Class::Truncated), "{cut}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(class(&longer), Some(Class::Length));
}

#[test]
fn lengths_must_add_up_to_the_size() {
    for size in [30, 32, 0, u8::MAX] {
        let mut bytes = hex(SHARED);
        bytes[7] = size;
        assert_eq!(class(&bytes), Some(Class::Length), "{size}");
    }
    let mut bytes = hex(SHARED);
    bytes[..8].copy_from_slice(&[0xff; 8]);
    assert_eq!(class(&bytes), Some(Class::Length));
}

#[test]
fn kinds_and_transforms_that_do_not_exist() {
    for (at, value, expected) in [
        (12, 2, Class::Type),
        (12, 0xff, Class::Type),
        (25, 3, Class::Type),
        (26, 1, Class::Encoding),
    ] {
        let mut bytes = hex(SHARED);
        bytes[at] = value;
        assert_eq!(class(&bytes), Some(expected), "{at}");
    }
}

#[test]
fn a_count_beyond_the_bytes_allocates_nothing() {
    let mut bytes = vec![0; 12];
    bytes[8..].copy_from_slice(&[0xff; 4]);
    assert_eq!(class(&bytes), Some(Class::Truncated));
    // A literal that announces 4 GiB.
    bytes[8..].copy_from_slice(&[0, 0, 0, 1]);
    bytes.extend_from_slice(&[0, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(class(&bytes), Some(Class::Truncated));
}

#[test]
fn one_digest_per_window() {
    for (size, windows) in [
        (0, 0),
        (1, 1),
        (WINDOW - 1, 1),
        (WINDOW, 1),
        (WINDOW + 1, 2),
        (3 * WINDOW, 3),
    ] {
        let object = vec![7; size];
        let digests = digests(&object);
        assert_eq!(digests.len(), windows);
        let build = || {
            let mut builder = Builder::new(1 << 20);
            builder.literal(&object).unwrap();
            builder
        };
        let blueprint = build().finish(&digests).unwrap();
        assert_eq!(blueprint.windows(), windows as u64);
        let lengths = (0..4).map(|index| blueprint.window_length(index));
        assert_eq!(lengths.sum::<usize>(), size);
        let mut more = digests.clone();
        more.push([0; 32]);
        assert!(build().finish(&more).is_err());
        let bytes = blueprint.bytes();
        if windows > 0 {
            assert!(build().finish(&digests[1..]).is_err());
            let less = &bytes[..bytes.len() - DIGEST];
            assert_eq!(class(less), Some(Class::Truncated));
        }
        let more = [bytes, &[0; DIGEST][..]].concat();
        assert_eq!(class(&more), Some(Class::Length));
    }
}

#[test]
fn a_blueprint_stays_within_its_limit() {
    let mut builder = Builder::new(HEAD + 15 + 5 + 3);
    builder.reference(0, 5, Transform::None).unwrap();
    let fault = builder.literal(b"four").err().and_then(|e| e.class());
    assert_eq!(fault, Some(Class::Limit));
    builder.literal(b"two").unwrap();
    assert_eq!(builder.size(), 8);
    let fault = builder.finish(&[[0; 32]]).err().and_then(|e| e.class());
    assert_eq!(fault, Some(Class::Limit));
}

#[test]
fn references_must_lie_inside_the_blob() {
    let blueprint = Blueprint::decode(hex(SHARED).into()).unwrap();
    assert!(blueprint.check(103).is_ok());
    let class = blueprint.check(102).err().and_then(|e| e.class());
    assert_eq!(class, Some(Class::Length));
    let class = rebuild(&vec![0; 102], &shared(), 31).err();
    assert_eq!(class.and_then(|e| e.class()), Some(Class::Length));
}

#[test]
fn transforms_wrap() {
    let mut bytes = [0, 1, 0x7f, 0x80, 0xff];
    Transform::Xor(0xff).apply(&mut bytes);
    assert_eq!(bytes, [0xff, 0xfe, 0x80, 0x7f, 0]);
    Transform::Add(2).apply(&mut bytes);
    assert_eq!(bytes, [1, 0, 0x82, 0x81, 2]);
    Transform::None.apply(&mut bytes);
    assert_eq!(bytes, [1, 0, 0x82, 0x81, 2]);
}

#[test]
fn a_blob_that_cannot_be_read_is_no_object() {
    struct Hole;
    impl Blob for Hole {
        fn size(&self) -> u64 {
            1_000
        }
        fn read(&self, _: u64, _: &mut [u8]) -> Result<(), Missing> {
            Err(Missing)
        }
    }
    let class = rebuild(&Hole, &shared(), 31).err().and_then(|e| e.class());
    assert_eq!(class, Some(Class::Eof));
}
