//! Where things are, and how the tools of the house are called.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Problem, process};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The build directory, where everything that tests install goes too.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A command run at the workspace's root.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` sets these for this program; a cargo below it would rebuild
    // build scripts that look at them.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Whether a program can be started at all.
pub(crate) fn has(program: &str, argument: &str) -> bool {
    process::captured(command(program).arg(argument)).is_ok()
}

/// What `cargo metadata` says, with or without the dependencies.
pub(crate) fn metadata(dependencies: bool) -> Result<Value, Problem> {
    let mut cargo = cargo();
    cargo.args(["metadata", "--format-version", "1"]);
    if !dependencies {
        cargo.arg("--no-deps");
    }
    serde_json::from_str(&process::captured(&mut cargo)?)
        .map_err(|error| format!("cargo metadata: {error}"))
}

/// The text of a JSON member, or nothing.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// The list of a JSON member, or nothing.
pub(crate) fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}
