//! The emulator, the Go program, and streams that check every byte.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use stillwire_azure::Service;
use stillwire_tokio::{Config, Connection, Listener, Options, Store, Ticket, WriteHalf, dial};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub(crate) const ACCOUNT: &str = "devstoreaccount1";
/// The emulator's well-known key, published with it.
pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// One test's corner of the emulator: bootstrap names of its own.
pub(crate) struct Emulator {
    pub(crate) endpoint: String,
    driver: &'static str,
    program: String,
    number: u32,
}

impl Emulator {
    /// [`None`], said aloud, where the emulator or the Go program is missing.
    pub(crate) fn open(test: &str) -> Option<Self> {
        Self::open_on("azblob", test)
    }

    /// The same for another driver: `azqueue` or `aztable`.
    pub(crate) fn open_on(driver: &'static str, test: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let service = driver.trim_start_matches("az").to_uppercase();
        let endpoint = std::env::var(format!("STILLWIRE_AZURITE_{service}"));
        let program = std::env::var("STILLWIRE_GO_AZNET");
        let (Ok(endpoint), Ok(program)) = (endpoint, program) else {
            println!("skipped: {test} needs the emulator and the Go peer (cargo xtask test)");
            return None;
        };
        let number = std::process::id() * 100 + NUMBER.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            endpoint,
            driver,
            program,
            number,
        })
    }

    pub(crate) fn handshake(&self) -> String {
        self.name("handshake")
    }

    pub(crate) fn token(&self) -> String {
        self.name("token")
    }

    pub(crate) fn service(&self) -> Service {
        match self.driver {
            "azqueue" => Service::Queue,
            "aztable" => Service::Table,
            _ => Service::Blob,
        }
    }

    /// Tables have no hyphens in their names.
    fn name(&self, what: &str) -> String {
        let hyphen = if self.driver == "aztable" { "" } else { "-" };
        format!("{what}{hyphen}{}", self.number)
    }

    pub(crate) fn options(&self) -> Options {
        let variables = BTreeMap::from([
            ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
            ("AZURE_STORAGE_KEY", KEY),
        ]);
        Options {
            handshake: Some(self.handshake()),
            token: Some(self.token()),
            environment: Arc::new(move |name| variables.get(name).map(ToString::to_string)),
            ..Options::default()
        }
    }

    pub(crate) fn store(&self, options: &Options) -> Store {
        Store::from_address(&format!("{}+{}", self.driver, self.endpoint), options).unwrap()
    }

    /// Our listener.
    pub(crate) async fn listen(&self, options: &Options, config: Config) -> Listener {
        self.store(options).listen(config).await.unwrap()
    }

    /// Our dialer, on a Go listener's URL.
    pub(crate) async fn dial(&self, url: &str, config: Config) -> Connection {
        let ticket: Ticket = url.parse().unwrap();
        dial(&ticket, config).await.unwrap()
    }

    /// Starts the Go program; it ends when this value is dropped.
    pub(crate) fn go(&self, verb: &str, arguments: &[&str]) -> Go {
        let mut command = Command::new(&self.program);
        command
            .arg(verb)
            .args(["--driver", self.driver])
            .args(["--handshake", &self.handshake(), "--token", &self.token()])
            .args(arguments)
            .env("AZURE_STORAGE_ENDPOINT", &self.endpoint)
            .env("AZURE_STORAGE_ACCOUNT", ACCOUNT)
            .env("AZURE_STORAGE_KEY", KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Go { child, lines }
    }

    /// A Go listener and its URL.
    pub(crate) async fn go_listen(&self, arguments: &[&str]) -> (Go, String) {
        let mut go = self.go("listen", arguments);
        let line = go.next("listening").await;
        let url = text(&line, "url").expect("the URL");
        // Go's encoder escapes the ampersand.
        (go, url.replace("\\u0026", "&"))
    }
}

pub(crate) struct Go {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Go {
    /// The next line about `event`; fails on anything that went wrong there.
    pub(crate) async fn next(&mut self, event: &str) -> String {
        let wait = async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("the Go program ended before {event}"));
                assert!(!line.contains(r#""event":"failed""#), "{line}");
                if line.contains(&format!(r#""event":"{event}""#)) {
                    return line;
                }
            }
        };
        let limit = tokio::time::timeout(Duration::from_secs(90), wait).await;
        limit.unwrap_or_else(|_| panic!("no {event} within 90 s"))
    }

    /// Whether its one connection came to a good end.
    pub(crate) async fn is_done(&mut self) -> bool {
        let wait = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let ended = ["done", "failed"].map(|e| line.contains(&format!(r#""event":"{e}""#)));
                if ended.contains(&true) {
                    return ended[0];
                }
            }
            panic!("the Go program ended without a word")
        };
        let limit = tokio::time::timeout(Duration::from_secs(90), wait).await;
        limit.expect("an end within 90 s")
    }

    pub(crate) async fn wait(&mut self) -> Option<i32> {
        let limit = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        limit.expect("the Go program ends").unwrap().code()
    }
}

/// A text field of one line of the Go program.
pub(crate) fn text(line: &str, name: &str) -> Option<String> {
    let rest = line.split_once(&format!(r#""{name}":""#))?.1;
    Some(rest.split_once('"')?.0.to_owned())
}

/// A whole number field.
pub(crate) fn number(line: &str, name: &str) -> Option<u64> {
    let rest = line.split_once(&format!(r#""{name}":"#))?.1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The Go program's pattern: splitmix64 from a seed, little-endian.
pub(crate) fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(length);
    out
}

/// Gives everything back and ends after the peer did.
pub(crate) async fn echo(connection: Connection) -> WriteHalf {
    let (mut read, mut write) = connection.split();
    tokio::io::copy(&mut read, &mut write).await.unwrap();
    write.shutdown().await.unwrap();
    write
}

/// Sends the pattern, half-closes, and compares what comes back.
pub(crate) async fn exchange(connection: Connection, seed: u64, length: usize) -> WriteHalf {
    let (mut read, mut write) = connection.split();
    let sending = tokio::spawn(async move {
        write.write_all(&pattern(seed, length)).await.unwrap();
        write.shutdown().await.unwrap();
        write
    });
    let mut back = Vec::new();
    read.read_to_end(&mut back).await.unwrap();
    assert!(
        back == pattern(seed, length),
        "{} bytes came back",
        back.len()
    );
    sending.await.unwrap()
}

/// A configuration for tests: the Go listener hides waiting handshakes for up to a minute.
pub(crate) fn config() -> Config {
    Config {
        connect_timeout: Duration::from_secs(90),
        // A Go dialer does not say when it has read everything: its session stays for so long.
        close_timeout: Duration::from_secs(10),
        ping_interval: Duration::from_secs(5),
        accept_poll: Duration::from_millis(200),
        ..Config::default()
    }
}
