//! Every operation, on both stores.

mod common;

use common::{ALL, End, MISSING, NOTHING, ask, chunks_at, data, id, pair};
use std::thread;
use std::time::{Duration, Instant};
use stillwire_core::store::{Direction, FailureKind, Handshake, Operation, Reply, Role};
use stillwire_local::{DirectoryStore, LocalStore, MemoryStore};
use tempfile::TempDir;

/// Runs a test on a fresh store of each kind.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&super::MemoryStore::new()); })*
        }
        mod directory {
            $(#[test] fn $name() {
                let dir = super::TempDir::new().unwrap();
                let path = dir.path().join("some/where");
                super::$name(&super::DirectoryStore::open(path).unwrap());
            })*
        }
    };
}

on_both!(
    bootstrap_is_made_once_and_removed,
    nothing_works_before_the_bootstrap,
    handshakes_are_listed_in_pages,
    messages_are_put_once,
    tokens_come_and_go,
    sessions_of_others_are_left_alone,
    streams_run_both_ways,
    whole_chunks_are_given_again_until_taken,
    chunks_larger_than_the_limit_come_in_pieces,
    retried_writes_land_once,
    other_chunks_in_the_same_place_are_a_conflict,
    rotation_moves_a_direction_on,
    a_removed_session_is_missing,
    a_session_reads_and_writes_at_the_same_time,
    large_writes_pass,
    impossible_requests_are_refused,
);

fn put(store: &impl LocalStore, n: u8, message: &'static [u8]) -> Result<Reply, FailureKind> {
    let message = message.into();
    ask(store, Operation::PutHandshake { id: id(n), message }).map_err(|failure| failure.kind)
}

fn list(
    store: &impl LocalStore,
    after: Option<String>,
    limit: u16,
) -> (Vec<Handshake>, Option<String>) {
    match ask(store, Operation::ListHandshakes { after, limit }).unwrap() {
        Reply::Handshakes { entries, next } => (entries, next),
        other => panic!("{other:?}"),
    }
}

fn bootstrap_is_made_once_and_removed<S: LocalStore>(store: &S) {
    let prepare = || ask(store, Operation::Prepare).unwrap();
    assert_eq!(prepare(), Reply::Prepared { created: true });
    assert_eq!(prepare(), Reply::Prepared { created: false });
    put(store, 1, b"left behind").unwrap();
    let remove = || ask(&store.clone(), Operation::RemoveBootstrap).unwrap();
    assert_eq!(remove(), Reply::Done);
    assert_eq!(remove(), Reply::Done);
    assert_eq!(put(store, 1, b"too late"), Err(FailureKind::NotFound));
    assert_eq!(prepare(), Reply::Prepared { created: true });
    assert_eq!(list(store, None, 10), (vec![], None));
}

fn nothing_works_before_the_bootstrap<S: LocalStore>(store: &S) {
    assert_eq!(put(store, 1, b"m"), Err(FailureKind::NotFound));
    let page = Operation::ListHandshakes {
        after: None,
        limit: 1,
    };
    assert_eq!(ask(store, page).unwrap_err().kind, FailureKind::NotFound);
    let token = Operation::GetToken { id: id(1) };
    assert_eq!(ask(store, token).unwrap(), MISSING);
    let dialer = End::new(store, id(1), Role::Dialer);
    assert_eq!(dialer.read(0, ALL).unwrap(), MISSING);
    let failure = dialer.write(0, &[b"x"], false).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound);
}

fn handshakes_are_listed_in_pages<S: LocalStore>(store: &S) {
    ask(store, Operation::Prepare).unwrap();
    let mut names: Vec<String> = (0..25).map(|n| id(n).to_string()).collect();
    for n in 0..25 {
        put(store, n, b"message 1").unwrap();
    }
    names.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    for most in [10, 10, 5] {
        let (entries, next) = list(store, after, 10);
        assert_eq!(entries.len(), most);
        assert!(
            entries
                .iter()
                .all(|e| e.message.as_deref() == Some(b"message 1"))
        );
        seen.extend(entries.into_iter().map(|entry| entry.name));
        after = next;
    }
    assert_eq!(after, None);
    assert_eq!(seen, names);
    let name = names[3].clone();
    for _ in 0..2 {
        let gone = ask(store, Operation::DeleteHandshake { name: name.clone() });
        assert_eq!(gone.unwrap(), Reply::Done);
    }
    assert_eq!(list(store, None, 100).0.len(), 24);
}

