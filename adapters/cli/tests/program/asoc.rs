//! `stillwire asoc`, over loopback, and with the real Python node when
//! `STILLWIRE_ASOC_PYTHON` says where it is.

use crate::support::{Input, Running, noise, run, start, start_unread, stats, stillwire, wait_for};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const KEY: &str = "a key of the cluster, 32 bytes..";

fn asoc(arguments: &[&str], key: &str) -> Command {
    let mut command = stillwire(["asoc"]);
    command.args(arguments).env("STILLWIRE_ASOC_KEY", key);
    command
}

/// A listener, and the address that it took.
fn listener(arguments: &[&str], key: &str) -> (Running, String) {
    let mut command = asoc(&["listen", "127.0.0.1:0"], key);
    command.args(arguments);
    let running = start(command, Input::Nothing);
    running.wait_to_hear("listening on ");
    let told = running.told();
    let rest = told.split("listening on ").nth(1).unwrap();
    let address = rest.split_whitespace().next().unwrap().to_owned();
    (running, address)
}

#[cfg(unix)]
fn stop(running: Running) -> String {
    running.signal(rustix::process::Signal::INT);
    running.finish().expect(130).stderr
}

#[cfg(unix)]
#[test]
fn a_stream_goes_there_and_back_in_both_profiles() {
    let data = noise(5_000_000);
    for profile in [
        &[][..],
        &["--hardened"],
        &["--hardened", "--cipher", "chacha20-poly1305"],
    ] {
        let echo = [&["--echo"][..], profile].concat();
        let (running, address) = listener(&echo, KEY);
        let mut dial = asoc(&["dial", &address], KEY);
        dial.args(profile);
        let done = run(dial, Input::Bytes(data.clone())).expect(0);
        assert!(done.stdout == data, "{profile:?}");
        let warned = done.stderr.contains("neither encrypted nor authenticated");
        assert_eq!(warned, profile.is_empty());
        let told = stop(running);
        assert!(told.contains("success"), "{told}");
        assert!(!told.contains(KEY));
    }
}

#[test]
fn bytes_of_streams_are_counted_at_both_ends() {
    let (running, address) = listener(&["--echo", "--once", "--stats"], KEY);
    let dial = asoc(&["dial", &address, "--stats"], KEY);
    let done = run(dial, Input::Bytes(noise(70_000))).expect(0);
    let dialed = stats(&done.stderr);
    assert_eq!(dialed["connections"], 1);
    assert_eq!(
        [&dialed["bytes_sent"], &dialed["bytes_received"]],
        [70_000; 2]
    );
    let listened = stats(&running.finish().expect(0).stderr);
    assert_eq!(listened["connections"], 1);
    assert_eq!(
        [&listened["bytes_sent"], &listened["bytes_received"]],
        [70_000; 2]
    );
}

