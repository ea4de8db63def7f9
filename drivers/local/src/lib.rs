//! Storage on this machine: in memory, or in a directory that both ends can reach.
//!
//! Both stores perform the operations of [`stillwire_core::store`] and share one shape, the trait
//! [`LocalStore`]: ask for a [`profile`](LocalStore::profile), open a
//! [`session`](LocalStore::session), and [`perform`](LocalStore::perform) requests. Calls block
//! for as long as the disk takes and cannot be interrupted: an async runtime makes them on a
//! thread meant for that, and a request's `timeout` is the caller's to keep. One session may read
//! and write at the same time from two threads.
//!
//! ```
//! use std::time::Duration;
//! use stillwire_core::aznet::ConnectionId;
//! use stillwire_core::store::{Operation, Reply, Request, RequestId};
//! use stillwire_local::MemoryStore;
//!
//! let store = MemoryStore::new();
//! let request = |operation| Request {
//!     id: RequestId(0),
//!     operation,
//!     may_have_landed: false,
//!     timeout: Duration::from_secs(1),
//! };
//! store.perform(None, &request(Operation::Prepare))?;
//! let id = ConnectionId::from_random([7; 16]);
//! let message = b"message 1"[..].into();
//! store.perform(None, &request(Operation::PutHandshake { id, message }))?;
//! let page = Operation::ListHandshakes { after: None, limit: 10 };
//! let Reply::Handshakes { entries, .. } = store.perform(None, &request(page))? else {
//!     unreachable!("a listing is answered with a listing")
//! };
//! assert_eq!(entries[0].name, id.to_string());
//! # Ok::<(), stillwire_core::store::Failure>(())
//! ```
//!
//! # Layout of a directory
//!
//! ```text
//! PATH/
//!   handshake/<id>               message 1, left by the dialer
//!   token/<id>                   message 2, left by the listener
//!   sessions/<id>/mark           who made the session: 16 random bytes
//!   sessions/<id>/req/0/<first>  chunks of the dialer; the next place after a rotation is req/1
//!   sessions/<id>/res/0/<first>  chunks of the listener
//! ```
//!
//! `<id>` is the canonical text of a connection id, `<first>` the sequence number of a file's
//! first chunk as 16 lowercase hexadecimal digits. The names `handshake` and `token` can be
//! chosen ([`DirectoryOptions`]). Names that begin with a dot are temporary (`.<pid>-<n>` while a
//! file is written, `.gone-<id>` while a session is removed); what a crash leaves of them is never
//! read. The age of anything is its modification time; that of a session is the newest among its
//! places (`req/*`, `res/*`), since every file added or removed there touches them.
//!
//! **No locks.** Every file has one writer, who writes it under a temporary name in the same
//! directory and then gives it its final name in a step that replaces nothing: a rename that
//! refuses an existing name, else a hard link; where a file system has neither, a check and a
//! rename, which is as safe as the promise of one writer. A reader asks for one exact name.
//! It removes a file when a later `Read` shows that the machine has all of it.
//!
//! **No torn data.** Every file says what it holds (integers are big-endian):
//!
//! | Offset | Size | |
//! |---|---|---|
//! | 0 | 4 | `SwSf` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | kind: 1 handshake, 2 token, 3 chunks, 4 mark |
//! | 6 | 2 | 0 |
//! | 8 | 8 | sequence number of the first chunk; 0 for other kinds |
//! | 16 | 4 | number of chunks *n*; 1 for other kinds |
//! | 20 | 4 | length of all chunks |
//! | 24 | 4 | CRC-32 of bytes 0 to 23 and of the table |
//! | 28 | 8·*n* | table: length and CRC-32 of each chunk |
//! | 28 + 8·*n* | | the chunks back to back |
//!
//! A file that is short, still growing, filled with zeros by a synchronising tool, or wrong in any
//! other way reads as *nothing there yet*, and [`DirectoryStore::diagnostics`] counts it. One that
//! stays so makes the connection's own idle timer run out. The CRC finds accidents; forgery is
//! found by the sealed chunks themselves.
//!
//! **Who can read it.** What the store creates is never open to others: directories are 0700 and
//! files 0600, plus the group's bits if the user gave the directory at PATH such bits before
//! (and as far as the umask lets them). A session's directories are created by the listener only;
//! one that exists and lacks this session's mark is left untouched.
//!
//! **Links.** The final name of a file is never followed if it is a symbolic link, nor is any
//! directory between PATH and it at the time the session first uses it; PATH itself may be a
//! link. Not covered: somebody who may write in the directory and swaps a directory for a link
//! later on, and bind mounts. Do not share a directory with users you would not let write there.
//!
//! **Network volumes.** A client may remember for a while that a name was not there, and so see a
//! new file late (NFS: the mount option `lookupcache=positive` ends that). Late is harmless.
//!
//! **Durability.** By default a write survives a crash of the process, not of the machine: nothing
//! is forced to the disk, and keys are lost in such a crash anyway.
//! [`DirectoryOptions::durable`] forces it.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]
#![allow(
    clippy::unnecessary_debug_formatting,
    reason = "a path may hold line breaks; quoted and escaped it stays one line"
)]

mod diagnostics;
mod directory;
mod failure;
mod file;
mod limits;
mod memory;
mod name;
mod partial;

pub use diagnostics::Diagnostics;
pub use directory::{DirectoryOptions, DirectorySession, DirectoryStore};
pub use memory::{MemorySession, MemoryStore};

use std::sync::{Mutex, MutexGuard, PoisonError};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, Profile, Reply, Request, Role};

/// What the two stores have in common.
///
/// A clone is the same store: what one clone made, another may delete.
pub trait LocalStore: Clone + Send + Sync + 'static {
    /// One end of one session: its places, and how far they have been read.
    type Session: Clone + Send + Sync + 'static;

    /// The numbers the machine plans with.
    fn profile(&self) -> Profile;

    /// One end of a session. Touches nothing; a clone is the same end.
    fn session(&self, id: ConnectionId, role: Role) -> Self::Session;

    /// Performs one try of one operation. `Write`, `Read` and `Rotate` need a session; the others
    /// do not look at it.
    fn perform(&self, session: Option<&Self::Session>, request: &Request)
    -> Result<Reply, Failure>;
}

/// A panic elsewhere leaves our state as whole as it was: every change to it is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
