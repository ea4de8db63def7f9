//! What a dead listener left is found by its mark and its age, and nothing else is.

mod common;

use common::{End, ask, id};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};
use stillwire_core::store::{FailureKind, MarkedSession, Operation, Reply, Role};
use stillwire_local::DirectoryStore;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3_600);

fn dead(dir: &TempDir, numbers: &[u8]) -> DirectoryStore {
    let store = DirectoryStore::open(dir.path()).unwrap();
    ask(&store, Operation::Prepare).unwrap();
    for n in numbers {
        let create = Operation::CreateSession {
            id: id(*n),
            mark: [*n; 16],
        };
        ask(&store, create).unwrap();
        End::new(&store, id(*n), Role::Listener)
            .write(0, &[b"chunk"], false)
            .unwrap();
    }
    // Another process: it remembers nothing of what it made.
    DirectoryStore::open(dir.path()).unwrap()
}

/// Everything below `path` was last touched so long ago.
fn backdate(path: &Path, by: Duration) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            backdate(&entry.unwrap().path(), by);
        }
    }
    let file = fs::File::open(path).unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

fn page(
    store: &DirectoryStore,
    after: Option<&str>,
    limit: u16,
) -> (Vec<MarkedSession>, Option<String>) {
    let after = after.map(str::to_owned);
    match ask(store, Operation::ListSessions { after, limit }).unwrap() {
        Reply::Sessions { sessions, next } => (sessions, next),
        other => panic!("{other:?}"),
    }
}

fn age(store: &DirectoryStore, n: u8) -> Option<Duration> {
    match ask(store, Operation::SessionAge { id: id(n) }).unwrap() {
        Reply::Age(age) => age,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sessions_with_a_mark_are_listed_a_page_at_a_time() {
    let dir = TempDir::new().unwrap();
    let store = dead(&dir, &[1, 2, 3, 4, 5]);
    let sessions = dir.path().join("sessions");
    // Not ours: no mark, another name, a file, a link, a mark that is none.
    fs::create_dir(sessions.join(id(6).to_string())).unwrap();
    fs::create_dir(sessions.join("photos")).unwrap();
    fs::write(sessions.join(id(7).to_string()), "x").unwrap();
    fs::create_dir(sessions.join(id(8).to_string())).unwrap();
    fs::write(sessions.join(id(8).to_string()).join("mark"), [8; 16]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(
        sessions.join(id(1).to_string()),
        sessions.join(id(9).to_string()),
    )
    .unwrap();
    let mut found = Vec::new();
    let mut after = None;
    for _ in 0..10 {
        let (sessions, next) = page(&store, after.as_deref(), 2);
        assert!(sessions.len() <= 2);
        found.extend(sessions.into_iter().map(|session| session.id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, [1, 2, 3, 4, 5].map(id));
    for n in [6, 7, 8, 9] {
        assert_eq!(age(&store, n), None, "{n}");
    }
    let sweep = Operation::SweepSession { id: id(6) };
    assert_eq!(ask(&store, sweep).unwrap_err().kind, FailureKind::Exists);
    assert!(sessions.join(id(6).to_string()).exists());
}

#[test]
fn a_session_is_as_old_as_the_last_thing_that_happened_in_it() {
    let dir = TempDir::new().unwrap();
    let store = dead(&dir, &[1, 2]);
    for n in [1, 2] {
        let home = dir.path().join("sessions").join(id(n).to_string());
        backdate(&home, 3 * HOUR);
    }
    let made: Vec<_> = page(&store, None, 9).0.iter().map(|s| s.age).collect();
    assert!(made.iter().all(|age| *age >= 3 * HOUR), "{made:?}");
    assert!(age(&store, 1).unwrap() >= 3 * HOUR);
    End::new(&store, id(1), Role::Dialer)
        .write(0, &[b"alive"], false)
        .unwrap();
    assert!(age(&store, 1).unwrap() < HOUR);
    assert!(age(&store, 2).unwrap() >= 3 * HOUR);
}

#[test]
fn another_process_can_remove_it_twice() {
    let dir = TempDir::new().unwrap();
    let store = dead(&dir, &[1, 2]);
    let delete = Operation::DeleteSession { id: id(1) };
    let refused = ask(&store, delete).unwrap_err();
    assert_eq!(
        refused.kind,
        FailureKind::Exists,
        "no listener removes another's"
    );
    for _ in 0..2 {
        let sweep = Operation::SweepSession { id: id(1) };
        assert_eq!(ask(&store, sweep), Ok(Reply::Done));
    }
    let left: Vec<_> = fs::read_dir(dir.path().join("sessions")).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(page(&store, None, 9).0.len(), 1);
}

#[test]
fn a_removal_that_was_cut_short_is_found_and_finished() {
    let dir = TempDir::new().unwrap();
    let store = dead(&dir, &[1]);
    let sessions = dir.path().join("sessions");
    let gone = sessions.join(format!(".gone-{}", id(1)));
    fs::rename(sessions.join(id(1).to_string()), &gone).unwrap();
    fs::remove_file(gone.join("mark")).unwrap();
    let (found, _) = page(&store, None, 9);
    assert_eq!(found.len(), 1);
    assert!(age(&store, 1).is_some());
    ask(&store, Operation::SweepSession { id: id(1) }).unwrap();
    assert!(!gone.exists());
}

#[test]
fn where_there_is_no_store_there_is_nothing_to_find() {
    let dir = TempDir::new().unwrap();
    let store = DirectoryStore::open(dir.path().join("absent")).unwrap();
    assert_eq!(page(&store, None, 9), (Vec::new(), None));
    let operation = Operation::ListSessions {
        after: None,
        limit: 0,
    };
    assert_eq!(
        ask(&store, operation).unwrap_err().kind,
        FailureKind::Refused
    );
}
