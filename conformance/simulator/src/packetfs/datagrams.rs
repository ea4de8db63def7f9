//! Messages both ways over a line that loses, doubles, reorders and alters datagrams, and on which
//! somebody sends prefaces of their own.

use super::{Outcome, config, psk, seed};
use crate::Violation;
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use stillwire_core::packetfs::Datagrams;
use stillwire_core::packetfs::datagrams::Event;
use stillwire_core::{Datagrammed, Input, Instant, Machine, Messages, Output, Received};

/// Messages of each end.
const MESSAGES: u32 = 150;

/// Longer than any run takes, in virtual microseconds.
const FOREVER: u64 = 600_000_000;

struct Line {
    loss: u32,
    twice: u32,
    altered: u32,
    forged: u32,
    delay: u64,
}

struct End {
    machine: Datagrams,
    /// When it writes next.
    writes: u64,
    sent: u32,
    got: BTreeSet<u32>,
    timer: Option<u64>,
    established: bool,
}

pub(super) fn run(mut rng: Rng) -> Result<Outcome, Violation> {
    let line = Line {
        loss: rng.pick(&[0, 50, 300]),
        twice: rng.pick(&[0, 100]),
        altered: rng.pick(&[0, 100]),
        forged: rng.pick(&[0, 300]),
        delay: rng.pick(&[1, 50_000, 400_000]),
    };
    let settings = config(&mut rng);
    let zero = Instant::ZERO;
    let one = Datagrams::initiator(settings.clone(), psk(), seed(&mut rng), zero);
    let other = Datagrams::responder(settings, psk(), seed(&mut rng), zero);
    let mut ends = [one, other].map(|machine| End {
        machine,
        writes: 0,
        sent: 0,
        got: BTreeSet::new(),
        timer: Some(0),
        established: false,
    });
    let mut outcome = Outcome::default();
    // Arrivals by time; the number keeps those of one instant apart.
    let mut flying: BTreeMap<(u64, u64), (usize, Vec<u8>)> = BTreeMap::new();
    let mut sealed: HashMap<(usize, [u8; 15]), Vec<u8>> = HashMap::new();
    let mut count = 0;
    loop {
        let arrival = flying.keys().next().map(|(at, _)| *at);
        let timers = ends.iter().filter_map(|end| end.timer);
        let writes = ends
            .iter()
            .filter(|end| end.sent < MESSAGES)
            .map(|end| end.writes);
        let Some(now) = arrival.into_iter().chain(timers).chain(writes).min() else {
            break;
        };
        if now > FOREVER {
            return Err(Violation::new(
                "a session comes to its end",
                format!("{now}"),
            ));
        }
        let instant = Instant::from_micros(now);
        while let Some(entry) = flying.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to, datagram) = entry.remove();
            let handled = ends[to].machine.handle(instant, Input::Datagram(&datagram));
            if let Err(error) = handled
                && error.class().is_some()
            {
                return Err(Violation::new("a datagram ends nothing", error.to_string()));
            }
        }
        for at in 0..2 {
            write(&mut ends[at], at, now, &mut rng);
            for datagram in settle(&mut ends[at], instant, &mut outcome) {
                check_nonce(&mut sealed, at, &datagram)?;
                if rng.chance(line.forged)
                    && let Some(forged) = forge(&datagram, &mut rng)
                {
                    outcome.faults += 1;
                    count += 1;
                    flying.insert((now + 1, count), (1 - at, forged));
                }
                let copies = 1 + u64::from(rng.chance(line.twice));
                for _ in 0..copies {
                    let mut datagram = datagram.clone();
                    outcome.faults += copies - 1;
                    if rng.chance(line.loss) {
                        outcome.faults += 1;
                        continue;
                    }
                    if rng.chance(line.altered) {
                        outcome.faults += 1;
                        let bit = rng.below(datagram.len() as u64 * 8) as usize;
                        datagram[bit / 8] ^= 1 << (bit % 8);
                    }
                    count += 1;
                    let at_peer = now + 1 + rng.below(line.delay);
                    flying.insert((at_peer, count), (1 - at, datagram));
                }
            }
            take(&mut ends, at, instant)?;
        }
    }
    let gentle = line.loss <= 50;
    for (at, end) in ends.iter().enumerate() {
        let arrived = end.got.len() as u64;
        outcome.delivered += arrived;
        outcome.epochs += u64::from(end.machine.epoch());
        let counters = end.machine.counters();
        // Reordering costs what falls out of the window or of the old epoch's time, and buffers of
        // a thousand bytes overflow: nothing else is lost on a gentle line.
        let lost = counters.overflowed + counters.replayed + counters.refused;
        let expected = u64::from(ends[1 - at].sent) * 8 / 10;
        if gentle && end.established && arrived + lost < expected.saturating_sub(10) {
            let detail = format!("{arrived} of {}, {counters:?}", ends[1 - at].sent);
            return Err(Violation::new("most of what is sent arrives", detail));
        }
        if gentle && !end.established {
            return Err(Violation::new(
                "a gentle line lets a session begin",
                format!("{at}"),
            ));
        }
    }
    Ok(outcome)
}

