//! The real commonware-stream, called through its public interface.
//!
//! ```text
//! listen PROFILE SECRET NAMESPACE LIMIT            prints its address, echoes one connection
//! dial   PROFILE SECRET NAMESPACE LIMIT ADDR PEER  sends the messages of `lengths`, checks echoes
//! bench  PROFILE                                   handshakes a second, records at two sizes
//! judge                                            see `judge.rs`
//! ```
//!
//! PROFILE is v0 or v1; SECRET and PEER are 32 bytes in hex, NAMESPACE is text.

mod bench;
mod judge;

use commonware_codec::DecodeExt as _;
use commonware_cryptography::ChaCha20Poly1305;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey};
use commonware_runtime::{IoBuf, Listener as _, Network as _, Runner as _, tokio};
use commonware_stream::Upgrader as _;
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_stream::utils::Timeout;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

type Problem = Box<dyn std::error::Error>;
type Channel = Timeout<Cups<Sake<PrivateKey>, ChaCha20Poly1305>>;

fn versions(profile: &str) -> Result<(sake::Version, cups::Version), Problem> {
    match profile {
        "v0" => Ok((sake::Version::V0, cups::Version::V0)),
        "v1" => Ok((sake::Version::V1, cups::Version::V1)),
        other => Err(format!("no profile {other}").into()),
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, Problem> {
    let digits = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)?;
        Ok(u8::from_str_radix(pair, 16)?)
    });
    digits.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lengths of the messages of a test: all small ones, edges of the prefix, the limit.
fn lengths(limit: usize) -> Vec<usize> {
    let edges = [
        111, 112, 127, 128, 16_367, 16_368, 16_383, 16_384, 65_536, limit,
    ];
    let mut all: Vec<usize> = (0..=64).chain(edges).collect();
    all.extend((0..200).map(|n| n * 7919 % (limit / 8 + 1)));
    all.extend([0, limit, 0]);
    all
}

/// Message number `n` of a length.
fn message(n: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 31 + at / 251 + n * 17) as u8)
        .collect()
}

struct Settings {
    channel: Channel,
    namespace: Vec<u8>,
    limit: u32,
}

fn settings(words: &[String]) -> Result<Settings, Problem> {
    let [profile, secret, namespace, limit] = words else {
        return Err("PROFILE SECRET NAMESPACE LIMIT".into());
    };
    let (sake, cups) = versions(profile)?;
    let signer = PrivateKey::decode(IoBuf::from(unhex(secret)?))?;
    let handshake = Sake {
        signer,
        synchrony_bound: Duration::from_secs(5),
        max_handshake_age: Duration::from_secs(10),
        version: sake,
    };
    Ok(Settings {
        channel: Timeout::new(Cups::new(handshake, cups), Duration::from_secs(10)),
        namespace: namespace.as_bytes().to_vec(),
        limit: limit.parse()?,
    })
}

async fn listen(context: tokio::Context, settings: Settings) -> Result<(), Problem> {
    let mut listener = context.bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    let (_, sink, stream) = listener.accept().await?;
    let Settings {
        channel,
        namespace,
        limit,
    } = settings;
    let bouncer = |_| async { true };
    let upgraded = channel.listen(context, &namespace, limit, bouncer, stream, sink);
    let (peer, mut sender, mut receiver) = upgraded.await?;
    println!("peer {}", hex(peer.as_ref()));
    let mut served = 0;
    // The end of the stream and a refused record look alike here; the other end counts.
    while let Ok(message) = receiver.recv().await {
        sender.send(message).await?;
        served += 1;
    }
    println!("served {served}");
    Ok(())
}

async fn dial(
    context: tokio::Context,
    settings: Settings,
    address: SocketAddr,
    peer: PublicKey,
) -> Result<(), Problem> {
    let (sink, stream) = context.dial(address).await?;
    let Settings {
        channel,
        namespace,
        limit,
    } = settings;
    let upgraded = channel.dial(context, &namespace, limit, peer, stream, sink);
    let (mut sender, mut receiver) = upgraded.await?;
    let mut echoed = 0;
    for (n, length) in lengths(limit as usize).into_iter().enumerate() {
        let sent = message(n, length);
        sender.send(sent.clone()).await?;
        let back = receiver.recv().await?.coalesce();
        if back.as_ref() != sent {
            return Err(format!("message {n} of {length} bytes came back altered").into());
        }
        echoed += 1;
    }
    println!("echoed {echoed}");
    Ok(())
}

/// Where the runtime puts what nobody here stores: beside this program, and not in the machine's
/// temporary directory, where it would stay. Removed at the end.
struct Storage(PathBuf);

impl Storage {
    fn new() -> Result<Self, Problem> {
        let program = std::env::current_exe()?;
        let name = format!("storage-{}", std::process::id());
        Ok(Self(program.with_file_name(name)))
    }

    fn config(&self, threads: usize) -> tokio::Config {
        let config = tokio::Config::new().with_worker_threads(threads);
        config.with_storage_directory(&self.0)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(words: &[String]) -> Result<(), Problem> {
    let storage = Storage::new()?;
    let runner = || {
        let config = storage.config(2);
        tokio::Runner::new(config.with_read_write_timeout(Duration::from_secs(30)))
    };
    match words {
        [verb] if verb == "judge" => judge::run(),
        [verb, profile] if verb == "bench" => bench::run(profile, &storage),
        [verb, rest @ ..] if verb == "listen" => {
            let settings = settings(rest)?;
            runner().start(|context| listen(context, settings))
        }
        [verb, rest @ .., address, peer] if verb == "dial" => {
            let settings = settings(rest)?;
            let (address, peer) = (
                address.parse()?,
                PublicKey::decode(IoBuf::from(unhex(peer)?))?,
            );
            runner().start(|context| dial(context, settings, address, peer))
        }
        _ => Err("listen, dial, bench or judge".into()),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Err(problem) = run(&words) {
        eprintln!("{problem}");
        std::process::exit(1);
    }
}
