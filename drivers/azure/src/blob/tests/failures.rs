use super::*;

fn append_then(outcome: Outcome) -> Failure {
    let exchange = accepting().begin(&first_try(write(b"x")), NOW).unwrap();
    play(exchange, vec![outcome]).1.unwrap_err()
}

#[test]
fn every_status_has_its_kind_and_an_honest_may_have_landed() {
    use FailureKind::{
        Busy, Conflict, Denied, Exists, Full, Malformed, NotFound, Refused, TooLarge,
    };
    for (status, word, kind, landed) in [
        (202, "", Malformed, true),
        (301, "", Refused, false),
        (400, "InvalidHeaderValue", Refused, false),
        (401, "", Denied, false),
        (403, "AuthorizationFailure", Denied, false),
        (404, "ContainerNotFound", NotFound, false),
        (405, "", Refused, false),
        (408, "", Busy, true),
        (409, "BlockCountExceedsLimit", Full, false),
        (409, "AccountQuotaExceeded", Full, false),
        (409, "BlobAlreadyExists", Exists, false),
        (409, "InvalidBlobType", Conflict, false),
        (409, "ContainerBeingDeleted", NotFound, false),
        (409, "AccountBeingCreated", Busy, false),
        (409, "SomethingNew", Refused, false),
        (411, "MissingContentLengthHeader", Refused, false),
        (412, "AppendPositionConditionNotMet", Conflict, false),
        (413, "RequestBodyTooLarge", TooLarge, false),
        (429, "TooManyRequests", Busy, false),
        (500, "InternalError", Busy, true),
        (501, "NotImplemented", Refused, true),
        (503, "ServerBusy", Busy, true),
        (504, "", Busy, true),
        (507, "", Full, true),
        (999, "", Busy, true),
    ] {
        let failure = append_then(code(status, word));
        assert_eq!(
            (failure.kind, failure.may_have_landed),
            (kind, landed),
            "{status} {word}"
        );
        assert!(
            failure.detail.contains(&format!("HTTP {status}")),
            "{}",
            failure.detail
        );
        assert!(!failure.detail.contains('\n'));
    }
}

#[test]
fn the_code_comes_from_the_header_or_the_body_and_is_never_trusted_as_text() {
    let body = "<?xml version=\"1.0\"?><Error><Code>BlockCountExceedsLimit</Code>\
                <Message>x</Message></Error>";
    let failure = append_then(Ok(answer(409, &[], body)));
    assert_eq!(failure.kind, FailureKind::Full);
    let head = b"<Error><Code>BlockCountExceedsLimit</Code><Message>";
    for message in ["\u{e9}".repeat(3_000).as_bytes(), b"caf\xe9", b""] {
        let failure = append_then(Ok(answer(409, &[], [head, message].concat())));
        assert_eq!(failure.kind, FailureKind::Full);
    }
    for hostile in ["<script>", "a\nb", "\u{1b}[31m", &"x".repeat(65)] {
        let body = format!("<Error><Code>{hostile}</Code></Error>");
        let failure = append_then(Ok(answer(409, &[], body)));
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.detail.ends_with("(HTTP 409)"), "{}", failure.detail);
    }
}

#[test]
fn a_failure_says_what_was_tried_and_where() {
    let failure = append_then(code(503, "ServerBusy"));
    assert_eq!(
        failure.detail,
        format!(
            "writing res-0 of session {} at http://127.0.0.1:10000/acc: \
             the service is overloaded or broken for now (HTTP 503 ServerBusy)",
            id()
        )
    );
}

#[test]
fn the_service_says_how_long_to_wait() {
    for (name, value, wait) in [
        ("retry-after", "7", Some(7_000)),
        ("retry-after", " 7 ", Some(7_000)),
        ("retry-after", "Mon, 11 Jan 2027 08:00:37 GMT", Some(10_000)),
        ("retry-after", "Mon, 11 Jan 2027 07:00:00 GMT", Some(0)),
        ("retry-after", "99999999999", Some(3_600_000)),
        ("retry-after", "soon", None),
        ("retry-after", "-1", None),
        ("retry-after-ms", "250", Some(250)),
        ("x-ms-retry-after-ms", "250", Some(250)),
        ("server", "x", None),
    ] {
        let failure = append_then(Ok(answer(503, &[(name, value)], "")));
        assert_eq!(
            failure.retry_after,
            wait.map(Duration::from_millis),
            "{name}: {value}"
        );
        assert!(failure.is_retryable());
    }
}

#[test]
fn a_transport_error_keeps_its_kind_and_loses_its_secrets() {
    for kind in [
        FailureKind::Unreachable,
        FailureKind::Tls,
        FailureKind::TimedOut,
        FailureKind::Io,
    ] {
        for landed in [false, true] {
            let detail = format!("error for url (http://h/c/b?sv=1&sig={PLANTED}): reset");
            let failure = append_then(Err(TransportError {
                kind,
                may_have_landed: landed,
                detail,
            }));
            assert_eq!((failure.kind, failure.may_have_landed), (kind, landed));
            assert!(
                failure.detail.ends_with("(http://h/c/b?REDACTED): reset"),
                "{}",
                failure.detail
            );
        }
    }
}

#[test]
fn what_may_have_landed_before_stays_so_until_it_is_settled() {
    let exchange = accepting().begin(&again(write(b"x")), NOW).unwrap();
    let refused = TransportError::unsent(FailureKind::Unreachable, "refused");
    let failure = play(exchange, vec![Err(refused)]).1.unwrap_err();
    assert!(failure.may_have_landed);
}

#[test]
fn asking_for_the_step_again_changes_nothing() {
    let mut exchange = accepting().begin(&first_try(write(b"x")), NOW).unwrap();
    assert_eq!(line(&exchange), line(&exchange));
    exchange.handle(ok(201));
    assert_eq!(over(&exchange), over(&exchange));
    // An outcome nobody asked for is ignored by one that is over.
    exchange.handle(code(500, "InternalError"));
    assert_eq!(over(&exchange), Ok(Reply::Done));
}
