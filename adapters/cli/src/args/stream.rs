//! What the protocols over TCP take: `ziti`, `commonware`, and `packetfs` among its other verbs.

use crate::key::KeyOptions;
use crate::units;
use clap::{Args, Subcommand};

/// One of the protocols over TCP.
#[derive(Args, Debug)]
pub struct Stream {
    /// What to do.
    #[command(subcommand)]
    pub verb: StreamVerb,
}

/// What each of them does.
#[derive(Clone, Debug, Subcommand)]
pub enum StreamVerb {
    /// Wait for connections: one on stdin and stdout, or every one with --echo or --forward
    Listen(StreamListen),
    /// Open a connection for stdin and stdout, or one for every TCP connection with --forward
    Dial(StreamDial),
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
    /// The application's name, the same at both ends (commonware)
    #[arg(
        long,
        value_name = "NAME",
        default_value = "stillwire",
        hide_short_help = true
    )]
    pub namespace: String,
    /// How long the whole handshake may take
    #[arg(long, value_name = "SECONDS", default_value = "10",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub handshake_timeout: u64,
}

/// `listen`.
#[derive(Args, Clone, Debug)]
pub struct StreamListen {
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
}

/// `dial`.
#[derive(Args, Clone, Debug)]
pub struct StreamDial {
    /// The listener's TCP address
    #[arg(value_name = "ADDR", value_parser = units::parse_host_port)]
    pub address: String,
    /// Listen on this TCP address; each TCP connection becomes one of ours
    #[arg(long, value_name = "LISTEN:PORT", value_parser = units::parse_listen_port)]
    pub forward: Option<String>,
    /// Who we are, and whom we talk to.
    #[command(flatten)]
    pub keys: StreamKeys,
}
