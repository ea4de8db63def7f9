//! A header of ASoc in both dialects: what is decoded and encoded again is the same bytes.

use stillwire_core::asoc::{Dialect, Header};

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    for dialect in [Dialect::Octet, Dialect::Nibble] {
        let Ok((header, rest)) = Header::split(data, dialect) else {
            assert!(Header::decode(data, dialect).is_err());
            continue;
        };
        let again = header.encode(dialect).unwrap();
        assert_eq!([&again[..], rest].concat(), data);
        assert_eq!(Header::decode(data, dialect).is_ok(), rest.is_empty());
    }
}
