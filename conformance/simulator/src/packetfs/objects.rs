//! Objects by reference to a blob that is damaged at the receiver, over a stream in any split.

use super::line::{Attack, Line};
use super::{Outcome, config, psk, seed};
use crate::Violation;
use crate::rng::Rng;
use stillwire_core::packetfs::Config;
use stillwire_core::packetfs::encoder::{Encoder, Index};
use stillwire_core::packetfs::object::{Event, Receiver, Role, Sender};
use stillwire_core::{Input, Instant, Machine, Output};

const BLOB: usize = 400_000;
const NOW: Instant = Instant::ZERO;

fn object(blob: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..rng.below(12) {
        let length = rng.range(1, 30_000) as usize;
        let start = rng.below((BLOB - length) as u64) as usize;
        let from = out.len();
        out.extend_from_slice(&blob[start..start + length]);
        let value = rng.next() as u8;
        match rng.below(4) {
            0 => out[from..].iter_mut().for_each(|byte| *byte ^= value),
            1 => out[from..].fill_with(|| rng.next() as u8),
            _ => {}
        }
    }
    out
}

pub(super) fn run(mut rng: Rng) -> Result<Outcome, Violation> {
    let settings = Config {
        receive_buffer: 1 << 20,
        ..config(&mut rng)
    };
    let mut blob = vec![0; BLOB];
    seed(&mut rng).fill(&mut blob);
    let index = Index::build(&blob, rng.pick(&[1_000, 1 << 20])).expect("memory can be read");
    let mut damaged = blob.clone();
    for _ in 0..rng.pick(&[0, 0, 1, 5]) {
        damaged[rng.below(BLOB as u64) as usize] ^= 0x10;
    }
    // What the sender says is attacked, or the little that the receiver says.
    let (struck, reach) = rng.pick(&[(0, 3_000), (1, 200)]);
    let attack = rng.chance(300).then(|| {
        let kinds = [
            Attack::Flip,
            Attack::Cut,
            Attack::Drop,
            Attack::Repeat,
            Attack::Insert,
        ];
        (rng.below(reach), rng.pick(&kinds))
    });
    let mut lines = [0, 1].map(|at| Line::new(attack.filter(|_| at == struck)));
    let fits = "the limit is large enough";
    let first = seed(&mut rng);
    let mut sender = Sender::new(Role::Initiator, settings.clone(), psk(), first, NOW).expect(fits);
    let other = seed(&mut rng);
    let receiver = Receiver::new(Role::Responder, settings, psk(), other, damaged, NOW);
    let mut receiver = receiver.expect(fits);
    let mut outcome = Outcome::default();
    for _ in 0..rng.range(1, 3) {
        let object = object(&blob, &mut rng);
        let mut encoder = Encoder::new(&index, &blob, 64 << 20);
        encoder.push(&object).expect("it fits");
        let encoded = encoder.finish().expect("it fits");
        if sender.start(encoded.blueprint, object.clone()).is_err() {
            break;
        }
        let mut found = vec![None; object.len().div_ceil(65_536)];
        let mut idle = 0;
        while idle < 3 {
            idle += 1;
            let mut moved = carry(&mut sender, &mut lines, 0, &mut rng, &mut outcome);
            moved |= carry(&mut receiver, &mut lines, 1, &mut rng, &mut outcome);
            while let Ok(Some(window)) = receiver.window() {
                moved = true;
                let slot = &mut found[(window.offset / 65_536) as usize];
                if slot.replace(window.bytes).is_some() {
                    return Err(Violation::new("a window comes once", format!("{slot:?}")));
                }
            }
            if moved {
                idle = 0;
            }
        }
        for (window, expected) in found.iter().zip(object.chunks(65_536)) {
            match window {
                Some(window) if window[..] == *expected => {
                    outcome.delivered += window.len() as u64;
                }
                None if lines[struck].hit => {}
                _ => {
                    let detail = format!("{:?} {:?}", sender.error(), receiver.error());
                    return Err(Violation::new("an object arrives as it is", detail));
                }
            }
        }
        if !lines[struck].hit && sender.is_sending() {
            return Err(Violation::new("an object comes to its end", "it did not"));
        }
    }
    let hit = lines[struck].hit;
    outcome.faults = u64::from(hit) + sender.repaired();
    outcome.backwards = u64::from(hit && struck == 1);
    Ok(outcome)
}

/// Carries bytes from and to one end; true if anything moved.
fn carry<M: Machine<Event = Event>>(
    end: &mut M,
    lines: &mut [Line; 2],
    at: usize,
    rng: &mut Rng,
    outcome: &mut Outcome,
) -> bool {
    let bytes = lines[1 - at].pull(rng);
    let mut moved = !bytes.is_empty();
    // An error is final, repeats, and comes as an event.
    let _ = end.handle(NOW, Input::Bytes(&bytes));
    loop {
        match end.poll(NOW) {
            Output::Transmit(bytes) => lines[at].push(&bytes, rng),
            Output::Event(Event::Complete) => outcome.clean += 1,
            Output::Event(Event::Closed(Err(_))) => outcome.failed += 1,
            Output::Event(_) => {}
            _ => return moved,
        }
        moved = true;
    }
}
