//! A wrong command line, told in one line.

use crate::exit::{Code, one_line};
use crate::output::eprint_line;
use clap::error::ErrorKind;
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
            eprint_line(&line(&error.to_string()));
            ExitCode::from(Code::Usage as u8)
        }
    }
}

/// What is wrong, clap's tip if it has one, and where the help is.
fn line(text: &str) -> String {
    let mut paragraphs = text.split("\n\n");
    let what = paragraphs.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let mut line = format!("stillwire: {}", hide_secrets(&one_line(what)));
    let mut verb = None;
    for paragraph in paragraphs {
        let paragraph = one_line(paragraph);
        if let Some(tip) = paragraph.strip_prefix("tip: ") {
            line = format!("{line}; {}", hide_secrets(tip));
        }
        if let Some(usage) = paragraph.strip_prefix("Usage: stillwire ") {
            let words = usage.split_whitespace();
            let verbs = words.take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
            verb = Some(verbs.fold(String::new(), |verbs, verb| format!("{verbs} {verb}")));
        }
    }
    let verb = verb.unwrap_or_default();
    format!("{line}; see stillwire{verb} --help")
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
    use crate::args::Cli;
    use clap::Parser;

    fn told(arguments: &[&str]) -> String {
        let arguments = ["stillwire"].iter().chain(arguments);
        line(&Cli::try_parse_from(arguments).unwrap_err().to_string())
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
                &["packetfs", "recv", "f", "--fast"],
                "stillwire: unexpected argument '--fast' found; to pass '--fast' as a value, use \
                 '-- --fast'; see stillwire packetfs recv --help",
            ),
        ] {
            assert_eq!(told(arguments), line);
        }
    }
}
