//! What the command line takes: names that scripts depend on.

pub mod asoc;
pub mod packetfs;
mod service;
pub mod stream;

pub use service::{Bench, Doctor, Estimate, Gc};

use crate::units;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use std::path::PathBuf;
use std::time::Duration;
use stillwire_tokio::{Driver, Policy};

const STORES: &str = "\
Stores:
  azblob, azqueue                   the account from the environment
  azblob+https://ACCOUNT.blob.core.windows.net
  azqueue+https://ACCOUNT.queue.core.windows.net
                                    the endpoint spelled out, key from the environment
  aztable, aztable+URL              the same over table storage
  dir:PATH                          a directory both sides can reach
  memory:                           this process only (demo)

Environment, first match wins:
  AZURE_STORAGE_CONNECTION_STRING
  AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_KEY

Exit codes: 0 ok, 1 local, 2 usage, 3 authentication, 4 network, 5 peer, 6 budget, 130 interrupted";

/// An encrypted byte stream between two programs that share nothing but storage.
#[derive(Debug, Parser)]
#[command(
    name = "stillwire",
    // Whatever the file is called, as the lines that lead to the help do.
    bin_name = "stillwire",
    version,
    after_help = "Try it: stillwire demo",
    after_long_help = STORES,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs"
)]
pub struct Cli {
    /// Options that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options that every verb takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Results as JSON Lines on stdout, events as JSON Lines on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but errors and what was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tell what happens on stderr; twice for every detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// One JSON line of counters on stderr at the end
    #[arg(long, global = true)]
    pub stats: bool,
    /// How long tickets hold
    #[arg(long, global = true, value_name = "TIME", default_value = "24h",
          value_parser = units::parse_expiry)]
    pub expiry: Duration,
    /// How eagerly to look for data: money against latency
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "POLICY",
        default_value = "balanced"
    )]
    pub poll: Poll,
    /// The driver of a STORE that is a bare URL, or of a TICKET
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    pub driver: Option<DriverName>,
    /// Let keys and SAS go over plain http to other hosts
    #[arg(long, global = true, hide_short_help = true)]
    pub allow_http: bool,
}

/// `--poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Poll {
    /// Look often.
    Latency,
    /// The middle.
    Balanced,
    /// Look seldom.
    Thrift,
}

impl From<Poll> for Policy {
    fn from(poll: Poll) -> Self {
        match poll {
            Poll::Latency => Self::Latency,
            Poll::Balanced => Self::Balanced,
            Poll::Thrift => Self::Thrift,
        }
    }
}

/// `--driver`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DriverName {
    /// Azure blob storage.
    Azblob,
    /// Azure queue storage.
    Azqueue,
    /// Azure table storage.
    Aztable,
}

impl DriverName {
    /// As in a store's address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Azblob => "azblob",
            Self::Azqueue => "azqueue",
            Self::Aztable => "aztable",
        }
    }
}

impl From<DriverName> for Driver {
    fn from(name: DriverName) -> Self {
        match name {
            DriverName::Azblob => Self::Azblob,
            DriverName::Azqueue => Self::Azqueue,
            DriverName::Aztable => Self::Aztable,
        }
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show that it works: both ends here, there and back, digests compared
    Demo(Demo),
    /// Wait for connections and print the ticket to dial
    Listen(Listen),
    /// Open a connection with a ticket
    Dial(Dial),
    /// Send files to a `recv`
    Send(Send),
    /// Receive the files of one `send`
    Recv(Recv),
    /// Prepare the meeting place and print a ticket without listening
    Ticket(Ticket),
    /// Remove what listeners that were killed have left
    Gc(Gc),
    /// Look for what could be wrong with a store or a ticket
    Doctor(Doctor),
    /// Measure a store: throughput, round trips, transactions
    Bench(Bench),
    /// Say what transfers and silence would cost
    Estimate(Estimate),
    /// Streams over TCP between the nodes of a cluster (ASoc)
    Asoc(asoc::Asoc),
    /// OpenZiti's end-to-end encryption over TCP
    Ziti(stream::Stream<stream::ZitiOptions>),
    /// commonware-stream over TCP
    Commonware(stream::Stream<stream::CommonwareOptions>),
    /// The PacketFS overlay over TCP: streams, and files by reference to a blob that both ends hold
    Packetfs(packetfs::Packetfs),
    /// Print a shell's completions
    Completions(Completions),
    /// Print the manual page
    Man,
}

/// `demo`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  stillwire demo
  stillwire demo --bytes 1GB dir:/mnt/share
  stillwire demo --file photo.raw azblob")]
pub struct Demo {
    /// How much to send there and back
    #[arg(long, value_name = "N", default_value = "64MB", value_parser = units::parse_bytes)]
    pub bytes: u64,
    /// Send this file instead
    #[arg(long, value_name = "F", value_hint = ValueHint::FilePath, conflicts_with = "bytes")]
    pub file: Option<PathBuf>,
    /// Where the bytes go; without it, a temporary directory
    #[arg(value_name = "STORE")]
    pub store: Option<String>,
}

/// Where and under which names listeners and dialers meet.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Where the bytes go: azblob, azqueue, aztable, one of them +URL, dir:PATH
    #[arg(value_name = "STORE")]
    pub store: String,
    /// Name of the place for handshakes, if not "handshake"
    #[arg(long, value_name = "NAME")]
    pub handshake: Option<String>,
    /// Name of the place for answers, if not "token"
    #[arg(long, value_name = "NAME")]
    pub token: Option<String>,
}

