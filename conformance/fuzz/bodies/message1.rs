//! Message 1 at a listener of each profile (the first byte chooses): a canonical id or an error.

use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::handshake::{LARGEST_MESSAGE, ListenerSecurity, Responder};
use stillwire_core::crypto::Secret;

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let Some((profile, message)) = data.split_first() else {
        return;
    };
    let secret = Secret::from([7; 32]);
    let security = match profile % 3 {
        0 => ListenerSecurity::Nn,
        1 => ListenerSecurity::NnPsk0 { psk: secret },
        _ => ListenerSecurity::Nk { secret },
    };
    if let Ok(responder) = Responder::accept(Secret::from([9; 32]), message, &security) {
        assert!(message.len() <= LARGEST_MESSAGE);
        assert!(ConnectionId::parse(responder.id().to_string().as_bytes()).is_ok());
        let (message2, _) = responder.finish(b"{}").unwrap();
        assert_eq!(message2.len(), 50);
    }
}
