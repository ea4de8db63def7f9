//! Machines in their hosts: fed, drained, and watched after every step.

use crate::Violation;
use crate::app::App;
use crate::scenario::Leave;
use crate::store::{Session, Store};
use crate::streams::Block;
use crate::world::{Event, World};
use stillwire_core::aznet::{
    Connection, ConnectionEvent, ConnectionId, Dialer, DialerEvent, Listener, ListenerEvent,
};
use stillwire_core::store::{Failure, FailureKind, Operation, Reply, Request, RequestId, Role};
use stillwire_core::{Channel, Error, Input, Instant, Machine, Output};
use stillwire_local::{MemorySession, MemoryStore};

/// Outputs drained in one go, past which a machine never waits.
const ENDLESS: u32 = 10_000;

/// How a machine's requests go out.
#[derive(Clone)]
pub(crate) enum Carrier {
    Store(Store),
    Session(Session),
    Memory(MemoryStore, Option<MemorySession>),
}

impl Carrier {
    /// The carrier of an established connection.
    pub(crate) fn session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<(&str, &str)>,
    ) -> Result<Self, Violation> {
        Ok(match self {
            Self::Store(store) => Self::Session(store.session(id, role, grants)?),
            Self::Memory(store, _) => Self::Memory(store.clone(), Some(store.session(id, role))),
            Self::Session(_) => self.clone(),
        })
    }
}

/// An established connection and who uses it.
pub(crate) struct Linked {
    pub(crate) connection: Connection,
    pub(crate) app: App,
    /// What its closing event said.
    pub(crate) closed: Option<Result<(), Error>>,
    pub(crate) closed_at: u64,
    /// The first error it showed: the only one it may ever show.
    pub(crate) error: Option<Error>,
    pub(crate) aborted: bool,
}

pub(crate) enum Kind {
    Dialer(Box<Dialer>),
    Listener(Box<Listener>),
    Connection(Box<Linked>),
    /// Its process is no more.
    Gone,
}

pub(crate) struct Actor {
    pub(crate) host: usize,
    pub(crate) kind: Kind,
    pub(crate) carrier: Carrier,
    /// Of the wake-up that counts; older ones are void.
    generation: u64,
}

impl Actor {
    pub(crate) fn new(host: usize, kind: Kind, carrier: Carrier) -> Self {
        Self {
            host,
            kind,
            carrier,
            generation: 0,
        }
    }

    pub(crate) fn connection(&self) -> Option<(ConnectionId, Role)> {
        match &self.kind {
            Kind::Connection(linked) => Some((linked.connection.id(), linked.connection.role())),
            _ => None,
        }
    }

    /// Nothing more is to come from it.
    pub(crate) fn is_done(&self) -> bool {
        match &self.kind {
            Kind::Connection(linked) => {
                let app = linked.aborted || linked.app.is_done();
                linked.connection.is_finished() && linked.closed.is_some() && app
            }
            Kind::Dialer(dialer) => dialer.is_finished(),
            Kind::Listener(listener) => listener.is_finished(),
            Kind::Gone => true,
        }
    }

    fn handle(&mut self, time: Instant, input: Input<'_>) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Connection(linked) => linked.connection.handle(time, input),
            Kind::Dialer(dialer) => dialer.handle(time, input),
            Kind::Listener(listener) => listener.handle(time, input),
            Kind::Gone => Ok(()),
        }
    }
}

/// A drained output, whatever machine it came from.
enum Drained {
    Store(Request),
    Connection(ConnectionEvent),
    Dialer(DialerEvent),
    Listener(ListenerEvent),
    Wait(Option<Instant>),
    Transmit,
}

fn drained<E>(output: Output<E>, event: impl FnOnce(E) -> Drained) -> Drained {
    match output {
        Output::Store(request) => Drained::Store(request),
        Output::Event(inner) => event(inner),
        Output::Wait(until) => Drained::Wait(until),
        _ => Drained::Transmit,
    }
}

