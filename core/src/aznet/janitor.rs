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
    /// Given out. `confirmed`: its dialer has shown that it holds the key.
    Live { confirmed: bool },
    /// Has to give way to others: nobody is on its other end. Or it was refused.
    Overdue,
    /// Ended badly: the peer may still be reading what is there, until then.
    Left { until: Instant },
}

pub(super) struct Janitor {
    sessions: BTreeMap<ConnectionId, Session>,
    live: usize,
    half_open: usize,
    /// Connections as they were given out; those that are no longer half open are passed over.
    order: VecDeque<(Instant, ConnectionId)>,
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
            half_open: 0,
            order: VecDeque::new(),
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

    pub(super) fn half_open(&self) -> usize {
        self.half_open
    }

    fn is_half_open(&self, id: ConnectionId) -> bool {
        self.sessions.get(&id) == Some(&Session::Live { confirmed: false })
    }

    /// The dialer has shown that it holds the key.
    pub(super) fn confirmed(&mut self, id: ConnectionId) {
        if self.is_half_open(id) {
            self.sessions.insert(id, Session::Live { confirmed: true });
            self.half_open = self.half_open.saturating_sub(1);
            self.pass_over();
        }
    }

    /// The oldest half-open connection, if it was given out before `before`: it gives way.
    pub(super) fn give_way(&mut self, before: Instant) -> Option<ConnectionId> {
        let (_, id) = self.order.front().filter(|(since, _)| *since <= before)?;
        let id = *id;
        self.refuse(id);
        Some(id)
    }

    /// There is nothing in it for the peer to read: its session goes as soon as it ends.
    pub(super) fn refuse(&mut self, id: ConnectionId) {
        if let Some(Session::Live { confirmed }) = self.sessions.get(&id) {
            if !confirmed {
                self.half_open = self.half_open.saturating_sub(1);
            }
            self.sessions.insert(id, Session::Overdue);
            self.pass_over();
        }
    }

    /// When the oldest half-open connection was given out.
    pub(super) fn oldest_half_open(&self) -> Option<Instant> {
        self.order.front().map(|(since, _)| *since)
    }

    /// Keeps the front of `order` half open.
    fn pass_over(&mut self) {
        while let Some((_, id)) = self.order.front() {
            if self.is_half_open(*id) {
                return;
            }
            self.order.pop_front();
        }
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
        self.sessions.insert(id, Session::Live { confirmed: false });
        self.live = self.live.saturating_add(1);
        self.half_open = self.half_open.saturating_add(1);
        self.order.push_back((now, id));
        // Confirmed ones in the middle are passed over late; twice as many as live ones is enough.
        if self.order.len() > self.live.saturating_mul(2).saturating_add(64) {
            let sessions = &self.sessions;
            let half_open = Session::Live { confirmed: false };
            self.order
                .retain(|(_, id)| sessions.get(id) == Some(&half_open));
        }
        let name = id.to_string();
        self.plan(Operation::DeleteHandshake { name }, now);
    }

    pub(super) fn ended(&mut self, id: ConnectionId, clean: bool, now: Instant) {
        let overdue = match self.sessions.get(&id) {
            Some(Session::Live { confirmed }) => {
                if !confirmed {
                    self.half_open = self.half_open.saturating_sub(1);
                }
                false
            }
            Some(Session::Overdue) => true,
            Some(Session::Left { .. }) | None => return,
        };
        self.live = self.live.saturating_sub(1);
        if clean {
            self.sessions.remove(&id);
            self.pass_over();
            return;
        }
        let until = if self.stopping || overdue {
            now
        } else {
            now.after(self.keep)
        };
        self.sessions.insert(id, Session::Left { until });
        self.pass_over();
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
