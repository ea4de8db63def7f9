use super::*;

fn run(
    store: &BlobStore,
    request: &Request,
    outcomes: Vec<Outcome>,
) -> (Vec<String>, Result<Reply, Failure>) {
    play(store.begin(request, NOW).unwrap(), outcomes)
}

fn exists() -> Outcome {
    code(409, "ContainerAlreadyExists")
}

const LOOK: &str = "GET /acc/handshake?restype=container x-ms-version:2021-12-02";
const MAKE_HANDSHAKE: &str =
    "PUT /acc/handshake?restype=container content-length:0 x-ms-version:2021-12-02";
const MAKE_TOKEN: &str =
    "PUT /acc/token?restype=container content-length:0 x-ms-version:2021-12-02";

fn missing() -> Outcome {
    code(404, "ContainerNotFound")
}

#[test]
fn the_bootstrap_is_ours_only_when_both_containers_are_new() {
    for (outcomes, created) in [
        (vec![missing(), ok(201), ok(201)], true),
        // Somebody made it between the two requests.
        (vec![missing(), exists(), ok(201)], false),
        (vec![missing(), ok(201), exists()], false),
        (vec![missing(), exists(), exists()], false),
    ] {
        let (lines, result) = run(&listener(), &first_try(Operation::Prepare), outcomes);
        assert_eq!(lines, [LOOK, MAKE_HANDSHAKE, MAKE_TOKEN]);
        assert_eq!(result, Ok(Reply::Prepared { created }));
    }
    for outcomes in [vec![ok(200), ok(201)], vec![ok(200), exists()]] {
        let (lines, result) = run(&listener(), &first_try(Operation::Prepare), outcomes);
        assert_eq!(lines, [LOOK, MAKE_TOKEN]);
        assert_eq!(result, Ok(Reply::Prepared { created: false }));
    }
}

#[test]
fn another_service_is_refused_before_anything_is_made_in_it() {
    for (server, status, service) in [
        ("Azurite-Queue/3.35.0", 400, "queue storage"),
        ("Azurite-Table/3.35.0", 403, "table storage"),
        (
            "Windows-Azure-Queue/1.0 Microsoft-HTTPAPI/2.0",
            404,
            "queue storage",
        ),
        (
            "Windows-Azure-Table/1.0 Microsoft-HTTPAPI/2.0",
            200,
            "table storage",
        ),
        (
            "Windows-Azure-File/1.0 Microsoft-HTTPAPI/2.0",
            404,
            "file storage",
        ),
        (
            "Windows-Azure-HDFS/1.0 Microsoft-HTTPAPI/2.0",
            404,
            "Data Lake storage",
        ),
    ] {
        let outcome = Ok(answer(status, &[("server", server)], ""));
        let (lines, result) = run(&listener(), &first_try(Operation::Prepare), vec![outcome]);
        assert_eq!(lines, [LOOK], "{server}");
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{server}");
        assert!(!failure.is_retryable() && !failure.may_have_landed);
        assert_eq!(
            failure.detail,
            format!(
                "looking for container \"handshake\" at {ENDPOINT}: {service} answers there, \
                 not blob storage: check the endpoint, it is the account's blob endpoint that is \
                 wanted"
            )
        );
    }
}

#[test]
fn blob_storage_and_servers_that_say_nothing_are_taken_as_they_are() {
    for server in [
        "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0",
        "Azurite-Blob/3.35.0",
        "nginx",
        "Queue/1.0",
        "Windows-Azure-",
        "",
    ] {
        let head = [("server", server), ("x-ms-error-code", "ContainerNotFound")];
        let outcomes = vec![Ok(answer(404, &head, "")), ok(201), ok(201)];
        let (_, result) = run(&listener(), &first_try(Operation::Prepare), outcomes);
        assert_eq!(result, Ok(Reply::Prepared { created: true }), "{server}");
    }
}

#[test]
fn a_ticket_to_another_service_is_refused_too() {
    let get = first_try(Operation::GetToken { id: id() });
    let head = [("server", "Azurite-Queue/3.35.0")];
    let (_, result) = run(&dialer(), &get, vec![Ok(answer(404, &head, ""))]);
    assert_eq!(kind(&result), FailureKind::Refused);
}

#[test]
fn a_bootstrap_still_being_deleted_is_waited_for() {
    for before in [vec![], vec![missing()]] {
        let mut outcomes = before;
        outcomes.push(code(409, "ContainerBeingDeleted"));
        let (_, result) = run(&listener(), &first_try(Operation::Prepare), outcomes);
        assert!(result.unwrap_err().is_retryable());
    }
}

