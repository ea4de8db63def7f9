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

fn properties(mark: Option<&str>) -> Outcome {
    let mark = mark.map(|mark| ("x-ms-meta-stillwire", mark));
    Ok(answer(200, mark.as_slice(), ""))
}

/// A store that has just made its session.
fn created() -> BlobStore {
    let store = listener();
    let exchange = store.begin(&first_try(create()), NOW).unwrap();
    let (_, result) = play(exchange, vec![ok(201), ok(201), ok(201)]);
    assert!(matches!(result, Ok(Reply::Session { .. })));
    store
}

#[test]
fn trap_06_a_session_is_created_whole_before_the_dialer_hears_of_it() {
    let exchange = listener().begin(&first_try(create()), NOW).unwrap();
    let (lines, result) = play(exchange, vec![ok(201), ok(201), ok(201)]);
    let blob = |name| {
        format!(
            "PUT /acc/{}/{name} content-length:0 if-none-match:* \
             x-ms-blob-type:AppendBlob x-ms-version:2021-12-02",
            id()
        )
    };
    assert_eq!(
        lines,
        [
            format!(
                "PUT /acc/{}?restype=container content-length:0 x-ms-meta-created:1799654427 \
                 x-ms-meta-stillwire:{HEX} x-ms-version:2021-12-02",
                id()
            ),
            blob("req-0"),
            blob("res-0"),
        ]
    );
    let Ok(Reply::Session { req, res }) = result else {
        panic!("no session")
    };
    for (text, permissions) in [(req, "rac"), (res, "r")] {
        let sas = Sas::parse(&text).unwrap();
        assert_eq!(sas.permissions().unwrap(), permissions);
        assert_eq!(sas.parameter("sr").unwrap(), "c");
        assert_eq!(sas.parameter("spr").unwrap(), "https,http");
        assert_eq!(sas.start(), Some(UnixTime::from_secs(1_799_654_127)));
        assert_eq!(sas.expiry(), Some(UnixTime::from_secs(1_799_740_827)));
    }
}

#[test]
fn the_grants_cannot_delete_list_or_overwrite() {
    for letters in [
        SESSION_REQ_PERMISSIONS,
        SESSION_RES_PERMISSIONS,
        HANDSHAKE_PERMISSIONS,
        TOKEN_PERMISSIONS,
    ] {
        assert!(
            !letters.contains(['d', 'x', 'w', 'l', 'y', 'i']),
            "{letters}"
        );
    }
}

#[test]
fn trap_01_trap_20_an_existing_container_is_left_untouched() {
    let store = listener();
    for outcome in [
        code(409, "ContainerAlreadyExists"),
        code(409, "ContainerBeingDeleted"),
    ] {
        let exchange = store.begin(&first_try(create()), NOW).unwrap();
        let (lines, result) = play(exchange, vec![outcome]);
        assert_eq!(lines.len(), 1, "one attempt to create, and nothing else");
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Exists);
        assert!(!failure.may_have_landed);
    }
}

#[test]
fn trap_01_after_a_lost_reply_the_mark_tells_our_container_from_another() {
    let store = listener();
    let lost = store.begin(&first_try(create()), NOW).unwrap();
    assert!(play(lost, vec![cut()]).1.unwrap_err().may_have_landed);

    let exists = || code(409, "ContainerAlreadyExists");
    for stranger in [None, Some(""), Some("00000000000000000000000000000000")] {
        let exchange = store.begin(&again(create()), NOW).unwrap();
        let (lines, result) = play(exchange, vec![exists(), properties(stranger)]);
        assert_eq!(
            lines[1],
            format!(
                "GET /acc/{}?restype=container x-ms-version:2021-12-02",
                id()
            )
        );
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Exists);
        assert!(!failure.may_have_landed, "it is certainly not ours");
    }

    let exchange = store.begin(&again(create()), NOW).unwrap();
    let outcomes = vec![
        exists(),
        properties(Some(HEX)),
        code(409, "BlobAlreadyExists"),
        ok(201),
    ];
    let (lines, result) = play(exchange, outcomes);
    assert_eq!(lines.len(), 4);
    assert!(matches!(result, Ok(Reply::Session { .. })));
}

