//! The memory store: the same operations within one process.

mod stream;

use crate::{LocalStore, limits, lock};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{
    Direction, Failure, FailureKind, Handshake, Operation, Profile, Reply, Request, Role,
};
use stream::{Cursor, Stream};

/// A store in this process's memory. A clone is the same store.
///
/// It holds what was written until the peer's next `Read` shows that it was taken; like a real
/// store it does not slow a writer down, so a peer that never reads costs memory.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    writes_before_rotation: Option<u32>,
}

#[derive(Default)]
struct State {
    /// [`None`] until `Prepare`.
    bootstrap: Option<Bootstrap>,
    sessions: HashMap<ConnectionId, Session>,
}

#[derive(Default)]
struct Bootstrap {
    handshakes: BTreeMap<String, bytes::Bytes>,
    tokens: HashMap<ConnectionId, bytes::Bytes>,
}

struct Session {
    mark: [u8; 16],
    req: Arc<Mutex<Stream>>,
    res: Arc<Mutex<Stream>>,
}

impl Session {
    /// The stream that `role` writes to.
    fn written_by(&self, role: Role) -> &Arc<Mutex<Stream>> {
        match role {
            Role::Dialer => &self.req,
            Role::Listener => &self.res,
        }
    }
}

/// One end of a session in a [`MemoryStore`]. A clone is the same end.
#[derive(Clone)]
pub struct MemorySession(Arc<Ends>);

struct Ends {
    id: ConnectionId,
    role: Role,
    outbound: Mutex<u32>,
    inbound: Mutex<Cursor>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same store as seen by a listener or dialer that must rotate after so many writes.
    pub fn rotating_after(mut self, writes: u32) -> Self {
        self.writes_before_rotation = Some(writes);
        self
    }

    /// As [`LocalStore::profile`].
    pub fn profile(&self) -> Profile {
        limits::profile(
            "memory",
            self.writes_before_rotation,
            Duration::from_micros(200),
        )
    }

    /// As [`LocalStore::session`].
    pub fn session(&self, id: ConnectionId, role: Role) -> MemorySession {
        MemorySession(Arc::new(Ends {
            id,
            role,
            outbound: Mutex::new(0),
            inbound: Mutex::default(),
        }))
    }

    /// As [`LocalStore::perform`].
    pub fn perform(
        &self,
        session: Option<&MemorySession>,
        request: &Request,
    ) -> Result<Reply, Failure> {
        let session = || session.map(|s| &*s.0).ok_or_else(limits::no_session);
        match &request.operation {
            Operation::Write {
                sequence,
                chunks,
                bytes,
            } => {
                let end = limits::check_write(*sequence, chunks, bytes)?;
                let ends = session()?;
                let stream = self.stream(ends, Direction::Outbound).ok_or_else(gone)?;
                let place = *lock(&ends.outbound);
                lock(&stream).write(place, *sequence..end, chunks, bytes)
            }
            Operation::Read { sequence, limit } => {
                let limit = limits::check_limit(*limit)?;
                let ends = session()?;
                let Some(stream) = self.stream(ends, Direction::Inbound) else {
                    return Ok(Reply::Nothing { missing: true });
                };
                let mut cursor = lock(&ends.inbound);
                let again = request.may_have_landed;
                Ok(lock(&stream).read(&mut cursor, *sequence, limit, again))
            }
            Operation::Rotate { direction, number } => {
                let ends = session()?;
                match direction {
                    Direction::Inbound => lock(&ends.inbound).rotate(*number)?,
                    Direction::Outbound => {
                        let stream = self.stream(ends, *direction).ok_or_else(gone)?;
                        let mut place = lock(&ends.outbound);
                        *place = limits::check_rotation(*place, *number)?;
                        lock(&stream).open_place(*place);
                    }
                }
                Ok(Reply::Done)
            }
            operation => lock(&self.state).perform(operation),
        }
    }

    fn stream(&self, ends: &Ends, direction: Direction) -> Option<Arc<Mutex<Stream>>> {
        let writer = match (direction, ends.role) {
            (Direction::Outbound, role) => role,
            (Direction::Inbound, Role::Dialer) => Role::Listener,
            (Direction::Inbound, Role::Listener) => Role::Dialer,
        };
        let state = lock(&self.state);
        let session = state.sessions.get(&ends.id)?;
        Some(Arc::clone(session.written_by(writer)))
    }
}

