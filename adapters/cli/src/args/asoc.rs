//! `stillwire asoc`.

use crate::key::KeyOptions;
use crate::units;
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

/// `asoc`.
#[derive(Args, Debug)]
pub struct Asoc {
    /// What to do.
    #[command(subcommand)]
    pub verb: AsocVerb,
}

/// The verbs of ASoc.
#[derive(Debug, Subcommand)]
pub enum AsocVerb {
    /// Accept connections; received streams go to stdout, or back
    Listen(AsocListen),
    /// Send stdin as one stream, then print the peer's next whole stream
    Dial(AsocDial),
    /// Run a node with static and discovered peers; audit events as JSON Lines
    Node(AsocNode),
    /// Say who is there
    Discover(AsocDiscover),
    /// Print a fresh key, or the cluster's key from the master key
    Keygen(AsocKeygen),
    /// A small authority for the nodes' certificates
    Ca(AsocCa),
}

/// Who we are and how we speak.
#[derive(Args, Clone, Debug)]
#[command(after_help = KEYS)]
pub struct AsocIdentity {
    /// Where the cluster's key is.
    #[command(flatten)]
    pub key: KeyOptions,
    /// Our UUID; without it, a random one
    #[arg(long, value_name = "UUID")]
    pub uuid: Option<String>,
    /// Name of the cluster
    #[arg(long, value_name = "NAME", default_value = "")]
    pub community: String,
    /// Prove presence, seal every frame: only with another Stillwire that does so too
    #[arg(long)]
    pub hardened: bool,
    /// The cipher of --hardened, chosen by the end that dials
    #[arg(
        long,
        value_name = "CIPHER",
        default_value = "aes-256-gcm",
        requires = "hardened"
    )]
    pub cipher: Cipher,
    /// TLS.
    #[command(flatten)]
    pub tls: AsocTls,
}

/// TLS around ASoc.
#[derive(Args, Clone, Debug)]
pub struct AsocTls {
    /// Speak over TLS; certificates are always verified
    #[arg(long, requires = "ca")]
    pub tls: bool,
    /// Our certificate with its chain and private key, as PEM, which only its owner may read
    #[arg(long, value_name = "F", value_hint = ValueHint::FilePath, requires = "tls")]
    pub cert: Option<PathBuf>,
    /// The certificates of the authorities that peers must come from, as PEM
    #[arg(long, value_name = "F", value_hint = ValueHint::FilePath, requires = "tls")]
    pub ca: Option<PathBuf>,
    /// The authorities' lists of revoked certificates, as PEM; who listens reads them again when
    /// they change
    #[arg(long, value_name = "F", value_hint = ValueHint::FilePath, requires = "tls")]
    pub crl: Option<PathBuf>,
    /// The name in the server's certificate, if not the address that is dialed
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub server_name: Option<String>,
}

/// `--cipher`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cipher {
    /// AES-256-GCM.
    #[value(name = "aes-256-gcm")]
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    #[value(name = "chacha20-poly1305")]
    ChaCha20Poly1305,
}

const KEYS: &str = "\
The key, first match: --key-file, --key-command, STILLWIRE_ASOC_KEY, ASOC_API_KEY, ~/.asoc/api_key";

/// `asoc listen`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  stillwire asoc listen 0.0.0.0:9000 > tensor.npy
  stillwire asoc listen 127.0.0.1:9000 --echo --key-file cluster.key")]
pub struct AsocListen {
    /// Where to listen
    #[arg(value_name = "ADDR", value_parser = units::parse_listen_port)]
    pub address: String,
    /// Send each whole stream back as one
    #[arg(long)]
    pub echo: bool,
    /// Serve one connection, then end
    #[arg(long)]
    pub once: bool,
    /// Longest stream that --echo sends back
    #[arg(long, value_name = "N", default_value = "1GB", value_parser = units::parse_bytes)]
    pub limit: u64,
    /// Who we are.
    #[command(flatten)]
    pub identity: AsocIdentity,
}

/// `asoc dial`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  stillwire asoc dial node7:9000 < tensor.npy > answer.npy
  stillwire asoc dial node7:9000 --no-answer < tensor.npy")]
