use super::*;
use crate::hostile_xml::Listing;
use stillwire_core::store::MarkedSession;

const MARK: &str = "0123456789abcdef0123456789abcdef";
/// The service's clock: seven hours behind ours.
const DATE: (&str, &str) = ("date", "Mon, 11 Jan 2027 01:00:00 GMT");
const THEN: u64 = 1_799_629_200;
const OTHER: &str = "0f6d3a52-5f1e-4d0b-9d7e-7c1d1e2f3a4b";

fn other() -> ConnectionId {
    ConnectionId::parse(OTHER.as_bytes()).unwrap()
}

fn listing(after: Option<&str>, limit: u16) -> Operation {
    Operation::ListSessions {
        after: after.map(str::to_owned),
        limit,
    }
}

fn metadata(created: &str, alive: &str) -> String {
    format!("<Metadata><stillwire>{MARK}</stillwire><created>{created}</created>{alive}</Metadata>")
}

fn queue(name: &str, metadata: &str) -> String {
    format!("<Queue><Name>{name}</Name>{metadata}</Queue>")
}

fn page(queues: &str, marker: &str) -> Outcome {
    let xml = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults \
         ServiceEndpoint=\"x\"><MaxResults>9</MaxResults><Queues>{queues}</Queues>{marker}\
         </EnumerationResults>"
    );
    Ok(answer(200, &[DATE], xml))
}

/// An answer to a look at a queue's metadata.
fn dated(created: u64, alive: Option<u64>) -> Outcome {
    let created = created.to_string();
    let alive = alive.map(|alive| alive.to_string());
    let mut head = vec![
        DATE,
        ("x-ms-meta-stillwire", MARK),
        ("x-ms-meta-created", created.as_str()),
    ];
    if let Some(alive) = &alive {
        head.push(("x-ms-meta-alive", alive));
    }
    Ok(answer(200, &head, ""))
}

fn found(id: ConnectionId, seconds: u64) -> MarkedSession {
    let age = Duration::from_secs(seconds);
    MarkedSession { id, age }
}

#[test]
fn only_queues_with_our_mark_and_a_connection_id_are_sessions() {
    let hour_ago = (THEN - 3_600).to_string();
    let lately = format!("<alive>{}</alive>", THEN - 60);
    let queues = [
        queue("req-photos", &metadata(&hour_ago, "")),
        queue(&format!("req-{ID}"), &metadata(&hour_ago, "")),
        queue(&format!("res-{ID}"), &metadata(&hour_ago, "")),
        queue(
            &format!("req-{}", ID.to_uppercase()),
            &metadata(&hour_ago, ""),
        ),
        queue(&format!("req-{OTHER}"), &metadata(&hour_ago, &lately)),
        queue(&format!("req-1{}", &OTHER[1..]), ""),
        queue(&format!("req-2{}", &OTHER[1..]), "<Metadata />"),
        queue(&format!("req-3{}", &OTHER[1..]), &metadata("soon", "")),
        queue(
            &format!("req-4{}", &OTHER[1..]),
            "<Metadata><stillwire>yes</stillwire><created>1</created></Metadata>",
        ),
    ];
    let answer = page(&queues.concat(), "<NextMarker>/acc/req-9</NextMarker>");
    let (lines, result) = run(&listener(), listing(None, 9), vec![answer]);
    assert_eq!(
        lines,
        ["GET /acc/?comp=list&include=metadata&maxresults=9&prefix=req-"]
    );
    assert_eq!(
        result,
        Ok(Reply::Sessions {
            sessions: vec![found(id(), 3_600), found(other(), 60)],
            next: Some("req /acc/req-9".into()),
        })
    );
}

#[test]
fn pages_go_on_at_the_marker_and_from_one_direction_to_the_other() {
    let store = listener();
    let (lines, result) = run(
        &store,
        listing(Some("req /acc/req-9"), 9),
        vec![page("", "")],
    );
    assert!(lines[0].ends_with("&prefix=req-&marker=%2Facc%2Freq-9"));
    let next = |next: Option<&str>| {
        Ok(Reply::Sessions {
            sessions: Vec::new(),
            next: next.map(str::to_owned),
        })
    };
    assert_eq!(result, next(Some("res")));
    let (lines, result) = run(
        &store,
        listing(Some("res"), 9),
        vec![page("", "<NextMarker>m</NextMarker>")],
    );
    assert!(lines[0].ends_with("&prefix=res-"), "{lines:?}");
    assert_eq!(result, next(Some("res m")));
    let last = vec![page("", "<NextMarker />")];
    let (lines, result) = run(&store, listing(Some("res m"), 500), last);
    assert!(lines[0].contains("maxresults=32&prefix=res-&marker=m"));
    assert_eq!(result, next(None));
}

