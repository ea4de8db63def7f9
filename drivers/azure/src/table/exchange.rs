//! One try of one operation, as a machine over HTTP requests and responses.

use super::answers::MOST_HOPS;
use super::plan::{plan, refused};
use super::rows::{self, End};
use super::run::{continuation, message};
use super::session::{Side, TableSession};
use super::sweep::date;
use super::task::Task;
use super::{SESSION_REQ_PERMISSIONS, SESSION_RES_PERMISSIONS, TableStore};
use crate::Service;
use crate::encode::redact;
use crate::exchange::{Outcome, Response, Step, TransportError};
use crate::failure::{Context, classify, error_code, other_service};
use core::fmt;
use core::ops::ControlFlow;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, FailureKind, Reply, Request, RequestId};

/// Bytes of an answer that carries no data of ours: a transaction's has a part for each row.
const SMALL_BODY: usize = 131_072;
/// Bytes of a listing per entry asked for: a key and one property, whatever is escaped in them.
const BODY_PER_ENTRY: usize = 262_144;
/// Bytes of a listing at the most.
const LARGEST_LISTING: usize = 16 * 1_024 * 1_024;
/// Bytes of a page of rows beside their base64, per row.
const BODY_PER_ROW: usize = 2_048;

/// One try of one operation.
///
/// Ask [`step`](Self::step) what to do; after sending a request, tell
/// [`handle`](Self::handle) what became of it; repeat until the step is
/// [`Done`](Step::Done). Dropping an exchange is allowed at any point and moves nothing.
pub struct Exchange {
    store: TableStore,
    id: RequestId,
    now: UnixTime,
    /// An earlier try may have taken effect: what it would have made is then ours.
    pub(super) repeated: bool,
    /// This or an earlier try may have taken effect.
    landed: bool,
    task: Task,
}

