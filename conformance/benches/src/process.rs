//! What the programs of the benchmarks share: flags, lines of JSON, memory, and an
//! end with whoever started them.

use std::io::Read;
use std::thread;

/// Flags of the form `--name value`, and the words between them.
#[derive(Debug, Default)]
pub struct Flags {
    named: Vec<(String, String)>,
    /// Words that belong to no flag.
    pub words: Vec<String>,
}

impl Flags {
    /// Reads the command line.
    ///
    /// # Errors
    /// A flag without a value, or one that is not known.
    pub fn parse(arguments: impl Iterator<Item = String>, known: &[&str]) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut arguments = arguments;
        while let Some(word) = arguments.next() {
            let Some(name) = word.strip_prefix("--") else {
                flags.words.push(word);
                continue;
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, arguments.next()),
            };
            if !known.contains(&name) {
                return Err(format!("unknown flag --{name}"));
            }
            let value = value.ok_or_else(|| format!("--{name} needs a value"))?;
            flags.named.push((name.to_owned(), value));
        }
        Ok(flags)
    }

    /// The value of a flag; the last one counts.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.named
            .iter()
            .rev()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// The number of a flag, or the default.
    ///
    /// # Errors
    /// A value that is not a number.
    pub fn number(&self, name: &str, default: u64) -> Result<u64, String> {
        self.text(name).map_or(Ok(default), |value| {
            value
                .parse()
                .map_err(|_| format!("--{name} is not a number: {value}"))
        })
    }
}

/// Ends the process when standard input does, so that it never outlives its parent.
pub fn follow_stdin() {
    thread::spawn(|| {
        let mut stdin = std::io::stdin().lock();
        let mut sink = [0; 64];
        while matches!(stdin.read(&mut sink), Ok(n) if n > 0) {}
        std::process::exit(3);
    });
}

/// The most memory the process had resident, in KiB; 0 where there is no `/proc`.
pub fn peak_kib() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        })
        .unwrap_or(0)
}
