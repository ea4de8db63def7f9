//! Runs an example and compares what it prints.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any of them takes.
const LIMIT: Duration = Duration::from_secs(90);

/// Each program, and the lines that it prints over any store.
pub(crate) const EXAMPLES: [(&str, &[&str]); 4] = [
    (
        env!("CARGO_BIN_EXE_hyper_http"),
        &[
            "GET /: 200 hello from the other end",
            "POST /length: 200 5000000 bytes",
            "GET /else: 404 nothing there",
        ],
    ),
    (
        env!("CARGO_BIN_EXE_axum_http"),
        &[
            "PUT /shelf/a: 201 ",
            "GET /shelf/a: 200 apple",
            "GET /shelf/a: 200 apple",
            "GET /shelf/b: 404 ",
        ],
    ),
    (
        env!("CARGO_BIN_EXE_tonic_grpc"),
        &[
            "Say: hello",
            "Repeat: again 1",
            "Repeat: again 2",
            "Repeat: again 3",
            "Repeat: InvalidArgument, that is too often",
        ],
    ),
    (
        env!("CARGO_BIN_EXE_blocking_lines"),
        &[
            "SET colour deep blue: OK",
            "GET colour: VALUE deep blue",
            "GET size: NONE",
            "HELP: ERROR SET NAME VALUE, or GET NAME",
        ],
    ),
];

fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    })
}

/// Whether it succeeded, and what it printed and told. Ended when it takes too long.
pub(crate) fn run(program: &str, words: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(program);
    let account = [
        ("AZURE_STORAGE_ACCOUNT", "devstoreaccount1"),
        // The emulator's published key.
        (
            "AZURE_STORAGE_KEY",
            "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
        ),
    ];
    let mut child = command
        .args(words)
        .env_remove("AZURE_STORAGE_CONNECTION_STRING")
        .env_remove("AZURE_STORAGE_SAS_TOKEN")
        .envs(account)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (out, err) = (
        read(child.stdout.take().unwrap()),
        read(child.stderr.take().unwrap()),
    );
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > LIMIT {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(10));
    };
    (status.success(), out.join().unwrap(), err.join().unwrap())
}

/// Runs every example over one store and compares its lines.
pub(crate) fn all(store: &str, names: impl Fn(usize) -> Vec<String>) {
    for (number, (program, lines)) in EXAMPLES.iter().enumerate() {
        let names = names(number);
        let mut words = vec![store];
        words.extend(names.iter().map(String::as_str));
        let (success, printed, told) = run(program, &words);
        assert!(success, "{program} over {store}: {told}");
        let printed: Vec<&str> = printed.lines().collect();
        assert_eq!(&printed, lines, "{program} over {store}");
        assert!(told.is_empty(), "{program} over {store}: {told}");
    }
}