impl Exchange {
    pub(super) fn begin(
        store: &TableStore,
        session: Option<&TableSession>,
        request: &Request,
        now: UnixTime,
    ) -> Result<Self, Failure> {
        let mut task = plan(store, session, &request.operation)?;
        if let Task::Insert(insert) = &mut task {
            // Row by row it shows which of them an earlier try has stored.
            insert.alone |= request.may_have_landed;
        }
        Ok(Self {
            store: store.clone(),
            id: request.id,
            now,
            repeated: request.may_have_landed,
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
            Task::Read(query) => query
                .limit
                .div_ceil(3)
                .saturating_mul(4)
                .saturating_add(query.rows.saturating_mul(BODY_PER_ROW))
                .saturating_add(SMALL_BODY),
            Task::List { limit, .. } => BODY_PER_ENTRY.saturating_mul(*limit).min(LARGEST_LISTING),
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
                let next = match other_service(&response.1, Service::Table) {
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
        self.task = match (next, &self.task) {
            // What was wrong before is what counts.
            (Err(_), Task::TakeBack { failure, .. }) => Task::Done(Err(failure.clone())),
            (Ok(Task::Done(Err(mut failure))) | Err(mut failure), _) => {
                // What exists and is not ours was certainly not made by us.
                failure.may_have_landed = self.landed && failure.kind != FailureKind::Exists;
                Task::Done(Err(failure))
            }
            (Ok(task), _) => task,
        };
    }

    fn lost(&self, error: &TransportError) -> Failure {
        let action = self.task.action(&self.store);
        let detail = redact(&error.detail);
        Failure::new(error.kind, format!("{action}: {detail}"))
    }

    /// The failure for a response that no rule of the step covers.
    pub(super) fn failure(&self, (status, headers, body): &Response) -> Failure {
        let action = self.task.action(&self.store);
        let context = Context {
            action: &action,
            permission: self.task.permission(),
            credential: self.task.shown(&self.store),
            service: Service::Table,
            now: self.now,
        };
        classify(&context, *status, headers, body)
    }

    pub(super) fn fault(&self, kind: FailureKind, what: &str) -> Failure {
        let action = self.task.action(&self.store);
        Failure::new(kind, format!("{action}: {what}"))
    }

    fn not_ours(&self) -> Failure {
        let what = "a table of that name is there already and not ours: left untouched";
        self.fault(FailureKind::Exists, what)
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
            (Task::PrepareHandshake | Task::PrepareToken { .. }, 409)
                if code == "TableBeingDeleted" =>
            {
                let what = "it is still being deleted: wait a moment, or choose another name";
                Err(self.fault(FailureKind::Busy, what))
            }
            (Task::PrepareHandshake, 201 | 204) => Ok(Task::PrepareToken { created: true }),
            (Task::PrepareHandshake, 409) if code == "TableAlreadyExists" => {
                Ok(Task::PrepareToken { created: false })
            }
            (Task::PrepareToken { created }, 201 | 204) => {
                if *created {
                    self.store.home().set_made_bootstrap(true);
                }
                done(Reply::Prepared { created: *created })
            }
            (Task::PrepareToken { .. }, 409) if code == "TableAlreadyExists" => {
                done(Reply::Prepared { created: false })
            }

            (Task::RemoveHandshakes, 204 | 404) => Ok(Task::RemoveTokens),
            (Task::RemoveHandshakes, 409) if code == "TableBeingDeleted" => Ok(Task::RemoveTokens),
            (Task::RemoveTokens, 204 | 404 | 409)
                if status != 409 || code == "TableBeingDeleted" =>
            {
                self.store.home().set_made_bootstrap(false);
                done(Reply::Done)
            }

            (Task::PutHandshake { .. } | Task::PutToken { .. }, 201 | 204) => done(Reply::Done),
            // A grant lets nobody replace a row, not even ourselves: our entry is there.
            (Task::PutHandshake { .. } | Task::PutToken { .. }, 409)
                if self.repeated && code == "EntityAlreadyExists" =>
            {
                done(Reply::Done)
            }
            (Task::List { limit, hops, .. }, 200) => self.listed(response, *limit, *hops),
            (Task::DeleteHandshake { .. } | Task::DeleteToken { .. }, 204 | 404) => {
                done(Reply::Done)
            }
            (Task::GetToken { .. }, 200) => {
                self.whole(response)?;
                match rows::single(body).and_then(|row| message(&row)) {
                    Some(message) => done(Reply::Token(message)),
                    None => Err(self.fault(FailureKind::Malformed, "the entry holds no message")),
                }
            }
            (Task::GetToken { .. }, 404) if code != "TableNotFound" => {
                done(Reply::Nothing { missing: true })
            }

            (Task::CreateTable { id, mark, side }, 201 | 204) => Ok(Task::InsertMark {
                id: *id,
                mark: mark.clone(),
                side: *side,
            }),
            (Task::CreateTable { id, mark, side }, 409)
                if self.repeated && code == "TableAlreadyExists" =>
            {
                Ok(Task::CheckMark {
                    id: *id,
                    mark: mark.clone(),
                    side: *side,
                    rows: false,
                })
            }
            (Task::CreateTable { id, side, .. }, 409)
                if matches!(code, "TableAlreadyExists" | "TableBeingDeleted" | "") =>
            {
                Ok(self.taken(*id, *side))
            }
            (Task::InsertMark { id, mark, side }, 201 | 204) => self.own(*id, mark, *side),
            (Task::InsertMark { id, mark, side }, 409) if code == "EntityAlreadyExists" => {
                Ok(Task::CheckMark {
                    id: *id,
                    mark: mark.clone(),
                    side: *side,
                    rows: false,
                })
            }
            (Task::CheckMark { id, mark, side, .. }, 200) => {
                self.whole(response)?;
                match rows::mark(body) {
                    Some(found) if found == *mark => self.own(*id, mark, *side),
                    _ => Ok(self.taken(*id, *side)),
                }
            }
            (
                Task::CheckMark {
                    id,
                    mark,
                    side,
                    rows: false,
                },
                404,
            ) if code != "TableNotFound" => Ok(Task::CheckEmpty {
                id: *id,
                mark: mark.clone(),
                side: *side,
                after: None,
                hops: 0,
            }),
            (Task::CheckMark { id, side, .. }, 404) if code != "TableNotFound" => {
                Ok(self.taken(*id, *side))
            }
            (Task::CheckEmpty { .. }, 200) => self.checked_empty(response),
            (Task::TakeBack { failure, .. }, _) => Err(failure.clone()),

            (Task::CheckOurs { id, side }, 200) => {
                self.whole(response)?;
                match rows::mark(body) {
                    Some(mark) if mark.len() == 32 => Ok(Task::DeleteTable {
                        id: *id,
                        side: *side,
                    }),
                    _ => Err(self.fault(FailureKind::Exists, NOT_OURS)),
                }
            }
            (Task::CheckOurs { .. }, 404) if code != "TableNotFound" => {
                Err(self.fault(FailureKind::Exists, NOT_OURS))
            }
            (Task::CheckOurs { id, side }, 404) => Ok(self.gone(*id, *side)),
            (Task::DeleteTable { id, side }, 204 | 404) => Ok(self.gone(*id, *side)),
            (Task::DeleteTable { id, side } | Task::CheckOurs { id, side }, 409)
                if code == "TableBeingDeleted" =>
            {
                Ok(self.gone(*id, *side))
            }

            (Task::Insert(insert), _) => self.inserted(insert, response, code),

            (Task::Read(_), 404) => done(Reply::Nothing { missing: true }),
            (Task::Read(_), 409) if code == "TableBeingDeleted" => {
                done(Reply::Nothing { missing: true })
            }
            (Task::Read(query), 200) => self.received(query, response),
            (Task::Sweep(sweep), 200) => {
                self.whole(response)?;
                let now = date(headers).unwrap_or(self.now);
                sweep.accept(response, now).ok_or_else(|| {
                    let what = "the answer does not parse: is this table storage?";
                    self.fault(FailureKind::Malformed, what)
                })
            }
            (Task::Sweep(sweep), 404) if sweep.may_be_gone() => {
                let now = date(headers).unwrap_or(self.now);
                sweep.gone(now).ok_or_else(|| self.failure(response))
            }
            _ => Err(self.failure(response)),
        }
    }

    /// A session's table is ours: go on with the other, or make the grants.
    fn own(&self, id: ConnectionId, mark: &str, side: Side) -> Result<Task, Failure> {
        if side == Side::Req {
            return Ok(Task::CreateTable {
                id,
                mark: mark.to_owned(),
                side: Side::Res,
            });
        }
        self.store.home().remember(id);
        let lifetime = self.store.inner.limits.grant_lifetime;
        let mint = |side: Side, permissions| {
            let table = side.table(&id);
            let sas = self
                .store
                .home()
                .mint(&table, permissions, self.now, lifetime);
            sas.map(|sas| sas.expose().to_owned())
                .map_err(|error| Failure::new(FailureKind::Denied, error.to_string()))
        };
        Ok(Task::Done(Ok(Reply::Session {
            req: mint(Side::Req, SESSION_REQ_PERMISSIONS)?,
            res: mint(Side::Res, SESSION_RES_PERMISSIONS)?,
        })))
    }

    /// What a table without our mark holds, going by one page.
    fn checked_empty(&self, response: &Response) -> Result<Task, Failure> {
        self.whole(response)?;
        let (_, headers, body) = response;
        let Task::CheckEmpty {
            id,
            mark,
            side,
            hops,
            ..
        } = &self.task
        else {
            return Err(self.failure(response));
        };
        let (id, mark, side) = (*id, mark.clone(), *side);
        let end = rows::page(body, |_| ControlFlow::Break(()));
        Ok(match (end, continuation(headers)) {
            (End::Cut, _) => return Err(self.broke_off(body)),
            (End::Garbage, _) => {
                let what = "the answer does not parse: is this table storage?";
                return Err(self.fault(FailureKind::Malformed, what));
            }
            // Our own mark, it may be, of a try that was late.
            (End::Enough, _) => Task::CheckMark {
                id,
                mark,
                side,
                rows: true,
            },
            (End::Whole, None) => Task::InsertMark { id, mark, side },
            // An empty page with a token says nothing yet.
            (End::Whole, after) if *hops < MOST_HOPS => Task::CheckEmpty {
                id,
                mark,
                side,
                after,
                hops: hops.saturating_add(1),
            },
            (End::Whole, _) => self.taken(id, side),
        })
    }

    /// A session's table is somebody else's.
    fn taken(&self, id: ConnectionId, side: Side) -> Task {
        let failure = self.not_ours();
        match side {
            Side::Req => Task::Done(Err(failure)),
            Side::Res => Task::TakeBack { id, failure },
        }
    }

    /// One of a session's tables is gone: go on with the other.
    fn gone(&self, id: ConnectionId, side: Side) -> Task {
        match side {
            Side::Req => self.store.removal(id, Side::Res),
            Side::Res => {
                self.store.home().created().remove(&id);
                Task::Done(Ok(Reply::Done))
            }
        }
    }
}

const NOT_OURS: &str = "the table is not ours: left untouched";

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("id", &self.id)
            .field("action", &self.task.action(&self.store))
            .field("may_have_landed", &self.landed)
            .finish_non_exhaustive()
    }
}
