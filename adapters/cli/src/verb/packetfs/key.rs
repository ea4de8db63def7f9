//! The pre-shared key: from a file, a command or the environment, never from an argument.

use crate::args::packetfs::PacketfsEnd;
use crate::exit::{Code, Fault};
use crate::key::digits;
use stillwire_core::packetfs::Psk;
use zeroize::Zeroizing;

const VARIABLE: &str = "STILLWIRE_PACKETFS_PSK";

/// The bytes of the key that was asked for.
pub(super) fn bytes(end: &PacketfsEnd) -> Result<Zeroizing<Vec<u8>>, Fault> {
    digits(&end.key.read(&[VARIABLE], None)?)
}

/// The key of a session.
pub(super) fn psk(bytes: &[u8]) -> Result<Psk, Fault> {
    Psk::new(bytes.to_vec()).map_err(|_| {
        Fault::new(Code::Usage, "the pre-shared key is shorter than 32 bytes")
            .with_hint("make one with: openssl rand -hex 32")
    })
}
