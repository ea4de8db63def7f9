//! Finding and removing what a listener that was killed has left.

use super::bootstrap::absent;
use super::tree::{MARK, foreign};
use super::{Inner, is_directory};
use crate::failure::failure;
use crate::file::{self, Found, Kind};
use crate::{limits, lock};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, MarkedSession, Reply};

/// What a session is renamed to before it is removed.
const GONE: &str = ".gone-";

/// Places looked at per direction for the newest; a session with more was in use for long.
const MOST_PLACES: usize = 10_000;

impl Inner {
    fn home(&self, id: &ConnectionId) -> PathBuf {
        self.sessions().join(id.to_string())
    }

    fn gone(&self, id: &ConnectionId) -> PathBuf {
        self.sessions().join(format!("{GONE}{id}"))
    }

    /// One page in the order of ids. A removal that was cut short counts as a session.
    pub(super) fn list_sessions(&self, after: Option<&str>, limit: u16) -> Result<Reply, Failure> {
        if limit == 0 {
            return Err(limits::refused("a page of no entries"));
        }
        let sessions = self.sessions();
        let mut page = Reply::Sessions {
            sessions: Vec::new(),
            next: None,
        };
        if !is_directory(&sessions)? {
            return Ok(page);
        }
        let cannot = |error: io::Error| failure("list", &sessions, &error);
        let mut ids = BTreeSet::new();
        for entry in fs::read_dir(&sessions).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let name = name.strip_prefix(GONE).unwrap_or(name);
            if ConnectionId::parse(name.as_bytes()).is_err()
                || after.is_some_and(|after| name <= after)
            {
                continue;
            }
            ids.insert(name.to_owned());
            // However many there are, no more names than this are kept.
            if ids.len() > usize::from(limit).saturating_add(1) {
                ids.pop_last();
            }
        }
        let more = ids.len() > usize::from(limit);
        if more {
            ids.pop_last();
        }
        if let Reply::Sessions { sessions, next } = &mut page {
            *next = ids.last().filter(|_| more).cloned();
            for name in &ids {
                let Ok(id) = ConnectionId::parse(name.as_bytes()) else {
                    continue;
                };
                if let Some(age) = self.made(&id)? {
                    sessions.push(MarkedSession { id, age });
                }
            }
        }
        Ok(page)
    }

    /// How long ago a session was made; [`None`] for what bears no mark.
    fn made(&self, id: &ConnectionId) -> Result<Option<Duration>, Failure> {
        for home in [self.home(id), self.gone(id)] {
            if is_ours(&home)? {
                return Ok(age_of(&home.join(MARK)));
            }
        }
        // A removal may have come as far as the mark: its name says enough.
        match self.gone(id) {
            gone if matches!(is_directory(&gone), Ok(true)) => Ok(age_of(&gone)),
            _ => Ok(None),
        }
    }

    /// Files that come and go touch the places they are in.
    pub(super) fn session_age(&self, id: &ConnectionId) -> Result<Reply, Failure> {
        if self.made(id)?.is_none() {
            return Ok(Reply::Age(None));
        }
        let mut newest: Option<Duration> = None;
        let mut look = |path: &Path| {
            if let Some(age) = age_of(path) {
                newest = Some(newest.map_or(age, |newest| newest.min(age)));
            }
        };
        for home in [self.home(id), self.gone(id)] {
            look(&home);
            for direction in ["req", "res"] {
                let direction = home.join(direction);
                look(&direction);
                let places = match fs::read_dir(&direction) {
                    Ok(places) => places,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(failure("list", &direction, &error)),
                };
                for place in places.take(MOST_PLACES).flatten() {
                    look(&place.path());
                }
            }
        }
        Ok(Reply::Age(newest))
    }

    /// It loses its name first, as when its own listener removes it.
    pub(super) fn sweep_session(&self, id: &ConnectionId) -> Result<Reply, Failure> {
        let mut made = lock(&self.made);
        let (home, gone) = (self.home(id), self.gone(id));
        if is_directory(&home)? {
            if !is_ours(&home)? {
                return Err(foreign(&home));
            }
            absent(fs::remove_dir_all(&gone)).map_err(|e| failure("remove", &gone, &e))?;
            fs::rename(&home, &gone).map_err(|e| failure("remove", &home, &e))?;
        }
        absent(fs::remove_dir_all(&gone)).map_err(|e| failure("remove", &gone, &e))?;
        made.sessions.remove(id);
        Ok(Reply::Done)
    }
}

/// True for a directory with somebody's mark in it.
fn is_ours(home: &Path) -> Result<bool, Failure> {
    // A link or a file in its place is not ours, and no reason to stop.
    if !matches!(is_directory(home), Ok(true)) {
        return Ok(false);
    }
    let path = home.join(MARK);
    let found = file::message(&path, Kind::Mark).map_err(|e| failure("read", &path, &e))?;
    Ok(matches!(found, Found::Whole(mark) if mark.len() == 16))
}

/// Time since the last change, by this machine's clock; nothing is from the future.
fn age_of(path: &Path) -> Option<Duration> {
    let changed = path.symlink_metadata().and_then(|found| found.modified());
    let age = SystemTime::now().duration_since(changed.ok()?);
    Some(age.unwrap_or_default())
}