#[test]
fn a_queue_left_alone_counts_only_when_its_other_one_is_not_ours() {
    let old = metadata(&(THEN - 7_200).to_string(), "");
    let names =
        [ID, OTHER, &format!("5{}", &OTHER[1..])].map(|id| queue(&format!("res-{id}"), &old));
    let outcomes = vec![
        page(&names.concat(), ""),
        // Looked at from the last on: one that is gone, one of somebody else's, one of ours.
        code(404, "QueueNotFound"),
        ok(200),
        dated(THEN - 7_200, None),
    ];
    let (lines, result) = run(&listener(), listing(Some("res"), 9), outcomes);
    assert_eq!(
        lines[1],
        format!("GET /acc/req-5{}?comp=metadata", &OTHER[1..])
    );
    assert_eq!(lines[2], format!("GET /acc/req-{OTHER}?comp=metadata"));
    assert_eq!(lines[3], format!("GET /acc/req-{ID}?comp=metadata"));
    let alone = ConnectionId::parse(format!("5{}", &OTHER[1..]).as_bytes()).unwrap();
    assert_eq!(
        result,
        Ok(Reply::Sessions {
            sessions: vec![found(alone, 7_200), found(other(), 7_200)],
            next: None,
        })
    );
}

#[test]
fn a_session_is_as_old_as_the_younger_date_of_its_two_queues() {
    let age = |outcomes| run(&listener(), Operation::SessionAge { id: id() }, outcomes);
    let (lines, result) = age(vec![
        dated(THEN - 9_000, None),
        dated(THEN - 9_000, Some(THEN - 100)),
    ]);
    assert_eq!(
        lines,
        [
            format!("GET /acc/req-{ID}?comp=metadata"),
            format!("GET /acc/res-{ID}?comp=metadata")
        ]
    );
    assert_eq!(result, Ok(Reply::Age(Some(Duration::from_secs(100)))));
    // One of them is gone, and a date in the future is no age.
    let (_, result) = age(vec![code(404, "QueueNotFound"), dated(THEN + 500, None)]);
    assert_eq!(result, Ok(Reply::Age(Some(Duration::ZERO))));
    // Neither is there, or bears our mark.
    let (_, result) = age(vec![code(404, "QueueNotFound"), ok(200)]);
    assert_eq!(result, Ok(Reply::Age(None)));
}

#[test]
fn what_cannot_be_looked_at_is_a_failure_and_never_an_old_session() {
    for (outcomes, kind_of) in [
        (vec![code(503, "ServerBusy")], FailureKind::Busy),
        (vec![code(403, "AuthorizationFailure")], FailureKind::Denied),
        (vec![cut()], FailureKind::TimedOut),
    ] {
        let age = Operation::SessionAge { id: id() };
        let (_, result) = run(&listener(), age, outcomes.clone());
        assert_eq!(kind(&result), kind_of);
        let (_, result) = run(&listener(), listing(None, 9), outcomes);
        assert_eq!(kind(&result), kind_of);
    }
    let junk = vec![Ok(answer(200, &[DATE], "<Nonsense/>"))];
    let (_, result) = run(&listener(), listing(None, 9), junk);
    assert_eq!(kind(&result), FailureKind::Malformed);
    let cut_off = vec![Ok(answer(200, &[("content-length", "999")], "<Enu"))];
    let (_, result) = run(&listener(), listing(None, 9), cut_off);
    assert_eq!(kind(&result), FailureKind::Unreachable);
}

#[test]
fn only_the_owner_cleans_up_and_only_from_a_place_that_exists() {
    for operation in [listing(None, 9), Operation::SessionAge { id: id() }] {
        let refused = dialer().begin(&first_try(operation), NOW).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused);
    }
    let long = format!("req {}", "m".repeat(8_193));
    for (after, limit) in [
        (Some("photos"), 9),
        (Some("req "), 9),
        (Some(&*long), 9),
        (None, 0),
    ] {
        let refused = listener().begin(&first_try(listing(after, limit)), NOW);
        assert_eq!(refused.unwrap_err().kind, FailureKind::Refused, "{after:?}");
    }
}

#[test]
fn a_sweep_leaves_a_queue_without_the_mark_untouched() {
    let sweep = Operation::SweepSession { id: id() };
    let (lines, result) = run(&listener(), sweep, vec![ok(200)]);
    assert_eq!(lines, [format!("GET /acc/req-{ID}?comp=metadata")]);
    assert_eq!(kind(&result), FailureKind::Exists);
}

fn write(sequence: u64) -> Operation {
    let bytes = Bytes::from_static(b"\0\0\0\x10sixteen bytes...");
    Operation::Write {
        sequence,
        chunks: vec![bytes.len() as u32],
        bytes,
    }
}

fn made(store: &QueueStore) {
    let mark = [0xab; 16];
    let create = Operation::CreateSession { id: id(), mark };
    // The answers teach the service's clock.
    let created = || Ok(answer(201, &[DATE], ""));
    let (_, result) = run(store, create, vec![created(), created()]);
    assert!(matches!(result, Ok(Reply::Session { .. })), "{result:?}");
}

