//! The hard limits of the house, each a function that lists what breaks it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::summary::{Counts, Verdict};
use crate::{Problem, house, mutants, process};

const LONGEST_FILE: usize = 500;
const LARGEST_CORE_TREE: usize = 60;

/// Lines of code of an adapter for a runtime: what it has for channels through storage, and all of
/// it. See docs/src/decisions/adapter-sizes.md.
const THIN: (usize, usize) = (350, 600);

/// The same for an adapter that brings its own threads, timers and client.
const OWN: (usize, usize) = (950, 1_800);

const ADAPTERS: &[(&str, (usize, usize))] = &[
    ("adapters/async-std", THIN),
    ("adapters/blocking", OWN),
    ("adapters/smol", THIN),
    ("adapters/tokio", THIN),
];

/// The rooms of an adapter that carry other channels than those through storage.
const OTHER_CHANNELS: &[&str] = &["asoc", "asoc.rs", "datagram.rs", "secure.rs"];

/// Crates of which a second version in the tree means a second copy of a cipher,
/// a hash or a curve.
const CRYPTO: &[&str] = &[
    "aead",
    "aes",
    "aes-gcm",
    "aws-lc-rs",
    "aws-lc-sys",
    "blake2",
    "blake3",
    "chacha20",
    "chacha20poly1305",
    "cipher",
    "crypto-common",
    "ctr",
    "curve25519-dalek",
    "digest",
    "ed25519-dalek",
    "ed25519-zebra",
    "ghash",
    "hkdf",
    "hmac",
    "poly1305",
    "polyval",
    "ring",
    "rustls",
    "rustls-webpki",
    "sha1",
    "sha2",
    "snow",
    "subtle",
    "universal-hash",
    "x25519-dalek",
    "zeroize",
];

/// What runs futures, or comes only with something that does.
const RUNTIMES: &[&str] = &[
    "async-executor",
    "async-global-executor",
    "async-io",
    "async-std",
    "hyper",
    "mio",
    "smol",
    "tokio",
];

type Limit = fn() -> Result<Vec<String>, Problem>;

/// Checks every limit and prints what breaks it.
pub(crate) fn check() -> Verdict {
    let limits: &[(&str, Limit)] = &[
        ("no Rust file over 500 lines", long_files),
        ("every crate forbids unsafe code", unsafe_allowed),
        ("core and drivers deny what panics", panics_allowed),
        ("core's tree is at most 60 crates", core_tree),
        ("core's tree has no std feature", core_std),
        ("one version of each crypto crate", crypto_copies),
        ("no async runtime in the blocking adapter", blocking_tree),
        ("azure_core's tokio is off everywhere", azure_on_tokio),
        ("no locked package needs a newer Rust than ours", newer_rust),
        ("dependencies go one way", wrong_way),
        ("an adapter for a runtime is thin", thick_adapters),
        ("every mutant's patch applies", mutants::stale),
    ];
    let mut counts = Counts::default();
    for (name, limit) in limits {
        match limit() {
            Ok(broken) if broken.is_empty() => {
                counts.passed += 1;
                println!("ok      {name}");
            }
            Ok(broken) => {
                counts.failed += 1;
                println!("BROKEN  {name}");
                for line in broken {
                    println!("          {line}");
                }
            }
            Err(problem) => return Verdict::Failed(counts, format!("{name}: {problem}")),
        }
    }
    Verdict::Ran(counts)
}

