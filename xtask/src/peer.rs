//! The Go side of the interoperability tests, built from `conformance/peers`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::{Problem, house, process};

/// Why it cannot be built on this machine, or nothing.
pub(crate) fn unavailable() -> Option<&'static str> {
    (!house::has("go", "version")).then_some("go is not installed")
}

/// Builds the program and says where it is.
pub(crate) fn build() -> Result<PathBuf, Problem> {
    program("aznet", "aznet-peer")
}

/// Builds the program of a folder in `conformance/peers` and says where it is.
pub(crate) fn program(folder: &str, name: &str) -> Result<PathBuf, Problem> {
    let program = house::target().join("peers").join(name);
    let mut go = Command::new("go");
    go.current_dir(house::root().join("conformance/peers").join(folder))
        .args(["build", "-buildvcs=false", "-trimpath", "-o"])
        .arg(&program)
        .arg(".");
    served_modules(&mut go)?;
    let status = process::shown(&mut go, Duration::from_secs(900), |_| {})?;
    if status.success() {
        Ok(program)
    } else {
        Err("the Go peer did not build".into())
    }
}

/// Where a folder beside the checkout serves the peers' modules, asks it first.
/// The checksum database does not know the versions it serves; go.sum does.
fn served_modules(go: &mut Command) -> Result<(), Problem> {
    let folder = house::root().join("../shared/peers/goproxy");
    let Ok(folder) = folder.canonicalize() else {
        return Ok(());
    };
    let mut proxies = format!("file://{}", folder.display());
    let configured = process::captured(Command::new("go").args(["env", "GOPROXY"]))?;
    let configured = configured.trim();
    if !configured.contains(&proxies) {
        proxies = format!("{proxies},{configured}");
        go.env("GOPROXY", proxies);
    }
    go.env("GONOSUMDB", "github.com/atsika/*,github.com/openziti/*");
    Ok(())
}
