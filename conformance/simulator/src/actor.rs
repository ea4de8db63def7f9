//! Machines in their hosts: fed, drained, and watched after every step.

use crate::Violation;
use crate::app::App;
use crate::scenario::Leave;
use crate::streams::Block;
use crate::world::{Event, World};
use stillwire_azure::blob::{BlobSession, BlobStore};
use stillwire_core::aznet::{
    Connection, ConnectionEvent, ConnectionId, Dialer, DialerEvent, Listener, ListenerEvent,
};
use stillwire_core::store::{Failure, Operation, Reply, Request, RequestId, Role};
use stillwire_core::{Channel, Error, Input, Instant, Machine, Output};

/// Outputs drained in one go, past which a machine never waits.
const ENDLESS: u32 = 10_000;

/// How a machine's requests go out.
#[derive(Clone)]
pub(crate) enum Carrier {
    Store(BlobStore),
    Session(BlobSession),
}

/// An established connection and who uses it.
pub(crate) struct Linked {
    pub(crate) connection: Connection,
    pub(crate) app: App,
    /// What its closing event said.
    pub(crate) closed: Option<Result<(), Error>>,
    /// The first error it showed: the only one it may ever show.
    pub(crate) error: Option<Error>,
    pub(crate) aborted: bool,
}

pub(crate) enum Kind {
    Dialer(Dialer),
    Listener(Listener),
    Connection(Box<Linked>),
    /// Its process is no more.
    Gone,
}

