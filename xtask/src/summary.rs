//! What happened, counted: a section per step, then one table and the closing line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::Problem;

/// Tests by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// What was skipped, and how often.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// What failed, and what it said.
    pub(crate) failures: BTreeMap<String, String>,
    /// What failed, passed when it was run again, and what it had said.
    pub(crate) flaky: BTreeMap<String, String>,
}

impl Counts {
    /// Adds what libtest's closing line says; other lines say nothing.
    pub(crate) fn read_libtest(&mut self, line: &str) {
        // "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s"
        let Some((_, rest)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        let rest = rest.split("; finished").next().unwrap_or(rest);
        let known = ["passed", "failed", "ignored", "measured", "filtered out"];
        self.add_numbers(numbers(rest, ';', &known));
    }

    /// Adds what a plain closing line says, such as `3 passed, 0 failed, 1 skipped`.
    pub(crate) fn read_plain(&mut self, line: &str) {
        self.add_numbers(numbers(line, ',', &["passed", "failed", "skipped"]));
    }

    fn add_numbers(&mut self, found: Option<[u64; 3]>) {
        let [passed, failed, skipped] = found.unwrap_or_default();
        self.passed += passed;
        self.failed += failed;
        self.skipped += skipped;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.add_numbers(Some([other.passed, other.failed, other.skipped]));
        for (why, times) in &other.reasons {
            *self.reasons.entry(why.clone()).or_default() += times;
        }
        self.failures.extend(other.failures.clone());
        self.flaky.extend(other.flaky.clone());
    }

    /// What failed passed when it was run again.
    pub(crate) fn forgive(mut self) -> Self {
        self.passed += self.failed;
        self.failed = 0;
        self.flaky.append(&mut self.failures);
        self
    }
}

/// The lines in which tests say that they skip something.
#[derive(Default)]
pub(crate) struct Skips {
    /// What this test has said: twice the same is one.
    test: BTreeSet<String>,
    reasons: BTreeMap<String, u64>,
}

impl Skips {
    /// Reads a line of libtest with `--show-output`.
    pub(crate) fn read(&mut self, line: &str) {
        if line.starts_with("---- ") || line.starts_with("running ") {
            self.test.clear();
        }
        if let Some(why) = line.strip_prefix("skipped: ")
            && self.test.insert(why.to_owned())
        {
            *self.reasons.entry(why.to_owned()).or_default() += 1;
        }
    }

    /// Counts as skipped what libtest counted as passed.
    pub(crate) fn pour(self, mut counts: Counts) -> Counts {
        let times: u64 = self.reasons.values().sum();
        counts.passed = counts.passed.saturating_sub(times);
        counts.add(&Counts {
            skipped: times,
            reasons: self.reasons,
            ..Counts::default()
        });
        counts
    }
}

/// What the tests that failed said, without the backtraces between.
#[derive(Default)]
pub(crate) struct Failures {
    names: BTreeSet<String>,
    /// Whose output is read now.
    test: String,
    /// Lines of the panic that are still to come; it may have many, and the first ones say it.
    rest: u8,
    /// Panics by test: those that pass may panic on purpose.
    panics: Vec<(String, String)>,
    /// Programs of tests that began, and that told their result.
    programs: (u64, u64),
}

impl Failures {
    /// Reads a line of libtest.
    pub(crate) fn read(&mut self, line: &str) {
        let running = line.strip_prefix("running ");
        self.programs.0 += u64::from(running.is_some_and(|rest| rest.contains(" test")));
        self.programs.1 += u64::from(line.starts_with("test result: "));
        let result = line.strip_prefix("test ");
        if let Some(test) = result.and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.names.insert(test.to_owned());
        }
        let heading = line.strip_prefix("---- ");
        if let Some(test) = heading.and_then(|rest| rest.strip_suffix(" stdout ----")) {
            test.clone_into(&mut self.test);
            self.rest = 0;
        } else if line.starts_with("thread '") && line.contains(" panicked at ") {
            self.panics.push((self.test.clone(), line.to_owned()));
            self.rest = 3;
        } else if line.is_empty() || line.starts_with("stack backtrace:") {
            self.rest = 0;
        } else if self.rest > 0
            && let Some((_, panic)) = self.panics.last_mut()
        {
            self.rest -= 1;
            panic.push_str("\n    ");
            panic.push_str(line);
        }
    }

