use super::*;

#[test]
fn trap_11_a_read_that_fails_is_an_error_and_never_nothing() {
    for (outcome, kind, landed) in [
        (
            code(403, "AuthorizationFailure"),
            FailureKind::Denied,
            false,
        ),
        (
            code(400, "InvalidQueryParameterValue"),
            FailureKind::Refused,
            false,
        ),
        (code(500, "InternalError"), FailureKind::Busy, true),
        (code(503, "ServerBusy"), FailureKind::Busy, true),
        (ok(204), FailureKind::Malformed, true),
        (cut(), FailureKind::TimedOut, true),
        (Ok(answer(200, &[], "")), FailureKind::Malformed, true),
        (
            Ok(answer(200, &[], "<Other/>")),
            FailureKind::Malformed,
            true,
        ),
        (
            Ok(answer(200, &[], "<QueueMessagesList><Que")),
            FailureKind::Malformed,
            true,
        ),
    ] {
        let (_, result) = on(&accepting(), read(0), vec![outcome]);
        let failure = result.unwrap_err();
        assert_eq!(
            (failure.kind, failure.may_have_landed),
            (kind, landed),
            "{failure}"
        );
        assert!(!failure.detail.contains('\n'));
        assert!(
            failure.detail.contains(&format!("queue \"req-{ID}\"")),
            "{failure}"
        );
    }
}

#[test]
fn an_answer_that_is_not_whole_or_too_large_is_an_error() {
    let short = Ok(answer(
        200,
        &[("content-length", "99999")],
        "<QueueMessagesList />",
    ));
    let failure = on(&accepting(), read(0), vec![short]).1.unwrap_err();
    assert!(
        failure.is_retryable() && failure.may_have_landed,
        "{failure}"
    );
    let endless = Ok(answer(200, &[("content-length", "99999999999")], ""));
    let (_, result) = on(&accepting(), read(0), vec![endless]);
    assert_eq!(kind(&result), FailureKind::TooLarge);
    let exchange = accepting().begin(&first_try(read(0)), NOW).unwrap();
    let limit = exchange.body_limit();
    assert!((32 * 65_536..16 << 20).contains(&limit), "{limit}");
    let whole = vec![b' '; limit + 1];
    let (_, result) = play(exchange, vec![Ok(answer(200, &[], whole))]);
    assert_eq!(kind(&result), FailureKind::TooLarge);
}

#[test]
fn an_expired_grant_is_said_to_be_one() {
    let (req, res) = (sas("se=2027-01-11T08%3A00%3A00Z&sp=a"), sas("sp=rp"));
    let grants = Some((req.expose(), res.expose()));
    let session = dialer().session(id(), Role::Dialer, grants).unwrap();
    let write = Operation::Write {
        sequence: 0,
        chunks: vec![20],
        bytes: vec![0; 20].into(),
    };
    let denied = code(403, "AuthorizationFailure");
    let failure = on(&session, write, vec![denied]).1.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.detail.contains("the SAS expired at"), "{failure}");
    let lacking = code(403, "AuthorizationPermissionMismatch");
    let failure = on(&dialing(), read(0), vec![lacking]).1.unwrap_err();
    assert!(failure.detail.contains("permission 'p'"), "{failure}");
}

#[test]
fn trap_06_a_dialer_gets_not_found_and_creates_nothing() {
    let write = Operation::Write {
        sequence: 0,
        chunks: vec![20],
        bytes: vec![0; 20].into(),
    };
    let missing = code(404, "QueueNotFound");
    let (lines, result) = on(&dialing(), write, vec![missing]);
    assert_eq!(lines.len(), 1);
    assert_eq!(kind(&result), FailureKind::NotFound);
}

#[test]
fn no_text_holds_a_secret() {
    let session = dialing();
    let mut texts = vec![
        format!("{:?} {session:?}", dialer()),
        format!("{:?}", listener()),
    ];
    for operation in [read(0), Operation::GetToken { id: id() }] {
        let mut exchange = session.begin(&first_try(operation), NOW).unwrap();
        texts.push(format!("{exchange:?} {:?}", exchange.step()));
        exchange.handle(code(403, "AuthorizationFailure"));
        texts.push(format!("{exchange:?} {:?}", exchange.step()));
        texts.push(over(&exchange).unwrap_err().to_string());
    }
    for text in texts {
        assert!(
            !text.contains(PLANTED) && !text.contains("c2VjcmV0"),
            "{text}"
        );
    }
}

#[test]
fn a_grant_cannot_turn_a_request_into_another() {
    for text in [
        "sig=x&numofmessages=1",
        "sig=x&PopReceipt=y",
        "visibilitytimeout=0&sig=x",
    ] {
        assert!(matches!(Sas::parse(text), Err(Error::Sas(_))), "{text}");
    }
}