fn messages_are_put_once<S: LocalStore>(store: &S) {
    ask(store, Operation::Prepare).unwrap();
    assert_eq!(put(store, 1, b"one"), Ok(Reply::Done));
    assert_eq!(put(store, 1, b"one"), Ok(Reply::Done));
    assert_eq!(put(store, 1, b"two"), Err(FailureKind::Conflict));
    assert_eq!(
        list(store, None, 9).0[0].message.as_deref(),
        Some(&b"one"[..])
    );
    static LARGE: [u8; 65_536] = [7; 65_536];
    assert_eq!(put(store, 2, &LARGE), Err(FailureKind::TooLarge));
    assert_eq!(put(store, 2, &LARGE[1..]), Ok(Reply::Done));
    assert_eq!(list(store, None, 9).0.len(), 2);
}

fn tokens_come_and_go<S: LocalStore>(store: &S) {
    ask(store, Operation::Prepare).unwrap();
    let get = |n| ask(store, Operation::GetToken { id: id(n) }).unwrap();
    let put = |n, message: &'static [u8]| {
        let message = message.into();
        ask(store, Operation::PutToken { id: id(n), message })
    };
    assert_eq!(get(1), NOTHING);
    put(1, b"message 2").unwrap();
    put(1, b"message 2").unwrap();
    assert_eq!(put(1, b"other").unwrap_err().kind, FailureKind::Conflict);
    assert_eq!(get(1), Reply::Token(b"message 2"[..].into()));
    assert_eq!(get(2), NOTHING);
    for _ in 0..2 {
        ask(store, Operation::DeleteToken { id: id(1) }).unwrap();
    }
    assert_eq!(get(1), NOTHING);
}

fn sessions_of_others_are_left_alone<S: LocalStore>(store: &S) {
    let (dialer, listener) = pair(store, 1);
    dialer.write(0, &[b"mine"], false).unwrap();
    let create = |mark| ask(store, Operation::CreateSession { id: id(1), mark });
    assert_eq!(create([2; 16]).unwrap_err().kind, FailureKind::Exists);
    assert_eq!(listener.read(0, ALL).unwrap(), data("mine", false));
    // Our own earlier try is no stranger.
    assert!(matches!(create([1; 16]), Ok(Reply::Session { .. })));
    assert_eq!(listener.read(0, ALL).unwrap(), data("mine", false));
}

fn streams_run_both_ways<S: LocalStore>(store: &S) {
    let (dialer, listener) = pair(store, 1);
    assert_eq!(listener.read(0, ALL).unwrap(), NOTHING);
    dialer.write(0, &[b"to", b"gether"], false).unwrap();
    dialer.write(2, &[b"!"], false).unwrap();
    listener.write(0, &[b"back"], false).unwrap();
    assert_eq!(listener.read(0, ALL).unwrap(), data("together!", false));
    assert_eq!(listener.read(3, ALL).unwrap(), NOTHING);
    assert_eq!(dialer.read(0, ALL).unwrap(), data("back", false));
    dialer.write(3, &[b"more"], false).unwrap();
    assert_eq!(listener.read(3, ALL).unwrap(), data("more", false));
}

fn whole_chunks_are_given_again_until_taken<S: LocalStore>(store: &S) {
    let (dialer, listener) = pair(store, 1);
    dialer
        .write(0, &[b"aaaa", b"bb", b"cccccc"], false)
        .unwrap();
    dialer.write(3, &[b"dd"], false).unwrap();
    assert_eq!(listener.read(0, 7).unwrap(), data("aaaabb", true));
    // The reply got lost on its way to the machine.
    assert_eq!(listener.read(0, 6).unwrap(), data("aaaabb", true));
    assert_eq!(listener.read(1, 5).unwrap(), data("bb", true));
    let more = listener.read(2, 6).unwrap();
    assert_eq!(more, data("cccccc", true));
    assert_eq!(listener.read(2, ALL).unwrap(), data("ccccccdd", false));
    assert_eq!(listener.read(2, ALL).unwrap(), data("ccccccdd", false));
    assert_eq!(listener.read(4, ALL).unwrap(), NOTHING);
}

