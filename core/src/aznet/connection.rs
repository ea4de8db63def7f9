//! An established connection: two directions over one carrier, and the time that binds them.

mod ending;
mod stream;

use super::ConnectionId;
use super::config::Config;
use super::handshake::Split;
use super::inbound::Inbound;
use super::news::News;
use super::outbound::Outbound;
use super::polling::Poller;
use super::retry::{Ids, Task};
use super::stats::{Stats, add};
use super::wire::chunk::{Opener, Sealer};
use crate::error::{Error, Timer};
use crate::machine::{Input, Machine, Output};
use crate::store::{Failure, FailureKind, Operation, Profile, Reply, Request, RequestId, Role};
use crate::time::Instant;
use alloc::collections::VecDeque;

/// What the application of a connection is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// Something authentic came from the peer: it holds the key.
    Confirmed,
    /// The peer ended its direction; what it sent before is complete.
    PeerFinished,
    /// Seven eighths of what a key may seal or open are used.
    DataBudgetWarning,
    /// It is over: cleanly, or with this error.
    Closed(Result<(), Error>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The application dropped us; what it wrote is still delivered, until then.
    Leaving {
        until: Instant,
    },
    /// Both directions have ended. The listener waits for the dialer's farewell, until then.
    Parting {
        until: Instant,
    },
    /// Only clean-up is left.
    Cleaning,
    Over,
}

/// One encrypted connection. Keeps the contract of [`Machine`] and [`Channel`](crate::Channel).
///
/// Holds at most `send_buffer` bytes gathered and as much in flight (or, where several writes are,
/// `send_buffer` bytes in all), and `receive_buffer` bytes received plus one read.
pub struct Connection {
    id: ConnectionId,
    role: Role,
    hash: [u8; 32],
    profile: Profile,
    config: Config,
    ids: Ids,
    outbound: Outbound,
    inbound: Inbound,
    phase: Phase,
    /// Last time a frame came from the peer, or the application let us look again.
    heard: Instant,
    started: Instant,
    confirmed: bool,
    /// The dialer has said that it has read everything.
    peer_done: bool,
    /// The application made room since the last poll.
    fetch: bool,
    /// The dialer greeted us, so it will say so.
    greeted: bool,
    /// Clean-up still to do, the first being worked on.
    chores: VecDeque<Task>,
    events: VecDeque<ConnectionEvent>,
    error: Option<Error>,
    clean: bool,
    stats: Stats,
}

impl Connection {
    /// A connection whose handshake is complete. `profile` is the carrier's.
    pub fn new(
        role: Role,
        id: ConnectionId,
        split: Split,
        profile: Profile,
        config: Config,
        now: Instant,
    ) -> Self {
        let (seal, open) = match role {
            Role::Dialer => (split.i2r, split.r2i),
            Role::Listener => (split.r2i, split.i2r),
        };
        let poller = Poller::new(config.policy, profile.shortest_poll, role, now);
        Self {
            id,
            role,
            hash: split.hash,
            outbound: Outbound::new(role, Sealer::new(seal), now),
            inbound: Inbound::new(Opener::new(open), poller, &profile, &config),
            profile,
            config,
            ids: Ids::default(),
            phase: Phase::Open,
            heard: now,
            started: now,
            confirmed: false,
            peer_done: false,
            fetch: false,
            greeted: false,
            chores: VecDeque::new(),
            events: VecDeque::new(),
            error: None,
            clean: false,
            stats: Stats::default(),
        }
    }

    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Which end we are.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The Noise handshake hash: equal at both ends, and different when somebody sits between
    /// them. Compare it over another channel to authenticate an anonymous connection.
    pub fn channel_binding(&self) -> [u8; 32] {
        self.hash
    }

    /// Counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// True once something authentic came from the peer. A dialer's peer is confirmed by the
    /// handshake itself only in so far as message 2 opened.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// True when the stream ended cleanly in both directions and the clean-up is done: nobody
    /// else need delete anything.
    pub fn is_clean(&self) -> bool {
        self.clean && self.phase == Phase::Over
    }

    /// Plaintext held for the application, in bytes.
    pub fn buffered(&self) -> usize {
        self.inbound.buffered()
    }

    fn fail(&mut self, error: Error) {
        if self.error.is_some() || self.phase == Phase::Over {
            return;
        }
        self.error = Some(error.clone());
        self.clean = false;
        self.outbound.forget();
        self.phase = Phase::Over;
        self.chores.clear();
        self.events.push_back(ConnectionEvent::Closed(Err(error)));
    }

