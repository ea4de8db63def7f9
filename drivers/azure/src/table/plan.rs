//! Operations, checked, and turned into their first step.

use super::session::{Side, TableSession};
use super::sweep::{MOST_TABLES, Sweep};
use super::task::{Insert, Query, Task};
use super::wire::Cursor;
use super::{LARGEST_CHUNK, TableStore};
use bytes::Bytes;
use core::fmt::Write as _;
use stillwire_core::aznet::wire::table::ROWS;
use stillwire_core::store::{Failure, FailureKind, Operation, Reply};

/// Longest message 1 and 2 (wire page `aznet`, Noise).
pub(super) const LONGEST_MESSAGE: usize = 65_535;
/// Longest place of a page taken back.
pub(super) const LONGEST_CURSOR: usize = 16_384;
/// Longest RowKey: 512 characters of UTF-16.
const LONGEST_KEY: usize = 2_048;

pub(super) fn refused(what: &str) -> Failure {
    Failure::new(FailureKind::Refused, what)
}

/// The first step of an operation.
pub(super) fn plan(
    store: &TableStore,
    session: Option<&TableSession>,
    operation: &Operation,
) -> Result<Task, Failure> {
    let owner = || {
        if store.home().owns() {
            Ok(())
        } else {
            Err(refused("only a listener may do this"))
        }
    };
    let session = || {
        session
            .cloned()
            .ok_or_else(|| refused("no session for this"))
    };
    Ok(match operation {
        Operation::Prepare => {
            owner()?;
            Task::PrepareHandshake
        }
        Operation::RemoveBootstrap => {
            owner()?;
            if !store.home().made_bootstrap() {
                return Err(refused(
                    "this listener did not make the bootstrap: left untouched",
                ));
            }
            Task::RemoveHandshakes
        }
        Operation::PutHandshake { id, message } => {
            check_message(message.len())?;
            Task::PutHandshake {
                id: *id,
                message: message.clone(),
            }
        }
        Operation::ListHandshakes { after, limit } => {
            owner()?;
            let after = match after {
                None => None,
                Some(text) if text.len() <= LONGEST_CURSOR => Some(
                    Cursor::parse(text).ok_or_else(|| refused("a page after an impossible one"))?,
                ),
                Some(_) => return Err(refused("a page after an impossible one")),
            };
            if *limit == 0 {
                return Err(refused("a page of no entries"));
            }
            Task::List {
                after,
                // The service gives no more than 1,000 at once.
                limit: usize::from(*limit).min(1_000),
                hops: 0,
            }
        }
        Operation::DeleteHandshake { name } => {
            owner()?;
            if name.len() > LONGEST_KEY {
                return Err(refused("not the key of a row"));
            }
            Task::DeleteHandshake { name: name.clone() }
        }
        Operation::PutToken { id, message } => {
            owner()?;
            check_message(message.len())?;
            Task::PutToken {
                id: *id,
                message: message.clone(),
            }
        }
        Operation::GetToken { id } => Task::GetToken { id: *id },
        Operation::DeleteToken { id } => {
            owner()?;
            Task::DeleteToken { id: *id }
        }
        Operation::CreateSession { id, mark } => {
            owner()?;
            let mut hex = String::with_capacity(32);
            for byte in mark {
                let _ = write!(hex, "{byte:02x}");
            }
            Task::CreateTable {
                id: *id,
                mark: hex,
                side: Side::Req,
            }
        }
        Operation::DeleteSession { id } => {
            owner()?;
            store.removal(*id, Side::Req)
        }
        Operation::ListSessions { after, limit } => {
            owner()?;
            if *limit == 0 || after.as_ref().is_some_and(|a| a.len() > LONGEST_CURSOR) {
                return Err(refused("a page of no entries, or after an impossible one"));
            }
            Task::Sweep(Sweep::List {
                after: after.clone(),
                limit: (*limit).min(MOST_TABLES),
            })
        }
        Operation::SessionAge { id } => {
            owner()?;
            Task::Sweep(Sweep::Made {
                id: *id,
                side: Side::Req,
                newest: None,
            })
        }
        Operation::SweepSession { id } => {
            owner()?;
            Task::CheckOurs {
                id: *id,
                side: Side::Req,
            }
        }
        Operation::Write {
            sequence,
            chunks,
            bytes,
        } => Task::Insert(insert(store, session()?, *sequence, chunks, bytes)?),
        Operation::Read { sequence, limit } => {
            let session = session()?;
            if *limit == 0 {
                return Err(refused("a read of no bytes"));
            }
            if *sequence >= ROWS {
                return Err(Failure::new(
                    FailureKind::Full,
                    "the table's row keys are used up: open a new connection",
                ));
            }
            let most = store.inner.limits.bytes_per_read.max(LARGEST_CHUNK);
            let limit = (*limit).min(most);
            Task::Read(Query {
                rows: session.rows_for(limit),
                session,
                next: *sequence,
                limit,
                after: None,
                hops: 0,
            })
        }
        // Reading leaves everything where it is.
        Operation::Release { .. } => Task::Done(Ok(Reply::Released {
            removed: 0,
            left: 0,
        })),
        Operation::Rotate { .. } => return Err(refused("a table is never rotated")),
    })
}

/// Every chunk becomes a row: the lengths must add up, and the keys must not wrap.
fn insert(
    store: &TableStore,
    session: TableSession,
    sequence: u64,
    chunks: &[u32],
    bytes: &Bytes,
) -> Result<Insert, Failure> {
    if bytes.is_empty() {
        return Err(refused("nothing to write"));
    }
    let most = store.profile().bytes_per_write;
    if bytes.len() > most || chunks.iter().any(|chunk| *chunk as usize > LARGEST_CHUNK) {
        return Err(Failure::new(
            FailureKind::TooLarge,
            "more bytes than one write takes",
        ));
    }
    let total = chunks
        .iter()
        .try_fold(0_usize, |sum, chunk| sum.checked_add(*chunk as usize));
    if total != Some(bytes.len()) || chunks.contains(&0) {
        return Err(refused("the chunks do not add up to the bytes"));
    }
    let end = sequence.checked_add(chunks.len() as u64);
    if end.is_none_or(|end| end > ROWS) {
        return Err(Failure::new(
            FailureKind::Full,
            "the table's row keys are used up: open a new connection",
        ));
    }
    Ok(Insert {
        alone: !store.transacts() || session.writes_single_rows(),
        session,
        sequence,
        chunks: chunks.into(),
        bytes: bytes.clone(),
    })
}

fn check_message(length: usize) -> Result<(), Failure> {
    if length == 0 || length > LONGEST_MESSAGE {
        return Err(Failure::new(
            FailureKind::TooLarge,
            "a handshake message has 1 to 65,535 bytes",
        ));
    }
    Ok(())
}
