//! A disk that is full, at either end of the way and under it.

use crate::support::{Input, Output, Place, names, noise, run, start, start_into, wait_for};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// A disk of 1 MiB; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// [`None`], said aloud, where it cannot be mounted.
    fn mount(place: &Place) -> Option<Self> {
        let path = place.path("small");
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&path)
            .output()
            .is_ok_and(|done| done.status.success());
        if !mounted {
            println!("skipped: a small tmpfs cannot be mounted here (it takes root)");
            return None;
        }
        Some(Self(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Without waiting for who still looks into it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A device on which there is never any room.
fn full() -> Output {
    Output::File(File::options().write(true).open("/dev/full").unwrap())
}

const NO_ROOM: &str = "stillwire: cannot write what arrived: no space left on device";

#[test]
fn a_listener_without_room_for_what_arrives_says_so_in_one_line() {
    for bytes in [3, 300_000] {
        let place = Place::directory();
        let command = place.listening("listen", &["-q"]);
        let listener = start_into(command, Input::Nothing, full());
        let dialer = start(place.dialing("dial", &["-q"]), Input::Bytes(noise(bytes)));
        let done = listener.finish().expect(1);
        let line = done.last_line();
        assert!(line.starts_with(NO_ROOM), "{line}");
        assert!(line.ends_with("free some room, or use another directory"));
        let told = done.stderr.matches("stillwire: ").count();
        assert_eq!(told, 1, "{}", done.stderr);
        drop(dialer);
    }
}

#[test]
fn a_dialer_without_room_for_what_arrives_says_so_in_one_line() {
    for bytes in [3, 300_000] {
        let place = Place::directory();
        let command = place.listening("listen", &["-q"]);
        let listener = start(command, Input::Bytes(noise(bytes)));
        let command = place.dialing("dial", &["-q"]);
        let done = start_into(command, Input::Nothing, full())
            .finish()
            .expect(1);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        let line = done.last_line();
        assert!(line.starts_with(NO_ROOM), "{line}");
        assert!(line.ends_with("free some room, or use another directory"));
        drop(listener);
    }
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let place = Place::directory();
    let demo = ["demo", "--bytes", "1", "memory:"];
    for command in [place.about("ticket", &[]), crate::support::stillwire(demo)] {
        let done = start_into(command, Input::Nothing, full())
            .finish()
            .expect(1);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        let lost = "stillwire: cannot write to stdout: no space left on device";
        assert!(done.last_line().starts_with(lost), "{}", done.last_line());
    }
}

#[test]
fn a_full_store_is_one_line_and_no_fault_of_the_peer() {
    let place = Place::directory();
    let Some(disk) = Disk::mount(&place) else {
        return;
    };
    let store = format!("dir:{}", disk.0.join("store").display());
    let ticket = place.path("ticket");
    let mut command = crate::support::stillwire(["listen", "-q", &store, "--ticket-file"]);
    command.arg(&ticket);
    let listener = start(command, Input::Nothing);
    wait_for(|| ticket.exists());
    let mut dialer = start(place.dialing("dial", &["-q"]), Input::Open);
    let mut stdin = dialer.stdin();
    stdin.write_all(b"while there is room").unwrap();
    wait_for(|| listener.printed() == "while there is room");
    let mut ballast = File::create(disk.0.join("ballast")).unwrap();
    while ballast.write_all(&[0; 4096]).is_ok() {}
    stdin.write_all(&noise(50_000)).unwrap();
    let done = dialer.finish().expect(1);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    let line = done.last_line();
    assert!(line.contains("No space left on device"), "{line}");
    assert!(line.contains(&store), "{line}");
    // What to do is said once.
    assert_eq!(line.matches("free some").count(), 1, "{line}");
    assert_eq!(listener.printed(), "while there is room");
    drop(listener);
}

/// Runs a command whose files may have 64 KiB: `ulimit -f` counts blocks of 512 bytes.
#[cfg(unix)]
fn confined(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "ulimit -f 128; exec \"$@\"", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell
}

#[cfg(unix)]
#[test]
fn a_file_at_the_limit_of_its_size_is_a_local_fault_with_a_line() {
    let place = Place::directory();
    place.write("big", &noise(300_000));
    let limit = "raise the file size limit";
    // In the store, of which the sender's machine holds this one.
    let listener = start(place.listening("recv", &["-q", "in"]), Input::Nothing);
    let sending = confined(&place.dialing("send", &["-q", "big"]));
    let sent = run(sending, Input::Nothing).expect(1);
    assert_eq!(sent.stderr.lines().count(), 1, "{}", sent.stderr);
    let line = sent.last_line();
    assert!(line.contains("File too large"), "{line}");
    assert!(
        line.contains(limit) && !line.contains("free some"),
        "{line}"
    );
    drop(listener);

    // Where the file shall go.
    let place = Place::directory();
    place.write("big", &noise(300_000));
    let receiving = confined(&place.listening("recv", &["-q", "."]));
    let mut receiving = start(receiving, Input::Nothing);
    wait_for(|| place.path("ticket").exists());
    assert!(receiving.is_running());
    let sent = run(place.dialing("send", &["-q", "big"]), Input::Nothing).expect(5);
    assert!(sent.last_line().contains("the receiver refused"));
    let received = receiving.finish().expect(1);
    let line = received.last_line();
    assert!(
        line.contains("file too large") && line.contains(limit),
        "{line}"
    );
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let place = Place::directory();
    let Some(disk) = Disk::mount(&place) else {
        return;
    };
    place.write("big", &noise(3_000_000));
    let listener = start(
        place.listening("recv", &[disk.0.to_str().unwrap()]),
        Input::Nothing,
    );
    let sent = run(place.dialing("send", &["big"]), Input::Nothing);
    let received = listener.finish();
    let line = received.last_line().to_owned();
    assert!(
        line.contains("cannot write \"big\": no space left on device"),
        "{line}"
    );
    assert!(line.contains("free some room"), "{line}");
    received.expect(1);
    assert!(
        sent.last_line().contains("the receiver refused"),
        "{}",
        sent.stderr
    );
    sent.expect(5);
    let left = names(&disk.0);
    assert!(left.is_empty(), "{left:?}");
}
