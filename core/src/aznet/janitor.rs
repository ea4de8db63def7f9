//! Removes what is over: entries that were taken, and sessions whose connections ended badly.
//!
//! It only ever names sessions that this listener has made.

use super::ConnectionId;
use super::config::Config;
use super::retry::{Ids, Task};
use crate::store::{Failure, Operation, Reply, Request, RequestId};
use crate::time::Instant;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use core::time::Duration;

/// Removals under way at once.
const AT_ONCE: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    Live,
    /// Ended badly: the peer may still be reading what is there, until then.
    Left {
        until: Instant,
    },
}

pub(super) struct Janitor {
    sessions: BTreeMap<ConnectionId, Session>,
    live: usize,
    next: Option<Instant>,
    waiting: VecDeque<Task>,
    going: VecDeque<Task>,
    keep: Duration,
    stopping: bool,
}

impl Janitor {
    pub(super) fn new(keep: Duration) -> Self {
        Self {
            sessions: BTreeMap::new(),
            live: 0,
            next: None,
            waiting: VecDeque::new(),
            going: VecDeque::new(),
            keep,
            stopping: false,
        }
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn is_idle(&self) -> bool {
        self.sessions.is_empty() && self.waiting.is_empty() && self.going.is_empty()
    }

    /// True while the entry of this connection may still be listed.
    pub(super) fn is_busy_with(&self, id: ConnectionId) -> bool {
        let name = id.to_string();
        self.sessions.contains_key(&id)
            || self.waiting.iter().chain(&self.going).any(
                |task| matches!(task.operation(), Operation::DeleteHandshake { name: n } if *n == name),
            )
    }

    /// A connection was given out: its handshake entry can go.
    pub(super) fn accepted(&mut self, id: ConnectionId, now: Instant) {
        self.sessions.insert(id, Session::Live);
        self.live = self.live.saturating_add(1);
        let name = id.to_string();
        self.plan(Operation::DeleteHandshake { name }, now);
    }

    pub(super) fn ended(&mut self, id: ConnectionId, clean: bool, now: Instant) {
        if self.sessions.get(&id) != Some(&Session::Live) {
            return;
        }
        self.live = self.live.saturating_sub(1);
        if clean {
            self.sessions.remove(&id);
            return;
        }
        let until = if self.stopping {
            now
        } else {
            now.after(self.keep)
        };
        self.sessions.insert(id, Session::Left { until });
        self.next = Some(self.next.map_or(until, |next| next.min(until)));
    }

    /// Removes the entry of a handshake that was answered long ago.
    pub(super) fn forget(&mut self, name: &str, now: Instant) {
        let name = name.to_string();
        self.plan(Operation::DeleteHandshake { name }, now);
    }

    /// Removes a session that never became a connection, and its entries.
    pub(super) fn remove(&mut self, id: ConnectionId, now: Instant) {
        let name = id.to_string();
        self.plan(Operation::DeleteHandshake { name }, now);
        self.plan(Operation::DeleteToken { id }, now);
        self.plan(Operation::DeleteSession { id }, now);
    }

    pub(super) fn stop(&mut self, now: Instant) {
        self.stopping = true;
        for session in self.sessions.values_mut() {
            if let Session::Left { until } = session {
                *until = now;
                self.next = Some(now);
            }
        }
    }

    pub(super) fn advance(&mut self, now: Instant) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        let mut due = VecDeque::new();
        let mut next = None;
        for (id, session) in &self.sessions {
            if let Session::Left { until } = *session {
                if until <= now {
                    due.push_back(*id);
                } else {
                    next = Some(next.map_or(until, |next: Instant| next.min(until)));
                }
            }
        }
        self.next = next;
        for id in due {
            self.sessions.remove(&id);
            self.plan(Operation::DeleteToken { id }, now);
            self.plan(Operation::DeleteSession { id }, now);
        }
    }

    fn plan(&mut self, operation: Operation, now: Instant) {
        self.waiting.push_back(Task::new(operation, now));
    }

    pub(super) fn start(
        &mut self,
        now: Instant,
        ids: &mut Ids,
        timeout: Duration,
    ) -> Option<Request> {
        while self.going.len() < AT_ONCE {
            let Some(task) = self.waiting.pop_front() else {
                break;
            };
            self.going.push_back(task);
        }
        self.going
            .iter_mut()
            .find_map(|task| task.start(now, ids, timeout))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let going = self.going.iter().filter_map(Task::deadline).min();
        [going, self.next].into_iter().flatten().min()
    }

    /// A failure that comes back was given up.
    pub(super) fn reply(
        &mut self,
        now: Instant,
        id: RequestId,
        result: Result<Reply, Failure>,
        config: &Config,
    ) -> Option<Failure> {
        let at = self.going.iter().position(|task| task.is(id))?;
        let mut task = self.going.remove(at)?;
        let failure = result.err()?;
        match task.failed(now, config, failure) {
            Ok(()) => {
                self.going.push_back(task);
                None
            }
            Err(failure) => Some(failure),
        }
    }
}
