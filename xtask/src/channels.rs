//! `cargo xtask bench ziti|commonware|packetfs`: the channels beside their peers on the same work. Each
//! side is a program that prints lines of a name and a number; they run in turn, round after round, so
//! that a slow minute of the machine hits both. What is printed is the median of each and the ratio.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use crate::{Problem, commonware, house, options, process, ziti};

const LIMIT: Duration = Duration::from_secs(1200);

/// The figures of one side, by name, one for each round.
type Figures = BTreeMap<String, Vec<f64>>;

/// Our side, in pure Rust and with aws-lc, which is what the adapters use unless told otherwise.
const OURS: [(&str, &[&str]); 2] = [
    ("stillwire, pure Rust", &[]),
    ("stillwire, aws-lc", &["--features", "aws-lc"]),
];

fn bench(name: &str, features: &[&str], words: &[&str]) -> Command {
    let mut cargo = house::cargo();
    cargo.args(["bench", "-p", "stillwire-benches", "--bench", name]);
    cargo.args(features).arg("--").args(words);
    cargo
}

/// Runs one side once and keeps its figures.
fn measure(mut command: Command, into: &mut Figures) -> Result<(), Problem> {
    let status = process::shown(&mut command, LIMIT, |line| {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(value), None) = (words.next(), words.next(), words.next())
            && let Ok(value) = value.parse()
        {
            into.entry(name.to_owned()).or_default().push(value);
        }
    })?;
    if status.success() {
        Ok(())
    } else {
        let program = command.get_program().display();
        Err(format!("{program} failed: {status}"))
    }
}

fn median(figures: &Figures, name: &str) -> f64 {
    let mut sorted = figures.get(name).cloned().unwrap_or_default();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The peer and both of ours in turn, then a table.
fn compare(
    words: &[&str],
    about: &str,
    peer: (&str, &dyn Fn() -> Command),
    ours: &dyn Fn(&[&str]) -> Command,
) -> Result<bool, Problem> {
    let options = options(words, &[], &["--rounds"])?;
    let rounds: usize = match options.last() {
        None => 5,
        Some((_, text)) => text
            .parse()
            .map_err(|_| format!("--rounds is not a number: {text}"))?,
    };
    let mut figures = [Figures::new(), Figures::new(), Figures::new()];
    let [theirs, pure, fast] = &mut figures;
    for _ in 0..rounds.max(1) {
        measure((peer.1)(), theirs)?;
        measure(ours(OURS[0].1), pure)?;
        measure(ours(OURS[1].1), fast)?;
    }
    println!("\n{about}, medians of {} rounds in turn", rounds.max(1));
    for name in theirs.keys() {
        let reference = median(theirs, name);
        println!("{name:28} {:24} {reference:8.0}", peer.0);
        for ((side, _), figures) in OURS.iter().zip([&*pure, &*fast]) {
            let rate = median(figures, name);
            println!(
                "{:28} {side:24} {rate:8.0}  {:.2} of it",
                "",
                rate / reference
            );
        }
    }
    Ok(!theirs.is_empty())
}

/// `bench ziti`: libsodium's C functions and our own on messages of 64 KiB.
pub(crate) fn ziti(words: &[&str]) -> Result<bool, Problem> {
    let python = ziti::libsodium()?;
    let sodium = || {
        let mut command = Command::new(&python);
        command.arg(house::root().join("conformance/peers/ziti/peer.py"));
        command.arg("speed");
        command
    };
    let ours = |features: &[&str]| bench("secretstream", features, &[]);
    compare(words, "secretstream, 64 KiB", ("libsodium", &sodium), &ours)
}

/// `bench commonware`: the crate's own handshakes and records and ours.
pub(crate) fn commonware(words: &[&str]) -> Result<bool, Problem> {
    let program = match commonware::start(commonware::CURRENT)?.program() {
        Ok(program) => program,
        Err(commonware::Missing::Unavailable(why) | commonware::Missing::Broken(why)) => {
            return Err(why);
        }
    };
    let mut fine = true;
    for profile in ["v0", "v1"] {
        let theirs = || {
            let mut command = Command::new(&program);
            command.args(["bench", profile]);
            command
        };
        let ours = |features: &[&str]| bench("commonware", features, &[profile]);
        let about = format!("commonware-stream {profile}");
        fine &= compare(words, &about, ("the crate", &theirs), &ours)?;
    }
    Ok(fine)
}

/// `bench packetfs`: records beside the bare AEAD, which the program itself compares in turn, and the
/// encoder.
pub(crate) fn packetfs(words: &[&str]) -> Result<bool, Problem> {
    options(words, &[], &[])?;
    let mut fine = true;
    for (side, features) in OURS {
        println!("\n{side}");
        let mut command = bench("packetfs", features, &[]);
        fine &= process::shown(&mut command, LIMIT, |_| {})?.success();
    }
    Ok(fine)
}
