use super::*;
use crate::hostile_xml::Listing;

const LOOK: &str = "GET /acc/handshake?comp=metadata";
const MAKE_HANDSHAKE: &str = "PUT /acc/handshake content-length:0";
const MAKE_TOKEN: &str = "PUT /acc/token content-length:0";
/// 32 bytes from 0 up, then the id.
const MESSAGE_1: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9jOWU3YWIxMS02YzI0LTQ1ODktOGFmYy1iMzU2NDU2M2U2ZWE=";
/// The same with the id in capitals.
const CAPITALS: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9DOUU3QUIxMS02QzI0LTQ1ODktOEFGQy1CMzU2NDU2M0U2RUE=";

fn message_1() -> Bytes {
    let mut message: Vec<u8> = (0..32).collect();
    message.extend_from_slice(ID.as_bytes());
    message.into()
}

fn listing(limit: u16) -> Operation {
    Operation::ListHandshakes { after: None, limit }
}

#[test]
fn the_bootstrap_is_ours_only_when_both_queues_are_new() {
    let missing = || code(404, "QueueNotFound");
    let exists = || code(409, "QueueAlreadyExists");
    for (outcomes, created) in [
        (vec![missing(), ok(201), ok(201)], true),
        (vec![missing(), ok(204), ok(201)], false),
        (vec![missing(), exists(), ok(201)], false),
        (vec![missing(), ok(201), ok(204)], false),
    ] {
        let (lines, result) = run(&listener(), Operation::Prepare, outcomes);
        assert_eq!(lines, [LOOK, MAKE_HANDSHAKE, MAKE_TOKEN]);
        assert_eq!(result, Ok(Reply::Prepared { created }));
    }
    let (lines, result) = run(&listener(), Operation::Prepare, vec![ok(200), exists()]);
    assert_eq!(lines, [LOOK, MAKE_TOKEN]);
    assert_eq!(result, Ok(Reply::Prepared { created: false }));
    let deleting = vec![missing(), code(409, "QueueBeingDeleted")];
    let (_, result) = run(&listener(), Operation::Prepare, deleting);
    assert!(result.unwrap_err().is_retryable());
}

#[test]
fn another_service_is_refused_before_anything_is_made_in_it() {
    let head = [("server", "Azurite-Blob/3.35.0")];
    let outcome = Ok(answer(404, &head, ""));
    let (lines, result) = run(&listener(), Operation::Prepare, vec![outcome]);
    assert_eq!(lines, [LOOK]);
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(
        failure.detail.contains("blob storage answers there"),
        "{failure}"
    );
    let head = [("server", "Azurite-Queue/3.35.0")];
    let outcome = Ok(answer(200, &head, ""));
    let (_, result) = run(&listener(), Operation::Prepare, vec![outcome, ok(201)]);
    assert_eq!(result, Ok(Reply::Prepared { created: false }));
}

#[test]
fn trap_19_a_bootstrap_is_removed_only_by_the_store_that_made_it() {
    let store = listener();
    let remove = first_try(Operation::RemoveBootstrap);
    assert!(store.begin(&remove, NOW).is_err());
    let made = vec![code(404, "QueueNotFound"), ok(201), ok(201)];
    run(&store, Operation::Prepare, made).1.unwrap();
    let (lines, result) = run(
        &store,
        Operation::RemoveBootstrap,
        vec![ok(204), code(404, "QueueNotFound")],
    );
    assert_eq!(lines, ["DELETE /acc/handshake", "DELETE /acc/token"]);
    assert_eq!(result, Ok(Reply::Done));
    assert!(store.begin(&remove, NOW).is_err());
}

#[test]
fn a_dialer_knocks_with_its_first_message() {
    let put = Operation::PutHandshake {
        id: id(),
        message: message_1(),
    };
    let (lines, result) = run(&dialer(), put, vec![ok(201)]);
    let body = format!("<QueueMessage><MessageText>{MESSAGE_1}</MessageText></QueueMessage>");
    assert_eq!(
        lines,
        [format!(
            "POST /acc/handshake/messages?messagettl=86400&SP=a&SIG content-length:{} \
             content-type:application/xml {body}",
            body.len()
        )]
    );
    assert_eq!(result, Ok(Reply::Done));
}

