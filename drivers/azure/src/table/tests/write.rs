use super::*;

fn begin(session: &TableSession, request: &Request) -> Exchange {
    session.begin(request, NOW).unwrap()
}

fn insert(table: &str, key: &str, data: &str) -> String {
    let row = json(key, data);
    format!(
        "POST /acc/{table} content-length:{} content-type:application/json \
         prefer:return-no-content {row}",
        row.len()
    )
}

fn json(key: &str, data: &str) -> String {
    format!(
        "{{\"PartitionKey\":\"data\",\"RowKey\":\"{key}\",\
         \"Data@odata.type\":\"Edm.Binary\",\"Data\":\"{data}\"}}"
    )
}

fn taken() -> Outcome {
    code(409, "EntityAlreadyExists")
}

/// The answer to a transaction, as the emulator writes it.
fn transaction(parts: &[&str]) -> Outcome {
    let mut body = "--batchresponse_0\r\nContent-Type: multipart/mixed; \
         boundary=changesetresponse_0\r\n\r\n"
        .to_owned();
    for part in parts {
        let _ = write!(
            body,
            "--changesetresponse_0\r\nContent-Type: application/http\r\n\
             Content-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 {part}\r\n\r\n"
        );
    }
    body.push_str("--changesetresponse_0--\r\n--batchresponse_0--\r\n");
    answer(
        202,
        &[("content-type", "multipart/mixed; boundary=batchresponse_0")],
        body,
    )
}

const STORED: &str = "204 No Content\r\nX-Content-Type-Options: nosniff\r\nETag: W/\"x\"\r\n";
const TAKEN: &str = "409 Conflict\r\nContent-Type: application/json\r\n\r\n\
     {\"odata.error\":{\"code\":\"EntityAlreadyExists\",\"message\":{\"lang\":\"en-US\",\
     \"value\":\"1:The specified entity already exists.\"}}}";

#[test]
fn a_chunk_is_a_row_under_its_sequence_number() {
    let exchange = begin(&accepting(), &first_try(write(41, &[A.0])));
    let (lines, result) = play(exchange, vec![ok(204)]);
    assert_eq!(lines, [insert(RES, "000000041", A.1)]);
    assert_eq!(result, Ok(Reply::Done));
}

#[test]
fn a_dialer_writes_req_under_the_grant_for_it() {
    let (lines, _) = play(
        begin(&dialing(), &first_try(write(0, &[A.0]))),
        vec![ok(201)],
    );
    let start = format!("POST /acc/{REQ}?SP=a&tn=req&SIG ");
    assert!(lines[0].starts_with(&start), "{lines:?}");
}

#[test]
fn a_chunk_is_split_into_15_binary_properties_of_65_536_bytes() {
    let mut chunk = vec![0; 983_040];
    chunk[..4].copy_from_slice(&983_036_u32.to_be_bytes());
    for (index, part) in chunk.chunks_mut(65_536).enumerate() {
        part[65_535] = index as u8 + 1;
    }
    let exchange = begin(&accepting(), &first_try(write(0, &[&chunk])));
    let body = body(&sent(&exchange));
    let row: serde_json::Value = serde_json::from_str(&body).unwrap();
    let row = row.as_object().unwrap();
    assert_eq!(row.len(), 2 + 15 * 2);
    for index in 0..15 {
        let name = match index {
            0 => "Data".to_owned(),
            _ => format!("Data{index:02}"),
        };
        assert_eq!(row[&format!("{name}@odata.type")], "Edm.Binary");
        let text = row[&name].as_str().unwrap();
        // 65,536 bytes end in one byte of their own: 01 is AQ==.
        let last = [
            "AQ==", "Ag==", "Aw==", "BA==", "BQ==", "Bg==", "Bw==", "CA==",
        ];
        assert_eq!(text.len(), 87_384);
        if let Some(last) = last.get(index) {
            assert!(text.ends_with(last), "{name}");
        }
    }
}

#[test]
fn a_row_that_exists_already_is_ours_only_after_an_earlier_try() {
    let exchange = begin(&dialing(), &again(write(0, &[A.0])));
    assert_eq!(play(exchange, vec![taken()]).1, Ok(Reply::Done));
    let exchange = begin(&dialing(), &first_try(write(0, &[A.0])));
    let result = play(exchange, vec![taken()]).1;
    assert_eq!(kind(&result), FailureKind::Conflict);
    // Another 409 is none of that.
    let exchange = begin(&dialing(), &again(write(0, &[A.0])));
    let result = play(exchange, vec![code(409, "TableBeingDeleted")]).1;
    assert_eq!(kind(&result), FailureKind::NotFound);
}

