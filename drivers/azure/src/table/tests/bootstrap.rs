use super::*;

const MAKE_HANDSHAKE: &str = "POST /acc/Tables content-length:25 content-type:application/json \
     prefer:return-no-content {\"TableName\":\"handshake\"}";
const MAKE_TOKEN: &str = "POST /acc/Tables content-length:21 content-type:application/json \
     prefer:return-no-content {\"TableName\":\"token\"}";

fn exists() -> Outcome {
    code(409, "TableAlreadyExists")
}

fn knock() -> Operation {
    Operation::PutHandshake {
        id: id(),
        message: Bytes::from_static(b"\xfb\xff\xfe"),
    }
}

#[test]
fn the_bootstrap_is_ours_only_when_both_tables_are_new() {
    for (outcomes, created) in [
        (vec![ok(204), ok(201)], true),
        (vec![exists(), ok(204)], false),
        (vec![ok(204), exists()], false),
        (vec![exists(), exists()], false),
    ] {
        let (lines, result) = run(&listener(), &first_try(Operation::Prepare), outcomes);
        assert_eq!(lines, [MAKE_HANDSHAKE, MAKE_TOKEN]);
        assert_eq!(result, Ok(Reply::Prepared { created }));
    }
}

#[test]
fn another_service_is_refused() {
    for server in ["Azurite-Blob/3.35.0", "Windows-Azure-Queue/1.0 Microsoft"] {
        let outcome = answer(201, &[("server", server)], "");
        let (_, result) = run(&listener(), &first_try(Operation::Prepare), vec![outcome]);
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.detail.contains("not table storage"), "{failure}");
    }
    for server in ["Azurite-Table/3.35.0", "Windows-Azure-Table/1.0", "nginx"] {
        let made = || answer(204, &[("server", server)], "");
        let outcomes = vec![made(), made()];
        let (_, result) = run(&listener(), &first_try(Operation::Prepare), outcomes);
        assert_eq!(result, Ok(Reply::Prepared { created: true }));
    }
}

#[test]
fn a_bootstrap_still_being_deleted_is_waited_for() {
    for before in [vec![], vec![ok(204)]] {
        let mut outcomes = before;
        outcomes.push(code(409, "TableBeingDeleted"));
        let (_, result) = run(&listener(), &first_try(Operation::Prepare), outcomes);
        assert!(result.unwrap_err().is_retryable());
    }
}

#[test]
fn trap_19_a_bootstrap_is_removed_only_by_the_store_that_made_it() {
    let remove = first_try(Operation::RemoveBootstrap);
    let prepare = first_try(Operation::Prepare);
    let store = listener();
    for outcomes in [vec![exists(), ok(204)], vec![ok(204), exists()]] {
        run(&store, &prepare, outcomes).1.unwrap();
        let failure = store.begin(&remove, NOW).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
    }
    run(&store, &prepare, vec![ok(204), ok(204)]).1.unwrap();
    let (lines, result) = run(
        &store,
        &remove,
        vec![ok(204), code(404, "ResourceNotFound")],
    );
    assert_eq!(
        lines,
        [
            "DELETE /acc/Tables('handshake')",
            "DELETE /acc/Tables('token')"
        ]
    );
    assert_eq!(result, Ok(Reply::Done));
    assert!(store.begin(&remove, NOW).is_err());
}

#[test]
fn a_handshake_is_a_row_whose_partition_is_the_tables_name() {
    let (lines, result) = run(&dialer(), &first_try(knock()), vec![ok(204)]);
    let row = format!(
        "{{\"PartitionKey\":\"handshake\",\"RowKey\":\"{}\",\
         \"Data@odata.type\":\"Edm.Binary\",\"Data\":\"+//+\"}}",
        id()
    );
    assert_eq!(
        lines,
        [format!(
            "POST /acc/handshake?SP=a&tn=handshake&SIG content-length:{} \
             content-type:application/json prefer:return-no-content {row}",
            row.len()
        )]
    );
    assert_eq!(result, Ok(Reply::Done));
}

#[test]
fn a_repeated_message_that_landed_before_is_done_and_a_first_one_is_not() {
    let taken = || code(409, "EntityAlreadyExists");
    let (_, result) = run(&dialer(), &again(knock()), vec![taken()]);
    assert_eq!(result, Ok(Reply::Done));
    let (_, result) = run(&dialer(), &first_try(knock()), vec![taken()]);
    assert_eq!(kind(&result), FailureKind::Exists);

    let put = || Operation::PutToken {
        id: id(),
        message: Bytes::from_static(b"m"),
    };
    let (lines, result) = run(&listener(), &again(put()), vec![taken()]);
    assert!(lines[0].starts_with("POST /acc/token "), "{lines:?}");
    assert_eq!(result, Ok(Reply::Done));
    let (_, result) = run(&listener(), &first_try(put()), vec![taken()]);
    assert_eq!(kind(&result), FailureKind::Exists);
    // Gone with the table is not there.
    let (_, result) = run(
        &listener(),
        &again(put()),
        vec![code(409, "TableBeingDeleted")],
    );
    assert_eq!(kind(&result), FailureKind::NotFound);
}

#[test]
fn messages_have_1_to_65_535_bytes() {
    for (length, fits) in [(0, false), (1, true), (65_535, true), (65_536, false)] {
        let knock = Operation::PutHandshake {
            id: id(),
            message: Bytes::from(vec![7; length]),
        };
        assert_eq!(dialer().begin(&first_try(knock), NOW).is_ok(), fits);
    }
}

