//! The tasks of the project: `cargo xtask test` is what CI runs and what the
//! README promises; the others are its parts and the benchmarks.

mod asoc;
mod azurite;
mod bench;
mod channels;
mod commonware;
mod house;
mod limits;
mod mutants;
mod peer;
mod process;
mod python;
mod scale;
mod sshd;
mod steps;
mod suites;
mod summary;
mod ziti;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--only STEP]...   everything, or some of its steps (test --list names them)
  azurite                 start the pinned emulator and print its addresses, until Ctrl-C
  bench aznet [--only ROW]... [--side go|stillwire] [--rounds N]
                          Go to Go and Stillwire to Stillwire on the same work, as a table
  bench asoc              ASoc beside a bare TCP copy, handshakes, idle connections
  bench scale             1,000 connections through one listener, 100,000 idle machines
  bench ziti [--rounds N] libsodium and Stillwire on messages of 64 KiB
  bench commonware [--rounds N]
                          the crate and Stillwire: handshakes, records
  bench packetfs          records beside the bare AEAD, objects by reference, the encoder
  mutants [--only NAME]... [--seeds N]
                          known-bad variants of the core, each to be caught by the simulator
";

/// Why a task could not be done, in words for a person.
type Problem = String;

fn main() -> ExitCode {
    process::end_children_on_signals();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test", rest @ ..] => steps::test(rest),
        ["azurite"] => azurite::serve(),
        ["bench", "aznet", rest @ ..] => bench::aznet(rest),
        ["bench", "asoc"] => asoc::bench(),
        ["bench", "scale"] => scale::bench(),
        ["bench", "ziti", rest @ ..] => channels::ziti(rest),
        ["bench", "commonware", rest @ ..] => channels::commonware(rest),
        ["bench", "packetfs", rest @ ..] => channels::packetfs(rest),
        ["mutants", rest @ ..] => mutants::run(rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    process::end_children();
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Takes `--only NAME` (repeatable) and the named flags out of a command line.
fn options<'a>(
    words: &[&'a str],
    flags: &[&str],
    valued: &[&str],
) -> Result<Vec<(&'a str, &'a str)>, Problem> {
    let mut found = Vec::new();
    let mut rest = words.iter();
    while let Some(&word) = rest.next() {
        if flags.contains(&word) {
            found.push((word, ""));
        } else if valued.contains(&word) {
            let value = rest.next().ok_or_else(|| format!("{word} needs a value"))?;
            found.push((word, *value));
        } else {
            return Err(format!("unknown argument {word}\n{USAGE}"));
        }
    }
    Ok(found)
}
