//! `cargo xtask bench asoc`: a stream beside a bare TCP copy and beside the real Python node,
//! handshakes, idle connections. It prints; it never passes or fails by a figure.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::{Problem, house, process, python};

const LIMIT: Duration = Duration::from_secs(600);

/// Figures by kind, in the order in which the kinds came.
#[derive(Default)]
struct Figures {
    order: Vec<String>,
    of: BTreeMap<String, Vec<f64>>,
}

impl Figures {
    /// Takes a line of JSON that has a figure of that name; others say nothing.
    fn read(&mut self, line: &str, figure: &str) {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            return;
        };
        if let (Some(kind), Some(value)) = (line["kind"].as_str(), line[figure].as_f64()) {
            if !self.of.contains_key(kind) {
                self.order.push(kind.to_owned());
            }
            self.of.entry(kind.to_owned()).or_default().push(value);
        }
    }

    /// The middle one of a kind's figures.
    fn middle(&self, kind: &str) -> Option<f64> {
        let mut all = self.of.get(kind)?.clone();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    fn highest(&self, kind: &str) -> Option<f64> {
        self.of.get(kind)?.iter().copied().reduce(f64::max)
    }

    /// The middle one of the ratios to another kind, round by round; to its middle one where the
    /// rounds are not the same.
    fn ratio(&self, kind: &str, to: &str) -> Option<f64> {
        let (own, other) = (self.of.get(kind)?, self.of.get(to)?);
        let mut all: Vec<f64> = if own.len() == other.len() {
            own.iter()
                .zip(other)
                .map(|(own, other)| own / other)
                .collect()
        } else {
            let middle = self.middle(to)?;
            own.iter().map(|own| own / middle).collect()
        };
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// A table: the middle figure of each kind, the highest, and its ratio to each of these.
    fn table(&self, unit: &str, to: &[&str]) -> String {
        let to: Vec<&&str> = to
            .iter()
            .filter(|kind| self.of.contains_key(**kind))
            .collect();
        let heads: Vec<String> = to.iter().map(|kind| format!(" to {kind} |")).collect();
        let heads = heads.concat();
        let rules = " ---: |".repeat(to.len());
        let mut out =
            format!("| | {unit}, middle | highest |{heads}\n| --- | ---: | ---: |{rules}");
        for kind in &self.order {
            let middle = self.middle(kind).unwrap_or_default();
            let highest = self.highest(kind).unwrap_or_default();
            let ratio = |other: &&&str| self.ratio(kind, other).unwrap_or_default();
            let ratios: Vec<String> = to.iter().map(|to| format!(" {:.2} |", ratio(to))).collect();
            let row = format!(
                "\n| {kind} | {middle:.1} | {highest:.1} |{}",
                ratios.concat()
            );
            out.push_str(&row);
        }
        out
    }
}

/// Prints a line of JSON for each figure, then the tables.
pub(crate) fn bench() -> Result<bool, Problem> {
    let mut build = house::cargo();
    build.args(["build", "--release", "--quiet", "--package"]);
    build.args(["stillwire-benches", "--features", "aws-lc"]);
    build.args(["--bin", "asoc-bench"]);
    if !process::shown(&mut build, LIMIT, |_| {})?.success() {
        return Err("the program of the benchmark did not build".into());
    }
    let program = house::target().join("release/asoc-bench");
    let (mut streams, mut shakes, mut idle) =
        (Figures::default(), Figures::default(), Figures::default());
    let mut fine = run(&program, "stream", "mib_per_second", &mut streams)?;
    match python::asoc() {
        Ok(python) => {
            let mut pair = Command::new(python);
            pair.arg(house::root().join("conformance/peers/asoc/rate.py"));
            let read = |line: &str| streams.read(line, "mib_per_second");
            fine &= process::shown(&mut pair, LIMIT, read)?.success();
        }
        Err(why) => println!("the Python pair was not measured: {why}"),
    }
    fine &= run(
        &program,
        "handshakes",
        "connections_per_second",
        &mut shakes,
    )?;
    fine &= run(&program, "idle-bare", "kib_each", &mut idle)?;
    fine &= run(&program, "idle", "kib_each", &mut idle)?;
    let rate = streams.table("MiB/s", &["bare TCP", "Python pair"]);
    println!("\nOne stream over loopback, chunks of 1 MiB:\n\n{rate}");
    let rate = shakes.table("connections/s", &["bare TCP"]);
    println!("\nConnections made and dropped, one after another:\n\n{rate}");
    let each = idle.table("KiB each", &["idle bare TCP"]);
    println!("\nIdle connections, resident memory of the accepting process:\n\n{each}");
    Ok(fine)
}

fn run(program: &Path, verb: &str, figure: &str, into: &mut Figures) -> Result<bool, Problem> {
    let mut bench = Command::new(program);
    let read = |line: &str| into.read(line, figure);
    Ok(process::shown(bench.arg(verb), LIMIT, read)?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&str, f64)]) -> Figures {
        let mut figures = Figures::default();
        for (kind, rate) in lines {
            figures.read(&format!(r#"{{"kind":"{kind}","rate":{rate}}}"#), "rate");
        }
        figures
    }

    #[test]
    fn ratios_are_taken_round_by_round_and_the_middle_one_is_told() {
        let figures = read(&[
            ("bare", 100.0),
            ("own", 90.0),
            ("bare", 10.0),
            ("own", 5.0),
            ("bare", 200.0),
            ("own", 190.0),
            ("slow", 20.0),
        ]);
        assert_eq!(figures.ratio("own", "bare"), Some(0.9));
        assert_eq!(figures.ratio("own", "slow"), Some(4.5));
        assert_eq!(figures.ratio("own", "absent"), None);
        let table = figures.table("MiB/s", &["bare", "absent"]);
        assert_eq!(
            table,
            "| | MiB/s, middle | highest | to bare |\n| --- | ---: | ---: | ---: |\n\
             | bare | 100.0 | 200.0 | 1.00 |\n| own | 90.0 | 190.0 | 0.90 |\n\
             | slow | 20.0 | 20.0 | 0.20 |"
        );
    }

    #[test]
    fn lines_without_the_figure_say_nothing() {
        let mut figures = read(&[]);
        for line in ["", "text", r#"{"kind":"x"}"#, r#"{"rate":1}"#] {
            figures.read(line, "rate");
        }
        assert!(figures.order.is_empty());
    }
}