fn chunks_larger_than_the_limit_come_in_pieces<S: LocalStore>(store: &S) {
    let (dialer, listener) = pair(store, 1);
    dialer.write(0, &[b"x", b"abcdefgh", b"yz"], false).unwrap();
    assert_eq!(listener.read(0, 3).unwrap(), data("x", true));
    assert_eq!(listener.read(1, 3).unwrap(), data("abc", true));
    assert_eq!(listener.read(1, 3).unwrap(), data("def", true));
    let again = Operation::Read {
        sequence: 1,
        limit: 3,
    };
    assert_eq!(listener.perform(again, true).unwrap(), data("def", true));
    assert_eq!(listener.read(1, 3).unwrap(), data("gh", true));
    assert_eq!(listener.read(2, 3).unwrap(), data("yz", false));
    assert_eq!(listener.read(3, 3).unwrap(), NOTHING);
}

fn retried_writes_land_once<S: LocalStore>(store: &S) {
    let (dialer, listener) = pair(store, 1);
    for again in [false, true, true] {
        assert_eq!(
            dialer.write(0, &[b"one", b"1"], again).unwrap(),
            Reply::Done
        );
    }
    dialer.write(2, &[b"two"], true).unwrap();
    assert_eq!(listener.read(0, ALL).unwrap(), data("one1two", false));
    assert_eq!(listener.read(3, ALL).unwrap(), NOTHING);
    // Landed, read, removed, and tried again: nothing comes twice.
    dialer.write(2, &[b"two"], true).unwrap();
    assert_eq!(listener.read(3, ALL).unwrap(), NOTHING);
    dialer.write(3, &[b"three"], false).unwrap();
    assert_eq!(listener.read(3, ALL).unwrap(), data("three", false));
}

fn other_chunks_in_the_same_place_are_a_conflict<S: LocalStore>(store: &S) {
    let (dialer, listener) = pair(store, 1);
    dialer.write(0, &[b"one"], false).unwrap();
    for chunks in [&[&b"two"[..]][..], &[b"on", b"e"], &[b"one", b"two"]] {
        for again in [false, true] {
            let failure = dialer.write(0, chunks, again).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Conflict);
        }
    }
    assert_eq!(listener.read(0, ALL).unwrap(), data("one", false));
}

fn rotation_moves_a_direction_on<S: LocalStore>(store: &S) {
    let (dialer, listener) = pair(store, 1);
    dialer.write(0, &[b"last"], false).unwrap();
    for _ in 0..2 {
        dialer.rotate(Direction::Outbound, 1).unwrap();
    }
    dialer.write(1, &[b"first"], false).unwrap();
    assert_eq!(listener.read(0, ALL).unwrap(), data("last", false));
    assert_eq!(listener.read(1, ALL).unwrap(), NOTHING);
    for _ in 0..2 {
        listener.rotate(Direction::Inbound, 1).unwrap();
    }
    assert_eq!(listener.read(1, ALL).unwrap(), data("first", false));
    // Turned to before it was made.
    listener.rotate(Direction::Inbound, 2).unwrap();
    assert_eq!(listener.read(2, ALL).unwrap(), MISSING);
    dialer.rotate(Direction::Outbound, 2).unwrap();
    assert_eq!(listener.read(2, ALL).unwrap(), NOTHING);
    let failure = dialer.rotate(Direction::Outbound, 4).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    let failure = listener.rotate(Direction::Inbound, 0).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
}

fn a_removed_session_is_missing<S: LocalStore>(store: &S) {
    let (dialer, listener) = pair(store, 1);
    let (other, reader) = pair(store, 2);
    dialer.write(0, &[b"unread"], false).unwrap();
    other.write(0, &[b"kept"], false).unwrap();
    assert_eq!(dialer.read(0, ALL).unwrap(), NOTHING);
    for _ in 0..2 {
        ask(store, Operation::DeleteSession { id: id(1) }).unwrap();
    }
    assert_eq!(dialer.read(0, ALL).unwrap(), MISSING);
    assert_eq!(listener.read(0, ALL).unwrap(), MISSING);
    let failure = dialer.write(1, &[b"x"], false).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound);
    let failure = dialer.rotate(Direction::Outbound, 1).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound);
    assert_eq!(reader.read(0, ALL).unwrap(), data("kept", false));
}

