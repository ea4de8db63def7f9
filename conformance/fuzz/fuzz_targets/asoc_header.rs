//! A header of ASoc in both dialects: what is decoded and encoded again is the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_core::asoc::{Dialect, Header};

fuzz_target!(|data: &[u8]| {
    for dialect in [Dialect::Octet, Dialect::Nibble] {
        let Ok((header, rest)) = Header::split(data, dialect) else {
            assert!(Header::decode(data, dialect).is_err());
            continue;
        };
        let again = header.encode(dialect).unwrap();
        assert_eq!([&again[..], rest].concat(), data);
        assert_eq!(Header::decode(data, dialect).is_ok(), rest.is_empty());
    }
});
