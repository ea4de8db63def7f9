//! A store in a few lines, two machines, and a clock that jumps to the next deadline.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use stillwire_core::aznet::{
    Config, Connection, ConnectionEvent, ConnectionId, Dialer, DialerEvent, DialerSecurity,
    Listener, ListenerEvent, ListenerSecurity,
};
use stillwire_core::store::{
    Direction, Failure, FailureKind, Handshake, MarkedSession, Operation, Profile, Reply, Request,
    Role,
};
use stillwire_core::{Channel, Error, Input, Instant, Machine, Output, Read};

pub(crate) fn profile() -> Profile {
    Profile {
        name: "test",
        largest_chunk: 4_096,
        bytes_per_write: 16_384,
        bytes_per_read: 16_384,
        writes_in_flight: 1,
        releases_in_flight: 0,
        writes_before_rotation: Some(5),
        sequences: None,
        tokens_in_sight: None,
        shortest_poll: Duration::from_millis(10),
    }
}

pub(crate) fn config() -> Config {
    Config {
        send_buffer: 16_384,
        receive_buffer: 16_384,
        ..Config::default()
    }
}

#[derive(Default)]
pub(crate) struct Session {
    pub(crate) mark: [u8; 16],
    /// Places per direction: what the dialer writes, what the listener writes.
    pub(crate) req: Vec<Vec<u8>>,
    pub(crate) res: Vec<Vec<u8>>,
    /// How long nothing has happened in it, for clean-up.
    pub(crate) still: Duration,
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) handshakes: BTreeMap<String, Bytes>,
    pub(crate) tokens: BTreeMap<ConnectionId, Bytes>,
    pub(crate) sessions: BTreeMap<ConnectionId, Session>,
    pub(crate) deleted: Vec<ConnectionId>,
    pub(crate) log: Vec<Operation>,
    /// Faults to answer with, by the number of the request in `log`.
    pub(crate) faults: BTreeMap<usize, Failure>,
    /// Faulty requests take effect all the same.
    pub(crate) landed: bool,
    /// What removing a session fails with.
    pub(crate) undeletable: Option<Failure>,
    /// The bootstrap is there already.
    pub(crate) bootstrap: bool,
}

/// Where a connection's end is in its two directions.
#[derive(Default)]
pub(crate) struct Cursor {
    write_place: usize,
    read_place: usize,
    read_at: usize,
}

impl Store {
    pub(crate) fn perform(
        &mut self,
        end: Option<(ConnectionId, Role, &mut Cursor)>,
        request: &Request,
    ) -> Result<Reply, Failure> {
        let number = self.log.len();
        self.log.push(request.operation.clone());
        if let Some(failure) = self.faults.remove(&number) {
            if self.landed {
                let _ = self.act(end, request);
            }
            return Err(failure);
        }
        self.act(end, request)
    }

