//! Connection URLs: what is parsed and written again parses the same.

use stillwire_core::aznet::wire::url::ConnectionUrl;

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let Ok(data) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(url) = ConnectionUrl::parse(data) else {
        return;
    };
    let _ = url.driver();
    let again = ConnectionUrl::parse_named(&url.format(), &url.handshake_name, &url.token_name);
    assert!(again.unwrap() == url);
}
