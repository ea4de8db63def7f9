use super::*;

const MARK: [u8; 16] = [0xab; 16];
const HEX: &str = "abababababababababababababababab";

fn create() -> Operation {
    Operation::CreateSession {
        id: id(),
        mark: MARK,
    }
}

fn delete() -> Operation {
    Operation::DeleteSession { id: id() }
}

fn make(table: &str) -> String {
    format!(
        "POST /acc/Tables content-length:51 content-type:application/json \
         prefer:return-no-content {{\"TableName\":\"{table}\"}}"
    )
}

fn mark(table: &str) -> String {
    let row = format!(
        "{{\"PartitionKey\":\"stillwire\",\"RowKey\":\"session\",\"Mark\":\"{HEX}\",\
         \"Created@odata.type\":\"Edm.Int64\",\"Created\":\"1799654427\"}}"
    );
    format!(
        "POST /acc/{table} content-length:{} content-type:application/json \
         prefer:return-no-content {row}",
        row.len()
    )
}

fn look(table: &str) -> String {
    format!("GET /acc/{table}(PartitionKey='stillwire',RowKey='session')?$select=Mark")
}

fn marked(mark: &str) -> Outcome {
    answer(200, &[], format!("{{\"Mark\":\"{mark}\"}}"))
}

fn exists() -> Outcome {
    code(409, "TableAlreadyExists")
}

fn done() -> Vec<Outcome> {
    vec![ok(204), ok(204), ok(204), ok(204)]
}

fn created() -> TableStore {
    let store = listener();
    run(&store, &first_try(create()), done()).1.unwrap();
    store
}

#[test]
fn a_session_is_two_marked_tables_and_a_grant_for_each() {
    let (lines, result) = run(&listener(), &first_try(create()), done());
    assert_eq!(lines, [make(REQ), mark(REQ), make(RES), mark(RES)]);
    let Ok(Reply::Session { req, res }) = result else {
        panic!("no session")
    };
    for (grant, table, letters) in [(req, REQ, "a"), (res, RES, "r")] {
        let grant = Sas::parse(&grant).unwrap();
        assert_eq!(grant.service(), Service::Table);
        assert_eq!(grant.permissions().unwrap(), letters);
        assert_eq!(grant.parameter("tn").unwrap(), table);
        assert_eq!(grant.parameter("se").unwrap(), "2027-01-12T08:00:27Z");
    }
}

#[test]
fn trap_01_a_table_that_exists_is_refused_and_left_untouched() {
    for outcome in [exists(), code(409, "TableBeingDeleted"), ok(409)] {
        let (lines, result) = run(&listener(), &first_try(create()), vec![outcome]);
        assert_eq!(lines, [make(REQ)]);
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Exists);
        assert!(!failure.may_have_landed);
    }
}

#[test]
fn trap_20_when_the_second_table_is_somebody_elses_the_first_goes_and_the_second_stays() {
    for undone in [ok(204), code(404, "ResourceNotFound"), cut()] {
        let outcomes = vec![ok(204), ok(204), exists(), undone];
        let (lines, result) = run(&listener(), &first_try(create()), outcomes);
        assert_eq!(
            lines[2..],
            [make(RES), format!("DELETE /acc/Tables('{REQ}')")]
        );
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Exists);
        assert!(failure.detail.contains(RES), "{failure}");
    }
}

#[test]
fn a_repeated_creation_knows_its_own_tables_by_their_mark() {
    let mut outcomes = vec![exists(), marked(HEX), exists(), marked(HEX)];
    let (lines, result) = run(&listener(), &again(create()), outcomes.clone());
    assert_eq!(lines, [make(REQ), look(REQ), make(RES), look(RES)]);
    assert!(matches!(result, Ok(Reply::Session { .. })));

    for stranger in [marked("x"), answer(200, &[], "{\"Mark\":7}"), ok(200)] {
        outcomes = vec![exists(), stranger];
        let (lines, result) = run(&listener(), &again(create()), outcomes);
        assert_eq!(lines.len(), 2);
        assert_eq!(kind(&result), FailureKind::Exists);
    }
}

