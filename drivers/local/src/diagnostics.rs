//! What was found and not read: counted, so that somebody can see why nothing arrives.

use crate::lock;
use std::path::Path;
use std::sync::Mutex;

/// Files that were found and passed over. Each look at the same file counts again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// Files that were short, zero-filled or failed their check sum: perhaps still on their way.
    pub torn: u64,
    /// Files that can never become right: no file of ours, too large, the wrong number.
    pub malformed: u64,
    /// Entries of the handshake directory whose names are not plain.
    pub unnamed: u64,
    /// Files already read that could not be removed.
    pub kept: u64,
    /// The last file passed over and why: one line with its path.
    pub last: Option<String>,
}

/// Why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    Torn(&'static str),
    Malformed(&'static str),
}

#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Diagnostics>);

impl Journal {
    pub(crate) fn read(&self) -> Diagnostics {
        lock(&self.0).clone()
    }

    pub(crate) fn doubt(&self, path: &Path, doubt: Doubt) {
        let (Doubt::Torn(why) | Doubt::Malformed(why)) = doubt;
        self.note(path, why, |found| match doubt {
            Doubt::Torn(_) => &mut found.torn,
            Doubt::Malformed(_) => &mut found.malformed,
        });
    }

    pub(crate) fn unnamed(&self, path: &Path) {
        self.note(path, "the name is not plain", |found| &mut found.unnamed);
    }

    pub(crate) fn kept(&self, path: &Path) {
        self.note(path, "it was read and cannot be removed", |found| {
            &mut found.kept
        });
    }

    fn note(&self, path: &Path, why: &str, count: impl Fn(&mut Diagnostics) -> &mut u64) {
        let mut found = lock(&self.0);
        let counter = count(&mut found);
        *counter = counter.saturating_add(1);
        found.last = Some(format!("{path:?}: {why}"));
    }
}
