use super::*;
use stillwire_core::store::Handshake;

fn list(after: Option<&str>, limit: u16) -> Request {
    first_try(Operation::ListHandshakes {
        after: after.map(str::to_owned),
        limit,
    })
}

fn entries(reply: Result<Reply, Failure>) -> (Vec<Handshake>, Option<String>) {
    match reply {
        Ok(Reply::Handshakes { entries, next }) => (entries, next),
        other => panic!("no listing: {other:?}"),
    }
}

fn entry(name: &str, message: Option<&'static [u8]>) -> Handshake {
    Handshake {
        name: name.into(),
        message: message.map(Bytes::from_static),
    }
}

const HEAD: &str = "GET /acc/handshake()?$filter=PartitionKey%20eq%20%27handshake%27";

#[test]
fn a_page_asks_for_keys_and_messages_of_the_tables_own_partition() {
    let rows =
        "{\"RowKey\":\"one\",\"Data\":\"+//+\"},{\"Data\":\"\\u002b//+\",\"RowKey\":\"tw\\u006f\"}";
    let (lines, result) = run(&listener(), &list(None, 32), vec![page(rows)]);
    assert_eq!(lines, [format!("{HEAD}&$top=32&$select=RowKey%2CData")]);
    let message: &[u8] = b"\xfb\xff\xfe";
    assert_eq!(
        entries(result),
        (
            vec![entry("one", Some(message)), entry("two", Some(message))],
            None
        )
    );
}

#[test]
fn the_services_continuation_is_echoed_and_an_empty_page_is_followed() {
    let head = [
        ("x-ms-continuation-nextpartitionkey", "1!12!aGFuZA--"),
        ("x-ms-continuation-nextrowkey", "b =&"),
    ];
    let rows = "{\"value\":[{\"RowKey\":\"one\",\"Data\":\"+//+\"}]}";
    let (_, result) = run(&listener(), &list(None, 1), vec![answer(200, &head, rows)]);
    let (_, next) = entries(result);
    let (lines, _) = run(&listener(), &list(next.as_deref(), 1), vec![page("")]);
    let follow = format!(
        "{HEAD}&$top=1&$select=RowKey%2CData&NextPartitionKey=1%2112%21aGFuZA--\
         &NextRowKey=b%20%3D%26"
    );
    assert_eq!(lines[0], follow);

    let empty = answer(200, &head, "{\"value\":[]}");
    let (lines, result) = run(
        &listener(),
        &list(None, 1),
        vec![empty, answer(200, &[], rows)],
    );
    assert_eq!(lines[1], follow);
    assert_eq!(entries(result).0.len(), 1);
    // Not for ever: a page may be handed over empty, with its continuation.
    let outcomes = vec![answer(200, &head[..1], "{\"value\":[]}"); 17];
    let (_, result) = run(&listener(), &list(None, 1), outcomes);
    let (entries, next) = entries(result);
    assert!(entries.is_empty() && next.is_some());
}

#[test]
fn trap_16_an_entry_that_is_no_message_is_listed_without_one_and_harms_no_other() {
    let long = "A".repeat(87_384);
    let rows = format!(
        "{{\"RowKey\":\"number\",\"Data\":7}},\
         {{\"RowKey\":\"nobase64\",\"Data\":\"@@\"}},\
         {{\"RowKey\":\"null\",\"Data\":null}},\
         {{\"RowKey\":\"none\"}},\
         {{\"RowKey\":\"empty\",\"Data\":\"\"}},\
         {{\"RowKey\":\"half\",\"Data\":\"\\ud800\"}},\
         {{\"RowKey\":\"deep\",\"Data\":[[{{}}]]}},\
         {{\"RowKey\":\"long\",\"Data\":\"{long}\"}},\
         {{\"RowKey\":\"\\udc00\",\"Data\":\"+//+\"}},\
         {{\"RowKey\":\"good\",\"Data\":\"+//+\"}}"
    );
    let (_, result) = run(&listener(), &list(None, 32), vec![page(&rows)]);
    let bad = [
        "number", "nobase64", "null", "none", "empty", "half", "deep", "long",
    ];
    let mut wanted: Vec<_> = bad.iter().map(|name| entry(name, None)).collect();
    wanted.push(entry("good", Some(b"\xfb\xff\xfe")));
    assert_eq!(entries(result), (wanted, None));
}