#[test]
fn a_creation_that_broke_off_before_the_mark_is_taken_up_only_when_the_table_is_empty() {
    let no_mark = || code(404, "ResourceNotFound");
    let outcomes = vec![exists(), no_mark(), page(""), ok(204), ok(204), ok(204)];
    let (lines, result) = run(&listener(), &again(create()), outcomes);
    assert_eq!(
        lines[..4],
        [
            make(REQ),
            look(REQ),
            format!("GET /acc/{REQ}()?$top=1&$select=RowKey"),
            mark(REQ)
        ]
    );
    assert!(matches!(result, Ok(Reply::Session { .. })));

    // Rows, and still no mark of ours.
    for taken in [page("{\"RowKey\":\"000000000\"}"), page("{}")] {
        let outcomes = vec![exists(), no_mark(), taken, no_mark()];
        let (lines, result) = run(&listener(), &again(create()), outcomes);
        assert_eq!((lines.len(), &lines[3]), (4, &look(REQ)));
        assert_eq!(kind(&result), FailureKind::Exists);
    }
    // An answer that does not say is no verdict.
    for (answer, what) in [
        (answer(200, &[], "{\"value\":["), FailureKind::Unreachable),
        (answer(200, &[], "{}"), FailureKind::Malformed),
        (
            answer(200, &[("content-length", "90")], "{\"Ma"),
            FailureKind::Unreachable,
        ),
    ] {
        let outcomes = vec![exists(), no_mark(), answer];
        let (_, result) = run(&listener(), &again(create()), outcomes);
        assert_eq!(kind(&result), what);
    }
    let cut_off = answer(200, &[("content-length", "90")], "{\"Ma");
    let (_, result) = run(&listener(), &again(create()), vec![exists(), cut_off]);
    assert_eq!(kind(&result), FailureKind::Unreachable);
}

#[test]
fn a_mark_of_a_try_that_was_late_is_found_behind_the_rows() {
    let no_mark = || code(404, "ResourceNotFound");
    let row = page("{\"RowKey\":\"session\"}");
    let outcomes = vec![exists(), no_mark(), row, marked(HEX), exists(), marked(HEX)];
    let (_, result) = run(&listener(), &again(create()), outcomes);
    assert!(matches!(result, Ok(Reply::Session { .. })), "{result:?}");
}

#[test]
fn an_empty_page_with_a_token_does_not_make_a_table_somebody_elses() {
    let no_mark = || code(404, "ResourceNotFound");
    let head = [
        ("x-ms-continuation-nextpartitionkey", "p"),
        ("x-ms-continuation-nextrowkey", "r"),
    ];
    let more = || answer(200, &head, "{\"value\":[]}");
    let outcomes = vec![
        exists(),
        no_mark(),
        more(),
        page(""),
        ok(204),
        ok(204),
        ok(204),
    ];
    let (lines, result) = run(&listener(), &again(create()), outcomes);
    assert!(lines[3].contains("$top=1&$select=RowKey&NextPartitionKey=p&NextRowKey=r"));
    assert!(matches!(result, Ok(Reply::Session { .. })), "{result:?}");
    // For ever it is not followed.
    let mut outcomes = vec![exists(), no_mark()];
    outcomes.extend((0..17).map(|_| more()));
    let (_, result) = run(&listener(), &again(create()), outcomes);
    assert_eq!(kind(&result), FailureKind::Exists);
}

#[test]
fn a_creation_that_fails_half_way_may_have_landed() {
    for outcome in [
        code(503, "ServerBusy"),
        cut(),
        Err(TransportError::unsent(FailureKind::Unreachable, "refused")),
        code(404, "TableNotFound"),
    ] {
        let outcomes = vec![ok(204), outcome];
        let (_, result) = run(&listener(), &first_try(create()), outcomes);
        assert!(result.unwrap_err().may_have_landed);
    }
    let unsent = Err(TransportError::unsent(FailureKind::Unreachable, "refused"));
    let (_, result) = run(&listener(), &first_try(create()), vec![unsent]);
    assert!(!result.unwrap_err().may_have_landed);
}

#[test]
fn tables_of_our_own_making_are_deleted_and_gone_already_is_fine() {
    for outcome in [
        ok(204),
        code(404, "ResourceNotFound"),
        code(409, "TableBeingDeleted"),
    ] {
        let store = created();
        let outcomes = vec![outcome.clone(), outcome];
        let (lines, result) = run(&store, &first_try(delete()), outcomes);
        assert_eq!(
            lines,
            [
                format!("DELETE /acc/Tables('{REQ}')"),
                format!("DELETE /acc/Tables('{RES}')")
            ]
        );
        assert_eq!(result, Ok(Reply::Done));
        let exchange = store.begin(&first_try(delete()), NOW).unwrap();
        assert_eq!(line(&exchange), look(REQ), "it is not ours any more");
    }
}

