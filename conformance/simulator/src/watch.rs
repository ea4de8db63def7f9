//! What nobody may do to the service, and how a run must end.

use crate::Violation;
use crate::actor::{Actor, Kind, direction};
use crate::service::call::{Call, Verb};
use crate::service::{Blob, Container, Effect, Service};
use crate::streams::Block;
use crate::world::World;
use bytes::BytesMut;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::Role;

/// The party to which everything belongs that was there before.
pub(crate) const FOREIGNER: usize = usize::MAX;
/// A container of somebody else whose name is a canonical connection id.
pub(crate) const VICTIM: &str = "7f0ab6ce-27a5-4c86-9d3b-0c2a1f1e5d77";
/// Somebody else's entry in a bootstrap that is shared.
const THEIR_ENTRY: &str = "somebody-elses";

const UNTOUCHED: &str = "nothing foreign is touched";

fn blob(append: bool, content: &[u8]) -> Blob {
    Blob {
        append,
        content: BytesMut::from(content),
        ..Blob::default()
    }
}

/// Puts other people's things into the account.
pub(crate) fn furnish(service: &mut Service, shared_bootstrap: bool) {
    let mut put = |name: &str, blobs: &[(&str, Blob)]| {
        let blobs = blobs.iter().map(|(n, b)| ((*n).to_owned(), b.clone()));
        let container = Container {
            creator: FOREIGNER,
            blobs: blobs.collect(),
            ..Container::default()
        };
        service.containers.insert(name.to_owned(), container);
    };
    put("photos", &[("cat.jpg", blob(false, b"a cat"))]);
    put(
        VICTIM,
        &[
            ("req-0", blob(true, b"theirs")),
            ("res-0", blob(true, b"too")),
        ],
    );
    if shared_bootstrap {
        put("handshake", &[]);
        put("token", &[(THEIR_ENTRY, blob(false, b"for somebody else"))]);
    }
}

/// Looks at a request before it is known whether it will be served.
pub(crate) fn attempt(party: usize, call: &Call) -> Result<(), Violation> {
    let puts = call.verb() == Verb::PutBlob;
    if party > 0 && puts && matches!(call.blob.as_str(), "req-0" | "res-0") {
        let detail = format!("{}/{}", call.container, call.blob);
        return Err(Violation::new(
            "a dialer never creates a session's first blobs",
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
    effect: &Effect,
    block: Option<&(ConnectionId, Role, Block)>,
) -> Result<(), Violation> {
    let foreign = creator == Some(FOREIGNER);
    let bootstrap = matches!(call.container.as_str(), "handshake" | "token");
    if *effect == Effect::ContainerCreated && bootstrap {
        world.bootstrap_by_listener = true;
    }
    let theirs = foreign && (!bootstrap || *effect == Effect::ContainerDeleted);
    if theirs || call.blob == THEIR_ENTRY {
        let detail = format!("{effect:?} at {}/{}", call.container, call.blob);
        return Err(Violation::new(UNTOUCHED, detail));
    }
    if !allowed(world, party, call, effect) {
        let detail = format!(
            "host {party}: {effect:?} at {}/{}",
            call.container, call.blob
        );
        return Err(Violation::new("everybody keeps to its own places", detail));
    }
    if party > 0
        && call.container == "handshake"
        && let Some(payload) = call.header("x-ms-meta-payload")
    {
        world.seen.insert(party - 1, payload.to_owned());
    }
    if let (Effect::Appended { .. }, Some((id, role, block))) = (effect, block) {
        if world.service.containers.contains_key(&id.to_string()) {
            world.streams(*id)[direction(*role)].landed(block, &call.body)?;
        }
    } else if matches!(effect, Effect::Appended { .. }) {
        return Err(Violation::new("only sealed blocks are appended", ""));
    }
    Ok(())
}

/// Who may change what.
fn allowed(world: &World, party: usize, call: &Call, effect: &Effect) -> bool {
    let name = call.blob.as_str();
    let numbered = |prefix: &str| {
        let number = name.strip_prefix(prefix);
        number.is_some_and(|n| n.parse::<u32>().is_ok_and(|value| value.to_string() == n))
    };
    let session = ConnectionId::parse(call.container.as_bytes()).is_ok();
    let bootstrap = matches!(call.container.as_str(), "handshake" | "token");
    if party > 0 {
        let own = world.dials[party - 1].id.map(|id| id.to_string());
        let own = own.as_deref();
        return match effect {
            Effect::Put { append: false } => call.container == "handshake" && own == Some(name),
            Effect::Put { append: true } | Effect::Appended { .. } => {
                own == Some(&call.container) && numbered("req-")
            }
            _ => false,
        };
    }
    match effect {
        Effect::ContainerCreated => bootstrap || session,
        Effect::ContainerDeleted => session || world.scenario.config.remove_bootstrap,
        Effect::Put { append: false } => call.container == "token",
        Effect::Put { append: true } => session && (numbered("res-") || name == "req-0"),
        Effect::Appended { .. } => session && numbered("res-"),
        Effect::BlobDeleted => bootstrap,
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
    let mut untouched = Service::new("", b"", crate::service::Habit::Azure, 1);
    furnish(&mut untouched, false);
    for (name, container) in &untouched.containers {
        let now = world.service.containers.get(name);
        if now.map(|c| &c.blobs) != Some(&container.blobs) {
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
    for (name, container) in &world.service.containers {
        if container.creator == 0 && ConnectionId::parse(name.as_bytes()).is_ok() {
            return Err(Violation::new(
                "a stopped listener leaves no session",
                name.clone(),
            ));
        }
    }
    let removed = world.scenario.config.remove_bootstrap && world.bootstrap_by_listener;
    let shared = world.scenario.shared_bootstrap;
    let there = world.service.containers.contains_key("handshake");
    let ours = removed && !shared;
    // After a lost reply nobody can tell who made it, so it may stay.
    if (!there && !ours) || (there && ours && world.scenario.faults.until == 0) {
        let detail = format!("handshake container there: {there}");
        return Err(Violation::new(
            "the bootstrap stays unless it is ours to remove",
            detail,
        ));
    }
    // Entries in a bootstrap that stays: handshakes that were served are gone.
    let handshakes = world.service.containers.get("handshake");
    if let Some(handshakes) = handshakes
        && world.scenario.faults.until == 0
        && world.scenario.attacks.is_empty()
    {
        for id in world.accepted.iter().map(ToString::to_string) {
            if handshakes.blobs.contains_key(&id) {
                return Err(Violation::new("a served handshake is removed", id));
            }
        }
    }
    Ok(())
}
