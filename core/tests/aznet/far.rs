//! A carrier some way off, in virtual time: what a round trip takes and costs.

use crate::world::{End, World};
use std::collections::BTreeMap;
use std::time::Duration;
use stillwire_core::aznet::Config;
use stillwire_core::store::{Operation, Request};
use stillwire_core::{Channel, Input, Instant, Machine, Output, Read};

const ROUNDS: u32 = 200;
const BALL: [u8; 1024] = [7; 1024];

enum Happening {
    /// Time for this end to be polled, unless it has been since.
    Due(usize),
    /// A request reaches the store.
    Arrive(usize, Request),
    Answer(
        usize,
        Request,
        Result<stillwire_core::store::Reply, stillwire_core::store::Failure>,
    ),
}

/// A round, as it came out.
#[derive(Debug)]
struct Figures {
    /// Milliseconds, the mean.
    round: f64,
    /// Reads of both sides, for one round.
    looks: f64,
}

struct Far {
    world: World,
    ends: [End; 2],
    queue: BTreeMap<(Instant, u64), Happening>,
    number: u64,
    /// One way to the store; the way back takes no time, as in the benchmark's proxy.
    way: Duration,
    random: u64,
    looks: u32,
    /// The timer that counts, for each end.
    timers: [u64; 2],
}

impl Far {
    fn new(way: Duration, seed: u64) -> Self {
        let mut world = World::new(Config::default());
        let (dialer, listener) = world.dial(Config::default()).unwrap();
        Self {
            world,
            ends: [dialer, listener],
            queue: BTreeMap::new(),
            number: 0,
            way,
            random: seed | 1,
            looks: 0,
            timers: [0; 2],
        }
    }

    /// What the service and the timers add: up to `most` microseconds.
    fn jitter(&mut self, most: u64) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Duration::from_micros(self.random % most)
    }

    fn at(&mut self, at: Instant, happening: Happening) {
        self.number += 1;
        self.queue.insert((at, self.number), happening);
    }

    fn poll(&mut self, who: usize) {
        loop {
            let now = self.world.now;
            match self.ends[who].conn.poll(now) {
                Output::Store(request) => {
                    self.looks += u32::from(matches!(request.operation, Operation::Read { .. }));
                    let service = self.jitter(1_000);
                    let arrives = now.after(self.way + service);
                    self.at(arrives, Happening::Arrive(who, request));
                }
                Output::Event(_) => {}
                Output::Wait(Some(next)) => {
                    let late = self.jitter(1_000);
                    self.at(next.max(now).after(late), Happening::Due(who));
                    self.timers[who] = self.number;
                    return;
                }
                Output::Wait(None) => return,
                _ => unreachable!(),
            }
        }
    }

    fn ping_pong(mut self) -> Figures {
        let begun = self.world.now;
        let mut got = [0_usize; 2];
        let mut rounds = 0;
        self.ends[0].conn.write(begun, &BALL).unwrap();
        self.poll(0);
        self.poll(1);
        let mut counted = (begun, 0);
        while rounds < ROUNDS {
            let ((at, number), happening) = self.queue.pop_first().unwrap();
            self.world.now = self.world.now.max(at);
            let now = self.world.now;
            let who = match happening {
                Happening::Due(who) if self.timers[who] != number => continue,
                Happening::Due(who) => who,
                Happening::Arrive(who, request) => {
                    let end = &mut self.ends[who];
                    let place = (end.conn.id(), end.conn.role(), &mut end.cursor);
                    let result = self.world.store.perform(Some(place), &request);
                    let service = self.jitter(1_500);
                    self.at(now.after(service), Happening::Answer(who, request, result));
                    continue;
                }
                Happening::Answer(who, request, result) => {
                    let _ = self.ends[who]
                        .conn
                        .handle(now, Input::Reply(request.id, result));
                    who
                }
            };
            let mut buffer = [0; 4096];
            while let Read::Data(n) = self.ends[who].conn.read(now, &mut buffer).unwrap() {
                got[who] += n;
            }
            if got[who] == BALL.len() {
                got[who] = 0;
                rounds += u32::from(who == 0);
                if rounds == 10 && who == 0 {
                    counted = (now, self.looks);
                }
                self.ends[who].conn.write(now, &BALL).unwrap();
            }
            self.poll(who);
        }
        let rounds = f64::from(ROUNDS - 10);
        Figures {
            round: self.world.now.since(counted.0).as_secs_f64() * 1_000.0 / rounds,
            looks: f64::from(self.looks - counted.1) / rounds,
        }
    }
}

fn figures(way: u64) -> Figures {
    let runs: Vec<Figures> = (1..=8)
        .map(|seed| Far::new(Duration::from_millis(way), seed * 7919).ping_pong())
        .collect();
    let mean = |of: fn(&Figures) -> f64| runs.iter().map(of).sum::<f64>() / 8.0;
    Figures {
        round: mean(|run| run.round),
        looks: mean(|run| run.looks),
    }
}

#[test]
fn a_round_over_a_far_carrier_takes_little_more_than_three_trips() {
    // Two writes, and two looks that come half a trip late on the average.
    for way in [5, 20, 50] {
        let figures = figures(way);
        let trips = figures.round / (way as f64 + 1.25);
        assert!(
            trips > 2.0 && trips < 3.2 + 3.0 / way as f64,
            "{way} ms: {figures:?}"
        );
        assert!(figures.looks < 3.4, "{way} ms: {figures:?}");
    }
}
