//! Responses that are no success, told apart: [`FailureKind`] and one line of advice.

use crate::Service;
use crate::credential::{Credential, Sas};
use crate::date::{iso8601, parse_rfc1123};
use crate::encode::redact;
use azure_core::http::StatusCode;
use azure_core::http::headers::{HeaderName, Headers};
use core::time::Duration;
use stillwire_core::UnixTime;
use stillwire_core::store::{Failure, FailureKind};

/// Difference between our clock and the service's from which on it is the likely culprit.
const SKEW: Duration = Duration::from_secs(300);
/// Longest `Retry-After` taken at its word.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// What a failed request was about.
pub(crate) struct Context<'a> {
    /// What we were doing, and where: begins the line.
    pub(crate) action: &'a str,
    /// The permission letter it takes.
    pub(crate) permission: char,
    /// What we showed the service.
    pub(crate) credential: Shown<'a>,
    /// The service that should have answered.
    pub(crate) service: Service,
    /// Our clock.
    pub(crate) now: UnixTime,
}

/// The credential of one request.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// A signature of this account's key.
    Key(&'a str),
    /// A SAS in the URL.
    Sas(&'a Sas),
}

impl<'a> From<&'a Credential> for Shown<'a> {
    fn from(credential: &'a Credential) -> Self {
        match credential {
            Credential::SharedKey { account, .. } => Self::Key(account),
            Credential::Sas(sas) => Self::Sas(sas),
        }
    }
}

/// The service's own word for what was wrong: from the header, else from the
/// XML or, for most errors of tables, the JSON body.
pub(crate) fn error_code(headers: &Headers, body: &[u8]) -> String {
    let header = headers.get_optional_str(&HeaderName::from_static("x-ms-error-code"));
    let code = match header {
        Some(code) => code,
        None => code_in_body(body).unwrap_or(""),
    };
    let sane = !code.is_empty() && code.len() <= 64;
    if sane && code.bytes().all(|b| b.is_ascii_alphanumeric()) {
        code.to_owned()
    } else {
        String::new()
    }
}

fn code_in_body(body: &[u8]) -> Option<&str> {
    let head = body.get(..body.len().min(4_096))?;
    // A message behind the code may be in any language and encoding, or cut here.
    let text = match core::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(head.get(..error.valid_up_to())?).ok()?,
    };
    // Tables tell of a refused credential in XML of their own, whatever was asked for.
    for (start, end) in [
        ("<Code>", "</Code>"),
        ("<m:code>", "</m:code>"),
        ("<code>", "</code>"),
    ] {
        if let Some((_, rest)) = text.split_once(start) {
            return rest.split_once(end).map(|(code, _)| code.trim());
        }
    }
    // Tables: {"odata.error":{"code":"…","message":{…}}}
    let (_, error) = text.split_once("\"odata.error\"")?;
    let (_, rest) = error.split_once("\"code\"")?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start();
    value.strip_prefix('"')?.split('"').next()
}

/// What is wrong when a response's `Server` header names another service than the one we want, as
/// in `Windows-Azure-Queue/1.0` or `Azurite-Table/3.35.0`. Headers that name none we know pass: a
/// gateway may put its own there.
pub(crate) fn other_service(headers: &Headers, wanted: Service) -> Option<String> {
    let server = headers.get_optional_str(&HeaderName::from_static("server"))?;
    let name = server
        .strip_prefix("Windows-Azure-")
        .or_else(|| server.strip_prefix("Azurite-"))?;
    let (answers, service) = match name.split(['/', ' ']).next()? {
        "Blob" => ("blob storage", Some(Service::Blob)),
        "Queue" => ("queue storage", Some(Service::Queue)),
        "Table" => ("table storage", Some(Service::Table)),
        "File" => ("file storage", None),
        "HDFS" => ("Data Lake storage", None),
        _ => return None,
    };
    (service != Some(wanted)).then(|| {
        format!(
            "{answers} answers there, not {wanted} storage: check the endpoint, it is the \
             account's {wanted} endpoint that is wanted"
        )
    })
}

/// Makes a failure of a response that the caller has no better use for.
pub(crate) fn classify(
    context: &Context<'_>,
    status: StatusCode,
    headers: &Headers,
    body: &[u8],
) -> Failure {
    let code = error_code(headers, body);
    let number = u16::from(status);
    let (kind, reason) = match number {
        401 | 403 => (FailureKind::Denied, denied(context, headers, &code)),
        404 => (
            FailureKind::NotFound,
            "it is not there: was it removed?".to_owned(),
        ),
        409 => conflict(&code),
        412 => (
            FailureKind::Conflict,
            "somebody else wrote where only we may".to_owned(),
        ),
        413 => (
            FailureKind::TooLarge,
            "larger than the service takes".to_owned(),
        ),
        507 => (FailureKind::Full, "the account is full".to_owned()),
        408 | 429 => (
            FailureKind::Busy,
            "the service asks us to slow down".to_owned(),
        ),
        501 | 505 => (
            FailureKind::Refused,
            format!(
                "the service does not know this operation: is it {} storage?",
                context.service
            ),
        ),
        500.. => (
            FailureKind::Busy,
            "the service is overloaded or broken for now".to_owned(),
        ),
        300..=399 => (
            FailureKind::Refused,
            "the endpoint points elsewhere: check its URL".to_owned(),
        ),
        400..=499 => (FailureKind::Refused, refused(context.service, &code)),
        _ => (
            FailureKind::Malformed,
            "an answer that makes no sense: is this the right endpoint?".to_owned(),
        ),
    };
    let said = match code.as_str() {
        "" => format!("HTTP {number}"),
        code => format!("HTTP {number} {code}"),
    };
    Failure {
        kind,
        may_have_landed: false,
        retry_after: retry_after(headers, context.now),
        detail: redact(&format!("{}: {reason} ({said})", context.action)),
    }
}

