use super::*;
use base64ct::{Base64, Encoding as _};

const LIMIT: usize = 983_040;

fn begin(session: &TableSession, request: &Request) -> Exchange {
    session.begin(request, NOW).unwrap()
}

fn one(outcome: Outcome) -> Result<Reply, Failure> {
    play(begin(&dialing(), &first_try(read(0, LIMIT))), vec![outcome]).1
}

fn data(chunks: &[&[u8]], more: bool) -> Result<Reply, Failure> {
    Ok(Reply::Data {
        bytes: Bytes::from(chunks.concat()),
        more,
    })
}

fn look(table: &str, from: &str, top: usize) -> String {
    let columns = "%2CData01%2CData02%2CData03%2CData04%2CData05%2CData06%2CData07%2CData08\
         %2CData09%2CData10%2CData11%2CData12%2CData13%2CData14";
    format!(
        "GET /acc/{table}()?$filter=PartitionKey%20eq%20%27data%27%20and%20RowKey%20ge%20%27{from}%27\
         &$top={top}&$select=RowKey%2CData{columns}"
    )
}

#[test]
fn a_read_asks_for_100_rows_from_the_next_on_under_the_grant_for_it() {
    let exchange = begin(&dialing(), &first_try(read(5, LIMIT)));
    let (lines, result) = play(exchange, vec![page("")]);
    assert_eq!(
        lines,
        [format!("{}&SP=r&tn=res&SIG", look(RES, "000000005", 100))]
    );
    assert_eq!(result, Ok(Reply::Nothing { missing: false }));
    let exchange = begin(&accepting(), &first_try(read(0, LIMIT)));
    assert_eq!(line(&exchange), look(REQ, "000000000", 100));
}

#[test]
fn rows_that_follow_each_other_come_back_to_back() {
    let rows = [row("000000000", A.1), row("000000001", B.1)].join(",");
    assert_eq!(one(page(&rows)), data(&[A.0, B.0], false));
    // Whatever else is in the answer, in whatever order.
    let body = format!(
        "{{\"odata.metadata\":\"x\",\"value\":[{{\"odata.etag\":{{\"a\":[1]}},\"Data\":\"{}\",\
         \"Data@odata.type\":\"Edm.Binary\",\"Other\":7,\"RowKey\":\"000000000\"}}],\"more\":null}}",
        A.1
    );
    assert_eq!(one(answer(200, &[], body)), data(&[A.0], false));
}

#[test]
fn only_the_run_without_a_gap_is_taken_and_what_is_missing_is_waited_for() {
    let rows = [row("000000000", A.1), row("000000002", C.1)].join(",");
    assert_eq!(one(page(&rows)), data(&[A.0], false));
    assert_eq!(
        one(page(&row("000000001", B.1))),
        Ok(Reply::NotYet {
            gap: true,
            more: false
        })
    );
    // Rows from before are passed by.
    let exchange = begin(&dialing(), &first_try(read(1, LIMIT)));
    let rows = [row("000000000", A.1), row("000000001", B.1)].join(",");
    assert_eq!(play(exchange, vec![page(&rows)]).1, data(&[B.0], false));
}

#[test]
fn properties_are_joined_up_to_the_first_that_is_missing() {
    // Chunk A in three pieces.
    let pieces = "{\"RowKey\":\"000000000\",\"Data01\":\"QUFBQUFBQUFBQUE=\",\"Data\":\"AAAAEA==\",\
         \"Data02\":\"QUFBQUE=\",\"Data04\":\"@@\",\"Data99\":1,\"Datax\":1,\"Data00\":1}";
    assert_eq!(one(page(pieces)), data(&[A.0], false));
}

#[test]
fn nothing_beyond_the_limit_is_returned_or_waited_for() {
    let rows = [
        row("000000000", A.1),
        row("000000001", B.1),
        row("000000002", C.1),
    ]
    .join(",");
    for (limit, wanted) in [
        (60, data(&[A.0, B.0, C.0], false)),
        (59, data(&[A.0, B.0], true)),
        (40, data(&[A.0, B.0], true)),
        (39, data(&[A.0], true)),
        (20, data(&[A.0], true)),
    ] {
        let exchange = begin(&dialing(), &first_try(read(0, limit)));
        assert!(exchange.body_limit() < 2 * limit + 100 * 2_048 + 131_080);
        assert_eq!(play(exchange, vec![page(&rows)]).1, wanted, "{limit}");
    }
    let exchange = begin(&dialing(), &first_try(read(0, 19)));
    let result = play(exchange, vec![page(&rows)]).1;
    assert_eq!(kind(&result), FailureKind::TooLarge);
    assert!(dialing().begin(&first_try(read(0, 0)), NOW).is_err());
}

