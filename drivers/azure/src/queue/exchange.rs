//! One try of one operation, as a machine over HTTP requests and responses.

use super::inbox::Inbox;
use super::messages::{self, Message};
use super::plan::{plan, refused};
use super::session::{QueueSession, Way};
use super::sweep::Sweep;
use super::task::Task;
use super::wire::MARK;
use super::{BATCH, QueueStore, SESSION_REQ_PERMISSIONS, SESSION_RES_PERMISSIONS};
use crate::Service;
use crate::date::parse_rfc1123;
use crate::encode::redact;
use crate::exchange::{Outcome, Response, Step};
use crate::failure::{Context, classify, error_code, other_service};
use azure_core::http::headers::{HeaderName, Headers};
use core::fmt;
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, FailureKind, Reply, Request, RequestId};

/// Bytes of an answer that carries no messages.
const SMALL_BODY: usize = 16_384;
/// Bytes of a listing of queues.
const LARGEST_LISTING: usize = 16 * 1_024 * 1_024;
/// Bytes of a list per message asked for: 64 KiB of text, every character of it escaped, and what
/// the service says about the message.
const BODY_PER_MESSAGE: usize = 6 * 65_536 + 4_096;

const NOT_OURS: &str = "a queue of that name is there already and not ours: left untouched";

/// One try of one operation.
///
/// Ask [`step`](Self::step) what to do; after sending a request, tell
/// [`handle`](Self::handle) what became of it; repeat until the step is
/// [`Done`](Step::Done). Dropping an exchange is allowed at any point and moves nothing.
pub struct Exchange {
    store: QueueStore,
    id: RequestId,
    now: UnixTime,
    /// This or an earlier try may have taken effect.
    landed: bool,
    task: Task,
}

