//! `cargo xtask test`: every check of the house, one step after another. A step
//! that cannot run here says why; a step that fails does not stop the others.

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};

use crate::azurite::Azurite;
use crate::suites::{Target, both, counted, targets, tested, tests_of, whole, workspace_tests};
use crate::summary::{Counts, Summary, Verdict};
use crate::{
    Problem, azurite, bench, commonware, house, limits, options, peer, process, python, sshd, ziti,
};

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
    (
        "features",
        "the adapters without Azure, aws-lc and metrics, which the whole workspace has",
        |_| {
            let adapters = ["tokio", "async-std", "smol", "blocking"];
            let adapters = adapters.map(|name| format!("--package=stillwire-{name}"));
            let mut cargo = house::cargo();
            cargo.arg("clippy").args(adapters);
            whole(cargo.args(["--no-default-features", "--", "-D", "warnings"]))
        },
    ),
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
        "core, simulator and vectors again in pure Rust, without aws-lc",
        pure,
    ),
    ("aws-lc", "the core again with feature aws-lc", |_| {
        let arguments = ["test", "-p", "stillwire-core", "--features", "aws-lc"];
        tested(house::cargo().args(arguments))
    }),
    (
        "msrv",
        "the workspace by the oldest Rust it is for, where that is installed",
        msrv,
    ),
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
    let code = tested(code.args(["--lib", "--bins", "--examples"]));
    let mut docs = house::cargo();
    docs.args(["test", "--workspace", "--no-fail-fast", "--doc"]);
    both(code, counted(&mut docs, Counts::read_libtest))
}

/// The packages that decide how bytes are sealed and opened, and nothing beside them that would
/// bring aws-lc in: cargo joins the features of all it builds at once.
fn pure(_: &World) -> Verdict {
    const PACKAGES: [&str; 6] = [
        "-p",
        "stillwire-core",
        "-p",
        "stillwire-conformance",
        "-p",
        "stillwire-simulator",
    ];
    let tree = ["tree", "-e", "features", "-i", "aws-lc-rs"];
    let tree = process::captured(house::cargo().args(tree).args(PACKAGES));
    if tree.is_ok_and(|tree| tree.contains("stillwire-core")) {
        let why = "aws-lc comes in by a feature of theirs";
        return Verdict::Failed(Counts::default(), why.into());
    }
    let targets = match targets() {
        Ok(targets) => targets,
        Err(problem) => return Verdict::Failed(Counts::default(), problem),
    };
    let mut code = house::cargo();
    code.arg("test").args(PACKAGES);
    code.args(["--no-fail-fast", "--lib"]);
    for target in targets {
        let all = ["stillwire-core", "stillwire-simulator"].contains(&&*target.package);
        if all || (target.package == "stillwire-conformance" && target.name == "vectors") {
            code.args(["--test", &target.name]);
        }
    }
    let mut docs = house::cargo();
    docs.arg("test").args(PACKAGES).arg("--doc");
    both(tested(&mut code), counted(&mut docs, Counts::read_libtest))
}

fn msrv(_: &World) -> Verdict {
    let metadata = match house::metadata(false) {
        Ok(metadata) => metadata,
        Err(problem) => return Verdict::Failed(Counts::default(), problem),
    };
    let packages = house::list(&metadata, "packages").iter();
    let oldest = packages.map(|package| house::text(package, "rust_version"));
    let Some(oldest) = oldest.filter(|version| !version.is_empty()).min() else {
        return Verdict::Failed(Counts::default(), "no rust-version is stated".into());
    };
    let installed = process::captured(house::command("rustup").args(["toolchain", "list"]));
    let toolchain = installed
        .as_deref()
        .unwrap_or_default()
        .lines()
        .find(|line| {
            let rest = line.strip_prefix(oldest);
            rest.is_some_and(|rest| rest.starts_with(['.', '-']))
        });
    let Some(toolchain) = toolchain.and_then(|line| line.split_whitespace().next()) else {
        let why = format!("Rust {oldest} is not installed: rustup toolchain install {oldest}");
        return Verdict::Skipped(why);
    };
    // The cargo that runs this program would be of another version.
    let mut cargo = house::command("rustup");
    for name in ["CARGO", "RUSTC", "RUSTDOC"] {
        cargo.env_remove(name);
    }
    cargo.args([
        "run",
        toolchain,
        "cargo",
        "check",
        "--workspace",
        "--locked",
    ]);
    whole(&mut cargo)
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
    let mut environment = match world.services() {
        Ok((azurite, go)) => {
            let mut environment = azurite.environment();
            environment.push(("STILLWIRE_GO_AZNET", go.display().to_string()));
            environment
        }
        Err(Verdictless::Unavailable(why) | Verdictless::Broken(why)) => {
            // The command line's tests need no services, save for a few that say so.
            println!("without services ({why}): what needs none runs");
            Vec::new()
        }
    };
    environment.extend(asoc());
    environment.extend(ssh());
    environment.extend(ziti::environment());
    let threads = "RUST_TEST_THREADS";
    if std::env::var_os(threads).is_none() {
        // They wait for each other more than they compute, also on two cores.
        environment.push((threads, "3".into()));
    }
    tests_of(&Target::is_interop, &environment)
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
