//! HELLO and ACCEPT frames, discovery messages and notices of ASoc: what verifies is what the key's
//! holder would have written, save stream and sequence.

use stillwire_core::UnixTime;
use stillwire_core::asoc::handshake::{frame, verify_accept, verify_hello};
use stillwire_core::asoc::rotation::Notice;
use stillwire_core::asoc::{Announcement, ApiKey, Dialect, Receiver, community_hash};

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let key = ApiKey::of_any_length(b"fuzz");
    if let Ok(hello) = verify_hello(data, &key) {
        let again = frame(4, &hello.encode(&key), Dialect::Octet).unwrap();
        assert_eq!(again[14..], data[14..]);
    }
    if let Ok(accept) = verify_accept(data, &key) {
        let again = frame(5, &accept.encode(&key), Dialect::Octet).unwrap();
        assert_eq!(again[14..], data[14..]);
    }
    let receiver = Receiver {
        keys: std::slice::from_ref(&key),
        community: community_hash("fuzz"),
        own: None,
        now: UnixTime::from_secs(1_700_000_000),
    };
    if let Ok(message) = Announcement::verify(data, &receiver, None) {
        assert_eq!(message.encode(&key, "fuzz")[..], *data);
    }
    if let Some(notice) = Notice::decode(data) {
        let again = Notice::decode(&notice.encode());
        // Times past the range of milliseconds stop at its end.
        assert!(again.is_some());
    }
}
