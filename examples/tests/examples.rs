//! Every example runs here as a program of its own, and prints what the book says.

mod support;

use std::fs;
use std::path::Path;
use support::{EXAMPLES, all, run};

#[test]
fn every_example_runs_in_memory() {
    all("memory:", |_| Vec::new());
}

#[test]
fn every_example_runs_over_a_directory_and_leaves_no_session() {
    let directory = tempfile::tempdir().unwrap();
    all(&format!("dir:{}", directory.path().display()), |_| {
        Vec::new()
    });
    let sessions = fs::read_dir(directory.path().join("sessions")).unwrap();
    assert_eq!(sessions.count(), 0);
}

#[test]
fn a_store_that_is_none_is_a_failure_that_names_the_reason() {
    for (program, _) in EXAMPLES {
        let (success, printed, told) = run(program, &["nowhere:"]);
        assert!(!success && printed.is_empty(), "{program}: {printed}");
        assert!(told.contains("Unknown"), "{program}: {told}");
    }
}

#[test]
fn the_book_shows_what_the_examples_print() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/examples.md");
    let page = fs::read_to_string(page).unwrap();
    for (program, lines) in EXAMPLES {
        let name = Path::new(program).file_stem().unwrap().to_string_lossy();
        let (_, rest) = page
            .split_once(&format!("$ cargo run -p stillwire-examples --bin {name}\n"))
            .unwrap_or_else(|| panic!("{name} is not in the book"));
        let shown: Vec<&str> = rest.lines().take_while(|line| *line != "```").collect();
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        assert_eq!(shown, lines, "{name}");
    }
}
