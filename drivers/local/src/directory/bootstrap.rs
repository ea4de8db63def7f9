//! The handshake and token directories.

use super::{Inner, is_directory};
use crate::diagnostics::Doubt;
use crate::failure::failure;
use crate::file::{self, Found, Kind};
use crate::{limits, lock, name};
use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, Handshake, Reply};

impl Inner {
    fn handshakes(&self) -> PathBuf {
        self.root.join(&self.options.handshake)
    }

    fn tokens(&self) -> PathBuf {
        self.root.join(&self.options.token)
    }

    pub(super) fn prepare(&self) -> Result<Reply, Failure> {
        let mut made = lock(&self.made);
        if self.publisher.root()? {
            made.directories.push(self.root.clone());
        }
        let mut created = false;
        for path in [self.sessions(), self.handshakes(), self.tokens()] {
            if self.publisher.directory(&path)? {
                created |= path != self.sessions();
                made.directories.push(path);
            }
        }
        Ok(Reply::Prepared { created })
    }

    /// Removes those of the two bootstrap directories that this store made, then what it made and
    /// is empty around them.
    pub(super) fn remove_bootstrap(&self) -> Result<Reply, Failure> {
        let mut made = lock(&self.made);
        for path in [self.handshakes(), self.tokens()] {
            if made.directories.contains(&path) {
                absent(fs::remove_dir_all(&path)).map_err(|e| failure("remove", &path, &e))?;
                made.directories.retain(|directory| *directory != path);
            }
        }
        for path in [self.sessions(), self.root.clone()] {
            if made.directories.contains(&path) && fs::remove_dir(&path).is_ok() {
                made.directories.retain(|directory| *directory != path);
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn put_handshake(
        &self,
        id: &ConnectionId,
        message: &[u8],
    ) -> Result<Reply, Failure> {
        self.put(&self.handshakes(), id, Kind::Handshake, message)
    }

    pub(super) fn put_token(&self, id: &ConnectionId, message: &[u8]) -> Result<Reply, Failure> {
        self.put(&self.tokens(), id, Kind::Token, message)
    }

    fn put(
        &self,
        directory: &Path,
        id: &ConnectionId,
        kind: Kind,
        message: &[u8],
    ) -> Result<Reply, Failure> {
        limits::check_message(message)?;
        is_directory(directory)?;
        let head = file::head(kind, 0, &[message.len() as u32], message);
        let path = directory.join(id.to_string());
        self.publisher.publish(&path, &head, message)?;
        Ok(Reply::Done)
    }

    pub(super) fn token(&self, id: &ConnectionId) -> Result<Reply, Failure> {
        let directory = self.tokens();
        let there = is_directory(&directory)?;
        let path = directory.join(id.to_string());
        match file::message(&path, Kind::Token).map_err(|e| failure("read", &path, &e))? {
            Found::Whole(message) => Ok(Reply::Token(message.into())),
            Found::Missing => Ok(Reply::Nothing { missing: !there }),
            Found::Doubtful(doubt) => {
                self.journal.doubt(&path, doubt);
                Ok(Reply::Nothing { missing: false })
            }
        }
    }

    pub(super) fn delete_token(&self, id: &ConnectionId) -> Result<Reply, Failure> {
        remove(&self.tokens(), &id.to_string())
    }

    pub(super) fn delete_handshake(&self, name: &str) -> Result<Reply, Failure> {
        if !name::is_plain(name) {
            let start: String = name.chars().take(80).collect();
            return Err(limits::refused(&format!(
                "{start:?} is not the name of a handshake entry"
            )));
        }
        remove(&self.handshakes(), name)
    }

    /// One page in the order of names. An entry that is still on its way is not listed; one that
    /// can never be read is listed without a message.
    pub(super) fn list_handshakes(
        &self,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Reply, Failure> {
        let directory = self.handshakes();
        is_directory(&directory)?;
        let (names, next) = self
            .page(&directory, after, usize::from(limit))
            .map_err(|error| failure("list", &directory, &error))?;
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let path = directory.join(&name);
            let message = match file::message(&path, Kind::Handshake) {
                Ok(Found::Whole(message)) => Some(message.into()),
                Ok(Found::Missing) => continue,
                Ok(Found::Doubtful(doubt)) => {
                    self.journal.doubt(&path, doubt);
                    if matches!(doubt, Doubt::Torn(_)) {
                        continue;
                    }
                    None
                }
                // One unreadable entry must not hide the others.
                Err(_) => {
                    let doubt = Doubt::Torn("it cannot be opened");
                    self.journal.doubt(&path, doubt);
                    continue;
                }
            };
            entries.push(Handshake { name, message });
        }
        Ok(Reply::Handshakes { entries, next })
    }

    /// The first `limit` plain names after `after`, and where the next page begins. However many
    /// entries there are, no more names than these are kept.
    fn page(
        &self,
        directory: &Path,
        after: Option<&str>,
        limit: usize,
    ) -> io::Result<(Vec<String>, Option<String>)> {
        let mut smallest: BinaryHeap<String> = BinaryHeap::new();
        let mut more = false;
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            let plain = name.to_str().filter(|name| name::is_plain(name));
            let Some(name) = plain else {
                if !name.as_encoded_bytes().starts_with(b".") {
                    self.journal.unnamed(&directory.join(name));
                }
                continue;
            };
            if after.is_some_and(|after| name <= after) {
                continue;
            }
            if smallest.len() < limit {
                smallest.push(name.to_owned());
                continue;
            }
            more = true;
            if let Some(mut largest) = smallest.peek_mut()
                && name < largest.as_str()
            {
                name.clone_into(&mut largest);
            }
        }
        let names = smallest.into_sorted_vec();
        let next = names.last().filter(|_| more).cloned();
        Ok((names, next))
    }
}

fn remove(directory: &Path, name: &str) -> Result<Reply, Failure> {
    is_directory(directory)?;
    let path = directory.join(name);
    absent(fs::remove_file(&path)).map_err(|e| failure("remove", &path, &e))?;
    Ok(Reply::Done)
}

/// Gone already is as good as removed.
pub(super) fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