impl State {
    /// What needs no session of its own.
    fn perform(&mut self, operation: &Operation) -> Result<Reply, Failure> {
        Ok(match operation {
            Operation::Prepare => {
                let created = self.bootstrap.is_none();
                self.bootstrap.get_or_insert_default();
                Reply::Prepared { created }
            }
            Operation::RemoveBootstrap => {
                self.bootstrap = None;
                Reply::Done
            }
            Operation::PutHandshake { id, message } => {
                limits::check_message(message)?;
                let entries = &mut self.bootstrap()?.handshakes;
                put(
                    entries.entry(id.to_string()).or_insert(message.clone()),
                    message,
                )?
            }
            Operation::PutToken { id, message } => {
                limits::check_message(message)?;
                let entries = &mut self.bootstrap()?.tokens;
                put(entries.entry(*id).or_insert(message.clone()), message)?
            }
            Operation::ListHandshakes { after, limit } => self
                .bootstrap()?
                .page(after.as_deref(), usize::from(*limit)),
            Operation::DeleteHandshake { name } => {
                self.bootstrap()?.handshakes.remove(name);
                Reply::Done
            }
            Operation::GetToken { id } => match &self.bootstrap {
                Some(bootstrap) => match bootstrap.tokens.get(id) {
                    Some(message) => Reply::Token(message.clone()),
                    None => Reply::Nothing { missing: false },
                },
                None => Reply::Nothing { missing: true },
            },
            Operation::DeleteToken { id } => {
                self.bootstrap()?.tokens.remove(id);
                Reply::Done
            }
            Operation::CreateSession { id, mark } => {
                let session = self.sessions.entry(*id).or_insert_with(|| Session {
                    mark: *mark,
                    req: Arc::default(),
                    res: Arc::default(),
                });
                if session.mark != *mark {
                    return Err(Failure::new(
                        FailureKind::Exists,
                        format!("the session {id} is somebody else's and was left untouched"),
                    ));
                }
                Reply::Session {
                    req: format!("{id}/req"),
                    res: format!("{id}/res"),
                }
            }
            Operation::DeleteSession { id } => {
                self.sessions.remove(id);
                Reply::Done
            }
            Operation::Release { .. } => limits::NOTHING_TO_RELEASE,
            // Nothing outlives its process here: there is nobody to clean up after.
            Operation::ListSessions { .. } => Reply::Sessions {
                sessions: Vec::new(),
                next: None,
            },
            Operation::SessionAge { .. } => Reply::Age(None),
            Operation::SweepSession { .. } => {
                return Err(limits::refused("a store in memory is never cleaned up"));
            }
            Operation::Write { .. } | Operation::Read { .. } | Operation::Rotate { .. } => {
                return Err(limits::no_session());
            }
        })
    }

    fn bootstrap(&mut self) -> Result<&mut Bootstrap, Failure> {
        self.bootstrap.as_mut().ok_or_else(|| {
            Failure::new(
                FailureKind::NotFound,
                "the memory store is not prepared; start the listener first",
            )
        })
    }
}

impl Bootstrap {
    fn page(&self, after: Option<&str>, limit: usize) -> Reply {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut waiting = self.handshakes.range::<str, _>((from, Bound::Unbounded));
        let entries: Vec<_> = waiting
            .by_ref()
            .take(limit)
            .map(|(name, message)| Handshake {
                name: name.clone(),
                message: Some(message.clone()),
            })
            .collect();
        let next = entries
            .last()
            .filter(|_| waiting.next().is_some())
            .map(|entry| entry.name.clone());
        Reply::Handshakes { entries, next }
    }
}

/// An entry that is there already must be the very same.
fn put(there: &bytes::Bytes, message: &bytes::Bytes) -> Result<Reply, Failure> {
    if there == message {
        return Ok(Reply::Done);
    }
    Err(Failure::new(
        FailureKind::Conflict,
        "somebody else left another message under this connection id; it was left untouched",
    ))
}

fn gone() -> Failure {
    Failure::new(
        FailureKind::NotFound,
        "the session is not there; it was never made, or it was removed",
    )
}

impl LocalStore for MemoryStore {
    type Session = MemorySession;

    fn profile(&self) -> Profile {
        Self::profile(self)
    }

    fn session(&self, id: ConnectionId, role: Role) -> MemorySession {
        Self::session(self, id, role)
    }

    fn perform(
        &self,
        session: Option<&MemorySession>,
        request: &Request,
    ) -> Result<Reply, Failure> {
        Self::perform(self, session, request)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl fmt::Debug for MemorySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySession")
            .field("id", &self.0.id)
            .field("role", &self.0.role)
            .finish_non_exhaustive()
    }
}
