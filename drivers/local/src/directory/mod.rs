//! The directory store: one file for every message and every write. The layout is in the crate
//! docs.

mod bootstrap;
mod publish;
mod reading;
mod session;
mod sweep;
mod tree;

pub use session::DirectorySession;

use crate::diagnostics::{Diagnostics, Journal};
use crate::failure::failure;
use crate::{LocalStore, limits, name};
use publish::Publisher;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, FailureKind, Operation, Profile, Reply, Request, Role};

const SESSIONS: &str = "sessions";

/// How a [`DirectoryStore`] is laid out and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryOptions {
    /// Name of the directory of waiting handshakes. Letters, digits, `-`, `_` and `.`.
    pub handshake: String,
    /// Name of the directory of answers, under the same rule.
    pub token: String,
    /// Force every write to the disk before it counts. Off: it survives a crash of the process
    /// only.
    pub durable: bool,
    /// Move a direction to a fresh directory after so many writes; [`None`]: never.
    pub writes_before_rotation: Option<u32>,
}

impl Default for DirectoryOptions {
    fn default() -> Self {
        Self {
            handshake: "handshake".into(),
            token: "token".into(),
            durable: false,
            writes_before_rotation: None,
        }
    }
}

/// A store in a directory that both ends can reach.
#[derive(Clone)]
pub struct DirectoryStore(Arc<Inner>);

struct Inner {
    root: PathBuf,
    options: DirectoryOptions,
    publisher: Publisher,
    journal: Journal,
    /// What this store made, and so may remove. Held while making or removing, never on the way
    /// of data.
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    directories: Vec<PathBuf>,
    sessions: HashMap<ConnectionId, [u8; 16]>,
}

impl DirectoryStore {
    /// A store in the directory at `path`, which `Prepare` creates if it is missing.
    ///
    /// Nothing is touched yet. Fails when `path` is something other than a directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Failure> {
        Self::open_with(path, DirectoryOptions::default())
    }

    /// The same with options.
    ///
    /// Fails also when the two bootstrap names are the same, `sessions`, or not plain.
    pub fn open_with(path: impl AsRef<Path>, options: DirectoryOptions) -> Result<Self, Failure> {
        let path = path.as_ref();
        for name in [&options.handshake, &options.token] {
            if !name::is_plain(name) || name == SESSIONS {
                return Err(limits::refused(&format!(
                    "{name:?} cannot be the name of a bootstrap directory; use letters and digits"
                )));
            }
        }
        if options.handshake == options.token {
            return Err(limits::refused(
                "the handshake and token directories need two names",
            ));
        }
        // A later change of the current directory must not move the store.
        let root = std::path::absolute(path).map_err(|e| failure("resolve", path, &e))?;
        if root.metadata().is_ok_and(|found| !found.is_dir()) {
            return Err(limits::refused(&format!(
                "{root:?} is not a directory; choose another path"
            )));
        }
        Ok(Self(Arc::new(Inner {
            publisher: Publisher::new(root.clone(), options.durable),
            root,
            options,
            journal: Journal::default(),
            made: Mutex::default(),
        })))
    }

    /// The directory, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.0.root
    }

    /// What was found in the directory and passed over, by this store and its clones.
    pub fn diagnostics(&self) -> Diagnostics {
        self.0.journal.read()
    }

    /// As [`LocalStore::profile`].
    pub fn profile(&self) -> Profile {
        limits::profile(
            "dir",
            self.0.options.writes_before_rotation,
            Duration::from_millis(1),
        )
    }

    /// As [`LocalStore::session`].
    pub fn session(&self, id: ConnectionId, role: Role) -> DirectorySession {
        DirectorySession::new(&self.0.sessions(), id, role)
    }

    /// As [`LocalStore::perform`].
    pub fn perform(
        &self,
        session: Option<&DirectorySession>,
        request: &Request,
    ) -> Result<Reply, Failure> {
        let store = &*self.0;
        let session = || session.ok_or_else(limits::no_session);
        match &request.operation {
            Operation::Prepare => store.prepare(),
            Operation::RemoveBootstrap => store.remove_bootstrap(),
            Operation::PutHandshake { id, message } => store.put_handshake(id, message),
            Operation::ListHandshakes { after, limit } => {
                store.list_handshakes(after.as_deref(), *limit)
            }
            Operation::DeleteHandshake { name } => store.delete_handshake(name),
            Operation::PutToken { id, message } => store.put_token(id, message),
            Operation::GetToken { id } => store.token(id),
            Operation::DeleteToken { id } => store.delete_token(id),
            Operation::CreateSession { id, mark } => store.create_session(id, *mark),
            Operation::DeleteSession { id } => store.delete_session(id),
            Operation::ListSessions { after, limit } => {
                store.list_sessions(after.as_deref(), *limit)
            }
            Operation::SessionAge { id } => store.session_age(id),
            Operation::SweepSession { id } => store.sweep_session(id),
            Operation::Write {
                sequence,
                chunks,
                bytes,
            } => session()?.write(&store.publisher, *sequence, chunks, bytes),
            Operation::Read { sequence, limit } => {
                let again = request.may_have_landed;
                session()?.read(&store.journal, *sequence, *limit, again)
            }
            Operation::Release { .. } => Ok(limits::NOTHING_TO_RELEASE),
            Operation::Rotate { direction, number } => {
                session()?.rotate(&store.publisher, *direction, *number)
            }
        }
    }
}

impl LocalStore for DirectoryStore {
    type Session = DirectorySession;

    fn profile(&self) -> Profile {
        Self::profile(self)
    }

    fn session(&self, id: ConnectionId, role: Role) -> DirectorySession {
        Self::session(self, id, role)
    }

    fn perform(
        &self,
        session: Option<&DirectorySession>,
        request: &Request,
    ) -> Result<Reply, Failure> {
        Self::perform(self, session, request)
    }
}

impl fmt::Debug for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirectoryStore").field(&self.0.root).finish()
    }
}

impl Inner {
    fn sessions(&self) -> PathBuf {
        self.root.join(SESSIONS)
    }
}

/// True for a directory, false when nothing is there; a link or a file in its place is a failure.
fn is_directory(path: &Path) -> Result<bool, Failure> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) => Err(Failure::new(
            FailureKind::Refused,
            format!("{path:?} is not a directory of its own; remove it or choose another store"),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failure("look at", path, &error)),
    }
}