#[test]
fn a_lost_answer_may_have_landed_and_a_refusal_has_not() {
    for (outcome, landed) in [
        (cut(), true),
        (code(500, "InternalError"), true),
        (code(503, "ServerBusy"), true),
        (ok(408), true),
        (denied("AuthenticationFailed"), false),
        (code(404, "TableNotFound"), false),
        (code(400, "PropertyValueTooLarge"), false),
        (
            Err(TransportError::unsent(FailureKind::Unreachable, "refused")),
            false,
        ),
    ] {
        let exchange = begin(&dialing(), &first_try(write(0, &[A.0])));
        let result = play(exchange, vec![outcome]).1;
        assert_eq!(result.unwrap_err().may_have_landed, landed);
    }
}

#[test]
fn several_chunks_go_in_one_transaction() {
    let exchange = begin(&accepting(), &first_try(write(7, &[A.0, B.0])));
    let (lines, result) = play(exchange, vec![transaction(&[STORED, STORED])]);
    let part = |key, data| {
        format!(
            "--changeset_rows\r\nContent-Type: application/http\r\n\
             Content-Transfer-Encoding: binary\r\n\r\n\
             POST {ENDPOINT}/{RES} HTTP/1.1\r\nContent-Type: application/json\r\n\
             Accept: application/json;odata=minimalmetadata\r\n\
             Prefer: return-no-content\r\nDataServiceVersion: 3.0\r\n\r\n{}\r\n",
            json(key, data)
        )
    };
    let body = format!(
        "--batch_rows\r\nContent-Type: multipart/mixed; boundary=changeset_rows\r\n\r\n{}{}\
         --changeset_rows--\r\n--batch_rows--\r\n",
        part("000000007", A.1),
        part("000000008", B.1)
    );
    assert_eq!(
        lines,
        [format!(
            "POST /acc/$batch content-length:{} content-type:multipart/mixed; boundary=batch_rows {body}",
            body.len()
        )]
    );
    assert_eq!(result, Ok(Reply::Done));
}

#[test]
fn under_a_grant_rows_go_one_by_one_unless_told_otherwise() {
    let exchange = begin(&dialing(), &first_try(write(0, &[A.0, B.0])));
    let (lines, result) = play(exchange, vec![ok(204), ok(204)]);
    assert!(lines.iter().all(|line| !line.contains("$batch")));
    assert_eq!(result, Ok(Reply::Done));
    let exchange = begin(&transacting(), &first_try(write(0, &[A.0, B.0])));
    assert!(line(&exchange).starts_with("POST /acc/$batch?SP=a&tn=req&SIG "));
}

#[test]
fn a_refused_transaction_becomes_single_rows_from_then_on() {
    for refusal in [
        denied("AuthorizationFailure"),
        code(400, "InvalidInput"),
        ok(405),
        code(413, "RequestBodyTooLarge"),
        code(501, "NotImplemented"),
    ] {
        let session = transacting();
        let exchange = begin(&session, &first_try(write(0, &[A.0, B.0])));
        let (lines, result) = play(exchange, vec![refusal, ok(204), ok(204)]);
        assert!(lines[0].starts_with("POST /acc/$batch?SP=a&tn=req&SIG "));
        for (line, (key, data)) in lines[1..].iter().zip([("0", A.1), ("1", B.1)]) {
            let row = json(&format!("00000000{key}"), data);
            assert!(line.ends_with(&row), "{line}");
        }
        assert_eq!(result, Ok(Reply::Done));
        let exchange = begin(&session, &first_try(write(2, &[A.0, B.0])));
        let (lines, _) = play(exchange, vec![ok(204), ok(204)]);
        assert!(!lines[0].contains("$batch"));
    }
}

#[test]
fn trap_11_what_refuses_the_single_row_too_is_told() {
    let exchange = begin(&transacting(), &first_try(write(0, &[A.0, B.0])));
    let denied = || denied("AuthorizationFailure");
    let result = play(exchange, vec![denied(), denied()]).1;
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(!failure.may_have_landed);
}

#[test]
fn a_transaction_that_is_neither_done_nor_refused_may_have_landed() {
    for outcome in [
        cut(),
        code(503, "ServerBusy"),
        ok(429),
        ok(408),
        ok(202),
        transaction(&[STORED]),
        transaction(&[STORED, STORED, STORED]),
        transaction(&[STORED, "nonsense"]),
        answer(202, &[], &b"\xff"[..]),
    ] {
        let busy = matches!(&outcome, Ok((status, ..)) if u16::from(*status) == 429);
        let exchange = begin(&accepting(), &first_try(write(0, &[A.0, B.0])));
        let failure = play(exchange, vec![outcome]).1.unwrap_err();
        assert!(failure.is_retryable(), "{failure}");
        assert_eq!(failure.may_have_landed, !busy, "{failure}");
    }
}

