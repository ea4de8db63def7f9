//! Commands that check something, and what they counted: cargo's own tests above all.

use std::process::Command;
use std::time::Duration;

use crate::summary::{Counts, Failures, Skips, Verdict};
use crate::{Problem, house, process};

/// Longer than any step takes from a clean clone on two cores; a step that hangs is
/// ended then, and the others still run.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// A command that is one check.
pub(crate) fn whole(command: &mut Command) -> Verdict {
    match process::shown(command, LIMIT, |_| {}) {
        Ok(status) if status.success() => Verdict::Ran(Counts {
            passed: 1,
            ..Counts::default()
        }),
        Ok(status) => Verdict::Failed(Counts::default(), status.to_string()),
        Err(problem) => Verdict::Failed(Counts::default(), problem),
    }
}

/// A command that counts its tests itself. Running none is a failure.
pub(crate) fn counted(
    command: &mut Command,
    mut read: impl FnMut(&mut Counts, &str) + Send,
) -> Verdict {
    let mut counts = Counts::default();
    let ended = process::shown(command, LIMIT, |line| read(&mut counts, line));
    match ended {
        Ok(status) if !status.success() => Verdict::Failed(counts, status.to_string()),
        Ok(_) if counts == Counts::default() => Verdict::Failed(counts, "ran no test".into()),
        Ok(_) => Verdict::Ran(counts),
        Err(problem) => Verdict::Failed(counts, problem),
    }
}

/// So many tests that failed are run once more; when there are more, something is broken.
const FEW: usize = 3;
/// How cargo ends when tests failed, and nothing worse happened.
const FAILED: &str = "exit status: 101";

/// What libtest runs. A test that lacks what it needs says so in a line `skipped: why` and passes;
/// here it counts as skipped, and why is told at the end.
///
/// A few that fail are run once more, alone. One that passes then fails no run, on a machine that may
/// have stood still, but is told at the end as flaky: something is wrong with it, or with the code.
pub(crate) fn tested(cargo: &mut Command) -> Verdict {
    let (verdict, complete) = libtest(cargo.args(["--", "--show-output"]));
    match verdict {
        Verdict::Failed(counts, why) if complete && why == FAILED && is_few(&counts) => {
            let mut more = again(cargo);
            more.arg("--exact").args(counts.failures.keys());
            println!("\n{} failed; once more, alone", counts.failed);
            match libtest(more.arg("--test-threads=1")).0 {
                Verdict::Ran(alone) if alone.passed >= counts.failed => {
                    Verdict::Ran(counts.forgive())
                }
                _ => Verdict::Failed(counts, why),
            }
        }
        verdict => verdict,
    }
}

/// Whether tests failed, few of them, and each is known by its name.
fn is_few(counts: &Counts) -> bool {
    let names = counts.failures.len();
    (1..=FEW).contains(&names) && counts.failed == names as u64
}

/// The same command once more.
fn again(command: &Command) -> Command {
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => again.env(name, value),
            None => again.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        again.current_dir(directory);
    }
    again
}

/// False when a program of tests did not come to its end.
fn libtest(cargo: &mut Command) -> (Verdict, bool) {
    let mut skips = Skips::default();
    let mut failures = Failures::default();
    let verdict = counted(cargo, |counts, line| {
        counts.read_libtest(line);
        skips.read(line);
        failures.read(line);
    });
    let complete = failures.is_complete();
    let pour = |counts| failures.pour(skips.pour(counts));
    let verdict = match verdict {
        Verdict::Ran(counts) => Verdict::Ran(pour(counts)),
        Verdict::Failed(counts, why) => Verdict::Failed(pour(counts), why),
        other @ Verdict::Skipped(_) => other,
    };
    (verdict, complete)
}

/// An integration test of a package of the workspace.
pub(crate) struct Target {
    pub(crate) package: String,
    pub(crate) name: String,
}

impl Target {
    /// Needs the emulator or the Go program. The command line's tests all may.
    pub(crate) fn is_interop(&self) -> bool {
        (self.name.starts_with("interop") || self.package == "stillwire") && !self.is_commonware()
    }

    /// Needs a program on commonware-stream.
    pub(crate) fn is_commonware(&self) -> bool {
        self.name.starts_with("interop_commonware")
    }
}

pub(crate) fn targets() -> Result<Vec<Target>, Problem> {
    let metadata = house::metadata(false)?;
    let mut found = Vec::new();
    for package in house::list(&metadata, "packages") {
        for target in house::list(package, "targets") {
            if house::list(target, "kind")
                .iter()
                .any(|kind| kind == "test")
            {
                found.push(Target {
                    package: house::text(package, "name").to_owned(),
                    name: house::text(target, "name").to_owned(),
                });
            }
        }
    }
    Ok(found)
}

/// Always the whole workspace with chosen targets: another choice of packages
/// would choose other features and build the dependencies once more.
pub(crate) fn workspace_tests(targets: &[Target]) -> Command {
    let mut cargo = house::cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]);
    for target in targets {
        cargo.args(["--test", &target.name]);
    }
    cargo
}

pub(crate) fn tests_of(
    wanted: &dyn Fn(&Target) -> bool,
    environment: &[(&str, String)],
) -> Verdict {
    let targets = match targets() {
        Ok(targets) => targets.into_iter().filter(wanted).collect::<Vec<_>>(),
        Err(problem) => return Verdict::Failed(Counts::default(), problem),
    };
    if targets.is_empty() {
        return Verdict::Failed(Counts::default(), "there is no such test".into());
    }
    let mut cargo = workspace_tests(&targets);
    cargo.envs(environment.iter().map(|(name, value)| (name, value)));
    tested(&mut cargo)
}

/// One verdict of two.
pub(crate) fn both(one: Verdict, other: Verdict) -> Verdict {
    let merge = |mut a: Counts, b: Counts| {
        a.add(&b);
        a
    };
    match (one, other) {
        (Verdict::Ran(a), Verdict::Ran(b)) => Verdict::Ran(merge(a, b)),
        (Verdict::Failed(a, why), Verdict::Ran(b) | Verdict::Failed(b, _))
        | (Verdict::Ran(a), Verdict::Failed(b, why)) => Verdict::Failed(merge(a, b), why),
        (skipped, _) => skipped,
    }
}
