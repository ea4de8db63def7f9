//! The book and the pages beside it stay true: links lead somewhere, every page is in the
//! summary, and the names and defaults they state are those of the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use stillwire_core::aznet::Config;

fn root() -> PathBuf {
    clean(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
}

/// Takes `.` and `..` out of a path without asking the file system.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

/// Files below `folder` with this extension; what is built or fetched is left out.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name.to_string_lossy().starts_with('.');
        if entry.file_type().unwrap().is_dir() {
            if !hidden && name != "target" && name != "node_modules" && name != "book" {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a page that are not in a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// A line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Where the links of a page lead: inline ones and definitions.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let line = without_code(line);
        let definition = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "));
        found.extend(definition.map(|(_, to)| to.trim().to_owned()));
        for rest in line.split("](").skip(1) {
            let to = rest.split(')').next().unwrap_or_default();
            found.push(to.to_owned());
        }
    }
    found
}

/// The anchors that a page's headings make.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut checked = 0;
    for page in files(&root(), "md") {
        let text = read(&page);
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => page.clone(),
                path => clean(&page.parent().unwrap().join(path)),
            };
            let whole =
                target.exists() && (anchor.is_empty() || anchors(&read(&target)).contains(anchor));
            if !whole {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(checked > 30, "only {checked} links were found");
}

#[test]
fn every_include_finds_its_part() {
    let mut checked = 0;
    for page in files(&root().join("docs/src"), "md") {
        for rest in read(&page).split("{{#include ").skip(1) {
            let what = rest.split("}}").next().unwrap();
            let (path, part) = what.split_once(':').unwrap_or((what, ""));
            let text = read(&clean(&page.parent().unwrap().join(path)));
            for mark in ["ANCHOR", "ANCHOR_END"] {
                let mark = format!("// {mark}: {part}");
                let there = part.is_empty() || text.lines().any(|line| line.trim() == mark);
                assert!(there, "{}: {what}: no line {mark:?}", page.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 0, "no include was found");
}

#[test]
fn the_summary_lists_every_page_once() {
    let source = root().join("docs/src");
    let mut listed: Vec<PathBuf> = links(&read(&source.join("SUMMARY.md")))
        .iter()
        .map(|link| source.join(link))
        .collect();
    listed.sort();
    let mut pages = files(&source, "md");
    pages.retain(|page| !page.ends_with("SUMMARY.md"));
    assert_eq!(listed, pages);
}

/// `| name | value |` at the beginning of a row.
fn cell<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("| `{name}` | ");
    let row = page.lines().find_map(|line| line.strip_prefix(&start))?;
    row.split(" |").next()
}

#[test]
fn the_aznet_page_states_the_defaults_of_the_code() {
    let page = read(&root().join("docs/src/aznet.md"));
    // All fields by their names, so that a new one must be written down.
    let shown = format!("{:?}", Config::default());
    let fields = shown.trim_start_matches("Config { ").trim_end_matches(" }");
    for field in fields.split(", ") {
        let (name, value) = field.split_once(": ").unwrap();
        let value = format!("`{value}`");
        let stated = cell(&page, name).unwrap_or_else(|| panic!("{name} is not on the page"));
        assert!(stated.starts_with(&value), "{name}: {stated}, not {value}");
    }
}

#[test]
fn the_tests_that_the_book_names_are_there() {
    let code: String = files(&root(), "rs").iter().map(|file| read(file)).collect();
    let mut checked = 0;
    for page in files(&root().join("docs/src"), "md") {
        let text = read(&page);
        for name in text.split('`').skip(1).step_by(2) {
            // Long names in snake case are those of tests.
            let snake = name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if snake && (name.starts_with("trap_") || name.matches('_').count() > 3) {
                let there = code.contains(&format!("fn {name}("));
                assert!(there, "{}: no test {name}", page.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "only {checked} tests are named");
}

/// The first Rust block of a page.
fn rust_block(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| *line != "```rust").skip(1);
    lines.take_while(|line| *line != "```").collect()
}

#[test]
fn the_readme_shows_the_example_that_is_compiled() {
    let readme = read(&root().join("README.md"));
    let shown = rust_block(&readme);
    let source = read(&root().join("adapters/tokio/src/lib.rs"));
    let compiled: Vec<&str> = source
        .lines()
        .skip_while(|line| *line != "//! ```")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        // What documentation hides.
        .filter(|line| *line != "#" && !line.starts_with("# "))
        .collect();
    assert!(shown.len() > 10, "the README shows no example");
    assert_eq!(shown, compiled);
}
