//! What machines tell: connections come to life, and end.

use crate::Violation;
use crate::actor::{Actor, Carrier, Kind, Linked};
use crate::world::{Event, World};
use stillwire_core::aznet::{Connection, ConnectionEvent, DialerEvent, ListenerEvent};
use stillwire_core::store::Role;

impl World {
    pub(crate) fn connection_event(
        &mut self,
        index: usize,
        actor: &mut Actor,
        event: ConnectionEvent,
    ) -> Result<(), Violation> {
        self.audit.note(&[6, index as u64]);
        self.audit
            .line(self.now, || format!("actor {index}: {event:?}"));
        if let (ConnectionEvent::Confirmed, Some((id, Role::Listener))) =
            (&event, actor.connection())
        {
            self.at(self.now, Event::Confirmed(id));
        }
        let (ConnectionEvent::Closed(result), Kind::Connection(linked)) = (event, &mut actor.kind)
        else {
            return Ok(());
        };
        if linked.closed.is_some() {
            return Err(Violation::new(
                "a connection closes once",
                format!("{result:?}"),
            ));
        }
        let connection = &linked.connection;
        if connection.role() == Role::Listener {
            let clean = connection.is_clean();
            self.at(self.now, Event::Ended(connection.id(), clean));
        }
        linked.closed = Some(result);
        linked.closed_at = self.now;
        Ok(())
    }

    pub(crate) fn dialer_event(
        &mut self,
        actor: &mut Actor,
        event: DialerEvent,
    ) -> Result<(), Violation> {
        self.audit.note(&[7]);
        let dial = &mut self.dials[actor.host - 1];
        dial.over = true;
        match event {
            DialerEvent::Failed(error) => {
                self.audit
                    .line(self.now, || format!("dialer {}: {error}", actor.host));
                if self.scenario.gentle && !self.listener_failed {
                    let detail = format!("dialer {}: {error}", actor.host);
                    return Err(Violation::new("what can succeed succeeds", detail));
                }
            }
            DialerEvent::Connected(connected) => {
                let (connection, grants) = (connected.connection, connected.grants);
                let id = connection.id();
                let grants = Some((grants.req.as_str(), grants.res.as_str()));
                let carrier = actor.carrier.session(id, Role::Dialer, grants)?;
                self.link(actor.host, connection, carrier)?;
            }
        }
        Ok(())
    }

    pub(crate) fn listener_event(
        &mut self,
        carrier: &Carrier,
        event: ListenerEvent,
    ) -> Result<(), Violation> {
        self.audit.note(&[8]);
        match event {
            ListenerEvent::Ready => self.ready = true,
            ListenerEvent::Accepted(connection) => {
                let id = connection.id();
                self.undecided.remove(&id.to_string());
                if !self.accepted.insert(id) {
                    return Err(Violation::new(
                        "a handshake makes one session",
                        id.to_string(),
                    ));
                }
                let carrier = carrier.session(id, Role::Listener, None)?;
                self.link(0, *connection, carrier)?;
            }
            ListenerEvent::Rejected { name, error } => {
                self.undecided.remove(&name);
                self.audit
                    .line(self.now, || format!("rejected {name:?}: {error}"));
                if self.scenario.gentle && !self.accepted.iter().any(|id| id.to_string() == name) {
                    let honest = self.dials.iter().filter_map(|dial| dial.id);
                    if honest.into_iter().any(|id| id.to_string() == name) {
                        let detail = format!("{name}: {error}");
                        return Err(Violation::new("an honest handshake is served", detail));
                    }
                }
            }
            ListenerEvent::Overdue(id) => {
                self.audit.line(self.now, || format!("{id} gives way"));
                self.give_way(id);
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
        carrier: Carrier,
    ) -> Result<(), Violation> {
        let (id, role) = (connection.id(), connection.role());
        let binding = connection.channel_binding();
        let known = *self.bindings.entry(id).or_insert(binding);
        if known != binding {
            return Err(Violation::new(
                "both ends have one channel binding",
                id.to_string(),
            ));
        }
        let app = self.app(id, role);
        let leave = app.plan.leave;
        self.streams(id);
        let linked = Linked {
            connection,
            app,
            closed: None,
            closed_at: 0,
            error: None,
            aborted: false,
        };
        let kind = Kind::Connection(Box::new(linked));
        let index = self.enter(Actor::new(host, kind, carrier));
        self.audit
            .line(self.now, || format!("actor {index}: {role:?} of {id}"));
        if let Some((after, how)) = leave {
            self.at(self.now + after, Event::Leave(index, how));
        }
        Ok(())
    }
}