#[test]
fn handshakes_are_listed_under_their_ids_and_deleted_by_them_every_copy() {
    let store = listener();
    let batch = list(&[("m1", "1", MESSAGE_1), ("m2", "2", MESSAGE_1)]);
    let (lines, result) = run(&store, listing(64), vec![batch]);
    assert_eq!(
        lines,
        ["GET /acc/handshake/messages?numofmessages=32&visibilitytimeout=20"]
    );
    let Ok(Reply::Handshakes { entries, next }) = result else {
        panic!("{result:?}")
    };
    assert_eq!((entries.len(), next), (2, None));
    for entry in entries {
        assert_eq!((&*entry.name, entry.message), (ID, Some(message_1())));
    }
    let delete = Operation::DeleteHandshake { name: ID.into() };
    let gone = code(404, "MessageNotFound");
    let (lines, result) = run(&store, delete.clone(), vec![ok(204), gone]);
    assert_eq!(
        lines,
        [
            "DELETE /acc/handshake/messages/m1?popreceipt=1",
            "DELETE /acc/handshake/messages/m2?popreceipt=2"
        ]
    );
    assert_eq!(result, Ok(Reply::Done));
    let (lines, result) = run(&store, delete, vec![]);
    assert_eq!((lines.len(), result), (0, Ok(Reply::Done)));
}

#[test]
fn trap_16_messages_that_cannot_be_decoded_are_listed_without_a_message() {
    let store = listener();
    let batch = list(&[
        ("j1", "1", "no base64!"),
        ("j2", "1", "AAAA"),
        ("j3", "1", CAPITALS),
        ("j4", "1", ""),
        ("m", "1", MESSAGE_1),
    ]);
    let (_, result) = run(&store, listing(5), vec![batch]);
    let Ok(Reply::Handshakes { entries, next }) = result else {
        panic!("{result:?}")
    };
    assert!(
        next.is_some(),
        "as many as were asked for: there may be more"
    );
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        ["message j1", "message j2", "message j3", "message j4", ID]
    );
    let decoded: Vec<_> = entries.iter().map(|e| e.message.is_some()).collect();
    assert_eq!(decoded, [false, true, true, false, true]);
    for name in names {
        if name != ID {
            let delete = Operation::DeleteHandshake { name: name.into() };
            let (lines, _) = run(&store, delete, vec![]);
            assert_eq!(lines.len(), 0, "junk is left where it lies");
        }
    }
}

#[test]
fn trap_10_a_token_is_peeked_at_and_deleted_by_what_the_put_named() {
    let store = listener();
    let put = Operation::PutToken {
        id: id(),
        message: Bytes::from_static(b"message two"),
    };
    let body =
        format!("<QueueMessage><MessageText>{ID}:bWVzc2FnZSB0d28=</MessageText></QueueMessage>");
    let Ok((_, _, made)) = list(&[("t1", "p1", "")]) else {
        panic!()
    };
    let (lines, result) = run(&store, put, vec![Ok(answer(201, &[], made))]);
    assert_eq!(
        lines,
        [format!(
            "POST /acc/token/messages?messagettl=600 content-length:{} \
             content-type:application/xml {body}",
            body.len()
        )]
    );
    assert_eq!(result, Ok(Reply::Done));
    let delete = Operation::DeleteToken { id: id() };
    let (lines, result) = run(&store, delete.clone(), vec![ok(204)]);
    assert_eq!(lines, ["DELETE /acc/token/messages/t1?popreceipt=p1"]);
    assert_eq!(result, Ok(Reply::Done));
    assert_eq!(run(&store, delete, vec![]).1, Ok(Reply::Done));

    let get = || Operation::GetToken { id: id() };
    let text = format!("{ID}:bWVzc2FnZSB0d28=");
    let other = "00000000-0000-4000-8000-000000000000:bWVzc2FnZSB0d28=";
    let peeked = list(&[("x", "", "junk"), ("y", "", other), ("t1", "", &text)]);
    let (lines, result) = run(&dialer(), get(), vec![peeked]);
    assert_eq!(
        lines,
        ["GET /acc/token/messages?peekonly=true&numofmessages=32&SP=r&SIG"]
    );
    assert_eq!(result, Ok(Reply::Token(Bytes::from_static(b"message two"))));
    for outcome in [
        nothing(),
        list(&[("y", "", other)]),
        list(&[("t", "", &format!("{ID}:%%%"))]),
        list(&[("t", "", &format!("{ID}:"))]),
    ] {
        let (_, result) = run(&dialer(), get(), vec![outcome]);
        assert_eq!(result, Ok(Reply::Nothing { missing: true }));
    }
}

