use super::*;

fn place(session: &BlobSession) -> (u32, u64) {
    session.position(Direction::Outbound)
}

fn begin(session: &BlobSession, request: &Request) -> Exchange {
    session.begin(request, NOW).unwrap()
}

#[test]
fn an_append_names_its_position_and_moves_it_when_accepted() {
    let session = accepting();
    for (offset, bytes) in [(0, b"first".as_slice()), (5, b"second")] {
        let exchange = begin(&session, &first_try(write(bytes)));
        let (lines, result) = play(exchange, vec![ok(201)]);
        assert_eq!(
            lines,
            [format!(
                "PUT /acc/{}/res-0?comp=appendblock content-length:{} \
                 x-ms-blob-condition-appendpos:{offset} x-ms-version:2022-11-02 {:?}",
                id(),
                bytes.len(),
                core::str::from_utf8(bytes).unwrap()
            )]
        );
        assert_eq!(result, Ok(Reply::Done));
    }
    assert_eq!(place(&session), (0, 11));
}

#[test]
fn a_dialer_writes_req_under_the_grant_for_it() {
    let (lines, _) = play(begin(&dialing(), &first_try(write(b"x"))), vec![ok(201)]);
    assert!(
        lines[0].starts_with(&format!(
            "PUT /acc/{}/req-0?comp=appendblock&SP=rac&sr=c&SIG ",
            id()
        )),
        "{lines:?}"
    );
}

#[test]
fn retry_table_append_that_landed_is_confirmed_by_the_blobs_length() {
    let session = dialing();
    begin(&session, &first_try(write(b"before"))).handle(ok(201));
    let lost = play(begin(&session, &first_try(write(b"bytes"))), vec![cut()]).1;
    assert!(lost.unwrap_err().may_have_landed);

    let exchange = begin(&session, &again(write(b"bytes")));
    let (lines, result) = play(
        exchange,
        vec![
            code(412, "AppendPositionConditionNotMet"),
            Ok(answer(200, &[("content-length", "11")], "")),
        ],
    );
    assert_eq!(
        lines[1],
        format!(
            "HEAD /acc/{}/req-0?SP=r&sr=c&SIG x-ms-version:2021-12-02",
            id()
        ),
        "the length is read with the grant that reads"
    );
    assert_eq!(result, Ok(Reply::Done));
    assert_eq!(place(&session), (0, 11));
}

#[test]
fn retry_table_any_other_412_is_a_conflict() {
    // Nothing of ours can have landed: somebody else wrote.
    let session = accepting();
    let exchange = begin(&session, &first_try(write(b"bytes")));
    let (_, result) = play(exchange, vec![code(412, "AppendPositionConditionNotMet")]);
    assert_eq!(kind(&result), FailureKind::Conflict);

    // A retry, but the blob has another length than ours would give it.
    for length in ["0", "4", "6", "10"] {
        let exchange = begin(&session, &again(write(b"bytes")));
        let (_, result) = play(
            exchange,
            vec![
                code(412, "AppendPositionConditionNotMet"),
                Ok(answer(200, &[("content-length", length)], "")),
            ],
        );
        assert_eq!(kind(&result), FailureKind::Conflict, "{length}");
    }

    // A 412 about something else is no sign that we landed.
    let exchange = begin(&session, &again(write(b"bytes")));
    let (_, result) = play(exchange, vec![code(412, "LeaseIdMissing")]);
    assert_eq!(kind(&result), FailureKind::Conflict);
    assert_eq!(place(&session), (0, 0));
}

#[test]
fn an_unanswered_measurement_leaves_the_append_ambiguous() {
    let session = accepting();
    for outcome in [
        cut(),
        code(503, "ServerBusy"),
        Err(TransportError::unsent(FailureKind::Unreachable, "refused")),
        Ok(answer(200, &[], "")),
    ] {
        let exchange = begin(&session, &again(write(b"bytes")));
        let (_, result) = play(
            exchange,
            vec![code(412, "AppendPositionConditionNotMet"), outcome],
        );
        assert!(result.unwrap_err().may_have_landed);
    }
    assert_eq!(place(&session), (0, 0));
}

#[test]
fn trap_06_a_dialer_gets_not_found_and_never_creates_blob_0() {
    let session = dialing();
    for code_text in ["BlobNotFound", "ContainerNotFound"] {
        let exchange = begin(&session, &first_try(write(b"bytes")));
        let (lines, result) = play(exchange, vec![code(404, code_text)]);
        assert_eq!(lines.len(), 1);
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotFound);
        assert!(!failure.may_have_landed);
    }
    for number in [0, 2] {
        let refused = session.begin(&first_try(rotate(Direction::Outbound, number)), NOW);
        assert_eq!(refused.unwrap_err().kind, FailureKind::Refused);
    }
}

