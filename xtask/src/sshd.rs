//! OpenSSH's server, for the test of `dial` as a `ProxyCommand`. Where none is installed, Debian's
//! package is fetched and unpacked under the build directory; the system stays as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{house, process};

const SCRIPT: &str = include_str!("sshd.sh");

/// The server, and the libraries of its own that a small Debian lacks.
const PACKAGES: [&str; 4] = ["openssh-server", "libwrap0", "libnsl2", "libtirpc3"];

/// Where an installation puts it.
const USUAL: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"];

/// A script that runs it, or why there is none.
pub(crate) fn script() -> Result<PathBuf, String> {
    let home = house::target().join("peers/openssh");
    fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    let mut installed = USUAL.iter().map(|place| Path::new(place).join("sshd"));
    let (program, libraries) = if let Some(program) = installed.find(|program| program.is_file()) {
        (program, String::new())
    } else {
        let root = home.join("root");
        let program = root.join("usr/sbin/sshd");
        if !program.is_file() {
            unpack(&home, &root)?;
        }
        (program, libraries(&root))
    };
    let text = SCRIPT
        .replace("@PROGRAM@", &program.display().to_string())
        .replace("@LIBRARIES@", &libraries);
    let script = home.join("sshd");
    fs::write(&script, text)
        .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("{}: {error}", script.display()))?;
    // Old ones do not know the option; they name themselves in what they say about it.
    let told = Command::new(&script).arg("-V").output();
    let told = told.map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    if told.contains("OpenSSH") {
        return Ok(script);
    }
    let why = told.lines().next().unwrap_or("it says nothing");
    Err(format!("{} does not run here: {why}", program.display()))
}

fn unpack(home: &Path, root: &Path) -> Result<(), String> {
    for tool in ["apt-get", "dpkg-deb"] {
        if !house::has(tool, "--version") {
            return Err(format!("sshd is not installed, and there is no {tool}"));
        }
    }
    let mut fetch = Command::new("apt-get");
    fetch.current_dir(home).arg("download").args(PACKAGES);
    process::captured(&mut fetch)?;
    let entries = fs::read_dir(home).map_err(|error| error.to_string())?;
    for entry in entries {
        let file = entry.map_err(|error| error.to_string())?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("-x").arg(&file).arg(root);
            process::captured(&mut unpack)?;
        }
    }
    Ok(())
}

/// The folders of libraries in an unpacked tree, for the loader.
fn libraries(root: &Path) -> String {
    let mut found = Vec::new();
    for folder in ["lib", "usr/lib"] {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten();
        let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
        found.extend(folders.filter(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().contains("linux-gnu")
        }));
    }
    let found: Vec<String> = found
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    found.join(":")
}