    /// No program of tests ended before it had told its result.
    pub(crate) fn is_complete(&self) -> bool {
        self.programs.0 == self.programs.1
    }

    pub(crate) fn pour(self, mut counts: Counts) -> Counts {
        for name in self.names {
            let said = self.panics.iter().filter(|(test, _)| *test == name);
            let said: Vec<&str> = said.map(|(_, panic)| &**panic).collect();
            let said = said.join("\n  ");
            counts.failures.insert(name, said);
        }
        counts
    }
}

/// Reads "3 passed, 1 failed" and the like: the first three of the known names,
/// or nothing when the text says anything else.
fn numbers(text: &str, separator: char, known: &[&str]) -> Option<[u64; 3]> {
    let mut found = [0; 3];
    for part in text.split(separator) {
        let (number, name) = part.trim().split_once(' ')?;
        let at = known.iter().position(|&known| known == name)?;
        let number = number.parse().ok()?;
        if let Some(slot) = found.get_mut(at) {
            *slot = number;
        }
    }
    Some(found)
}

/// How a step ended.
pub(crate) enum Verdict {
    /// It ran; the counts may hold failures.
    Ran(Counts),
    /// It could not run here, and why.
    Skipped(String),
    /// It failed as a whole, after what it counted.
    Failed(Counts, Problem),
}

/// The record of one run of the tests.
#[derive(Default)]
pub(crate) struct Summary {
    rows: Vec<(String, &'static str, Counts, Duration, String)>,
}

impl Summary {
    /// Runs one step under its own heading.
    pub(crate) fn step(&mut self, name: &str, about: &str, run: impl FnOnce() -> Verdict) {
        println!("\n=== {name}: {about}");
        let start = Instant::now();
        let verdict = run();
        let took = start.elapsed();
        let (word, counts, note) = match verdict {
            Verdict::Ran(counts) if counts.failed > 0 => ("FAILED", counts, String::new()),
            Verdict::Ran(counts) if !counts.flaky.is_empty() => {
                let note = format!("{} FLAKY", counts.flaky.len());
                ("passed", counts, note)
            }
            Verdict::Ran(counts) => ("passed", counts, String::new()),
            Verdict::Skipped(why) => (
                "skipped",
                Counts {
                    skipped: 1,
                    ..Counts::default()
                },
                why,
            ),
            Verdict::Failed(mut counts, why) => {
                // A step that dies without a failed test is one failure.
                counts.failed = counts.failed.max(1);
                ("FAILED", counts, why)
            }
        };
        println!("--- {name}: {word} in {:.1} s {note}", took.as_secs_f64());
        self.rows.push((name.to_owned(), word, counts, took, note));
    }