fn create() -> Operation {
    Operation::CreateSession {
        id: id(),
        mark: [0xab; 16],
    }
}

#[test]
fn a_session_is_two_marked_queues_and_grants_for_nothing_else() {
    let (lines, result) = run(&listener(), create(), vec![ok(201), ok(201)]);
    let made = |way: &str| {
        format!(
            "PUT /acc/{way}-{ID} content-length:0 x-ms-meta-created:1799654427 \
             x-ms-meta-stillwire:abababababababababababababababab"
        )
    };
    assert_eq!(lines, [made("req"), made("res")]);
    let Ok(Reply::Session { req, res }) = result else {
        panic!("{result:?}")
    };
    for (grant, permissions) in [(&req, "sp=a&"), (&res, "sp=rp&")] {
        assert!(grant.contains(permissions), "{grant}");
        assert!(grant.contains("&spr=https%2Chttp&"), "{grant}");
        assert!(!grant.contains("sr=") && !grant.contains("tn="));
    }
    assert_ne!(
        req.split("sig=").nth(1),
        res.split("sig=").nth(1),
        "each for its own queue"
    );
}

#[test]
fn trap_01_a_queue_that_exists_is_refused_and_left_untouched() {
    for way in 0..2 {
        let mut outcomes: Vec<_> = (0..way).map(|_| ok(201)).collect();
        outcomes.push(code(409, "QueueAlreadyExists"));
        let store = listener();
        let (_, result) = if way == 0 {
            run(&store, create(), outcomes)
        } else {
            let foreign = Ok(answer(200, &[("x-ms-meta-stillwire", "cd")], ""));
            outcomes.push(foreign);
            run(&store, create(), outcomes)
        };
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Exists);
        assert!(!failure.may_have_landed);
    }
}

#[test]
fn trap_01_after_a_lost_reply_the_mark_tells_our_queue_from_another() {
    let ours = "abababababababababababababababab";
    for (mark, good) in [(ours, true), ("cd", false), ("", false)] {
        let exchange = listener().begin(&again(create()), NOW).unwrap();
        let mut outcomes = vec![
            code(409, "QueueAlreadyExists"),
            Ok(answer(200, &[("x-ms-meta-stillwire", mark)], "")),
        ];
        if good {
            outcomes.push(ok(201));
        }
        let (lines, result) = play(exchange, outcomes);
        assert_eq!(lines[1], format!("GET /acc/req-{ID}?comp=metadata"));
        assert_eq!(result.is_ok(), good, "{mark}");
    }
}

#[test]
fn trap_01_queues_not_of_our_making_are_deleted_only_when_they_bear_a_mark() {
    let delete = || Operation::DeleteSession { id: id() };
    let foreign = Ok(answer(200, &[], ""));
    let (lines, result) = run(&listener(), delete(), vec![foreign]);
    assert_eq!(lines, [format!("GET /acc/req-{ID}?comp=metadata")]);
    assert_eq!(kind(&result), FailureKind::Exists);
    let marked = || {
        let mark = [("x-ms-meta-stillwire", "abababababababababababababababab")];
        Ok(answer(200, &mark, ""))
    };
    let outcomes = vec![marked(), ok(204), marked(), ok(204)];
    let (lines, result) = run(&listener(), delete(), outcomes);
    assert_eq!(lines[1], format!("DELETE /acc/req-{ID}"));
    assert_eq!(lines[3], format!("DELETE /acc/res-{ID}"));
    assert_eq!(result, Ok(Reply::Done));

    let store = listener();
    run(&store, create(), vec![ok(201), ok(201)]).1.unwrap();
    let gone = code(404, "QueueNotFound");
    let (lines, result) = run(&store, delete(), vec![ok(204), gone]);
    assert_eq!(
        lines,
        [
            format!("DELETE /acc/req-{ID}"),
            format!("DELETE /acc/res-{ID}")
        ]
    );
    assert_eq!(result, Ok(Reply::Done));
}

