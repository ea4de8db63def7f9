//! A file of 100 MB between this program and the real Go module, through blob storage: both
//! directions, each side as listener and as dialer. Digests are those of the system's own tool.
#![cfg(unix)]

use crate::support::{ACCOUNT, Input, KEY, Output, Place, run, start, start_into, wait_for};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const BYTES: u64 = 100_000_000;

/// The Go program; ended with the test, whichever way that ends.
struct Go(Child);

impl Go {
    /// [`None`], said aloud, where it is not built.
    fn command(place: &Place, verb: &str) -> Option<Command> {
        let Ok(program) = std::env::var("STILLWIRE_GO_AZNET") else {
            println!("skipped: STILLWIRE_GO_AZNET is not set");
            return None;
        };
        let (endpoint, handshake) = place.meeting();
        let mut command = Command::new(program);
        command
            .args([verb, "--handshake", handshake, "--token", place.token()])
            .env("AZURE_STORAGE_ENDPOINT", endpoint)
            .env("AZURE_STORAGE_ACCOUNT", ACCOUNT)
            .env("AZURE_STORAGE_KEY", KEY);
        Some(command)
    }

    fn start(mut command: Command, said: &Path) -> Self {
        let said = File::create(said).unwrap();
        Self(command.stdin(Stdio::null()).stdout(said).spawn().unwrap())
    }

    #[track_caller]
    fn expect(mut self, code: i32, said: &Path) -> String {
        wait_for(|| self.0.try_wait().unwrap().is_some());
        let said = fs::read_to_string(said).unwrap();
        assert_eq!(self.0.wait().unwrap().code(), Some(code), "{said}");
        said
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn digest(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", file.display());
    let digest = String::from_utf8(output.stdout).unwrap()[..64].to_owned();
    assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digest
}

/// As random as the system makes it, and what its digest is.
fn random(place: &Place) -> (std::path::PathBuf, String) {
    let path = place.path("random");
    let source = File::open("/dev/urandom").unwrap();
    let mut file = File::create(&path).unwrap();
    assert_eq!(
        std::io::copy(&mut source.take(BYTES), &mut file).unwrap(),
        BYTES
    );
    let digest = digest(&path);
    (path, digest)
}

/// A place for one transfer, or [`None`], said aloud.
fn place() -> Option<Place> {
    let place = Place::azurite()?;
    Go::command(&place, "dial").map(|_| place)
}

#[track_caller]
fn assert_whole(got: &Path, wanted: &str) {
    assert_eq!(fs::metadata(got).unwrap().len(), BYTES);
    assert_eq!(digest(got), wanted);
}

fn sha256(digest: &str) -> String {
    format!("\"sha256\":\"{digest}\"")
}

fn ticket(place: &Place) -> String {
    let path = place.path("ticket");
    wait_for(|| fs::read_to_string(&path).is_ok_and(|ticket| ticket.ends_with('\n')));
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn a_file_of_100_mb_from_a_go_dialer_reaches_our_listener_whole() {
    let Some(place) = place() else {
        return;
    };
    let (random, wanted) = random(&place);
    let (said, got) = (place.path("said"), place.path("got"));
    let output = Output::File(File::create(&got).unwrap());
    let listener = start_into(place.listening("listen", &[]), Input::Nothing, output);
    let mut go = Go::command(&place, "dial").unwrap();
    go.args(["--mode", "send", "--file"]);
    go.arg(&random).arg(ticket(&place));
    Go::start(go, &said).expect(0, &said);
    // It stays for as long as this dialer, which does not confirm that it read our end, might read.
    listener.wait_to_hear("received 100.0 MB");
    assert_whole(&got, &wanted);
}

#[test]
fn a_file_of_100_mb_from_our_listener_reaches_a_go_dialer_whole() {
    let Some(place) = place() else {
        return;
    };
    let (random, wanted) = random(&place);
    let (said, got) = (place.path("said"), place.path("got"));
    let mut listening = place.listening("listen", &[]);
    listening.stdin(File::open(&random).unwrap());
    let listener = start(listening, Input::Kept);
    let mut go = Go::command(&place, "dial").unwrap();
    go.args(["--mode", "receive", "--out"]);
    go.arg(&got).arg(ticket(&place));
    let done = Go::start(go, &said).expect(0, &said);
    assert!(done.contains(&sha256(&wanted)), "{done}");
    assert_whole(&got, &wanted);
    listener.wait_to_hear("sent 100.0 MB, received 0 B");
}

#[test]
fn a_file_of_100_mb_from_a_go_listener_reaches_our_dialer_whole() {
    let Some(place) = place() else {
        return;
    };
    let (random, wanted) = random(&place);
    let got = place.path("got");
    let go = serving(
        &place,
        &["--mode", "source", "--file", random.to_str().unwrap()],
    );
    let output = Output::File(File::create(&got).unwrap());
    let dialer = start_into(place.dialing("dial", &["-q"]), Input::Nothing, output);
    dialer.finish().expect(0);
    assert_whole(&got, &wanted);
    served(go, &place);
}

#[test]
fn a_file_of_100_mb_from_our_dialer_reaches_a_go_listener_whole() {
    let Some(place) = place() else {
        return;
    };
    let (random, wanted) = random(&place);
    let got = place.path("got");
    let go = serving(&place, &["--mode", "sink", "--out", got.to_str().unwrap()]);
    let mut dialing = place.dialing("dial", &["-q"]);
    dialing.stdin(File::open(&random).unwrap());
    run(dialing, Input::Kept).expect(0);
    let done = served(go, &place);
    assert!(done.contains(&sha256(&wanted)), "{done}");
    assert_whole(&got, &wanted);
}

/// A Go listener; its URL is the place's ticket.
fn serving(place: &Place, arguments: &[&str]) -> Go {
    let mut command = Go::command(place, "listen").unwrap();
    command.args(arguments);
    let said = place.path("said");
    let go = Go::start(command, &said);
    wait_for(|| fs::read_to_string(&said).is_ok_and(|said| said.contains('\n')));
    let line = fs::read_to_string(&said).unwrap();
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!(line["event"], "listening");
    place.write("ticket", line["url"].as_str().unwrap().as_bytes());
    go
}

/// What the Go listener says of its connection, once that is over.
#[track_caller]
fn served(go: Go, place: &Place) -> String {
    let said = place.path("said");
    let events = ["\"event\":\"done\"", "\"event\":\"failed\""];
    let over = |said: &str| events.iter().any(|event| said.contains(event));
    wait_for(|| fs::read_to_string(&said).is_ok_and(|said| over(&said)));
    drop(go);
    let said = fs::read_to_string(&said).unwrap();
    assert!(said.contains(events[0]), "{said}");
    said
}
