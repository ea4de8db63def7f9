//! The peers of OpenZiti's encryption: the Go module's program, and libsodium through PyNaCl in a
//! virtual environment of its own.

use std::path::PathBuf;

use crate::{Problem, peer, python};

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
pub(crate) fn libsodium() -> Result<PathBuf, Problem> {
    let list = "conformance/peers/ziti/requirements.txt";
    python::with("pynacl", "nacl.bindings", &["--requirement", list])
}
