//! What the protocols over TCP take: `ziti`, `commonware`, and `packetfs` among its other verbs.

use crate::key::KeyOptions;
use crate::units;
use clap::{Args, Subcommand, ValueEnum};
use std::time::Duration;
use stillwire_core::commonware::Profile;
use stillwire_core::ziti::{Dialect, Rekeying};

/// One of the protocols over TCP; `O` is what it alone can be told.
#[derive(Args, Debug)]
pub struct Stream<O: Args> {
    /// What to do.
    #[command(subcommand)]
    pub verb: StreamVerb<O>,
}

/// What each of them does.
#[derive(Clone, Debug, Subcommand)]
pub enum StreamVerb<O: Args> {
    /// Wait for connections: one on stdin and stdout, or every one with --echo or --forward
    Listen(StreamListen<O>),
    /// Open a connection for stdin and stdout, or one for every TCP connection with --forward
    Dial(StreamDial<O>),
    /// Make a key: it goes to stdout, and what others may know of it to stderr
    Keygen,
}

/// Who we are, and whom we talk to.
#[derive(Args, Clone, Debug)]
pub struct StreamKeys {
    /// Where the key is.
    #[command(flatten)]
    pub key: KeyOptions,
    /// The public key that the peer must hold; more than one may be named
    #[arg(long, value_name = "HEX")]
    pub peer_key: Vec<String>,
    /// How long a handshake may take.
    #[command(flatten)]
    pub patience: Patience,
}

/// How long a handshake may take.
#[derive(Args, Clone, Copy, Debug)]
pub struct Patience {
    /// How long the whole handshake may take
    #[arg(long, value_name = "SECONDS", default_value = "10",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub handshake_timeout: u64,
}

impl Patience {
    /// As a span of time.
    pub(crate) fn span(self) -> Duration {
        Duration::from_secs(self.handshake_timeout)
    }
}

/// What `ziti` alone can be told.
#[derive(Args, Clone, Debug)]
pub struct ZitiOptions {
    /// What the peer makes of a new key: no-rekey for openziti/secretstream up to v0.1.51
    #[arg(long, value_name = "NAME", default_value = "sodium")]
    pub dialect: DialectName,
    /// When we change our key; the peer must follow, as libsodium does
    #[arg(long, value_name = "WHEN", default_value = "never")]
    pub rekey: RekeyWhen,
}

/// `--dialect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DialectName {
    /// As libsodium: a new key where one is asked for.
    Sodium,
    /// Never a new key.
    NoRekey,
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::Sodium => Self::Sodium,
            DialectName::NoRekey => Self::NoRekey,
        }
    }
}

/// `--rekey`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RekeyWhen {
    /// Not at all.
    Never,
    /// When the counter of messages wraps.
    AtWrap,
    /// After every message.
    EveryMessage,
}

impl From<RekeyWhen> for Rekeying {
    fn from(when: RekeyWhen) -> Self {
        match when {
            RekeyWhen::Never => Self::Never,
            RekeyWhen::AtWrap => Self::AtWrap,
            RekeyWhen::EveryMessage => Self::EveryMessage,
        }
    }
}

/// What `commonware` alone can be told.
#[derive(Args, Clone, Debug)]
pub struct CommonwareOptions {
    /// The era of the wire, the same at both ends: v0 for releases 0.0.64 and later, v1 for version
    /// 1 of 2026.10.0, b for 0.0.63, a for 0.0.60 to 0.0.62
    #[arg(long, value_name = "NAME", default_value = "v0")]
    pub profile: ProfileName,
    /// Refuse our own key as the peer's, and let a dialer prove its key before it is told whether it
    /// is admitted
    #[arg(long)]
    pub hardened: bool,
    /// The application's name, the same at both ends
    #[arg(
        long,
        value_name = "NAME",
        default_value = "stillwire",
        hide_short_help = true
    )]
    pub namespace: String,
}

/// `--profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileName {
    /// 0.0.64 to 2026.7, and version 0 of 2026.10.0.
    V0,
    /// Version 1 of 2026.10.0.
    V1,
    /// 0.0.60 to 0.0.62.
    A,
    /// 0.0.63.
    B,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::V0 => Self::V0,
            ProfileName::V1 => Self::V1,
            ProfileName::A => Self::A,
            ProfileName::B => Self::B,
        }
    }
}

/// `listen`.
#[derive(Args, Clone, Debug)]
pub struct StreamListen<O: Args> {
    /// The TCP address to listen on
    #[arg(value_name = "ADDR", value_parser = units::parse_listen_port)]
    pub address: String,
    /// Send every connection's bytes back to it
    #[arg(long, conflicts_with = "forward")]
    pub echo: bool,
    /// Join every connection to a TCP connection to there
    #[arg(long, value_name = "HOST:PORT", value_parser = units::parse_host_port)]
    pub forward: Option<String>,
    /// Who we are, and whom we talk to.
    #[command(flatten)]
    pub keys: StreamKeys,
    /// What this protocol alone can be told.
    #[command(flatten)]
    pub options: O,
}

/// `dial`.
#[derive(Args, Clone, Debug)]
pub struct StreamDial<O: Args> {
    /// The listener's TCP address
    #[arg(value_name = "ADDR", value_parser = units::parse_host_port)]
    pub address: String,
    /// Listen on this TCP address; each TCP connection becomes one of ours
    #[arg(long, value_name = "LISTEN:PORT", value_parser = units::parse_listen_port)]
    pub forward: Option<String>,
    /// Who we are, and whom we talk to.
    #[command(flatten)]
    pub keys: StreamKeys,
    /// What this protocol alone can be told.
    #[command(flatten)]
    pub options: O,
}