#[test]
fn a_token_is_fetched_by_its_key_under_the_grant_for_it() {
    let get = first_try(Operation::GetToken { id: id() });
    let found = answer(200, &[], "{\"Data\":\"+//+\",\"Data01\":null}");
    let (lines, result) = run(&dialer(), &get, vec![found]);
    assert_eq!(
        lines,
        [format!(
            "GET /acc/token(PartitionKey='token',RowKey='{}')?$select=Data&SP=r&tn=token&SIG",
            id()
        )]
    );
    assert_eq!(
        result,
        Ok(Reply::Token(Bytes::from_static(b"\xfb\xff\xfe")))
    );

    let (_, result) = run(&dialer(), &get, vec![code(404, "ResourceNotFound")]);
    assert_eq!(result, Ok(Reply::Nothing { missing: true }));
}

#[test]
fn trap_11_a_failing_look_for_the_token_is_an_error_and_never_nothing_yet() {
    let get = first_try(Operation::GetToken { id: id() });
    for (outcome, wanted) in [
        (code(404, "TableNotFound"), FailureKind::NotFound),
        (denied("AuthenticationFailed"), FailureKind::Denied),
        (
            denied("AuthorizationPermissionMismatch"),
            FailureKind::Denied,
        ),
        (code(503, "ServerBusy"), FailureKind::Busy),
        (ok(200), FailureKind::Malformed),
        (answer(200, &[], "{\"Data\":7}"), FailureKind::Malformed),
        (answer(200, &[], "{\"Data\":\"\"}"), FailureKind::Malformed),
        (answer(200, &[], "{}"), FailureKind::Malformed),
        (answer(200, &[], "[1]"), FailureKind::Malformed),
        (
            answer(200, &[("content-length", "99")], "{\"Data\":\"+//+\"}"),
            FailureKind::Unreachable,
        ),
        (
            answer(200, &[("content-length", "9999999")], "{\"Da"),
            FailureKind::TooLarge,
        ),
    ] {
        let (_, result) = run(&dialer(), &get, vec![outcome]);
        assert_eq!(kind(&result), wanted);
    }
}

#[test]
fn an_entry_is_deleted_whatever_its_version_and_its_name_cannot_leave_its_quotes() {
    for (name, written) in [
        ("plain", "plain"),
        ("it's/a?b#c", "it%27%27s%2Fa%3Fb%23c"),
        ("')", "%27%27%29"),
        ("..", ".."),
        ("é%", "%C3%A9%25"),
        ("", ""),
    ] {
        let delete = Operation::DeleteHandshake { name: name.into() };
        for status in [204, 404] {
            let (lines, result) = run(&listener(), &first_try(delete.clone()), vec![ok(status)]);
            assert_eq!(
                lines,
                [format!(
                    "DELETE /acc/handshake(PartitionKey='handshake',RowKey='{written}') if-match:*"
                )]
            );
            assert_eq!(result, Ok(Reply::Done));
        }
        let (_, result) = run(&listener(), &first_try(delete), vec![ok(412)]);
        assert!(result.is_err());
    }
    let long = Operation::DeleteHandshake {
        name: "x".repeat(2_049),
    };
    assert!(listener().begin(&first_try(long), NOW).is_err());
    let delete = Operation::DeleteToken { id: id() };
    let (lines, _) = run(&listener(), &first_try(delete), vec![ok(204)]);
    assert!(lines[0].ends_with(&format!("RowKey='{}') if-match:*", id())));
}

#[test]
fn the_ticket_lets_add_handshakes_and_read_tokens_and_nothing_else() {
    let ticket = listener().ticket(NOW, Duration::from_secs(3_600)).unwrap();
    assert_eq!(ticket.endpoint, ENDPOINT);
    for (sas, table, letters) in [
        (&ticket.handshake, "handshake", "a"),
        (&ticket.token, "token", "r"),
    ] {
        assert_eq!(sas.service(), Service::Table);
        assert_eq!(sas.permissions().unwrap(), letters);
        assert_eq!(sas.parameter("tn").unwrap(), table);
        assert_eq!(sas.parameter("st").unwrap(), "2027-01-11T07:55:27Z");
        assert_eq!(sas.parameter("se").unwrap(), "2027-01-11T09:00:27Z");
    }
}

#[test]
fn a_dialer_can_ask_for_nothing_that_is_the_listeners() {
    for operation in [
        Operation::Prepare,
        Operation::RemoveBootstrap,
        Operation::ListHandshakes {
            after: None,
            limit: 1,
        },
        Operation::DeleteHandshake { name: "x".into() },
        Operation::PutToken {
            id: id(),
            message: Bytes::from_static(b"x"),
        },
        Operation::DeleteToken { id: id() },
        Operation::CreateSession {
            id: id(),
            mark: [1; 16],
        },
        Operation::DeleteSession { id: id() },
        Operation::ListSessions {
            after: None,
            limit: 9,
        },
        Operation::SessionAge { id: id() },
        Operation::SweepSession { id: id() },
    ] {
        let begun = dialer().begin(&first_try(operation), NOW).map(|_| ());
        assert_eq!(begun.unwrap_err().kind, FailureKind::Refused);
    }
}

#[test]
fn a_token_that_no_reader_would_take_is_not_put() {
    for (length, fits) in [(0, false), (1, true), (65_535, true), (65_536, false)] {
        let put = Operation::PutToken {
            id: id(),
            message: Bytes::from(vec![1; length]),
        };
        let begun = listener().begin(&first_try(put), NOW);
        assert_eq!(begun.is_ok(), fits, "{length}");
    }
}
