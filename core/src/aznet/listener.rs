//! The accepting side: looks for handshakes, answers them, and cleans up after the dead.

use super::ConnectionId;
use super::candidate::{Candidate, Step};
use super::config::Config;
use super::connection::Connection;
use super::handshake::ListenerSecurity;
use super::janitor::Janitor;
use super::memory::{Known, Memory};
use super::retry::{Ids, Task};
use super::stats::{ListenerStats, add};
use crate::crypto::Rng;
use crate::error::{Class, Error};
use crate::machine::{Input, Machine, Output};
use crate::store::{
    Failure, FailureKind, Handshake, Operation, Profile, Reply, Request, RequestId,
};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// Entries asked for per page.
const PAGE: u16 = 64;

/// How long a listener that is up keeps trying with a credential that is refused: somebody may be
/// changing it.
const REFUSED_FOR: Duration = Duration::from_secs(300);
/// Pause between two such tries.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// What the owner of a listener is told.
pub enum ListenerEvent {
    /// The bootstrap is in place: tickets work from now on.
    Ready,
    /// A new connection. It is unconfirmed until its first chunk opens.
    Accepted(Box<Connection>),
    /// A handshake was refused. Others are not affected.
    Rejected {
        /// The name it was listed under: untrusted text.
        name: String,
        /// Why.
        error: Error,
    },
    /// Others wait for the room of this connection, whose dialer has not shown in time that it
    /// holds the key: abort it, and say so with [`Listener::connection_ended`].
    Overdue(ConnectionId),
    /// Something failed that will be tried again.
    Trouble(Failure),
    /// The listener cannot go on.
    Failed(Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Preparing,
    Serving,
    Stopping,
    Over,
}

/// Accepts connections until it is stopped.
pub struct Listener {
    config: Config,
    profile: Profile,
    security: ListenerSecurity,
    rng: Rng,
    ids: Ids,
    phase: Phase,
    made_bootstrap: bool,
    /// Prepare, then one listing after the other, at last the removal of the bootstrap.
    main: Option<Task>,
    /// Where the round of listings goes on.
    after: Option<String>,
    /// Entries of the last page that have not been looked at.
    waiting: VecDeque<Handshake>,
    candidates: Vec<Candidate>,
    memory: Memory,
    janitor: Janitor,
    events: VecDeque<ListenerEvent>,
    error: Option<Error>,
    /// Since when storage refuses our credential.
    refused_since: Option<Instant>,
    stats: ListenerStats,
}

impl Listener {
    /// A listener that starts at once. `seed`: 32 random bytes, used for nothing else.
    pub fn new(
        config: Config,
        profile: Profile,
        security: ListenerSecurity,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        Self {
            memory: Memory::new(config.replay_memory, config.replay_entries),
            janitor: Janitor::new(config.idle_timeout),
            config,
            profile,
            security,
            rng: Rng::from_seed(seed),
            ids: Ids::default(),
            phase: Phase::Preparing,
            made_bootstrap: false,
            main: Some(Task::new(Operation::Prepare, now)),
            after: None,
            waiting: VecDeque::new(),
            candidates: Vec::new(),
            events: VecDeque::new(),
            error: None,
            refused_since: None,
            stats: ListenerStats::default(),
        }
    }

    /// Takes no new handshakes and cleans up. Finished once every connection has been reported
    /// with [`Listener::connection_ended`].
    pub fn stop(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Stopping | Phase::Over) {
            return;
        }
        // A bootstrap that is being made may have to be removed again: wait for the outcome.
        let undecided = self.phase == Phase::Preparing && self.config.remove_bootstrap;
        self.phase = Phase::Stopping;
        self.main = self.main.take().filter(|main| undecided && main.tries > 0);
        self.waiting.clear();
        // Those whose request is out are decided by its reply.
        let (flying, resting): (Vec<_>, Vec<_>) = core::mem::take(&mut self.candidates)
            .into_iter()
            .partition(|candidate| candidate.deadline().is_none());
        self.candidates = flying;
        for candidate in resting {
            self.give_up(now, &candidate);
        }
        self.janitor.stop(now);
    }

