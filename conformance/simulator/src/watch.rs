//! What nobody may do to the service, and how a run must end.

use crate::Violation;
use crate::actor::{Actor, Kind, direction};
use crate::attack::{FOREIGNER, THEIR_ENTRY};
use crate::scenario::SECOND;
use crate::service::call::Call;
use crate::service::{Belongs, Change, Effect, Sort};
use crate::streams::Block;
use crate::world::World;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::Role;

/// How long a listener may take to learn that its calendar was set (µs): an answer, and a write.
const LEARNT: u64 = 120 * SECOND;

const UNTOUCHED: &str = "nothing foreign is touched";

/// Looks at a request before it is known whether it will be served.
pub(crate) fn attempt(party: usize, sort: &Sort, call: &Call) -> Result<(), Violation> {
    if party > 0 && sort.creates {
        let detail = format!("{}/{}", call.container, call.blob);
        return Err(Violation::new(
            "a dialer never creates a session's first places",
            detail,
        ));
    }
    Ok(())
}

/// Looks at a change that was made.
pub(crate) fn effect(
    world: &mut World,
    party: usize,
    creator: Option<usize>,
    call: &Call,
    change: &Change,
    block: Option<&(ConnectionId, Role, Block)>,
) -> Result<(), Violation> {
    let Change {
        place,
        entry,
        effect,
    } = change;
    let belongs = world.service.belongs(place);
    let foreign = creator == Some(FOREIGNER);
    let bootstrap = belongs == Belongs::Bootstrap;
    if *effect == Effect::Created && bootstrap {
        world.bootstrap_by_listener = true;
    }
    let theirs = foreign && (!bootstrap || *effect == Effect::Deleted);
    if theirs || entry == THEIR_ENTRY {
        let detail = format!("{effect:?} at {place}/{entry}");
        return Err(Violation::new(UNTOUCHED, detail));
    }
    if !allowed(world, party, change, belongs) {
        let detail = format!("host {party}: {effect:?} at {place}/{entry}");
        return Err(Violation::new("everybody keeps to its own places", detail));
    }
    if party > 0
        && place == "handshake"
        && let Some(payload) = world.service.message_1(call)
    {
        world.seen.insert(party - 1, payload);
    }
    match (effect, belongs) {
        (Effect::Created, Belongs::Session(..)) => {
            world.made.get_or_insert(world.now);
        }
        (Effect::Deleted, Belongs::Session(..)) => world.gone = Some(world.now),
        (Effect::Stored(chunks), Belongs::Session(id, Some(role))) => {
            let stream = &mut world.streams(id)[direction(role)];
            for (sequence, chunk) in chunks {
                stream.stored(*sequence, chunk)?;
            }
        }
        (Effect::Appended { .. }, _) => {
            let Some((id, role, block)) = block else {
                return Err(Violation::new("only sealed blocks are appended", ""));
            };
            if world.service.creator(&id.to_string()).is_some() {
                world.streams(*id)[direction(*role)].landed(block, &call.body)?;
            }
        }
        // A clock that is behind must not make a session in use look old. One that was just set is
        // learnt from the next answer, and the date put right with the next write.
        (Effect::Marked { off }, _)
            if party == 0
                && call.query("comp") == "metadata"
                && *off > 60
                && world
                    .turned
                    .is_none_or(|turned| world.now > turned + LEARNT) =>
        {
            let detail = format!("{off} s off");
            return Err(Violation::new(
                "a queue is dated by the service's clock",
                detail,
            ));
        }
        _ => {}
    }
    Ok(())
}

/// Who may change what.
#[allow(clippy::match_same_arms, reason = "one arm is one rule")]
fn allowed(world: &World, party: usize, change: &Change, belongs: Belongs) -> bool {
    let name = change.entry.as_str();
    let numbered = |prefix: &str| {
        let number = name.strip_prefix(prefix);
        number.is_some_and(|n| n.parse::<u32>().is_ok_and(|value| value.to_string() == n))
    };
    let own = |id: ConnectionId| party > 0 && world.dials[party - 1].id == Some(id);
    let (dialer, listener) = (Some(Role::Dialer), Some(Role::Listener));
    match (&change.effect, belongs) {
        (Effect::Created, Belongs::Bootstrap | Belongs::Session(..)) => party == 0,
        (Effect::Deleted, Belongs::Bootstrap) => {
            party == 0 && world.scenario.config.remove_bootstrap
        }
        (Effect::Deleted, Belongs::Session(..)) => party == 0,
        (Effect::Put { append: false }, Belongs::Bootstrap) if party == 0 => {
            change.place == "token"
        }
        (Effect::Put { append: false }, Belongs::Bootstrap) => {
            let id = world.dials[party - 1].id.map(|id| id.to_string());
            change.place == "handshake" && id.as_deref() == Some(name)
        }
        (Effect::Removed, Belongs::Bootstrap) => party == 0,
        // A blob's session is one place with both directions in it.
        (Effect::Put { append: true }, Belongs::Session(_, None)) if party == 0 => {
            numbered("res-") || name == "req-0"
        }
        (Effect::Appended { .. }, Belongs::Session(_, None)) if party == 0 => numbered("res-"),
        (Effect::Put { append: true } | Effect::Appended { .. }, Belongs::Session(id, None)) => {
            own(id) && numbered("req-")
        }
        (Effect::Stored(_), Belongs::Session(id, role)) => {
            (party == 0 && role == listener) || (own(id) && role == dialer)
        }
        // Messages, by who reads them.
        (Effect::Removed, Belongs::Session(id, role)) => {
            (party == 0 && role == dialer) || (own(id) && role == listener)
        }
        (Effect::Marked { .. }, Belongs::Session(..)) => party == 0,
        _ => false,
    }
}

