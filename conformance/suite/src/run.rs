//! Runs vectors against an implementation and counts.

use crate::child::Child;
use crate::hex::shortened;
use crate::known::KnownFailing;
use crate::matching::{Verdict, substitute, verdict};
use crate::vector::{DEFAULT_PROFILE, FORMAT, Step, Test, find, load};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// The time an implementation has for one line.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Characters of a request or reply that a failure shows.
const SHOWN: usize = 600;

/// What to run, and against what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Program and arguments of the implementation.
    pub command: Vec<String>,
    /// Vector files, or folders of them.
    pub paths: Vec<PathBuf>,
    /// Cases that are expected to fail.
    pub known_failing: KnownFailing,
    /// Profiles to ask for besides those that the implementation offers.
    pub profiles: Vec<String>,
    /// The time for one line; [`PATIENCE`] outside tests.
    pub patience: Duration,
}

/// The counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases that answered as the vector says.
    pub passed: usize,
    /// Cases that did not, files that could not be read, known-failing cases that passed.
    pub failed: usize,
    /// Cases not asked or not supported, and known-failing ones that failed.
    pub skipped: usize,
    /// How many of the skipped failed as the list says.
    pub known: usize,
    /// How many of all nobody outside Stillwire has confirmed.
    pub unconfirmed: usize,
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

/// Runs every vector and writes failures and counts to `out`.
///
/// The last line is `N passed, N failed, N skipped`. `Err` only when `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> io::Result<Report> {
    let mut report = Report::default();
    let tests = collect(options, &mut report, out)?;
    let mut session = Session::new(options);
    let mut skipped = BTreeMap::<String, usize>::new();
    for (file, test) in &tests {
        report.unconfirmed += usize::from(test.is_unconfirmed());
        let listed = options.known_failing.contains(&test.id);
        let failure = match session.run(test) {
            Outcome::Passed if listed => "listed as known failing, yet it passes".to_owned(),
            Outcome::Passed => {
                report.passed += 1;
                continue;
            }
            Outcome::Failed(_) if listed => {
                report.known += 1;
                report.skipped += 1;
                *skipped.entry("known failing".to_owned()).or_default() += 1;
                continue;
            }
            Outcome::Skipped(reason) => {
                report.skipped += 1;
                *skipped.entry(reason).or_default() += 1;
                continue;
            }
            Outcome::Failed(failure) => failure,
        };
        report.failed += 1;
        writeln!(out, "FAILED {} ({})", test.id, file.display())?;
        writeln!(out, "  {}", test.comment)?;
        for line in failure.lines() {
            writeln!(out, "  {line}")?;
        }
    }
    if let Err(error) = session.finish() {
        report.failed += 1;
        writeln!(out, "FAILED after the last vector\n  {error}")?;
    }
    let ids: BTreeSet<&str> = tests.iter().map(|(_, test)| test.id.as_str()).collect();
    for id in options.known_failing.iter().filter(|id| !ids.contains(id)) {
        writeln!(out, "note: {id} is listed as known failing and was not run")?;
    }
    for (reason, count) in &skipped {
        writeln!(out, "skipped {count}: {reason}")?;
    }
    writeln!(
        out,
        "{} of {} vectors are unconfirmed by anyone outside Stillwire",
        report.unconfirmed,
        tests.len()
    )?;
    let Report {
        passed,
        failed,
        skipped,
        ..
    } = report;
    writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped")?;
    Ok(report)
}

/// Reads every file; what cannot be read counts as failed.
fn collect(
    options: &Options,
    report: &mut Report,
    out: &mut dyn Write,
) -> io::Result<Vec<(PathBuf, Test)>> {
    let mut tests: Vec<(PathBuf, Test)> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut files = BTreeSet::new();
    let mut broken = |path: &PathBuf, error: &str, out: &mut dyn Write| {
        report.failed += 1;
        writeln!(out, "FAILED {}\n  {error}", path.display())
    };
    for path in &options.paths {
        match find(path) {
            Ok(found) => files.extend(found),
            Err(error) => broken(path, &error, out)?,
        }
    }
    for file in &files {
        match load(file) {
            Ok(loaded) => {
                for test in loaded {
                    if ids.insert(test.id.clone()) {
                        tests.push((file.clone(), test));
                    } else {
                        broken(file, &format!("{} is there twice", test.id), out)?;
                    }
                }
            }
            Err(error) => broken(file, &error, out)?,
        }
    }
    Ok(tests)
}

