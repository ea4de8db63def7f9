//! The end that rebuilds the file.

use super::blob;
use super::drive::fault;
use super::meet::meet;
use crate::args::packetfs::PacketfsRecv;
use crate::exit::{Code, Fault};
use crate::output::Output;
use crate::run::Run;
use crate::units;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant as Clock;
use stillwire_core::Instant;
use stillwire_core::packetfs::object::{Event, Receiver};
use tempfile::TempPath;

pub(super) async fn run(verb: PacketfsRecv, run: &Run) -> Result<(), Fault> {
    if verb.file.exists() && !verb.force {
        return Err(exists(&verb.file));
    }
    let folder = verb
        .file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    // Beside its place, and named only when it is whole.
    let part = tempfile::Builder::new()
        .prefix(".stillwire-")
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(|error| cannot(&verb.file, &error))?;
    // The name stays here, and goes however the work ends.
    let (mut file, part) = part.into_parts();
    let (path, force, out) = (verb.file.clone(), verb.force, run.out);
    let (bytes, json, human) = super::block(run, move || receive(&verb, &mut file, out)).await?;
    run.totals.carried(0, bytes);
    keep(part, &path, force)?;
    out.event(&json, &human);
    Ok(())
}

fn cannot(path: &Path, error: &std::io::Error) -> Fault {
    Fault::file(&format!("cannot write {}", path.display()), error)
}

/// Writes what comes to `file`; gives how much that was and what there is to tell of it.
fn receive(
    verb: &PacketfsRecv,
    file: &mut File,
    out: Output,
) -> Result<(u64, Value, String), Fault> {
    let cannot = |error| cannot(&verb.file, &error);
    let blob = blob(&verb.end)?;
    let (mut receiver, mut wire) = meet(&verb.end, out, |terms| {
        let now = Instant::ZERO;
        Receiver::new(terms.role, terms.config, terms.psk, terms.rng, &blob, now).map_err(fault)
    })?;
    let started = Clock::now();
    let bar = out.progress(&verb.file.display().to_string(), 0);
    // Objects come one behind another; `next` is where the following one begins.
    let (mut base, mut next) = (0, 0);
    let mut error = None;
    while !receiver.is_finished() {
        let deadline = wire.flush(&mut receiver, |event| {
            if let Event::Announced { size } = event {
                base = next;
                next += size;
                bar.set_length(next);
            }
        })?;
        while error.is_none()
            && let Some(window) = receiver.window().map_err(fault)?
        {
            file.seek(SeekFrom::Start(base + window.offset))
                .map_err(cannot)?;
            file.write_all(&window.bytes).map_err(cannot)?;
            bar.inc(window.bytes.len() as u64);
        }
        // What the windows brought about: repairs asked for, or that all is there.
        let deadline = wire.flush(&mut receiver, |_| {})?.or(deadline);
        if !receiver.is_finished() {
            error = error.or(wire.wait(&mut receiver, deadline).err());
        }
    }
    bar.finish_and_clear();
    if let Some(error) = error.or(receiver.error().cloned()) {
        return Err(fault(error));
    }
    let json = json!({
        "event": "received", "bytes": next, "wire": wire.received,
        "repaired": receiver.repairs(), "seconds": started.elapsed().as_secs_f64(),
    });
    let human = format!(
        "received {} as {} in {}, {} repaired",
        units::bytes(next),
        units::bytes(wire.received),
        units::seconds(started.elapsed()),
        units::count(receiver.repairs(), "window"),
    );
    Ok((next, json, human))
}

fn keep(part: TempPath, path: &Path, force: bool) -> Result<(), Fault> {
    let kept = if force {
        part.persist(path)
    } else {
        part.persist_noclobber(path)
    };
    match kept {
        Ok(()) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(cannot(path, &error.error)),
    }
}

fn exists(path: &Path) -> Fault {
    let what = format!("{} exists", path.display());
    Fault::new(Code::Local, what).with_hint("choose another name, or replace it with --force")
}
