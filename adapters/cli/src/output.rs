//! What is printed where: results on stdout, events on stderr; for people or as JSON Lines.

use crate::args::Global;
use crate::exit::{Code, Fault};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

/// Why a result could not be written, if that happened: nobody shall take its absence for success.
static UNWRITTEN: OnceLock<Fault> = OnceLock::new();

/// How the user wants to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
        }
    }

    /// A result: on stdout. A reader that has gone away is no error.
    pub(crate) fn result(self, json: &Value, human: &str) {
        let mut out = io::stdout().lock();
        let written = if self.json {
            writeln!(out, "{json}")
        } else {
            writeln!(out, "{human}")
        };
        note(written.and_then(|()| out.flush()));
    }

    /// What the user should know before relying on what follows.
    pub(crate) fn warn(self, text: &str) {
        self.event(
            &serde_json::json!({ "event": "warning", "message": text }),
            &format!("warning: {text}"),
        );
    }

    /// Something the user wants to know under way: on stderr, unless quiet.
    pub(crate) fn event(self, json: &Value, human: &str) {
        if !self.quiet {
            self.tell(json, human);
        }
    }

    /// Something the user asked for: on stderr, quiet or not.
    pub(crate) fn tell(self, json: &Value, human: &str) {
        if self.json {
            eprint_line(&json.to_string());
        } else {
            eprint_line(human);
        }
    }

    /// A fault that ends nothing: one connection of many.
    pub(crate) fn trouble(self, fault: &Fault) {
        let json = fault_json("trouble", fault);
        self.event(&json, &format!("stillwire: {}", fault.line()));
    }

    /// The fault that ends the program. An interruption is no news to who asked for it.
    pub(crate) fn fault(self, fault: &Fault) {
        if self.quiet && fault.code() == Code::Interrupted {
            return;
        }
        let json = fault_json("error", fault);
        self.tell(&json, &format!("stillwire: {}", fault.line()));
    }

    /// A progress bar for one file; hidden unless stderr is a terminal.
    pub(crate) fn progress(self, name: &str, bytes: u64) -> ProgressBar {
        if self.json || self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let template = "{wide_msg} {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(name.to_owned());
        bar
    }
}

fn fault_json(event: &str, fault: &Fault) -> Value {
    serde_json::json!({
        "event": event,
        "code": fault.code() as u8,
        "kind": fault.code().word(),
        "message": fault.line(),
    })
}

/// A line on stdout; a reader that has gone away is no error.
pub(crate) fn print_line(line: &str) {
    let mut out = io::stdout().lock();
    note(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Remembers the first result that is lost although somebody waits for it.
fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        UNWRITTEN.get_or_init(|| Fault::file("cannot write to stdout", &error));
    }
}

/// The fault of a run that did its work and could not say so.
pub(crate) fn unwritten() -> Result<(), Fault> {
    UNWRITTEN.get().cloned().map_or(Ok(()), Err)
}

/// A line on stderr; nobody is left to be told when that fails.
pub(crate) fn eprint_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
