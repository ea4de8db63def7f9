//! Every vector against our own code, through the program and its child process.

use std::path::{Path, PathBuf};
use std::process::Command;
use stillwire_conformance::known::KnownFailing;
use stillwire_conformance::vector;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

/// Files that must be there, with the least number of vectors in each: a vector that is lost must
/// not look like one that passes.
const FILES: &[(&str, usize)] = &[
    ("asoc/accept.json", 20),
    ("asoc/accept-edges.json", 760),
    ("asoc/cluster_key.json", 3),
    ("asoc/discovery.json", 32),
    ("asoc/discovery-edges.json", 519),
    ("asoc/hardened.json", 523),
    ("asoc/header.json", 29),
    ("asoc/header-edges.json", 639),
    ("asoc/hello.json", 37),
    ("asoc/hello-edges.json", 970),
    ("asoc/session.json", 72),
    ("asoc/session-edges.json", 1566),
    ("aznet/chunk.json", 47),
    ("aznet/chunk-edges.json", 255),
    ("aznet/frames.json", 27),
    ("aznet/frames-edges.json", 41),
    ("aznet/handshake.json", 54),
    ("aznet/handshake-edges.json", 1026),
    ("aznet/id.json", 29),
    ("aznet/id-edges.json", 175),
    ("aznet/queue.json", 20),
    ("aznet/queue-edges.json", 54),
    ("aznet/table.json", 24),
    ("aznet/table-edges.json", 69),
    ("aznet/tokens.json", 64),
    ("aznet/url.json", 19),
    ("aznet/url-edges.json", 71),
    ("azure/sas.json", 19),
    ("azure/sas-edges.json", 80),
    ("azure/sharedkey.json", 40),
    ("azure/sharedkey-edges.json", 51),
    ("commonware/handshake.json", 60),
    ("commonware/handshake-edges.json", 783),
    ("commonware/record.json", 51),
    ("commonware/record-edges.json", 214),
    ("noise/flynn.json", 12),
    ("noise/snow.json", 5),
    ("ziti/kx.json", 18),
    ("ziti/kx-edges.json", 48),
    ("ziti/multipart.json", 16),
    ("ziti/secretstream.json", 62),
    ("packetfs/edges.json", 1706),
    ("ziti/secretstream-edges.json", 1085),
    ("packetfs/keys.json", 25),
    ("packetfs/preface.json", 22),
    ("packetfs/rebuild.json", 26),
    ("packetfs/record.json", 47),
    ("packetfs/window.json", 16),
];

#[test]
fn every_file_is_there() {
    for (file, least) in FILES {
        let tests = vector::load(&vectors().join(file)).unwrap();
        assert!(tests.len() >= *least, "{file} has {} vectors", tests.len());
    }
}

#[test]
fn every_unconfirmed_vector_says_so() {
    for file in vector::find(&vectors()).unwrap() {
        for test in vector::load(&file).unwrap() {
            let flagged = test.flags.iter().any(|flag| flag == "unconfirmed");
            assert_eq!(flagged, test.source.name == "unconfirmed", "{}", test.id);
            let peer = test.flags.iter().any(|flag| flag == "peer");
            assert!(!(flagged && peer), "{} is both", test.id);
        }
    }
}

#[test]
fn stillwire_passes_every_vector() {
    let all: usize = FILES.iter().map(|(_, count)| count).sum();
    let known = vectors().join("../known-failing.txt");
    let listed = KnownFailing::load(&known).unwrap().iter().count();
    let output = Command::new(env!("CARGO_BIN_EXE_stillwire-conformance"))
        .args(["run", "--known-failing"])
        .args([known, vectors()])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    // Nothing is skipped but what is listed: every operation and profile is there.
    let last = text.lines().last().unwrap();
    let passed = last.strip_suffix(&format!(" passed, 0 failed, {listed} skipped"));
    let passed: usize = passed.expect(last).parse().unwrap();
    assert!(passed + listed >= all, "{passed} of {all}");
}

#[test]
fn the_program_says_how_it_ended() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_stillwire-conformance"))
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert_eq!(run(&[]).0, Some(2));
    assert_eq!(run(&["fly"]).0, Some(2));
    assert_eq!(run(&["run", "--no-such-option"]).0, Some(2));
    assert_eq!(run(&["run", "--iut"]).0, Some(2));
    assert_eq!(run(&["run", "--known-failing", "no-such-file"]).0, Some(2));
    assert_eq!(run(&["--help"]).0, Some(0));
    let (code, text) = run(&["run", "no-such-folder"]);
    assert_eq!(code, Some(1));
    assert!(text.ends_with("0 passed, 1 failed, 0 skipped\n"), "{text}");
}