fn conflict(code: &str) -> (FailureKind, String) {
    let (kind, reason) = match code {
        "ContainerBeingDeleted" | "ContainerDisabled" => {
            (FailureKind::NotFound, "the container is being deleted")
        }
        "QueueBeingDeleted" | "QueueDisabled" => {
            (FailureKind::NotFound, "the queue is being deleted")
        }
        "TableBeingDeleted" => (FailureKind::NotFound, "the table is being deleted"),
        "ContainerAlreadyExists"
        | "BlobAlreadyExists"
        | "QueueAlreadyExists"
        | "TableAlreadyExists"
        | "EntityAlreadyExists" => (FailureKind::Exists, "it exists already and is not ours"),
        "InvalidBlobType" => (
            FailureKind::Conflict,
            "a blob of another kind is in its place",
        ),
        "AccountBeingCreated" => (FailureKind::Busy, "the account is still being created"),
        _ if code.contains("Exceed") || code.contains("Full") || code.contains("Quota") => {
            (FailureKind::Full, "there is no room left")
        }
        _ => (FailureKind::Refused, "the service refuses it"),
    };
    (kind, reason.to_owned())
}

fn refused(service: Service, code: &str) -> String {
    match code {
        "InvalidHeaderValue" | "UnsupportedHeader" => {
            "the service does not take a header, most likely the version: \
             an emulator wants --skipApiVersionCheck"
                .to_owned()
        }
        "OutOfRangeInput" | "InvalidResourceName" | "InvalidUri" => {
            "the service does not take the name".to_owned()
        }
        _ => format!(
            "the service refuses the request: is it {service} storage, and the right endpoint?"
        ),
    }
}

fn denied(context: &Context<'_>, headers: &Headers, code: &str) -> String {
    let service_now = headers
        .get_optional_str(&HeaderName::from_static("date"))
        .and_then(parse_rfc1123);
    let lacks = matches!(
        code,
        "AuthorizationPermissionMismatch"
            | "AuthorizationResourceTypeMismatch"
            | "AuthorizationServiceMismatch"
            | "UnauthorizedBlobOverwrite"
    );
    if let Shown::Sas(sas) = context.credential {
        let now = service_now.unwrap_or(context.now);
        if let Some(expiry) = sas.expiry()
            && expiry <= now
        {
            return format!("the SAS expired at {}: get a new ticket", iso8601(expiry));
        }
        if let Some(start) = sas.start()
            && start > now
        {
            return format!(
                "the SAS holds only from {}: the clock of the machine that made it is ahead; set it \
                 and get a new ticket",
                iso8601(start)
            );
        }
        if lacks {
            let granted = sas.permissions().unwrap_or_default();
            if context.permission == 'c' && granted.contains('c') {
                return format!(
                    "something is there, and the SAS grants {granted:?} but no overwriting"
                );
            }
            return format!(
                "the SAS lacks permission {:?}, it grants {granted:?}",
                context.permission
            );
        }
        match code {
            "AuthorizationProtocolMismatch" => {
                return "the SAS is for https only: use an https endpoint".to_owned();
            }
            "AuthorizationSourceIPMismatch" => {
                return "the SAS is not for this machine's address".to_owned();
            }
            _ => {}
        }
    }
    if let Some(skew) = service_now.and_then(|service| skew(context.now, service)) {
        return skew;
    }
    match context.credential {
        _ if code == "AccountIsDisabled" => "the account is disabled".to_owned(),
        Shown::Sas(_) => "the SAS is not valid here: its signature or its resource is wrong, \
             or the key that made it was changed"
            .to_owned(),
        Shown::Key(account) => {
            format!("the key is not that of account {account:?}: check AZURE_STORAGE_KEY")
        }
    }
}

/// Says by how much our clock is off, when that is enough to be refused.
fn skew(ours: UnixTime, service: UnixTime) -> Option<String> {
    let off = ours.as_secs().abs_diff(service.as_secs());
    let way = if ours > service { "ahead" } else { "behind" };
    (off > SKEW.as_secs()).then(|| {
        format!(
            "this machine's clock is {} minutes {way}: set it",
            off.div_ceil(60)
        )
    })
}

/// How long the service wants to be left alone: milliseconds, seconds or a date.
fn retry_after(headers: &Headers, now: UnixTime) -> Option<Duration> {
    let header = |name| headers.get_optional_str(&HeaderName::from_static(name));
    let millis = header("retry-after-ms").or_else(|| header("x-ms-retry-after-ms"));
    if let Some(millis) = millis.and_then(|text| text.trim().parse().ok()) {
        return Some(Duration::from_millis(millis).min(LONGEST_WAIT));
    }
    let text = header("retry-after")?.trim();
    let wait = if let Ok(secs) = text.parse() {
        Duration::from_secs(secs)
    } else {
        let until = parse_rfc1123(text)?;
        Duration::from_secs(until.as_secs().saturating_sub(now.as_secs()))
    };
    Some(wait.min(LONGEST_WAIT))
}