    /// What time and the state of both directions bring about.
    fn advance(&mut self, now: Instant) {
        let fin_both = self.outbound.fin_stored() && self.inbound.fin;
        match self.phase {
            Phase::Open => {
                if self.inbound.fin && self.outbound.is_closing() {
                    self.part(now, fin_both);
                } else if let Some(at) = self.idle_deadline()
                    && at <= now
                {
                    self.fail(self.silence());
                } else {
                    self.keep_alive(now);
                }
            }
            Phase::Leaving { until } => {
                if self.inbound.fin && self.outbound.is_closing() {
                    self.part(now, fin_both);
                }
                if self.phase != (Phase::Leaving { until }) {
                } else if until <= now {
                    self.fail(Error::Timeout(Timer::Close));
                } else if !self.outbound.is_closing() && self.outbound.is_flushed() {
                    self.fail(Error::Closed);
                }
            }
            Phase::Parting { until } => {
                if self.peer_done || until <= now {
                    self.clean_up(now);
                }
            }
            Phase::Cleaning if self.chores.is_empty() => {
                self.phase = Phase::Over;
                self.events.push_back(ConnectionEvent::Closed(Ok(())));
            }
            Phase::Cleaning | Phase::Over => {}
        }
    }

    fn keep_alive(&mut self, now: Instant) {
        let first = self.role == Role::Dialer && !self.outbound.any_sealed();
        let due = if first {
            self.started.after(self.config.confirm_after)
        } else {
            self.outbound.last_sealed.after(self.config.ping_interval)
        };
        if due <= now && self.outbound.may_ping() {
            self.outbound.ping();
        }
    }

    fn ping_deadline(&self) -> Option<Instant> {
        if self.phase != Phase::Open || !self.outbound.may_ping() {
            return None;
        }
        let first = self.role == Role::Dialer && !self.outbound.any_sealed();
        Some(if first {
            self.started.after(self.config.confirm_after)
        } else {
            self.outbound.last_sealed.after(self.config.ping_interval)
        })
    }

    /// When silence ends the connection: never while it is the application that holds us back,
    /// and not after the peer's own end.
    fn idle_deadline(&self) -> Option<Instant> {
        if self.phase != Phase::Open || self.inbound.fin || self.inbound.is_full(&self.config) {
            return None;
        }
        let silent = self.heard.after(self.config.idle_timeout);
        let gone = self.inbound.missing_since;
        let gone = gone.map(|since| since.after(self.config.connect_timeout));
        Some(gone.map_or(silent, |gone| gone.min(silent)))
    }

    fn silence(&self) -> Error {
        if self.inbound.missing_since.is_some() {
            Error::Store(Failure::new(
                FailureKind::NotFound,
                "the session was deleted while it was in use; open a new connection",
            ))
        } else if self.inbound.gap {
            Error::Store(Failure::new(
                FailureKind::NotFound,
                "a part of the stream never came though later ones did; open a new connection",
            ))
        } else if self.outbound.fin_stored() {
            Error::Timeout(Timer::Close)
        } else {
            Error::Timeout(Timer::Idle)
        }
    }

    fn news(&mut self, now: Instant, news: News) {
        if news.opened {
            self.heard = now;
            if !self.confirmed {
                self.confirmed = true;
                self.events.push_back(ConnectionEvent::Confirmed);
                if self.role == Role::Listener {
                    let operation = Operation::DeleteToken { id: self.id };
                    self.chores.push_back(Task::new(operation, now));
                }
            }
        }
        if news.fin {
            self.events.push_back(ConnectionEvent::PeerFinished);
        }
        if self.outbound.budget_warning(&self.config) || self.inbound.budget_warning(&self.config) {
            self.events.push_back(ConnectionEvent::DataBudgetWarning);
        }
        self.peer_done |= news.done;
        self.greeted |= news.greeted;
        let patience = self.ping_patience();
        if let Phase::Parting { until } = &mut self.phase
            && news.opened
        {
            *until = now
                .after(self.config.close_timeout.max(patience))
                .max(*until);
        }
    }

