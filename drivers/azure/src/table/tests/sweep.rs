//! Finding what dead listeners left.

use super::*;
use stillwire_core::store::MarkedSession;

const HEX: &str = "0123456789abcdef0123456789abcdef";
/// Ten minutes after the mark was set.
const DATE: (&str, &str) = ("date", "Mon, 11 Jan 2027 08:10:00 GMT");
const TABLES: &str =
    "GET /acc/Tables?$filter=TableName%20ge%20%27req%27%20and%20TableName%20lt%20%27ret%27&$top=32";

fn look(table: &str) -> String {
    format!(
        "GET /acc/{table}(PartitionKey='stillwire',RowKey='session')\
         ?$select=Mark%2CCreated%2CTimestamp"
    )
}

fn marked(timestamp: &str) -> Outcome {
    let row =
        format!("{{\"Mark\":\"{HEX}\",\"Created\":\"1799654000\",\"Timestamp\":\"{timestamp}\"}}");
    answer(200, &[DATE], row)
}

fn unmarked() -> Outcome {
    answer(404, &[DATE, ("x-ms-error-code", "ResourceNotFound")], "")
}

fn names(tables: &[&str], head: &[(&'static str, &str)]) -> Outcome {
    let names: Vec<_> = tables
        .iter()
        .map(|table| format!("{{\"TableName\":\"{table}\"}}"))
        .collect();
    answer(200, head, format!("{{\"value\":[{}]}}", names.join(",")))
}

fn list(after: Option<&str>) -> Request {
    first_try(Operation::ListSessions {
        after: after.map(str::to_owned),
        limit: 1_000,
    })
}

fn sessions(ages: &[u64], next: Option<&str>) -> Result<Reply, Failure> {
    let sessions = ages.iter().map(|secs| MarkedSession {
        id: id(),
        age: Duration::from_secs(*secs),
    });
    Ok(Reply::Sessions {
        sessions: sessions.collect(),
        next: next.map(str::to_owned),
    })
}

#[test]
fn marked_tables_are_listed_once_for_both() {
    let tables = names(&[REQ, RES], &[]);
    let outcomes = vec![tables, marked("2027-01-11T08:00:00.5Z")];
    let (lines, result) = run(&listener(), &list(None), outcomes);
    assert_eq!(lines, [TABLES.to_owned(), look(REQ)]);
    assert_eq!(result, sessions(&[600], None));
}

#[test]
fn a_second_table_whose_first_is_gone_is_found_and_one_listed_with_its_first_is_not() {
    let alone = names(&[RES], &[]);
    for (twin, own, wanted) in [
        (
            code(404, "TableNotFound"),
            Some(marked("2027-01-11T08:09:00Z")),
            &[60][..],
        ),
        (unmarked(), Some(unmarked()), &[]),
        (marked("2027-01-11T08:09:00Z"), None, &[]),
    ] {
        let mut outcomes = vec![alone.clone(), twin];
        outcomes.extend(own);
        let (lines, result) = run(&listener(), &list(None), outcomes);
        assert_eq!(lines[1], look(REQ));
        assert_eq!(result, sessions(wanted, None));
    }
}

#[test]
fn tables_that_are_none_of_ours_are_passed_by() {
    let strangers = [
        "requests",
        "res",
        "reqc9e7ab116c2415898afcb3564563e6ea",
        "reqC9E7AB116C2445898AFCB3564563E6EA",
        "reqé9e7ab116c2445898afcb3564563e6e",
    ];
    let (lines, result) = run(&listener(), &list(None), vec![names(&strangers, &[])]);
    assert_eq!(lines.len(), 1, "no look at any");
    assert_eq!(result, sessions(&[], None));
    for bad in [
        answer(
            200,
            &[],
            "{\"Mark\":\"short\",\"Created\":\"1\",\"Timestamp\":\"2027-01-11T08:00:00Z\"}",
        ),
        answer(200, &[], format!("{{\"Mark\":\"{HEX}\"}}")),
        answer(200, &[], "{}"),
        unmarked(),
    ] {
        let outcomes = vec![names(&[REQ], &[]), bad];
        assert_eq!(
            run(&listener(), &list(None), outcomes).1,
            sessions(&[], None)
        );
    }
}

#[test]
fn a_page_of_tables_goes_on_where_the_service_says() {
    let head = [("x-ms-continuation-nexttablename", "res 1")];
    let (_, result) = run(&listener(), &list(None), vec![names(&[], &head)]);
    assert_eq!(result, sessions(&[], Some("res 1")));
    let (lines, _) = run(&listener(), &list(Some("res 1")), vec![names(&[], &[])]);
    assert_eq!(lines, [format!("{TABLES}&NextTableName=res%201")]);
}

#[test]
fn a_failing_look_is_an_error() {
    for (outcome, wanted) in [
        (denied("AuthenticationFailed"), FailureKind::Denied),
        (code(503, "ServerBusy"), FailureKind::Busy),
        (ok(200), FailureKind::Malformed),
        (ok(404), FailureKind::NotFound),
    ] {
        let (_, result) = run(&listener(), &list(None), vec![outcome]);
        assert_eq!(kind(&result), wanted);
    }
    let outcomes = vec![names(&[REQ], &[]), code(503, "ServerBusy")];
    assert_eq!(
        kind(&run(&listener(), &list(None), outcomes).1),
        FailureKind::Busy
    );
}

/// A service with so many rows in `req`, each a second younger, the first at 08:00:00.
fn age_of(rows: u64) -> (usize, Result<Reply, Failure>) {
    let request = first_try(Operation::SessionAge { id: id() });
    let mut exchange = listener().begin(&request, NOW).unwrap();
    let mut looks = 0;
    while let Step::Send(request) = exchange.step() {
        looks += 1;
        let path = request.path_and_query();
        let outcome = if path.contains("RowKey='session'") {
            if path.contains(REQ) {
                marked("2027-01-11T07:00:00Z")
            } else {
                answer(404, &[DATE, ("x-ms-error-code", "TableNotFound")], "")
            }
        } else {
            let (_, from) = path.split_once("RowKey%20ge%20%27").unwrap();
            let from: u64 = from[..9].parse().unwrap();
            let row = format!(
                "{{\"RowKey\":\"{from:09}\",\"Timestamp\":\"2027-01-11T08:{:02}:{:02}Z\"}}",
                from / 60,
                from % 60
            );
            let row = if from < rows { row } else { String::new() };
            answer(200, &[DATE], format!("{{\"value\":[{row}]}}"))
        };
        exchange.handle(outcome);
    }
    (looks, over(&exchange))
}

#[test]
fn the_age_of_a_session_is_that_of_its_last_row() {
    // Row n is n seconds after 08:00:00, and now is 08:10:00.
    for rows in [1, 2, 3, 7, 64, 599] {
        let (looks, result) = age_of(rows);
        let age = Duration::from_secs(600 - (rows - 1));
        assert_eq!(result, Ok(Reply::Age(Some(age))), "{rows}");
        assert!(looks <= 30, "{looks} for {rows}");
    }
    // As long as there is no row it is that of the mark, 70 minutes.
    let age = Duration::from_secs(4_200);
    assert_eq!(age_of(0), (3, Ok(Reply::Age(Some(age)))));
}

#[test]
fn a_session_that_is_gone_or_unmarked_has_no_age() {
    let request = first_try(Operation::SessionAge { id: id() });
    for outcome in [
        code(404, "TableNotFound"),
        unmarked(),
        answer(200, &[], "{}"),
    ] {
        let outcomes = vec![outcome.clone(), outcome];
        let (lines, result) = run(&listener(), &request, outcomes);
        assert_eq!(lines, [look(REQ), look(RES)]);
        assert_eq!(result, Ok(Reply::Age(None)));
    }
    let (_, result) = run(&listener(), &request, vec![denied("AuthenticationFailed")]);
    assert_eq!(kind(&result), FailureKind::Denied);
}

#[test]
fn a_sweep_removes_only_tables_that_bear_a_mark() {
    let sweep = first_try(Operation::SweepSession { id: id() });
    let row = || answer(200, &[], format!("{{\"Mark\":\"{HEX}\"}}"));
    let (lines, result) = run(&listener(), &sweep, vec![row(), ok(204), row(), ok(204)]);
    assert_eq!(lines[1], format!("DELETE /acc/Tables('{REQ}')"));
    assert_eq!(lines[3], format!("DELETE /acc/Tables('{RES}')"));
    assert_eq!(result, Ok(Reply::Done));
    let (lines, result) = run(&listener(), &sweep, vec![unmarked()]);
    assert_eq!(lines.len(), 1);
    assert_eq!(kind(&result), FailureKind::Exists);
    for operation in [
        Operation::SweepSession { id: id() },
        Operation::SessionAge { id: id() },
    ] {
        assert!(dialer().begin(&first_try(operation), NOW).is_err());
    }
    assert!(dialer().begin(&list(None), NOW).is_err());
}

#[test]
fn an_empty_page_that_goes_on_tells_no_age() {
    let head = [
        DATE,
        ("x-ms-continuation-nextpartitionkey", "1!12!aGFuZA--"),
        ("x-ms-continuation-nextrowkey", "b"),
    ];
    let request = first_try(Operation::SessionAge { id: id() });
    let outcomes = vec![
        marked("2027-01-11T07:00:00Z"),
        answer(200, &head, "{\"value\":[]}"),
    ];
    let (_, result) = run(&listener(), &request, outcomes);
    assert_eq!(kind(&result), FailureKind::Malformed);
}

#[test]
fn an_answer_that_broke_off_is_tried_again() {
    let cut = |body: &str| answer(200, &[DATE, ("content-length", "1000")], body.to_owned());
    let tables = cut("{\"value\":[]}");
    let row = cut(&format!("{{\"Mark\":\"{HEX}\"}}"));
    let sweep = first_try(Operation::SweepSession { id: id() });
    for (request, outcome) in [(list(None), tables), (sweep, row)] {
        let (lines, result) = run(&listener(), &request, vec![outcome]);
        assert_eq!(lines.len(), 1, "nothing follows from it");
        assert!(result.unwrap_err().is_retryable());
    }
}