fn long_files() -> Result<Vec<String>, Problem> {
    let mut broken = Vec::new();
    for file in rust_files(house::root())? {
        let text =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            broken.push(format!("{}: {lines} lines", shown(&file)));
        }
    }
    Ok(broken)
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let path = entry.path();
        let name = entry.file_name();
        let kind = entry.file_type().map_err(|error| error.to_string())?;
        if kind.is_dir() && name != "target" && name != ".git" && name != "node_modules" {
            found.extend(rust_files(&path)?);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

fn thick_adapters() -> Result<Vec<String>, Problem> {
    let mut broken = Vec::new();
    for &(adapter, (most_storage, most)) in ADAPTERS {
        let source = house::root().join(adapter).join("src");
        let (mut storage, mut all) = (0, 0);
        for file in rust_files(&source)? {
            if file.ends_with("tests.rs") {
                continue;
            }
            let text = fs::read_to_string(&file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            let lines = code_lines(&text);
            all += lines;
            let room = file
                .strip_prefix(&source)
                .ok()
                .and_then(|file| file.iter().next());
            if !OTHER_CHANNELS
                .iter()
                .any(|&other| room == Some(other.as_ref()))
            {
                storage += lines;
            }
        }
        println!("        {adapter}: {storage} lines of code for storage, {all} in all");
        if storage == 0 || storage > most_storage || all > most {
            broken.push(format!(
                "{adapter}: {storage} lines for storage (most {most_storage}), {all} in all (most {most})"
            ));
        }
    }
    Ok(broken)
}

/// Lines that are neither blank nor comment, up to a file's own tests.
fn code_lines(text: &str) -> usize {
    let tests = text.find("\n#[cfg(test)]\nmod tests {");
    let code = text.get(..tests.unwrap_or(text.len())).unwrap_or(text);
    let lines = code.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(house::root())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn unsafe_allowed() -> Result<Vec<String>, Problem> {
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut broken = Vec::new();
    let root = read(&house::root().join("Cargo.toml"))?;
    if !table(&root, "[workspace.lints.rust]").any(|line| line == r#"unsafe_code = "forbid""#) {
        broken.push("Cargo.toml does not forbid unsafe_code for the workspace".to_owned());
    }
    for package in house::list(&house::metadata(false)?, "packages") {
        let manifest = Path::new(house::text(package, "manifest_path"));
        if !table(&read(manifest)?, "[lints]").any(|line| line == "workspace = true") {
            broken.push(format!(
                "{} does not inherit the workspace's lints",
                shown(manifest)
            ));
        }
    }
    for manifest in apart(house::root())? {
        let text = read(&manifest)?;
        if !table(&text, "[lints.rust]").any(|line| line == r#"unsafe_code = "forbid""#) {
            broken.push(format!("{} does not forbid unsafe_code", shown(&manifest)));
        }
    }
    Ok(broken)
}

const PANICS: &str = "\n#![deny(\n    clippy::unwrap_used,\n    clippy::expect_used,\n    \
                      clippy::panic,\n    clippy::indexing_slicing,\n    \
                      clippy::arithmetic_side_effects\n)]\n";

fn panics_allowed() -> Result<Vec<String>, Problem> {
    let mut broken = Vec::new();
    for place in ["core", "drivers/azure", "drivers/local"] {
        let file = house::root().join(place).join("src/lib.rs");
        let text = fs::read_to_string(&file).map_err(|error| format!("{place}: {error}"))?;
        if !text.contains(PANICS) {
            broken.push(format!("{place} does not deny the five lints of panics"));
        }
    }
    Ok(broken)
}

/// The manifests of workspaces of their own.
fn apart(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let conformance = folder.join("conformance");
    let mut found = Vec::new();
    for place in [conformance.clone(), conformance.join("peers")] {
        let entries =
            fs::read_dir(&place).map_err(|error| format!("{}: {error}", place.display()))?;
        for entry in entries {
            let manifest = entry
                .map_err(|error| error.to_string())?
                .path()
                .join("Cargo.toml");
            if fs::read_to_string(&manifest)
                .is_ok_and(|text| text.lines().any(|line| line == "[workspace]"))
            {
                found.push(manifest);
            }
        }
    }
    if found.is_empty() {
        return Err("no workspace of its own was found".into());
    }
    Ok(found)
}

/// The lines of one table of a manifest.
fn table<'a>(manifest: &'a str, header: &'a str) -> impl Iterator<Item = &'a str> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(move |&line| line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
}

fn core_tree() -> Result<Vec<String>, Problem> {
    let tree = process::captured(house::cargo().args([
        "tree",
        "-p",
        "stillwire-core",
        "-e",
        "normal",
        "--no-dedupe",
        "--prefix",
        "none",
    ]))?;
    let names: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if names.len() > LARGEST_CORE_TREE {
        return Ok(vec![format!("{} crates: {names:?}", names.len())]);
    }
    println!("        ({} crates)", names.len());
    Ok(Vec::new())
}

fn core_std() -> Result<Vec<String>, Problem> {
    let tree = process::captured(house::cargo().args([
        "tree",
        "-e",
        "features,normal",
        "-p",
        "stillwire-core",
        "--prefix",
        "none",
    ]))?;
    let broken = tree
        .lines()
        .filter(|line| line.contains(r#"feature "std""#));
    Ok(broken.map(str::to_owned).collect())
}

/// The crates under a package that are built into it, name and version.
fn normal_tree(arguments: &[&str]) -> Result<String, Problem> {
    let tree = ["tree", "--prefix", "none"];
    process::captured(house::cargo().args(tree).args(arguments))
}

fn blocking_tree() -> Result<Vec<String>, Problem> {
    let tree = normal_tree(&["-p", "stillwire-blocking", "-e", "normal"])?;
    if !tree.lines().any(|line| line.starts_with("ureq ")) {
        return Ok(vec!["this is not its tree: no ureq in it".to_owned()]);
    }
    let runs = tree.lines().filter(|line| {
        let name = line.split_whitespace().next().unwrap_or_default();
        RUNTIMES.contains(&name)
    });
    Ok(runs.map(str::to_owned).collect())
}

/// It would choose the timer of the whole process; see `adapters/futures`.
fn azure_on_tokio() -> Result<Vec<String>, Problem> {
    let tree = normal_tree(&["--workspace", "-e", "features"])?;
    if !tree.contains("azure_core feature \"xml\"") {
        return Ok(vec!["this is not the tree: no azure_core in it".to_owned()]);
    }
    let on = tree.lines().filter(|line| {
        ["azure_core", "typespec_client_core"]
            .iter()
            .any(|name| line.starts_with(&format!("{name} feature \"tokio\"")))
    });
    Ok(on
        .map(str::to_owned)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect())
}

fn crypto_copies() -> Result<Vec<String>, Problem> {
    let metadata = house::metadata(true)?;
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in house::list(&metadata, "packages") {
        let name = house::text(package, "name");
        if CRYPTO.contains(&name) {
            versions
                .entry(name)
                .or_default()
                .insert(house::text(package, "version"));
        }
    }
    let copies = versions.iter().filter(|(_, versions)| versions.len() > 1);
    Ok(copies
        .map(|(name, versions)| format!("{name}: {versions:?}"))
        .collect())
}

fn newer_rust() -> Result<Vec<String>, Problem> {
    let metadata = house::metadata(true)?;
    let packages = house::list(&metadata, "packages");
    let ours = packages
        .iter()
        .find(|package| house::text(package, "name") == "stillwire-core")
        .and_then(|package| version(house::text(package, "rust_version")))
        .ok_or("stillwire-core states no rust-version")?;
    let newer = packages
        .iter()
        .filter(|package| version(house::text(package, "rust_version")).is_some_and(|v| v > ours));
    Ok(newer
        .map(|package| {
            let [name, version, rust] =
                ["name", "version", "rust_version"].map(|member| house::text(package, member));
            format!("{name} {version} needs Rust {rust}")
        })
        .collect())
}

/// Major, minor and patch; none for an empty text.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some([
        parts.next()??,
        parts.next().unwrap_or(Some(0))?,
        parts.next().unwrap_or(Some(0))?,
    ])
}

/// The floor a package stands on, from its folder: core, drivers, adapters, the
/// command line, and what looks at all of them.
fn floor(folder: &str) -> u8 {
    match folder.split('/').collect::<Vec<_>>().as_slice() {
        ["core", ..] => 0,
        ["drivers", ..] => 1,
        ["adapters", "cli", ..] => 3,
        ["adapters", ..] => 2,
        _ => 4,
    }
}

fn wrong_way() -> Result<Vec<String>, Problem> {
    let metadata = house::metadata(false)?;
    let packages = house::list(&metadata, "packages");
    let folder = |package: &Value| {
        let manifest = PathBuf::from(house::text(package, "manifest_path"));
        shown(manifest.parent().unwrap_or(&manifest))
    };
    let folders: BTreeMap<&str, String> = packages
        .iter()
        .map(|package| (house::text(package, "name"), folder(package)))
        .collect();
    let mut broken = Vec::new();
    for package in packages {
        let name = house::text(package, "name");
        for dependency in house::list(package, "dependencies") {
            let on = house::text(dependency, "name");
            let development = house::text(dependency, "kind") == "dev";
            if let (Some(from), Some(to)) = (folders.get(name), folders.get(on))
                && !allowed(from, to, development)
            {
                broken.push(format!("{name} ({from}) depends on {on} ({to})"));
            }
        }
    }
    Ok(broken)
}

fn allowed(from: &str, to: &str, development: bool) -> bool {
    let (above, below) = (floor(from), floor(to));
    match from {
        // Outsiders install the suite; it stays light.
        "conformance/suite" => matches!(to, "core" | "drivers/azure") || development,
        // Tests may borrow from any floor but the one that sees all.
        _ if development => above == 4 || below < 4,
        // Adapters build on each other; the rest goes strictly down.
        _ => below < above || (above == below && matches!(above, 2 | 4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(version("1.100") > version("1.88.0"));
        assert_eq!(version("1.88"), version("1.88.0"));
        assert_eq!(version(""), None);
    }

    #[test]
    fn a_table_ends_where_the_next_begins() {
        let manifest = "[a]\nx = 1\n[lints]\nworkspace = true\n[b]\ny = 2\n";
        assert_eq!(
            table(manifest, "[lints]").collect::<Vec<_>>(),
            ["workspace = true"]
        );
        assert_eq!(table(manifest, "[c]").count(), 0);
    }

    #[test]
    fn code_is_neither_blank_nor_comment_nor_test() {
        let text =
            "//! Doc.\n\nuse a;\n    // Why.\n    b();\n\n#[cfg(test)]\nmod tests {\n c();\n";
        assert_eq!(code_lines(text), 2);
        assert_eq!(code_lines("a();\n#[cfg(test)]\nmod tests;\n"), 3);
    }

    #[test]
    fn dependencies_go_down() {
        assert!(allowed("drivers/azure", "core", false));
        assert!(allowed("adapters/tokio", "adapters/futures", false));
        assert!(allowed("adapters/cli", "adapters/tokio", false));
        assert!(!allowed("core", "drivers/local", false));
        assert!(!allowed("drivers/azure", "drivers/local", false));
        assert!(!allowed("drivers/azure", "adapters/pump", false));
        assert!(!allowed("adapters/pump", "adapters/cli", false));
        assert!(!allowed("adapters/cli", "conformance/suite", true));
        assert!(!allowed("conformance/suite", "adapters/tokio", false));
    }
}
