//! `stillwire-conformance`: answers the line protocol, or runs vectors against who does.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use stillwire_conformance::child::split_words;
use stillwire_conformance::known::KnownFailing;
use stillwire_conformance::{iut, run};

const USAGE: &str = "\
Usage: stillwire-conformance iut
       stillwire-conformance run [--iut CMD] [--known-failing FILE] [--profile NAME]... [PATH]...

iut   answers one JSON object per line on standard input with one on standard output
run   runs vector files (or every .json below a folder) and ends with
      `N passed, N failed, N skipped`

      --iut CMD             the implementation to ask (default: this program's `iut`)
      --known-failing FILE  ids expected to fail, one a line; one that passes is a failure
      --profile NAME        ask for this profile too, though the implementation does not offer it
      PATH                  default: conformance/vectors

Exit codes: 0 nothing failed, 1 something failed, 2 wrong usage.
";

/// Where the vectors are in a checkout.
const VECTORS: &str = "conformance/vectors";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["iut"] => match iut::serve(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("stillwire-conformance: {error}");
                ExitCode::FAILURE
            }
        },
        ["run", rest @ ..] => match options(rest) {
            Ok(options) => report(&options),
            Err(error) => usage(&error),
        },
        ["--help" | "-h" | "help"] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        ["--version" | "-V"] => {
            println!("stillwire-conformance {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        [] => usage("a command is missing"),
        [other, ..] => usage(&format!("unexpected `{other}`")),
    }
}

fn usage(error: &str) -> ExitCode {
    eprint!("stillwire-conformance: {error}\n\n{USAGE}");
    ExitCode::from(2)
}

fn report(options: &run::Options) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let result = run::run(options, &mut out).and_then(|report| out.flush().map(|()| report));
    match result {
        Ok(report) if report.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("stillwire-conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(words: &[&str]) -> Result<run::Options, String> {
    let mut command = None;
    let mut known_failing = KnownFailing::default();
    let mut profiles = Vec::new();
    let mut paths = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (*word, None),
        };
        let mut value = || {
            inline
                .or_else(|| words.next().copied())
                .ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "--iut" => command = Some(split_words(value()?)?),
            "--known-failing" => known_failing = KnownFailing::load(Path::new(value()?))?,
            "--profile" => profiles.push(value()?.to_owned()),
            _ if name.starts_with('-') => return Err(format!("unknown option {name}")),
            _ => paths.push(PathBuf::from(word)),
        }
    }
    if paths.is_empty() {
        paths.push(PathBuf::from(VECTORS));
    }
    let command = match command {
        Some(command) if command.is_empty() => return Err("--iut is empty".to_owned()),
        Some(command) => command,
        None => {
            let own = std::env::current_exe().map_err(|error| error.to_string())?;
            let own = own.into_os_string().into_string();
            vec![
                own.map_err(|_| "the path of this program is not UTF-8")?,
                "iut".to_owned(),
            ]
        }
    };
    Ok(run::Options {
        command,
        paths,
        known_failing,
        profiles,
        patience: run::PATIENCE,
    })
}
