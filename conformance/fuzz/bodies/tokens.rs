//! The payload of message 2: what is read and written again reads the same.

use stillwire_core::aznet::wire::tokens::Grants;

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let Ok(grants) = Grants::parse(data) else {
        return;
    };
    // Whatever is taken here is JSON for others too.
    let value: serde_json::Value = serde_json::from_slice(data).unwrap();
    assert_eq!(value["req"], grants.req.as_str());
    assert_eq!(value["res"], grants.res.as_str());
    let again = Grants::parse(grants.to_json().as_bytes()).unwrap();
    assert_eq!((&again.req, &again.res), (&grants.req, &grants.res));
}
