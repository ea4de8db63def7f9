//! What a directory may hold that nobody of ours put there, and what its disk may do.

mod common;

use common::{ALL, Dice, MISSING, NOTHING, ask, data, id, pair};
use std::fs;
use std::path::{Path, PathBuf};
use stillwire_core::store::{Direction, FailureKind, Handshake, Operation, Reply};
use stillwire_local::{DirectoryOptions, DirectoryStore};
use tempfile::TempDir;

fn fresh() -> (TempDir, DirectoryStore) {
    let dir = TempDir::new().unwrap();
    let store = DirectoryStore::open(dir.path().join("store")).unwrap();
    ask(&store, Operation::Prepare).unwrap();
    (dir, store)
}

fn session_of(store: &DirectoryStore, n: u8) -> PathBuf {
    store.path().join("sessions").join(id(n).to_string())
}

fn chunk_file(store: &DirectoryStore, n: u8, first: u64) -> PathBuf {
    session_of(store, n).join(format!("req/0/{first:016x}"))
}

fn list(store: &DirectoryStore) -> Vec<Handshake> {
    let page = Operation::ListHandshakes {
        after: None,
        limit: 1_000,
    };
    match ask(store, page).unwrap() {
        Reply::Handshakes { entries, .. } => entries,
        other => panic!("{other:?}"),
    }
}

/// Every path under `root` with its content: to see that nothing was touched.
fn snapshot(root: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(path) = open.pop() {
        if path.symlink_metadata().unwrap().is_dir() {
            open.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            found.push((path, None));
        } else {
            let link = fs::read_link(&path).map(|to| to.into_os_string().into_encoded_bytes());
            let content = link.or_else(|_| fs::read(&path)).unwrap();
            found.push((path, Some(content)));
        }
    }
    found.sort();
    found
}

#[test]
fn no_name_leaves_the_directory() {
    let (dir, store) = fresh();
    fs::write(dir.path().join("x"), "outside").unwrap();
    fs::write(store.path().join("x"), "beside").unwrap();
    fs::write(store.path().join("token/x"), "token").unwrap();
    let before = snapshot(dir.path());
    let outside = dir.path().join("x").to_str().unwrap().to_owned();
    for name in [
        "../x",
        "../../x",
        "../token/x",
        "./x",
        ".",
        "..",
        "",
        "a/b",
        "a\\b",
        "x\0",
        "x\r\n",
        "é",
        ".x",
        &outside,
        &"n".repeat(300),
    ] {
        let name = name.to_owned();
        let failure = ask(&store, Operation::DeleteHandshake { name }).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(!failure.detail.chars().any(char::is_control));
    }
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn junk_among_the_handshakes_hides_nothing() {
    let (_dir, store) = fresh();
    let place = store.path().join("handshake");
    let message = b"message 1"[..].into();
    ask(&store, Operation::PutHandshake { id: id(1), message }).unwrap();
    fs::write(place.join("README.txt"), "not ours at all").unwrap();
    fs::write(place.join("with space"), "x").unwrap();
    fs::write(place.join(".12-0"), "left by a crash").unwrap();
    fs::write(place.join("0-zeros"), [0; 99]).unwrap();
    fs::write(place.join("1-empty"), "").unwrap();
    fs::create_dir(place.join("2-directory")).unwrap();
    fs::File::create(place.join("3-huge"))
        .unwrap()
        .set_len(1 << 33)
        .unwrap();
    let whole = fs::read(place.join(id(1).to_string())).unwrap();
    fs::write(place.join("4-short"), &whole[..whole.len() - 1]).unwrap();
    let entries = list(&store);
    let names: Vec<_> = entries
        .iter()
        .map(|e| (&e.name[..], e.message.is_some()))
        .collect();
    let ours = id(1).to_string();
    let expected = [
        ("2-directory", false),
        ("3-huge", false),
        ("README.txt", false),
    ];
    let mut expected: Vec<_> = expected.into_iter().chain([(&ours[..], true)]).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let found = store.diagnostics();
    assert_eq!((found.torn, found.malformed, found.unnamed), (3, 3, 1));
    assert!(found.last.is_some());
    // The torn one is whole a little later, and was never given up.
    fs::write(place.join("4-short"), &whole).unwrap();
    assert!(
        list(&store)
            .iter()
            .any(|e| e.name == "4-short" && e.message.is_some())
    );
}

#[test]
fn an_existing_session_is_left_untouched() {
    let (dir, store) = fresh();
    let home = session_of(&store, 1);
    let create = |mark| ask(&store, Operation::CreateSession { id: id(1), mark });
    // Empty, with a stranger's mark, a mark of zeros, a file, a link to a directory of ours.
    let (dialer, _) = pair(&store, 2);
    dialer.write(0, &[b"kept"], false).unwrap();
    let variants: [&dyn Fn(); 4] = [
        &|| fs::create_dir(&home).unwrap(),
        &|| {
            fs::create_dir(&home).unwrap();
            fs::write(home.join("mark"), [0; 52]).unwrap();
        },
        &|| fs::write(&home, "a file").unwrap(),
        #[cfg(unix)]
        &|| std::os::unix::fs::symlink(session_of(&store, 2), &home).unwrap(),
    ];
    for make in variants {
        make();
        let before = snapshot(store.path().join("sessions").as_path());
        // Mark 2 is the one in the session that the link leads to.
        assert_eq!(create([2; 16]).unwrap_err().kind, FailureKind::Exists);
        let delete = ask(&store, Operation::DeleteSession { id: id(1) });
        assert!(delete.is_err());
        assert_eq!(snapshot(store.path().join("sessions").as_path()), before);
        fs::remove_dir_all(&home)
            .or_else(|_| fs::remove_file(&home))
            .unwrap();
    }
    // Another process's listener: same directory, not our making.
    let other = DirectoryStore::open(store.path()).unwrap();
    let failure = ask(&other, Operation::DeleteSession { id: id(2) }).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Exists);
    assert!(failure.detail.contains("left untouched"));
    assert!(chunk_file(&store, 2, 0).exists());
    drop(dir);
}

