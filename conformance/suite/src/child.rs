//! An implementation under test as a child process that answers lines.

use serde_json::{Map, Value};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// The longest reply that is read.
const LONGEST_REPLY: u64 = 64 << 20;

/// One line of the child's output.
struct Line {
    bytes: Vec<u8>,
    /// Whether bytes after the line had already come.
    more: bool,
}

/// A running implementation. Killed when dropped.
pub struct Child {
    process: std::process::Child,
    requests: Option<Sender<Vec<u8>>>,
    lines: Receiver<Line>,
    patience: Duration,
}

impl Child {
    /// Starts `command` (program and arguments). `patience` is the time it has for one line.
    pub fn start(command: &[String], patience: Duration) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("the command is empty")?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let (Some(mut stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the pipes of the child are missing".to_owned());
        };
        // A thread each way: a child that neither reads nor writes must not hang the runner.
        let (requests, to_write) = channel::<Vec<u8>>();
        std::thread::spawn(move || {
            while let Ok(line) = to_write.recv() {
                if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        let (read, lines) = channel();
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            loop {
                let mut bytes = Vec::new();
                match stdout
                    .by_ref()
                    .take(LONGEST_REPLY)
                    .read_until(b'\n', &mut bytes)
                {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let more = !stdout.buffer().is_empty();
                if read.send(Line { bytes, more }).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            process,
            requests: Some(requests),
            lines,
            patience,
        })
    }

    /// Sends one object and waits for the one line that answers it.
    pub fn ask(&mut self, request: &Value) -> Result<Map<String, Value>, String> {
        if self.lines.try_recv().is_ok() {
            return Err("a line came that nobody asked for".to_owned());
        }
        let mut line = request.to_string().into_bytes();
        line.push(b'\n');
        // A send fails when the child has closed its input; what it said last is read below.
        if let Some(requests) = &self.requests {
            let _ = requests.send(line);
        }
        let line = match self.lines.recv_timeout(self.patience) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("no answer within {:?}", self.patience));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(self.obituary()),
        };
        if line.more {
            return Err("more than one line came".to_owned());
        }
        match line.bytes.split_last() {
            Some((b'\n', text)) => match serde_json::from_slice(text) {
                Ok(Value::Object(fields)) => Ok(fields),
                Ok(_) => Err("the answer is not an object".to_owned()),
                Err(error) => Err(format!("the answer is not JSON: {error}")),
            },
            _ => Err("the answer ends without a line feed".to_owned()),
        }
    }

    /// Closes the child's input and waits for its end; a line that still comes is an error.
    pub fn finish(mut self) -> Result<(), String> {
        self.requests = None;
        match self.lines.recv_timeout(self.patience) {
            Ok(_) => Err("a line came that nobody asked for".to_owned()),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(()),
        }
    }

    /// How the process ended, in words.
    fn obituary(&mut self) -> String {
        // Its output is closed, so the end is near; a child that only closed its output is cut.
        for _ in 0..50 {
            if let Ok(Some(status)) = self.process.try_wait() {
                return format!("the implementation ended ({status})");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        "the implementation closed its output".to_owned()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Splits a command line into words: blanks separate, quotes and backslashes keep together.
///
/// No shell takes part, so the process that is started is the process that is stopped.
pub fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = characters.next().ok_or("a backslash ends the command")?;
                word.get_or_insert_default().push(next);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes() {
        assert_eq!(
            split_words(r#"  a 'b c'd "e \" f" g\ h '' "#).unwrap(),
            ["a", "b cd", "e \" f", "g h", ""]
        );
        assert!(split_words("a 'b").is_err());
        assert!(split_words("a\\").is_err());
        assert!(split_words("").unwrap().is_empty());
    }
}
