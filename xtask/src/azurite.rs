//! The pinned Azure Storage emulator: installed under the build directory from
//! the committed lock, started on free loopback ports with nothing on disk.

use std::fs;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::bench::Service;
use crate::process::{self, Lines, Running};
use crate::{Problem, house};

/// The account every Azurite has, and its published key.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running emulator; dropping it stops it.
pub(crate) struct Azurite {
    _process: Running,
    _stdin: Option<ChildStdin>,
    _lines: Lines,
    endpoints: [String; 3],
}

/// As the emulator calls them, in the order of [`Service`].
const SERVICES: [&str; 3] = ["Blob", "Queue", "Table"];

/// Why it cannot be had on this machine, or nothing.
pub(crate) fn unavailable() -> Option<&'static str> {
    if !house::has("node", "--version") {
        Some("node is not installed")
    } else if !house::has("npm", "--version") {
        Some("npm is not installed")
    } else {
        None
    }
}

fn home() -> std::path::PathBuf {
    house::target().join("peers/azurite")
}

/// Installs what the committed lock names, unless it is there already.
pub(crate) fn install() -> Result<(), Problem> {
    let from = house::root().join("conformance/peers/azurite");
    let home = home();
    let lock = "package-lock.json";
    let wanted = fs::read(from.join(lock)).map_err(|error| format!("{lock}: {error}"))?;
    // Written last, so that an install cut short is done again.
    let stamp = home.join("installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    for file in ["package.json", lock, ".npmrc"] {
        fs::copy(from.join(file), home.join(file)).map_err(|error| format!("{file}: {error}"))?;
    }
    let mut npm = Command::new("npm");
    npm.args([
        "ci",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel",
        "error",
    ]);
    let status = process::shown(npm.current_dir(&home), Duration::from_secs(600), |_| {})?;
    if !status.success() {
        return Err("npm ci could not install Azurite".into());
    }
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

impl Azurite {
    /// Starts a fresh, empty emulator. It must be installed.
    pub(crate) fn start() -> Result<Self, Problem> {
        let mut node = Command::new("node");
        node.current_dir(home())
            .arg(house::root().join("conformance/peers/azurite/start.cjs"))
            .args([
                "--inMemoryPersistence",
                "--skipApiVersionCheck",
                "--disableTelemetry",
                "--silent",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        for service in ["blob", "queue", "table"] {
            node.args([format!("--{service}Host"), "127.0.0.1".into()]);
            node.args([format!("--{service}Port"), "0".into()]);
        }
        let mut process = process::spawn(&mut node)?;
        let stdin = process.take_stdin();
        let lines = Lines::new(process.take_stdout().ok_or("no pipe to Azurite")?);
        let mut endpoints: [Option<String>; 3] = [None, None, None];
        while endpoints.iter().any(Option::is_none) {
            let line = lines
                .next(Duration::from_secs(60))
                .ok_or("Azurite did not say within a minute that it listens")?;
            for (endpoint, service) in endpoints.iter_mut().zip(SERVICES) {
                let announced = format!("Azurite {service} service is successfully listening at ");
                if let Some(url) = line.strip_prefix(&announced) {
                    *endpoint = Some(format!("{}/{ACCOUNT}", url.trim_end_matches('/')));
                }
            }
        }
        Ok(Self {
            _process: process,
            _stdin: stdin,
            _lines: lines,
            endpoints: endpoints.map(Option::unwrap_or_default),
        })
    }

    /// A service's URL, account included.
    pub(crate) fn endpoint(&self, service: Service) -> &str {
        &self.endpoints[service as usize]
    }

    /// What tests read: the services' URLs.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let names = [
            "STILLWIRE_AZURITE_BLOB",
            "STILLWIRE_AZURITE_QUEUE",
            "STILLWIRE_AZURITE_TABLE",
        ];
        names
            .into_iter()
            .zip(self.endpoints.iter().cloned())
            .collect()
    }
}

/// `cargo xtask azurite`: runs until a signal ends this process.
pub(crate) fn serve() -> Result<bool, Problem> {
    if let Some(why) = unavailable() {
        return Err(why.into());
    }
    install()?;
    let azurite = Azurite::start()?;
    for (name, url) in azurite.environment() {
        println!("export {name}={url}");
    }
    println!("export AZURE_STORAGE_ACCOUNT={ACCOUNT}");
    println!("export AZURE_STORAGE_KEY={KEY}  # the emulator's published key");
    eprintln!("Azurite runs until Ctrl-C.");
    loop {
        std::thread::park();
    }
}
