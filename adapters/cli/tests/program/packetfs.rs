//! `packetfs send` and `recv`: a file by reference to a blob that both ends hold.

use crate::support::{Done, Input, Running, names, noise, run, start, stats, stillwire};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
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
        let address = listening(&running);
        (running, address)
    }
}

/// The address at which somebody says that it waits.
fn listening(running: &Running) -> String {
    running.wait_to_hear("\"listening\"");
    let line: Value = serde_json::from_str(running.told().lines().next().unwrap()).unwrap();
    line["address"].as_str().unwrap().to_owned()
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
fn the_files_bytes_are_counted_at_both_ends() {
    let room = Room::new();
    let blob = noise(200_000);
    let path = room.write("file", &blob[50_000..150_000]);
    let held = room.write("blob", &blob);
    let with = ["--stats", "--blob", held.to_str().unwrap()];
    let (receiver, address) = room.receiver(KEY, &with);
    let sent = stats(&send(KEY, &address, &path, &with).expect(0).stderr);
    let received = stats(&receiver.finish().expect(0).stderr);
    assert_eq!([&sent["connections"], &received["connections"]], [1, 1]);
    assert_eq!([&sent["bytes_sent"], &sent["bytes_received"]], [100_000, 0]);
    let other = [&received["bytes_sent"], &received["bytes_received"]];
    assert_eq!(other, [0, 100_000]);
}

#[test]
fn a_blob_from_a_seed_needs_no_file() {
    let room = Room::new();
    let seed = room.write("seed", KEY.as_bytes());
    owner_only(&seed);
    let file = room.write("file", b"nothing of it is in the blob");
    let blob = ["--seed-file", seed.to_str().unwrap(), "--blob-size", "1MiB"];
    let (receiver, address) = room.receiver(KEY, &blob);
    let sent = send(KEY, &address, &file, &blob).expect(0);
    let received = receiver.finish().expect(0);
    assert_eq!(fs::read(room.path("out")).unwrap(), fs::read(file).unwrap());
    assert_eq!(event(&sent)["referenced"], 0);
    // Here the seed of the blob and the key of the session are the same bytes; neither is told.
    for done in [sent, received] {
        let told = done.stderr.to_lowercase();
        assert!(!told.is_empty() && !told.contains(KEY), "{told}");
        assert!(!String::from_utf8_lossy(&done.stdout).contains(KEY));
    }
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
    let other = KEY.replace('0', "1");
    // Whoever calls has one other end, and ends with it.
    let mut command = stillwire(["packetfs", "send", "--json", "--listen", "127.0.0.1:0"]);
    command.arg(&file).arg("--blob").arg(&blob);
    command.env("STILLWIRE_PACKETFS_PSK", KEY);
    let sender = start(command, Input::Nothing);
    let address = listening(&sender);
    let mut command = stillwire(["packetfs", "recv", "--connect", &address]);
    command.arg(room.path("out")).arg("--blob").arg(&blob);
    command.env("STILLWIRE_PACKETFS_PSK", other);
    let received = run(command, Input::Nothing);
    assert!(matches!(received.code, Some(3..=5)), "{received:?}");
    sender.wait_to_hear("\"trouble\"");
    // Whoever hears of it first says so; to the other the connection just ends.
    let told = sender.told();
    assert!(
        received.code == Some(3) || told.contains("\"kind\":\"authentication\""),
        "{told} {received:?}"
    );
    assert_eq!(names(room.0.path()), ["blob", "file"]);
}

/// A port scan, a browser, somebody who says nothing, another key: none of them is the other end.
#[test]
fn strangers_are_turned_away_until_one_proves_itself() {
    let room = Room::new();
    let file = room.write("file", b"for one only");
    let blob = room.write("blob", &noise(10_000));
    let blob = ["--blob", blob.to_str().unwrap()];
    let (mut receiver, address) = room.receiver(KEY, &blob);
    drop(TcpStream::connect(&address).unwrap());
    let mut browser = TcpStream::connect(&address).unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    // More of them than are heard at once, and none ever goes.
    let silent: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let other = send(&KEY.replace('0', "1"), &address, &file, &blob);
    assert!(matches!(other.code, Some(3..=5)), "{other:?}");
    assert!(receiver.is_running());
    send(KEY, &address, &file, &blob).expect(0);
    drop(silent);
    let received = receiver.finish().expect(0);
    assert_eq!(event(&received)["bytes"], 12);
    assert_eq!(fs::read(room.path("out")).unwrap(), b"for one only");
    let troubles = received.stderr.matches("\"trouble\"").count();
    assert!(troubles >= 3, "{}", received.stderr);
}

/// Two objects, as a file is cut: pieces of the blob, 4 to 64 KiB, at any offset.
#[test]
fn a_file_of_more_than_one_object_goes_by_reference() {
    let room = Room::new();
    let blob = noise(8 << 20);
    let draws = noise(16 * 2_000);
    let mut file = Vec::with_capacity(41 << 20);
    for draw in draws.chunks_exact(16) {
        let (at, size) = draw.split_at(8);
        let number = |bytes: &[u8]| usize::from_le_bytes(bytes.try_into().unwrap()) >> 8;
        let size = 4_096 + number(size) % (60 << 10);
        let at = number(at) % (blob.len() - size);
        file.extend_from_slice(&blob[at..at + size]);
    }
    assert!(file.len() > 40 << 20, "{}", file.len());
    let path = room.write("file", &file);
    let held = room.write("blob", &blob);
    let blob = ["--blob", held.to_str().unwrap()];
    let (receiver, address) = room.receiver(KEY, &blob);
    let sent = event(&send(KEY, &address, &path, &blob).expect(0));
    let received = event(&receiver.finish().expect(0));
    let got = fs::read(room.path("out")).unwrap();
    assert_eq!(blake3(&got), blake3(&file));
    assert_eq!(sent["bytes"], file.len());
    assert_eq!(received["bytes"], file.len());
    assert!(sent["share"].as_f64().unwrap() > 99.9, "{sent}");
    let wire = sent["wire"].as_u64().unwrap();
    assert!(wire <= file.len() as u64 / 100, "{sent}");
    println!("{} bytes as {wire}: {sent}", file.len());
}

fn blake3(bytes: &[u8]) -> [u8; 32] {
    stillwire_core::crypto::blake3::digest(bytes)
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
