//! Message 2 at a dialer whose secret the seeds know: an error, or tokens that are texts.

use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::handshake::{DialerSecurity, Initiator};
use stillwire_core::crypto::Secret;

/// The dialer of the vectors in `aznet/tokens.json`.
const ID: &[u8] = b"912615b8-ba3b-4fda-804c-0ae036793c8e";
const EPHEMERAL: [u8; 32] = [
    0x7c, 0x3a, 0xc4, 0x0c, 0x37, 0x56, 0xb2, 0xd4, 0x3a, 0x12, 0x81, 0xca, 0x41, 0x19, 0xd2, 0xfe,
    0x44, 0x46, 0x3e, 0xf1, 0x38, 0x12, 0x32, 0x84, 0xb3, 0xcf, 0x1e, 0x9b, 0x4b, 0xa6, 0xb4, 0x4e,
];

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let id = ConnectionId::parse(ID).unwrap();
    let (dial, message1) =
        Initiator::start(&id, Secret::from(EPHEMERAL), &DialerSecurity::Nn).unwrap();
    assert_eq!(message1.len(), 68);
    if let Ok((grants, _)) = dial.finish(data) {
        assert!(data.len() > 48);
        assert!(grants.req.len() + grants.res.len() < data.len());
    }
}
