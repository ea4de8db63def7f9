//! Child processes that do not outlive this one, whichever way it ends: each is
//! the head of a process group of its own, ended on drop, on a panic's unwinding
//! and on signals. Long-lived helpers also end by themselves when the pipe to
//! their standard input closes.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpid,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Problem;

/// Leads of the process groups that are still to be ended.
static LIVE: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

const PATIENCE: Duration = Duration::from_secs(3);

fn live() -> MutexGuard<'static, Vec<Pid>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child and everything it started.
pub(crate) struct Running {
    child: Child,
    group: Pid,
    name: String,
}

/// Starts a command in a process group of its own.
pub(crate) fn spawn(command: &mut Command) -> Result<Running, Problem> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.process_group(0);
    // Held across the start, so that a signal cannot come between it and the list.
    let mut live = live();
    let child = command
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    let group = Pid::from_child(&child);
    live.push(group);
    Ok(Running { child, group, name })
}

impl Running {
    /// Waits for the child itself; past the limit it is ended and that is a problem.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Problem> {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() >= end => {
                    self.end();
                    return Err(format!(
                        "{} took longer than {} s",
                        self.name,
                        limit.as_secs()
                    ));
                }
                Ok(None) => thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
        }
    }

    /// Whether anything it started still runs a moment after it ended.
    pub(crate) fn left_something(&self) -> bool {
        let end = Instant::now() + PATIENCE;
        while test_kill_process_group(self.group).is_ok() {
            if Instant::now() >= end {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        false
    }

    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    fn end(&mut self) {
        drop(self.child.stdin.take());
        end_group(self.group);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        let _ = self.child.try_wait();
        live().retain(|&pid| pid != self.group);
    }
}

fn end_group(group: Pid) {
    // Its head is our child: reaped, so that the group is gone when its last process is.
    let reap = || {
        let _ = waitpid(Some(group), WaitOptions::NOHANG);
    };
    for signal in [Signal::TERM, Signal::KILL] {
        reap();
        if kill_process_group(group, signal).is_err() {
            return;
        }
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            reap();
            if test_kill_process_group(group).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Ends every child that still runs.
pub(crate) fn end_children() {
    for group in live().drain(..) {
        end_group(group);
    }
}

/// On an interrupt or a termination: ends every child, then this process.
pub(crate) fn end_children_on_signals() {
    let mut signals = match Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("xtask: no signal handling: {error}");
            return;
        }
    };
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end_children();
            std::process::exit(128 + signal);
        }
    });
}

/// Runs a command and hands over what it printed; failing is a problem.
pub(crate) fn captured(command: &mut Command) -> Result<String, Problem> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} failed: {}", why.trim()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{name} printed something else than text"))
}

/// Runs a command to its end, shows its lines as they come and hands each to
/// `look`. Processes that it leaves behind are ended, and that is a problem.
pub(crate) fn shown(
    command: &mut Command,
    limit: Duration,
    mut look: impl FnMut(&str) + Send,
) -> Result<ExitStatus, Problem> {
    let mut running = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let lines = running.take_stdout().ok_or("no pipe to the child")?;
    let status = thread::scope(|scope| {
        scope.spawn(move || {
            let mut out = std::io::stdout();
            for line in BufReader::new(lines).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                look(&line);
                let _ = writeln!(out, "{line}");
            }
        });
        let status = running.wait(limit);
        // The reader ends with the last holder of the pipe, so leftovers go first.
        let left = running.left_something();
        running.end();
        match status {
            Ok(_) if left => Err(format!(
                "{} left processes behind (ended now)",
                running.name
            )),
            other => other,
        }
    })?;
    Ok(status)
}

/// The lines of a long-lived helper, each waited for with a limit.
pub(crate) struct Lines {
    lines: std::sync::mpsc::Receiver<String>,
}

impl Lines {
    pub(crate) fn new(from: ChildStdout) -> Self {
        let (sender, lines) = std::sync::mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                // Also when nobody listens any more: the helper must not block on its pipe.
                let _ = sender.send(line);
            }
        });
        Self { lines }
    }

    pub(crate) fn next(&self, limit: Duration) -> Option<String> {
        self.lines.recv_timeout(limit).ok()
    }
}