    /// Removes what a candidate has made. What may or may not have been made is left to `gc`, which
    /// looks at our mark.
    fn give_up(&mut self, now: Instant, candidate: &Candidate) {
        if candidate.has_session() {
            self.janitor.remove(candidate.id(), now);
        }
    }

    /// A connection that this listener gave out is over. `clean`: it has removed its own places;
    /// otherwise the janitor does so after the idle time.
    pub fn connection_ended(&mut self, now: Instant, id: ConnectionId, clean: bool) {
        self.janitor.ended(id, clean, now);
    }

    /// A connection that this listener gave out will not be served: its session is not kept for the
    /// dialer to read from, but removed as soon as it ends, which tells the dialer.
    pub fn connection_refused(&mut self, id: ConnectionId) {
        self.janitor.refuse(id);
    }

    /// The dialer of a connection that this listener gave out has shown that it holds the key.
    pub fn connection_confirmed(&mut self, id: ConnectionId) {
        self.janitor.confirmed(id);
    }

    /// Connections given out and not reported as ended.
    pub fn connections(&self) -> usize {
        self.janitor.live()
    }

    /// Of these, how many have not been reported as confirmed.
    pub fn half_open(&self) -> usize {
        self.janitor.half_open()
    }

    /// Counters of the listener's own requests; its connections have theirs.
    pub fn stats(&self) -> ListenerStats {
        self.stats
    }

