//! The pre-shared key: from a file, a command or the environment, never from an argument.

use crate::args::packetfs::PacketfsEnd;
use crate::exit::{Code, Fault};
use crate::key::digits;
use stillwire_core::packetfs::Psk;

const VARIABLE: &str = "STILLWIRE_PACKETFS_PSK";

/// The key that was asked for.
pub(super) fn psk(end: &PacketfsEnd) -> Result<Psk, Fault> {
    let text = end.key.read(&[VARIABLE], None)?;
    let bytes = digits(&text)?;
    Psk::new(bytes.to_vec()).map_err(|_| {
        Fault::new(Code::Usage, "the pre-shared key is shorter than 32 bytes")
            .with_hint("make one with: openssl rand -hex 32")
    })
}
