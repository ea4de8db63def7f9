//! OpenZiti connections over a stream that is split anywhere and that somebody may sit on: bytes
//! changed, cut off and reset; whole messages swapped, dropped, repeated, replayed and reflected.
//! Both dialects, every way to change keys, plain and hardened, with keys that are fresh or come
//! through a controller.
//!
//! What is heard is the start of what was said. An end is told once and after everything. An error is
//! final and repeats. No two messages of a run share keystream. Without an attack both ends close
//! cleanly; with one, the end it strikes does not. A controller that swaps keys is seen.

mod end;
mod line;

use crate::Violation;
use crate::rng::Rng;
use end::End;
use line::{Attack, Line};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use stillwire_core::crypto::ed25519::SigningKey;
use stillwire_core::crypto::{Rng as Seeded, Secret};
use stillwire_core::ziti::{
    Config, Connection, Dialect, Exchange, Identity, KeyPair, Rekeying, Role,
};
use stillwire_core::{Channel, Input, Instant, Machine, Streamed};

/// What came of seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that arrived.
    pub delivered: u64,
    /// Messages whose keystream was compared with that of all others.
    pub sealed: u64,
    /// Attacks that struck.
    pub attacks: u64,
    /// Those among them that struck what the listener says.
    pub backwards: u64,
    /// Controllers that swapped the keys.
    pub swapped: u64,
    /// Ends that closed cleanly.
    pub clean: u64,
    /// Ends that met an error.
    pub failed: u64,
}

/// Runs one seed; an error is the invariant that did not hold.
pub fn run(seed: u64) -> Result<Outcome, Violation> {
    catch_unwind(AssertUnwindSafe(|| scene(&mut Rng::new(seed)))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Violation::new("nothing panics", text.unwrap_or("?")))
    })
}

/// What the seed decides about both ends.
struct Plan {
    config: Config,
    hardened: bool,
    /// Keys come through a controller; [`true`]: one that swaps them.
    controller: Option<bool>,
}

impl Plan {
    fn draw(rng: &mut Rng) -> Self {
        let dialect = rng.pick(&[Dialect::Sodium, Dialect::NoRekey]);
        let rekeying = match dialect {
            // Who never changes keys is not asked to.
            Dialect::NoRekey => Rekeying::Never,
            Dialect::Sodium => {
                rng.pick(&[Rekeying::Never, Rekeying::AtWrap, Rekeying::EveryMessage])
            }
        };
        Self {
            config: Config {
                dialect,
                rekeying,
                message: rng.pick(&[1, 50, 65_536]),
                largest_message: rng.pick(&[2_000, 1 << 20]),
                receive_buffer: rng.pick(&[1_000, 1 << 20]),
                send_buffer: rng.pick(&[1_000, 1 << 20]),
                ..Config::default()
            },
            hardened: rng.chance(400),
            controller: rng.chance(400).then(|| rng.chance(300)),
        }
    }

    /// Bytes that each end says before its first message.
    fn handshake(&self) -> usize {
        let key = if self.controller.is_none() { 32 } else { 0 };
        let signature = if self.hardened { 4 + 64 } else { 0 };
        key + signature + 4 + 24
    }

    fn ends(&self, rng: &mut Rng) -> [Connection; 2] {
        let pair = |seed: [u8; 32]| KeyPair::from_secret(Secret::from(seed));
        let seeds: [[u8; 32]; 3] = [rng.bytes(), rng.bytes(), rng.bytes()];
        let publics = seeds.map(|seed| pair(seed).public());
        let signer = |seed| SigningKey::new(&Secret::from([seed; 32]));
        [(Role::Dialer, 0, 1), (Role::Listener, 1, 0)].map(|(role, own, peer)| {
            let exchange = match self.controller {
                None => Exchange::Fresh,
                Some(swaps) => Exchange::Controller {
                    own: pair(seeds[own]),
                    // The third pair is the controller's own.
                    peer: publics[if swaps { 2 } else { peer }],
                },
            };
            let identity = self.hardened.then(|| {
                let pinned = [signer(peer as u8 + 1).public()];
                Identity::new(signer(own as u8 + 1), &pinned).expect("a real key")
            });
            let seed = Seeded::from_seed(rng.bytes());
            let config = self.config.clone();
            Connection::new(role, exchange, identity, config, seed, Instant::ZERO)
                .expect("real keys")
        })
    }
}

