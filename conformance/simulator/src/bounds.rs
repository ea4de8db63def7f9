//! What must hold after every step of a connection.

use crate::Violation;
use crate::actor::{Actor, Carrier, Kind, Linked};
use crate::streams::Stream;
use crate::world::World;
use stillwire_azure::queue::{self, QueueSession};
use stillwire_core::aznet::Connection;
use stillwire_core::store::Role;
use stillwire_core::{Channel, Instant};

impl World {
    /// The streams of a connection: the one it writes, the one it reads.
    pub(crate) fn both(&self, connection: &Connection) -> (&Stream, &Stream) {
        let [req, res] = &self.streams[&connection.id()];
        match connection.role() {
            Role::Dialer => (req, res),
            Role::Listener => (res, req),
        }
    }

    /// Errors repeat, and memory is bounded.
    pub(crate) fn watch(&self, index: usize, actor: &mut Actor) -> Result<(), Violation> {
        if let Kind::Listener(listener) = &actor.kind {
            let (all, half_open) = (listener.connections(), listener.half_open());
            let config = &self.scenario.config;
            if all > config.connections || half_open > config.half_open {
                let detail = format!("{all} connections, {half_open} of them half open");
                return Err(Violation::new("a listener keeps to its bounds", detail));
            }
        }
        let Kind::Connection(linked) = &mut actor.kind else {
            return Ok(());
        };
        let Linked {
            connection, error, ..
        } = &mut **linked;
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
            return Err(Violation::new(
                "errors are final and repeat",
                format!("{error}"),
            ));
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
        // A chunk opens as a whole, however small the reads that brought it.
        if stats.bytes_written > config.data_limit {
            let detail = format!("{} bytes taken", stats.bytes_written);
            return Err(Violation::new(
                "a key seals no more than its budget",
                detail,
            ));
        }
        let most = config.receive_buffer + profile.bytes_per_read + profile.largest_chunk;
        if connection.buffered() > most {
            let detail = format!(
                "{} bytes received and unread, {most}",
                connection.buffered()
            );
            return Err(Violation::new("what is received is bounded", detail));
        }
        let (_, inbound) = self.both(connection);
        let unread = stats.bytes_received.saturating_sub(inbound.read);
        if !linked.aborted && unread != linked.connection.buffered() as u64 {
            let detail = format!(
                "{unread} bytes unread, {} held",
                linked.connection.buffered()
            );
            return Err(Violation::new(
                "what is received is held until read",
                detail,
            ));
        }
        if let Carrier::Session(session) = &actor.carrier
            && let Some(held) = session.queue.as_ref().map(QueueSession::held)
            && held > usize::from(queue::WINDOW)
        {
            let detail = format!("{held} chunks wait for their turn");
            return Err(Violation::new("what comes early is bounded", detail));
        }
        let flying = self.network.in_flight(index);
        let most = usize::from(profile.writes_in_flight) + usize::from(profile.releases_in_flight);
        if flying > most + 3 {
            let detail = format!("{flying} requests of one connection");
            return Err(Violation::new("requests under way are bounded", detail));
        }
        Ok(())
    }
}