/// The implementation, started anew whenever it has misbehaved.
struct Session<'a> {
    options: &'a Options,
    child: Option<Child>,
    profiles: Vec<String>,
    /// Why it cannot be started; then there is no use in trying again.
    dead: Option<String>,
}

impl<'a> Session<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            options,
            child: None,
            profiles: Vec::new(),
            dead: None,
        }
    }

    fn run(&mut self, test: &Test) -> Outcome {
        if let Err(error) = self.ready() {
            return Outcome::Failed(format!("cannot start the implementation: {error}"));
        }
        if !self.profiles.contains(&test.profile) {
            return Outcome::Skipped(format!("profile {} is not offered", test.profile));
        }
        let outcome = self.script(test);
        if let Some(child) = &mut self.child
            && let Err(error) = child.ask(&json!({"op": "reset"}))
        {
            self.child = None;
            if matches!(outcome, Outcome::Passed) {
                return Outcome::Failed(format!("at the reset after the last step: {error}"));
            }
        }
        outcome
    }

    fn script(&mut self, test: &Test) -> Outcome {
        let mut bound = BTreeMap::new();
        for (index, step) in test.steps.iter().enumerate() {
            let request = substitute(&Value::Object(step.ask.clone()), &bound);
            let Some(child) = &mut self.child else {
                return Outcome::Failed("the implementation is gone".to_owned());
            };
            let reply = match child.ask(&request) {
                Ok(reply) => reply,
                Err(error) => {
                    self.child = None;
                    return Outcome::Failed(describe(index, step, &request, &error, None));
                }
            };
            match verdict(&step.expect, &reply) {
                Verdict::Match => {}
                Verdict::Unsupported => {
                    let op = request.get("op").and_then(Value::as_str).unwrap_or("?");
                    return Outcome::Skipped(format!("operation {op} is unsupported"));
                }
                Verdict::Mismatch(reason) => {
                    let reply = Value::Object(reply);
                    return Outcome::Failed(describe(index, step, &request, &reason, Some(&reply)));
                }
            }
            for (name, key) in &step.bind {
                let Some(value) = reply.get(key) else {
                    let reason = format!("`{key}`, which the vector binds, is missing");
                    let reply = Value::Object(reply);
                    return Outcome::Failed(describe(index, step, &request, &reason, Some(&reply)));
                };
                bound.insert(name.clone(), value.clone());
            }
        }
        Outcome::Passed
    }

    /// Starts the implementation if none is running, and greets it.
    fn ready(&mut self) -> Result<(), String> {
        if self.child.is_some() {
            return Ok(());
        }
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        let started = Child::start(&self.options.command, self.options.patience)
            .and_then(|child| greet(child, &self.options.profiles));
        match started {
            Ok((child, profiles)) => {
                self.child = Some(child);
                self.profiles = profiles;
                Ok(())
            }
            Err(error) => {
                self.dead = Some(error.clone());
                Err(error)
            }
        }
    }

    fn finish(self) -> Result<(), String> {
        self.child.map_or(Ok(()), Child::finish)
    }
}

/// Asks `hello` and returns the profiles on offer. An implementation that names none, or that does
/// not know `hello`, offers the default one.
fn greet(mut child: Child, extra: &[String]) -> Result<(Child, Vec<String>), String> {
    let hello = child.ask(&json!({"op": "hello"}))?;
    let known = hello.get("unsupported") != Some(&json!(true));
    let format = hello.get("format");
    if known && format != Some(&json!(FORMAT)) && format != Some(&json!(FORMAT.to_string())) {
        return Err(format!("hello does not say format {FORMAT}"));
    }
    let mut profiles = vec![DEFAULT_PROFILE.to_owned()];
    profiles.extend_from_slice(extra);
    if let Some(Value::Array(offered)) = hello.get("profiles") {
        profiles.extend(offered.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    Ok((child, profiles))
}

fn describe(
    index: usize,
    step: &Step,
    request: &Value,
    reason: &str,
    reply: Option<&Value>,
) -> String {
    let expect = Value::Object(step.expect.clone()).to_string();
    let mut text = format!(
        "step {}: {reason}\n  asked    {}\n  expected {}",
        index + 1,
        shortened(&request.to_string(), SHOWN),
        shortened(&expect, SHOWN),
    );
    if let Some(reply) = reply {
        text.push_str("\n  got      ");
        text.push_str(&shortened(&reply.to_string(), SHOWN));
    }
    text
}
