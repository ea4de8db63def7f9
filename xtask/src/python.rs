//! Virtual environments for peers that are Python packages, each made once under `target/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Problem, house, process};

const LIMIT: Duration = Duration::from_secs(300);

/// A Python in which `module` can be imported; where it cannot, `wanted` (what `pip install`
/// takes) is installed into an environment of that name first.
pub(crate) fn with(name: &str, module: &str, wanted: &[&str]) -> Result<PathBuf, Problem> {
    let folder = house::target().join("peers").join(name);
    let python = folder.join("bin/python");
    if imports(&python, module) {
        return Ok(python);
    }
    if !house::has("python3", "--version") {
        return Err("python3 is not installed".into());
    }
    let step = |command: &mut Command| {
        let status = process::shown(command, LIMIT, |_| {})?;
        let failed = || format!("{module} could not be installed: {status}");
        status.success().then_some(()).ok_or_else(failed)
    };
    let mut venv = Command::new("python3");
    step(venv.args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(&python);
    step(
        pip.args(["-m", "pip", "install", "--quiet"])
            .args(wanted)
            .current_dir(house::root()),
    )?;
    if imports(&python, module) {
        Ok(python)
    } else {
        Err(format!("{module} was installed and cannot be imported"))
    }
}

fn imports(python: &Path, module: &str) -> bool {
    let mut ask = Command::new(python);
    process::captured(ask.args(["-c", &format!("import {module}")])).is_ok()
}

/// The Python with the real ASoc node, whose wheel lies beside the checkout or is named by
/// `STILLWIRE_ASOC_WHEEL`.
pub(crate) fn asoc() -> Result<PathBuf, Problem> {
    let wheel = match std::env::var_os("STILLWIRE_ASOC_WHEEL") {
        Some(wheel) => PathBuf::from(wheel),
        None => house::root().join("../shared/peers/asoc_protocol-0.1.0-py3-none-any.whl"),
    };
    if !wheel.is_file() {
        return Err("its wheel is not here; name it with STILLWIRE_ASOC_WHEEL".into());
    }
    let wheel = wheel.to_str().ok_or("the wheel's path is not text")?;
    with("asoc", "asoc", &[wheel])
}