/// Reads `writes` writes of the series and compares them.
fn check_series<S: LocalStore>(end: &End<S>, writes: usize, largest: usize) {
    let (mut sequence, mut done) = (0, 0);
    let mut expected = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while done < writes || !expected.is_empty() {
        assert!(Instant::now() < deadline, "nothing comes at {sequence}");
        let Reply::Data { bytes, .. } = end.read(sequence, ALL).unwrap() else {
            thread::yield_now();
            continue;
        };
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if expected.is_empty() {
                expected = chunks_at(sequence, largest);
                expected.reverse();
                done += 1;
            }
            let chunk = expected.pop().unwrap();
            let (here, after) = rest.split_at_checked(chunk.len()).expect("whole chunks");
            assert!(here == chunk, "chunk {sequence}");
            rest = after;
            sequence += 1;
        }
    }
    assert_eq!(end.read(sequence, ALL).unwrap(), NOTHING);
}

fn a_session_reads_and_writes_at_the_same_time<S: LocalStore>(store: &S) {
    const WRITES: usize = 150;
    const LARGEST: usize = 20_000;
    let (dialer, listener) = pair(store, 1);
    thread::scope(|scope| {
        for end in [&dialer, &listener] {
            scope.spawn(move || {
                let mut sequence = 0;
                for _ in 0..WRITES {
                    let chunks = chunks_at(sequence, LARGEST);
                    let chunks: Vec<&[u8]> = chunks.iter().map(|c| &c[..]).collect();
                    end.write(sequence, &chunks, false).unwrap();
                    sequence += chunks.len() as u64;
                }
            });
            scope.spawn(move || check_series(end, WRITES, LARGEST));
        }
    });
}

fn large_writes_pass<S: LocalStore>(store: &S) {
    let (dialer, listener) = pair(store, 1);
    let profile = store.profile();
    let chunk = vec![0xa5; profile.largest_chunk];
    let chunks = [&chunk[..]; 4];
    assert_eq!(chunk.len() * 4, profile.bytes_per_write);
    dialer.write(0, &chunks, false).unwrap();
    dialer.write(4, &[b"and on"], false).unwrap();
    let Reply::Data { bytes, more } = listener.read(0, usize::MAX).unwrap() else {
        panic!("no data")
    };
    assert_eq!(bytes.len(), profile.bytes_per_read);
    assert!(more && bytes.iter().all(|b| *b == 0xa5));
    assert_eq!(listener.read(4, ALL).unwrap(), data("and on", false));
    let failure = dialer.write(5, &[&chunk[..]; 5], false).unwrap_err();
    assert_eq!(failure.kind, FailureKind::TooLarge);
}

fn impossible_requests_are_refused<S: LocalStore>(store: &S) {
    let (dialer, _) = pair(store, 1);
    let read = Operation::Read {
        sequence: 0,
        limit: 9,
    };
    assert_eq!(ask(store, read).unwrap_err().kind, FailureKind::Refused);
    assert_eq!(dialer.read(0, 0).unwrap_err().kind, FailureKind::Refused);
    let failure = dialer.write(0, &[], false).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    let failure = dialer.write(u64::MAX, &[b"a"], false).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
}

#[test]
fn profiles_say_what_the_stores_take() {
    let dir = TempDir::new().unwrap();
    let directory = DirectoryStore::open(dir.path()).unwrap().profile();
    let memory = MemoryStore::new().rotating_after(7).profile();
    assert_eq!((directory.name, memory.name), ("dir", "memory"));
    assert_eq!(directory.largest_chunk, 4_194_304);
    assert_eq!(directory.bytes_per_write, 16 << 20);
    assert_eq!(directory.writes_before_rotation, None);
    assert_eq!(memory.writes_before_rotation, Some(7));
    assert_eq!(directory.shortest_poll, Duration::from_millis(1));
}