#[test]
fn trap_19_a_bootstrap_is_removed_only_by_the_store_that_made_it() {
    let remove = first_try(Operation::RemoveBootstrap);
    let prepare = first_try(Operation::Prepare);
    let store = listener();
    for outcomes in [vec![ok(200), ok(201)], vec![ok(200), exists()]] {
        run(&store, &prepare, outcomes).1.unwrap();
        let failure = store.begin(&remove, NOW).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
    }
    let fresh = vec![missing(), ok(201), ok(201)];
    run(&store, &prepare, fresh).1.unwrap();
    let (lines, result) = run(
        &store,
        &remove,
        vec![ok(202), code(404, "ContainerNotFound")],
    );
    assert_eq!(
        lines,
        [
            "DELETE /acc/handshake?restype=container x-ms-version:2021-12-02",
            "DELETE /acc/token?restype=container x-ms-version:2021-12-02",
        ]
    );
    assert_eq!(result, Ok(Reply::Done));
    assert!(store.begin(&remove, NOW).is_err());
}

#[test]
fn a_handshake_is_an_empty_blob_with_message_1_in_its_metadata() {
    let knock = Operation::PutHandshake {
        id: id(),
        message: Bytes::from_static(b"\xfb\xff\xfe"),
    };
    let (lines, result) = run(&dialer(), &first_try(knock), vec![ok(201)]);
    assert_eq!(
        lines,
        [format!(
            "PUT /acc/handshake/{}?SP=c&sr=c&SIG content-length:0 x-ms-blob-type:BlockBlob \
             x-ms-meta-payload:+//+ x-ms-version:2021-12-02",
            id()
        )]
    );
    assert_eq!(result, Ok(Reply::Done));
}

#[test]
fn a_repeated_handshake_that_landed_before_is_done() {
    let knock = || Operation::PutHandshake {
        id: id(),
        message: Bytes::from_static(b"m"),
    };
    for (status, word) in [
        (403, "UnauthorizedBlobOverwrite"),
        // The emulator's word for the same.
        (403, "AuthorizationPermissionMismatch"),
        (409, "BlobAlreadyExists"),
    ] {
        let (_, result) = run(&dialer(), &again(knock()), vec![code(status, word)]);
        assert_eq!(result, Ok(Reply::Done));
        let (_, result) = run(&dialer(), &first_try(knock()), vec![code(status, word)]);
        assert!(!result.unwrap_err().is_retryable(), "the id is taken");
    }

    // A SAS that does not let create at all is another matter.
    let narrow = BlobStore::dialer(
        &Url::parse(ENDPOINT).unwrap(),
        sas("sp=r"),
        sas("sp=r"),
        Names::default(),
        Limits::default(),
    );
    let denied = code(403, "AuthorizationPermissionMismatch");
    let (_, result) = run(&narrow.unwrap(), &again(knock()), vec![denied]);
    assert_eq!(kind(&result), FailureKind::Denied);
}

#[test]
fn handshake_messages_have_the_size_noise_allows() {
    for (length, good) in [(0, false), (1, true), (65_535, true), (65_536, false)] {
        let message = Bytes::from(vec![0; length]);
        let knock = Operation::PutHandshake {
            id: id(),
            message: message.clone(),
        };
        assert_eq!(dialer().begin(&first_try(knock), NOW).is_ok(), good);
        let reply = Operation::PutToken { id: id(), message };
        assert_eq!(listener().begin(&first_try(reply), NOW).is_ok(), good);
    }
}

#[test]
fn a_token_is_a_blob_whose_body_is_message_2() {
    let put = Operation::PutToken {
        id: id(),
        message: Bytes::from_static(b"message 2"),
    };
    let (lines, result) = run(&listener(), &first_try(put), vec![ok(201)]);
    assert_eq!(
        lines,
        [format!(
            "PUT /acc/token/{} content-length:9 x-ms-blob-type:BlockBlob \
             x-ms-version:2021-12-02 \"message 2\"",
            id()
        )]
    );
    assert_eq!(result, Ok(Reply::Done));

    let get = || first_try(Operation::GetToken { id: id() });
    let found = Ok(answer(200, &[("content-length", "9")], "message 2"));
    let (lines, result) = run(&dialer(), &get(), vec![found]);
    assert_eq!(
        lines,
        [format!(
            "GET /acc/token/{}?SP=r&sr=c&SIG x-ms-version:2021-12-02",
            id()
        )]
    );
    assert_eq!(result, Ok(Reply::Token(Bytes::from_static(b"message 2"))));
    let (_, result) = run(&dialer(), &get(), vec![code(404, "BlobNotFound")]);
    assert_eq!(result, Ok(Reply::Nothing { missing: true }));
    let (_, result) = run(&dialer(), &get(), vec![code(404, "ContainerNotFound")]);
    assert_eq!(kind(&result), FailureKind::NotFound);
}

