//! One try of one operation, as a machine over HTTP requests and responses.

use super::answer::{content_length, content_range, date, header};
use super::listing;
use super::plan::{plan, refused};
use super::session::{BlobSession, Place};
use super::task::{First, Task};
use super::wire::MARK;
use super::{BlobStore, SESSION_REQ_PERMISSIONS, SESSION_RES_PERMISSIONS};
use crate::Service;
use crate::encode::redact;
use crate::exchange::{Outcome, Response, Step, TransportError};
use crate::failure::{Context, Shown, classify, error_code, other_service};
use core::fmt;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Direction, Failure, FailureKind, Reply, Request, RequestId};

/// Bytes of an answer that carries no data of ours.
const SMALL_BODY: usize = 16_384;
/// Bytes of a listing per entry asked for: the service's 8 KiB of metadata, escaped, and a name.
const BODY_PER_ENTRY: usize = 131_072;
/// Bytes of a listing at the most.
const LARGEST_LISTING: usize = 16 * 1_024 * 1_024;

/// One try of one operation.
///
/// Ask [`step`](Self::step) what to do; after sending a request, tell
/// [`handle`](Self::handle) what became of it; repeat until the step is
/// [`Done`](Step::Done). Dropping an exchange is allowed at any point and moves nothing.
pub struct Exchange {
    store: BlobStore,
    id: RequestId,
    now: UnixTime,
    /// This or an earlier try may have taken effect.
    landed: bool,
    task: Task,
}

impl Exchange {
    pub(super) fn begin(
        store: &BlobStore,
        session: Option<&BlobSession>,
        request: &Request,
        now: UnixTime,
    ) -> Result<Self, Failure> {
        let task = plan(store, session, &request.operation)?;
        Ok(Self {
            store: store.clone(),
            id: request.id,
            now,
            landed: request.may_have_landed,
            task,
        })
    }

    /// The id of the request this is a try of.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// What to do next. Asking again changes nothing.
    pub fn step(&self) -> Step {
        match self.task.request(&self.store, self.now) {
            Some(request) => Step::Send(request),
            None => Step::Done(match &self.task {
                Task::Done(result) => result.clone(),
                _ => Err(refused("no request for this step")),
            }),
        }
    }

    /// Bytes of the body worth reading of the response to come. Stop past it, and hand over what
    /// is there.
    pub fn body_limit(&self) -> usize {
        match &self.task {
            Task::Read { limit, .. } => SMALL_BODY.max(*limit),
            Task::GetToken { .. } => listing::LONGEST_MESSAGE,
            Task::Sweep(_) => LARGEST_LISTING,
            Task::List { limit, .. } => BODY_PER_ENTRY
                .saturating_mul(usize::from(*limit))
                .min(LARGEST_LISTING),
            _ => SMALL_BODY,
        }
    }

    /// Takes the outcome of the request that [`step`](Self::step) asked for last.
    /// Once it is over, further outcomes are ignored.
    pub fn handle(&mut self, outcome: Outcome) {
        if matches!(self.task, Task::Done(_)) {
            return;
        }
        let mutates = self.task.mutates();
        let next = match outcome {
            Ok(response) => {
                let status = u16::from(response.0);
                // A refusal or a redirection is certain; anything else about a change is not.
                let refused = (300..500).contains(&status) && status != 408;
                let next = match other_service(&response.1, Service::Blob) {
                    Some(what) => Err(self.fault(FailureKind::Refused, &what)),
                    None => self.accept(&response),
                };
                self.landed |= mutates && !refused;
                next
            }
            Err(error) => {
                self.landed |= mutates && error.may_have_landed;
                Err(self.lost(&error))
            }
        };
        self.task = match next {
            Ok(Task::Done(Err(mut failure))) | Err(mut failure) => {
                // What exists and is not ours was certainly not made by us.
                failure.may_have_landed = self.landed && failure.kind != FailureKind::Exists;
                Task::Done(Err(failure))
            }
            Ok(task) => task,
        };
    }

    fn lost(&self, error: &TransportError) -> Failure {
        let action = self.task.action(&self.store);
        let detail = redact(&error.detail);
        Failure::new(error.kind, format!("{action}: {detail}"))
    }

