//! The table carrier against answers written by hand.
#![allow(
    clippy::unnecessary_wraps,
    reason = "helpers make outcomes as adapters hand them over"
)]

mod bootstrap;
mod failures;
mod listing;
mod read;
mod session;
mod sweep;
mod write;

use super::*;
use crate::exchange::TransportError;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{Body, Request as HttpRequest};
use bytes::Bytes;
use core::fmt::Write as _;
use stillwire_core::store::{Direction, FailureKind, Operation, Reply, RequestId};

/// 2027-01-11T08:00:27Z.
const NOW: UnixTime = UnixTime::from_secs(1_799_654_427);
const ENDPOINT: &str = "http://127.0.0.1:10002/acc";
/// What no formatted text may ever hold.
const PLANTED: &str = "PLANTEDSIGNATURE";

/// The session's tables.
const REQ: &str = "reqc9e7ab116c2445898afcb3564563e6ea";
const RES: &str = "resc9e7ab116c2445898afcb3564563e6ea";

/// Three chunks of 16 bytes, with their prefixes, and their base64 as another program made it.
const A: (&[u8], &str) = (
    b"\0\0\0\x10AAAAAAAAAAAAAAAA",
    "AAAAEEFBQUFBQUFBQUFBQUFBQUE=",
);
const B: (&[u8], &str) = (
    b"\0\0\0\x10BBBBBBBBBBBBBBBB",
    "AAAAEEJCQkJCQkJCQkJCQkJCQkI=",
);
const C: (&[u8], &str) = (
    b"\0\0\0\x10CCCCCCCCCCCCCCCC",
    "AAAAEENDQ0NDQ0NDQ0NDQ0NDQ0M=",
);

fn id() -> ConnectionId {
    ConnectionId::parse(b"c9e7ab11-6c24-4589-8afc-b3564563e6ea").unwrap()
}

fn sas(rest: &str) -> Sas {
    Sas::parse(&format!("sv=2019-02-02&{rest}&sig={PLANTED}%3D")).unwrap()
}

fn listener_with(limits: Limits) -> TableStore {
    TableStore::listener(
        &Url::parse(ENDPOINT).unwrap(),
        Credential::shared_key("acc", "c2VjcmV0").unwrap(),
        Names::default(),
        limits,
    )
    .unwrap()
}

fn listener() -> TableStore {
    listener_with(Limits::default())
}

fn dialer() -> TableStore {
    dialer_with(Limits::default())
}

fn dialer_with(limits: Limits) -> TableStore {
    TableStore::dialer(
        &Url::parse(ENDPOINT).unwrap(),
        sas("sp=a&tn=handshake"),
        sas("sp=r&tn=token"),
        Names::default(),
        limits,
    )
    .unwrap()
}

fn dialing() -> TableSession {
    dialing_with(Limits::default())
}

fn dialing_with(limits: Limits) -> TableSession {
    let (req, res) = (sas("sp=a&tn=req"), sas("sp=r&tn=res"));
    let grants = Some((req.expose(), res.expose()));
    let store = dialer_with(limits);
    store.session(id(), Role::Dialer, grants).unwrap()
}

/// A dialer that tries transactions.
fn transacting() -> TableSession {
    dialing_with(Limits {
        transactions_with_grant: true,
        ..Limits::default()
    })
}

fn accepting() -> TableSession {
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

fn write(sequence: u64, chunks: &[&[u8]]) -> Operation {
    Operation::Write {
        sequence,
        chunks: chunks.iter().map(|chunk| chunk.len() as u32).collect(),
        bytes: Bytes::from(chunks.concat()),
    }
}

fn read(sequence: u64, limit: usize) -> Operation {
    Operation::Read { sequence, limit }
}

/// A response as the service writes it: head lines, then the body.
fn answer(status: u16, head: &[(&'static str, &str)], body: impl Into<Bytes>) -> Outcome {
    let mut headers = Headers::new();
    for (name, value) in head {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from((*value).to_owned()),
        );
    }
    Ok((status.into(), headers, body.into()))
}

fn ok(status: u16) -> Outcome {
    answer(status, &[], "")
}

/// An error as tables report it: in the header and in JSON.
fn code(status: u16, code: &str) -> Outcome {
    let body = format!(
        "{{\"odata.error\":{{\"code\":\"{code}\",\"message\":{{\"lang\":\"en-US\",\"value\":\"No.\\nTime:x\"}}}}}}"
    );
    answer(status, &[("x-ms-error-code", code)], body)
}

/// An error of authorization: XML, and no header.
fn denied(code: &str) -> Outcome {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\n<Error>\n  <Code>{code}</Code>\n  <Message>No.</Message>\n</Error>"
    );
    answer(403, &[("content-type", "application/xml")], body)
}

fn page(rows: &str) -> Outcome {
    answer(200, &[], format!("{{\"value\":[{rows}]}}"))
}

/// A row of a stream as a query brings it.
fn row(key: &str, data: &str) -> String {
    format!("{{\"RowKey\":\"{key}\",\"Data\":\"{data}\",\"Data01\":null}}")
}

fn cut() -> Outcome {
    let error = TransportError::sent(FailureKind::TimedOut, "no answer within 30 s");
    Err(error)
}

fn sent(exchange: &Exchange) -> HttpRequest {
    match exchange.step() {
        Step::Send(request) => request,
        Step::Done(result) => panic!("over: {result:?}"),
    }
}

fn body(request: &HttpRequest) -> String {
    match request.body() {
        Body::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Body::SeekableStream(_) => panic!("a stream"),
    }
}

/// The request an exchange wants sent, as one line: method, path and query, headers that are not
/// in every request, body.
fn line(exchange: &Exchange) -> String {
    let request = sent(exchange);
    let mut line = format!("{} {}", request.method(), request.path_and_query());
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    headers.sort_unstable();
    let fixed = [
        ("accept", "application/json;odata=nometadata"),
        ("dataserviceversion", "3.0"),
        ("x-ms-version", "2019-02-02"),
    ];
    for header in fixed {
        assert!(headers.contains(&header), "{headers:?}");
    }
    for (name, value) in headers {
        if !fixed.contains(&(name, value)) {
            let _ = write!(line, " {name}:{value}");
        }
    }
    let body = body(&request);
    if !body.is_empty() {
        let _ = write!(line, " {body}");
    }
    line.replace(&format!("&sig={PLANTED}%3D"), "&SIG")
        .replace("sv=2019-02-02&sp=", "SP=")
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
    store: &TableStore,
    request: &Request,
    outcomes: Vec<Outcome>,
) -> (Vec<String>, Result<Reply, Failure>) {
    play(store.begin(request, NOW).unwrap(), outcomes)
}

fn kind(result: &Result<Reply, Failure>) -> FailureKind {
    result.as_ref().unwrap_err().kind
}