impl Exchange {
    pub(super) fn begin(
        store: &QueueStore,
        session: Option<&QueueSession>,
        request: &Request,
        now: UnixTime,
    ) -> Result<Self, Failure> {
        let task = plan(store, session, &request.operation, now)?;
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
        let messages = match &self.task {
            Task::Get { limit, .. } => Task::count(*limit),
            Task::List { count } => *count,
            Task::GetToken { .. } => BATCH,
            Task::Sweep(Sweep::List { .. }) => return LARGEST_LISTING,
            _ => 0,
        };
        SMALL_BODY.saturating_add(BODY_PER_MESSAGE.saturating_mul(messages))
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
                if let Some(service) = date(&response.1) {
                    self.store.register().saw(service, self.now);
                }
                let next = match other_service(&response.1, Service::Queue) {
                    Some(what) => Err(self.fault(FailureKind::Refused, &what)),
                    None => self.accept(&response),
                };
                self.landed |= mutates && !refused;
                next
            }
            Err(error) => {
                self.landed |= mutates && error.may_have_landed;
                let action = self.task.action(&self.store);
                let detail = redact(&error.detail);
                Err(Failure::new(error.kind, format!("{action}: {detail}")))
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

    /// The failure for a response that no rule of the step covers.
    fn failure(&self, (status, headers, body): &Response) -> Failure {
        let action = self.task.action(&self.store);
        let context = Context {
            action: &action,
            permission: self.task.permission(),
            credential: self.task.shown(&self.store),
            service: Service::Queue,
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
    fn accept(&mut self, response: &Response) -> Result<Task, Failure> {
        let (status, headers, body) = response;
        let status = u16::from(*status);
        let code = error_code(headers, body);
        let code = code.as_str();
        let done = |reply| Ok(Task::Done(Ok(reply)));
        // 400: the message was got again meanwhile and has another receipt.
        let gone = matches!(status, 204 | 404) || (status == 400 && code == "PopReceiptMismatch");
        let store = self.store.clone();
        if let Task::DeleteMessage(deletion) = &mut self.task
            && gone
            && code != "QueueNotFound"
        {
            deletion.done();
            let left = deletion.session().inbox().left();
            let removed = u32::from(status == 204);
            return done(Reply::Released { removed, left });
        }
        match (&self.task, status) {
            (Task::LookAround, 200) => Ok(Task::PrepareToken { created: false }),
            (Task::LookAround, 404) => Ok(Task::PrepareHandshake),
            (Task::PrepareHandshake, 201) => Ok(Task::PrepareToken { created: true }),
            (Task::PrepareHandshake, 204 | 409)
                if status == 204 || code == "QueueAlreadyExists" =>
            {
                Ok(Task::PrepareToken { created: false })
            }
            (Task::PrepareToken { created }, 201) => {
                store.home().set_made_bootstrap(*created);
                done(Reply::Prepared { created: *created })
            }
            (Task::PrepareToken { .. }, 204 | 409)
                if status == 204 || code == "QueueAlreadyExists" =>
            {
                done(Reply::Prepared { created: false })
            }
            (Task::LookAround | Task::PrepareHandshake | Task::PrepareToken { .. }, 409)
                if code == "QueueBeingDeleted" =>
            {
                let what = "it is still being deleted: wait a moment, or choose another name";
                Err(self.fault(FailureKind::Busy, what))
            }
            (Task::RemoveHandshakes, 204 | 404 | 409)
                if status != 409 || code == "QueueBeingDeleted" =>
            {
                Ok(Task::RemoveTokens)
            }
            (Task::RemoveTokens, 204 | 404 | 409)
                if status != 409 || code == "QueueBeingDeleted" =>
            {
                store.home().set_made_bootstrap(false);
                done(Reply::Done)
            }

            (Task::PutHandshake { .. } | Task::Put { .. }, 201) => done(Reply::Done),
            (Task::List { count }, 200) => {
                let found = self.messages(response, *count)?;
                let more = found.len() == *count;
                let entries = found.iter().map(|message| self.listed(message)).collect();
                let next = more.then(|| "more".to_owned());
                done(Reply::Handshakes { entries, next })
            }
            (Task::DeleteHandshake { name, receipt }, _) if gone => {
                store.handshakes().forget(name, receipt);
                Ok(Task::delete_handshake(&store, name))
            }
            (Task::PutToken { id, .. }, 201) => {
                // The answer names what deletes it again. Without, it goes by itself in time.
                let found = messages::parse(body, 1).unwrap_or_default();
                if let Some(receipt) = found.first().and_then(Message::receipt) {
                    store.tokens().keep(*id, receipt);
                }
                done(Reply::Done)
            }
            (Task::GetToken { id }, 200) => {
                let found = self.messages(response, BATCH)?;
                match found.iter().find_map(|message| message.token(id)) {
                    Some(message) => done(Reply::Token(message)),
                    None => done(Reply::Nothing { missing: true }),
                }
            }
            (Task::DeleteToken { id, receipt }, _) if gone => {
                store.tokens().forget(id, receipt);
                Ok(Task::delete_token(&store, *id))
            }

            // 204: it is there with the very same metadata, our mark among it.
            (Task::Create { id, mark, way }, 201 | 204) => self.own(*id, mark, *way),
            (Task::Create { id, mark, way }, 409)
                if self.landed && matches!(code, "QueueAlreadyExists" | "") =>
            {
                Ok(Task::CheckMark {
                    id: *id,
                    mark: mark.clone(),
                    way: *way,
                })
            }
            (Task::Create { .. }, 409)
                if matches!(code, "QueueAlreadyExists" | "QueueBeingDeleted" | "") =>
            {
                Err(self.fault(FailureKind::Exists, NOT_OURS))
            }
            (Task::CheckMark { id, mark, way }, 200) => {
                if header(headers, &MARK) == Some(mark) {
                    self.own(*id, mark, *way)
                } else {
                    Err(self.fault(FailureKind::Exists, NOT_OURS))
                }
            }
            (Task::CheckOurs { id, way }, 200) => match header(headers, &MARK) {
                Some(mark) if mark.len() == 32 => Ok(Task::Delete { id: *id, way: *way }),
                _ => Err(self.fault(FailureKind::Exists, "the queue is not ours: left untouched")),
            },
            (Task::CheckOurs { id, way } | Task::Delete { id, way }, 204 | 404 | 409)
                if status == 404
                    || code == "QueueBeingDeleted"
                    || (status == 204 && self.task.mutates()) =>
            {
                match way {
                    Way::Req => Ok(Task::remove(&store, *id, Way::Res)),
                    Way::Res => {
                        store.home().created().remove(id);
                        store.register().removed(id);
                        done(Reply::Done)
                    }
                }
            }

            // Dated or not: what is to be written is written.
            (Task::Date { session, body, .. }, _) => Ok(Task::Put {
                session: session.clone(),
                body: body.clone(),
            }),
            (Task::Sweep(sweep), 200) => {
                self.whole(response)?;
                let now = date(headers).unwrap_or(self.now);
                sweep.accept(headers, body, now).ok_or_else(|| {
                    let what = "the listing does not parse: is this queue storage?";
                    self.fault(FailureKind::Malformed, what)
                })
            }
            (Task::Sweep(sweep), 404) if sweep.may_be_gone() => {
                Ok(sweep.gone(date(headers).unwrap_or(self.now)))
            }

            (Task::Get { .. }, 404 | 409) if status == 404 || code == "QueueBeingDeleted" => {
                done(Reply::Nothing { missing: true })
            }
            (
                Task::Get {
                    session,
                    next,
                    limit,
                },
                200,
            ) => {
                let asked = Task::count(*limit);
                let found = self.messages(response, asked)?;
                let full = found.len() == asked;
                let delete = store.inner.limits.deletes_in_flight > 0;
                let mut inbox = session.inbox();
                inbox.take_in(*next, &found, delete);
                match Inbox::give(&mut inbox, *next, *limit) {
                    Some((bytes, more)) => done(Reply::Data {
                        bytes,
                        more: more || full,
                    }),
                    None => done(inbox.empty(found.len(), asked)),
                }
            }
            _ => Err(self.failure(response)),
        }
    }

    /// A listed handshake; what deletes it is remembered under its name.
    fn listed(&self, message: &Message) -> stillwire_core::store::Handshake {
        let entry = message.handshake();
        // Only what the machine may ask to have deleted: an entry that bears an id.
        if ConnectionId::parse(entry.name.as_bytes()).is_ok()
            && let Some(receipt) = message.receipt()
        {
            self.store.handshakes().keep(entry.name.clone(), receipt);
        }
        entry
    }

    /// A queue of the session is ours: go on with the other, or give out the grants.
    fn own(&self, id: ConnectionId, mark: &str, way: Way) -> Result<Task, Failure> {
        if way == Way::Req {
            return Ok(Task::Create {
                id,
                mark: mark.to_owned(),
                way: Way::Res,
            });
        }
        self.store.home().remember(id);
        self.store.register().made(id, mark, self.now);
        let lifetime = self.store.inner.limits.grant_lifetime;
        let mint = |way: Way, permissions| {
            let name = format!("{}{id}", way.prefix());
            let sas = self
                .store
                .home()
                .mint(&name, permissions, self.now, lifetime);
            sas.map(|sas| sas.expose().to_owned())
                .map_err(|error| Failure::new(FailureKind::Denied, error.to_string()))
        };
        Ok(Task::Done(Ok(Reply::Session {
            req: mint(Way::Req, SESSION_REQ_PERMISSIONS)?,
            res: mint(Way::Res, SESSION_RES_PERMISSIONS)?,
        })))
    }

    /// Refuses a body that is larger than it may be, or that broke off.
    fn whole(&self, (_, headers, body): &Response) -> Result<(), Failure> {
        let name = HeaderName::from_static("content-length");
        let announced = header(headers, &name).and_then(|text| text.parse::<usize>().ok());
        let length = announced.unwrap_or(0).max(body.len());
        if length > self.body_limit() {
            return Err(self.fault(FailureKind::TooLarge, "the answer is too large"));
        }
        if length > body.len() {
            return Err(self.fault(FailureKind::Unreachable, "the answer broke off"));
        }
        Ok(())
    }

    /// The messages of an answer that must be whole.
    fn messages(&self, response: &Response, count: usize) -> Result<Vec<Message>, Failure> {
        self.whole(response)?;
        messages::parse(&response.2, count).ok_or_else(|| {
            self.fault(
                FailureKind::Malformed,
                "the answer is no list of messages: is this queue storage?",
            )
        })
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

/// The service's own clock.
fn date(headers: &Headers) -> Option<UnixTime> {
    parse_rfc1123(header(headers, &HeaderName::from_static("date"))?)
}

fn header<'a>(headers: &'a Headers, name: &HeaderName) -> Option<&'a str> {
    headers.get_optional_str(name).map(str::trim)
}