#[test]
fn a_largest_chunk_fits_a_limit_of_its_own_size() {
    let mut chunk = vec![0; LIMIT];
    chunk[..4].copy_from_slice(&[0, 14, 255, 252]);
    // 65,536 bytes are 87,382 letters and two signs of padding; 00 0e ff fc begins AA7//A.
    let first = format!("AA7//{}==", "A".repeat(87_377));
    let rest = format!("{}==", "A".repeat(87_382));
    let mut rows = format!("{{\"RowKey\":\"000000000\",\"Data\":\"{first}\"");
    for n in 1..15 {
        let _ = write!(rows, ",\"Data{n:02}\":\"{rest}\"");
    }
    rows.push('}');
    assert_eq!(one(page(&rows)), data(&[&chunk], false));
}

#[test]
fn after_large_rows_fewer_are_asked_for_and_after_small_ones_more() {
    let session = dialing();
    let asked = |session: &TableSession| line(&begin(session, &first_try(read(0, 40))));
    assert!(
        asked(&session).contains("$top=40&"),
        "a byte each, at first"
    );
    let exchange = begin(&session, &first_try(read(0, 40)));
    play(exchange, vec![page(&row("000000000", A.1))])
        .1
        .unwrap();
    assert!(asked(&session).contains("$top=2&"));
    let exchange = begin(&session, &first_try(read(0, 4_000)));
    assert!(line(&exchange).contains("$top=100&"));
    let exchange = begin(&session, &first_try(read(0, 1)));
    assert!(line(&exchange).contains("$top=1&"));
}

#[test]
fn more_is_known_to_wait_when_the_page_was_full_cut_or_continued() {
    let session = dialing();
    let limit = 20;
    play(
        begin(&session, &first_try(read(0, limit))),
        vec![page(&row("000000000", A.1))],
    )
    .1
    .unwrap();
    let exchange = begin(&session, &first_try(read(1, limit)));
    let full = play(exchange, vec![page(&row("000000001", B.1))]).1;
    assert_eq!(full, data(&[B.0], true), "one was asked for, one came");

    let cut = format!("{{\"value\":[{},{{\"RowKey\":\"0000", row("000000000", A.1));
    assert_eq!(one(answer(200, &[], cut)), data(&[A.0], true));

    let head = [
        ("x-ms-continuation-nextpartitionkey", "1!8!ZGF0YQ--"),
        ("x-ms-continuation-nextrowkey", "1!12!MDAwMDAwMDAx"),
    ];
    let body = format!("{{\"value\":[{}]}}", row("000000000", A.1));
    assert_eq!(one(answer(200, &head, body)), data(&[A.0], true));
}

#[test]
fn an_empty_page_with_a_continuation_is_followed_but_not_for_ever() {
    let head = [
        ("x-ms-continuation-nextpartitionkey", "1!8!ZGF0YQ--"),
        ("x-ms-continuation-nextrowkey", "1!12!MDAwMDAwMDAx"),
    ];
    let empty = || answer(200, &head, "{\"value\":[]}");
    let exchange = begin(&accepting(), &first_try(read(0, LIMIT)));
    let (lines, result) = play(exchange, vec![empty(), page(&row("000000000", A.1))]);
    assert_eq!(
        lines[1],
        format!(
            "{}&NextPartitionKey=1%218%21ZGF0YQ--&NextRowKey=1%2112%21MDAwMDAwMDAx",
            look(REQ, "000000000", 100)
        )
    );
    assert_eq!(result, data(&[A.0], false));
    let exchange = begin(&accepting(), &first_try(read(0, LIMIT)));
    let (_, result) = play(exchange, vec![empty(); 17]);
    assert_eq!(result, Ok(Reply::Nothing { missing: false }));
}

