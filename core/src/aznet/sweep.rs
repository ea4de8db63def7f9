//! Cleaning up after listeners that were killed: sessions that bear a mark and in which nothing has
//! happened for long.
//!
//! A connection in use is written to by both ends every `ping_interval`, so a session that has been
//! still for several of them belongs to nobody any more.

use super::ConnectionId;
use super::config::Config;
use super::retry::{Ids, Task};
use crate::error::Error;
use crate::machine::{Input, Machine, Output};
use crate::store::{Failure, FailureKind, MarkedSession, Operation, Reply, Request};
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

/// Sessions worked on at once.
const AT_ONCE: usize = 8;

/// Sessions asked for per page.
const PAGE: u16 = 256;

/// What whoever cleans up is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepEvent {
    /// A session that is to go, or would go.
    Found {
        /// Its name.
        id: ConnectionId,
        /// How long nothing has happened in it.
        still: Duration,
    },
    /// It and its entries in the bootstrap are gone.
    Removed(ConnectionId),
    /// It stays: this is why.
    Kept(ConnectionId, Failure),
    /// It is over: everything was looked at, or this stopped it.
    Finished(Result<(), Error>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asking,
    Entry,
    Token,
    Session,
}

struct Leftover {
    id: ConnectionId,
    stage: Stage,
    task: Task,
}

/// Looks through all sessions once.
pub struct Sweep {
    config: Config,
    older: Duration,
    dry_run: bool,
    ids: Ids,
    listing: Option<Task>,
    waiting: VecDeque<MarkedSession>,
    going: Vec<Leftover>,
    events: VecDeque<SweepEvent>,
    over: bool,
}

impl Sweep {
    /// Starts at once. Sessions go in which nothing has happened for `older`; with `dry_run` they
    /// are only told.
    pub fn new(config: Config, older: Duration, dry_run: bool, now: Instant) -> Self {
        let mut sweep = Self {
            config,
            older,
            dry_run,
            ids: Ids::default(),
            listing: None,
            waiting: VecDeque::new(),
            going: Vec::new(),
            events: VecDeque::new(),
            over: false,
        };
        sweep.list(now, None);
        sweep
    }

    /// True when its last event was given out.
    pub fn is_finished(&self) -> bool {
        self.over && self.events.is_empty()
    }

    fn list(&mut self, now: Instant, after: Option<String>) {
        let operation = Operation::ListSessions { after, limit: PAGE };
        self.listing = Some(Task::new(operation, now));
    }

    fn end(&mut self, result: Result<(), Error>) {
        if !self.over {
            self.over = true;
            self.listing = None;
            self.waiting.clear();
            self.going.clear();
            self.events.push_back(SweepEvent::Finished(result));
        }
    }

    fn listed(&mut self, now: Instant, mut task: Task, result: Result<Reply, Failure>) {
        match result {
            Ok(Reply::Sessions { sessions, next }) => {
                let older = self.older;
                // What is younger cannot have been still for so long.
                let old = sessions.into_iter().filter(|found| found.age >= older);
                self.waiting.extend(old);
                if next.is_some() {
                    self.list(now, next);
                }
            }
            Ok(_) => self.end(Err(Error::Misuse("the reply does not answer the request"))),
            Err(failure) => match task.failed(now, &self.config, failure) {
                Ok(()) => self.listing = Some(task),
                Err(failure) => self.end(Err(Error::Store(failure))),
            },
        }
    }

    fn answered(&mut self, now: Instant, mut found: Leftover, result: Result<Reply, Failure>) {
        let id = found.id;
        match (found.stage, result) {
            (Stage::Asking, Ok(Reply::Age(Some(still)))) if still >= self.older => {
                self.events.push_back(SweepEvent::Found { id, still });
                if !self.dry_run {
                    self.go_on(now, id, Stage::Entry);
                }
            }
            // In use, gone, or not ours.
            (Stage::Asking, Ok(Reply::Age(_))) => {}
            (Stage::Entry, Ok(Reply::Done)) => self.go_on(now, id, Stage::Token),
            (Stage::Token, Ok(Reply::Done)) => self.go_on(now, id, Stage::Session),
            (Stage::Session, Ok(Reply::Done)) => self.events.push_back(SweepEvent::Removed(id)),
            (_, Ok(_)) => self.end(Err(Error::Misuse("the reply does not answer the request"))),
            // Without a bootstrap there are no entries in it.
            (Stage::Entry, Err(failure)) if failure.kind == FailureKind::NotFound => {
                self.go_on(now, id, Stage::Token);
            }
            (Stage::Token, Err(failure)) if failure.kind == FailureKind::NotFound => {
                self.go_on(now, id, Stage::Session);
            }
            (_, Err(failure)) => match found.task.failed(now, &self.config, failure) {
                Ok(()) => self.going.push(found),
                Err(failure) => self.events.push_back(SweepEvent::Kept(id, failure)),
            },
        }
    }

    fn go_on(&mut self, now: Instant, id: ConnectionId, stage: Stage) {
        let operation = match stage {
            Stage::Asking => Operation::SessionAge { id },
            Stage::Entry => Operation::DeleteHandshake {
                name: id.to_string(),
            },
            Stage::Token => Operation::DeleteToken { id },
            Stage::Session => Operation::SweepSession { id },
        };
        let task = Task::new(operation, now);
        self.going.push(Leftover { id, stage, task });
    }

    fn next_request(&mut self, now: Instant) -> Option<Request> {
        while self.going.len() < AT_ONCE {
            let Some(found) = self.waiting.pop_front() else {
                break;
            };
            self.go_on(now, found.id, Stage::Asking);
        }
        let timeout = self.config.request_timeout;
        for found in &mut self.going {
            if let Some(request) = found.task.start(now, &mut self.ids, timeout) {
                return Some(request);
            }
        }
        // Back-pressure: no new page while the last one is not dealt with.
        if !self.waiting.is_empty() {
            return None;
        }
        self.listing.as_mut()?.start(now, &mut self.ids, timeout)
    }

    fn deadline(&self) -> Option<Instant> {
        let going = self.going.iter().filter_map(|found| found.task.deadline());
        let listing = self.listing.as_ref().and_then(Task::deadline);
        going
            .chain(listing.filter(|_| self.waiting.is_empty()))
            .min()
    }
}

impl Machine for Sweep {
    type Event = SweepEvent;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        let (id, result) = match input {
            Input::Reply(id, result) => (id, result),
            Input::Time => return Ok(()),
            _ => return Err(Error::Misuse("a sweep is fed by store replies")),
        };
        if let Some(task) = self.listing.take_if(|task| task.is(id)) {
            self.listed(now, task, result);
        } else if let Some(at) = self.going.iter().position(|found| found.task.is(id)) {
            let found = self.going.swap_remove(at);
            self.answered(now, found, result);
        }
        Ok(())
    }

    fn poll(&mut self, now: Instant) -> Output<SweepEvent> {
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(request) = self.next_request(now) {
            return Output::Store(request);
        }
        if self.listing.is_none() && self.going.is_empty() && self.waiting.is_empty() && !self.over
        {
            self.end(Ok(()));
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
        }
        Output::Wait(self.deadline())
    }
}