#[test]
fn a_bootstrap_of_others_stays() {
    let (_dir, store) = fresh();
    let other = DirectoryStore::open(store.path()).unwrap();
    let again = ask(&other, Operation::Prepare).unwrap();
    assert_eq!(again, Reply::Prepared { created: false });
    ask(&other, Operation::RemoveBootstrap).unwrap();
    assert!(store.path().join("handshake").is_dir());
    ask(&store, Operation::RemoveBootstrap).unwrap();
    assert!(!store.path().exists());
}

#[test]
fn damaged_chunk_files_read_as_nothing() {
    let (_dir, store) = fresh();
    let (dialer, listener) = pair(&store, 1);
    dialer.write(0, &[b"first", b"second"], false).unwrap();
    let path = chunk_file(&store, 1, 0);
    let whole = fs::read(&path).unwrap();
    let mut dice = Dice::new(5);
    for _ in 0..300 {
        let mut bad = whole.clone();
        match dice.below(4) {
            0 => bad.truncate(dice.below(whole.len())),
            1 => bad[dice.below(whole.len() - 1)..].fill(0),
            2 => bad.extend_from_slice(&[0; 7][..=dice.below(7)]),
            _ => bad[dice.below(44)] ^= 1 << dice.below(8),
        }
        fs::write(&path, &bad).unwrap();
        assert_eq!(listener.read(0, ALL).unwrap(), good_part(&bad, &whole));
    }
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(listener.read(0, ALL).unwrap(), NOTHING);
    fs::write(&path, &whole).unwrap();
    assert_eq!(listener.read(0, ALL).unwrap(), data("firstsecond", false));
    let found = store.diagnostics();
    assert!(found.torn > 100 && found.malformed > 50, "{found:?}");
}

/// A file of full length whose second chunk alone is damaged still gives its first.
fn good_part(bad: &[u8], whole: &[u8]) -> Reply {
    const SECOND: usize = 28 + 16 + 5;
    if bad.len() == whole.len() && bad[..SECOND] == whole[..SECOND] {
        return data("first", false);
    }
    NOTHING
}