    /// The failure for a response that no rule of the step covers.
    fn failure(&self, (status, headers, body): &Response) -> Failure {
        let action = self.task.action(&self.store);
        let context = Context {
            action: &action,
            permission: self.task.permission(),
            credential: self.task.shown(&self.store),
            service: Service::Blob,
            now: self.now,
        };
        classify(&context, *status, headers, body)
    }

    fn fault(&self, kind: FailureKind, what: &str) -> Failure {
        let action = self.task.action(&self.store);
        Failure::new(kind, format!("{action}: {what}"))
    }

    /// The rules of each step: which responses mean success, or another step.
    #[allow(clippy::match_same_arms, reason = "one arm is one rule")]
    fn accept(&self, response: &Response) -> Result<Task, Failure> {
        let (status, headers, body) = response;
        let status = u16::from(*status);
        let code = error_code(headers, body);
        let code = code.as_str();
        let done = |reply| Ok(Task::Done(Ok(reply)));
        match (&self.task, status) {
            (Task::LookAround, 200) => Ok(Task::PrepareToken { created: false }),
            (Task::LookAround, 404) => Ok(Task::PrepareHandshake),
            (Task::PrepareHandshake, 201) => Ok(Task::PrepareToken { created: true }),
            (Task::PrepareHandshake, 409) if code == "ContainerAlreadyExists" => {
                Ok(Task::PrepareToken { created: false })
            }
            (Task::PrepareToken { created }, 201) => {
                if *created {
                    self.store.home().set_made_bootstrap(true);
                }
                done(Reply::Prepared { created: *created })
            }
            (Task::PrepareToken { .. }, 409) if code == "ContainerAlreadyExists" => {
                done(Reply::Prepared { created: false })
            }
            (Task::LookAround | Task::PrepareHandshake | Task::PrepareToken { .. }, 409)
                if code == "ContainerBeingDeleted" =>
            {
                let what = "it is still being deleted: wait a moment, or choose another name";
                Err(self.fault(FailureKind::Busy, what))
            }

            (Task::RemoveHandshakes, 202 | 404 | 409)
                if status != 409 || code == "ContainerBeingDeleted" =>
            {
                Ok(Task::RemoveTokens)
            }
            (Task::RemoveTokens, 202 | 404 | 409)
                if status != 409 || code == "ContainerBeingDeleted" =>
            {
                self.store.home().set_made_bootstrap(false);
                done(Reply::Done)
            }

            (Task::PutHandshake { .. } | Task::PutToken { .. }, 201) => done(Reply::Done),
            // The SAS lets nobody overwrite, not even ourselves: our entry is there.
            (Task::PutHandshake { .. }, 403 | 409)
                if self.landed && (code == "BlobAlreadyExists" || self.exists_already(code)) =>
            {
                done(Reply::Done)
            }
            (Task::List { limit, .. }, 200) => {
                self.whole(response)?;
                match listing::parse(body, usize::from(*limit)) {
                    Some((entries, next)) => done(Reply::Handshakes { entries, next }),
                    None => Err(self.fault(
                        FailureKind::Malformed,
                        "the listing does not parse: is this blob storage?",
                    )),
                }
            }
            (Task::DeleteHandshake { .. } | Task::DeleteToken { .. }, 202) => done(Reply::Done),
            (Task::DeleteHandshake { .. } | Task::DeleteToken { .. }, 404) => done(Reply::Done),
            (Task::GetToken { .. }, 200) => {
                self.whole(response)?;
                done(Reply::Token(body.clone()))
            }
            (Task::GetToken { .. }, 404) if code != "ContainerNotFound" => {
                done(Reply::Nothing { missing: true })
            }

            (Task::CreateContainer { id, .. }, 201) => Ok(self.own(*id)),
            (Task::CreateContainer { id, mark }, 409)
                if self.landed && matches!(code, "ContainerAlreadyExists" | "") =>
            {
                Ok(Task::CheckMark {
                    id: *id,
                    mark: mark.clone(),
                })
            }
            (Task::CreateContainer { .. }, 409)
                if matches!(
                    code,
                    "ContainerAlreadyExists" | "ContainerBeingDeleted" | ""
                ) =>
            {
                Err(self.fault(
                    FailureKind::Exists,
                    "a container of that name is there already and not ours: left untouched",
                ))
            }
            (Task::CheckMark { id, mark }, 200) => {
                if header(headers, &MARK) == Some(mark) {
                    Ok(self.own(*id))
                } else {
                    Err(self.fault(
                        FailureKind::Exists,
                        "a container of that name is there already and not ours: left untouched",
                    ))
                }
            }
            (Task::CreateBlob { id, first }, 201 | 409)
                if status == 201 || code == "BlobAlreadyExists" =>
            {
                match first {
                    First::Req => Ok(Task::CreateBlob {
                        id: *id,
                        first: First::Res,
                    }),
                    First::Res => self.grants(*id).map(|reply| Task::Done(Ok(reply))),
                }
            }

            (Task::CheckOurs { id }, 200) => match header(headers, &MARK) {
                Some(mark) if mark.len() == 32 => Ok(Task::DeleteContainer { id: *id }),
                _ => Err(self.fault(
                    FailureKind::Exists,
                    "the container is not ours: left untouched",
                )),
            },
            (Task::CheckOurs { id } | Task::DeleteContainer { id }, 202 | 404 | 409)
                if status == 404
                    || code == "ContainerBeingDeleted"
                    || (status == 202 && self.task.mutates()) =>
            {
                self.store.home().created().remove(id);
                done(Reply::Done)
            }

            (
                Task::Append {
                    session,
                    place,
                    bytes,
                },
                201,
            ) => self.appended(session, *place, bytes.len() as u64),
            (
                Task::Append {
                    session,
                    place,
                    bytes,
                },
                412,
            ) if self.landed && matches!(code, "AppendPositionConditionNotMet" | "") => {
                Ok(Task::Measure {
                    session: session.clone(),
                    place: *place,
                    appended: bytes.len() as u64,
                })
            }
            (
                Task::Measure {
                    session,
                    place,
                    appended,
                },
                200,
            ) => match content_length(headers) {
                Some(length) if Some(length) == place.offset.checked_add(*appended) => {
                    self.appended(session, *place, *appended)
                }
                Some(length) => Err(self.fault(
                    FailureKind::Conflict,
                    &format!(
                        "somebody else wrote where only we may: {length} bytes there, {} ours",
                        place.offset
                    ),
                )),
                None => Err(self.fault(FailureKind::Malformed, "the answer names no length")),
            },

            (Task::Read { .. }, 404 | 409)
                if status == 404 || matches!(code, "ContainerBeingDeleted") =>
            {
                done(Reply::Nothing { missing: true })
            }
            (Task::Read { .. }, 416) => done(Reply::Nothing { missing: false }),
            (
                Task::Read {
                    session,
                    place,
                    limit,
                },
                200 | 204 | 206,
            ) => self.received(session, *place, *limit, response),
            (
                Task::CreateNext {
                    session,
                    place,
                    number,
                }
                | Task::FindNext {
                    session,
                    place,
                    number,
                },
                200 | 201 | 409,
            ) if (status == 409 && code == "BlobAlreadyExists")
                || (status < 300 && self.task.mutates() == (status == 201)) =>
            {
                let next = Place {
                    number: *number,
                    offset: 0,
                };
                session.advance(Direction::Outbound, *place, next);
                done(Reply::Done)
            }
            (Task::FindNext { .. }, 404) => {
                Err(self.fault(FailureKind::Denied, "the grant does not let us create it"))
            }
            // Refused because it is there, or because we may not create it at all?
            (
                Task::CreateNext {
                    session,
                    place,
                    number,
                },
                403,
            ) if self.exists_already(code) => Ok(Task::FindNext {
                session: session.clone(),
                place: *place,
                number: *number,
            }),
            (Task::Sweep(sweep), 200) => {
                self.whole(response)?;
                let now = date(headers).unwrap_or(self.now);
                sweep.accept(response, now).unwrap_or_else(|| {
                    let what = "the listing does not parse: is this blob storage?";
                    Err(self.fault(FailureKind::Malformed, what))
                })
            }
            (Task::Sweep(sweep), 404) if sweep.may_be_gone() => done(Reply::Age(None)),
            _ => Err(self.failure(response)),
        }
    }

