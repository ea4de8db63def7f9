//! The fuzz targets of `conformance/fuzz` without a fuzzer: each body over its seeds and over a fixed
//! number of mutations of them, the same ones every time. A fuzzer on nightly finds more; this finds
//! on every run what a change has broken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use stillwire_core::crypto::Rng;

#[path = "../../../fuzz/bodies/asoc_connection.rs"]
mod asoc_connection;
#[path = "../../../fuzz/bodies/asoc_header.rs"]
mod asoc_header;
#[path = "../../../fuzz/bodies/asoc_message.rs"]
mod asoc_message;
#[path = "../../../fuzz/bodies/asoc_sealed.rs"]
mod asoc_sealed;
#[path = "../../../fuzz/bodies/chunk.rs"]
mod chunk;
#[path = "../../../fuzz/bodies/commonware.rs"]
mod commonware;
#[path = "../../../fuzz/bodies/frame.rs"]
mod frame;
#[path = "../../../fuzz/bodies/iut_line.rs"]
mod iut_line;
#[path = "../../../fuzz/bodies/message1.rs"]
mod message1;
#[path = "../../../fuzz/bodies/message2.rs"]
mod message2;
#[path = "../../../fuzz/bodies/packetfs.rs"]
mod packetfs;
#[path = "../../../fuzz/bodies/tokens.rs"]
mod tokens;
#[path = "../../../fuzz/bodies/url.rs"]
mod url;
#[path = "../../../fuzz/bodies/ziti.rs"]
mod ziti;

/// Name, body, and mutations in a run.
type Target = (&'static str, fn(&[u8]), usize);

const TARGETS: &[Target] = &[
    ("asoc_connection", asoc_connection::fuzz, 3000),
    ("asoc_header", asoc_header::fuzz, 5000),
    ("asoc_message", asoc_message::fuzz, 5000),
    ("asoc_sealed", asoc_sealed::fuzz, 2000),
    ("chunk", chunk::fuzz, 5000),
    ("commonware", commonware::fuzz, 1000),
    ("frame", frame::fuzz, 5000),
    ("iut_line", iut_line::fuzz, 5000),
    ("message1", message1::fuzz, 1000),
    ("message2", message2::fuzz, 1000),
    ("packetfs", packetfs::fuzz, 500),
    ("tokens", tokens::fuzz, 5000),
    ("url", url::fuzz, 5000),
    ("ziti", ziti::fuzz, 3000),
];

/// Longer inputs than this are cut: a target is to be run often.
const LONGEST: usize = 4_096;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The seeds of a target, in the order of their names.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(folder().join("seeds").join(name)).unwrap();
    let files: BTreeSet<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    let read = |file: &PathBuf| std::fs::read(file).unwrap();
    files.iter().map(read).collect()
}

/// Draws and mutates.
struct Mutator {
    rng: Rng,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        let drawn = u64::from_be_bytes(self.rng.array());
        usize::try_from(drawn % bound.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        // Edges are worth more than what lies between them.
        match self.below(4) {
            0 => [0, 1, 0x7f, 0x80, 0xfe, 0xff][self.below(6)],
            _ => self.rng.array::<1>()[0],
        }
    }

    fn input(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        let mut input = self.seeds[at].clone();
        for _ in 0..=self.below(4) {
            self.mutate(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.byte(),
            2 => input.truncate(at),
            3 => {
                let count = self.below(20);
                let more: Vec<u8> = (0..count).map(|_| self.byte()).collect();
                input.splice(at..at, more);
            }
            4 => {
                let end = (at + self.below(20)).min(input.len());
                input.drain(at..end);
            }
            5 => {
                // A piece of itself again.
                let end = (at + self.below(60)).min(input.len());
                let piece = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            _ => {
                // The rest of another seed.
                let other = self.below(self.seeds.len());
                let from = self.below(self.seeds[other].len() + 1);
                input.truncate(at);
                input.extend_from_slice(&self.seeds[other][from..]);
            }
        }
    }
}

fn over_seeds_and_mutations(name: &str) {
    let (_, fuzz, mutations) = TARGETS.iter().find(|target| target.0 == name).unwrap();
    let seeds = seeds(name);
    assert!(seeds.len() >= 10, "{name} has {} seeds", seeds.len());
    let told = Told(std::cell::RefCell::default());
    let once = |input: Vec<u8>| {
        told.0.replace(input);
        fuzz(&told.0.borrow());
    };
    once(Vec::new());
    seeds.iter().cloned().for_each(once);
    let mut mutator = Mutator {
        rng: Rng::from_seed([7; 32]),
        seeds,
    };
    for _ in 0..*mutations {
        once(mutator.input());
    }
}

/// Tells the input at which a body has failed.
struct Told(std::cell::RefCell<Vec<u8>>);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let input = self
                .0
                .try_borrow()
                .map(|input| input.escape_ascii().to_string());
            eprintln!("the input was b\"{}\"", input.unwrap_or_default());
        }
    }
}

#[test]
fn every_target_has_a_body_here_and_a_program_there() {
    let names = |folder: PathBuf| -> BTreeSet<String> {
        let files = std::fs::read_dir(folder).unwrap();
        let stem = |file: std::io::Result<std::fs::DirEntry>| {
            let path = file.unwrap().path();
            path.file_stem().unwrap().to_str().unwrap().to_owned()
        };
        files.map(stem).collect()
    };
    let here: BTreeSet<String> = TARGETS.iter().map(|target| target.0.to_owned()).collect();
    assert_eq!(names(folder().join("bodies")), here);
    assert_eq!(names(folder().join("fuzz_targets")), here);
    assert_eq!(names(folder().join("seeds")), here);
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let said = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for name in here {
        assert!(
            manifest.contains(&format!("\nname = \"{name}\"\n")),
            "{name}"
        );
        assert!(said.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn asoc_connection_over_seeds_and_mutations() {
    over_seeds_and_mutations("asoc_connection");
}

#[test]
fn asoc_header_over_seeds_and_mutations() {
    over_seeds_and_mutations("asoc_header");
}

#[test]
fn asoc_message_over_seeds_and_mutations() {
    over_seeds_and_mutations("asoc_message");
}

#[test]
fn asoc_sealed_over_seeds_and_mutations() {
    over_seeds_and_mutations("asoc_sealed");
}

#[test]
fn chunk_over_seeds_and_mutations() {
    over_seeds_and_mutations("chunk");
}

#[test]
fn commonware_over_seeds_and_mutations() {
    over_seeds_and_mutations("commonware");
}

#[test]
fn frame_over_seeds_and_mutations() {
    over_seeds_and_mutations("frame");
}

#[test]
fn iut_line_over_seeds_and_mutations() {
    over_seeds_and_mutations("iut_line");
}

#[test]
fn message1_over_seeds_and_mutations() {
    over_seeds_and_mutations("message1");
}

#[test]
fn message2_over_seeds_and_mutations() {
    over_seeds_and_mutations("message2");
}

#[test]
fn packetfs_over_seeds_and_mutations() {
    over_seeds_and_mutations("packetfs");
}

#[test]
fn tokens_over_seeds_and_mutations() {
    over_seeds_and_mutations("tokens");
}

#[test]
fn url_over_seeds_and_mutations() {
    over_seeds_and_mutations("url");
}

#[test]
fn ziti_over_seeds_and_mutations() {
    over_seeds_and_mutations("ziti");
}