#[test]
fn trap_01_tables_not_of_our_making_are_deleted_only_when_they_bear_a_mark() {
    let outcomes = vec![marked(HEX), ok(204), marked(HEX), ok(204)];
    let (lines, result) = run(&listener(), &first_try(delete()), outcomes);
    assert_eq!((&*lines[0], &*lines[2]), (&*look(REQ), &*look(RES)));
    assert_eq!(result, Ok(Reply::Done));

    for stranger in [
        marked(""),
        marked("short"),
        ok(200),
        code(404, "ResourceNotFound"),
        code(404, ""),
    ] {
        let outcomes = vec![stranger.clone()];
        let (_, result) = run(&listener(), &first_try(delete()), outcomes);
        assert_eq!(kind(&result), FailureKind::Exists);
        let outcomes = vec![code(404, "TableNotFound"), stranger];
        let (lines, result) = run(&listener(), &first_try(delete()), outcomes);
        assert_eq!(lines, [look(REQ), look(RES)]);
        assert_eq!(kind(&result), FailureKind::Exists);
    }
    let gone = vec![code(404, "TableNotFound"), code(404, "TableNotFound")];
    let (_, result) = run(&listener(), &first_try(delete()), gone);
    assert_eq!(result, Ok(Reply::Done));
}

#[test]
fn a_refused_creation_is_not_remembered_as_ours() {
    let store = listener();
    let outcomes = vec![ok(204), ok(204), exists(), ok(204)];
    run(&store, &first_try(create()), outcomes).1.unwrap_err();
    let exchange = store.begin(&first_try(delete()), NOW).unwrap();
    assert_eq!(line(&exchange), look(REQ), "it must look first");
}

#[test]
fn a_dialer_can_ask_for_nothing_of_the_listeners() {
    for operation in [
        Operation::Prepare,
        Operation::RemoveBootstrap,
        Operation::ListHandshakes {
            after: None,
            limit: 32,
        },
        Operation::DeleteHandshake { name: "x".into() },
        Operation::PutToken {
            id: id(),
            message: Bytes::from_static(b"x"),
        },
        Operation::DeleteToken { id: id() },
        create(),
        delete(),
    ] {
        let failure = dialing().begin(&first_try(operation), NOW).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
    }
}

#[test]
fn a_dialer_needs_both_grants_and_they_cannot_change_what_is_asked() {
    let store = dialer();
    let session = |grants| store.session(id(), Role::Dialer, grants).map(|_| ());
    assert_eq!(session(None), Err(Error::NoCredential));
    for grant in [
        "sig=x&$filter=true",
        "sig=x&%24top=1",
        "sig=x&$select=x",
        "sig=x&NextRowKey=x",
        "sig=x&nextpartitionkey=x",
        "sp=r",
    ] {
        assert!(matches!(
            session(Some(("sig=x", grant))),
            Err(Error::Sas(_))
        ));
    }
    assert_eq!(session(Some(("sig=x", "?sig=y"))), Ok(()));
}

#[test]
fn a_table_is_never_rotated_and_leaves_nothing_to_release() {
    let rotate = Operation::Rotate {
        direction: Direction::Outbound,
        number: 1,
    };
    assert!(accepting().begin(&first_try(rotate), NOW).is_err());
    let release = Operation::Release { sequence: 7 };
    let exchange = accepting().begin(&first_try(release), NOW).unwrap();
    let nothing = Reply::Released {
        removed: 0,
        left: 0,
    };
    assert_eq!(over(&exchange), Ok(nothing));
}

#[test]
fn the_profile_is_the_wire_pages() {
    let profile = listener().profile();
    assert_eq!(profile.name, "aztable");
    assert_eq!(profile.largest_chunk, 983_040);
    assert_eq!(profile.sequences, Some(1_000_000_000));
    assert_eq!(profile.writes_before_rotation, None);
    assert_eq!(profile.releases_in_flight, 0);
    // 16 rows in flight: in threes with the account's key, one by one with a grant.
    let written = |profile: Profile| (profile.bytes_per_write, profile.writes_in_flight);
    assert_eq!(written(profile), (2_949_120, 5));
    assert_eq!(written(dialer().profile()), (983_040, 16));
    for (rows, transactions, wanted) in [
        (0, false, (983_040, 1)),
        (256, false, (983_040, 256)),
        (257, false, (983_040, 256)),
        (2, true, (2_949_120, 1)),
        (256, true, (2_949_120, 85)),
    ] {
        let profile = dialer_with(Limits {
            rows_in_flight: rows,
            bytes_per_read: 1,
            transactions_with_grant: transactions,
            ..Limits::default()
        })
        .profile();
        assert_eq!(profile.bytes_per_read, 983_040);
        assert_eq!(written(profile), wanted);
    }
}
