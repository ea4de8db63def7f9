//! Making and removing sessions.

use super::bootstrap::absent;
use super::{Inner, is_directory};
use crate::failure::failure;
use crate::file::{self, Found, Kind};
use crate::lock;
use std::fs;
use std::path::Path;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, FailureKind, Reply};

pub(super) const MARK: &str = "mark";

/// A session's directories; its own first.
const PLACES: [&str; 4] = ["req", "req/0", "res", "res/0"];

impl Inner {
    pub(super) fn create_session(
        &self,
        id: &ConnectionId,
        mark: [u8; 16],
    ) -> Result<Reply, Failure> {
        // One at a time: a try that was given up may still be at it while the next one begins.
        let mut made = lock(&self.made);
        is_directory(&self.sessions())?;
        let home = self.sessions().join(id.to_string());
        let new = match self.publisher.directory(&home) {
            Ok(new) => new,
            Err(failure) if failure.kind == FailureKind::Refused => return Err(foreign(&home)),
            Err(failure) => return Err(failure),
        };
        if !new && !bears(&home, mark)? {
            return Err(foreign(&home));
        }
        made.sessions.insert(*id, mark);
        if let Err(failure) = self.furnish(&home, mark) {
            if new && fs::remove_dir_all(&home).is_ok() {
                made.sessions.remove(id);
            }
            return Err(failure);
        }
        Ok(Reply::Session {
            req: format!("{id}/req"),
            res: format!("{id}/res"),
        })
    }

    fn furnish(&self, home: &Path, mark: [u8; 16]) -> Result<(), Failure> {
        let head = file::head(Kind::Mark, 0, &[mark.len() as u32], &mark);
        self.publisher.publish(&home.join(MARK), &head, &mark)?;
        for place in PLACES {
            self.publisher.directory(&home.join(place))?;
        }
        Ok(())
    }

    /// Removes a session that this store made. It loses its name first, so that a peer that is
    /// still writing cannot hold the removal up.
    pub(super) fn delete_session(&self, id: &ConnectionId) -> Result<Reply, Failure> {
        let mut made = lock(&self.made);
        let home = self.sessions().join(id.to_string());
        let gone = self.sessions().join(format!(".gone-{id}"));
        if is_directory(&home)? {
            let ours = match made.sessions.get(id) {
                Some(mark) => bears(&home, *mark)?,
                None => false,
            };
            if !ours {
                return Err(foreign(&home));
            }
            absent(fs::remove_dir_all(&gone)).map_err(|e| failure("remove", &gone, &e))?;
            fs::rename(&home, &gone).map_err(|e| failure("remove", &home, &e))?;
        }
        if made.sessions.contains_key(id) {
            absent(fs::remove_dir_all(&gone)).map_err(|e| failure("remove", &gone, &e))?;
            made.sessions.remove(id);
        }
        Ok(Reply::Done)
    }
}

fn bears(home: &Path, mark: [u8; 16]) -> Result<bool, Failure> {
    let path = home.join(MARK);
    match file::message(&path, Kind::Mark).map_err(|e| failure("read", &path, &e))? {
        Found::Whole(found) => Ok(found == mark),
        Found::Missing | Found::Doubtful(_) => Ok(false),
    }
}

pub(super) fn foreign(home: &Path) -> Failure {
    Failure::new(
        FailureKind::Exists,
        format!("{home:?} was not made by this listener and was left untouched"),
    )
}