    /// Prints the table and the closing line; true when nothing failed.
    pub(crate) fn close(self) -> bool {
        let mut total = Counts::default();
        println!("\n=== summary");
        for (name, word, counts, took, note) in &self.rows {
            total.add(counts);
            println!(
                "{name:14} {word:8} {:6} passed {:4} failed {:4} skipped {:8.1} s  {note}",
                counts.passed,
                counts.failed,
                counts.skipped,
                took.as_secs_f64()
            );
        }
        for (name, _, counts, _, _) in &self.rows {
            for (why, times) in &counts.reasons {
                println!("skipped in {name}, {times} times: {why}");
            }
            for (test, said) in &counts.flaky {
                println!("FLAKY in {name}, failed once and passed alone: {test}: {said}");
            }
            for (test, said) in &counts.failures {
                println!("failed in {name}: {test}: {said}");
            }
        }
        let seconds: f64 = self.rows.iter().map(|row| row.3.as_secs_f64()).sum();
        println!("in all {seconds:.0} s\n");
        println!(
            "{} passed, {} failed, {} skipped",
            total.passed, total.failed, total.skipped
        );
        total.failed == 0 && total.passed > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(read: fn(&mut Counts, &str), line: &str) -> (u64, u64, u64) {
        let mut counts = Counts::default();
        read(&mut counts, line);
        (counts.passed, counts.failed, counts.skipped)
    }

    #[test]
    fn libtest_closing_lines_are_counted() {
        let read = Counts::read_libtest;
        let line = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 5 filtered out; finished in 0.10s";
        assert_eq!(counted(read, line), (12, 0, 3));
        let line = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s";
        assert_eq!(counted(read, line), (1, 2, 0));
        // What a test itself printed.
        assert_eq!(counted(read, "169 passed, 1 failed, 4 skipped"), (0, 0, 0));
    }

    #[test]
    fn plain_closing_lines_are_counted() {
        let read = Counts::read_plain;
        assert_eq!(
            counted(read, "169 passed, 1 failed, 4 skipped"),
            (169, 1, 4)
        );
        assert_eq!(counted(read, "7 passed, 0 failed"), (7, 0, 0));
    }

    #[test]
    fn what_a_test_skips_counts_once_and_not_as_passed() {
        let mut skips = Skips::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "---- a stdout ----",
            "skipped: no python",
            "skipped: no python",
            "---- b stdout ----",
            "skipped: no python",
            "skipped: no disk",
            "SKIPPED c",
            "skipped 3: a profile",
        ] {
            skips.read(line);
        }
        let counts = skips.pour(Counts {
            passed: 10,
            ..Counts::default()
        });
        assert_eq!((counts.passed, counts.skipped), (7, 3));
        assert_eq!(counts.reasons["no python"], 2);
        assert_eq!(counts.reasons["no disk"], 1);
    }

    #[test]
    fn what_a_failed_test_said_is_told_without_its_backtrace() {
        let mut failures = Failures::default();
        for line in [
            "running 2 tests",
            "test a ... FAILED",
            "---- a stdout ----",
            "",
            "thread 'a' (7) panicked at src/a.rs:1:2:",
            "assertion `left == right` failed",
            "  left: 1",
            " right: 2",
            "stack backtrace:",
            "   0: rust_begin_unwind",
            "",
            "---- b stdout ----",
            "thread 'b' (8) panicked at src/a.rs:3:4:",
            "on purpose",
        ] {
            failures.read(line);
        }
        assert!(!failures.is_complete());
        failures.read("test result: FAILED. 1 passed; 1 failed; 0 ignored");
        assert!(failures.is_complete());
        let told = "thread 'a' (7) panicked at src/a.rs:1:2:\n    assertion `left == right` \
                    failed\n      left: 1\n     right: 2";
        let told = BTreeMap::from([("a".to_owned(), told.to_owned())]);
        assert_eq!(failures.pour(Counts::default()).failures, told);
    }

    #[test]
    fn what_passes_alone_is_flaky_and_fails_nothing() {
        let said = BTreeMap::from([("a".to_owned(), "late".to_owned())]);
        let counts = Counts {
            passed: 3,
            failed: 1,
            failures: said.clone(),
            ..Counts::default()
        };
        let counts = counts.forgive();
        assert_eq!((counts.passed, counts.failed), (4, 0));
        assert_eq!((counts.failures.len(), counts.flaky), (0, said));
    }

    #[test]
    fn other_lines_are_not() {
        for line in [
            "",
            "test a ... ok",
            "3 passed the gate, 2 failed",
            "running 3 tests",
            "1,2",
        ] {
            assert_eq!(counted(Counts::read_libtest, line), (0, 0, 0), "{line}");
            assert_eq!(counted(Counts::read_plain, line), (0, 0, 0), "{line}");
        }
    }
}
