//! The vectors of the hardened profile, asked of the Python implementation: it and ours must agree
//! on every one.

use crate::peer::{python, root};
use std::process::Command;

#[test]
fn the_python_implementation_passes_the_vectors_of_the_hardened_profile() {
    let Some(python) = python() else {
        println!("skipped: there is no Python with the package cryptography");
        return;
    };
    let iut = root().join("conformance/peers/asoc/hardened_iut.py");
    let asked = format!("'{}' '{}'", python.display(), iut.display());
    let output = Command::new(env!("CARGO_BIN_EXE_stillwire-conformance"))
        .args(["run", "--iut", &asked])
        .arg(root().join("conformance/vectors/asoc/hardened.json"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.ends_with(" passed, 0 failed, 0 skipped"), "{last}");
}
