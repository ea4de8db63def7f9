//! The pre-shared key: from a file, a command or the environment, never from an argument.

use crate::args::packetfs::PacketfsEnd;
use crate::exit::{Code, Fault};
use stillwire_core::packetfs::Psk;
use zeroize::Zeroizing;

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

/// The bytes of hexadecimal digits; white space around them is no matter. Nothing of them is in
/// the fault.
pub(super) fn digits(text: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let wrong = || Fault::new(Code::Usage, "a key or seed is not written in hexadecimal");
    let digits = text.trim().as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(wrong);
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        let (high, low) = (digit(pair[0])?, digit(pair[1])?);
        bytes.push((high << 4 | low) as u8);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_nothing_else() {
        assert_eq!(*digits(" 00ffA1\n").unwrap(), [0, 0xff, 0xa1]);
        for bad in ["", "0", "0g", "00 11", "0x00"] {
            let fault = digits(bad).unwrap_err();
            assert_eq!(fault.code(), Code::Usage, "{bad:?}");
        }
    }
}
