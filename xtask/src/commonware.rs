//! The crate commonware-stream: a test program on it, in `conformance/peers/commonware`. Its tree
//! is large, so it is built while other steps run, and kept in the target folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::process::{self, Running};
use crate::{Problem, house};

/// How long the whole build may take, from its start; what is built by then is kept.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// A build that goes on beside everything else.
pub(crate) struct Building {
    running: Running,
    since: Instant,
}

/// Why there is no program.
pub(crate) enum Missing {
    /// Not here, or not yet.
    Unavailable(String),
    Broken(Problem),
}

fn folder() -> PathBuf {
    house::root().join("conformance/peers/commonware")
}

fn target() -> PathBuf {
    house::target().join("peers/commonware")
}

fn log() -> PathBuf {
    target().join("build.log")
}

/// Starts the build; one job, so that the other steps have the rest of the machine.
pub(crate) fn start() -> Result<Building, Problem> {
    let failed = |path: &Path, error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(target()).map_err(|error| failed(&target(), error))?;
    let output = File::create(log()).map_err(|error| failed(&log(), error))?;
    let errors = output.try_clone().map_err(|error| failed(&log(), error))?;
    let mut cargo = house::cargo();
    cargo
        .current_dir(folder())
        .args(["build", "--release", "--locked", "--jobs", "1"])
        .env("CARGO_TARGET_DIR", target())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    Ok(Building {
        running: process::spawn(&mut cargo)?,
        since: Instant::now(),
    })
}

impl Building {
    /// Waits for the end of the build and says where the program is.
    pub(crate) fn program(mut self) -> Result<PathBuf, Missing> {
        let left = LIMIT.saturating_sub(self.since.elapsed());
        let Ok(status) = self.running.wait(left) else {
            return Err(Missing::Unavailable(format!(
                "the crate was not built within {} minutes; the next run goes on from there",
                LIMIT.as_secs() / 60
            )));
        };
        if status.success() {
            return Ok(target().join("release/commonware-peer"));
        }
        let text = std::fs::read_to_string(log()).unwrap_or_default();
        if fetched() {
            let tail: Vec<&str> = text.lines().rev().take(20).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            return Err(Missing::Broken(format!(
                "the peer did not build:\n{}",
                tail.join("\n")
            )));
        }
        Err(Missing::Unavailable("the crate cannot be fetched".into()))
    }
}

/// Whether everything the peer needs could be had.
fn fetched() -> bool {
    let mut cargo = house::cargo();
    cargo
        .current_dir(folder())
        .args(["fetch", "--locked"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    cargo.status().is_ok_and(|status| status.success())
}
