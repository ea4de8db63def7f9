//! `packetfs send` and `recv`: a file by reference to a blob that both ends hold.

use crate::support::{Done, Input, Running, noise, run, start, stillwire};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

struct Room(TempDir);

impl Room {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A receiver, and the address at which it waits.
    fn receiver(&self, key: &str, arguments: &[&str]) -> (Running, String) {
        let mut command = stillwire(["packetfs", "recv", "--json", "--listen", "127.0.0.1:0"]);
        command.arg(self.path("out")).args(arguments);
        command.env("STILLWIRE_PACKETFS_PSK", key);
        let running = start(command, Input::Nothing);
        running.wait_to_hear("\"listening\"");
        let line: Value = serde_json::from_str(running.told().lines().next().unwrap()).unwrap();
        let address = line["address"].as_str().unwrap().to_owned();
        (running, address)
    }
}

fn send(key: &str, address: &str, file: &Path, arguments: &[&str]) -> Done {
    let mut command = stillwire(["packetfs", "send", "--json", "--connect", address]);
    command.arg(file).args(arguments);
    command.env("STILLWIRE_PACKETFS_PSK", key);
    run(command, Input::Nothing)
}

fn event(done: &Done) -> Value {
    serde_json::from_str(done.last_line()).unwrap()
}

#[test]
fn a_file_goes_by_reference_and_damage_is_repaired() {
    let room = Room::new();
    let blob = noise(3_000_000);
    let mut file = [&blob[1_000_001..2_500_000], b"foreign", &blob[77..800_000]].concat();
    file[1_600_000..].iter_mut().for_each(|byte| *byte ^= 0x33);
    let path = room.write("file", &file);
    let held = room.write("blob", &blob);
    let mut damaged = blob.clone();
    damaged[2_000_000] ^= 1;
    let other = room.write("other", &damaged);
    let (receiver, address) = room.receiver(KEY, &["--blob", other.to_str().unwrap()]);
    let blob = ["--blob", held.to_str().unwrap()];
    let sent = event(&send(KEY, &address, &path, &blob).expect(0));
    let received = event(&receiver.finish().expect(0));
    assert!(fs::read(room.path("out")).unwrap() == file);
    assert_eq!(sent["bytes"], file.len());
    assert_eq!(sent["repaired"], 1);
    assert_eq!(received["repaired"], 1);
    assert!(sent["share"].as_f64().unwrap() > 99.9, "{sent}");
    // One window, and little besides.
    assert!(sent["wire"].as_u64().unwrap() < 68_000, "{sent}");
}

#[test]
fn a_blob_from_a_seed_needs_no_file() {
    let room = Room::new();
    let seed = room.write("seed", KEY.as_bytes());
    owner_only(&seed);
    let file = room.write("file", b"nothing of it is in the blob");
    let blob = ["--seed-file", seed.to_str().unwrap(), "--blob-size", "1MiB"];
    let (receiver, address) = room.receiver(KEY, &blob);
    let sent = event(&send(KEY, &address, &file, &blob).expect(0));
    receiver.finish().expect(0);
    assert_eq!(fs::read(room.path("out")).unwrap(), fs::read(file).unwrap());
    assert_eq!(sent["referenced"], 0);
}

#[test]
fn an_empty_file_arrives() {
    let room = Room::new();
    let file = room.write("file", b"");
    let blob = room.write("blob", &noise(10_000));
    let blob = ["--blob", blob.to_str().unwrap()];
    let (receiver, address) = room.receiver(KEY, &blob);
    send(KEY, &address, &file, &blob).expect(0);
    receiver.finish().expect(0);
    assert!(fs::read(room.path("out")).unwrap().is_empty());
}

#[test]
fn another_key_is_refused_at_both_ends_and_leaves_nothing() {
    let room = Room::new();
    let file = room.write("file", b"secret");
    let blob = room.write("blob", &noise(10_000));
    let blob = ["--blob", blob.to_str().unwrap()];
    let (receiver, address) = room.receiver(KEY, &blob);
    let other = KEY.replace('0', "1");
    let sent = send(&other, &address, &file, &blob);
    // Whoever hears of it first says so; to the other the connection just ends.
    assert!(matches!(sent.code, Some(3..=5)), "{sent:?}");
    let received = receiver.finish();
    assert!(matches!(received.code, Some(3..=5)), "{received:?}");
    assert!(sent.code == Some(3) || received.code == Some(3));
    let mut left = fs::read_dir(room.0.path()).unwrap();
    assert!(left.all(|entry| {
        let name = entry.unwrap().file_name();
        name == "file" || name == "blob"
    }));
}

#[test]
fn what_exists_is_kept_unless_it_is_forced() {
    let room = Room::new();
    let kept = room.write("out", b"kept");
    let blob = room.write("blob", &noise(10_000));
    let mut command = stillwire(["packetfs", "recv", "--listen", "0"]);
    command.arg(&kept).arg("--blob").arg(&blob);
    command.env("STILLWIRE_PACKETFS_PSK", KEY);
    let done = run(command, Input::Nothing).expect(1);
    assert!(done.last_line().contains("--force"), "{}", done.stderr);
    let file = room.write("file", b"new");
    let arguments = ["--force", "--blob", blob.to_str().unwrap()];
    let (receiver, address) = room.receiver(KEY, &arguments);
    send(KEY, &address, &file, &arguments[1..]).expect(0);
    receiver.finish().expect(0);
    assert_eq!(fs::read(kept).unwrap(), b"new");
}

#[test]
fn keys_come_from_a_file_or_a_command_and_must_be_long_enough() {
    let room = Room::new();
    let file = room.write("file", b"x");
    let try_send = |arguments: &[&str], key: Option<&str>| {
        let mut command = stillwire(["packetfs", "send", "--connect", "127.0.0.1:1"]);
        command.arg(&file).arg("--blob").arg(&file).args(arguments);
        if let Some(key) = key {
            command.env("STILLWIRE_PACKETFS_PSK", key);
        }
        run(command, Input::Nothing)
    };
    assert!(
        try_send(&[], None)
            .expect(2)
            .last_line()
            .contains("--key-file")
    );
    assert!(
        try_send(&[], Some(&KEY[2..]))
            .expect(2)
            .last_line()
            .contains("shorter")
    );
    let odd = try_send(&[], Some("secret words")).expect(2);
    assert!(!odd.stderr.contains("words"), "{}", odd.stderr);
    // A sound key gets as far as the connection, which nobody takes.
    try_send(&[], Some(KEY)).expect(4);
    let key = room.write("key", KEY.as_bytes());
    owner_only(&key);
    try_send(&["--key-file", key.to_str().unwrap()], None).expect(4);
    if cfg!(unix) {
        let print = format!("cat {}", key.display());
        try_send(&["--key-command", &print], None).expect(4);
        try_send(&["--key-command", "exit 7"], None).expect(3);
    }
}

fn owner_only(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = path;
}
