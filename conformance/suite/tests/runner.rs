//! The runner against implementations that misbehave in every way it must notice.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::time::Duration;
use stillwire_conformance::known::KnownFailing;
use stillwire_conformance::run::{Options, Report, run};

/// Three vectors on a counter-like operation, and one of the hardened profile.
const VECTORS: &str = r#"{"format":1,"protocol":"fake","component":"echo",
"source":{"name":"nobody","version":"0"},"tests":[
{"id":"fake-echo-0001","comment":"first","steps":[
  {"do":{"op":"echo","x":1},"expect":{"x":1},"bind":{"h":"handle"}},
  {"do":{"op":"use","handle":"$h"},"expect":{}}]},
{"id":"fake-echo-0002","comment":"second","flags":["unconfirmed"],"steps":[
  {"do":{"op":"odd"},"expect":{"x":1}}]},
{"id":"fake-echo-0003","comment":"third","profile":"hardened","steps":[
  {"do":{"op":"echo","x":1},"expect":{"x":1}}]},
{"id":"fake-echo-0004","comment":"fourth","steps":[
  {"do":{"op":"echo","x":1},"expect":{"x":1}}]}
]}"#;

/// Writes a shell script whose answer to `odd` is `odd`; everything else it answers well.
fn fake(name: &str, odd: &str, hello: &str) -> (PathBuf, Vec<String>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("runner-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    let vectors = folder.join("vectors.json");
    std::fs::write(&vectors, VECTORS).unwrap();
    let script = folder.join("iut.sh");
    let text = format!(
        "while IFS= read -r line; do case \"$line\" in\n\
         *'\"op\":\"hello\"'*) {hello} ;;\n\
         *'\"op\":\"reset\"'*) echo '{{}}' ;;\n\
         *'\"op\":\"use\"'*'\"h-1\"'* | *'\"h-1\"'*'\"op\":\"use\"'*) echo '{{}}' ;;\n\
         *'\"op\":\"echo\"'*) echo '{{\"x\":1,\"handle\":\"h-1\"}}' ;;\n\
         *'\"op\":\"odd\"'*) {odd} ;;\n\
         *) echo '{{\"unsupported\":true}}' ;;\n\
         esac; done\n"
    );
    std::fs::write(&script, text).unwrap();
    let command = vec!["sh".to_owned(), script.to_str().unwrap().to_owned()];
    (vectors, command)
}

const HELLO: &str = r#"echo '{"name":"fake","version":"0","format":1,"ops":[]}'"#;

fn check_with(
    name: &str,
    odd: &str,
    hello: &str,
    change: impl FnOnce(&mut Options),
) -> (Report, String) {
    let (vectors, command) = fake(name, odd, hello);
    let mut options = Options {
        command,
        paths: vec![vectors],
        known_failing: KnownFailing::default(),
        profiles: Vec::new(),
        patience: Duration::from_secs(5),
    };
    change(&mut options);
    let mut out = Vec::new();
    let report = run(&options, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let last = out.lines().last().unwrap();
    assert_eq!(
        last,
        format!(
            "{} passed, {} failed, {} skipped",
            report.passed, report.failed, report.skipped
        )
    );
    (report, out)
}

fn check(name: &str, odd: &str) -> (Report, String) {
    check_with(name, odd, HELLO, |_| {})
}

fn counts(report: Report) -> (usize, usize, usize) {
    (report.passed, report.failed, report.skipped)
}

#[test]
fn a_good_implementation_passes_and_unoffered_profiles_are_skipped() {
    let (report, out) = check("good", r#"echo '{"y":2,"x":1}'"#);
    assert_eq!(counts(report), (3, 0, 1), "{out}");
    assert_eq!(report.unconfirmed, 1);
    assert!(out.contains("1 of 4 vectors are unconfirmed"), "{out}");
    assert!(out.contains("skipped 1: profile hardened"), "{out}");
}

#[test]
fn hardened_is_asked_where_it_is_offered_or_demanded() {
    let offer = r#"echo '{"name":"f","version":"0","format":1,"ops":[],"profiles":["hardened"]}'"#;
    let good = r#"echo '{"x":1}'"#;
    let (report, out) = check_with("offer", good, offer, |_| {});
    assert_eq!(counts(report), (4, 0, 0), "{out}");
    let (report, out) = check_with("demand", good, HELLO, |options| {
        options.profiles.push("hardened".to_owned());
    });
    assert_eq!(counts(report), (4, 0, 0), "{out}");
}

#[test]
fn a_wrong_answer_fails_with_everything_one_needs_to_know() {
    let (report, out) = check("wrong", r#"echo '{"x":3}'"#);
    assert_eq!(counts(report), (2, 1, 1), "{out}");
    for part in [
        "FAILED fake-echo-0002",
        "second",
        "step 1: `x` differs",
        r#"asked    {"op":"odd"}"#,
        r#"expected {"x":1}"#,
        r#"got      {"x":3}"#,
    ] {
        assert!(out.contains(part), "{part} is not in:\n{out}");
    }
}

#[test]
fn an_error_is_a_wrong_answer() {
    let (report, out) = check("error", r#"echo '{"error":{"class":"auth"}}'"#);
    assert_eq!(counts(report), (2, 1, 1), "{out}");
}

#[test]
fn unsupported_is_skipped() {
    let (report, out) = check("unsupported", r#"echo '{"unsupported":true}'"#);
    assert_eq!(counts(report), (2, 0, 2), "{out}");
    assert!(out.contains("operation odd is unsupported"), "{out}");
}

#[test]
fn an_implementation_that_knows_nothing_is_skipped() {
    let (report, out) = check_with("nothing", "", HELLO, |options| {
        let script = "while read -r line; do echo '{\"unsupported\":true}'; done";
        options.command = ["sh", "-c", script].map(str::to_owned).to_vec();
    });
    assert_eq!(counts(report), (0, 0, 4), "{out}");
}

#[test]
fn a_crash_fails_one_case_and_the_rest_goes_on() {
    let (report, out) = check("crash", "exit 3");
    assert_eq!(counts(report), (2, 1, 1), "{out}");
    assert!(out.contains("the implementation ended"), "{out}");
}

#[test]
fn an_extra_line_is_a_failure() {
    let (report, out) = check("extra", r#"printf '{"x":1}\n{"x":1}\n'"#);
    assert_eq!(counts(report), (2, 1, 1), "{out}");
    assert!(out.contains("more than one line"), "{out}");
}

#[test]
fn an_extra_line_that_comes_late_is_a_failure() {
    let (report, out) = check(
        "late",
        r#"printf '{"x":1}\n'; (sleep 0.2; echo '{}') & wait"#,
    );
    // Which case it falls into is a matter of time; that it is seen is not.
    assert!(report.failed >= 1, "{out}");
}

#[test]
fn lines_before_the_first_question_are_a_failure() {
    let hello = r#"printf '{"format":1}\n{"format":1}\n'"#;
    let (report, out) = check_with("hello-twice", "echo '{}'", hello, |_| {});
    assert_eq!(counts(report), (0, 4, 0), "{out}");
    assert!(out.contains("cannot start the implementation"), "{out}");
}

#[test]
fn slowness_is_a_failure_and_the_process_is_stopped() {
    let (report, out) = check_with("slow", "exec sleep 60", HELLO, |options| {
        options.patience = Duration::from_millis(1500);
    });
    assert_eq!(counts(report), (2, 1, 1), "{out}");
    assert!(out.contains("no answer within 1.5s"), "{out}");
}

#[test]
fn garbage_is_a_failure() {
    for (name, odd) in [
        ("text", "echo hello"),
        ("list", "echo '[]'"),
        ("empty", "echo"),
        ("cut", r#"printf '{"x":1}'; exit 0"#),
    ] {
        let (report, out) = check(name, odd);
        assert_eq!(counts(report), (2, 1, 1), "{name}: {out}");
    }
}

#[test]
fn another_format_is_not_spoken() {
    let hello = r#"echo '{"name":"fake","version":"0","format":2,"ops":[]}'"#;
    let (report, out) = check_with("format", "echo '{}'", hello, |_| {});
    assert_eq!(counts(report), (0, 4, 0), "{out}");
}

#[test]
fn a_known_failing_case_may_fail_and_must_not_pass() {
    let known = |options: &mut Options| {
        options.known_failing = KnownFailing::parse("fake-echo-0002\nfake-echo-0099\n");
    };
    let (report, out) = check_with("known", r#"echo '{"x":3}'"#, HELLO, known);
    assert_eq!((counts(report), report.known), ((2, 0, 2), 1), "{out}");
    assert!(out.contains("fake-echo-0099 is listed"), "{out}");
    let (report, out) = check_with("known-passes", r#"echo '{"x":1}'"#, HELLO, known);
    assert_eq!((counts(report), report.known), ((2, 1, 1), 0), "{out}");
    assert!(out.contains("yet it passes"), "{out}");
}

#[test]
fn a_bound_key_that_is_missing_is_a_failure() {
    let (vectors, command) = fake("bind", "echo '{}'", HELLO);
    let text = VECTORS.replace("\"h\":\"handle\"", "\"h\":\"hand\"");
    std::fs::write(&vectors, text).unwrap();
    let options = Options {
        command,
        paths: vec![vectors],
        known_failing: KnownFailing::parse("fake-echo-0002"),
        profiles: Vec::new(),
        patience: Duration::from_secs(5),
    };
    let mut out = Vec::new();
    let report = run(&options, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(counts(report), (1, 1, 2), "{out}");
    assert!(out.contains("`hand`, which the vector binds"), "{out}");
}

#[test]
fn missing_paths_empty_folders_broken_files_and_twins_are_failures() {
    let empty = Path::new(env!("CARGO_TARGET_TMPDIR")).join("folder-without-vectors");
    std::fs::create_dir_all(&empty).unwrap();
    let (_, out) = check_with("missing", r#"echo '{"x":1}'"#, HELLO, |options| {
        options.paths.push(empty.join("nothing-here.json"));
    });
    assert!(out.ends_with("3 passed, 1 failed, 1 skipped\n"), "{out}");
    let (_, out) = check_with("empty-folder", r#"echo '{"x":1}'"#, HELLO, |options| {
        options.paths.push(empty);
    });
    assert!(out.ends_with("3 passed, 1 failed, 1 skipped\n"), "{out}");
    let (_, out) = check_with("broken", r#"echo '{"x":1}'"#, HELLO, |options| {
        let file = options.paths[0].with_file_name("broken.json");
        std::fs::write(&file, "{").unwrap();
        options.paths.push(file);
    });
    assert!(out.ends_with("3 passed, 1 failed, 1 skipped\n"), "{out}");
    let (_, out) = check_with("twins", r#"echo '{"x":1}'"#, HELLO, |options| {
        let twin = options.paths[0].with_file_name("twin.json");
        std::fs::copy(&options.paths[0], &twin).unwrap();
        options.paths.push(twin);
    });
    assert!(out.ends_with("3 passed, 4 failed, 1 skipped\n"), "{out}");
}

#[test]
fn a_program_that_does_not_exist_fails_everything() {
    let (report, out) = check_with("absent", "echo", HELLO, |options| {
        options.command = vec!["./no-such-program".to_owned()];
    });
    assert_eq!(counts(report), (0, 4, 0), "{out}");
}