#[test]
fn a_token_that_broke_off_or_is_too_large_is_no_token() {
    let get = first_try(Operation::GetToken { id: id() });
    let cut_short = Ok(answer(200, &[("content-length", "10")], "message 2"));
    let (_, result) = run(&dialer(), &get, vec![cut_short]);
    assert!(result.unwrap_err().is_retryable());

    let exchange = dialer().begin(&get, NOW).unwrap();
    assert_eq!(exchange.body_limit(), 65_535);
    let announced = Ok(answer(200, &[("content-length", "65536")], vec![0; 65_535]));
    let silent = Ok(answer(200, &[], vec![0; 65_536]));
    for outcome in [announced, silent] {
        let (_, result) = run(&dialer(), &get, vec![outcome]);
        assert_eq!(kind(&result), FailureKind::TooLarge);
    }
}

#[test]
fn retry_table_a_delete_of_what_is_gone_is_done() {
    for (operation, path) in [
        (
            Operation::DeleteToken { id: id() },
            format!("token/{}", id()),
        ),
        (
            Operation::DeleteHandshake {
                name: id().to_string(),
            },
            format!("handshake/{}", id()),
        ),
    ] {
        for outcome in [ok(202), code(404, "BlobNotFound")] {
            let (lines, result) = run(&listener(), &again(operation.clone()), vec![outcome]);
            assert_eq!(
                lines,
                [format!("DELETE /acc/{path} x-ms-version:2021-12-02")]
            );
            assert_eq!(result, Ok(Reply::Done));
        }
    }
}

#[test]
fn no_name_of_a_handshake_escapes_its_container() {
    for (name, path) in [
        ("../x", "..%2Fx"),
        ("../../other/x", "..%2F..%2Fother%2Fx"),
        ("a/b?c", "a%2Fb%3Fc"),
        ("a#b", "a%23b"),
        ("\0", "%00"),
        ("a\nb\tc", "a%0Ab%09c"),
        ("%2e%2e", "%252e%252e"),
        ("..\\x", "..%5Cx"),
        ("x?restype=container", "x%3Frestype%3Dcontainer"),
        ("é", "%C3%A9"),
        ("...", "..."),
        (" ", "%20"),
    ] {
        let delete = Operation::DeleteHandshake { name: name.into() };
        let exchange = listener().begin(&first_try(delete), NOW).unwrap();
        let url = sent(&exchange).url().clone();
        assert_eq!(url.path(), format!("/acc/handshake/{path}"));
        assert_eq!((url.query(), url.fragment()), (None, None));
    }
    for name in ["", ".", "..", &"x".repeat(1_025)] {
        let delete = Operation::DeleteHandshake { name: name.into() };
        let failure = listener().begin(&first_try(delete), NOW).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{name:?}");
    }
}

#[test]
fn names_are_container_names_and_differ() {
    for (handshake, token, good) in [
        ("handshake", "token", true),
        ("h-1", "t-1", true),
        ("handshake", "handshake", false),
        ("Handshake", "token", false),
        ("h", "token", false),
        ("-hs", "token", false),
        ("h--s", "token", false),
        ("hs/../x", "token", false),
        (&"h".repeat(64), "token", false),
    ] {
        assert_eq!(
            Names::new(handshake, token).is_ok(),
            good,
            "{handshake} {token}"
        );
    }
}

#[test]
fn a_ticket_lets_in_and_nothing_more() {
    let store = BlobStore::listener(
        &Url::parse("https://acc.blob.core.windows.net/").unwrap(),
        Credential::shared_key("acc", "c2VjcmV0").unwrap(),
        Names::new("knock", "answer").unwrap(),
        Limits::default(),
    )
    .unwrap();
    let ticket = store.ticket(NOW, Duration::from_secs(3_600)).unwrap();
    assert_eq!(ticket.endpoint, "https://acc.blob.core.windows.net");
    for (sas, permissions) in [(&ticket.handshake, "c"), (&ticket.token, "r")] {
        assert_eq!(sas.permissions().unwrap(), permissions);
        assert_eq!(sas.parameter("spr").unwrap(), "https");
        assert_eq!(sas.expiry().unwrap(), NOW.after(Duration::from_secs(3_600)));
    }
    let dialer = BlobStore::dialer(
        &Url::parse(&ticket.endpoint).unwrap(),
        ticket.handshake,
        ticket.token,
        ticket.names,
        Limits::default(),
    )
    .unwrap();
    let get = dialer.begin(&first_try(Operation::GetToken { id: id() }), NOW);
    let url = sent(&get.unwrap()).url().to_string();
    let start = format!("https://acc.blob.core.windows.net/answer/{}?sv=", id());
    assert!(url.starts_with(&start), "{url}");
}
