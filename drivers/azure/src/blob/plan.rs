//! Operations, checked, and turned into their first step.

use super::BlobStore;
use super::listing::{LONGEST_MARKER, LONGEST_MESSAGE};
use super::session::{BlobSession, Place};
use super::sweep::Sweep;
use super::task::Task;
use base64ct::{Base64, Encoding as _};
use core::fmt::Write as _;
use stillwire_core::store::{Direction, Failure, FailureKind, Operation, Reply};

/// Longest blob name.
const LONGEST_NAME: usize = 1_024;

pub(super) fn refused(what: &str) -> Failure {
    Failure::new(FailureKind::Refused, what)
}

/// The first step of an operation.
pub(super) fn plan(
    store: &BlobStore,
    session: Option<&BlobSession>,
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
            Task::LookAround
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
                payload: Base64::encode_string(message),
            }
        }
        Operation::ListHandshakes { after, limit } => {
            owner()?;
            if *limit == 0 || after.as_ref().is_some_and(|a| a.len() > LONGEST_MARKER) {
                return Err(refused("a page of no entries, or after an impossible one"));
            }
            Task::List {
                after: after.clone(),
                // The service gives no more than 5,000 at once.
                limit: (*limit).min(5_000),
            }
        }
        Operation::DeleteHandshake { name } => {
            owner()?;
            // A URL cannot name these: they would be taken as steps in its path.
            if name.is_empty() || name.len() > LONGEST_NAME || matches!(name.as_str(), "." | "..") {
                return Err(refused("not the name of a blob"));
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
            Task::CreateContainer { id: *id, mark: hex }
        }
        Operation::DeleteSession { id } => {
            owner()?;
            if store.home().created().contains(id) {
                Task::DeleteContainer { id: *id }
            } else {
                Task::CheckOurs { id: *id }
            }
        }
        Operation::ListSessions { after, limit } => {
            owner()?;
            if *limit == 0 || after.as_ref().is_some_and(|a| a.len() > LONGEST_MARKER) {
                return Err(refused("a page of no entries, or after an impossible one"));
            }
            Task::Sweep(Sweep::List {
                after: after.clone(),
                limit: (*limit).min(5_000),
            })
        }
        Operation::SessionAge { id } => {
            owner()?;
            Task::Sweep(Sweep::Mark { id: *id })
        }
        Operation::SweepSession { id } => {
            owner()?;
            Task::CheckOurs { id: *id }
        }
        Operation::Write { bytes, .. } => {
            let session = session()?;
            if bytes.is_empty() {
                return Err(refused("nothing to write"));
            }
            if bytes.len() > store.inner.limits.bytes_per_write {
                let what = "more bytes than one append takes";
                return Err(Failure::new(FailureKind::TooLarge, what));
            }
            Task::Append {
                place: session.place(Direction::Outbound),
                session,
                bytes: bytes.clone(),
            }
        }
        Operation::Read { limit, .. } => {
            let session = session()?;
            if *limit == 0 {
                return Err(refused("a read of no bytes"));
            }
            Task::Read {
                place: session.place(Direction::Inbound),
                session,
                limit: (*limit).min(store.inner.limits.bytes_per_read),
            }
        }
        // Reading leaves everything where it is.
        Operation::Release { .. } => Task::Done(Ok(Reply::Released {
            removed: 0,
            left: 0,
        })),
        Operation::Rotate { direction, number } => rotate(session()?, *direction, *number)?,
    })
}

/// Blob 0 is the listener's to create, with the session: a rotation never makes it.
fn rotate(session: BlobSession, direction: Direction, number: u32) -> Result<Task, Failure> {
    let place = session.place(direction);
    let done = Ok(Task::Done(Ok(Reply::Done)));
    if number != 0 && place.number == number {
        return done; // an earlier try did it
    }
    if place.number.checked_add(1) != Some(number) {
        return Err(refused("a rotation goes to the next blob"));
    }
    match direction {
        Direction::Outbound => Ok(Task::CreateNext {
            session,
            place,
            number,
        }),
        Direction::Inbound => {
            session.advance(direction, place, Place { number, offset: 0 });
            done
        }
    }
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