impl Actor {
    fn poll(&mut self, time: Instant) -> Drained {
        match &mut self.kind {
            Kind::Connection(linked) => drained(linked.connection.poll(time), Drained::Connection),
            Kind::Dialer(dialer) => drained(dialer.poll(time), Drained::Dialer),
            Kind::Listener(listener) => drained(listener.poll(time), Drained::Listener),
            Kind::Gone => Drained::Wait(None),
        }
    }
}

impl World {
    /// A machine's deadline, or its application's, has come.
    pub(crate) fn wake(&mut self, index: usize, generation: u64) -> Result<(), Violation> {
        let waiting = self.actors[index].as_ref();
        if waiting.is_some_and(|actor| actor.generation == generation) {
            self.pass_time(index)?;
        }
        Ok(())
    }

    /// Lets time pass for an actor.
    pub(crate) fn pass_time(&mut self, index: usize) -> Result<(), Violation> {
        self.with(index, |world, _, actor| {
            let _ = actor.handle(world.time(actor.host), Input::Time);
            Ok(())
        })
    }

    /// The outcome of a try reaches its machine.
    pub(crate) fn reply(
        &mut self,
        index: usize,
        id: RequestId,
        result: Result<Reply, Failure>,
        block: Option<&Block>,
    ) -> Result<(), Violation> {
        self.with(index, |world, _, actor| {
            world.audit.note(&[4, id.0, u64::from(result.is_ok())]);
            world.audit.line(world.now, || match &result {
                Ok(Reply::Data { bytes, more }) => {
                    format!("actor {index} {id:?}: {} bytes, more: {more}", bytes.len())
                }
                Ok(Reply::Session { .. }) => format!("actor {index} {id:?}: session"),
                Ok(Reply::Handshakes { entries, next }) => {
                    let names: Vec<_> = entries.iter().map(|entry| &entry.name).collect();
                    format!("actor {index} {id:?}: {names:?}, next {next:?}")
                }
                other => format!("actor {index} {id:?}: {other:?}"),
            });
            if let (Ok(_), Some(block), Some((id, role))) = (&result, block, actor.connection()) {
                world.streams(id)[direction(role)].reported(block)?;
            }
            let before = matches!(&actor.kind, Kind::Connection(l) if l.error.is_none());
            match actor.handle(world.time(actor.host), Input::Reply(id, result)) {
                Err(Error::Misuse(what)) if before => {
                    Err(Violation::new("an honest reply is no misuse", what))
                }
                _ => Ok(()),
            }
        })
    }

    /// An application leaves.
    pub(crate) fn leave(&mut self, index: usize, how: Leave) -> Result<(), Violation> {
        self.with(index, |world, _, actor| {
            let time = world.time(actor.host);
            let Kind::Connection(linked) = &mut actor.kind else {
                return Ok(());
            };
            if linked.closed.is_some() {
                return Ok(());
            }
            world
                .audit
                .line(world.now, || format!("actor {index}: {how:?}"));
            match how {
                Leave::Abort => {
                    linked.aborted = true;
                    linked.connection.abort(time);
                }
                Leave::Vanish => {
                    let id = linked.connection.id();
                    if linked.connection.role() == Role::Listener {
                        world.at(world.now, Event::Ended(id, false));
                    }
                    actor.kind = Kind::Gone;
                    world.network.forget(index);
                }
            }
            Ok(())
        })
    }

    /// A connection of the listener is over.
    pub(crate) fn ended(&mut self, id: ConnectionId, clean: bool) -> Result<(), Violation> {
        self.with(0, |world, _, actor| {
            if let Kind::Listener(listener) = &mut actor.kind {
                listener.connection_ended(world.time(0), id, clean);
            }
            Ok(())
        })
    }

    /// The dialer of a connection of the listener has shown that it holds the key.
    pub(crate) fn confirmed(&mut self, id: ConnectionId) -> Result<(), Violation> {
        self.confirmed += 1;
        self.with(0, |_, _, actor| {
            if let Kind::Listener(listener) = &mut actor.kind {
                listener.connection_confirmed(id);
            }
            Ok(())
        })
    }