#[test]
fn a_rotation_creates_the_next_blob_and_starts_it_at_nothing() {
    for (session, path) in [(dialing(), "req-1?SP=rac&sr=c&SIG"), (accepting(), "res-1")] {
        begin(&session, &first_try(write(b"bytes"))).handle(ok(201));
        let exchange = begin(&session, &first_try(rotate(Direction::Outbound, 1)));
        let (lines, result) = play(exchange, vec![ok(201)]);
        assert_eq!(
            lines,
            [format!(
                "PUT /acc/{}/{path} content-length:0 if-none-match:* \
                 x-ms-blob-type:AppendBlob x-ms-version:2021-12-02",
                id()
            )]
        );
        assert_eq!(result, Ok(Reply::Done));
        assert_eq!(place(&session), (1, 0));
        let append = line(&begin(&session, &first_try(write(b"x"))));
        assert!(append.contains("-1?comp=appendblock"), "{append}");
        assert!(append.contains("appendpos:0 "), "{append}");
    }
}

#[test]
fn retry_table_trap_07_a_repeated_creation_of_the_next_blob_is_done_and_truncates_nothing() {
    let session = accepting();
    let lost = begin(&session, &first_try(rotate(Direction::Outbound, 1)));
    let (_, result) = play(lost, vec![cut()]);
    assert!(result.unwrap_err().may_have_landed);
    assert_eq!(place(&session), (0, 0));

    let exchange = begin(&session, &again(rotate(Direction::Outbound, 1)));
    let (lines, result) = play(exchange, vec![code(409, "BlobAlreadyExists")]);
    assert!(lines[0].contains("if-none-match:*"));
    assert_eq!(result, Ok(Reply::Done));
    assert_eq!(place(&session), (1, 0));

    // And once more, now that we know: nothing to send.
    let repeated = begin(&session, &again(rotate(Direction::Outbound, 1)));
    assert_eq!(over(&repeated), Ok(Reply::Done));
}

#[test]
fn trap_07_a_grant_that_lets_create_but_not_overwrite_asks_whether_the_blob_is_there() {
    // So the emulator answers a repeated creation under permission "rac".
    let denied = || code(403, "AuthorizationPermissionMismatch");
    for (outcome, expected) in [
        (ok(200), Ok(Reply::Done)),
        (ok(404), Err(FailureKind::Denied)),
        (denied(), Err(FailureKind::Denied)),
        (code(503, "ServerBusy"), Err(FailureKind::Busy)),
    ] {
        let session = dialing();
        let exchange = begin(&session, &again(rotate(Direction::Outbound, 1)));
        let (lines, result) = play(exchange, vec![denied(), outcome]);
        assert_eq!(
            lines[1],
            format!(
                "HEAD /acc/{}/req-1?SP=r&sr=c&SIG x-ms-version:2021-12-02",
                id()
            )
        );
        let moved = if expected.is_ok() { (1, 0) } else { (0, 0) };
        assert_eq!(result.map_err(|failure| failure.kind), expected);
        assert_eq!(place(&session), moved);
    }
}

#[test]
fn an_outcome_that_comes_after_the_retry_moves_nothing_twice() {
    let session = accepting();
    let mut slow = begin(&session, &first_try(write(b"bytes")));
    let mut retry = begin(&session, &again(write(b"bytes")));
    retry.handle(ok(201));
    slow.handle(ok(201));
    assert_eq!(place(&session), (0, 5));
}

#[test]
fn sixteen_mebibytes_go_in_one_block_and_no_byte_more() {
    let session = accepting();
    let of = |size: usize| Operation::Write {
        sequence: 0,
        chunks: vec![],
        bytes: Bytes::from(vec![0; size]),
    };
    let most = session.begin(&first_try(of(16 << 20)), NOW).unwrap();
    let request = sent(&most);
    assert_eq!(request.body().len(), Some(16 << 20));
    let version = HeaderName::from_static("x-ms-version");
    assert!(request.headers().get_optional_str(&version).unwrap() >= "2022-11-02");

    for (size, kind) in [
        ((16 << 20) + 1, FailureKind::TooLarge),
        (0, FailureKind::Refused),
    ] {
        let failure = session.begin(&first_try(of(size)), NOW).unwrap_err();
        assert_eq!(failure.kind, kind);
    }
}

#[test]
fn a_success_that_no_append_has_is_malformed_and_ambiguous() {
    let exchange = begin(&accepting(), &first_try(write(b"bytes")));
    let (_, result) = play(exchange, vec![ok(200)]);
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Malformed);
    assert!(failure.may_have_landed);
}