/// A sound preface that is nobody's, in front of a true one.
fn forge(datagram: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut forged = datagram.starts_with(b"PFSO").then(|| datagram.to_vec())?;
    let salt = forged.get_mut(8..40)?;
    salt.fill_with(|| rng.below(256) as u8);
    Some(forged)
}

fn message(from: usize, number: u32) -> Vec<u8> {
    let mut out = vec![from as u8; 5 + (number % 700) as usize];
    out[1..5].copy_from_slice(&number.to_be_bytes());
    out
}

fn write(end: &mut End, at: usize, now: u64, rng: &mut Rng) {
    let instant = Instant::from_micros(now);
    if end.sent == MESSAGES || end.writes > now {
        return;
    }
    end.writes = now + 1 + rng.below(20_000);
    if !end.established {
        // The handshake gives up by itself; there is nothing to wait for then.
        if end.timer.is_none() {
            end.sent = MESSAGES;
        }
        return;
    }
    match end.machine.send(instant, &message(at, end.sent)) {
        Ok(true) => end.sent += 1,
        Ok(false) => {}
        Err(_) => end.sent = MESSAGES,
    }
    if end.sent == MESSAGES {
        let _ = end.machine.close(instant);
    } else if rng.chance(10) {
        // Misuse while the epoch before is still announced.
        let _ = end.machine.rekey();
    }
}

/// What an end transmits.
fn settle(end: &mut End, now: Instant, outcome: &mut Outcome) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        match end.machine.poll(now) {
            Output::Transmit(datagram) => out.push(datagram.to_vec()),
            Output::Event(Event::Established) => end.established = true,
            Output::Event(Event::Closed(Ok(()))) => outcome.clean += 1,
            Output::Event(Event::Closed(Err(_))) => outcome.failed += 1,
            Output::Event(_) => {}
            Output::Wait(until) => {
                end.timer = until.map(|until| until.as_micros().max(now.as_micros() + 1));
                return out;
            }
            _ => unreachable!("a session asks for nothing else"),
        }
    }
}

/// What the application of an end receives was sent, whole, and comes once.
fn take(ends: &mut [End; 2], at: usize, now: Instant) -> Result<(), Violation> {
    while let Ok(Received::Message(found)) = ends[at].machine.receive(now) {
        let number = found.get(1..5).and_then(|number| number.try_into().ok());
        let number = u32::from_be_bytes(number.unwrap_or_default());
        if found[..] != message(1 - at, number) || number >= ends[1 - at].sent {
            return Err(Violation::new(
                "only what was sent arrives",
                format!("{number}"),
            ));
        }
        if !ends[at].got.insert(number) {
            return Err(Violation::new("nothing arrives twice", format!("{number}")));
        }
    }
    Ok(())
}

/// One key and sequence seal one record. Sixty-four epochs share their flags, and no run has more.
fn check_nonce(
    sealed: &mut HashMap<(usize, [u8; 15]), Vec<u8>>,
    from: usize,
    datagram: &[u8],
) -> Result<(), Violation> {
    if !datagram.starts_with(b"PF") || datagram.starts_with(b"PFSO") {
        return Ok(());
    }
    let Some(mut header) = datagram.first_chunk::<15>().copied() else {
        return Ok(());
    };
    header[10..14].fill(0);
    match sealed.insert((from, header), datagram.to_vec()) {
        Some(before) if before != datagram => {
            let detail = format!("{header:02x?}");
            Err(Violation::new("no nonce seals twice", detail))
        }
        _ => Ok(()),
    }
}