    fn act(
        &mut self,
        end: Option<(ConnectionId, Role, &mut Cursor)>,
        request: &Request,
    ) -> Result<Reply, Failure> {
        let missing = || Failure::new(FailureKind::NotFound, "no such place");
        Ok(match request.operation.clone() {
            Operation::Prepare => Reply::Prepared {
                created: !self.bootstrap,
            },
            Operation::PutHandshake { id, message } => {
                self.handshakes.insert(id.to_string(), message);
                Reply::Done
            }
            Operation::ListHandshakes { after, limit } => {
                let mut entries: Vec<_> = self
                    .handshakes
                    .iter()
                    .filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after))
                    .map(|(name, message)| Handshake {
                        name: name.clone(),
                        message: Some(message.clone()),
                    })
                    .collect();
                let more = entries.len() > usize::from(limit);
                entries.truncate(limit.into());
                let next = more.then(|| entries.last().unwrap().name.clone());
                Reply::Handshakes { entries, next }
            }
            Operation::DeleteHandshake { name } => {
                self.handshakes.remove(&name);
                Reply::Done
            }
            Operation::PutToken { id, message } => {
                self.tokens.insert(id, message);
                Reply::Done
            }
            Operation::GetToken { id } => match self.tokens.get(&id) {
                Some(message) => Reply::Token(message.clone()),
                None => Reply::Nothing { missing: true },
            },
            Operation::DeleteToken { id } => {
                self.tokens.remove(&id);
                Reply::Done
            }
            Operation::CreateSession { id, mark } => {
                if self.sessions.get(&id).is_some_and(|s| s.mark != mark) {
                    return Err(Failure::new(FailureKind::Exists, "it exists"));
                }
                let session = self.sessions.entry(id).or_default();
                session.mark = mark;
                session.req.resize(session.req.len().max(1), Vec::new());
                session.res.resize(session.res.len().max(1), Vec::new());
                Reply::Session {
                    req: "sig=r&x".into(),
                    res: "sig=s".into(),
                }
            }
            Operation::DeleteSession { id } | Operation::SweepSession { id } => {
                if let Some(failure) = &self.undeletable {
                    return Err(failure.clone());
                }
                self.sessions.remove(&id);
                self.deleted.push(id);
                Reply::Done
            }
            Operation::ListSessions { after, limit } => {
                let later = |id: &ConnectionId| {
                    let after = after.as_ref();
                    after.is_none_or(|after| id.to_string() > *after)
                };
                let mut ids: Vec<_> = self.sessions.keys().copied().collect();
                ids.sort_by_key(ToString::to_string);
                ids.retain(later);
                let more = ids.len() > usize::from(limit);
                ids.truncate(limit.into());
                let next = more.then(|| ids.last().unwrap().to_string());
                let marked = |id| MarkedSession {
                    id,
                    age: Duration::from_secs(7_200),
                };
                let sessions = ids.into_iter().map(marked).collect();
                Reply::Sessions { sessions, next }
            }
            Operation::SessionAge { id } => {
                let there = self.sessions.get(&id);
                Reply::Age(there.map(|session| session.still))
            }
            Operation::Write { chunks, bytes, .. } => {
                assert_eq!(
                    chunks.iter().map(|n| *n as usize).sum::<usize>(),
                    bytes.len()
                );
                let (id, role, cursor) = end.unwrap();
                let session = self.sessions.get_mut(&id).ok_or_else(missing)?;
                let places = match role {
                    Role::Dialer => &mut session.req,
                    Role::Listener => &mut session.res,
                };
                let place = places.get_mut(cursor.write_place).ok_or_else(missing)?;
                // A retry of what is there already changes nothing.
                if !(request.may_have_landed && place.ends_with(&bytes)) {
                    place.extend_from_slice(&bytes);
                }
                Reply::Done
            }
            Operation::Read { limit, .. } => {
                let (id, role, cursor) = end.unwrap();
                let Some(session) = self.sessions.get(&id) else {
                    return Ok(Reply::Nothing { missing: true });
                };
                let places = match role {
                    Role::Dialer => &session.res,
                    Role::Listener => &session.req,
                };
                match places.get(cursor.read_place) {
                    None => Reply::Nothing { missing: true },
                    Some(place) if place.len() == cursor.read_at => {
                        Reply::Nothing { missing: false }
                    }
                    Some(place) => {
                        let end = place.len().min(cursor.read_at + limit);
                        let bytes = Bytes::copy_from_slice(&place[cursor.read_at..end]);
                        cursor.read_at = end;
                        let more = bytes.len() == limit;
                        Reply::Data { bytes, more }
                    }
                }
            }
            Operation::Rotate { direction, number } => {
                let (id, role, cursor) = end.unwrap();
                let session = self.sessions.get_mut(&id).ok_or_else(missing)?;
                match direction {
                    Direction::Inbound => {
                        cursor.read_place = number as usize;
                        cursor.read_at = 0;
                    }
                    Direction::Outbound => {
                        cursor.write_place = number as usize;
                        let places = match role {
                            Role::Dialer => &mut session.req,
                            Role::Listener => &mut session.res,
                        };
                        places.resize(number as usize + 1, Vec::new());
                    }
                }
                Reply::Done
            }
            Operation::Release { .. } => panic!("this carrier wants nothing released"),
            Operation::RemoveBootstrap => {
                self.handshakes.clear();
                self.tokens.clear();
                Reply::Done
            }
        })
    }
}

pub(crate) struct End {
    pub(crate) conn: Connection,
    pub(crate) cursor: Cursor,
    pub(crate) events: Vec<ConnectionEvent>,
    pub(crate) received: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) next: Option<Instant>,
}

impl End {
    fn new(conn: Connection) -> Self {
        Self {
            conn,
            cursor: Cursor::default(),
            events: Vec::new(),
            received: Vec::new(),
            ended: false,
            next: None,
        }
    }

