//! `cargo xtask test`: every check of the house, one step after another. A step
//! that cannot run here says why; a step that fails does not stop the others.

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::azurite::Azurite;
use crate::summary::{Counts, Summary, Verdict};
use crate::{
    Problem, azurite, bench, commonware, house, limits, options, peer, process, python, sshd, ziti,
};

/// Longer than any step takes from a clean clone on two cores; a step that hangs is
/// ended then, and the others still run.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// What interoperability tests need: an emulator and the Go program.
struct World {
    services: OnceCell<Result<(Azurite, PathBuf), Verdictless>>,
    commonware: RefCell<Option<Result<commonware::Building, Problem>>>,
}

/// Why there are no services: they cannot be had, or getting them failed.
enum Verdictless {
    Unavailable(String),
    Broken(Problem),
}

type Run = fn(&World) -> Verdict;

const STEPS: &[(&str, &str, Run)] = &[
    ("fmt", "every file as rustfmt writes it", |_| {
        whole(house::cargo().args(["fmt", "--all", "--check"]))
    }),
    ("limits", "the hard limits of the house", |_| {
        limits::check()
    }),
    (
        "peers",
        "Azurite installed and started, the Go peer built",
        peers,
    ),
    ("clippy", "all targets, warnings are errors", |_| {
        let arguments = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        whole(house::cargo().args(arguments))
    }),
    ("doc", "rustdoc, warnings are errors", |_| {
        let mut cargo = house::cargo();
        whole(
            cargo
                .args(["doc", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    }),
    (
        "unit",
        "unit, integration and documentation tests of the workspace",
        unit,
    ),
    (
        "pure",
        "the core again in pure Rust, without aws-lc",
        |_| {
            let arguments = ["test", "-p", "stillwire-core"];
            counted(house::cargo().args(arguments), Counts::read_libtest)
        },
    ),
    ("aws-lc", "the core again with feature aws-lc", |_| {
        let arguments = ["test", "-p", "stillwire-core", "--features", "aws-lc"];
        counted(house::cargo().args(arguments), Counts::read_libtest)
    }),
    (
        "wasm",
        "the core for wasm32, where that target is installed",
        wasm,
    ),
    (
        "simulator",
        "two machines, a faulty store, 2,800 seeds over blobs, queues and tables",
        |_| tests_of(&|target| target.package == "stillwire-simulator", &[]),
    ),
    (
        "vectors",
        "the conformance vectors against our own code",
        |_| {
            let arguments = ["run", "-p", "stillwire-conformance", "--", "run"];
            counted(house::cargo().args(arguments), Counts::read_plain)
        },
    ),
    (
        "interop",
        "the real Go aznet over a real Azurite, both roles",
        interop,
    ),
    (
        "commonware",
        "the crate commonware-stream, both roles and versions",
        commonware,
    ),
    (
        "commonware-old",
        "the crates 0.0.62 and 0.0.63, both roles",
        commonware_old,
    ),
    (
        "packetfs",
        "the second implementation of PacketFS, both ways, and the vectors",
        packetfs_peer,
    ),
    (
        "deny",
        "licences, sources and duplicates by cargo-deny",
        deny,
    ),
];

/// Steps that only run when they are named: their trees are large, and nobody changes what they
/// check any more.
const ON_DEMAND: &[&str] = &["commonware-old"];

/// Runs the steps named with `--only`, or all but those on demand.
pub(crate) fn test(words: &[&str]) -> Result<bool, Problem> {
    let options = options(words, &["--list"], &["--only"])?;
    if options.iter().any(|(name, _)| *name == "--list") {
        for (name, about, _) in STEPS {
            let when = if ON_DEMAND.contains(name) {
                "; on demand, by --only"
            } else {
                ""
            };
            println!("{name:14} {about}{when}");
        }
        return Ok(true);
    }
    let only: Vec<&str> = options.iter().map(|(_, value)| *value).collect();
    if let Some(unknown) = only
        .iter()
        .find(|name| !STEPS.iter().any(|step| step.0 == **name))
    {
        return Err(format!(
            "there is no step {unknown}; test --list names them"
        ));
    }
    let whole = only.is_empty();
    let runs = |name: &str| only.contains(&name) || (whole && !ON_DEMAND.contains(&name));
    let world = World {
        services: OnceCell::new(),
        // A large tree: it is built while the other steps run.
        commonware: RefCell::new(
            runs("commonware").then(|| commonware::start(commonware::CURRENT)),
        ),
    };
    let mut summary = Summary::default();
    for (name, about, run) in STEPS {
        if runs(name) {
            summary.step(name, about, || run(&world));
        }
    }
    drop(world);
    Ok(summary.close())
}

/// A command that is one check.
fn whole(command: &mut Command) -> Verdict {
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
fn counted(command: &mut Command, mut read: impl FnMut(&mut Counts, &str) + Send) -> Verdict {
    let mut counts = Counts::default();
    let ended = process::shown(command, LIMIT, |line| read(&mut counts, line));
    match ended {
        Ok(status) if !status.success() => Verdict::Failed(counts, status.to_string()),
        Ok(_) if counts == Counts::default() => Verdict::Failed(counts, "ran no test".into()),
        Ok(_) => Verdict::Ran(counts),
        Err(problem) => Verdict::Failed(counts, problem),
    }
}

/// An integration test of a package of the workspace.
struct Target {
    package: String,
    name: String,
}

impl Target {
    /// Needs the emulator or the Go program. The command line's tests all may.
    fn is_interop(&self) -> bool {
        (self.name.starts_with("interop") || self.package == "stillwire") && !self.is_commonware()
    }

    /// Needs a program on commonware-stream.
    fn is_commonware(&self) -> bool {
        self.name.starts_with("interop_commonware")
    }
}

fn targets() -> Result<Vec<Target>, Problem> {
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
fn workspace_tests(targets: &[Target]) -> Command {
    let mut cargo = house::cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]);
    for target in targets {
        cargo.args(["--test", &target.name]);
    }
    cargo
}

fn tests_of(wanted: &dyn Fn(&Target) -> bool, environment: &[(&str, String)]) -> Verdict {
    let targets = match targets() {
        Ok(targets) => targets.into_iter().filter(wanted).collect::<Vec<_>>(),
        Err(problem) => return Verdict::Failed(Counts::default(), problem),
    };
    if targets.is_empty() {
        return Verdict::Failed(Counts::default(), "there is no such test".into());
    }
    let mut cargo = workspace_tests(&targets);
    cargo.envs(environment.iter().map(|(name, value)| (name, value)));
    // A test that lacks what it needs says so and passes; here it counts as skipped.
    let mut skipped = 0;
    let mut verdict = counted(cargo.args(["--", "--show-output"]), |counts, line| {
        counts.read_libtest(line);
        skipped += u64::from(line.starts_with("skipped: "));
    });
    if let Verdict::Ran(counts) | Verdict::Failed(counts, _) = &mut verdict {
        counts.passed = counts.passed.saturating_sub(skipped);
        counts.skipped += skipped;
    }
    verdict
}

fn unit(_: &World) -> Verdict {
    let targets = match targets() {
        Ok(targets) => targets,
        Err(problem) => return Verdict::Failed(Counts::default(), problem),
    };
    let unit: Vec<Target> = targets
        .into_iter()
        .filter(|target| !target.is_interop() && !target.is_commonware())
        .filter(|target| target.package != "stillwire-simulator")
        .filter(|target| target.name != "packetfs_peer")
        .collect();
    let mut code = workspace_tests(&unit);
    let code = counted(
        code.args(["--lib", "--bins", "--examples"]),
        Counts::read_libtest,
    );
    let mut docs = house::cargo();
    docs.args(["test", "--workspace", "--no-fail-fast", "--doc"]);
    let docs = counted(&mut docs, Counts::read_libtest);
    both(code, docs)
}

/// One verdict of two.
fn both(one: Verdict, other: Verdict) -> Verdict {
    let merge = |a: Counts, b: Counts| Counts {
        passed: a.passed + b.passed,
        failed: a.failed + b.failed,
        skipped: a.skipped + b.skipped,
    };
    match (one, other) {
        (Verdict::Ran(a), Verdict::Ran(b)) => Verdict::Ran(merge(a, b)),
        (Verdict::Failed(a, why), Verdict::Ran(b) | Verdict::Failed(b, _))
        | (Verdict::Ran(a), Verdict::Failed(b, why)) => Verdict::Failed(merge(a, b), why),
        (skipped, _) => skipped,
    }
}

impl World {
    fn services(&self) -> &Result<(Azurite, PathBuf), Verdictless> {
        self.services.get_or_init(|| {
            if let Some(why) = azurite::unavailable().or_else(peer::unavailable) {
                return Err(Verdictless::Unavailable(why.into()));
            }
            azurite::install()
                .and_then(|()| Azurite::start())
                .and_then(|azurite| Ok((azurite, peer::build()?)))
                .map_err(Verdictless::Broken)
        })
    }
}

fn peers(world: &World) -> Verdict {
    for (name, place) in ziti::environment().into_iter().chain(ssh()) {
        println!("{name} is {place}");
    }
    match world.services() {
        Ok((azurite, go)) => {
            println!("Azurite at {}", azurite.endpoint(bench::Service::Blob));
            println!("Go peer at {}", go.display());
            Verdict::Ran(Counts {
                passed: 1,
                ..Counts::default()
            })
        }
        Err(Verdictless::Unavailable(why)) => Verdict::Skipped(why.clone()),
        Err(Verdictless::Broken(problem)) => Verdict::Failed(Counts::default(), problem.clone()),
    }
}

fn interop(world: &World) -> Verdict {
    match world.services() {
        Ok((azurite, go)) => {
            let mut environment = azurite.environment();
            environment.push(("STILLWIRE_GO_AZNET", go.display().to_string()));
            environment.extend(asoc());
            environment.extend(ssh());
            environment.extend(ziti::environment());
            tests_of(&Target::is_interop, &environment)
        }
        Err(Verdictless::Unavailable(why) | Verdictless::Broken(why)) => {
            // The command line's tests need no services, save for a few that say so.
            println!("without services ({why}): what needs none runs");
            let mut environment: Vec<_> = asoc().into_iter().collect();
            environment.extend(ssh());
            environment.extend(ziti::environment());
            tests_of(&Target::is_interop, &environment)
        }
    }
}

/// Where the real ASoc node's Python is, if it can be had.
fn asoc() -> Option<(&'static str, String)> {
    match python::asoc() {
        Ok(python) => Some(("STILLWIRE_ASOC_PYTHON", python.display().to_string())),
        Err(why) => {
            println!("without the Python ASoc node: {why}");
            None
        }
    }
}

/// What runs a real sshd, if it can be had.
fn ssh() -> Option<(&'static str, String)> {
    match sshd::script() {
        Ok(script) => Some(("STILLWIRE_SSHD", script.display().to_string())),
        Err(why) => {
            println!("without an sshd: {why}");
            None
        }
    }
}

fn commonware(world: &World) -> Verdict {
    let building = world.commonware.take();
    let building = building.unwrap_or_else(|| commonware::start(commonware::CURRENT));
    with_crate(building, "interop_commonware", "STILLWIRE_COMMONWARE_PEER")
}

fn commonware_old(_: &World) -> Verdict {
    let building = commonware::start(commonware::OLD);
    let variable = "STILLWIRE_COMMONWARE_OLD_PEER";
    with_crate(building, "interop_commonware_old", variable)
}

/// A test with the program that is being built for it.
fn with_crate(
    building: Result<commonware::Building, Problem>,
    test: &str,
    variable: &'static str,
) -> Verdict {
    let building = building.map_err(commonware::Missing::Broken);
    match building.and_then(commonware::Building::program) {
        Ok(program) => {
            let environment = [(variable, program.display().to_string())];
            tests_of(&|target| target.name == test, &environment)
        }
        Err(commonware::Missing::Unavailable(why)) => Verdict::Skipped(why),
        Err(commonware::Missing::Broken(problem)) => Verdict::Failed(Counts::default(), problem),
    }
}

fn wasm(_: &World) -> Verdict {
    let target = ["--target", "wasm32-unknown-unknown"];
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut asking = house::command(rustc);
    let library = process::captured(asking.args(["--print", "target-libdir"]).args(target));
    if !library.is_ok_and(|place| Path::new(place.trim()).is_dir()) {
        let why = "the target wasm32-unknown-unknown is not installed: rustup target add it";
        return Verdict::Skipped(why.into());
    }
    let check = ["check", "-p", "stillwire-core"];
    whole(house::cargo().args(check).args(target))
}

fn packetfs_peer(_: &World) -> Verdict {
    let requirements = ["-r", "conformance/peers/packetfs/requirements.txt"];
    let python = python::with("packetfs", "blake3, cryptography", &requirements);
    let python = match python {
        Ok(python) => python.display().to_string(),
        Err(why) => return Verdict::Skipped(why),
    };
    let iut = format!("'{python}' conformance/peers/packetfs/iut.py");
    let environment = [("STILLWIRE_PACKETFS_PYTHON", python)];
    let live = tests_of(&|target| target.name == "packetfs_peer", &environment);
    let mut vectors = house::cargo();
    vectors.args(["run", "-p", "stillwire-conformance", "--", "run", "--iut"]);
    vectors.args([&iut, "conformance/vectors/packetfs"]);
    both(live, counted(&mut vectors, Counts::read_plain))
}

fn deny(_: &World) -> Verdict {
    if !house::has("cargo-deny", "--version") {
        return Verdict::Skipped("cargo-deny is not installed".into());
    }
    // The advisories are fetched from outside; where they cannot be, that is no finding.
    whole(house::cargo().args(["deny", "--offline", "check", "bans", "licenses", "sources"]))
}
