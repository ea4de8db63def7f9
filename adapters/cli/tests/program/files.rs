//! `send` and `recv`: what arrives, and what must not.

use crate::support::{Done, Input, Place, Running, noise, run, start, wait_for};
use std::fs;
use std::io::Write;
use std::process::ChildStdin;

/// A stream as `send` would make it, with one file.
fn forged(name: &str, announced: u64, data: &[u8], digest: [u8; 32]) -> Vec<u8> {
    let mut stream = b"swfiles\x01\x01".to_vec();
    stream.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
    stream.extend(name.as_bytes());
    stream.extend(announced.to_be_bytes());
    stream.extend(data);
    stream.extend(digest);
    stream.push(0);
    stream
}

/// SHA-256 of nothing.
const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// What `recv` says to a stream that somebody else made.
fn receive(place: &Place, stream: Vec<u8>) -> Done {
    let into = place.path("in");
    let listener = start(
        place.listening("recv", &[into.to_str().unwrap(), "-q"]),
        Input::Nothing,
    );
    run(place.dialing("dial", &["-q"]), Input::Bytes(stream));
    listener.finish()
}

fn several_files(place: &Place) {
    let files = [
        ("empty", Vec::new()),
        ("one byte", vec![7]),
        ("größer.bin", noise(6_000_001)),
    ];
    for (name, data) in &files {
        place.write(name, data);
    }
    let into = place.path("in");
    let listener = start(
        place.listening("recv", &[into.to_str().unwrap()]),
        Input::Nothing,
    );
    let arguments: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    let sent = run(place.dialing("send", &arguments), Input::Nothing).expect(0);
    let received = listener.finish().expect(0);
    for (name, data) in &files {
        assert!(fs::read(into.join(name)).unwrap() == *data, "{name}");
    }
    // One line a file, which `sha256sum -c` would take: the digests are equal at both ends.
    assert_eq!(sent.stdout, received.stdout);
    let text = String::from_utf8(sent.stdout).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    assert!(received.stderr.contains("received 3 files: 6.0 MB in"));
    assert_eq!(place.names("in").len(), 3, "{:?}", place.names("in"));
}

#[test]
fn files_over_a_directory() {
    several_files(&Place::directory());
}

#[test]
fn files_over_blobs() {
    let Some(place) = Place::azurite() else {
        return;
    };
    several_files(&place);
}

#[test]
fn files_over_queues() {
    let Some(place) = Place::azurite_queue() else {
        return;
    };
    several_files(&place);
}

#[test]
fn files_over_tables() {
    let Some(place) = Place::azurite_table() else {
        return;
    };
    several_files(&place);
}

#[test]
fn an_existing_file_is_kept_unless_forced() {
    let place = Place::directory();
    let into = place.path("in");
    fs::create_dir(&into).unwrap();
    place.write("a", b"new");
    place.write("in/a", b"old");
    let receive = |force: &[&str]| {
        let mut arguments = vec![into.to_str().unwrap()];
        arguments.extend(force);
        let listener = start(place.listening("recv", &arguments), Input::Nothing);
        let sent = run(place.dialing("send", &["a"]), Input::Nothing);
        (sent, listener.finish())
    };
    let (sent, received) = receive(&[]);
    assert!(
        received
            .last_line()
            .starts_with("stillwire: \"a\" exists already")
    );
    assert!(received.last_line().contains("--force"));
    received.expect(1);
    assert!(
        sent.last_line()
            .contains("the receiver refused: \"a\" exists already")
    );
    sent.expect(5);
    assert_eq!(fs::read(into.join("a")).unwrap(), b"old");
    assert_eq!(place.names("in"), ["a"]);

    let (sent, received) = receive(&["--force"]);
    sent.expect(0);
    received.expect(0);
    assert_eq!(fs::read(into.join("a")).unwrap(), b"new");
    assert_eq!(place.names("in"), ["a"]);
}

#[test]
fn no_name_escapes_the_directory() {
    let place = Place::directory();
    let before = |place: &Place| {
        let mut names = place.names(".");
        names.retain(|name| !["in", "store", "ticket"].contains(&name.as_str()));
        names
    };
    let outside = place.path("absolute");
    for name in [
        "../evil",
        "/etc/evil",
        "a/b",
        "..",
        "",
        "x\0y",
        "\u{1b}[2J",
        outside.to_str().unwrap(),
    ] {
        let done = receive(&place, forged(name, 0, b"", EMPTY)).expect(5);
        assert!(
            done.last_line().contains("refused the file name"),
            "{}",
            done.stderr
        );
        assert!(!done.stderr.contains('\u{1b}'));
        assert!(place.names("in").is_empty(), "{name:?}");
        assert!(before(&place).is_empty(), "{name:?}");
    }
}

#[test]
fn a_wrong_digest_a_cut_and_a_plain_stream_leave_nothing() {
    let place = Place::directory();
    let wrong = receive(&place, forged("a", 3, b"abc", [0; 32])).expect(5);
    assert!(
        wrong.last_line().contains("the digest of \"a\" is not"),
        "{}",
        wrong.stderr
    );
    let mut cut = forged("a", 1 << 40, b"abc", [0; 32]);
    cut.pop();
    let cut = receive(&place, cut).expect(5);
    assert!(
        cut.last_line().contains("ended before all was sent"),
        "{}",
        cut.stderr
    );
    let plain = receive(&place, b"just some text that is no file".to_vec()).expect(5);
    assert!(
        plain.last_line().contains("plain stream"),
        "{}",
        plain.stderr
    );
    assert!(place.names("in").is_empty());
    // And the forger's frame is right: with the right digest it is taken.
    receive(&place, forged("a", 0, b"", EMPTY)).expect(0);
    assert_eq!(place.names("in"), ["a"]);
}

/// A receiver in the middle of a large file, and who sends it.
fn in_the_middle(place: &Place) -> (Running, Running, ChildStdin) {
    let into = place.path("in");
    let listener = start(
        place.listening("recv", &[into.to_str().unwrap(), "-q"]),
        Input::Nothing,
    );
    let mut dialer = start(place.dialing("dial", &["-q"]), Input::Open);
    let mut stdin = dialer.stdin();
    let mut beginning = forged("big", 1 << 30, &noise(100_000), [0; 32]);
    beginning.truncate(100_000);
    stdin.write_all(&beginning).unwrap();
    wait_for(|| into.exists() && place.names("in").len() == 1);
    let partial = &place.names("in")[0];
    assert!(partial.starts_with(".stillwire-"), "{partial}");
    (listener, dialer, stdin)
}

#[test]
fn a_sender_that_ends_early_leaves_no_partial_file() {
    let place = Place::directory();
    let (listener, dialer, stdin) = in_the_middle(&place);
    drop(stdin);
    dialer.finish().expect(0);
    listener.finish().expect(5);
    assert!(place.names("in").is_empty());
}

#[cfg(unix)]
#[test]
fn an_interrupted_receiver_leaves_no_partial_file() {
    let place = Place::directory();
    let (listener, dialer, stdin) = in_the_middle(&place);
    listener.signal(rustix::process::Signal::INT);
    listener.finish().expect(130);
    assert!(place.names("in").is_empty());
    drop((dialer, stdin));
}
