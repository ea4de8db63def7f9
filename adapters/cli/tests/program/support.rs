//! Processes with a time limit, and places where two of them can meet.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything in these tests may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// The emulator's published account and key.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The program, with nothing of our own environment that it would listen to.
pub(crate) fn stillwire<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillwire"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let heard = [
            "AZURE_",
            "STILLWIRE_",
            "COLUMNS",
            "LINES",
            "NO_COLOR",
            "CLICOLOR",
        ];
        // Proxies are heard in capitals and in small letters.
        let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];
        if heard.iter().any(|prefix| name.starts_with(prefix))
            || proxies.iter().any(|proxy| name.eq_ignore_ascii_case(proxy))
        {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// What a process did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Done {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stderr: {}", self.stderr);
        self
    }

    /// The last line on stderr: the error, if there was one.
    pub(crate) fn last_line(&self) -> &str {
        self.stderr.trim_end().lines().last().unwrap_or_default()
    }
}

/// A running process; killed when the test is over before it is.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    told: Arc<Mutex<Vec<u8>>>,
    printed: Arc<Mutex<Vec<u8>>>,
    started: Instant,
}

/// What a process reads.
pub(crate) enum Input {
    Nothing,
    Bytes(Vec<u8>),
    /// Stays open for as long as the process runs.
    Open,
    /// What the command was given.
    Kept,
}

pub(crate) fn start(command: Command, input: Input) -> Running {
    start_into(command, input, Output::Kept)
}

/// The same for a process whose stdout is closed at once by whoever should read it.
pub(crate) fn start_unread(command: Command, input: Input) -> Running {
    start_into(command, input, Output::Unread)
}

/// Where a process writes.
pub(crate) enum Output {
    Kept,
    Unread,
    File(fs::File),
}

/// The same for a process whose stdout goes elsewhere.
pub(crate) fn start_into(mut command: Command, input: Input, output: Output) -> Running {
    let read = matches!(output, Output::Kept);
    match input {
        Input::Nothing => drop(command.stdin(Stdio::null())),
        Input::Bytes(_) | Input::Open => drop(command.stdin(Stdio::piped())),
        Input::Kept => {}
    }
    let stdout = match output {
        Output::File(file) => Stdio::from(file),
        Output::Kept | Output::Unread => Stdio::piped(),
    };
    let mut child = command
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let Input::Bytes(bytes) = input {
        let mut stdin = child.stdin.take().unwrap();
        // The process may end before it has read everything.
        thread::spawn(move || drop(stdin.write_all(&bytes)));
    }
    let (told, printed) = (Arc::default(), Arc::default());
    let stdout = child.stdout.take().map(|from| {
        if read {
            return read_all(from, Arc::clone(&printed));
        }
        drop(from);
        thread::spawn(Vec::new)
    });
    let stderr = child
        .stderr
        .take()
        .map(|from| read_all(from, Arc::clone(&told)));
    Running {
        told,
        printed,
        child,
        stdout,
        stderr,
        started: Instant::now(),
    }
}

/// The line of `--stats` in what was said on stderr.
pub(crate) fn stats(told: &str) -> serde_json::Value {
    let line = told.lines().find(|line| line.contains("\"stats\""));
    serde_json::from_str(line.expect("a line of counters")).unwrap()
}

pub(crate) fn run(command: Command, input: Input) -> Done {
    start(command, input).finish()
}

/// Reads to the end; what has come so far is in `seen`.
fn read_all(
    mut from: impl Read + Send + 'static,
    seen: Arc<Mutex<Vec<u8>>>,
) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut part = vec![0; 65_536];
        while let Ok(n @ 1..) = from.read(&mut part) {
            seen.lock().unwrap().extend(&part[..n]);
        }
        seen.lock().unwrap().clone()
    })
}