#[test]
fn a_listener_dates_its_queue_anew_before_the_next_write_by_the_services_clock() {
    let store = listener();
    made(&store);
    let session = store.session(id(), Role::Listener, None).unwrap();
    let at = |seconds| UnixTime::from_secs(NOW.as_secs() + seconds);
    let put = |sequence, seconds, outcomes| {
        let exchange = session.begin(&first_try(write(sequence)), at(seconds));
        play(exchange.unwrap(), outcomes)
    };
    let (lines, _) = put(0, 119, vec![ok(201)]);
    assert!(lines[0].starts_with(&format!("POST /acc/res-{ID}/messages?")));
    let (lines, result) = put(1, 120, vec![ok(204), ok(201)]);
    let mark = "ab".repeat(16);
    assert_eq!(
        lines[0],
        format!(
            "PUT /acc/res-{ID}?comp=metadata content-length:0 x-ms-meta-alive:{} \
             x-ms-meta-created:{THEN} x-ms-meta-stillwire:{mark}",
            THEN + 120
        )
    );
    assert!(lines[1].starts_with(&format!("POST /acc/res-{ID}/messages?")));
    assert_eq!(result, Ok(Reply::Done));
    // Several are under way at once: one of them is enough.
    let (lines, _) = put(2, 121, vec![ok(201)]);
    assert_eq!(lines.len(), 1);
}

#[test]
fn a_date_that_cannot_be_written_holds_no_write_up() {
    for refusal in [code(404, "QueueNotFound"), code(403, "X"), code(503, "X")] {
        let store = listener();
        made(&store);
        let session = store.session(id(), Role::Listener, None).unwrap();
        let later = UnixTime::from_secs(NOW.as_secs() + 500);
        let exchange = session.begin(&first_try(write(0)), later).unwrap();
        let (_, result) = play(exchange, vec![refusal, ok(201)]);
        assert_eq!(result, Ok(Reply::Done));
    }
    // No answer at all: the chunk was not sent, and the next try does without.
    let store = listener();
    made(&store);
    let session = store.session(id(), Role::Listener, None).unwrap();
    let later = UnixTime::from_secs(NOW.as_secs() + 500);
    let exchange = session.begin(&first_try(write(0)), later).unwrap();
    let (_, result) = play(exchange, vec![cut()]);
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(!failure.may_have_landed, "only the date was sent");
    let again = session.begin(&first_try(write(0)), later).unwrap();
    let (lines, _) = play(again, vec![ok(201)]);
    assert!(lines[0].starts_with("POST "));
}

#[test]
fn a_session_of_somebody_else_and_one_that_is_gone_are_not_dated() {
    let later = UnixTime::from_secs(NOW.as_secs() + 500);
    let writes = |session: &QueueSession| {
        let exchange = session.begin(&first_try(write(0)), later).unwrap();
        play(exchange, vec![ok(201)]).0.len()
    };
    assert_eq!(writes(&dialing()), 1);
    assert_eq!(writes(&accepting()), 1);
    let store = listener();
    made(&store);
    let session = store.session(id(), Role::Listener, None).unwrap();
    let delete = Operation::DeleteSession { id: id() };
    let (_, result) = run(&store, delete, vec![ok(204), ok(204)]);
    assert_eq!(result, Ok(Reply::Done));
    assert_eq!(writes(&session), 1);
}

const QUEUES: Listing = Listing {
    root: "EnumerationResults",
    open: "<Queues>",
    close: "</Queues>",
    entry: "Queue",
    sound: "<Name>req-c9e7ab11-6c24-4589-8afc-b3564563e6ea</Name>\
           <Metadata><stillwire>0123456789abcdef0123456789abcdef</stillwire>\
           <created>1799647200</created></Metadata>",
    text: ("<Name>", "</Name>"),
};

#[test]
fn hostile_xml_is_malformed_and_never_a_page_of_queues() {
    for (what, body) in QUEUES.refused() {
        let (_, result) = run(
            &listener(),
            listing(None, 9),
            vec![Ok(answer(200, &[DATE], body))],
        );
        let refused = result.map_err(|failure| failure.kind);
        assert_eq!(refused, Err(FailureKind::Malformed), "{what}");
    }
}

#[test]
fn what_is_unknown_in_a_page_of_queues_is_passed_by() {
    let sound = QUEUES.page("");
    let (_, wanted) = run(
        &listener(),
        listing(None, 9),
        vec![Ok(answer(200, &[DATE], sound))],
    );
    assert!(matches!(&wanted, Ok(Reply::Sessions { sessions, .. })
            if sessions.len() == 1 && sessions[0].id == id()));
    for (what, body) in QUEUES.taken() {
        let (_, result) = run(
            &listener(),
            listing(None, 9),
            vec![Ok(answer(200, &[DATE], body))],
        );
        assert_eq!(result, wanted, "{what}");
    }
}