    /// A SAS that lets create but not overwrite is refused this way when the blob is there.
    fn exists_already(&self, code: &str) -> bool {
        let may_create = match self.task.shown(&self.store) {
            Shown::Sas(sas) => sas.permissions().is_some_and(|sp| sp.contains('c')),
            Shown::Key(_) => false,
        };
        let refused = matches!(
            code,
            "AuthorizationPermissionMismatch" | "UnauthorizedBlobOverwrite"
        );
        may_create && refused
    }

    /// The session's container is ours: go on with what belongs into it.
    fn own(&self, id: ConnectionId) -> Task {
        self.store.home().remember(id);
        Task::CreateBlob {
            id,
            first: First::Req,
        }
    }

    fn grants(&self, id: ConnectionId) -> Result<Reply, Failure> {
        let name = id.to_string();
        let lifetime = self.store.inner.limits.grant_lifetime;
        let mint = |permissions| {
            let sas = self
                .store
                .home()
                .mint(&name, permissions, self.now, lifetime);
            sas.map(|sas| sas.expose().to_owned())
                .map_err(|error| Failure::new(FailureKind::Denied, error.to_string()))
        };
        Ok(Reply::Session {
            req: mint(SESSION_REQ_PERMISSIONS)?,
            res: mint(SESSION_RES_PERMISSIONS)?,
        })
    }

