//! The crate commonware-stream: test programs on it, in `conformance/peers`. Their trees are large,
//! so they are built while other steps run or on demand, and kept in the target folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::process::{self, Running};
use crate::{Problem, house};

/// How long the whole build may take, from its start; what is built by then is kept.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// A test program on some releases of the crate.
pub(crate) struct Peer {
    /// Its folder in `conformance/peers`; the program is named `FOLDER-peer`.
    folder: &'static str,
    /// Cargo's profile, and what its folder of programs is called.
    profile: [&'static str; 2],
}

/// 2026.10.0, with which the benchmarks measure too.
pub(crate) const CURRENT: &Peer = &Peer {
    folder: "commonware",
    profile: ["release", "release"],
};

/// 0.0.62 and 0.0.63. Nobody measures them, so they are built the quicker way.
pub(crate) const OLD: &Peer = &Peer {
    folder: "commonware-old",
    profile: ["dev", "debug"],
};

/// A build that goes on beside everything else.
pub(crate) struct Building {
    peer: &'static Peer,
    running: Running,
    since: Instant,
}

/// Why there is no program.
pub(crate) enum Missing {
    /// Not here, or not yet.
    Unavailable(String),
    Broken(Problem),
}

impl Peer {
    fn source(&self) -> PathBuf {
        house::root().join("conformance/peers").join(self.folder)
    }

    fn target(&self) -> PathBuf {
        house::target().join("peers").join(self.folder)
    }

    fn log(&self) -> PathBuf {
        self.target().join("build.log")
    }

    fn program(&self) -> PathBuf {
        let [_, folder] = self.profile;
        let name = format!("{}-peer", self.folder);
        self.target().join(folder).join(name)
    }

    /// Whether everything it needs could be had.
    fn fetched(&self) -> bool {
        let mut cargo = house::cargo();
        cargo
            .current_dir(self.source())
            .args(["fetch", "--locked"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        cargo.status().is_ok_and(|status| status.success())
    }
}

/// Starts the build; one job, so that the other steps have the rest of the machine.
pub(crate) fn start(peer: &'static Peer) -> Result<Building, Problem> {
    let failed = |path: &Path, error| format!("{}: {error}", path.display());
    let (target, log) = (peer.target(), peer.log());
    std::fs::create_dir_all(&target).map_err(|error| failed(&target, error))?;
    let output = File::create(&log).map_err(|error| failed(&log, error))?;
    let errors = output.try_clone().map_err(|error| failed(&log, error))?;
    let [profile, _] = peer.profile;
    let mut cargo = house::cargo();
    cargo
        .current_dir(peer.source())
        .args(["build", "--profile", profile, "--locked", "--jobs", "1"])
        .env("CARGO_TARGET_DIR", target)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    Ok(Building {
        peer,
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
            return Ok(self.peer.program());
        }
        let text = std::fs::read_to_string(self.peer.log()).unwrap_or_default();
        if self.peer.fetched() {
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