    fn reply(
        &mut self,
        now: Instant,
        id: RequestId,
        result: Result<Reply, Failure>,
    ) -> Result<(), Error> {
        if let Some(chore) = self.chores.front_mut().filter(|chore| chore.is(id)) {
            let again = match result {
                Ok(_) => false,
                // What cannot be cleaned up now is left to the janitor.
                Err(failure) => {
                    let again = chore.failed(now, &self.config, failure).is_ok();
                    self.clean &= again;
                    again
                }
            };
            if !again {
                self.chores.pop_front();
                self.chores.shrink_to_fit();
            }
            return Ok(());
        }
        if matches!(self.phase, Phase::Cleaning | Phase::Over) {
            // The stream is over: what is still under way changes nothing.
            return Ok(());
        }
        let releases = &mut self.inbound.releases;
        if releases.owns(id) {
            return releases.reply(now, id, result, &self.config, &mut self.stats);
        }
        if self.inbound.owns(id) {
            return match result {
                Ok(reply) => {
                    let (profile, config) = (&self.profile, &self.config);
                    let stats = &mut self.stats;
                    let news = self.inbound.reply(now, reply, profile, config, stats)?;
                    self.news(now, news);
                    Ok(())
                }
                Err(failure) => self
                    .inbound
                    .failed(now, &failure, &self.profile, &self.config),
            };
        }
        match result {
            Ok(_) => {
                let (profile, config) = (&self.profile, &self.config);
                let stats = &mut self.stats;
                let asked = self.outbound.done(now, id, profile, config, stats);
                if let Some(took) = asked
                    && self.outbound.is_flushed()
                {
                    self.inbound.expect(now, took);
                }
            }
            Err(failure) => {
                self.outbound.failed(now, id, &failure, &self.config)?;
            }
        }
        Ok(())
    }

    fn next_request(&mut self, now: Instant) -> Result<Option<Request>, Error> {
        let (profile, config) = (&self.profile, &self.config);
        if let Some(chore) = self.chores.front_mut()
            && let Some(request) = chore.start(now, &mut self.ids, config.request_timeout)
        {
            add(&mut self.stats.other_requests, 1);
            return Ok(Some(request));
        }
        if matches!(self.phase, Phase::Over | Phase::Cleaning) {
            return Ok(None);
        }
        let out = &mut self.outbound;
        if let Some(request) = out.poll(now, profile, config, &mut self.ids, &mut self.stats)? {
            return Ok(Some(request));
        }
        if !self.wants_input() {
            return Ok(None);
        }
        let (ids, stats) = (&mut self.ids, &mut self.stats);
        let bulk = self.outbound.is_bulk();
        Ok(self.inbound.poll(now, bulk, profile, config, ids, stats))
    }

    /// After the peer's end only a listener looks again, for the farewell.
    fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Open => !self.inbound.fin,
            Phase::Leaving { .. } => !self.inbound.fin && self.outbound.is_closing(),
            Phase::Parting { .. } => true,
            Phase::Cleaning | Phase::Over => false,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let chore = self.chores.front().and_then(Task::deadline);
        if matches!(self.phase, Phase::Over | Phase::Cleaning) {
            return chore;
        }
        let until = match self.phase {
            Phase::Leaving { until } | Phase::Parting { until } => Some(until),
            _ => None,
        };
        let inbound = self
            .wants_input()
            .then(|| self.inbound.deadline(&self.config))
            .flatten();
        [
            chore,
            until,
            inbound,
            self.outbound.deadline(),
            self.ping_deadline(),
            self.idle_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Machine for Connection {
    type Event = ConnectionEvent;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        let outcome = match input {
            Input::Reply(id, result) => self.reply(now, id, result),
            Input::Time => Ok(()),
            _ => return Err(Error::Misuse("this connection is fed by store replies")),
        };
        match outcome {
            Ok(()) => self.advance(now),
            Err(misuse @ Error::Misuse(_)) => return Err(misuse),
            Err(error) => self.fail(error),
        }
        self.error.clone().map_or(Ok(()), Err)
    }

    fn poll(&mut self, now: Instant) -> Output<ConnectionEvent> {
        self.fetch = false;
        self.advance(now);
        if let Some(event) = self.events.pop_front() {
            self.events.shrink_to_fit();
            return Output::Event(event);
        }
        match self.next_request(now) {
            Ok(Some(request)) => return Output::Store(request),
            Ok(None) => {}
            Err(error) => self.fail(error),
        }
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Wait(self.deadline()),
        }
    }
}
