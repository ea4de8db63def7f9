//! The queue carrier against answers written by hand.
#![allow(
    clippy::unnecessary_wraps,
    reason = "helpers make outcomes as adapters hand them over"
)]

mod bootstrap;
mod failures;
mod stream;
mod sweep;

use super::*;
use crate::exchange::{Outcome, Response, Step, TransportError};
use azure_core::http::Body;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use bytes::Bytes;
use core::fmt::Write as _;
use stillwire_core::store::{Direction, FailureKind, Operation, Reply, RequestId};

/// 2027-01-11T08:00:27Z.
const NOW: UnixTime = UnixTime::from_secs(1_799_654_427);
const ENDPOINT: &str = "http://127.0.0.1:10001/acc";
/// What no formatted text may ever hold.
const PLANTED: &str = "PLANTEDSIGNATURE";
const ID: &str = "c9e7ab11-6c24-4589-8afc-b3564563e6ea";

fn id() -> ConnectionId {
    ConnectionId::parse(ID.as_bytes()).unwrap()
}

fn sas(rest: &str) -> Sas {
    Sas::parse(&format!("sv=2021-12-02&{rest}&sig={PLANTED}%3D")).unwrap()
}

fn listener_with(limits: Limits) -> QueueStore {
    QueueStore::listener(
        &Url::parse(ENDPOINT).unwrap(),
        Credential::shared_key("acc", "c2VjcmV0").unwrap(),
        Names::default(),
        limits,
    )
    .unwrap()
}

fn listener() -> QueueStore {
    listener_with(Limits::default())
}

fn dialer() -> QueueStore {
    QueueStore::dialer(
        &Url::parse(ENDPOINT).unwrap(),
        sas("sp=a"),
        sas("sp=r"),
        Names::default(),
        Limits::default(),
    )
    .unwrap()
}

fn dialing() -> QueueSession {
    let (req, res) = (sas("sp=a"), sas("sp=rp"));
    let grants = Some((req.expose(), res.expose()));
    dialer().session(id(), Role::Dialer, grants).unwrap()
}

fn accepting() -> QueueSession {
    listener().session(id(), Role::Listener, None).unwrap()
}

fn first_try(operation: Operation) -> Request {
    Request {
        id: RequestId(7),
        operation,
        may_have_landed: false,
        timeout: Duration::from_secs(30),
    }
}

/// A repetition of a try whose outcome nobody knows.
fn again(operation: Operation) -> Request {
    Request {
        may_have_landed: true,
        ..first_try(operation)
    }
}

fn read(sequence: u64) -> Operation {
    Operation::Read {
        sequence,
        limit: BATCH * LARGEST_CHUNK,
    }
}

fn release() -> Operation {
    Operation::Release { sequence: 1 }
}

/// A response as the service writes it: head lines, then the body.
fn answer(status: u16, head: &[(&'static str, &str)], body: impl Into<Bytes>) -> Response {
    let mut headers = Headers::new();
    for (name, value) in head {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from((*value).to_owned()),
        );
    }
    (status.into(), headers, body.into())
}

fn ok(status: u16) -> Outcome {
    Ok(answer(status, &[], ""))
}

fn code(status: u16, code: &str) -> Outcome {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code></Error>"
    );
    Ok(answer(status, &[("x-ms-error-code", code)], body))
}

fn cut() -> Outcome {
    let error = TransportError::sent(FailureKind::TimedOut, "no answer within 30 s");
    Err(error)
}

/// A list as the service writes it, of messages with their ids, receipts and texts.
fn list(messages: &[(&str, &str, &str)]) -> Outcome {
    let mut body =
        String::from("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList>");
    for (id, pop, text) in messages {
        let _ = write!(
            body,
            "<QueueMessage><MessageId>{id}</MessageId>\
             <InsertionTime>Mon, 11 Jan 2027 08:00:20 GMT</InsertionTime>\
             <ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>\
             <PopReceipt>{pop}</PopReceipt>\
             <TimeNextVisible>Mon, 11 Jan 2027 08:00:32 GMT</TimeNextVisible>\
             <DequeueCount>1</DequeueCount><MessageText>{text}</MessageText></QueueMessage>"
        );
    }
    body.push_str("</QueueMessagesList>");
    Ok(answer(200, &[("content-type", "application/xml")], body))
}

fn nothing() -> Outcome {
    let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList />";
    Ok(answer(200, &[], body))
}

/// The request an exchange wants sent, as one line: method, path and query, headers, body.
fn line(exchange: &Exchange) -> String {
    let Step::Send(request) = exchange.step() else {
        panic!("over: {:?}", exchange.step());
    };
    let mut line = format!("{} {}", request.method(), request.path_and_query());
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| *name != "x-ms-version")
        .collect();
    headers.sort_unstable();
    for (name, value) in headers {
        let _ = write!(line, " {name}:{value}");
    }
    if let Body::Bytes(bytes) = request.body()
        && !bytes.is_empty()
    {
        let _ = write!(line, " {}", String::from_utf8_lossy(bytes));
    }
    line.replace(&format!("&sig={PLANTED}%3D"), "&SIG")
        .replace("sv=2021-12-02&sp=", "SP=")
}

fn over(exchange: &Exchange) -> Result<Reply, Failure> {
    match exchange.step() {
        Step::Done(result) => result,
        Step::Send(request) => panic!("not over: {request:?}"),
    }
}

/// Plays an exchange to its end: what it sent, and how it ended.
fn play(mut exchange: Exchange, outcomes: Vec<Outcome>) -> (Vec<String>, Result<Reply, Failure>) {
    let mut lines = Vec::new();
    for outcome in outcomes {
        lines.push(line(&exchange));
        exchange.handle(outcome);
    }
    (lines, over(&exchange))
}

fn run(
    store: &QueueStore,
    operation: Operation,
    outcomes: Vec<Outcome>,
) -> (Vec<String>, Result<Reply, Failure>) {
    play(store.begin(&first_try(operation), NOW).unwrap(), outcomes)
}

fn on(
    session: &QueueSession,
    operation: Operation,
    outcomes: Vec<Outcome>,
) -> (Vec<String>, Result<Reply, Failure>) {
    play(session.begin(&first_try(operation), NOW).unwrap(), outcomes)
}

fn kind(result: &Result<Reply, Failure>) -> FailureKind {
    result.as_ref().unwrap_err().kind
}
