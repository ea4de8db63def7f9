//! Bytes both ways over an ordered stream that somebody may sit on.

use super::line::{Attack, Line};
use super::{Outcome, config, psk, seed};
use crate::Violation;
use crate::rng::Rng;
use stillwire_core::packetfs::{Connection, Event};
use stillwire_core::{Channel, Error, Input, Instant, Machine, Output, Read, Streamed};

struct End {
    machine: Connection,
    writes: Vec<u8>,
    written: usize,
    read: Vec<u8>,
    ended: bool,
    told: bool,
}

pub(super) fn run(mut rng: Rng) -> Result<Outcome, Violation> {
    let settings = config(&mut rng);
    let one = Connection::initiator(settings.clone(), psk(), seed(&mut rng), Instant::ZERO);
    let other = Connection::responder(settings, psk(), seed(&mut rng), Instant::ZERO);
    let mut ends = [one, other].map(|machine| End {
        machine,
        writes: vec![0; rng.pick(&[0, 1, 3_000, 40_000])],
        written: 0,
        read: Vec::new(),
        ended: false,
        told: false,
    });
    for end in &mut ends {
        end.writes.fill_with(|| rng.next() as u8);
    }
    let attack = rng.chance(500).then(|| {
        let kinds = [
            Attack::Flip,
            Attack::Cut,
            Attack::Drop,
            Attack::Repeat,
            Attack::Insert,
        ];
        let reach = rng.pick(&[80, 300, 20_000]);
        (rng.below(reach), rng.pick(&kinds))
    });
    // By the index of the end that sends; an attack strikes what one of them says.
    let struck = rng.pick(&[0, 1]);
    let mut lines = [0, 1].map(|at| Line::new(attack.filter(|_| at == struck)));
    let mut outcome = Outcome::default();
    let mut idle = 0;
    while idle < 3 {
        idle += 1;
        for at in 0..2 {
            let moved = step(&mut ends, &mut lines, at, &mut rng, &mut outcome)?;
            if moved {
                idle = 0;
            }
        }
    }
    let hit = lines[struck].hit;
    outcome.faults = u64::from(hit);
    outcome.backwards = u64::from(hit && struck == 1);
    for (at, end) in ends.iter().enumerate() {
        outcome.delivered += end.read.len() as u64;
        outcome.epochs += u64::from(end.machine.epoch());
        let peer = &ends[1 - at];
        if !peer.writes.starts_with(&end.read) {
            return Err(Violation::new(
                "what arrives is what was sent",
                format!("end {at}"),
            ));
        }
        if end.ended && end.read != peer.writes {
            return Err(Violation::new(
                "an end is said after everything",
                format!("end {at}"),
            ));
        }
        let closed = end.ended && end.machine.is_finished();
        if !hit && !closed {
            let detail = format!("end {at}: {:?}", end.machine.error());
            return Err(Violation::new(
                "without an attack both ends close cleanly",
                detail,
            ));
        }
    }
    let (speaker, victim) = (&ends[struck], &ends[1 - struck]);
    if hit && victim.ended && victim.read.len() < speaker.writes.len() {
        return Err(Violation::new(
            "an attack is seen",
            format!("{attack:?} on what end {struck} says"),
        ));
    }
    Ok(outcome)
}

/// One end does something; true if anything moved.
fn step(
    ends: &mut [End; 2],
    lines: &mut [Line; 2],
    at: usize,
    rng: &mut Rng,
    outcome: &mut Outcome,
) -> Result<bool, Violation> {
    let now = Instant::ZERO;
    let peer_gone = ends[1 - at].machine.is_finished() && ends[1 - at].machine.error().is_some();
    let end = &mut ends[at];
    let mut moved = false;
    let rest = &end.writes[end.written..];
    let some = rest.len().min(rng.pick(&[1, 100, 10_000]));
    if some > 0 {
        if let Ok(n) = end.machine.write(now, &rest[..some]) {
            end.written += n;
            moved |= n > 0;
        }
    } else {
        let _ = end.machine.close_write(now);
    }
    if rng.chance(30) && end.machine.epoch() < 60 {
        // Misuse before prefaces are exchanged.
        let _ = end.machine.rekey();
    }
    let (mine, theirs) = if at == 0 { (0, 1) } else { (1, 0) };
    if end.machine.wants_bytes() {
        let bytes = lines[theirs].pull(rng);
        let handled = if !bytes.is_empty() {
            moved = true;
            end.machine.handle(now, Input::Bytes(&bytes))
        } else if lines[theirs].is_empty() && (lines[theirs].cut || peer_gone) {
            moved |= end.machine.error().is_none();
            end.machine.handle(now, Input::End)
        } else {
            Ok(())
        };
        if let Err(Error::Misuse(what)) = handled {
            return Err(Violation::new("the driver does nothing wrong", what));
        }
    }
    loop {
        match end.machine.poll(now) {
            Output::Transmit(bytes) => {
                moved = true;
                lines[mine].push(&bytes, rng);
            }
            Output::Event(event) => {
                moved = true;
                if let Event::Closed(how) = event {
                    if std::mem::replace(&mut end.told, true) {
                        return Err(Violation::new("an end is told once", format!("{how:?}")));
                    }
                    outcome.clean += u64::from(how.is_ok());
                    outcome.failed += u64::from(how.is_err());
                }
            }
            _ => break,
        }
    }
    if rng.chance(700) {
        let mut buffer = vec![0; rng.pick(&[1, 300, 70_000])];
        match end.machine.read(now, &mut buffer) {
            Ok(Read::Data(n)) => {
                moved = true;
                end.read.extend_from_slice(&buffer[..n]);
            }
            Ok(Read::End) => {
                moved |= !end.ended;
                end.ended = true;
            }
            Ok(Read::Pending) => {}
            Err(first) => {
                // Final, and it repeats.
                let again = end.machine.handle(now, Input::Time);
                if again != Err(first.clone()) {
                    return Err(Violation::new(
                        "an error repeats",
                        format!("{first} {again:?}"),
                    ));
                }
            }
        }
    } else {
        moved |= end.machine.is_readable() && !end.ended && end.machine.error().is_none();
    }
    Ok(moved)
}