#[test]
fn options_are_checked() {
    let dir = TempDir::new().unwrap();
    let with = |handshake: &str, token: &str| {
        let options = DirectoryOptions {
            handshake: handshake.into(),
            token: token.into(),
            ..DirectoryOptions::default()
        };
        DirectoryStore::open_with(dir.path(), options)
    };
    for (handshake, token) in [
        ("a", "a"),
        ("sessions", "b"),
        ("../a", "b"),
        ("a", ""),
        ("a", ".b"),
    ] {
        let failure = with(handshake, token).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{handshake} {token}");
    }
    let store = with("h-1", "t-1").unwrap();
    ask(&store, Operation::Prepare).unwrap();
    assert!(dir.path().join("h-1").is_dir() && dir.path().join("t-1").is_dir());
    fs::write(dir.path().join("file"), "").unwrap();
    let failure = DirectoryStore::open(dir.path().join("file")).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
}

#[test]
fn a_durable_store_and_a_rotating_one_work_alike() {
    let dir = TempDir::new().unwrap();
    let options = DirectoryOptions {
        durable: true,
        writes_before_rotation: Some(3),
        ..DirectoryOptions::default()
    };
    let store = DirectoryStore::open_with(dir.path(), options).unwrap();
    assert_eq!(store.profile().writes_before_rotation, Some(3));
    let (dialer, listener) = pair(&store, 1);
    dialer.write(0, &[b"safe"], false).unwrap();
    dialer.rotate(Direction::Outbound, 1).unwrap();
    assert_eq!(listener.read(0, ALL).unwrap(), data("safe", false));
}