impl World {
    /// True when everybody is done; stops the listener when only that is left.
    pub(crate) fn is_over(&mut self) -> Result<bool, Violation> {
        let dialed = self.dials.iter().all(|dial| dial.over);
        let idle = |actor: &Option<Actor>| actor.as_ref().is_none_or(Actor::is_done);
        if self.attacks_left > 0 || !dialed || !self.actors.iter().skip(1).all(idle) {
            return Ok(false);
        }
        if idle(&self.actors[0]) {
            return Ok(true);
        }
        let since = *self.alone.get_or_insert(self.now);
        if self.now < since.saturating_add(self.scenario.linger) {
            return Ok(false);
        }
        if !self.stopping {
            self.stopping = true;
            self.stop()?;
        }
        Ok(false)
    }

    /// Ends of connections that closed without an error, and with one.
    pub(crate) fn endings(&self) -> (usize, usize) {
        let (mut clean, mut failed) = (0, 0);
        for actor in self.actors.iter().flatten() {
            if let Kind::Connection(linked) = &actor.kind {
                clean += usize::from(linked.closed == Some(Ok(())));
                failed += usize::from(matches!(linked.closed, Some(Err(_))));
            }
        }
        (clean, failed)
    }

    /// Who is not done.
    pub(crate) fn unfinished(&self) -> String {
        let mut names = Vec::new();
        for (index, actor) in self.actors.iter().enumerate() {
            let Some(actor) = actor.as_ref().filter(|actor| !actor.is_done()) else {
                continue;
            };
            names.push(match &actor.kind {
                Kind::Connection(linked) => format!(
                    "actor {index}, {:?} of {}, closed {:?}, app {:?}",
                    linked.connection.role(),
                    linked.connection.id(),
                    linked.closed,
                    linked.app,
                ),
                Kind::Dialer(_) => format!("actor {index}, a dialer"),
                Kind::Listener(_) => format!("actor {index}, the listener"),
                Kind::Gone => format!("actor {index}, gone"),
            });
        }
        names.join("; ")
    }
}

/// What must hold when all is over.
pub(crate) fn afterwards(world: &World) -> Result<(), Violation> {
    for (name, before) in &world.foreign {
        if world.service.content(name).as_ref() != Some(before) {
            return Err(Violation::new(UNTOUCHED, name.clone()));
        }
    }
    if !world.scenario.gentle {
        return Ok(());
    }
    for (dial, (_, a, b)) in world.dials.iter().zip(&world.scenario.dials) {
        let Some(id) = dial.id else { continue };
        if a.leave.is_none() && b.leave.is_none() {
            complete(world, id)?;
        }
    }
    if world.scenario.memory {
        return Ok(());
    }
    leftovers(world)
}

/// A stream that nothing hindered is whole, both ways, and closed cleanly at both ends.
fn complete(world: &World, id: ConnectionId) -> Result<(), Violation> {
    const INVARIANT: &str = "what can succeed succeeds";
    let actors = world.actors.iter().flatten();
    let mut ends: Vec<_> = actors
        .filter_map(|actor| match &actor.kind {
            Kind::Connection(linked) if linked.connection.id() == id => Some(linked),
            _ => None,
        })
        .collect();
    if ends.len() != 2 {
        let detail = format!("{id} has {} ends", ends.len());
        return Err(Violation::new(INVARIANT, detail));
    }
    // The end that failed first is the cause.
    ends.sort_by_key(|linked| (linked.closed == Some(Ok(())), linked.closed_at));
    for linked in ends {
        let role = linked.connection.role();
        let secs = linked.closed_at / 1_000_000;
        if linked.closed != Some(Ok(())) || !linked.app.ended {
            let detail = format!("{role:?} of {id}: after {secs} s {:?}", linked.closed);
            return Err(Violation::new(INVARIANT, detail));
        }
        let out = &world.streams[&id][direction(role)];
        let total = linked.app.plan.total;
        if out.read != out.written || (!linked.app.plan.echo && out.written != total) {
            let detail = format!(
                "{role:?} of {id}: {total} bytes planned, {} written, {} read",
                out.written, out.read
            );
            return Err(Violation::new(INVARIANT, detail));
        }
    }
    Ok(())
}

/// A listener that was stopped leaves no session behind.
fn leftovers(world: &World) -> Result<(), Violation> {
    if world.strays {
        return Ok(());
    }
    for name in world.service.places() {
        let session = matches!(world.service.belongs(&name), Belongs::Session(..));
        if session && world.service.creator(&name) == Some(0) {
            return Err(Violation::new("a stopped listener leaves no session", name));
        }
    }
    let removed = world.scenario.config.remove_bootstrap && world.bootstrap_by_listener;
    let shared = world.scenario.shared_bootstrap;
    let there = world.service.creator("handshake").is_some();
    let ours = removed && !shared;
    // After a lost reply nobody can tell who made it, so it may stay.
    if (!there && !ours) || (there && ours && world.scenario.faults.until == 0) {
        let detail = format!("place for handshakes there: {there}");
        return Err(Violation::new(
            "the bootstrap stays unless it is ours to remove",
            detail,
        ));
    }
    // Entries in a bootstrap that stays: handshakes that were served are gone.
    if world.scenario.faults.until == 0 && world.scenario.attacks.is_empty() {
        for id in world.accepted.iter().map(ToString::to_string) {
            if world.service.has_handshake(&id) {
                return Err(Violation::new("a served handshake is removed", id));
            }
        }
    }
    Ok(())
}
