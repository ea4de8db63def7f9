//! One end of a session: where it writes, and how far it has read.

use super::is_directory;
use super::publish::Publisher;
use super::reading::Reading;
use crate::diagnostics::Journal;
use crate::file::{self, Kind};
use crate::{limits, lock, name};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Direction, Failure, Reply, Role};

/// One end of a session in a [`DirectoryStore`](super::DirectoryStore). A clone is the same end.
#[derive(Clone)]
pub struct DirectorySession(Arc<Ends>);

struct Ends {
    id: ConnectionId,
    role: Role,
    /// The two locks are apart so that reading and writing overlap; the one for writing is never
    /// held during I/O.
    outbound: Mutex<Place>,
    inbound: Mutex<Reading>,
}

/// The directory a direction is at.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The directory that holds all sessions.
    sessions: PathBuf,
    id: String,
    direction: &'static str,
    number: u32,
    path: PathBuf,
    checked: bool,
}

impl Place {
    fn new(sessions: &Path, id: ConnectionId, direction: &'static str) -> Self {
        let mut place = Self {
            sessions: sessions.into(),
            id: id.to_string(),
            direction,
            number: 0,
            path: PathBuf::new(),
            checked: false,
        };
        place.turn(0);
        place
    }

    fn turn(&mut self, number: u32) {
        self.number = number;
        self.path = self.way().join(number.to_string());
        self.checked = false;
    }

    fn way(&self) -> PathBuf {
        self.sessions.join(&self.id).join(self.direction)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn rotate(&mut self, number: u32) {
        if number != self.number {
            self.turn(number);
        }
    }

    /// Whether every directory on the way is there; fails when one is a link. Once all was well
    /// this is not asked again.
    pub(super) fn check(&mut self) -> Result<bool, Failure> {
        if !self.checked {
            let home = self.sessions.join(&self.id);
            for path in [&self.sessions, &home, &self.way(), &self.path] {
                if !is_directory(path)? {
                    return Ok(false);
                }
            }
            self.checked = true;
        }
        Ok(true)
    }
}

impl DirectorySession {
    pub(super) fn new(sessions: &Path, id: ConnectionId, role: Role) -> Self {
        let (outbound, inbound) = match role {
            Role::Dialer => ("req", "res"),
            Role::Listener => ("res", "req"),
        };
        Self(Arc::new(Ends {
            id,
            role,
            outbound: Mutex::new(Place::new(sessions, id, outbound)),
            inbound: Mutex::new(Reading::new(Place::new(sessions, id, inbound))),
        }))
    }

    pub(super) fn write(
        &self,
        publisher: &Publisher,
        sequence: u64,
        chunks: &[u32],
        bytes: &[u8],
    ) -> Result<Reply, Failure> {
        limits::check_write(sequence, chunks, bytes)?;
        let path = {
            let mut place = lock(&self.0.outbound);
            // What is missing is reported by the write itself.
            place.check()?;
            place.path().join(name::of_chunks(sequence))
        };
        let head = file::head(Kind::Chunks, sequence, chunks, bytes);
        publisher.publish(&path, &head, bytes)?;
        Ok(Reply::Done)
    }

    pub(super) fn read(
        &self,
        journal: &Journal,
        sequence: u64,
        limit: usize,
        again: bool,
    ) -> Result<Reply, Failure> {
        let limit = limits::check_limit(limit)?;
        lock(&self.0.inbound).read(journal, sequence, limit, again)
    }

    pub(super) fn rotate(
        &self,
        publisher: &Publisher,
        direction: Direction,
        number: u32,
    ) -> Result<Reply, Failure> {
        match direction {
            Direction::Inbound => lock(&self.0.inbound).rotate(number)?,
            Direction::Outbound => {
                let mut place = lock(&self.0.outbound);
                let number = limits::check_rotation(place.number(), number)?;
                let mut next = place.clone();
                next.rotate(number);
                publisher.directory(next.path())?;
                *place = next;
            }
        }
        Ok(Reply::Done)
    }
}

impl fmt::Debug for DirectorySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectorySession")
            .field("id", &self.0.id)
            .field("role", &self.0.role)
            .finish_non_exhaustive()
    }
}
