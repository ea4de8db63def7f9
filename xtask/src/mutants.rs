//! Known-bad variants of the core, each made by a patch that lives beside the
//! simulator, built in a scratch copy and run through the seeds. A variant that
//! survives them all is a hole in the simulator. Patches whose names begin with a protocol of
//! [`SEPARATE`] are run through that protocol's seeds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Problem, house, options, process};

const PATCHES: &str = "conformance/simulator/mutants";
const SEEDS: &str = "2000";
const LIMIT: Duration = Duration::from_secs(20 * 60);
const BINARY: &str = "stillwire-simulator";

/// Protocols that the simulator runs by an option of their own.
const SEPARATE: &[&str] = &["asoc"];

/// Patches that the sources have grown away from: what they show is not tried any more.
pub(crate) fn stale() -> Result<Vec<String>, Problem> {
    let mut found = Vec::new();
    for patch in patches(&house::root().join(PATCHES))? {
        if let Err(problem) = apply(house::root(), &patch, &["--check"]) {
            found.push(problem.replace('\n', " "));
        }
    }
    Ok(found)
}

/// What the simulator is told for a patch of that name.
fn protocol(name: &str) -> Option<String> {
    let known = SEPARATE.iter().find(|known| {
        let rest = name.strip_prefix(**known);
        rest.is_some_and(|rest| rest.starts_with('-'))
    })?;
    Some(format!("--{known}"))
}

/// How a variant fared.
enum Fate {
    Caught(String),
    Survived,
    Broken(Problem),
}

/// Tries each patch named with `--only`, or all.
pub(crate) fn run(words: &[&str]) -> Result<bool, Problem> {
    let options = options(words, &[], &["--only", "--seeds"])?;
    let seeds = options
        .iter()
        .rev()
        .find(|(name, _)| *name == "--seeds")
        .map_or(SEEDS, |o| o.1);
    let only: Vec<&str> = options
        .iter()
        .filter(|o| o.0 == "--only")
        .map(|o| o.1)
        .collect();
    let mut patches = patches(&house::root().join(PATCHES))?;
    patches.retain(|patch| only.is_empty() || only.contains(&name(patch).as_str()));
    if patches.is_empty() {
        return Err("there is no such patch in conformance/simulator/mutants".into());
    }

    let scratch = house::target().join("mutants/src");
    mirror(house::root(), &scratch)?;
    let protocols: BTreeSet<_> = patches.iter().map(|patch| protocol(&name(patch))).collect();
    for option in &protocols {
        let of = option.as_deref().unwrap_or_default();
        println!("=== unchanged: must hold all {seeds} seeds {of}");
        match fate(&scratch, seeds, option.as_deref()) {
            Fate::Survived => {}
            Fate::Caught(line) => return Err(format!("the unchanged core fails: {line}")),
            Fate::Broken(problem) => return Err(problem),
        }
    }
    let mut rows = Vec::new();
    for patch in &patches {
        let start = Instant::now();
        println!("\n=== {}", name(patch));
        let fate = apply(&scratch, patch, &[]).map_or_else(Fate::Broken, |()| {
            let fate = fate(&scratch, seeds, protocol(&name(patch)).as_deref());
            apply(&scratch, patch, &["--reverse"]).map_or_else(Fate::Broken, |()| fate)
        });
        rows.push((name(patch), fate, start.elapsed()));
    }

    println!("\n| Mutant | Result | Seconds |\n| --- | --- | ---: |");
    let mut caught = 0;
    for (name, fate, took) in &rows {
        let result = match fate {
            Fate::Caught(line) => {
                caught += 1;
                format!("caught: {line}")
            }
            Fate::Survived => format!("SURVIVED {seeds} seeds"),
            Fate::Broken(problem) => format!("NOT TRIED: {}", problem.replace('\n', " ")),
        };
        println!("| {name} | {result} | {:.0} |", took.as_secs_f64());
    }
    println!("\n{caught} passed, {} failed", rows.len() - caught);
    Ok(caught == rows.len())
}

fn patches(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "patch")
        })
        .collect();
    found.sort();
    Ok(found)
}

fn name(patch: &Path) -> String {
    patch
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Makes `to` hold the same sources as `from`. A file that is the same already is
/// not written, so that cargo sees what changed and nothing else.
fn mirror(from: &Path, to: &Path) -> Result<(), Problem> {
    let fail = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(to).map_err(|error| fail(to, error))?;
    let mut wanted = Vec::new();
    for entry in fs::read_dir(from).map_err(|error| fail(from, error))? {
        let entry = entry.map_err(|error| fail(from, error))?;
        let (path, name) = (entry.path(), entry.file_name());
        let copy = to.join(&name);
        let kind = entry.file_type().map_err(|error| fail(&path, error))?;
        if kind.is_dir() {
            if name == "target" || name == ".git" || name == "node_modules" {
                continue;
            }
            mirror(&path, &copy)?;
        } else if kind.is_file() {
            let bytes = fs::read(&path).map_err(|error| fail(&path, error))?;
            if fs::read(&copy).ok().as_ref() != Some(&bytes) {
                fs::write(&copy, bytes).map_err(|error| fail(&copy, error))?;
            }
        } else {
            continue;
        }
        wanted.push(name);
    }
    for entry in fs::read_dir(to).map_err(|error| fail(to, error))? {
        let entry = entry.map_err(|error| fail(to, error))?;
        if !wanted.contains(&entry.file_name()) {
            let path = entry.path();
            let gone = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            gone.map_err(|error| fail(&path, error))?;
        }
    }
    Ok(())
}

fn apply(scratch: &Path, patch: &Path, how: &[&str]) -> Result<(), Problem> {
    let mut git = std::process::Command::new("git");
    // Hides the checkout that the scratch copy lies in; git would otherwise take
    // the patch's paths from that checkout's root and quietly apply nothing.
    git.env(
        "GIT_CEILING_DIRECTORIES",
        scratch.parent().unwrap_or(scratch),
    );
    git.current_dir(scratch).arg("apply").args(how).arg(patch);
    process::captured(&mut git).map(drop)
}

/// Builds the simulator as it is in the scratch copy and runs the seeds.
fn fate(scratch: &Path, seeds: &str, option: Option<&str>) -> Fate {
    let target = scratch.with_file_name("target");
    let mut build = house::cargo();
    build
        .args(["build", "--quiet", "-p", BINARY])
        .env("CARGO_TARGET_DIR", &target);
    match process::shown(build.current_dir(scratch), LIMIT, |_| {}) {
        Ok(status) if status.success() => {}
        Ok(_) => return Fate::Broken("it does not build".into()),
        Err(problem) => return Fate::Broken(problem),
    }
    let mut seed = String::new();
    let mut run = house::command(target.join("debug").join(BINARY));
    run.args(option).args(["--seeds", seeds]);
    let ended = process::shown(&mut run, LIMIT, |line| {
        if line.starts_with("seed ") {
            line.clone_into(&mut seed);
        }
    });
    match ended {
        Ok(status) if status.success() => Fate::Survived,
        Ok(_) if !seed.is_empty() => Fate::Caught(seed),
        Ok(status) => Fate::Broken(format!("it ended without naming a seed: {status}")),
        Err(problem) => Fate::Broken(problem),
    }
}