#[test]
fn a_page_that_was_cut_off_goes_on_behind_its_last_whole_row() {
    let exchange = listener().begin(&list(None, 2), NOW).unwrap();
    assert_eq!(exchange.body_limit(), 2 * 262_144);
    let cut = "{\"value\":[{\"RowKey\":\"it's\",\"Data\":\"+//+\"},{\"RowKey\":\"b";
    let (_, result) = play(exchange, vec![answer(200, &[], cut)]);
    let (entries, next) = entries(result);
    assert_eq!(entries.len(), 1);
    let (lines, _) = run(&listener(), &list(next.as_deref(), 2), vec![page("")]);
    assert_eq!(
        lines,
        [format!(
            "{HEAD}%20and%20RowKey%20gt%20%27it%27%27s%27&$top=2&$select=RowKey%2CData"
        )]
    );
}

#[test]
fn more_rows_than_were_asked_for_are_left_for_the_next_page() {
    let rows = "{\"RowKey\":\"a\",\"Data\":\"+//+\"},{\"RowKey\":\"b\",\"Data\":\"+//+\"}";
    let (_, result) = run(&listener(), &list(None, 1), vec![page(rows)]);
    let (entries, next) = entries(result);
    assert_eq!(entries.len(), 1);
    assert_eq!(next.as_deref(), Some("behind a"));
}

#[test]
fn what_is_no_page_is_an_error_and_never_an_empty_one() {
    for (outcome, wanted) in [
        (page("7"), FailureKind::Malformed),
        (answer(200, &[], "{}"), FailureKind::Malformed),
        (answer(200, &[], "[]"), FailureKind::Malformed),
        (answer(200, &[], "<Error/>"), FailureKind::Malformed),
        (answer(200, &[], "{\"value\":[}"), FailureKind::Malformed),
        (answer(200, &[], ""), FailureKind::Unreachable),
        (answer(200, &[], "{\"value\":["), FailureKind::Unreachable),
        (
            answer(
                200,
                &[],
                format!("{{\"value\":[{{\"RowKey\":\"{}", "x".repeat(262_144)),
            ),
            FailureKind::TooLarge,
        ),
        (code(404, "TableNotFound"), FailureKind::NotFound),
        (denied("AuthenticationFailed"), FailureKind::Denied),
        (code(500, "InternalError"), FailureKind::Busy),
    ] {
        let (_, result) = run(&listener(), &list(None, 1), vec![outcome]);
        assert_eq!(kind(&result), wanted);
    }
    for (after, limit) in [(None, 0), (Some("nonsense"), 1), (Some("at %ff"), 1)] {
        assert!(listener().begin(&list(after, limit), NOW).is_err());
    }
}

#[test]
fn case_42_a_message_has_65_535_bytes_at_the_most() {
    use base64ct::{Base64, Encoding as _};
    for (length, there) in [(65_535, true), (65_536, false)] {
        let text = Base64::encode_string(&vec![1; length]);
        let row = format!("{{\"RowKey\":\"a\",\"Data\":\"{text}\"}}");
        let (_, result) = run(&listener(), &list(None, 1), vec![page(&row)]);
        assert_eq!(entries(result).0[0].message.is_some(), there, "{length}");
        let get = first_try(Operation::GetToken { id: id() });
        let (_, result) = run(&dialer(), &get, vec![answer(200, &[], row)]);
        assert_eq!(matches!(result, Ok(Reply::Token(_))), there, "{length}");
    }
}

#[test]
fn depth_takes_no_stack_and_is_no_message() {
    const DEPTH: usize = 20_000;
    let deep = |open: &str, close: &str| open.repeat(DEPTH) + &close.repeat(DEPTH);
    let values = [
        deep("[", "]"),
        "{\"a\":".repeat(DEPTH) + "1" + &"}".repeat(DEPTH),
    ];
    for value in values {
        for body in [
            value.clone(),
            format!("{{\"value\":{value}}}"),
            format!("{{\"value\":[{value}]}}"),
            format!("{{\"value\":[{{\"RowKey\":{value},\"Data\":\"+//+\"}}]}}"),
            format!("{{\"value\":[{{\"RowKey\":\"a\",\"Data\":{value}}}]}}"),
            format!("{{\"other\":{value},\"value\":[]}}"),
        ] {
            let (_, result) = run(
                &listener(),
                &list(None, 1),
                vec![answer(200, &[], body.clone())],
            );
            if let Ok(Reply::Handshakes { entries, .. }) = result {
                assert!(entries.iter().all(|entry| entry.message.is_none()));
            }
            let sessions = first_try(Operation::ListSessions {
                after: None,
                limit: 1,
            });
            let (_, result) = run(&listener(), &sessions, vec![answer(200, &[], body.clone())]);
            let none = |reply: &Reply| matches!(reply, Reply::Sessions { sessions, .. } if sessions.is_empty());
            assert!(result.as_ref().map_or(true, none));
            let get = first_try(Operation::GetToken { id: id() });
            let (_, result) = run(&dialer(), &get, vec![answer(200, &[], body)]);
            assert!(!matches!(result, Ok(Reply::Token(_))));
        }
    }
}