pub struct AsocDial {
    /// Whom to dial
    #[arg(value_name = "ADDR", value_parser = units::parse_host_port)]
    pub address: String,
    /// Do not wait for a stream of the peer's
    #[arg(long)]
    pub no_answer: bool,
    /// Who we are.
    #[command(flatten)]
    pub identity: AsocIdentity,
}

/// `asoc node`.
#[derive(Args, Debug)]
#[command(after_help = "\
The configuration is TOML; every key may be left out:
  listen = \"0.0.0.0:9000\"         # without it, only dials
  uuid = \"…\"                      # without it, a random one
  community = \"cluster\"
  static_peers = [\"10.0.1.10:9000\"]
  discovery = true                # broadcast on UDP port 9999
  discovery_bind = \"0.0.0.0:9999\"
  discovery_to = \"255.255.255.255:9999\"
  allowed = [\"…\"]                 # UUIDs that may connect
  hardened = false
  key_file = \"cluster.key\"
  tls = true                      # with ca, and cert to listen; crl, server_name as in listen
  cert = \"UUID.pem\"
  ca = \"ca.pem\"
  crl = \"crl.pem\"                 # read again when it changes

Example:
  stillwire asoc node --config node.toml >> audit.jsonl")]
pub struct AsocNode {
    /// The configuration
    #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
    pub config: PathBuf,
    /// Where the cluster's key is.
    #[command(flatten)]
    pub key: KeyOptions,
}

/// `asoc discover`.
#[derive(Args, Debug)]
pub struct AsocDiscover {
    /// How long to listen
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = units::parse_expiry)]
    pub time: Duration,
    /// Where announcements come in
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9999",
          value_parser = units::parse_listen_port)]
    pub bind: String,
    /// Name of the cluster
    #[arg(long, value_name = "NAME", default_value = "")]
    pub community: String,
    /// Where the cluster's key is.
    #[command(flatten)]
    pub key: KeyOptions,
}

/// `asoc keygen`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  (umask 077; stillwire asoc keygen > cluster.key)
  stillwire asoc keygen --master-file master.key --cluster blue")]
pub struct AsocKeygen {
    /// The master key's file
    #[arg(long, value_name = "F", value_hint = ValueHint::FilePath, requires = "cluster")]
    pub master_file: Option<PathBuf>,
    /// The cluster's name
    #[arg(long, value_name = "NAME", requires = "master_file")]
    pub cluster: Option<String>,
}

/// `asoc ca`.
#[derive(Args, Debug)]
#[command(after_help = "\
DIR holds ca.pem (give it to every node), ca.key (keep it), crl.pem and a file for each node.

Examples:
  stillwire asoc ca init pki
  stillwire asoc ca issue pki --uuid \"$UUID\" --name node7.example --name 10.0.1.7
  stillwire asoc ca revoke pki \"$UUID\"")]
pub struct AsocCa {
    /// What to do.
    #[command(subcommand)]
    pub verb: AsocCaVerb,
}

/// The verbs of the authority.
#[derive(Debug, Subcommand)]
pub enum AsocCaVerb {
    /// Make an authority in a directory of its own
    Init {
        /// The directory; it is made
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: PathBuf,
        /// The authority's name
        #[arg(long, value_name = "NAME", default_value = "stillwire cluster")]
        name: String,
    },
    /// Make a node's certificate and key: DIR/UUID.pem
    Issue {
        /// The authority's directory
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: PathBuf,
        /// The node's UUID
        #[arg(long, value_name = "UUID")]
        uuid: String,
        /// A host name or address by which the node is dialed; may be given several times
        #[arg(long, value_name = "HOST", required = true)]
        name: Vec<String>,
        /// Days for which it holds
        #[arg(long, value_name = "N", default_value = "90")]
        days: u32,
    },
    /// Shut a node out: writes DIR/crl.pem
    Revoke {
        /// The authority's directory
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: PathBuf,
        /// The node's UUID
        #[arg(value_name = "UUID")]
        uuid: String,
    },
}
