//! The end that rebuilds the file.

use super::drive::{Wire, fault};
use super::{Session, blob};
use crate::args::packetfs::PacketfsRecv;
use crate::exit::{Code, Fault};
use crate::output::Output;
use crate::units;
use serde_json::json;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant as Clock;
use stillwire_core::Instant;
use stillwire_core::packetfs::object::{Event, Receiver};
use tempfile::NamedTempFile;

pub(super) fn run(verb: &PacketfsRecv, out: Output) -> Result<(), Fault> {
    if verb.file.exists() && !verb.force {
        return Err(exists(&verb.file));
    }
    let cannot = |error| Fault::file(&format!("cannot write {}", verb.file.display()), &error);
    let folder = verb
        .file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    // Beside its place, and named only when it is whole.
    let mut part = tempfile::Builder::new()
        .prefix(".stillwire-")
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(cannot)?;
    let blob = blob(&verb.end)?;
    let session = Session::meet(&verb.end, out)?;
    let (role, config) = (session.role, session.config);
    let receiver = Receiver::new(role, config, session.psk, session.rng, blob, Instant::ZERO);
    let mut receiver = receiver.map_err(fault)?;
    let mut wire = Wire::new(session.socket);
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
            let file = part.as_file_mut();
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
    keep(part, &verb.file, verb.force)?;
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
    out.event(&json, &human);
    Ok(())
}

fn keep(part: NamedTempFile, path: &Path, force: bool) -> Result<(), Fault> {
    let kept = if force {
        part.persist(path)
    } else {
        part.persist_noclobber(path)
    };
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => {
            let action = format!("cannot write {}", path.display());
            Err(Fault::file(&action, &error.error))
        }
    }
}

fn exists(path: &Path) -> Fault {
    let what = format!("{} exists", path.display());
    Fault::new(Code::Local, what).with_hint("choose another name, or replace it with --force")
}
