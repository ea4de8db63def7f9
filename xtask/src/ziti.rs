//! The peers of OpenZiti's encryption: the Go module's program, and libsodium through PyNaCl in a
//! virtual environment of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::{Problem, house, peer, process, python};

const LIMIT: Duration = Duration::from_secs(300);

/// What the tests need to find both peers. One that cannot be had is said aloud, and its tests
/// skip.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    match go() {
        Ok(program) => found.push(("STILLWIRE_GO_ZITI", program.display().to_string())),
        Err(why) => println!("without openziti/secretstream: {why}"),
    }
    match libsodium() {
        Ok(python) => found.push(("STILLWIRE_PYNACL", python.display().to_string())),
        Err(why) => println!("without libsodium: {why}"),
    }
    found
}

fn go() -> Result<PathBuf, Problem> {
    if let Some(why) = peer::unavailable() {
        return Err(why.into());
    }
    peer::program("ziti", "ziti-peer")
}

/// A Python that has PyNaCl.
fn libsodium() -> Result<PathBuf, Problem> {
    let list = "conformance/peers/ziti/requirements.txt";
    python::with("pynacl", "nacl.bindings", &["--requirement", list])
}

/// `cargo xtask bench ziti`: libsodium and our own, in turn, on messages of 64 KiB.
pub(crate) fn bench() -> Result<bool, Problem> {
    let python = libsodium()?;
    let mut fine = true;
    for features in [&[][..], &["--features", "aws-lc"]] {
        let mut sodium = Command::new(&python);
        sodium.arg(house::root().join("conformance/peers/ziti/peer.py"));
        fine &= process::shown(sodium.arg("speed"), LIMIT, |_| {})?.success();
        let mut ours = house::cargo();
        ours.args([
            "bench",
            "-p",
            "stillwire-benches",
            "--bench",
            "secretstream",
        ]);
        ours.args(features);
        let limit = LIMIT.saturating_mul(4);
        fine &= process::shown(&mut ours, limit, |_| {})?.success();
    }
    Ok(fine)
}
