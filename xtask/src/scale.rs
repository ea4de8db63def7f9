//! `cargo xtask bench scale`: many connections through one listener process, and many idle machines
//! in one process.

use std::time::Duration;

use crate::{Problem, house, process};

const LIMIT: Duration = Duration::from_secs(900);

/// Prints the figures of docs/src/cost.md.
pub(crate) fn bench() -> Result<bool, Problem> {
    let mut scale = house::cargo();
    scale.args([
        "run",
        "--release",
        "--quiet",
        "--package",
        "stillwire-benches",
    ]);
    scale.args(["--features", "aws-lc", "--bin", "scale"]);
    let fine = process::shown(&mut scale, LIMIT, |_| {})?.success();
    let mut idle = house::cargo();
    idle.args([
        "run",
        "--release",
        "--quiet",
        "--package",
        "stillwire-simulator",
    ]);
    idle.args(["--", "--idle", "100000"]);
    Ok(process::shown(&mut idle, LIMIT, |_| {})?.success() && fine)
}