/// `listen`.
#[derive(Args, Debug)]
#[command(after_help = "\
Without --echo, --forward or --exec, one connection on stdin and stdout. The ticket goes to stderr.

Examples:
  stillwire listen azblob > photo.raw
  stillwire listen dir:/mnt/share --echo
  stillwire listen azblob --forward localhost:22 --ticket-file ssh.ticket
  stillwire listen azblob --exec 'tar -c /srv' --metrics 127.0.0.1:9184")]
pub struct Listen {
    /// Where and under which names.
    #[command(flatten)]
    pub place: Place,
    /// Serve one connection, then end
    #[arg(long)]
    pub once: bool,
    /// Write the ticket to this file too, readable by its owner only
    #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
    pub ticket_file: Option<PathBuf>,
    /// Send every connection's bytes back to it
    #[arg(long, conflicts_with_all = ["forward", "exec"])]
    pub echo: bool,
    /// Join every connection to a TCP connection to there
    #[arg(long, value_name = "HOST:PORT", value_parser = units::parse_host_port,
          conflicts_with = "exec")]
    pub forward: Option<String>,
    /// Run a shell command for every connection, which is its stdin and stdout
    #[arg(long, value_name = "CMD", value_hint = ValueHint::CommandString)]
    pub exec: Option<String>,
    /// Serve counters for Prometheus on this TCP address, over plain http
    #[arg(long, value_name = "ADDR", value_parser = units::parse_listen_port)]
    pub metrics: Option<String>,
    /// Connections served at once; others wait
    #[arg(long, value_name = "N", hide_short_help = true, default_value_t = 1_024,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
}

/// `dial`.
#[derive(Args, Debug)]
#[command(after_help = "\
TICKET is the argument, or --ticket-file, or STILLWIRE_TICKET; \"-\" reads it from stdin.

Examples:
  stillwire dial \"$TICKET\" < photo.raw
  stillwire dial --ticket-file ssh.ticket --forward 127.0.0.1:2222
  ssh -o ProxyCommand='stillwire -q dial --ticket-file ssh.ticket' somewhere")]
pub struct Dial {
    /// The listener's ticket, or "-" to read it from stdin
    #[arg(value_name = "TICKET", conflicts_with = "ticket_file")]
    pub ticket: Option<String>,
    /// Read the ticket from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ticket_file: Option<PathBuf>,
    /// Listen on this TCP address; each TCP connection becomes one of ours
    #[arg(long, value_name = "LISTEN:PORT", value_parser = units::parse_listen_port)]
    pub forward: Option<String>,
    /// How long to wait for the listener's answer [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = units::parse_expiry)]
    pub connect_timeout: Option<Duration>,
}

/// `send`.
#[derive(Args, Debug)]
#[command(
    override_usage = "stillwire send [OPTIONS] <TICKET> <FILE>...\n       \
                      stillwire send [OPTIONS] --ticket-file <FILE> <FILE>...",
    after_help = "\
TICKET is the first argument, or --ticket-file, or STILLWIRE_TICKET; \"-\" reads it from stdin.

Examples:
  stillwire send \"$TICKET\" a.iso b.iso
  stillwire send --ticket-file t *.jpg"
)]
pub struct Send {
    /// Read the ticket from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ticket_file: Option<PathBuf>,
    /// How long to wait for the listener's answer [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = units::parse_expiry)]
    pub connect_timeout: Option<Duration>,
    /// The ticket, unless it is given otherwise; then the files
    #[arg(value_name = "TICKET FILE", required = true, value_hint = ValueHint::FilePath)]
    pub arguments: Vec<PathBuf>,
}

/// `recv`.
#[derive(Args, Debug)]
#[command(after_help = "\
Files that exist are kept and the sender is told so, unless --force is given.

Examples:
  stillwire recv azblob
  stillwire recv dir:/mnt/share ~/Downloads")]
pub struct Recv {
    /// Where and under which names.
    #[command(flatten)]
    pub place: Place,
    /// Where the files go
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
    /// Write the ticket to this file too, readable by its owner only
    #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
    pub ticket_file: Option<PathBuf>,
}

/// `ticket`.
#[derive(Args, Debug)]
#[command(after_help = "\
The ticket goes to stdout. A listener on the same store and names takes it, now or later.

Example:
  stillwire ticket azblob --expiry 2h")]
pub struct Ticket {
    /// Where and under which names.
    #[command(flatten)]
    pub place: Place,
}

/// `completions`.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  stillwire completions bash > /etc/bash_completion.d/stillwire")]
pub struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}
