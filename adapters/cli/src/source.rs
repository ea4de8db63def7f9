//! Where a ticket comes from: the argument, a file, the environment, or standard input.

use crate::exit::{Code, Fault};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

/// Longest ticket read; a real one has some 600 characters.
const LONGEST: u64 = 64 << 10;

const VARIABLE: &str = "STILLWIRE_TICKET";

/// The ticket of a verb that takes nothing else.
pub(crate) fn ticket(argument: Option<&str>, file: Option<&Path>) -> Result<String, Fault> {
    match (argument, file) {
        (Some("-"), _) => from_stdin(),
        (Some(text), _) => Ok(text.trim().to_owned()),
        (None, Some(path)) => from_file(path),
        (None, None) => from_environment().ok_or_else(missing),
    }
}

/// The ticket and the files of `send`, whose first argument may be either.
pub(crate) fn ticket_and_files(
    arguments: &[PathBuf],
    file: Option<&Path>,
) -> Result<(String, Vec<PathBuf>), Fault> {
    if let Some(path) = file {
        return Ok((from_file(path)?, arguments.to_vec()));
    }
    let (first, rest) = arguments.split_first().ok_or_else(missing)?;
    let ticket = match first.to_str() {
        Some("-") => from_stdin()?,
        Some(text) if looks_like_ticket(text) => text.trim().to_owned(),
        _ => match from_environment() {
            Some(ticket) => return Ok((ticket, arguments.to_vec())),
            None => return Err(missing()),
        },
    };
    if rest.is_empty() {
        return Err(Fault::new(Code::Usage, "no file to send")
            .with_hint("name the files behind the ticket"));
    }
    Ok((ticket, rest.to_vec()))
}

fn looks_like_ticket(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("stillwire:") || text.contains("://")
}

fn missing() -> Fault {
    Fault::new(Code::Usage, "no ticket")
        .with_hint("give it as the first argument, with --ticket-file or in STILLWIRE_TICKET")
}

fn from_environment() -> Option<String> {
    std::env::var_os(VARIABLE)
        .map(OsString::into_string)
        .and_then(Result::ok)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

fn from_file(path: &Path) -> Result<String, Fault> {
    let read = || {
        let mut text = String::new();
        File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
        Ok(text.trim().to_owned())
    };
    read().map_err(|error| {
        let path = path.display().to_string();
        Fault::file(&format!("cannot read the ticket file {path:?}"), &error)
    })
}

/// The first line; what follows is the stream's.
fn from_stdin() -> Result<String, Fault> {
    let mut text = String::new();
    // Byte by byte out of the one buffer that all of this program's reading shares.
    let mut stdin = std::io::stdin().lock();
    stdin
        .by_ref()
        .take(LONGEST)
        .read_line(&mut text)
        .map_err(|error| Fault::file("cannot read the ticket from stdin", &error))?;
    let text = text.trim().to_owned();
    if text.is_empty() {
        return Err(Fault::new(Code::Usage, "no ticket on stdin"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_told_from_a_file() {
        let files = |arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(PathBuf::from).collect();
            ticket_and_files(&arguments, None)
        };
        let (ticket, rest) = files(&["stillwire:dir:/x", "a", "b"]).unwrap();
        assert_eq!(ticket, "stillwire:dir:/x");
        assert_eq!(rest, [PathBuf::from("a"), PathBuf::from("b")]);
        let (ticket, _) = files(&["https://a.b/?c=d", "a"]).unwrap();
        assert_eq!(ticket, "https://a.b/?c=d");
        let only_a_ticket = files(&["https://a.b/?c=d"]).unwrap_err();
        assert_eq!(only_a_ticket.code(), Code::Usage);
    }
}