#[cfg(unix)]
#[test]
fn received_streams_go_to_stdout() {
    let data = noise(3_000_000);
    let (running, address) = listener(&["--once"], KEY);
    let dial = asoc(&["-q", "dial", &address, "--no-answer"], KEY);
    let done = run(dial, Input::Bytes(data.clone())).expect(0);
    assert!(done.stderr.is_empty(), "{}", done.stderr);
    assert!(running.finish().expect(0).stdout == data);
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_enough_is_no_error() {
    let (echo, address) = listener(&["--echo"], KEY);
    let dial = asoc(&["-q", "dial", &address], KEY);
    let done = start_unread(dial, Input::Bytes(noise(3_000_000))).finish();
    assert_eq!(done.expect(0).stderr, "");
    stop(echo);

    for once in [&["--once"][..], &[]] {
        let mut listen = asoc(&["listen", "127.0.0.1:0"], KEY);
        listen.args(once);
        let running = start_unread(listen, Input::Nothing);
        running.wait_to_hear("listening on ");
        let told = running.told();
        let address = told.split("listening on ").nth(1).unwrap();
        let address = address.split_whitespace().next().unwrap();
        let dial = asoc(&["-q", "dial", address, "--no-answer"], KEY);
        let dialer = start(dial, Input::Bytes(noise(3_000_000)));
        let told = running.finish().expect(0).stderr;
        assert!(!told.contains("cannot write"), "{told}");
        drop(dialer);
    }
}

#[cfg(unix)]
#[test]
fn a_wrong_key_and_a_wrong_profile_are_clear_and_harm_nobody() {
    let (running, address) = listener(&["--echo"], KEY);
    let wrong = asoc(&["dial", &address], "not the key of the cluster, at all");
    let done = run(wrong, Input::Nothing).expect(3);
    assert!(
        done.last_line().contains("are key and profile the same?"),
        "{}",
        done.stderr
    );
    // A plain peer meeting a hardened one: a clear error, never a downgrade.
    let hardened = asoc(&["dial", &address, "--hardened"], KEY);
    let done = run(hardened, Input::Nothing).expect(3);
    assert!(!done.stderr.contains(KEY));
    let honest = run(
        asoc(&["dial", &address], KEY),
        Input::Bytes(b"hello".to_vec()),
    );
    assert_eq!(honest.expect(0).stdout, b"hello");
    let told = stop(running);
    assert!(told.contains("failure"), "{told}");
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    let short = run(asoc(&["dial", "127.0.0.1:1"], "short"), Input::Nothing).expect(2);
    assert!(short.last_line().contains("16 bytes"), "{}", short.stderr);
    let nameless = asoc(&["dial", "127.0.0.1:1", "--uuid", "nope"], KEY);
    let nameless = run(nameless, Input::Nothing).expect(2);
    let line = "stillwire: \"nope\" is no UUID; write it with hyphens, 36 characters";
    assert_eq!(nameless.last_line(), line);
    let home = tempfile::tempdir().unwrap();
    let mut none = stillwire(["asoc", "dial", "127.0.0.1:1"]);
    none.env_remove("ASOC_API_KEY").env("HOME", home.path());
    let none = run(none, Input::Nothing).expect(2);
    assert!(none.last_line().contains("--key-file"), "{}", none.stderr);
    // The file of the Python package is the last place.
    std::fs::create_dir(home.path().join(".asoc")).unwrap();
    let file = home.path().join(".asoc/api_key");
    std::fs::write(&file, KEY).unwrap();
    let mut open = stillwire(["asoc", "dial", "127.0.0.1:1"]);
    open.env_remove("ASOC_API_KEY").env("HOME", home.path());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let open = run(open, Input::Nothing).expect(3);
        assert!(open.last_line().contains("chmod 600"), "{}", open.stderr);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut closed = stillwire(["asoc", "dial", "127.0.0.1:1"]);
    closed.env_remove("ASOC_API_KEY").env("HOME", home.path());
    let nobody = run(closed, Input::Nothing).expect(4);
    assert!(
        nobody.last_line().contains("127.0.0.1:1"),
        "{}",
        nobody.stderr
    );
}

#[test]
fn keygen_prints_a_fresh_key_or_the_clusters() {
    let fresh = || {
        let done = run(stillwire(["asoc", "keygen"]), Input::Nothing).expect(0);
        String::from_utf8(done.stdout).unwrap()
    };
    let (one, other) = (fresh(), fresh());
    assert_ne!(one, other);
    assert!(one.trim_end().len() == 64 && one.trim_end().bytes().all(|c| c.is_ascii_hexdigit()));
    let master = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(master.path(), "master secret\n").unwrap();
    let mut cluster = stillwire(["asoc", "keygen", "--cluster", "blue", "--master-file"]);
    cluster.arg(master.path());
    let done = run(cluster, Input::Nothing).expect(0);
    // hashlib.pbkdf2_hmac("sha256", b"master secret", b"blue", 100_000).hex()
    assert_eq!(String::from_utf8(done.stdout).unwrap().trim_end(), CLUSTER);
}

const CLUSTER: &str = "844b743752e02644f7ef471d068e3d70f2f98dce6d6ec9f84d19e70047bc817d";

#[cfg(unix)]
#[test]
fn a_node_keeps_its_static_peer_and_logs_as_json_lines() {
    let (peer, address) = listener(&[], KEY);
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("node.toml");
    std::fs::write(&config, format!("static_peers = [\"{address}\"]\n")).unwrap();
    let mut node = asoc(&["node", "--config"], KEY);
    node.arg(&config);
    let node = start(node, Input::Nothing);
    node.wait_to_hear("connected with");
    node.signal(rustix::process::Signal::INT);
    let done = node.finish().expect(130);
    let log = String::from_utf8(done.stdout).unwrap();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        events.iter().any(|event| event["event"] == "success"),
        "{log}"
    );
    assert!(
        events
            .iter()
            .all(|event| event["time_ms"].as_u64() > Some(1_600_000_000_000))
    );
    stop(peer);
    std::fs::write(&config, "static_pears = []\n").unwrap();
    let mut misspelt = asoc(&["node", "--config"], KEY);
    misspelt.arg(&config);
    let done = run(misspelt, Input::Nothing).expect(2);
    assert!(done.last_line().contains("static_pears"), "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn with_tls_both_ends_show_certificates_and_one_node_is_shut_out() {
    let place = tempfile::tempdir().unwrap();
    let pki = place.path().join("pki");
    let pki = pki.to_str().unwrap();
    let ca = |arguments: &[&str]| {
        let mut command = stillwire(["asoc", "ca"]);
        command.args(arguments);
        run(command, Input::Nothing).expect(0)
    };
    ca(&["init", pki]);
    let uuid = |n: u8| format!("0000000{n}-0000-4000-8000-000000000000");
    for n in 1..=3 {
        ca(&["issue", pki, "--uuid", &uuid(n), "--name", "127.0.0.1"]);
    }
    ca(&["revoke", pki, &uuid(3)]);
    let root = format!("{pki}/ca.pem");
    let certificate = |n: u8| format!("{pki}/{}.pem", uuid(n));
    let (own, list) = (certificate(1), format!("{pki}/crl.pem"));
    let listening = [
        "--echo", "--tls", "--cert", &own, "--ca", &root, "--crl", &list,
    ];
    let (running, address) = listener(&listening, KEY);
    let dial = |n: u8| {
        let (id, own) = (uuid(n), certificate(n));
        let arguments = [
            "dial", &address, "--tls", "--cert", &own, "--ca", &root, "--uuid", &id,
        ];
        run(asoc(&arguments, KEY), Input::Bytes(b"over TLS".to_vec()))
    };
    assert_eq!(dial(2).expect(0).stdout, b"over TLS");
    let shut_out = dial(3);
    assert!(matches!(shut_out.code, Some(3 | 4)), "{}", shut_out.stderr);
    assert!(shut_out.stdout.is_empty());
    // Without TLS nobody answers in words that we know.
    let plain = run(asoc(&["dial", &address], KEY), Input::Nothing);
    assert!(matches!(plain.code, Some(3..=5)), "{}", plain.stderr);
    stop(running);
}

/// An authority, certificates of nodes 1 to 3, and the configuration of each.
#[cfg(unix)]
struct Pki {
    place: tempfile::TempDir,
}

#[cfg(unix)]
impl Pki {
    fn new() -> Self {
        let made = Self {
            place: tempfile::tempdir().unwrap(),
        };
        let pki = made.file("pki");
        Self::ca(&["init", &pki]);
        for n in 1..=4 {
            Self::ca(&[
                "issue",
                &pki,
                "--uuid",
                &Self::uuid(n),
                "--name",
                "127.0.0.1",
            ]);
        }
        // A list must be there from the beginning: of somebody who plays no part.
        made.revoke(4);
        made
    }

    fn uuid(n: u8) -> String {
        format!("0000000{n}-0000-4000-8000-000000000000")
    }

    fn file(&self, name: &str) -> String {
        self.place.path().join(name).to_str().unwrap().to_owned()
    }

    fn ca(arguments: &[&str]) {
        let mut command = stillwire(["asoc", "ca"]);
        command.args(arguments);
        run(command, Input::Nothing).expect(0);
    }

    fn revoke(&self, n: u8) {
        Self::ca(&["revoke", &self.file("pki"), &Self::uuid(n)]);
    }

    /// Node `n` with TLS and these lines more.
    fn node(&self, n: u8, more: &str) -> Running {
        let uuid = Self::uuid(n);
        let pki = self.file("pki");
        let text = format!(
            "uuid = \"{uuid}\"\ntls = true\nca = \"{pki}/ca.pem\"\n\
             cert = \"{pki}/{uuid}.pem\"\ncrl = \"{pki}/crl.pem\"\n{more}\n"
        );
        let config = self.file(&format!("node{n}.toml"));
        std::fs::write(&config, text).unwrap();
        start(asoc(&["node", "--config", &config], KEY), Input::Nothing)
    }
}

#[cfg(unix)]
#[test]
fn a_running_node_reads_the_revocation_list_again_and_shuts_one_node_out() {
    let pki = Pki::new();
    let node = pki.node(1, "listen = \"127.0.0.1:0\"");
    node.wait_to_hear("listens on ");
    let told = node.told();
    let at = told.split("listens on ").nth(1).unwrap();
    let at = at.split_whitespace().next().unwrap().to_owned();
    let peers = format!("static_peers = [\"{at}\"]");
    let (good, bad) = (pki.node(2, &peers), pki.node(3, &peers));
    good.wait_to_hear("connected with");
    bad.wait_to_hear("connected with");
    pki.revoke(3);
    // Its connection is up, and is cut off; the other one's stays.
    node.wait_to_hear("connections closed: 1");
    bad.wait_to_hear("is over");
    let dial = |n: u8| {
        let (uuid, pki) = (Pki::uuid(n), pki.file("pki"));
        let (own, root) = (format!("{pki}/{uuid}.pem"), format!("{pki}/ca.pem"));
        let arguments = ["dial", &at, "--tls", "--cert", &own, "--ca", &root];
        let mut command = asoc(&arguments, KEY);
        command.args(["--uuid", &uuid, "--no-answer"]);
        run(command, Input::Bytes(b"still here".to_vec()))
    };
    dial(2).expect(0);
    let refused = dial(3);
    assert!(matches!(refused.code, Some(3 | 4)), "{}", refused.stderr);
    assert!(!good.told().contains("is over"), "{}", good.told());
    // A list that cannot be used leaves the last one standing, and is said aloud once.
    let list = pki.file("pki/crl.pem");
    std::fs::write(&list, "no list\n").unwrap();
    node.wait_to_hear("the revocation list read before still holds");
    let refused = dial(3);
    assert!(matches!(refused.code, Some(3 | 4)), "{}", refused.stderr);
    pki.revoke(2);
    good.wait_to_hear("is over");
    for running in [good, bad, node] {
        stop(running);
    }
}

#[test]
fn tls_of_a_node_is_configured_whole_or_not_at_all() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("node.toml");
    for (text, word) in [
        ("tls = true", "needs ca"),
        ("ca = \"ca.pem\"", "without tls"),
        (
            "tls = true\nca = \"ca.pem\"\nlisten = \"127.0.0.1:0\"",
            "cert",
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        let mut node = asoc(&["node", "--config"], KEY);
        node.arg(&config);
        let done = run(node, Input::Nothing).expect(2);
        assert!(done.stderr.contains(word), "{text}: {}", done.stderr);
    }
}

/// The real node, run by our small program.
struct Python(std::process::Child);

impl Python {
    fn start(arguments: &[&str]) -> Option<Self> {
        let Ok(python) = std::env::var("STILLWIRE_ASOC_PYTHON") else {
            println!("skipped: the Python ASoc node is not here (STILLWIRE_ASOC_PYTHON)");
            return None;
        };
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../conformance/peers/asoc/node.py"
        );
        let child = Command::new(python)
            .arg(script)
            .args(arguments)
            .env("ASOC_API_KEY", KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Some(Self(child.unwrap()))
    }

    fn await_event(&mut self, event: &str) -> Value {
        let stdout = self.0.stdout.as_mut().unwrap();
        for line in BufReader::new(stdout).lines() {
            let line: Result<Value, _> = serde_json::from_str(&line.unwrap());
            if let Ok(value) = line
                && value["event"] == event
            {
                return value;
            }
        }
        panic!("the Python node never said {event}");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A tensor as NumPy stores it: 256 by 1,024 little-endian floats.
fn tensor() -> Vec<u8> {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (256, 1024), }";
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    file.extend_from_slice(&(length as u16).to_le_bytes());
    writeln!(file, "{header:<width$}", width = length - 1).unwrap();
    for i in 0..256 * 1024_u32 {
        file.extend_from_slice(&(i as f32).sqrt().to_le_bytes());
    }
    file
}

#[test]
fn a_tensor_file_goes_to_a_python_node_and_comes_back() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let Some(python) = Python::start(&["listen", "--port", &port.to_string()]) else {
        return;
    };
    wait_for(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let tensor = tensor();
    let dial = asoc(&["dial", &format!("127.0.0.1:{port}")], KEY);
    let done = run(dial, Input::Bytes(tensor.clone())).expect(0);
    assert!(done.stdout == tensor);
    drop(python);
}

#[cfg(unix)]
#[test]
fn a_python_node_dials_our_listener() {
    let (running, address) = listener(&["--echo"], KEY);
    let port = address.rsplit(':').next().unwrap();
    if let Some(mut python) = Python::start(&["dial", "--port", port, "--bytes", "2500000"]) {
        let back = python.await_event("back");
        assert_eq!(
            (&back["bytes"], &back["same"]),
            (&2_500_000.into(), &true.into())
        );
    }
    stop(running);
}