    fn appended(&self, session: &BlobSession, from: Place, count: u64) -> Result<Task, Failure> {
        let Some(offset) = from.offset.checked_add(count) else {
            return Err(self.fault(FailureKind::TooLarge, "the blob is full"));
        };
        let to = Place { offset, ..from };
        session.advance(Direction::Outbound, from, to);
        Ok(Task::Done(Ok(Reply::Done)))
    }

    /// What a read brought. Only bytes that came count, whatever length was announced.
    fn received(
        &self,
        session: &BlobSession,
        from: Place,
        limit: usize,
        (status, headers, body): &Response,
    ) -> Result<Task, Failure> {
        let nothing = || Ok(Task::Done(Ok(Reply::Nothing { missing: false })));
        if body.is_empty() {
            return nothing();
        }
        let whole = u16::from(*status) == 200;
        let (start, total) = match content_range(headers) {
            Some(range) => range,
            None => (if whole { 0 } else { from.offset }, None),
        };
        if start != from.offset {
            return Err(self.fault(
                FailureKind::Malformed,
                "the service did not send the range it was asked for",
            ));
        }
        let bytes = body.slice(..body.len().min(limit));
        let Some(offset) = from.offset.checked_add(bytes.len() as u64) else {
            return Err(self.fault(FailureKind::Malformed, "the blob has no end"));
        };
        if !session.advance(Direction::Inbound, from, Place { offset, ..from }) {
            // Another exchange delivered these bytes while this one was under way.
            return nothing();
        }
        let more = total.map_or(bytes.len() == limit, |total| total > offset);
        Ok(Task::Done(Ok(Reply::Data { bytes, more })))
    }

    /// Refuses a body that is larger than it may be, or that broke off.
    fn whole(&self, (_, headers, body): &Response) -> Result<(), Failure> {
        if body.len() > self.body_limit() {
            return Err(self.fault(FailureKind::TooLarge, "the answer is too large"));
        }
        match content_length(headers) {
            Some(announced) if announced > self.body_limit() as u64 => {
                Err(self.fault(FailureKind::TooLarge, "the answer is too large"))
            }
            Some(announced) if announced > body.len() as u64 => {
                Err(self.fault(FailureKind::Unreachable, "the answer broke off"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("id", &self.id)
            .field("action", &self.task.action(&self.store))
            .field("may_have_landed", &self.landed)
            .finish_non_exhaustive()
    }
}
