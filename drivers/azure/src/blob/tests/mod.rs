//! The blob carrier against answers written by hand.
#![allow(
    clippy::unnecessary_wraps,
    reason = "helpers make outcomes as adapters hand them over"
)]

mod append;
mod bootstrap;
mod denied;
mod failures;
mod listing;
mod read;
mod secrets;
mod session;
mod sweep;

use super::*;
use crate::exchange::{Outcome, Response, Step, TransportError};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{Body, Request as HttpRequest};
use bytes::Bytes;
use core::fmt::Write as _;
use stillwire_core::store::{Direction, FailureKind, Operation, Reply, RequestId};

/// 2027-01-11T08:00:27Z.
const NOW: UnixTime = UnixTime::from_secs(1_799_654_427);
const ENDPOINT: &str = "http://127.0.0.1:10000/acc";
/// What no formatted text may ever hold.
const PLANTED: &str = "PLANTEDSIGNATURE";

fn id() -> ConnectionId {
    ConnectionId::parse(b"c9e7ab11-6c24-4589-8afc-b3564563e6ea").unwrap()
}

fn sas(rest: &str) -> Sas {
    Sas::parse(&format!("sv=2021-12-02&{rest}&sig={PLANTED}%3D")).unwrap()
}

fn listener_with(limits: Limits) -> BlobStore {
    BlobStore::listener(
        &Url::parse(ENDPOINT).unwrap(),
        Credential::shared_key("acc", "c2VjcmV0").unwrap(),
        Names::default(),
        limits,
    )
    .unwrap()
}

fn listener() -> BlobStore {
    listener_with(Limits::default())
}

fn dialer() -> BlobStore {
    BlobStore::dialer(
        &Url::parse(ENDPOINT).unwrap(),
        sas("sp=c&sr=c"),
        sas("sp=r&sr=c"),
        Names::default(),
        Limits::default(),
    )
    .unwrap()
}

fn dialing() -> BlobSession {
    let (req, res) = (sas("sp=rac&sr=c"), sas("sp=r&sr=c"));
    let grants = Some((req.expose(), res.expose()));
    dialer().session(id(), Role::Dialer, grants).unwrap()
}

fn accepting() -> BlobSession {
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

fn write(bytes: &'static [u8]) -> Operation {
    Operation::Write {
        sequence: 0,
        chunks: vec![bytes.len() as u32],
        bytes: Bytes::from_static(bytes),
    }
}

fn read(limit: usize) -> Operation {
    Operation::Read { sequence: 0, limit }
}

fn rotate(direction: Direction, number: u32) -> Operation {
    Operation::Rotate { direction, number }
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

/// The request an exchange wants sent, as one line: method, path and query, chosen headers, body.
fn line(exchange: &Exchange) -> String {
    let request = sent(exchange);
    let mut line = format!("{} {}", request.method(), request.path_and_query());
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    headers.sort_unstable();
    for (name, value) in headers {
        let _ = write!(line, " {name}:{value}");
    }
    if let Body::Bytes(bytes) = request.body()
        && !bytes.is_empty()
    {
        let _ = write!(line, " {:?}", String::from_utf8_lossy(bytes));
    }
    line.replace(&format!("&sig={PLANTED}%3D"), "&SIG")
        .replace("sv=2021-12-02&sp=", "SP=")
}

fn sent(exchange: &Exchange) -> HttpRequest {
    match exchange.step() {
        Step::Send(request) => request,
        Step::Done(result) => panic!("over: {result:?}"),
    }
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

fn kind(result: &Result<Reply, Failure>) -> FailureKind {
    result.as_ref().unwrap_err().kind
}