    /// True when everything is cleaned up after [`Listener::stop`], or after a failure.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Over && self.events.is_empty()
    }

    fn fail(&mut self, error: Error) {
        if self.error.is_none() {
            self.error = Some(error.clone());
            self.phase = Phase::Over;
            self.main = None;
            self.events.push_back(ListenerEvent::Failed(error));
        }
    }

    fn reject(&mut self, name: String, error: Error) {
        add(&mut self.stats.rejected, 1);
        self.events
            .push_back(ListenerEvent::Rejected { name, error });
    }

    fn main_reply(&mut self, now: Instant, result: Result<Reply, Failure>) {
        let Some(mut task) = self.main.take() else {
            return;
        };
        match result {
            Err(failure) => {
                let serving = self.phase == Phase::Serving;
                if serving && self.after.take().is_some() {
                    // A page that cannot be listed must not hide the first one for long.
                    self.events.push_back(ListenerEvent::Trouble(failure));
                    self.list(now, false);
                    return;
                }
                if serving && self.is_refused(now, &failure) {
                    task.again(now, &failure, REFUSED_PAUSE);
                    self.main = Some(task);
                    self.events.push_back(ListenerEvent::Trouble(failure));
                    return;
                }
                match task.failed(now, &self.config, failure) {
                    Ok(()) => self.main = Some(task),
                    // A listener that is up outlives its service's outages.
                    Err(failure) if serving && failure.is_retryable() => {
                        self.events.push_back(ListenerEvent::Trouble(failure));
                        self.list(now, false);
                    }
                    // Nobody waits for it any more.
                    Err(failure) if self.phase == Phase::Stopping => {
                        self.made_bootstrap = false;
                        self.events.push_back(ListenerEvent::Trouble(failure));
                    }
                    Err(failure) => self.fail(Error::Store(failure)),
                }
            }
            Ok(Reply::Prepared { created }) if self.phase == Phase::Stopping => {
                self.made_bootstrap = created;
            }
            Ok(Reply::Prepared { created }) => {
                self.made_bootstrap = created;
                self.phase = Phase::Serving;
                self.events.push_back(ListenerEvent::Ready);
                self.list(now, true);
            }
            Ok(Reply::Handshakes { entries, next }) => {
                self.refused_since = None;
                self.waiting.extend(entries);
                self.after = next;
                self.list(now, self.after.is_some());
            }
            Ok(Reply::Done) if self.phase == Phase::Stopping => self.phase = Phase::Over,
            Ok(_) => self.fail(Error::Misuse("the reply does not answer the request")),
        }
    }

    /// True when storage refuses our credential, and has not done so for long.
    fn is_refused(&mut self, now: Instant, failure: &Failure) -> bool {
        failure.kind == FailureKind::Denied
            && now.since(*self.refused_since.get_or_insert(now)) < REFUSED_FOR
    }

    /// Plans the next look at the waiting handshakes.
    fn list(&mut self, now: Instant, at_once: bool) {
        let operation = Operation::ListHandshakes {
            after: self.after.clone(),
            limit: PAGE,
        };
        let mut task = Task::new(operation, now);
        if !at_once {
            task.repeat(now, self.config.accept_poll);
        }
        self.main = Some(task);
    }

    /// Looks at listed entries while there is room for more candidates.
    fn take_in(&mut self, now: Instant) {
        while !self.waiting.is_empty() && self.make_room(now) {
            let Some(entry) = self.waiting.pop_front() else {
                return;
            };
            self.consider(now, entry);
        }
    }

    /// True when one more handshake may be worked on. Every candidate may become a connection.
    fn has_room(&self) -> bool {
        let candidates = self.candidates.len();
        let connections = self.janitor.live().saturating_add(candidates);
        candidates < self.config.handshakes.max(1)
            && connections < self.config.connections.max(1)
            && !self.is_crowded()
    }

    /// Half-open connections take all the room there is for them.
    fn is_crowded(&self) -> bool {
        let half_open = self.janitor.half_open();
        // One more token than those of dialers that may never come is to be in sight.
        let sight = self
            .profile
            .tokens_in_sight
            .map_or(usize::MAX, |tokens| usize::from(tokens.saturating_sub(1)));
        half_open.saturating_add(self.candidates.len()) >= self.config.half_open.min(sight).max(1)
    }

    /// When the oldest half-open connection has had its time.
    fn patience(&self) -> Option<Instant> {
        let since = self.janitor.oldest_half_open()?;
        Some(since.after(self.config.confirm_timeout))
    }

    fn make_room(&mut self, now: Instant) -> bool {
        if self.is_crowded()
            && self.patience().is_some_and(|until| until <= now)
            && let Some(id) = self.janitor.give_way(now)
        {
            add(&mut self.stats.overdue, 1);
            self.events.push_back(ListenerEvent::Overdue(id));
        }
        self.has_room()
    }

    fn consider(&mut self, now: Instant, entry: Handshake) {
        if self.memory.is_quarantined(&entry.name) {
            return;
        }
        let ephemeral = self.rng.array::<32>().into();
        let mark = self.rng.array();
        let candidate = match Candidate::new(&entry, ephemeral, mark, &self.security, now) {
            Ok(candidate) => candidate,
            Err(error) => {
                // Three looks, then never again (wire page, trap 16).
                if self.memory.fault(&entry.name) {
                    self.reject(entry.name, error);
                }
                return;
            }
        };
        match self.memory.meet(now, candidate.id(), candidate.digest()) {
            Known::New => self.candidates.push(candidate),
            // The entry we are working on, or have taken and not yet removed.
            Known::Same if self.janitor.is_busy_with(candidate.id()) => {}
            Known::Same if self.candidates.iter().any(|c| c.id() == candidate.id()) => {}
            known @ (Known::Same | Known::Other) => {
                if known == Known::Same {
                    // The very message we have answered: nobody else's.
                    self.janitor.forget(&entry.name, now);
                }
                let error = Error::peer(Class::Replay, "this handshake was seen before");
                self.memory.quarantine(&entry.name);
                self.reject(entry.name, error);
            }
            Known::Full => {
                let detail =
                    "too many handshakes are remembered; try later or raise replay_entries";
                if self.memory.turn_away(&entry.name) {
                    self.reject(entry.name, Error::limit(Class::Limit, detail));
                }
            }
        }
    }

    fn candidate_reply(&mut self, now: Instant, at: usize, result: Result<Reply, Failure>) {
        let candidate = self.candidates.swap_remove(at);
        let id = candidate.id();
        let ours = candidate.has_session();
        match candidate.reply(now, result, &self.config) {
            Ok(Step::Going(candidate)) if self.phase == Phase::Stopping => {
                self.give_up(now, &candidate);
            }
            Ok(Step::Done(_)) if self.phase == Phase::Stopping => self.janitor.remove(id, now),
            Ok(Step::Going(candidate)) => self.candidates.push(candidate),
            Ok(Step::Done(split)) => {
                let connection = Connection::new(
                    crate::store::Role::Listener,
                    id,
                    split,
                    self.profile.clone(),
                    self.config.clone(),
                    now,
                );
                self.janitor.accepted(id, now);
                add(&mut self.stats.accepted, 1);
                self.events
                    .push_back(ListenerEvent::Accepted(Box::new(connection)));
            }
            Err(error) => {
                if ours {
                    self.janitor.remove(id, now);
                }
                let name = alloc::string::ToString::to_string(&id);
                self.memory.quarantine(&name);
                self.reject(name, error);
            }
        }
    }

    fn wrap_up(&mut self, now: Instant) {
        let busy = self.main.is_some() || !self.candidates.is_empty() || !self.janitor.is_idle();
        if self.phase != Phase::Stopping || busy {
            return;
        }
        if self.config.remove_bootstrap && self.made_bootstrap {
            self.main = Some(Task::new(Operation::RemoveBootstrap, now));
        } else {
            self.phase = Phase::Over;
        }
    }

    fn next_request(&mut self, now: Instant) -> Option<Request> {
        let request = self.start(now)?;
        self.stats.count(&request);
        Some(request)
    }

    fn start(&mut self, now: Instant) -> Option<Request> {
        let timeout = self.config.request_timeout;
        if self.phase == Phase::Over {
            return None;
        }
        for candidate in &mut self.candidates {
            if let Some(request) = candidate.start(now, &mut self.ids, timeout) {
                return Some(request);
            }
        }
        if let Some(request) = self.janitor.start(now, &mut self.ids, timeout) {
            return Some(request);
        }
        // Back-pressure: no new page while the last one is not dealt with.
        if self.phase == Phase::Serving && !self.waiting.is_empty() {
            return None;
        }
        self.main.as_mut()?.start(now, &mut self.ids, timeout)
    }

    fn deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Over {
            return None;
        }
        let main = self.main.as_ref().and_then(Task::deadline);
        let main = main.filter(|_| self.phase != Phase::Serving || self.waiting.is_empty());
        let candidates = self.candidates.iter().filter_map(Candidate::deadline).min();
        let crowded = !self.waiting.is_empty() && self.is_crowded();
        let patience = self.patience().filter(|_| crowded);
        [main, candidates, patience, self.janitor.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn reply(&mut self, now: Instant, id: RequestId, result: Result<Reply, Failure>) {
        if self.main.as_ref().is_some_and(|task| task.is(id)) {
            self.main_reply(now, result);
        } else if let Some(at) = self.candidates.iter().position(|c| c.is(id)) {
            self.candidate_reply(now, at, result);
        } else if let Some(failure) = self.janitor.reply(now, id, result, &self.config) {
            self.events.push_back(ListenerEvent::Trouble(failure));
        }
    }
}

impl Machine for Listener {
    type Event = ListenerEvent;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        match input {
            Input::Reply(id, result) => self.reply(now, id, result),
            Input::Time => {}
            _ => return Err(Error::Misuse("a listener is fed by store replies")),
        }
        self.error.clone().map_or(Ok(()), Err)
    }

    fn poll(&mut self, now: Instant) -> Output<ListenerEvent> {
        self.take_in(now);
        self.janitor.advance(now);
        self.memory.expire(now);
        self.wrap_up(now);
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        match self.next_request(now) {
            Some(request) => Output::Store(request),
            None => Output::Wait(self.deadline()),
        }
    }
}