fn scene(rng: &mut Rng) -> Result<Outcome, Violation> {
    let plan = Plan::draw(rng);
    let in_messages = rng.chance(500);
    let [one, other] = plan.ends(rng);
    let mut ends = [
        End::new(one, in_messages, rng),
        End::new(other, in_messages, rng),
    ];
    let attack = rng.chance(600).then(|| Attack::draw(rng));
    // By the index of the end that speaks; an attack strikes what one of them says.
    let struck = rng.pick(&[0, 1]);
    let line = |at| Line::new(plan.handshake(), attack.filter(|_| at == struck));
    let mut lines = [line(0), line(1)];
    let mut samples = BTreeSet::new();
    let (mut now, mut idle) = (Instant::ZERO, 0);
    while idle < 4 {
        idle += 1;
        for at in 0..2 {
            let gone = ends[1 - at].has_sent_all();
            let [first, second] = &mut lines;
            let mine = if at == 0 {
                [first, second]
            } else {
                [second, first]
            };
            if ends[at].step(now, mine, gone, &mut samples, rng)? {
                idle = 0;
            }
            let (ours, theirs) = (&ends[at], &ends[1 - at]);
            if !ours.heard_a_prefix_of(theirs) {
                let what = format!("end {at}, {attack:?}");
                return Err(Violation::new("what is heard was said", what));
            }
            if ours.ended && !ours.heard_all_of(theirs) {
                let what = format!("end {at}, {attack:?}");
                return Err(Violation::new("an end is told after everything", what));
            }
        }
    }
    // Who still waits for the handshake does not wait for ever.
    now = now.after(Duration::from_secs(60));
    for end in &mut ends {
        let expired = end.machine.handle(now, Input::Time);
        if !end.machine.is_established() && expired.is_ok() {
            return Err(Violation::new("a handshake has its deadline", "none"));
        }
    }
    let hit = lines[struck].hit;
    let attack = attack.map(|attack| (struck, attack));
    judge(&plan, &ends, hit, attack)?;
    let closed = |how| ends.iter().filter(|end| end.closed == Some(how)).count() as u64;
    Ok(Outcome {
        delivered: ends.iter().map(End::delivered).sum(),
        sealed: samples.len() as u64,
        attacks: u64::from(hit),
        backwards: u64::from(hit && struck == 1),
        swapped: u64::from(plan.controller == Some(true)),
        clean: closed(true),
        failed: ends
            .iter()
            .filter(|end| end.machine.error().is_some())
            .count() as u64,
    })
}

/// What must be true of a run that is over.
fn judge(
    plan: &Plan,
    ends: &[End; 2],
    hit: bool,
    attack: Option<(usize, Attack)>,
) -> Result<(), Violation> {
    let [dialer, listener] = ends;
    if plan.controller == Some(true) {
        // Nobody forwards here, as the controller could; the ends cannot read each other.
        if ends.iter().any(|end| end.ended || end.delivered() > 0) {
            return Err(Violation::new(
                "swapped keys carry nothing",
                "something came",
            ));
        }
        if plan.hardened && ends.iter().any(|end| end.machine.is_established()) {
            return Err(Violation::new(
                "a signature covers both keys",
                "established",
            ));
        }
        let transcripts = [&dialer.machine, &listener.machine].map(Connection::transcript);
        if transcripts[0].is_some() && transcripts[0] == transcripts[1] {
            return Err(Violation::new("the transcript tells swapped keys", "equal"));
        }
        return Ok(());
    }
    if let Some((struck, attack)) = attack.filter(|_| hit) {
        let (speaker, victim) = (&ends[struck], &ends[1 - struck]);
        // The final message again, when nobody listens any more.
        let behind = matches!(attack, Attack::Repeat(_));
        if victim.ended && !(behind && victim.heard_all_of(speaker)) {
            return Err(Violation::new(
                "an attack is seen",
                format!("{attack:?} on {struck}"),
            ));
        }
        return Ok(());
    }
    for (end, peer) in [(dialer, listener), (listener, dialer)] {
        if end.closed != Some(true) || !end.ended || !end.heard_all_of(peer) {
            let what = format!("{:?} {attack:?}", end.machine.error());
            return Err(Violation::new(
                "without an attack both ends close cleanly",
                what,
            ));
        }
    }
    Ok(())
}
