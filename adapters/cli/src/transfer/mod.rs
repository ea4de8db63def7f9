//! Files over a connection: the framing of `send` and `recv`, version 1.
//!
//! Integers are big-endian. Sender to receiver:
//!
//! ```text
//! stream = "swfiles" 0x01, entry*, end
//! entry  = 0x01, u16 length of the name, name, u64 size, size bytes, SHA-256 of them (32 bytes)
//! end    = 0x00
//! ```
//!
//! A name is one path component in UTF-8, at most 255 bytes; see [`check_name`]. The receiver
//! answers once, after the end or as soon as it cannot go on:
//!
//! ```text
//! verdict = 0x00                              everything is stored under its name
//!         | 0x01, u16 length, reason          nothing of the present file is; why, in UTF-8
//! ```
//!
//! Both ends then end their directions. A stream that ends anywhere else is a failed transfer.

mod receiver;
mod sender;

pub(crate) use receiver::{Directory, receive};
pub(crate) use sender::{Outgoing, send};

use std::time::Duration;

const MAGIC: [u8; 8] = *b"swfiles\x01";
const ENTRY: u8 = 1;
const END: u8 = 0;
const STORED: u8 = 0;
const REFUSED: u8 = 1;
const DIGEST: usize = 32;
const LONGEST_NAME: usize = 255;
const LONGEST_REASON: usize = 512;
const BUFFER: usize = 1 << 20;
/// How long the other end may take to end its direction after the verdict.
pub(crate) const GOODBYE: Duration = Duration::from_secs(30);

/// One file that has arrived, or was sent and confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transferred {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; DIGEST],
}

/// Accepts a name that is one component of a path on any system: it cannot leave its directory,
/// name a device, or upset a terminal.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err("it is empty or longer than 255 bytes");
    }
    if name == "." || name == ".." || name.contains(['/', '\\', ':']) {
        return Err("it would leave the directory");
    }
    if name.chars().any(char::is_control) {
        return Err("it holds control characters");
    }
    if name.ends_with(['.', ' ']) {
        return Err("it ends with a dot or a space, which some systems drop");
    }
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end().to_ascii_lowercase();
    let numbered = stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt"));
    if DEVICES.contains(&stem.as_str()) || numbered && stem.ends_with(|c: char| c.is_ascii_digit())
    {
        return Err("it is the name of a device on some systems");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_pass() {
        for name in ["a", "photo 1.raw", ".profile", "日本.txt", "..a", "common"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "n".repeat(256);
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "C:x",
            "a\nb",
            "a\0",
            "\u{1b}[2J",
            "nul",
            "COM1.txt",
            "a.",
            "a ",
            &long,
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
