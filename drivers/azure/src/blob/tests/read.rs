use super::*;

fn begin(session: &BlobSession, limit: usize) -> Exchange {
    session.begin(&first_try(read(limit)), NOW).unwrap()
}

fn part(range: &str, body: &'static [u8]) -> Outcome {
    Ok(answer(206, &[("content-range", range)], body))
}

fn data(bytes: &'static [u8], more: bool) -> Result<Reply, Failure> {
    Ok(Reply::Data {
        bytes: Bytes::from_static(bytes),
        more,
    })
}

#[test]
fn reads_are_bounded_ranges_from_where_the_last_ended() {
    let session = dialing();
    let (lines, result) = play(begin(&session, 100), vec![part("bytes 0-4/5", b"hello")]);
    assert_eq!(
        lines,
        [format!(
            "GET /acc/{}/res-0?SP=r&sr=c&SIG range:bytes=0-99 x-ms-version:2021-12-02",
            id()
        )]
    );
    assert_eq!(result, data(b"hello", false));
    assert!(line(&begin(&session, 10)).contains("range:bytes=5-14"));

    let listener = accepting();
    let largest = line(&begin(&listener, usize::MAX));
    assert!(
        largest.contains("/req-0 range:bytes=0-16777215 "),
        "{largest}"
    );
}

#[test]
fn trap_08_the_offset_advances_by_bytes_received_not_by_announced_length() {
    let session = accepting();
    let head = [
        ("content-range", "bytes 0-99/1000"),
        ("content-length", "100"),
    ];
    let (_, result) = play(
        begin(&session, 100),
        vec![Ok(answer(206, &head, "only this"))],
    );
    assert_eq!(result, data(b"only this", true));
    assert_eq!(session.position(Direction::Inbound), (0, 9));
}

#[test]
fn more_is_said_from_the_total_or_else_from_a_full_range() {
    for (range, body, more) in [
        ("bytes 0-3/4", b"full", false),
        ("bytes 0-3/5", b"full", true),
        ("bytes 0-3/*", b"full", true),
        ("nonsense", b"full", true),
    ] {
        let (_, result) = play(begin(&accepting(), 4), vec![part(range, body)]);
        assert_eq!(result, data(body, more), "{range}");
    }
    let (_, result) = play(begin(&accepting(), 5), vec![Ok(answer(206, &[], "full"))]);
    assert_eq!(result, data(b"full", false));
}

#[test]
fn nothing_yet_has_many_faces() {
    for (outcome, missing) in [
        (code(404, "BlobNotFound"), true),
        (code(404, "ContainerNotFound"), true),
        (code(409, "ContainerBeingDeleted"), true),
        (ok(404), true),
        (code(416, "InvalidRange"), false),
        (part("bytes 0--1/0", b""), false),
        (ok(206), false),
        (ok(200), false),
        (ok(204), false),
    ] {
        let session = accepting();
        let (_, result) = play(begin(&session, 10), vec![outcome]);
        assert_eq!(result, Ok(Reply::Nothing { missing }));
        assert_eq!(session.position(Direction::Inbound), (0, 0));
    }
}

#[test]
fn trap_12_a_session_deleted_under_a_reader_stays_missing() {
    let session = dialing();
    for _ in 0..3 {
        let (_, result) = play(begin(&session, 10), vec![code(404, "ContainerNotFound")]);
        assert_eq!(result, Ok(Reply::Nothing { missing: true }));
    }
}

#[test]
fn a_range_that_was_not_asked_for_is_malformed() {
    let session = accepting();
    begin(&session, 10).handle(part("bytes 0-4/5", b"hello"));
    for outcome in [
        part("bytes 0-4/5", b"hello"),
        part("bytes 6-7/8", b"ab"),
        Ok(answer(200, &[], "hello again, from the start")),
    ] {
        let (_, result) = play(begin(&session, 10), vec![outcome]);
        assert_eq!(kind(&result), FailureKind::Malformed);
        assert_eq!(session.position(Direction::Inbound), (0, 5));
    }
}

#[test]
fn a_server_that_ignores_the_range_is_cut_to_the_limit() {
    let session = accepting();
    let (_, result) = play(begin(&session, 4), vec![Ok(answer(200, &[], "too much"))]);
    assert_eq!(result, data(b"too ", true));
    assert_eq!(session.position(Direction::Inbound), (0, 4));
}

#[test]
fn the_reader_turns_to_the_next_blob_without_creating_it() {
    let session = dialing();
    begin(&session, 10).handle(part("bytes 0-4/5", b"hello"));
    let request = first_try(rotate(Direction::Inbound, 1));
    let turned = session.begin(&request, NOW).unwrap();
    assert_eq!(over(&turned), Ok(Reply::Done));
    assert_eq!(session.position(Direction::Inbound), (1, 0));
    assert_eq!(session.position(Direction::Outbound), (0, 0));

    let exchange = begin(&session, 10);
    assert!(line(&exchange).contains("/res-1?"));
    let (_, result) = play(exchange, vec![code(404, "BlobNotFound")]);
    assert_eq!(result, Ok(Reply::Nothing { missing: true }));

    let skipped = session.begin(&first_try(rotate(Direction::Inbound, 3)), NOW);
    assert_eq!(skipped.unwrap_err().kind, FailureKind::Refused);
}

#[test]
fn a_read_and_a_write_of_one_session_overlap() {
    let session = accepting();
    let mut reading = begin(&session, 10);
    let mut writing = session.begin(&first_try(write(b"out")), NOW).unwrap();
    writing.handle(ok(201));
    reading.handle(part("bytes 0-1/2", b"in"));
    assert_eq!(over(&writing), Ok(Reply::Done));
    assert_eq!(over(&reading), data(b"in", false));
    assert_eq!(session.position(Direction::Outbound), (0, 3));
    assert_eq!(session.position(Direction::Inbound), (0, 2));
}

#[test]
fn bytes_are_delivered_once_even_when_an_abandoned_read_comes_back() {
    let session = accepting();
    let mut abandoned = begin(&session, 10);
    let (_, result) = play(begin(&session, 10), vec![part("bytes 0-1/2", b"in")]);
    assert_eq!(result, data(b"in", false));
    abandoned.handle(part("bytes 0-1/2", b"in"));
    assert_eq!(over(&abandoned), Ok(Reply::Nothing { missing: false }));
}

#[test]
fn a_read_that_fails_is_an_error_and_never_nothing() {
    for (outcome, expected) in [
        (code(403, "AuthorizationFailure"), FailureKind::Denied),
        (code(500, "InternalError"), FailureKind::Busy),
        (code(400, "InvalidHeaderValue"), FailureKind::Refused),
        (cut(), FailureKind::TimedOut),
    ] {
        let (_, result) = play(begin(&dialing(), 10), vec![outcome]);
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, expected);
        assert!(!failure.may_have_landed, "a read changes nothing");
    }
}

#[test]
fn bodies_are_read_no_further_than_needed() {
    assert_eq!(begin(&accepting(), 1).body_limit(), 16_384);
    assert_eq!(begin(&accepting(), usize::MAX).body_limit(), 16 << 20);
    let refused = accepting().begin(&first_try(read(0)), NOW);
    assert_eq!(refused.unwrap_err().kind, FailureKind::Refused);
}
