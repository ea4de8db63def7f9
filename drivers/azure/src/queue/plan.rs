//! Operations, checked, and turned into their first step.

use super::inbox::Inbox;
use super::messages::{LONGEST_MESSAGE, body};
use super::session::{Deletion, QueueSession, Way};
use super::sweep::{MOST_LISTED, MOST_LOOKS, Place, Sweep};
use super::task::Task;
use super::{BATCH, LARGEST_CHUNK, QueueStore};
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use core::fmt::Write as _;
use stillwire_core::UnixTime;
use stillwire_core::aznet::wire::queue;
use stillwire_core::store::{Failure, FailureKind, Operation, Reply};

pub(super) fn refused(what: &str) -> Failure {
    Failure::new(FailureKind::Refused, what)
}

/// The first step of an operation.
pub(super) fn plan(
    store: &QueueStore,
    session: Option<&QueueSession>,
    operation: &Operation,
    now: UnixTime,
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
    let done = |reply| Task::Done(Ok(reply));
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
        Operation::PutHandshake { message, .. } => {
            check_message(message.len())?;
            let body = body(&Base64::encode_string(message));
            Task::PutHandshake { body }
        }
        Operation::ListHandshakes { limit, .. } => {
            owner()?;
            if *limit == 0 {
                return Err(refused("a page of no entries"));
            }
            // There are no places in a queue to begin at: what was listed is out of sight.
            Task::List {
                count: usize::from(*limit).min(BATCH),
            }
        }
        Operation::DeleteHandshake { name } => {
            owner()?;
            Task::delete_handshake(store, name)
        }
        Operation::PutToken { id, message } => {
            owner()?;
            check_message(message.len())?;
            let text = format!("{id}:{}", Base64::encode_string(message));
            let body = body(&text);
            Task::PutToken { id: *id, body }
        }
        Operation::GetToken { id } => Task::GetToken { id: *id },
        Operation::DeleteToken { id } => {
            owner()?;
            Task::delete_token(store, *id)
        }
        Operation::CreateSession { id, mark } => {
            owner()?;
            let mut hex = String::with_capacity(32);
            for byte in mark {
                let _ = write!(hex, "{byte:02x}");
            }
            Task::Create {
                id: *id,
                mark: hex,
                way: Way::Req,
            }
        }
        Operation::DeleteSession { id } => {
            owner()?;
            Task::remove(store, *id, Way::Req)
        }
        Operation::ListSessions { after, limit } => {
            owner()?;
            let Some(place) = Place::parse(after.as_deref()).filter(|_| *limit > 0) else {
                return Err(refused("a page of no entries, or after an impossible one"));
            };
            let most = match place.way {
                Way::Req => MOST_LISTED,
                Way::Res => MOST_LOOKS,
            };
            let limit = (*limit).min(most);
            Task::Sweep(Sweep::List { place, limit })
        }
        Operation::SessionAge { id } => {
            owner()?;
            Task::Sweep(Sweep::Dated {
                id: *id,
                way: Way::Req,
                newest: None,
            })
        }
        Operation::SweepSession { id } => {
            owner()?;
            Task::CheckOurs {
                id: *id,
                way: Way::Req,
            }
        }
        Operation::Write {
            sequence,
            chunks,
            bytes,
        } => {
            let session = session()?;
            check_chunk(chunks, bytes)?;
            let body = body(&queue::encode(*sequence, bytes));
            match store.register().due(session.id_ref(), now) {
                Some(dates) => Task::Date {
                    session,
                    dates,
                    body,
                },
                None => Task::Put { session, body },
            }
        }
        Operation::Read { sequence, limit } => read(session()?, *sequence, *limit)?,
        Operation::Release { .. } => match Deletion::next(&session()?) {
            Some(deletion) => Task::DeleteMessage(deletion),
            None => done(Reply::Released {
                removed: 0,
                left: 0,
            }),
        },
        Operation::Rotate { .. } => return Err(refused("a queue does not rotate")),
    })
}

/// What was got before its turn is given out without a request.
fn read(session: QueueSession, next: u64, limit: usize) -> Result<Task, Failure> {
    if limit < LARGEST_CHUNK {
        return Err(refused("a read of less than one chunk"));
    }
    let held = Inbox::give(&mut session.inbox(), next, limit);
    Ok(match held {
        Some((bytes, more)) => Task::Done(Ok(Reply::Data { bytes, more })),
        None => Task::Get {
            session,
            next,
            limit,
        },
    })
}

fn check_chunk(chunks: &[u32], bytes: &Bytes) -> Result<(), Failure> {
    if bytes.len() > LARGEST_CHUNK {
        let what = "more bytes than one message takes";
        return Err(Failure::new(FailureKind::TooLarge, what));
    }
    match chunks {
        [length] if usize::try_from(*length) == Ok(bytes.len()) && *length > 0 => Ok(()),
        _ => Err(refused("a message takes exactly one chunk")),
    }
}

fn check_message(length: usize) -> Result<(), Failure> {
    // A message has 64 KiB of text, and a token the id before its base64.
    const LONGEST: usize = 49_080;
    if length == 0 || length > LONGEST.min(LONGEST_MESSAGE) {
        return Err(Failure::new(
            FailureKind::TooLarge,
            "a handshake message in a queue has 1 to 49,080 bytes",
        ));
    }
    Ok(())
}