    /// Polls until *wait*, performing what is asked at once.
    pub(crate) fn drive(&mut self, store: &mut Store, now: Instant) {
        loop {
            match self.conn.poll(now) {
                Output::Store(request) => {
                    let place = (self.conn.id(), self.conn.role(), &mut self.cursor);
                    let result = store.perform(Some(place), &request);
                    let _ = self.conn.handle(now, Input::Reply(request.id, result));
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(next) => {
                    self.next = next;
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads all there is.
    pub(crate) fn drain(&mut self, now: Instant) -> Result<(), Error> {
        let mut buffer = [0; 1000];
        loop {
            match self.conn.read(now, &mut buffer)? {
                Read::Data(n) => self.received.extend_from_slice(&buffer[..n]),
                Read::Pending => return Ok(()),
                Read::End => {
                    self.ended = true;
                    return Ok(());
                }
            }
        }
    }

    pub(crate) fn closed(&self) -> Option<&Result<(), Error>> {
        self.events.iter().find_map(|event| match event {
            ConnectionEvent::Closed(how) => Some(how),
            _ => None,
        })
    }
}

/// A dialer and a listener on one store.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) store: Store,
    pub(crate) listener: Listener,
    pub(crate) rejected: Vec<(String, Error)>,
    pub(crate) accepted: Vec<End>,
    pub(crate) overdue: Vec<ConnectionId>,
    pub(crate) trouble: Vec<Failure>,
    pub(crate) failed: Option<Error>,
    pub(crate) listener_next: Option<Instant>,
    pub(crate) ready: bool,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let now = Instant::from_millis(1_000);
        let listener = Listener::new(config, profile(), ListenerSecurity::Nn, [1; 32], now);
        Self {
            now,
            store: Store::default(),
            listener,
            rejected: Vec::new(),
            accepted: Vec::new(),
            overdue: Vec::new(),
            trouble: Vec::new(),
            failed: None,
            listener_next: None,
            ready: false,
        }
    }

    pub(crate) fn drive_listener(&mut self) {
        loop {
            match self.listener.poll(self.now) {
                Output::Store(request) => {
                    let result = self.store.perform(None, &request);
                    let _ = self
                        .listener
                        .handle(self.now, Input::Reply(request.id, result));
                }
                Output::Event(ListenerEvent::Accepted(conn)) => self.accepted.push(End::new(*conn)),
                Output::Event(ListenerEvent::Rejected { name, error }) => {
                    self.rejected.push((name, error));
                }
                Output::Event(ListenerEvent::Ready) => self.ready = true,
                Output::Event(ListenerEvent::Overdue(id)) => self.overdue.push(id),
                Output::Event(ListenerEvent::Trouble(failure)) => self.trouble.push(failure),
                Output::Event(ListenerEvent::Failed(error)) => self.failed = Some(error),
                Output::Wait(next) => {
                    self.listener_next = next;
                    break;
                }
                other => {
                    drop(other);
                    panic!("unexpected output");
                }
            }
        }
    }

    /// Dials and drives both sides until the connection stands or failed.
    pub(crate) fn dial(&mut self, config: Config) -> Result<(End, End), Error> {
        let mut dialer = Dialer::new(config, profile(), &DialerSecurity::Nn, [2; 32], self.now);
        let connected = self.connect(&mut dialer)?;
        let accepted = self.accepted.pop().unwrap();
        Ok((connected, accepted))
    }

    pub(crate) fn connect(&mut self, dialer: &mut Dialer) -> Result<End, Error> {
        loop {
            self.drive_listener();
            let next = loop {
                match dialer.poll(self.now) {
                    Output::Store(request) => {
                        let result = self.store.perform(None, &request);
                        let _ = dialer.handle(self.now, Input::Reply(request.id, result));
                    }
                    Output::Event(DialerEvent::Connected(connected)) => {
                        return Ok(End::new(connected.connection));
                    }
                    Output::Event(DialerEvent::Failed(error)) => return Err(error),
                    Output::Wait(next) => break next,
                    _ => unreachable!(),
                }
            };
            self.now = [next, self.listener_next]
                .into_iter()
                .flatten()
                .min()
                .expect("somebody waits for something")
                .max(self.now);
        }
    }

    /// Lets time pass, driving both ends at each of their deadlines, and draining them if asked.
    pub(crate) fn run(&mut self, ends: &mut [&mut End], drain: bool, time: Duration) {
        let until = self.now.after(time);
        loop {
            for end in ends.iter_mut() {
                end.drive(&mut self.store, self.now);
                let mut had = end.received.len();
                if drain {
                    loop {
                        let _ = end.drain(self.now);
                        end.drive(&mut self.store, self.now);
                        if end.received.len() == had {
                            break;
                        }
                        had = end.received.len();
                    }
                }
            }
            let next = ends.iter().filter_map(|end| end.next).min();
            match next {
                Some(next) if next <= until => self.now = next.max(self.now),
                _ => break,
            }
        }
        self.now = until;
        for end in ends.iter_mut() {
            end.drive(&mut self.store, self.now);
            if drain {
                let _ = end.drain(self.now);
            }
        }
    }
}

pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect()
}