#[test]
fn a_dialer_can_ask_for_nothing_that_is_the_listeners() {
    for operation in [
        Operation::Prepare,
        Operation::RemoveBootstrap,
        listing(1),
        create(),
        Operation::DeleteSession { id: id() },
        Operation::DeleteToken { id: id() },
        Operation::DeleteHandshake { name: ID.into() },
        Operation::PutToken {
            id: id(),
            message: message_1(),
        },
        Operation::ListSessions {
            after: None,
            limit: 9,
        },
        Operation::SessionAge { id: id() },
        Operation::SweepSession { id: id() },
    ] {
        let failure = dialer().begin(&first_try(operation), NOW).map(|_| ());
        assert_eq!(failure.unwrap_err().kind, FailureKind::Refused);
    }
    let url = Url::parse(ENDPOINT).unwrap();
    assert_eq!(
        dialer().session(id(), Role::Dialer, None).unwrap_err(),
        Error::NoCredential
    );
    assert_eq!(AzureStore::endpoint(&dialer()), &url);
}

#[test]
fn a_ticket_lets_knock_and_look_and_nothing_else() {
    let ticket = listener().ticket(NOW, Duration::from_secs(3_600)).unwrap();
    assert_eq!(ticket.endpoint, ENDPOINT);
    assert_eq!(ticket.handshake.permissions().unwrap(), "a");
    assert_eq!(ticket.token.permissions().unwrap(), "r");
    assert_eq!(ticket.handshake.service(), Service::Queue);
}

#[test]
fn only_a_message_1_in_clear_is_listed_under_the_id_at_its_end() {
    use base64ct::{Base64, Encoding as _};
    // Others may end in an id too, which is none of theirs.
    for (before, name) in [
        (31, "message m"),
        (32, ID),
        (33, "message m"),
        (48, "message m"),
    ] {
        let mut message = vec![1; before];
        message.extend_from_slice(ID.as_bytes());
        let text = Base64::encode_string(&message);
        let (_, result) = run(&listener(), listing(32), vec![list(&[("m", "1", &text)])]);
        let Ok(Reply::Handshakes { entries, .. }) = result else {
            panic!("{result:?}")
        };
        assert_eq!(entries[0].name, name, "{before} bytes before the id");
    }
}

const MESSAGES: Listing = Listing {
    root: "QueueMessagesList",
    open: "",
    close: "",
    entry: "QueueMessage",
    sound: "<MessageId>m</MessageId><PopReceipt>p</PopReceipt><MessageText>aGVsbG8=</MessageText>",
    text: ("<MessageText>", "</MessageText>"),
};

#[test]
fn hostile_xml_is_malformed_and_never_a_page_of_messages() {
    for (what, body) in MESSAGES.refused() {
        let (_, result) = run(&listener(), listing(32), vec![Ok(answer(200, &[], body))]);
        let refused = result.map_err(|failure| failure.kind);
        assert_eq!(refused, Err(FailureKind::Malformed), "{what}");
    }
}

#[test]
fn what_is_unknown_in_a_page_of_messages_is_passed_by() {
    let sound = MESSAGES.page("");
    let (_, wanted) = run(&listener(), listing(32), vec![Ok(answer(200, &[], sound))]);
    assert!(matches!(&wanted, Ok(Reply::Handshakes { entries, .. })
            if entries.len() == 1 && entries[0].message.as_deref() == Some(&b"hello"[..])));
    for (what, body) in MESSAGES.taken() {
        let (_, result) = run(&listener(), listing(32), vec![Ok(answer(200, &[], body))]);
        assert_eq!(result, wanted, "{what}");
    }
}

#[test]
fn messages_that_fit_no_queue_message_are_not_sent() {
    for (length, fits) in [(0, false), (1, true), (49_080, true), (49_081, false)] {
        let message = Bytes::from(vec![1; length]);
        let knock = Operation::PutHandshake {
            id: id(),
            message: message.clone(),
        };
        let token = Operation::PutToken { id: id(), message };
        assert_eq!(dialer().begin(&first_try(knock), NOW).is_ok(), fits);
        assert_eq!(listener().begin(&first_try(token), NOW).is_ok(), fits);
    }
    assert!(listener().begin(&first_try(listing(0)), NOW).is_err());
}
