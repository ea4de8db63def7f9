//! The real commonware-stream of two older eras, called through its public interface.
//!
//! ```text
//! listen PROFILE SECRET NAMESPACE LIMIT            prints its address, echoes one connection
//! dial   PROFILE SECRET NAMESPACE LIMIT ADDR PEER  sends the messages of `lengths`, checks echoes
//! ```
//!
//! PROFILE is a (0.0.62) or b (0.0.63); SECRET and PEER are 32 bytes in hex, NAMESPACE is text.

#[macro_use]
mod roles;
mod era_a;
mod era_b;

use std::path::{Path, PathBuf};
use std::time::Duration;

type Problem = Box<dyn std::error::Error>;

const SYNCHRONY: Duration = Duration::from_secs(5);
const MAX_AGE: Duration = Duration::from_secs(10);
const HANDSHAKE: Duration = Duration::from_secs(10);

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

/// The lengths of the messages of a test: all small ones, edges of powers of two, the limit.
fn lengths(limit: usize) -> Vec<usize> {
    let edges = [
        111,
        112,
        127,
        128,
        239,
        240,
        255,
        256,
        16_383,
        16_384,
        65_519,
        65_520,
        65_536,
        limit - 1,
        limit,
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
    secret: Vec<u8>,
    namespace: Vec<u8>,
    limit: usize,
}

fn settings(words: &[String]) -> Result<Settings, Problem> {
    let [secret, namespace, limit] = words else {
        return Err("PROFILE SECRET NAMESPACE LIMIT".into());
    };
    Ok(Settings {
        secret: unhex(secret)?,
        namespace: namespace.as_bytes().to_vec(),
        limit: limit.parse()?,
    })
}

/// Where a runtime puts what nobody here stores: beside this program, and not in the machine's
/// temporary directory, where it would stay. Removed at the end.
struct Storage(PathBuf);

impl Storage {
    fn new() -> Result<Self, Problem> {
        let program = std::env::current_exe()?;
        let name = format!("storage-{}", std::process::id());
        Ok(Self(program.with_file_name(name)))
    }

    fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(words: &[String]) -> Result<(), Problem> {
    let storage = Storage::new()?;
    match words {
        [verb, profile, rest @ ..] if verb == "listen" => match profile.as_str() {
            "a" => era_a::listen(settings(rest)?, &storage),
            "b" => era_b::listen(settings(rest)?, &storage),
            other => Err(format!("no profile {other}").into()),
        },
        [verb, profile, rest @ .., address, peer] if verb == "dial" => match profile.as_str() {
            "a" => era_a::dial(settings(rest)?, &storage, address, peer),
            "b" => era_b::dial(settings(rest)?, &storage, address, peer),
            other => Err(format!("no profile {other}").into()),
        },
        _ => Err("listen or dial".into()),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Err(problem) = run(&words) {
        eprintln!("{problem}");
        std::process::exit(1);
    }
}
