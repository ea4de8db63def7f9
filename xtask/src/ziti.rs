//! The peers of OpenZiti's encryption: the Go module's program, and libsodium through PyNaCl in a
//! virtual environment of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::{Problem, house, peer, process};

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

/// A Python that has PyNaCl; the environment is made once.
pub(crate) fn libsodium() -> Result<PathBuf, Problem> {
    let folder = house::target().join("peers/pynacl");
    let python = folder.join("bin/python");
    let has_it = || {
        let mut ask = Command::new(&python);
        process::captured(ask.args(["-c", "import nacl.bindings"])).is_ok()
    };
    if has_it() {
        return Ok(python);
    }
    if !house::has("python3", "--version") {
        return Err("python3 is not installed".into());
    }
    let step = |command: &mut Command| {
        let status = process::shown(command, LIMIT, |_| {})?;
        let failed = || format!("PyNaCl could not be installed: {status}");
        status.success().then_some(()).ok_or_else(failed)
    };
    let mut venv = Command::new("python3");
    step(venv.args(["-m", "venv", "--clear"]).arg(&folder))?;
    let list = house::root().join("conformance/peers/ziti/requirements.txt");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    step(pip.arg(list))?;
    if has_it() {
        Ok(python)
    } else {
        Err("PyNaCl was installed and cannot be imported".into())
    }
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
