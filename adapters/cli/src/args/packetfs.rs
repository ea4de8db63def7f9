//! `stillwire packetfs …`.

use super::stream::{Patience, StreamVerb};
use crate::key::KeyOptions;
use crate::units;
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;
use stillwire_core::packetfs::{Algorithm, Config};

/// `packetfs`.
#[derive(Args, Debug)]
pub struct Packetfs {
    /// What to do.
    #[command(subcommand)]
    pub verb: PacketfsVerb,
}

/// The verbs of the PacketFS overlay.
#[derive(Clone, Debug, Subcommand)]
pub enum PacketfsVerb {
    /// Send a file by reference to a blob that the receiver holds too
    Send(PacketfsSend),
    /// Receive a file by reference to a blob that the sender holds too
    Recv(PacketfsRecv),
    /// What every protocol over TCP does.
    #[command(flatten)]
    Stream(StreamVerb<PacketfsOptions>),
}

/// What both ends are told.
#[derive(Args, Clone, Debug)]
pub struct PacketfsEnd {
    /// The blob: a file, the same at both ends
    #[arg(long, value_name = "BLOB", value_hint = ValueHint::FilePath,
          required_unless_present = "seed_file", conflicts_with = "seed_file")]
    pub blob: Option<PathBuf>,
    /// The blob is made from the seed in this file: 64 hexadecimal digits, the same at both ends
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "blob_size")]
    pub seed_file: Option<PathBuf>,
    /// How large the blob made from a seed is
    #[arg(long, value_name = "N", value_parser = units::parse_bytes, requires = "seed_file")]
    pub blob_size: Option<u64>,
    /// Connect to the other end there
    #[arg(long, value_name = "HOST:PORT", value_parser = units::parse_host_port,
          required_unless_present = "listen", conflicts_with = "listen")]
    pub connect: Option<String>,
    /// Wait for the other end there
    #[arg(long, value_name = "LISTEN:PORT", value_parser = units::parse_listen_port)]
    pub listen: Option<String>,
    /// Where the pre-shared key is.
    #[command(flatten)]
    pub key: KeyOptions,
    /// Cipher and forward secrecy.
    #[command(flatten)]
    pub options: PacketfsOptions,
    /// How long a handshake may take.
    #[command(flatten)]
    pub patience: Patience,
}

/// What every session is told, over streams and with files.
#[derive(Args, Clone, Debug)]
pub struct PacketfsOptions {
    /// The cipher, the same at both ends
    #[arg(long, value_name = "NAME", default_value = "aes-256-gcm")]
    pub cipher: CipherName,
    /// No forward secrecy, at both ends: who learns the key reads what was recorded
    #[arg(long)]
    pub no_forward_secrecy: bool,
}

impl PacketfsOptions {
    pub(crate) fn config(&self, patience: Patience) -> Config {
        Config {
            algorithm: match self.cipher {
                CipherName::Aes256Gcm => Algorithm::Aes256Gcm,
                CipherName::XChaCha20Poly1305 => Algorithm::XChaCha20Poly1305,
            },
            forward_secrecy: !self.no_forward_secrecy,
            handshake_timeout: patience.span(),
            ..Config::default()
        }
    }
}

/// `--cipher`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CipherName {
    /// AES-256-GCM.
    #[value(name = "aes-256-gcm")]
    Aes256Gcm,
    /// XChaCha20-Poly1305.
    #[value(name = "xchacha20-poly1305")]
    XChaCha20Poly1305,
}

/// `packetfs send`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The key is that of --key-file, --key-command or STILLWIRE_PACKETFS_PSK, in hexadecimal.

Example:
  stillwire packetfs send disk.img --blob base.img --connect backup:7000 --key-file psk")]
pub struct PacketfsSend {
    /// The file to send
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// What both ends are told.
    #[command(flatten)]
    pub end: PacketfsEnd,
    /// Most memory for the index of the blob; a tenth of the blob finds every piece of 4 KiB
    #[arg(long, value_name = "N", default_value = "1GiB", value_parser = units::parse_bytes)]
    pub index_memory: u64,
}

/// `packetfs recv`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The key is that of --key-file, --key-command or STILLWIRE_PACKETFS_PSK, in hexadecimal.

Example:
  stillwire packetfs recv disk.img --blob base.img --listen 0.0.0.0:7000 --key-file psk")]
pub struct PacketfsRecv {
    /// Where the file goes
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// What both ends are told.
    #[command(flatten)]
    pub end: PacketfsEnd,
    /// Replace a file that exists
    #[arg(long)]
    pub force: bool,
}
