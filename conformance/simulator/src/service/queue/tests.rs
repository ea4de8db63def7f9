//! Checked against what the documentation of the service says, and what Azurite does.

use super::*;
use azure_core::http::Request;
use stillwire_azure::http::Url;

const NOW: u64 = 1_795_249_797 * SECOND;

fn queues(habit: Habit) -> Queues {
    let mut queues = Queues::new(habit, 7);
    let made = ask(&mut queues, NOW, Method::Put, "box", b"");
    assert_eq!(
        (made.0.status, made.1.unwrap().effect),
        (201, Effect::Created)
    );
    queues
}

fn ask(queues: &mut Queues, now: u64, method: Method, target: &str, body: &[u8]) -> Served {
    let url = Url::parse(&format!(
        "http://127.0.0.1:1/{}/{target}",
        super::super::ACCOUNT
    ));
    let mut request = Request::new(url.unwrap(), method);
    request.set_body(body.to_vec());
    let call = Call::of(&request, super::super::ACCOUNT).unwrap();
    queues.serve(1, Caller::Owner, &call, now)
}

fn put(queues: &mut Queues, text: &str) -> (String, String) {
    let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
    let target = "box/messages?messagettl=60";
    let (response, _) = ask(queues, NOW, Method::Post, target, body.as_bytes());
    assert_eq!(response.status, 201);
    receipt(&response)
}

fn field(response: &Response, name: &str) -> String {
    let xml = String::from_utf8(response.body.to_vec()).unwrap();
    let found = xml.split_once(&format!("<{name}>"));
    let found = found.and_then(|(_, rest)| rest.split_once('<'));
    found.map(|(text, _)| text.to_owned()).unwrap_or_default()
}

fn receipt(response: &Response) -> (String, String) {
    (field(response, "MessageId"), field(response, "PopReceipt"))
}

fn get(queues: &mut Queues, now: u64) -> Response {
    let target = "box/messages?numofmessages=1&visibilitytimeout=5";
    ask(queues, now, Method::Get, target, b"").0
}

#[test]
fn a_message_that_was_got_comes_back_under_another_receipt_unless_it_is_deleted() {
    let mut queues = queues(Habit::default());
    put(&mut queues, "hello");
    let first = get(&mut queues, NOW);
    assert_eq!(field(&first, "MessageText"), "hello");
    assert_eq!(
        field(&get(&mut queues, NOW + 4 * SECOND), "MessageText"),
        ""
    );
    let second = get(&mut queues, NOW + 5 * SECOND);
    assert_eq!(field(&second, "MessageText"), "hello");
    let (id, old) = receipt(&first);
    let (_, new) = receipt(&second);
    assert_ne!(old, new);
    let mut delete = |pop: &str| {
        let target = format!("box/messages/{id}?popreceipt={pop}");
        let (response, change) = ask(&mut queues, NOW, Method::Delete, &target, b"");
        (response.status, change.is_some())
    };
    assert_eq!(delete(&old), (400, false));
    assert_eq!(delete(&new), (204, true));
    assert_eq!(delete(&new), (404, false));
}

#[test]
fn looking_takes_nothing_and_tells_no_receipt() {
    let mut queues = queues(Habit::default());
    put(&mut queues, "hello");
    for _ in 0..2 {
        let target = "box/messages?peekonly=true&numofmessages=32";
        let (seen, _) = ask(&mut queues, NOW, Method::Get, target, b"");
        assert_eq!(field(&seen, "MessageText"), "hello");
        assert_eq!(field(&seen, "PopReceipt"), "");
    }
    // Its time is over.
    assert_eq!(
        field(&get(&mut queues, NOW + 60 * SECOND), "MessageText"),
        ""
    );
}

#[test]
fn messages_are_passed_over_and_come_twice_as_it_is_asked_for() {
    let mut late = queues(Habit {
        passed_over: 500,
        ..Habit::default()
    });
    let mut twice = queues(Habit {
        twice: 1_000,
        ..Habit::default()
    });
    for number in 0..20 {
        put(&mut late, &number.to_string());
        put(&mut twice, &number.to_string());
    }
    let mut order = Vec::new();
    while order.len() < 20 {
        let text = field(&get(&mut late, NOW), "MessageText");
        order.extend(text.parse::<u32>().ok());
    }
    assert!(!order.is_sorted(), "{order:?}");
    order.sort_unstable();
    assert!(order.into_iter().eq(0..20), "each once");
    for _ in 0..3 {
        assert_eq!(field(&get(&mut twice, NOW), "MessageText"), "0");
    }
}

#[test]
fn what_is_too_long_is_refused_and_a_queue_is_made_once() {
    let mut queues = queues(Habit::default());
    let long = |n| format!("<QueueMessage><MessageText>{}</MessageText>", "x".repeat(n));
    for (length, status) in [(65_536, 201), (65_537, 413)] {
        let body = long(length);
        let (response, _) = ask(
            &mut queues,
            NOW,
            Method::Post,
            "box/messages",
            body.as_bytes(),
        );
        assert_eq!(response.status, status);
    }
    // The same metadata: as if it had been made now.
    let (again, change) = ask(&mut queues, NOW, Method::Put, "box", b"");
    assert_eq!((again.status, change), (204, None));
    assert_eq!(
        ask(&mut queues, NOW, Method::Delete, "box", b"").0.status,
        204
    );
    assert_eq!(
        ask(&mut queues, NOW, Method::Delete, "box", b"").0.status,
        404
    );
}

#[test]
fn a_stranger_without_a_grant_is_turned_away() {
    let mut queues = queues(Habit::default());
    let url = format!("http://127.0.0.1:1/{}/box/messages", super::super::ACCOUNT);
    let request = Request::new(Url::parse(&url).unwrap(), Method::Get);
    let call = Call::of(&request, super::super::ACCOUNT).unwrap();
    let (response, _) = queues.serve(1, Caller::Stranger, &call, NOW);
    assert_eq!(response.status, 403);
}

#[test]
fn a_listing_of_queues_is_paged() {
    let mut queues = queues(Habit {
        page: 1,
        ..Habit::default()
    });
    queues.furnish(1, "box-2", &[]);
    queues.furnish(1, "other", &[]);
    let target = "?comp=list&include=metadata&prefix=box";
    let (first, _) = ask(&mut queues, NOW, Method::Get, target, b"");
    assert_eq!(
        (field(&first, "Name"), field(&first, "NextMarker")),
        ("box".into(), "box-2".into())
    );
    let (last, _) = ask(
        &mut queues,
        NOW,
        Method::Get,
        &format!("{target}&marker=box-2"),
        b"",
    );
    assert_eq!(
        (field(&last, "Name"), field(&last, "NextMarker")),
        ("box-2".into(), String::new())
    );
}