#[test]
fn a_row_that_is_no_chunk_is_the_peers_fault_and_rows_before_it_are_not_lost() {
    // A chunk that is whole, in a property that holds a byte more than one may.
    let mut large = 65_533_u32.to_be_bytes().to_vec();
    large.resize(65_537, b'B');
    let large = Base64::encode_string(&large);
    for bad in [
        row("000000001", &large),
        row("000000001", "@@@@"),
        row("000000001", ""),
        row("000000001", "AAAA"),
        // A prefix that says too little, or too much.
        row("000000001", "AAAAD0FBQUFBQUFBQUFBQUFBQUE="),
        row("000000001", "AAAAEUFBQUFBQUFBQUFBQUFBQUE="),
        "{\"RowKey\":\"000000001\",\"Data\":7}".to_owned(),
        "{\"RowKey\":\"000000001\",\"Data\":true}".to_owned(),
        "{\"RowKey\":\"000000001\",\"Data\":{\"a\":1}}".to_owned(),
        "{\"RowKey\":\"000000001\",\"Data\":\"\\ud800\"}".to_owned(),
        "{\"RowKey\":\"000000001\"}".to_owned(),
        format!(
            "{{\"RowKey\":\"000000001\",\"Data\":\"{}\",\"Data01\":7}}",
            B.1
        ),
        format!("{{\"RowKey\":7,\"Data\":\"{}\"}}", B.1),
        format!("{{\"Data\":\"{}\"}}", B.1),
        // Keys that have wrapped, or are none.
        row("1000000000", B.1),
        row("00000001", B.1),
        row("00000000b", B.1),
    ] {
        let rows = [row("000000000", A.1), bad.clone(), row("000000002", C.1)].join(",");
        assert_eq!(one(page(&rows)), data(&[A.0], true), "{bad}");
        let exchange = begin(&dialing(), &first_try(read(1, LIMIT)));
        let rows = [bad.clone(), row("000000002", C.1)].join(",");
        let failure = play(exchange, vec![page(&rows)]).1.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Malformed, "{bad}");
        assert!(!failure.is_retryable() && !failure.detail.contains('\n'));
    }
}

#[test]
fn a_missing_table_is_missing_and_an_empty_one_is_not() {
    for outcome in [
        code(404, "TableNotFound"),
        code(404, "ResourceNotFound"),
        code(409, "TableBeingDeleted"),
    ] {
        assert_eq!(one(outcome), Ok(Reply::Nothing { missing: true }));
    }
    assert_eq!(one(page("")), Ok(Reply::Nothing { missing: false }));
}

#[test]
fn trap_11_a_failing_read_is_an_error_and_never_nothing_yet() {
    for (outcome, wanted) in [
        (denied("AuthenticationFailed"), FailureKind::Denied),
        (denied("AuthorizationFailure"), FailureKind::Denied),
        (
            denied("AuthorizationPermissionMismatch"),
            FailureKind::Denied,
        ),
        (code(400, "InvalidInput"), FailureKind::Refused),
        (code(500, "InternalError"), FailureKind::Busy),
        (code(503, "ServerBusy"), FailureKind::Busy),
        (cut(), FailureKind::TimedOut),
        (ok(200), FailureKind::Unreachable),
        (
            answer(200, &[], "{\"value\":[{\"RowKey\""),
            FailureKind::Unreachable,
        ),
        (answer(200, &[], "{}"), FailureKind::Malformed),
        (answer(200, &[], "<html>"), FailureKind::Malformed),
        (answer(200, &[], "{\"value\":{}}"), FailureKind::Malformed),
        (ok(204), FailureKind::Malformed),
        (ok(302), FailureKind::Refused),
    ] {
        let result = one(outcome);
        assert_eq!(kind(&result), wanted, "{result:?}");
        assert!(!result.unwrap_err().may_have_landed);
    }
}

#[test]
fn an_expired_grant_says_so() {
    let res = sas("se=2027-01-11T08%3A00%3A20Z&sp=r&tn=res");
    let store = dialer();
    let session = store
        .session(id(), Role::Dialer, Some(("sig=x", res.expose())))
        .unwrap();
    let exchange = begin(&session, &first_try(read(0, LIMIT)));
    let failure = play(exchange, vec![denied("AuthenticationFailed")]).1;
    assert_eq!(
        failure.unwrap_err().detail,
        format!(
            "reading table {RES} at {ENDPOINT}: the SAS expired at 2027-01-11T08:00:20Z: \
             get a new ticket (HTTP 403 AuthenticationFailed)"
        )
    );
}