#[test]
fn a_repeated_transaction_goes_row_by_row_and_shows_which_are_stored() {
    let exchange = begin(&accepting(), &again(write(0, &[A.0, B.0, C.0])));
    let (lines, result) = play(exchange, vec![taken(), ok(204), taken()]);
    assert_eq!(
        lines,
        [
            insert(RES, "000000000", A.1),
            insert(RES, "000000001", B.1),
            insert(RES, "000000002", C.1)
        ]
    );
    assert_eq!(result, Ok(Reply::Done));
    // The next write is a transaction again.
    let session = accepting();
    begin(&session, &again(write(0, &[A.0, B.0])));
    let exchange = begin(&session, &first_try(write(2, &[A.0, B.0])));
    assert!(line(&exchange).starts_with("POST /acc/$batch "));
}

#[test]
fn a_row_that_exists_fails_a_first_transaction_as_a_conflict() {
    let exchange = begin(&accepting(), &first_try(write(0, &[A.0, B.0])));
    let result = play(exchange, vec![transaction(&[TAKEN])]).1;
    assert_eq!(kind(&result), FailureKind::Conflict);
    // Any other refusal inside is what it is outside.
    let gone = "404 Not Found\r\n\r\n{\"odata.error\":{\"code\":\"TableNotFound\"}}";
    let exchange = begin(&accepting(), &first_try(write(0, &[A.0, B.0])));
    let result = play(exchange, vec![transaction(&[STORED, gone])]).1;
    assert_eq!(kind(&result), FailureKind::NotFound);
}

#[test]
fn no_transaction_is_larger_than_4_mib_or_100_rows() {
    let session = accepting();
    let chunk = vec![0; 983_040];
    let mut exchange = begin(&session, &first_try(write(0, &[&*chunk; 3])));
    let body_length = body(&sent(&exchange)).len();
    assert!(
        (3_932_160..=4_194_304).contains(&body_length),
        "{body_length}"
    );
    exchange.handle(transaction(&[STORED; 3]));
    assert_eq!(over(&exchange), Ok(Reply::Done));
    // The limit is the body's, not the chunks'.
    for (lengths, rows) in [
        (vec![983_040; 4], 3),
        (vec![20, 983_040, 983_040, 983_040], 4),
        (vec![983_040], 1),
        (vec![20; 101], 100),
        (vec![], 0),
    ] {
        assert_eq!(batch::rows_in_one(&lengths), rows);
    }

    let small = [A.0; 250];
    let mut exchange = begin(&session, &first_try(write(0, &small)));
    let mut rows = Vec::new();
    while let Step::Send(request) = exchange.step() {
        let count = body(&request).matches("\"RowKey\":").count();
        rows.push(count);
        exchange.handle(transaction(&vec![STORED; count]));
    }
    assert_eq!(rows, [100, 100, 50]);
}

#[test]
fn row_keys_end_before_they_would_wrap() {
    let exchange = begin(&accepting(), &first_try(write(999_999_999, &[A.0])));
    let (lines, _) = play(exchange, vec![ok(204)]);
    assert!(lines[0].contains("\"RowKey\":\"999999999\""));
    for (sequence, chunks) in [
        (999_999_999, &[A.0, B.0][..]),
        (1_000_000_000, &[A.0]),
        (u64::MAX, &[A.0]),
    ] {
        let request = first_try(write(sequence, chunks));
        let failure = accepting().begin(&request, NOW).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Full);
    }
    let read = first_try(read(1_000_000_000, 983_040));
    let failure = accepting().begin(&read, NOW).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Full);
}

#[test]
fn chunks_that_do_not_add_up_or_do_not_fit_are_refused_before_anything_is_sent() {
    let bytes = Bytes::from(vec![0; 20]);
    for (chunks, length) in [
        (vec![], 20),
        (vec![19], 20),
        (vec![21], 20),
        (vec![20, 0], 20),
        (vec![u32::MAX, 21], 20),
        (vec![], 0),
        (vec![983_041], 20),
    ] {
        let write = Operation::Write {
            sequence: 0,
            chunks,
            bytes: bytes.slice(..length),
        };
        assert!(accepting().begin(&first_try(write), NOW).is_err());
    }
    let chunk = vec![0; 983_040];
    let large = first_try(write(0, &[&chunk, &chunk, &chunk, A.0]));
    let failure = accepting().begin(&large, NOW).unwrap_err();
    assert_eq!(failure.kind, FailureKind::TooLarge);
    assert!(listener().begin(&first_try(write(0, &[A.0])), NOW).is_err());
}
