//! A wrong command line, told in one line.

use crate::args::Cli;
use crate::exit::{Code, one_line};
use crate::output::eprint_line;
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::process::ExitCode;

/// Prints help and version as they are, and a mistake as one line with what to try.
pub(crate) fn explain(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone away is no error.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(Code::Usage as u8)
        }
        _ => {
            eprint_line(&line(&error.to_string(), std::env::args_os().skip(1)));
            ExitCode::from(Code::Usage as u8)
        }
    }
}

/// What is wrong, clap's tip if it has one, and where the help is.
fn line(text: &str, arguments: impl Iterator<Item = OsString>) -> String {
    let mut paragraphs = text.split("\n\n");
    let what = paragraphs.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let mut line = format!("stillwire: {}", hide_secrets(&one_line(what)));
    for paragraph in paragraphs {
        let paragraph = one_line(paragraph);
        if let Some(tip) = paragraph.strip_prefix("tip: ") {
            line = format!("{line}; {}", hide_secrets(tip));
        }
    }
    format!("{line}; see stillwire{} --help", verbs(arguments))
}

/// The verbs among the arguments, each behind a space.
fn verbs(arguments: impl Iterator<Item = OsString>) -> String {
    let program = Cli::command();
    let (mut within, mut found) = (&program, String::new());
    for argument in arguments {
        if let Some(verb) = within.find_subcommand(&argument) {
            found = format!("{found} {}", verb.get_name());
            within = verb;
        }
    }
    found
}

/// Arguments that may be tickets or addresses with keys are not repeated.
fn hide_secrets(text: &str) -> String {
    let parts = text.split('\'').map(|part| {
        let secret = part.contains("://") || part.contains("sig=") || part.len() > 100;
        if secret { "…" } else { part }
    });
    parts.collect::<Vec<_>>().join("'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn told(arguments: &[&str]) -> String {
        let words = ["stillwire"].iter().chain(arguments);
        let error = Cli::try_parse_from(words).unwrap_err().to_string();
        line(&error, arguments.iter().map(OsString::from))
    }

    #[test]
    fn mistakes_are_one_line_without_secrets() {
        for (arguments, line) in [
            (
                &["dial", "a", "https://h/?token=c2lnPXMzY3JldA"][..],
                "stillwire: unexpected argument '…' found; see stillwire dial --help",
            ),
            (
                &["lisen"],
                "stillwire: unrecognized subcommand 'lisen'; a similar subcommand exists: \
                 'listen'; see stillwire --help",
            ),
            (
                &["listen"],
                "stillwire: the following required arguments were not provided: <STORE>; \
                 see stillwire listen --help",
            ),
            (
                &["-q", "ticket", "dir:x", "--expiry", "soon"],
                "stillwire: invalid value 'soon' for '--expiry <TIME>': write it like 24h, 90m or \
                 1d12h; see stillwire ticket --help",
            ),
            (
                &["packetfs", "recv", "f", "--fast"],
                "stillwire: unexpected argument '--fast' found; to pass '--fast' as a value, use \
                 '-- --fast'; see stillwire packetfs recv --help",
            ),
        ] {
            assert_eq!(told(arguments), line);
        }
    }
}
