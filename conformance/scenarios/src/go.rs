//! The Go program as the other end.

use crate::Place;
use crate::stores::{ACCOUNT, KEY};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use stillwire_futures::Ticket;

/// Longer than the Go listener hides a waiting handshake.
const LIMIT: Duration = Duration::from_secs(90);

/// The program, or why it is not here.
pub fn program() -> Result<String, String> {
    std::env::var("STILLWIRE_GO_AZNET")
        .map_err(|_| "STILLWIRE_GO_AZNET is not set (cargo xtask test sets it)".to_owned())
}

/// One run of it, ended when this value is dropped.
pub struct Go {
    child: Child,
    lines: Receiver<String>,
}

impl Go {
    /// Starts it with this driver and the names of this place.
    pub fn start(
        program: &str,
        verb: &str,
        driver: &str,
        place: &Place,
        arguments: &[&str],
    ) -> Result<Self, String> {
        let mut command = Command::new(program);
        command
            .arg(verb)
            .args(["--driver", driver])
            .args(["--handshake", place.handshake(), "--token", place.token()])
            .args(arguments)
            .env("AZURE_STORAGE_ENDPOINT", place.endpoint())
            .env("AZURE_STORAGE_ACCOUNT", ACCOUNT)
            .env("AZURE_STORAGE_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (say, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            // Ends with the program.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if say.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { child, lines })
    }

    /// The next line about `event`; an error when something went wrong there.
    pub fn next(&self, event: &str) -> Result<String, String> {
        loop {
            let line = match self.lines.recv_timeout(LIMIT) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => return Err(format!("no {event} from Go")),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("Go ended before {event}"));
                }
            };
            if line.contains(r#""event":"failed""#) {
                return Err(line);
            }
            if line.contains(&format!(r#""event":"{event}""#)) {
                return Ok(line);
            }
        }
    }

    /// A listener's ticket.
    pub fn ticket(&self) -> Result<Ticket, String> {
        let line = self.next("listening")?;
        let url = text(&line, "url").ok_or("a line without a URL")?;
        // Go's encoder escapes the ampersand.
        let url = url.replace("\\u0026", "&");
        url.parse().map_err(|error| format!("the URL: {error}"))
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.split_once(&format!(r#""{name}":""#))?.1;
    Some(rest.split_once('"')?.0)
}

/// A whole number field.
pub fn number(line: &str, name: &str) -> Option<u64> {
    let rest = line.split_once(&format!(r#""{name}":"#))?.1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
