//! Two processes on one directory: they exchange, and one of them is killed, again and again.
//!
//! Each test runs itself as the child: the same program with [`JOB`] set.

mod common;

use common::{ALL, Dice, End, ask, chunks_at, id, pair};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use stillwire_core::store::{Operation, Reply, Role};
use stillwire_local::DirectoryStore;
use tempfile::TempDir;

/// What a child is to do: the sequence number to begin at.
const JOB: &str = "STILLWIRE_LOCAL_TEST_JOB";
const PLACE: &str = "STILLWIRE_LOCAL_TEST_PLACE";

/// In the child: the store and the job.
fn job() -> Option<(DirectoryStore, u64)> {
    let job = env::var(JOB).ok()?.parse().unwrap();
    let place = env::var_os(PLACE).unwrap();
    Some((DirectoryStore::open(place).unwrap(), job))
}

/// This very test in another process. Killed when dropped.
struct Twin(Child);

impl Twin {
    fn start(test: &str, place: &Path, job: u64) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(JOB, job.to_string())
            .env(PLACE, place)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn patiently<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} does not come");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads a series of writes and holds it against what must come.
struct Check {
    end: End<DirectoryStore>,
    at: u64,
    expected: Vec<Vec<u8>>,
    largest: usize,
}

impl Check {
    fn new(end: End<DirectoryStore>, largest: usize) -> Self {
        Self {
            end,
            at: 0,
            expected: Vec::new(),
            largest,
        }
    }

    /// Takes what is there; true if that was anything.
    fn look(&mut self) -> bool {
        let Reply::Data { bytes, .. } = self.end.read(self.at, ALL).unwrap() else {
            return false;
        };
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if self.expected.is_empty() {
                self.expected = chunks_at(self.at, self.largest);
                self.expected.reverse();
            }
            let chunk = self.expected.pop().unwrap();
            let (here, after) = rest.split_at_checked(chunk.len()).expect("whole chunks");
            assert!(here == chunk, "chunk {} is not what was written", self.at);
            rest = after;
            self.at += 1;
        }
        true
    }
}

/// Writes the one that begins at `sequence`; gives the number after it.
fn write_one(end: &End<DirectoryStore>, sequence: u64, largest: usize, again: bool) -> u64 {
    let chunks = chunks_at(sequence, largest);
    let chunks: Vec<&[u8]> = chunks.iter().map(|chunk| &chunk[..]).collect();
    end.write(sequence, &chunks, again).unwrap();
    sequence + chunks.len() as u64
}

const EXCHANGED: u64 = 300;
const SMALL: usize = 60_000;

fn exchange(end: End<DirectoryStore>) {
    let writer = end.clone();
    let writing = thread::spawn(move || {
        let mut sequence = 0;
        while sequence < EXCHANGED {
            sequence = write_one(&writer, sequence, SMALL, false);
        }
    });
    let mut check = Check::new(end, SMALL);
    patiently("the peer's stream", || {
        while check.look() {}
        (check.at >= EXCHANGED).then_some(())
    });
    writing.join().unwrap();
}

