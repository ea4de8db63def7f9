//! The verbs that look after a store rather than use it.

use super::{DriverName, Place};
use crate::units;
use clap::{Args, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

/// `gc`.
#[derive(Args, Debug)]
#[command(after_help = "\
Only sessions that bear a listener's mark are looked at, and only those go in which nothing has \
happened for so long: both ends of a connection in use write every 30 seconds.

Examples:
  stillwire gc azblob --dry-run
  stillwire gc dir:/mnt/share --older 1d")]
pub struct Gc {
    /// Where and under which names.
    #[command(flatten)]
    pub place: Place,
    /// How long nothing must have happened in a session: five minutes at the least
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = units::parse_stillness)]
    pub older: Duration,
    /// Say what would go, and let it be
    #[arg(long)]
    pub dry_run: bool,
}

/// `doctor`.
#[derive(Args, Debug)]
#[command(after_help = "\
One line for each check, with what to do. A store is tried out with a short transfer under names \
of its own, which are removed again; a ticket is only looked at.

Examples:
  stillwire doctor azblob
  stillwire doctor --ticket-file ssh.ticket")]
pub struct Doctor {
    /// A store, a ticket, or "-" to read a ticket from stdin
    #[arg(value_name = "STORE or TICKET", conflicts_with = "ticket_file")]
    pub target: Option<String>,
    /// Read a ticket from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ticket_file: Option<PathBuf>,
    /// How much the short transfer sends; 0 for none
    #[arg(long, value_name = "N", default_value = "4MB", value_parser = units::parse_bytes)]
    pub bytes: u64,
}

/// `bench`.
#[derive(Args, Debug)]
#[command(after_help = "\
Both ends run here, under names of their own, which are removed again.

Examples:
  stillwire bench azblob
  stillwire bench azqueue --bytes 8MB
  stillwire bench dir:/mnt/share --bytes 1GB --poll latency")]
pub struct Bench {
    /// Where the bytes go: azblob, azqueue, aztable, one of them +URL, dir:PATH, memory:
    #[arg(value_name = "STORE")]
    pub store: String,
    /// How much to send each way
    #[arg(long, value_name = "N", default_value = "64MB", value_parser = units::parse_bytes)]
    pub bytes: u64,
    /// Questions and answers of 64 bytes
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub rounds: u32,
}

/// `estimate`.
#[derive(Args, Debug)]
#[command(after_help = "\
Nothing is sent: the protocol runs here, in virtual time, and its requests are counted. The prices \
are list prices in US dollars as of July 2024, without taxes, free amounts and discounts. They are \
not looked up: check them against https://azure.microsoft.com/pricing/details/storage/ for your \
region. docs/src/cost.md says where they are from and shows the form of a file with yours.

Examples:
  stillwire estimate --bytes 10GB
  stillwire estimate --idle 8h --poll thrift --connections 20
  stillwire estimate --waiting 24h --prices ours.json")]
pub struct Estimate {
    /// The service
    #[arg(value_name = "SERVICE", default_value = "azblob")]
    pub service: DriverName,
    /// Bytes that a connection carries one way
    #[arg(long, value_name = "N", default_value = "0", value_parser = units::parse_bytes)]
    pub bytes: u64,
    /// How long a connection is open and silent
    #[arg(long, value_name = "TIME", value_parser = units::parse_expiry)]
    pub idle: Option<Duration>,
    /// How long a listener waits for dialers
    #[arg(long, value_name = "TIME", value_parser = units::parse_expiry)]
    pub waiting: Option<Duration>,
    /// How many such connections
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub connections: u64,
    /// Your own prices
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub prices: Option<PathBuf>,
}