pub(crate) struct Actor {
    pub(crate) host: usize,
    pub(crate) kind: Kind,
    carrier: Carrier,
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
        block: Option<Block>,
    ) -> Result<(), Violation> {
        self.with(index, |world, _, actor| {
            world.audit.note(&[4, id.0, u64::from(result.is_ok())]);
            world.audit.line(world.now, || match &result {
                Ok(Reply::Data { bytes, more }) => {
                    format!("actor {index} {id:?}: {} bytes, more: {more}", bytes.len())
                }
                Ok(Reply::Session { .. }) => format!("actor {index} {id:?}: session"),
                other => format!("actor {index} {id:?}: {other:?}"),
            });
            if let (Ok(_), Some(block), Some((id, role))) = (&result, &block, actor.connection()) {
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
            world.audit.line(world.now, || format!("actor {index}: {how:?}"));
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

    /// Tells the listener to stop.
    pub(crate) fn stop(&mut self) -> Result<(), Violation> {
        self.audit.line(self.now, || "stop".to_owned());
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
                if self.rng.chance(500) {
                    let _ = actor.handle(time, Input::Time);
                }
                match actor.poll(time) {
                    Drained::Wait(again) if again == until => {}
                    Drained::Wait(again) => {
                        let detail = format!("waits until {until:?}, then {again:?}");
                        return Err(Violation::new("polling after a wait changes nothing", detail));
                    }
                    _ => {
                        let detail = "an output after a wait, without an input";
                        return Err(Violation::new("polling after a wait changes nothing", detail));
                    }
                }
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
                Drained::Listener(event) => self.listener_event(event)?,
                Drained::Transmit => {
                    return Err(Violation::new("a carried machine transmits nothing", ""));
                }
            }
        }
        Err(Violation::new("a machine waits in the end", format!("actor {index}")))
    }

    fn request(
        &mut self,
        index: usize,
        actor: &Actor,
        request: &Request,
    ) -> Result<(), Violation> {
        self.audit.note(&[5, index as u64, request.id.0]);
        let profile = &self.scenario.profile;
        let mut block = None;
        match &request.operation {
            Operation::Write { sequence, chunks, bytes } => {
                let largest = chunks.iter().max().copied().unwrap_or(0) as usize;
                if bytes.len() > profile.bytes_per_write || largest > profile.largest_chunk {
                    let detail = format!("{} bytes, chunk of {largest}", bytes.len());
                    return Err(Violation::new("a write keeps to the carrier's limits", detail));
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
                return Err(Violation::new("a read keeps to the carrier's limits", detail));
            }
            _ => {}
        }
        self.audit.line(self.now, || {
            let what = match &request.operation {
                Operation::Write { sequence, chunks, bytes } => {
                    format!("write {sequence}+{}, {} bytes", chunks.len(), bytes.len())
                }
                Operation::PutToken { id, .. } => format!("put token {id}"),
                other => format!("{other:?}"),
            };
            format!("actor {index} {:?}: {what}", request.id)
        });
        self.launch(index, actor.host, &actor.carrier, request, block);
        Ok(())
    }

    fn connection_event(
        &mut self,
        index: usize,
        actor: &mut Actor,
        event: ConnectionEvent,
    ) -> Result<(), Violation> {
        self.audit.note(&[6, index as u64]);
        self.audit.line(self.now, || format!("actor {index}: {event:?}"));
        let (ConnectionEvent::Closed(result), Kind::Connection(linked)) = (event, &mut actor.kind)
        else {
            return Ok(());
        };
        if linked.closed.is_some() {
            return Err(Violation::new("a connection closes once", format!("{result:?}")));
        }
        let connection = &linked.connection;
        if connection.role() == Role::Listener {
            let clean = connection.is_clean();
            self.at(self.now, Event::Ended(connection.id(), clean));
        }
        linked.closed = Some(result);
        Ok(())
    }

    fn dialer_event(&mut self, actor: &mut Actor, event: DialerEvent) -> Result<(), Violation> {
        self.audit.note(&[7]);
        let dial = &mut self.dials[actor.host - 1];
        dial.over = true;
        match event {
            DialerEvent::Failed(error) => {
                self.audit.line(self.now, || format!("dialer {}: {error}", actor.host));
                if self.scenario.gentle && !self.listener_failed {
                    let detail = format!("dialer {}: {error}", actor.host);
                    return Err(Violation::new("what can succeed succeeds", detail));
                }
            }
            DialerEvent::Connected(connected) => {
                let (connection, grants) = (connected.connection, connected.grants);
                let id = connection.id();
                let Carrier::Store(store) = &actor.carrier else {
                    return Ok(());
                };
                let grants = Some((grants.req.as_str(), grants.res.as_str()));
                let session = store.session(id, Role::Dialer, grants);
                let session = session.map_err(|error| {
                    Violation::new("grants can be used", error.to_string())
                })?;
                self.link(actor.host, connection, session)?;
            }
        }
        Ok(())
    }

    fn listener_event(&mut self, event: ListenerEvent) -> Result<(), Violation> {
        self.audit.note(&[8]);
        match event {
            ListenerEvent::Ready => self.ready = true,
            ListenerEvent::Accepted(connection) => {
                let id = connection.id();
                if !self.accepted.insert(id) {
                    return Err(Violation::new("a handshake makes one session", id.to_string()));
                }
                let session = self.store.session(id, Role::Listener, None);
                let session = session
                    .map_err(|error| Violation::new("a session can be opened", error.to_string()))?;
                self.link(0, *connection, session)?;
            }
            ListenerEvent::Rejected { name, error } => {
                self.audit.line(self.now, || format!("rejected {name:?}: {error}"));
                if self.scenario.gentle && !self.accepted.iter().any(|id| id.to_string() == name) {
                    let honest = self.dials.iter().filter_map(|dial| dial.id);
                    if honest.into_iter().any(|id| id.to_string() == name) {
                        let detail = format!("{name}: {error}");
                        return Err(Violation::new("an honest handshake is served", detail));
                    }
                }
            }
            ListenerEvent::Trouble(failure) => {
                self.audit.line(self.now, || format!("trouble: {failure}"));
            }
            ListenerEvent::Failed(error) => {
                self.audit.line(self.now, || format!("listener: {error}"));
                self.listener_failed = true;
                if self.scenario.gentle {
                    let detail = format!("listener: {error}");
                    return Err(Violation::new("what can succeed succeeds", detail));
                }
            }
        }
        Ok(())
    }

    /// A connection and its application come to life.
    fn link(
        &mut self,
        host: usize,
        connection: Connection,
        session: BlobSession,
    ) -> Result<(), Violation> {
        let (id, role) = (connection.id(), connection.role());
        let binding = connection.channel_binding();
        let known = *self.bindings.entry(id).or_insert(binding);
        if known != binding {
            return Err(Violation::new("both ends have one channel binding", id.to_string()));
        }
        let app = self.app(id, role);
        let leave = app.plan.leave;
        self.streams(id);
        let linked = Linked {
            connection,
            app,
            closed: None,
            error: None,
            aborted: false,
        };
        let kind = Kind::Connection(Box::new(linked));
        let index = self.enter(Actor::new(host, kind, Carrier::Session(session)));
        self.audit.line(self.now, || format!("actor {index}: {role:?} of {id}"));
        if let Some((after, how)) = leave {
            self.at(self.now + after, Event::Leave(index, how));
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
        let Linked { connection, app, .. } = &mut **linked;
        app.step(self.now, time, connection, ends, &mut self.rng, &mut self.audit)
    }

    fn both(&self, connection: &Connection) -> (&crate::streams::Stream, &crate::streams::Stream) {
        let [req, res] = &self.streams[&connection.id()];
        match connection.role() {
            Role::Dialer => (req, res),
            Role::Listener => (res, req),
        }
    }

    /// What must hold after every step of a connection.
    fn watch(&self, index: usize, actor: &mut Actor) -> Result<(), Violation> {
        let Kind::Connection(linked) = &mut actor.kind else {
            return Ok(());
        };
        let Linked { connection, error, .. } = &mut **linked;
        match (&*error, connection.error()) {
            (None, now) => *error = now.cloned(),
            (Some(first), now) if now == Some(first) => {}
            (first, now) => {
                let detail = format!("{first:?} became {now:?}");
                return Err(Violation::new("errors are final and repeat", detail));
            }
        }
        if let Some(error) = error
            && connection.write(Instant::ZERO, b"x").as_ref() != Err(error)
        {
            return Err(Violation::new("errors are final and repeat", format!("{error}")));
        }
        let (profile, config) = (&self.scenario.profile, &self.scenario.config);
        let stats = connection.stats();
        let block = profile
            .bytes_per_write
            .min(config.send_buffer.max(profile.largest_chunk)) as u64;
        let unsent = stats.bytes_written.saturating_sub(stats.bytes_stored);
        let window = u64::from(profile.writes_in_flight) + 1;
        if unsent > window * block {
            let detail = format!("{unsent} bytes not stored, blocks of {block}");
            return Err(Violation::new("what is gathered is bounded", detail));
        }
        let most = config.receive_buffer + profile.bytes_per_read;
        if connection.buffered() > most {
            let detail = format!("{} bytes received and unread, {most}", connection.buffered());
            return Err(Violation::new("what is received is bounded", detail));
        }
        let (_, inbound) = self.both(connection);
        let unread = stats.bytes_received.saturating_sub(inbound.read);
        if !linked.aborted && unread != linked.connection.buffered() as u64 {
            let detail = format!("{unread} bytes unread, {} held", linked.connection.buffered());
            return Err(Violation::new("what is received is held until read", detail));
        }
        let flying = self.network.in_flight(index);
        if flying > usize::from(profile.writes_in_flight) + 3 {
            let detail = format!("{flying} requests of one connection");
            return Err(Violation::new("requests under way are bounded", detail));
        }
        Ok(())
    }
}

/// Which of a connection's two streams an end writes.
pub(crate) fn direction(role: Role) -> usize {
    match role {
        Role::Dialer => 0,
        Role::Listener => 1,
    }
}