    /// The listener's end of a connection has to make room for others. One whose process is no
    /// more has been told of already.
    pub(crate) fn give_way(&mut self, id: ConnectionId) {
        let end = Some((id, Role::Listener));
        let is_it = |actor: &Option<Actor>| actor.as_ref().is_some_and(|a| a.connection() == end);
        if let Some(index) = self.actors.iter().position(is_it) {
            self.at(self.now, Event::Leave(index, Leave::Abort));
        }
    }

    /// Tells the listener to stop.
    pub(crate) fn stop(&mut self) -> Result<(), Violation> {
        self.audit.line(self.now, || "stop".to_owned());
        // What is being made at this moment may stay: `gc` finds it.
        self.strays |= self.network.creates() || !self.undecided.is_empty();
        self.with(0, |world, _, actor| {
            if let Kind::Listener(listener) = &mut actor.kind {
                listener.stop(world.time(0));
            }
            Ok(())
        })
    }

    /// Does something to an actor, then drains it and lets its application act until both wait.
    fn with(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Self, usize, &mut Actor) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let Some(mut actor) = self.actors[index].take() else {
            return Ok(());
        };
        let outcome = act(self, index, &mut actor).and_then(|()| self.settle(index, &mut actor));
        self.actors[index] = Some(actor);
        outcome
    }

    fn settle(&mut self, index: usize, actor: &mut Actor) -> Result<(), Violation> {
        let time = self.time(actor.host);
        let mut until;
        loop {
            until = self.drain(index, actor, time)?;
            if self.rng.chance(self.scenario.pokes) {
                self.poke(index, actor, until)?;
            }
            if !self.act(actor, time)? {
                break;
            }
        }
        self.watch(index, actor)?;
        let mut next = until.map(|until| self.world_time(actor.host, until));
        if let Kind::Connection(linked) = &actor.kind {
            let (out, inbound) = self.both(&linked.connection);
            let app = (!linked.aborted)
                .then(|| linked.app.next(&linked.connection, out, inbound))
                .flatten();
            next = [next, app].into_iter().flatten().min();
        }
        actor.generation += 1;
        if let Some(next) = next {
            self.at(next, Event::Wake(index, actor.generation));
        }
        Ok(())
    }

    /// What must change nothing right after a wait: another poll, time that did not pass, an
    /// answer to a question never asked, and an input that this kind of machine does not take.
    fn poke(
        &mut self,
        index: usize,
        actor: &mut Actor,
        until: Option<Instant>,
    ) -> Result<(), Violation> {
        const INVARIANT: &str = "polling after a wait changes nothing";
        let time = self.time(actor.host);
        let never = RequestId(u64::MAX);
        match self.rng.below(5) {
            0 => drop(actor.handle(time, Input::Time)),
            1 => drop(actor.handle(time, Input::Reply(never, Ok(Reply::Done)))),
            2 => {
                let failure = Failure::new(FailureKind::Conflict, "never asked");
                drop(actor.handle(time, Input::Reply(never, Err(failure))));
            }
            3 => {
                let outcome = actor.handle(time, Input::Bytes(b"not for you"));
                if outcome.is_ok() && !matches!(actor.kind, Kind::Gone) {
                    return Err(Violation::new("misuse is an error", "bytes were taken"));
                }
            }
            _ => {}
        }
        // And once more at some instant before anything is due.
        let later = self.now + self.rng.below(1_000_000);
        self.at(later, Event::Poke(index));
        match actor.poll(time) {
            Drained::Wait(again) if again == until => Ok(()),
            Drained::Wait(again) => {
                let detail = format!("actor {index} waits until {until:?}, then {again:?}");
                Err(Violation::new(INVARIANT, detail))
            }
            _ => {
                let detail = format!("actor {index}: an output without an input");
                Err(Violation::new(INVARIANT, detail))
            }
        }
    }

    /// Polls until the machine waits.
    fn drain(
        &mut self,
        index: usize,
        actor: &mut Actor,
        time: Instant,
    ) -> Result<Option<Instant>, Violation> {
        for _ in 0..ENDLESS {
            match actor.poll(time) {
                Drained::Wait(until) => return Ok(until),
                Drained::Store(request) => self.request(index, actor, &request)?,
                Drained::Connection(event) => self.connection_event(index, actor, event)?,
                Drained::Dialer(event) => self.dialer_event(actor, event)?,
                Drained::Listener(event) => self.listener_event(&actor.carrier, event)?,
                Drained::Transmit => {
                    return Err(Violation::new("a carried machine transmits nothing", ""));
                }
            }
        }
        Err(Violation::new(
            "a machine waits in the end",
            format!("actor {index}"),
        ))
    }

    fn request(&mut self, index: usize, actor: &Actor, request: &Request) -> Result<(), Violation> {
        self.audit.note(&[5, index as u64, request.id.0]);
        let profile = &self.scenario.profile;
        let mut block = None;
        match &request.operation {
            Operation::Write {
                sequence,
                chunks,
                bytes,
            } => {
                let largest = chunks.iter().max().copied().unwrap_or(0) as usize;
                if bytes.len() > profile.bytes_per_write || largest > profile.largest_chunk {
                    let detail = format!("{} bytes, chunk of {largest}", bytes.len());
                    return Err(Violation::new(
                        "a write keeps to the carrier's limits",
                        detail,
                    ));
                }
                let this = Block {
                    sequence: *sequence,
                    chunks: chunks.len(),
                    bytes: bytes.clone(),
                };
                if let Some((id, role)) = actor.connection() {
                    self.streams(id)[direction(role)].sealed(&this, chunks)?;
                }
                block = Some(this);
            }
            Operation::Read { limit, .. } if *limit > profile.bytes_per_read => {
                let detail = format!("{limit} bytes wanted");
                return Err(Violation::new(
                    "a read keeps to the carrier's limits",
                    detail,
                ));
            }
            Operation::CreateSession { id, .. } => {
                self.undecided.insert(id.to_string());
            }
            _ => {}
        }
        self.audit.line(self.now, || {
            let what = match &request.operation {
                Operation::Write {
                    sequence,
                    chunks,
                    bytes,
                } => {
                    format!("write {sequence}+{}, {} bytes", chunks.len(), bytes.len())
                }
                Operation::PutToken { id, .. } => format!("put token {id}"),
                other => format!("{other:?}"),
            };
            format!("actor {index} {:?}: {what}", request.id)
        });
        if let Carrier::Memory(store, session) = &actor.carrier {
            let owner = actor.connection();
            self.send_errand(index, owner, (store, session.as_ref()), request, block);
        } else {
            self.launch(index, actor.host, &actor.carrier, request, block);
        }
        Ok(())
    }

    /// Lets the application act; true when it touched its connection.
    fn act(&mut self, actor: &mut Actor, time: Instant) -> Result<bool, Violation> {
        let Kind::Connection(linked) = &mut actor.kind else {
            return Ok(false);
        };
        if linked.aborted {
            return Ok(false);
        }
        let (id, role) = (linked.connection.id(), linked.connection.role());
        let Some([req, res]) = self.streams.get_mut(&id) else {
            return Ok(false);
        };
        let ends = match role {
            Role::Dialer => (req, res),
            Role::Listener => (res, req),
        };
        let Linked {
            connection, app, ..
        } = &mut **linked;
        app.step(
            self.now,
            time,
            connection,
            ends,
            &mut self.rng,
            &mut self.audit,
        )
    }
}

/// Which of a connection's two streams an end writes.
pub(crate) fn direction(role: Role) -> usize {
    match role {
        Role::Dialer => 0,
        Role::Listener => 1,
    }
}