#[test]
fn two_processes_exchange_everything() {
    const NAME: &str = "two_processes_exchange_everything";
    if let Some((store, _)) = job() {
        // The dialer, with every step of a handshake.
        let message = b"message 1"[..].into();
        ask(&store, Operation::PutHandshake { id: id(1), message }).unwrap();
        let token = patiently("message 2", || {
            match ask(&store, Operation::GetToken { id: id(1) }).unwrap() {
                Reply::Token(token) => Some(token),
                _ => None,
            }
        });
        assert_eq!(token, b"message 2"[..]);
        exchange(End::new(&store, id(1), Role::Dialer));
        return;
    }
    let dir = TempDir::new().unwrap();
    let store = DirectoryStore::open(dir.path()).unwrap();
    ask(&store, Operation::Prepare).unwrap();
    let mut twin = Twin::start(NAME, dir.path(), 0);
    let entry = patiently("message 1", || {
        let page = Operation::ListHandshakes {
            after: None,
            limit: 9,
        };
        match ask(&store, page).unwrap() {
            Reply::Handshakes { mut entries, .. } => entries.pop(),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(entry.name, id(1).to_string());
    assert_eq!(entry.message.as_deref(), Some(&b"message 1"[..]));
    let mark = [1; 16];
    ask(&store, Operation::CreateSession { id: id(1), mark }).unwrap();
    let message = b"message 2"[..].into();
    ask(&store, Operation::PutToken { id: id(1), message }).unwrap();
    ask(&store, Operation::DeleteHandshake { name: entry.name }).unwrap();
    exchange(End::new(&store, id(1), Role::Listener));
    assert!(twin.0.wait().unwrap().success());
    ask(&store, Operation::DeleteToken { id: id(1) }).unwrap();
    ask(&store, Operation::DeleteSession { id: id(1) }).unwrap();
    ask(&store, Operation::RemoveBootstrap).unwrap();
    assert_eq!(store.diagnostics(), stillwire_local::Diagnostics::default());
}

const KILLS: u64 = 100;
/// Where a busy machine kills too many before they got to work, it goes on up to so many.
const MOST_KILLS: u64 = 400;
const LARGE: usize = 1_500_000;

#[test]
fn a_writer_killed_at_any_point_loses_and_doubles_nothing() {
    const NAME: &str = "a_writer_killed_at_any_point_loses_and_doubles_nothing";
    if let Some((store, mut sequence)) = job() {
        // The writer: says on standard output what it knows to be written. What it was at when
        // it was killed may have landed.
        let end = End::new(&store, id(1), Role::Dialer);
        let mut again = true;
        loop {
            sequence = write_one(&end, sequence, LARGE, again);
            again = false;
            // Now and then the word comes later than the deed.
            if sequence.is_multiple_of(3) {
                thread::sleep(Duration::from_millis(1));
            }
            println!("\nwritten {sequence}");
            std::io::stdout().flush().unwrap();
        }
    }
    let dir = TempDir::new().unwrap();
    let store = DirectoryStore::open(dir.path()).unwrap();
    let (_, listener) = pair(&store, 1);
    let mut check = Check::new(listener, LARGE);
    let mut dice = Dice::new(100);
    let mut known = 0;
    let (mut landed, mut halfway) = (0, 0);
    let mut kill = 0;
    while kill < KILLS || (kill < MOST_KILLS && (landed < 5 || halfway < 5)) {
        let mut twin = Twin::start(NAME, dir.path(), known);
        let mut lines = BufReader::new(twin.0.stdout.take().unwrap()).lines();
        let mut written = lines.by_ref().map_while(Result::ok).filter_map(|line| {
            line.strip_prefix("written ")
                .map(|n| n.parse::<u64>().unwrap())
        });
        // After so many writes and so many microseconds, wherever that is.
        for _ in 0..=dice.below(2) {
            known = written.next().unwrap();
            check.look();
        }
        thread::sleep(Duration::from_micros(dice.below(2_000) as u64));
        twin.0.kill().unwrap();
        known = written.last().unwrap_or(known);
        twin.0.wait().unwrap();
        while check.look() {}
        assert!(
            check.at >= known,
            "kill {kill}: {known} were written, {} came",
            check.at
        );
        landed += u64::from(check.at > known);
        assert!(check.at - known <= chunks_at(known, LARGE).len() as u64);
        halfway += temporary_files(&store);
        kill += 1;
    }
    // Most kills must have struck a writer at work, or this showed nothing.
    println!("of {kill} kills {landed} after a write landed unreported, {halfway} within one");
    assert!(landed >= 5 && halfway >= 5);
    assert_eq!(store.diagnostics(), stillwire_local::Diagnostics::default());
}

/// How many half-written files the last kill left; removes them.
fn temporary_files(store: &DirectoryStore) -> u64 {
    let place = store.path().join(format!("sessions/{}/req/0", id(1)));
    let mut found = 0;
    for entry in std::fs::read_dir(place).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().starts_with('.') {
            std::fs::remove_file(entry.path()).unwrap();
            found += 1;
        }
    }
    found
}