#[test]
fn files_are_removed_once_they_are_with_the_machine() {
    let (_dir, store) = fresh();
    let (dialer, listener) = pair(&store, 1);
    dialer.write(0, &[b"a", b"b"], false).unwrap();
    dialer.write(2, &[b"c"], false).unwrap();
    let there = || [0, 2].map(|first| chunk_file(&store, 1, first).exists());
    listener.read(0, ALL).unwrap();
    assert_eq!(there(), [true, true]);
    listener.read(1, ALL).unwrap();
    assert_eq!(there(), [true, true]);
    listener.read(2, ALL).unwrap();
    assert_eq!(there(), [false, true]);
    listener.read(3, ALL).unwrap();
    assert_eq!(there(), [false, false]);
    ask(&store, Operation::DeleteSession { id: id(1) }).unwrap();
    assert_eq!(
        fs::read_dir(store.path().join("sessions")).unwrap().count(),
        0
    );
    assert_eq!(listener.read(3, ALL).unwrap(), MISSING);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn others_cannot_read_what_we_make() {
        let (_dir, store) = fresh();
        let (dialer, _) = pair(&store, 1);
        dialer.write(0, &[b"x"], false).unwrap();
        dialer.rotate(Direction::Outbound, 1).unwrap();
        for (path, content) in snapshot(store.path()) {
            let expected = if content.is_some() { 0o600 } else { 0o700 };
            assert_eq!(mode(&path), expected, "{path:?}");
        }
    }

    #[test]
    fn a_group_is_let_in_by_the_owner_of_the_directory_only() {
        let dir = TempDir::new().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o2777)).unwrap();
        let store = DirectoryStore::open(dir.path()).unwrap();
        let (dialer, _) = pair(&store, 1);
        dialer.write(0, &[b"x"], false).unwrap();
        for (path, _) in snapshot(&store.path().join("sessions")) {
            assert_eq!(mode(&path) & 0o007, 0, "{path:?}");
        }
        // As far as the umask of this run lets the group in.
        let probe = dir.path().join("probe");
        fs::DirBuilder::new().mode(0o770).create(&probe).unwrap();
        let group = mode(&probe) & 0o070;
        assert_eq!(mode(&store.path().join("handshake")) & 0o070, group);
        assert_eq!(mode(&chunk_file(&store, 1, 0)) & 0o070, group & 0o060);
    }

    #[test]
    fn links_lead_nowhere() {
        let (dir, store) = fresh();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        // A link where a chunk, a token, a handshake should be.
        let (dialer, listener) = pair(&store, 1);
        dialer.write(0, &[b"secret"], false).unwrap();
        fs::rename(chunk_file(&store, 1, 0), outside.join("chunk")).unwrap();
        symlink(outside.join("chunk"), chunk_file(&store, 1, 0)).unwrap();
        assert_eq!(listener.read(0, ALL).unwrap(), NOTHING);
        symlink(
            outside.join("chunk"),
            store.path().join("token").join(id(9).to_string()),
        )
        .unwrap();
        assert_eq!(
            ask(&store, Operation::GetToken { id: id(9) }).unwrap(),
            NOTHING
        );
        symlink(outside.join("chunk"), store.path().join("handshake/link")).unwrap();
        assert_eq!(list(&store).first().unwrap().message, None);
        // Removing the entry removes the link and not what it points to.
        let name = "link".into();
        ask(&store, Operation::DeleteHandshake { name }).unwrap();
        assert!(outside.join("chunk").exists() && list(&store).is_empty());
        // Writing does not go through a link either.
        symlink(outside.join("new"), chunk_file(&store, 1, 1)).unwrap();
        let failure = dialer.write(1, &[b"x"], false).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(!outside.join("new").exists());
    }

    #[test]
    fn linked_directories_are_refused() {
        let (dir, store) = fresh();
        let outside = dir.path().join("outside");
        fs::create_dir_all(outside.join("req/0")).unwrap();
        fs::create_dir_all(outside.join("res/0")).unwrap();
        symlink(&outside, session_of(&store, 3)).unwrap();
        let end = common::End::new(&store, id(3), stillwire_core::store::Role::Dialer);
        assert_eq!(
            end.write(0, &[b"x"], false).unwrap_err().kind,
            FailureKind::Refused
        );
        assert_eq!(end.read(0, ALL).unwrap_err().kind, FailureKind::Refused);
        let place = store.path().join("token");
        fs::remove_dir(&place).unwrap();
        symlink(&outside, &place).unwrap();
        let message = b"m"[..].into();
        let put = ask(&store, Operation::PutToken { id: id(3), message });
        assert_eq!(put.unwrap_err().kind, FailureKind::Refused);
        let failure = ask(&store, Operation::Prepare).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        // Removing the session that a link was put into leaves the link's target alone.
        let (_, _) = pair(&store_beside(&dir), 4);
        assert_eq!(snapshot(&outside).len(), 5);
    }

    fn store_beside(dir: &TempDir) -> DirectoryStore {
        let store = DirectoryStore::open(dir.path().join("beside")).unwrap();
        let (_, _) = pair(&store, 4);
        symlink(
            dir.path().join("outside"),
            session_of(&store, 4).join("req/link"),
        )
        .unwrap();
        ask(&store, Operation::DeleteSession { id: id(4) }).unwrap();
        store
    }

    /// Unmounts when dropped.
    struct Mount(PathBuf);

    impl Drop for Mount {
        fn drop(&mut self) {
            let done = std::process::Command::new("umount").arg(&self.0).status();
            if !done.is_ok_and(|status| status.success()) {
                eprintln!("{} could not be unmounted", self.0.display());
            }
        }
    }

    #[test]
    fn a_full_disk_is_said_to_be_full() {
        let dir = TempDir::new().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(dir.path())
            .output();
        let _mount = match mounted {
            Ok(output) if output.status.success() => Mount(dir.path().into()),
            _ => {
                println!("skipped: a small tmpfs cannot be mounted here (it takes root)");
                return;
            }
        };
        let store = DirectoryStore::open(dir.path()).unwrap();
        let (dialer, listener) = pair(&store, 1);
        let chunk = vec![0x5a; 300_000];
        let mut written = 0;
        let failure = loop {
            match dialer.write(written, &[&chunk], false) {
                Ok(_) => written += 1,
                Err(failure) => break failure,
            }
        };
        assert_eq!((written, failure.kind), (3, FailureKind::Full), "{failure}");
        assert!(!failure.may_have_landed);
        assert!(failure.detail.contains("free some space"), "{failure}");
        // Nothing half-written is left, and reading makes room for the same write again.
        let names = fs::read_dir(session_of(&store, 1).join("req/0")).unwrap();
        assert_eq!(names.count(), 3);
        for sequence in 0..=3 {
            listener.read(sequence, ALL).unwrap();
        }
        dialer.write(3, &[&chunk], false).unwrap();
        assert_eq!(listener.read(3, ALL).unwrap(), data(chunk, false));
        let mark = [5; 16];
        fs::write(dir.path().join("ballast"), vec![1; 2 << 20]).unwrap_err();
        let create = ask(&store, Operation::CreateSession { id: id(5), mark });
        assert_eq!(create.unwrap_err().kind, FailureKind::Full);
        assert!(!session_of(&store, 5).exists());
    }
}
