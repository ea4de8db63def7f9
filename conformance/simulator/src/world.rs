//! Virtual time, the network and everybody in it.

use crate::actor::{Actor, Carrier, Kind};
use crate::app::App;
use crate::attack::furnish;
use crate::audit::Audit;
use crate::faults::Loss;
use crate::local::Errand;
use crate::network::{Message, Network};
use crate::rng::Rng;
use crate::scenario::{Leave, Plan, Scenario};
use crate::service::Service;
use crate::service::call::Response;
use crate::store::{self, Store};
use crate::streams::{Block, Stream};
use crate::{Violation, watch};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use stillwire_core::aznet::{ConnectionId, Dialer, Listener};
use stillwire_core::store::{Failure, Reply, RequestId, Role};
use stillwire_core::{Instant, UnixTime};
use stillwire_local::MemoryStore;

/// When the world begins.
pub(crate) const EPOCH: u64 = 1_795_000_000;
/// Events at one instant, past which somebody is spinning.
const SPIN: u32 = 20_000;

pub(crate) enum Event {
    Wake(usize, u64),
    Arrive(Box<Message>),
    Answer {
        flight: u64,
        step: u32,
        answer: Result<Response, Loss>,
    },
    Reply {
        actor: usize,
        id: RequestId,
        result: Result<Reply, Failure>,
        block: Option<Block>,
    },
    Proceed(u64),
    Errand(Box<Errand>),
    Back(u64, Result<Reply, Failure>),
    Expire(u64),
    Dial(usize),
    Attack(usize),
    Jump(usize),
    /// A host's calendar is set; its monotonic clock knows nothing of it.
    Turn(usize, i64),
    Leave(usize, Leave),
    Poke(usize),
    Ended(ConnectionId, bool),
    Confirmed(ConnectionId),
}

pub(crate) struct Scheduled(u64, u64, Event);

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// How one dial went.
#[derive(Debug, Default)]
pub(crate) struct Dial {
    pub(crate) id: Option<ConnectionId>,
    /// The dialer has given its outcome.
    pub(crate) over: bool,
}

pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) rng: Rng,
    pub(crate) audit: Audit,
    pub(crate) service: Service,
    pub(crate) now: u64,
    pub(crate) actors: Vec<Option<Actor>>,
    pub(crate) streams: BTreeMap<ConnectionId, [Stream; 2]>,
    pub(crate) dials: Vec<Dial>,
    pub(crate) bindings: BTreeMap<ConnectionId, [u8; 32]>,
    pub(crate) accepted: BTreeSet<ConnectionId>,
    /// When a session's first place was made, and its last one removed.
    pub(crate) made: Option<u64>,
    pub(crate) gone: Option<u64>,
    /// Since when the listener is alone.
    pub(crate) alone: Option<u64>,
    /// Connections whose dialer has shown that it holds the key.
    pub(crate) confirmed: u32,
    /// Sessions that are being made.
    pub(crate) undecided: BTreeSet<String>,
    /// Some session may have been made by a request that was given up long before.
    pub(crate) strays: bool,
    pub(crate) ready: bool,
    pub(crate) listener_failed: bool,
    pub(crate) attacks_left: usize,
    pub(crate) bootstrap_by_listener: bool,
    pub(crate) stopping: bool,
    /// Other people's places, and what is in them.
    pub(crate) foreign: Vec<(String, String)>,
    /// The payload of each dialer's handshake, as an eavesdropper on the container has it.
    pub(crate) seen: BTreeMap<usize, String>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    clocks: Vec<u64>,
    pub(crate) network: Network,
    pub(crate) store: Store,
    pub(crate) memory: MemoryStore,
    same_instant: u32,
    /// How often a calendar was set back.
    pub(crate) set_back: usize,
    /// When the listener's calendar was set last.
    pub(crate) turned: Option<u64>,
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool, of: fn(&mut Rng) -> Scenario) -> Self {
        let mut rng = Rng::new(seed);
        let scenario = of(&mut rng);
        let mut service = store::service(&scenario, &mut rng);
        let foreign = furnish(&mut service, scenario.shared_bootstrap);
        let store = Store::listener(&scenario);
        let hosts = scenario.dials.len() + 1;
        let clocks = (0..hosts).map(|_| rng.below(1 << 40)).collect();
        let mut world = Self {
            audit: Audit::new(trace),
            service,
            now: 0,
            actors: Vec::new(),
            streams: BTreeMap::new(),
            dials: scenario.dials.iter().map(|_| Dial::default()).collect(),
            bindings: BTreeMap::new(),
            accepted: BTreeSet::new(),
            undecided: BTreeSet::new(),
            made: None,
            gone: None,
            alone: None,
            confirmed: 0,
            strays: false,
            ready: false,
            listener_failed: false,
            attacks_left: scenario.attacks.len(),
            bootstrap_by_listener: false,
            stopping: false,
            foreign,
            seen: BTreeMap::new(),
            queue: BinaryHeap::new(),
            order: 0,
            clocks,
            network: Network::default(),
            store,
            memory: MemoryStore::new(),
            same_instant: 0,
            set_back: 0,
            turned: None,
            scenario,
            rng,
        };
        world.begin();
        // Drawn apart: what else a seed decides stays as it was.
        for (when, host, skew) in world.scenario.turns(&mut Rng::new(!seed)) {
            world.at(when, Event::Turn(host, skew));
        }
        world
    }

    fn begin(&mut self) {
        let listener = Listener::new(
            self.scenario.config.clone(),
            self.scenario.profile.clone(),
            self.scenario.trust.listener(),
            self.rng.bytes(),
            self.time(0),
        );
        let carrier = if self.scenario.memory {
            Carrier::Memory(self.memory.clone(), None)
        } else {
            Carrier::Store(self.store.clone())
        };
        self.enter(Actor::new(0, Kind::Listener(Box::new(listener)), carrier));
        for dial in 0..self.scenario.dials.len() {
            self.at(self.scenario.dials[dial].0, Event::Dial(dial));
        }
        for attack in 0..self.scenario.attacks.len() {
            self.at(self.scenario.attacks[attack].0, Event::Attack(attack));
        }
        for jump in 0..self.scenario.jumps.len() {
            self.at(self.scenario.jumps[jump].0, Event::Jump(jump));
        }
    }

    /// The monotonic clock of a host.
    pub(crate) fn time(&self, host: usize) -> Instant {
        Instant::from_micros(self.now + self.clocks[host])
    }

    /// The world's instant for one of a host's clock.
    pub(crate) fn world_time(&self, host: usize, time: Instant) -> u64 {
        time.as_micros()
            .saturating_sub(self.clocks[host])
            .max(self.now)
    }

    /// The calendar of a host.
    pub(crate) fn unix(&self, host: usize) -> UnixTime {
        let secs = EPOCH.saturating_add_signed(self.scenario.skews[host]);
        UnixTime::from_millis(secs * 1000 + self.now / 1000)
    }

    pub(crate) fn at(&mut self, when: u64, event: Event) {
        self.order += 1;
        self.queue
            .push(Reverse(Scheduled(when.max(self.now), self.order, event)));
    }

    /// Lets a new actor in.
    pub(crate) fn enter(&mut self, actor: Actor) -> usize {
        self.actors.push(Some(actor));
        let index = self.actors.len() - 1;
        self.at(self.now, Event::Wake(index, 0));
        index
    }

    /// Runs until everybody is done.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        while !self.is_over()? {
            let Some(Reverse(Scheduled(when, _, event))) = self.queue.pop() else {
                return Err(Violation::new("every run ends", self.unfinished()));
            };
            self.same_instant = if when == self.now {
                self.same_instant + 1
            } else {
                0
            };
            if self.same_instant > SPIN {
                return Err(Violation::new("nobody spins", self.unfinished()));
            }
            self.now = when;
            if self.now > self.scenario.end {
                return Err(Violation::new("every run ends", self.unfinished()));
            }
            self.dispatch(event)?;
        }
        watch::afterwards(self)
    }

    fn dispatch(&mut self, event: Event) -> Result<(), Violation> {
        self.audit.note(&[self.now]);
        match event {
            Event::Wake(actor, generation) => self.wake(actor, generation),
            Event::Arrive(message) => self.arrive(*message),
            Event::Answer {
                flight,
                step,
                answer,
            } => self.answer(flight, step, answer),
            Event::Proceed(flight) => self.proceed(flight),
            Event::Reply {
                actor,
                id,
                result,
                block,
            } => self.reply(actor, id, result, block.as_ref()),
            Event::Expire(flight) => self.expire(flight),
            Event::Errand(errand) => {
                self.perform(*errand);
                Ok(())
            }
            Event::Back(errand, result) => self.errand_back(errand, result),
            Event::Dial(dial) => self.dial(dial),
            Event::Attack(attack) => {
                self.attacks_left -= 1;
                let attack = self.scenario.attacks[attack].1;
                self.audit.line(self.now, || format!("attack {attack:?}"));
                crate::attack::attack(self, attack);
                Ok(())
            }
            Event::Jump(jump) => {
                let (_, host, by) = self.scenario.jumps[jump];
                self.clocks[host] += by;
                self.audit
                    .line(self.now, || format!("host {host} jumps by {by} µs"));
                for actor in 0..self.actors.len() {
                    if self.actors[actor].as_ref().is_some_and(|a| a.host == host) {
                        self.pass_time(actor)?;
                    }
                }
                Ok(())
            }
            Event::Turn(host, skew) => {
                let by = skew - std::mem::replace(&mut self.scenario.skews[host], skew);
                self.set_back += usize::from(by < 0);
                self.turned = (host == 0).then_some(self.now).or(self.turned);
                self.audit.line(self.now, || {
                    format!("the calendar of host {host} is set by {by} s")
                });
                Ok(())
            }
            Event::Leave(actor, how) => self.leave(actor, how),
            Event::Poke(actor) => self.pass_time(actor),
            Event::Ended(id, clean) => self.ended(id, clean),
            Event::Confirmed(id) => self.confirmed(id),
        }
    }

    fn dial(&mut self, dial: usize) -> Result<(), Violation> {
        if self.listener_failed {
            self.dials[dial].over = true;
            return Ok(());
        }
        if !self.ready {
            self.at(self.now + 100_000, Event::Dial(dial));
            return Ok(());
        }
        let carrier = if self.scenario.memory {
            Carrier::Memory(self.memory.clone(), None)
        } else {
            Carrier::Store(self.store.guest(&self.scenario, self.unix(0))?)
        };
        let host = dial + 1;
        let machine = Dialer::new(
            self.scenario.config.clone(),
            self.scenario.profile.clone(),
            &self.scenario.trust.dialer(),
            self.rng.bytes(),
            self.time(host),
        );
        let id = machine.id();
        self.dials[dial].id = Some(id);
        self.streams(id);
        self.enter(Actor::new(host, Kind::Dialer(Box::new(machine)), carrier));
        Ok(())
    }

    /// The plan of a connection's application.
    pub(crate) fn app(&self, id: ConnectionId, role: Role) -> App {
        let dial = self.dials.iter().position(|dial| dial.id == Some(id));
        let plan = match (dial.and_then(|dial| self.scenario.dials.get(dial)), role) {
            (Some((_, plan, _)), Role::Dialer) | (Some((_, _, plan)), Role::Listener) => {
                plan.clone()
            }
            (None, _) => Plan::idle(),
        };
        App::new(plan, self.now)
    }

    /// Both directions of a connection, the dialer's first. An echo sends the same bytes back.
    pub(crate) fn streams(&mut self, id: ConnectionId) -> &mut [Stream; 2] {
        let (rng, dials, plans) = (&mut self.rng, &self.dials, &self.scenario.dials);
        self.streams.entry(id).or_insert_with(|| {
            let mut planned = dials.iter().zip(plans);
            let echo = planned.any(|(dial, (_, _, b))| dial.id == Some(id) && b.echo);
            let key = rng.next();
            let back = if echo { key } else { rng.next() };
            [Stream::new(key), Stream::new(back)]
        })
    }
}
