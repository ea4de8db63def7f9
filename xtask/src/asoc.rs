//! `cargo xtask bench asoc`: a stream beside a bare TCP copy, handshakes, idle connections.

use std::time::Duration;

use crate::{Problem, house, process};

const LIMIT: Duration = Duration::from_secs(600);

/// Prints a line of JSON for each figure.
pub(crate) fn bench() -> Result<bool, Problem> {
    let mut fine = true;
    for verb in ["stream", "handshakes", "idle"] {
        let mut bench = house::cargo();
        bench.args(["run", "--release", "--quiet", "--package"]);
        bench.args(["stillwire-benches", "--features", "aws-lc"]);
        bench.args(["--bin", "asoc-bench", "--", verb]);
        fine &= process::shown(&mut bench, LIMIT, |_| {})?.success();
    }
    Ok(fine)
}