#[test]
fn a_creation_that_fails_half_way_may_have_landed() {
    for outcome in [
        code(503, "ServerBusy"),
        cut(),
        Err(TransportError::unsent(FailureKind::Unreachable, "refused")),
        code(404, "ContainerNotFound"),
    ] {
        let exchange = listener().begin(&first_try(create()), NOW).unwrap();
        let (_, result) = play(exchange, vec![ok(201), outcome]);
        assert!(result.unwrap_err().may_have_landed);
    }
}

#[test]
fn a_container_of_our_own_making_is_deleted_and_gone_already_is_fine() {
    for outcome in [
        ok(202),
        code(404, "ContainerNotFound"),
        code(409, "ContainerBeingDeleted"),
    ] {
        let exchange = created().begin(&first_try(delete()), NOW).unwrap();
        let (lines, result) = play(exchange, vec![outcome]);
        assert_eq!(
            lines,
            [format!(
                "DELETE /acc/{}?restype=container x-ms-version:2021-12-02",
                id()
            )]
        );
        assert_eq!(result, Ok(Reply::Done));
    }
}

#[test]
fn trap_01_a_container_not_of_our_making_is_deleted_only_when_it_bears_a_mark() {
    let begin = || listener().begin(&first_try(delete()), NOW).unwrap();
    let (lines, result) = play(begin(), vec![properties(Some(HEX)), ok(202)]);
    assert!(lines[0].starts_with("GET ") && lines[1].starts_with("DELETE "));
    assert_eq!(result, Ok(Reply::Done));

    for mark in [None, Some(""), Some("short")] {
        let (lines, result) = play(begin(), vec![properties(mark)]);
        assert_eq!(lines.len(), 1);
        assert_eq!(kind(&result), FailureKind::Exists);
    }
    let (_, result) = play(begin(), vec![code(404, "ContainerNotFound")]);
    assert_eq!(result, Ok(Reply::Done));
}

#[test]
fn a_refused_creation_is_not_remembered_as_ours() {
    let store = listener();
    let exchange = store.begin(&first_try(create()), NOW).unwrap();
    play(exchange, vec![code(409, "ContainerAlreadyExists")])
        .1
        .unwrap_err();
    let exchange = store.begin(&first_try(delete()), NOW).unwrap();
    assert!(line(&exchange).starts_with("GET "), "it must look first");
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
        Operation::ListSessions {
            after: None,
            limit: 9,
        },
        Operation::SessionAge { id: id() },
        Operation::SweepSession { id: id() },
    ] {
        let failure = dialing().begin(&first_try(operation), NOW).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
    }
}

#[test]
fn a_dialer_needs_both_grants_and_they_must_be_sas() {
    let store = dialer();
    let session = |grants| store.session(id(), Role::Dialer, grants).map(|_| ());
    assert_eq!(session(None), Err(Error::NoCredential));
    for (req, res) in [
        ("", "sig=x"),
        ("sig=x", "sp=r"),
        ("sig=x", "sig=x&comp=list"),
        ("sig=x#y", "sig=x"),
        ("sig=x y", "sig=x"),
    ] {
        assert!(matches!(session(Some((req, res))), Err(Error::Sas(_))));
    }
    assert_eq!(session(Some(("sig=x", "?sig=y"))), Ok(()));
}

#[test]
fn a_listener_without_the_account_key_says_so() {
    let store = BlobStore::listener(
        &Url::parse(ENDPOINT).unwrap(),
        Credential::Sas(sas("ss=b&srt=sco&sp=rwdlac")),
        Names::default(),
        Limits::default(),
    )
    .unwrap();
    let ticket = store.ticket(NOW, Duration::from_secs(60));
    assert_eq!(ticket.unwrap_err(), Error::CannotSign);
    let exchange = store.begin(&first_try(create()), NOW).unwrap();
    assert!(line(&exchange).contains("restype=container&sv=2021-12-02&ss=b"));
    let (_, result) = play(exchange, vec![ok(201), ok(201), ok(201)]);
    assert_eq!(kind(&result), FailureKind::Denied);
}

#[test]
fn rotation_comes_when_the_limits_say() {
    assert_eq!(listener().profile().writes_before_rotation, Some(49_990));
    let limits = Limits {
        writes_before_rotation: 3,
        ..Limits::default()
    };
    let profile = listener_with(limits).profile();
    assert_eq!(profile.writes_before_rotation, Some(3));
    assert_eq!(profile.name, "azblob");
    assert_eq!(profile.largest_chunk, 4_194_304);
    assert_eq!(profile.writes_in_flight, 1);
}
