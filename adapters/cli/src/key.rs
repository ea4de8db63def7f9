//! Where keys come from: a file, a command, the environment. Never the command line itself.

use crate::exit::{Code, Fault};
use clap::{Args, ValueHint};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// Longest key that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Options that say where a key is.
#[derive(Args, Clone, Debug, Default)]
pub struct KeyOptions {
    /// Read the key from this file, which only its owner may read
    #[arg(long, value_name = "F", value_hint = ValueHint::FilePath, conflicts_with = "key_command")]
    pub key_file: Option<PathBuf>,
    /// Run this command and take what it prints as the key (vault, keyring, HSM)
    #[arg(long, value_name = "CMD", value_hint = ValueHint::CommandString)]
    pub key_command: Option<String>,
}

impl KeyOptions {
    /// The key's text, without the line's end: from the options, else from the first of the
    /// `variables` that is set, else from the file `at_last`, if it is there.
    pub(crate) fn read(
        &self,
        variables: &[&str],
        at_last: Option<&Path>,
    ) -> Result<Zeroizing<String>, Fault> {
        if let Some(path) = &self.key_file {
            return from_file(path);
        }
        if let Some(command) = &self.key_command {
            return from_command(command);
        }
        for name in variables {
            match std::env::var(name) {
                Ok(text) if !text.is_empty() => return Ok(trimmed(Zeroizing::new(text))),
                Ok(_) | Err(std::env::VarError::NotPresent) => {}
                Err(std::env::VarError::NotUnicode(_)) => {
                    let what = format!("the key in {name} is not text");
                    return Err(Fault::new(Code::Usage, what));
                }
            }
        }
        match at_last.filter(|path| path.exists()) {
            Some(path) => from_file(path),
            None => Err(
                Fault::new(Code::Usage, "no key was given").with_hint(format!(
                    "use --key-file, --key-command or {}",
                    variables.join(" or ")
                )),
            ),
        }
    }
}

/// The key in a file that nobody else may read.
pub(crate) fn from_file(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let name = path.display();
    let cannot = |error| Fault::file(&format!("cannot read the key in {name:?}"), &error);
    let file = File::open(path).map_err(cannot)?;
    let facts = file.metadata().map_err(cannot)?;
    if !facts.is_file() {
        let what = format!("{name:?} is no regular file; a key must be one");
        return Err(Fault::new(Code::Usage, what));
    }
    refuse_shared(path, &facts)?;
    // As large as it gets: growing would leave pieces of the key behind.
    let size = usize::try_from(facts.len().min(LONGEST)).unwrap_or_default();
    let mut text = Zeroizing::new(String::with_capacity(size + 64));
    file.take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > LONGEST {
        let what = format!("{name:?} is too long to be a key");
        return Err(Fault::new(Code::Usage, what));
    }
    Ok(trimmed(text))
}

#[cfg(unix)]
fn refuse_shared(path: &Path, facts: &std::fs::Metadata) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;
    let others = facts.permissions().mode() & 0o077;
    if others == 0 {
        return Ok(());
    }
    let path = path.display();
    let what = format!("the key in {path:?} can be read by others");
    Err(Fault::new(Code::Auth, what).with_hint(format!("chmod 600 {path:?}")))
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "the same shape as on unix")]
fn refuse_shared(_: &Path, _: &std::fs::Metadata) -> Result<(), Fault> {
    Ok(())
}

fn from_command(command: &str) -> Result<Zeroizing<String>, Fault> {
    let mut shell = if cfg!(windows) {
        let mut shell = Command::new("cmd");
        shell.arg("/C");
        shell
    } else {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c");
        shell
    };
    let done = shell
        .arg(command)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Fault::file("cannot run the key command", &error))?;
    let text = Zeroizing::new(done.stdout);
    if !done.status.success() {
        let what = format!("the key command failed: {}", done.status);
        return Err(Fault::new(Code::Auth, what).with_hint("run it by hand"));
    }
    match std::str::from_utf8(&text) {
        Ok(text) if text.trim().is_empty() => {
            Err(Fault::new(Code::Auth, "the key command printed nothing"))
        }
        Ok(text) => Ok(trimmed(Zeroizing::new(text.to_owned()))),
        Err(_) => Err(Fault::new(Code::Auth, "the key command printed no text")),
    }
}

/// Lowercase hex digits, in memory that is wiped.
pub(crate) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // As large as it gets: growing would leave pieces of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}

/// The bytes of hexadecimal digits; white space around them is no matter. Nothing of them is in
/// the fault.
pub(crate) fn digits(text: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let wrong = || Fault::new(Code::Usage, "a key or seed is not written in hexadecimal");
    let digits = text.trim().as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(wrong);
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        let (high, low) = (digit(pair[0])?, digit(pair[1])?);
        bytes.push((high << 4 | low) as u8);
    }
    Ok(bytes)
}

/// Without the line's end that editors and `echo` leave.
fn trimmed(text: Zeroizing<String>) -> Zeroizing<String> {
    let end = text.trim_end_matches(['\r', '\n']).len();
    match text.get(..end) {
        Some(line) if end < text.len() => Zeroizing::new(line.to_owned()),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn options(file: Option<&Path>, command: Option<&str>) -> KeyOptions {
        KeyOptions {
            key_file: file.map(Path::to_owned),
            key_command: command.map(str::to_owned),
        }
    }

    #[test]
    fn a_file_of_its_owner_gives_its_line() {
        let file = file("a key with spaces \r\n");
        let key = options(Some(file.path()), None).read(&[], None).unwrap();
        assert_eq!(*key, "a key with spaces ");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = file("secret of the file");
        for mode in [0o640, 0o604, 0o644] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let fault = options(Some(file.path()), None)
                .read(&[], None)
                .unwrap_err();
            assert_eq!(fault.code(), Code::Auth);
            assert!(fault.line().contains("chmod 600"), "{}", fault.line());
            assert!(!fault.line().contains("secret of"));
        }
    }

    #[test]
    fn a_command_gives_its_output_or_says_how_it_failed() {
        let key = options(None, Some("echo from the vault")).read(&[], None);
        assert_eq!(*key.unwrap(), "from the vault");
        for command in ["exit 3", "true"] {
            let fault = options(None, Some(command)).read(&[], None).unwrap_err();
            assert_eq!(fault.code(), Code::Auth, "{command}");
        }
    }

    #[test]
    fn without_any_source_the_line_names_them() {
        let fault = options(None, None)
            .read(&["STILLWIRE_NO_SUCH_KEY"], None)
            .unwrap_err();
        assert_eq!(fault.code(), Code::Usage);
        assert!(
            fault.line().contains("STILLWIRE_NO_SUCH_KEY"),
            "{}",
            fault.line()
        );
    }

    #[test]
    fn digits_and_nothing_else() {
        assert_eq!(*digits(" 00ffA1\n").unwrap(), [0, 0xff, 0xa1]);
        for bad in ["", "0", "0g", "00 11", "0x00"] {
            let fault = digits(bad).unwrap_err();
            assert_eq!(fault.code(), Code::Usage, "{bad:?}");
        }
    }
}
