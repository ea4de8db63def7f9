//! The end that has the file.

use super::drive::fault;
use super::file::FileBlob;
use super::meet::meet;
use super::{OBJECT, blob};
use crate::args::packetfs::PacketfsSend;
use crate::exit::{Code, Fault};
use crate::output::Output;
use crate::units;
use serde_json::json;
use std::time::Instant as Clock;
use stillwire_core::Instant;
use stillwire_core::packetfs::Blob;
use stillwire_core::packetfs::encoder::{Encoder, Index};
use stillwire_core::packetfs::object::{Event, Sender};

/// Gives the bytes of the file.
pub(super) fn run(verb: &PacketfsSend, out: Output) -> Result<u64, Fault> {
    let file = FileBlob::open(&verb.file)?;
    let blob = blob(&verb.end)?;
    let memory = usize::try_from(verb.index_memory).unwrap_or(usize::MAX);
    let unread = |what: &str| Fault::new(Code::Local, format!("cannot read {what}"));
    let index = Index::build(&blob, memory).map_err(|_| unread("the blob"))?;
    let (mut sender, mut wire) = meet(&verb.end, out, |terms| {
        let now = Instant::ZERO;
        Sender::new(terms.role, terms.config, terms.psk, terms.rng, now).map_err(fault)
    })?;
    let limit = verb.end.options.config(verb.end.patience).blueprint;
    let started = Clock::now();
    let bar = out.progress(&verb.file.display().to_string(), file.size());
    let (mut at, mut referenced) = (0, 0);
    let mut segment = Vec::new();
    let mut error = None;
    while !sender.is_finished() {
        if error.is_none() && !sender.is_sending() && at < file.size() {
            let length = OBJECT.min(file.size() - at);
            let source = file.stretch(at, length)?;
            let mut encoder = Encoder::new(&index, &blob, limit);
            segment.resize(usize::try_from(length).unwrap_or_default(), 0);
            source
                .read(0, &mut segment)
                .map_err(|_| unread("the file"))?;
            encoder.push(&segment).map_err(fault)?;
            let encoded = encoder.finish().map_err(fault)?;
            referenced += encoded.referenced;
            sender.start(encoded.blueprint, source).map_err(fault)?;
            at += length;
        }
        if at == file.size() {
            sender.close();
        }
        let deadline = wire.flush(&mut sender, |event| {
            if event == Event::Complete {
                bar.set_position(at);
            }
        })?;
        let idle = sender.is_sending() || at == file.size();
        if !sender.is_finished() && idle {
            error = error.or(wire.wait(&mut sender, deadline).err());
        }
    }
    bar.finish_and_clear();
    if let Some(error) = error.or(sender.error().cloned()) {
        return Err(fault(error));
    }
    let size = file.size();
    let share = referenced as f64 / (size as f64).max(1.0) * 100.0;
    let json = json!({
        "event": "sent", "bytes": size, "wire": wire.sent, "referenced": referenced,
        "share": share, "repaired": sender.repaired(), "seconds": started.elapsed().as_secs_f64(),
    });
    let human = format!(
        "sent {} as {} in {}: {share:.1} % by reference, {} repaired",
        units::bytes(size),
        units::bytes(wire.sent),
        units::seconds(started.elapsed()),
        units::count(sender.repaired(), "window"),
    );
    out.event(&json, &human);
    Ok(size)
}
