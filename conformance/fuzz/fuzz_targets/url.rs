//! Connection URLs: what is parsed and written again parses the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_core::aznet::wire::url::ConnectionUrl;

fuzz_target!(|data: &str| {
    let Ok(url) = ConnectionUrl::parse(data) else {
        return;
    };
    let _ = url.driver();
    let again = ConnectionUrl::parse_named(&url.format(), &url.handshake_name, &url.token_name);
    assert!(again.unwrap() == url);
});