impl Running {
    /// Waits for the end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Done {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > LIMIT {
                self.child.kill().unwrap();
                let stderr = self.stderr.take().unwrap().join().unwrap();
                panic!(
                    "no end within {LIMIT:?}: {}",
                    String::from_utf8_lossy(&stderr)
                );
            }
            thread::sleep(Duration::from_millis(10));
        };
        let stdout = self.stdout.take();
        let stdout = stdout.map_or_else(Vec::new, |reader| reader.join().unwrap());
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Done {
            code: status.code(),
            stdout,
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Waits until the process has said this on stderr.
    #[track_caller]
    pub(crate) fn wait_to_hear(&self, text: &str) {
        wait_for(|| self.told().contains(text));
    }

    /// What the process has said on stderr so far.
    pub(crate) fn told(&self) -> String {
        String::from_utf8_lossy(&self.told.lock().unwrap()).into_owned()
    }

    /// What the process has said on stdout so far.
    #[cfg(target_os = "linux")]
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Takes the process's stdin, to close it or to write to it.
    pub(crate) fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().unwrap()
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a listener and a dialer meet, and room for files.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    store: Vec<String>,
    env: Vec<(&'static str, String)>,
}

impl Place {
    pub(crate) fn directory() -> Self {
        let dir = TempDir::new().unwrap();
        let store = format!("dir:{}", dir.path().join("store").display());
        Self {
            dir,
            store: vec![store],
            env: Vec::new(),
        }
    }

    /// [`None`], said aloud, without an emulator. Names are nobody else's.
    pub(crate) fn azurite() -> Option<Self> {
        Self::azurite_with("azblob", "STILLWIRE_AZURITE_BLOB")
    }

    /// The same over queues.
    pub(crate) fn azurite_queue() -> Option<Self> {
        Self::azurite_with("azqueue", "STILLWIRE_AZURITE_QUEUE")
    }

    /// The same over tables.
    pub(crate) fn azurite_table() -> Option<Self> {
        Self::azurite_with("aztable", "STILLWIRE_AZURITE_TABLE")
    }

    /// Whichever of the three there are, by name.
    pub(crate) fn azurites() -> Vec<(&'static str, Self)> {
        let places = [
            ("blobs", Self::azurite()),
            ("queues", Self::azurite_queue()),
            ("tables", Self::azurite_table()),
        ];
        let there = places.into_iter();
        there
            .filter_map(|(name, place)| Some((name, place?)))
            .collect()
    }

    fn azurite_with(driver: &str, variable: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Ok(endpoint) = std::env::var(variable) else {
            eprintln!("skipped: {variable} is not set");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // The names of tables have no hyphens.
        let dash = if driver == "aztable" { "x" } else { "-" };
        let unique = format!("{}{dash}{number}", std::process::id());
        let mut store = vec![format!("{driver}+{endpoint}")];
        store.extend(["--handshake".to_owned(), format!("handshake{dash}{unique}")]);
        store.extend(["--token".to_owned(), format!("token{dash}{unique}")]);
        Some(Self {
            dir: TempDir::new().unwrap(),
            store,
            env: vec![
                ("AZURE_STORAGE_ACCOUNT", ACCOUNT.to_owned()),
                ("AZURE_STORAGE_KEY", KEY.to_owned()),
            ],
        })
    }

    /// The name of the place for answers.
    pub(crate) fn token(&self) -> &str {
        &self.store[4]
    }

    /// The emulator's endpoint and the name of the handshake place.
    pub(crate) fn meeting(&self) -> (&str, &str) {
        let (_, endpoint) = self.store[0].split_once('+').expect("a driver and a URL");
        (endpoint, &self.store[2])
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A verb that listens here; its ticket goes to the file `ticket`.
    pub(crate) fn listening(&self, verb: &str, arguments: &[&str]) -> Command {
        let _ = fs::remove_file(self.path("ticket"));
        let mut command = stillwire([verb]);
        command
            .args(&self.store)
            .args(arguments)
            .arg("--ticket-file")
            .arg(self.path("ticket"))
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A verb that is about the store itself.
    pub(crate) fn about(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = stillwire([verb]);
        command
            .args(&self.store)
            .args(arguments)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The same at another endpoint, with the names of this one.
    pub(crate) fn about_at(&self, endpoint: &str, verb: &str, arguments: &[&str]) -> Command {
        let (driver, _) = self.store[0].split_once('+').expect("a driver and a URL");
        let mut command = stillwire([verb, &format!("{driver}+{endpoint}")]);
        command
            .args(&self.store[1..])
            .args(arguments)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The same, for verbs that choose names of their own.
    pub(crate) fn nameless(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = stillwire([verb, &self.store[0]]);
        command
            .args(arguments)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Prepares the meeting place; the ticket goes to the file `ticket`.
    pub(crate) fn prepare(&self) {
        let mut command = stillwire(["ticket"]);
        command
            .args(&self.store)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        let ticket = run(command, Input::Nothing).expect(0).stdout;
        self.write("ticket", &ticket);
    }

    /// A verb that dials whoever listens here. It needs no key.
    pub(crate) fn dialing(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = stillwire([verb]);
        command
            .arg("--ticket-file")
            .arg(self.ticket())
            .args(arguments)
            .current_dir(self.dir.path());
        command
    }

    /// Waits for the ticket file.
    #[track_caller]
    fn ticket(&self) -> PathBuf {
        let path = self.path("ticket");
        wait_for(|| path.exists());
        path
    }

    /// Names in a directory here.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        names(&self.path(directory))
    }
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
pub(crate) fn wait_for(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < LIMIT, "nothing within {LIMIT:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Bytes that no zero run or repetition could stand in for.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_9ABC_DEF1_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}
