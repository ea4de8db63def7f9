//! Checked against what the documentation of the service says, and what Azurite does.

use super::*;
use crate::service::ACCOUNT;
use azure_core::http::Request;
use stillwire_azure::http::Url;

const NOW: u64 = 1_795_249_797 * SECOND;

fn ask(tables: &mut Tables, method: Method, target: &str, body: &str) -> Served {
    let url = Url::parse(&format!("http://127.0.0.1:1/{ACCOUNT}/{target}")).unwrap();
    let mut request = Request::new(url, method);
    request.insert_header("if-match", "*");
    request.set_body(body.to_owned());
    let call = Call::of(&request, ACCOUNT).unwrap();
    tables.serve(1, Caller::Owner, &call, NOW)
}

fn with_box(habit: Habit) -> Tables {
    let mut tables = Tables::new(habit, 7);
    let (made, _) = ask(
        &mut tables,
        Method::Post,
        "Tables",
        "{\"TableName\":\"box\"}",
    );
    assert_eq!(made.status, 204);
    tables
}

fn row(key: u32) -> String {
    format!("{{\"PartitionKey\":\"data\",\"RowKey\":\"{key:09}\",\"Data\":\"AAAA\"}}")
}

/// The row keys of a page, and where it goes on.
fn page(tables: &mut Tables, more: &str) -> (Vec<String>, Option<String>) {
    let filter = "PartitionKey%20eq%20'data'%20and%20RowKey%20ge%20'000000001'";
    let target = format!("box()?$filter={filter}&$top=2&$select=RowKey{more}");
    let (response, _) = ask(tables, Method::Get, &target, "");
    assert_eq!(response.status, 200);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let rows = body["value"].as_array().unwrap().iter();
    let keys = rows.map(|row| row["RowKey"].as_str().unwrap().to_owned());
    let token = |name: &str| response.header(name).map(str::to_owned);
    let next = token("x-ms-continuation-nextpartitionkey")
        .zip(token("x-ms-continuation-nextrowkey"))
        .map(|(p, r)| format!("&NextPartitionKey={p}&NextRowKey={r}").replace('=', "%3D"));
    let next = next.map(|text| text.replacen("Key%3D", "Key=", 2));
    (keys.collect(), next)
}

#[test]
fn pages_go_on_where_their_tokens_say_and_may_be_empty() {
    for empty_first in [false, true] {
        let mut tables = with_box(Habit {
            page: 1_000,
            empty_first,
            ..Habit::default()
        });
        for key in [0, 1, 2, 3] {
            let (response, change) = ask(&mut tables, Method::Post, "box", &row(key));
            assert_eq!(response.status, 204);
            let stored = vec![(u64::from(key), Bytes::from_static(&[0, 0, 0]))];
            assert_eq!(change.unwrap().effect, Effect::Stored(stored));
        }
        let (mut keys, mut next) = page(&mut tables, "");
        assert_eq!(keys.is_empty(), empty_first);
        while let Some(more) = next {
            let (more, then) = page(&mut tables, &more);
            keys.extend(more);
            next = then;
        }
        assert_eq!(keys, ["000000001", "000000002", "000000003"]);
    }
}

#[test]
fn a_row_is_inserted_once_and_found_by_its_keys() {
    let mut tables = with_box(Habit::default());
    assert_eq!(ask(&mut tables, Method::Post, "box", &row(7)).0.status, 204);
    let (again, change) = ask(&mut tables, Method::Post, "box", &row(7));
    assert_eq!((again.status, change), (409, None));
    assert!(again.body.ends_with(b"\"value\":\"simulated\"}}}"));
    let entity = "box(PartitionKey='data',RowKey='000000007')";
    let target = format!("{entity}?$select=Data,Mark");
    let (found, _) = ask(&mut tables, Method::Get, &target, "");
    let found: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(found, serde_json::json!({ "Data": "AAAA", "Mark": null }));
    assert_eq!(ask(&mut tables, Method::Delete, entity, "").0.status, 204);
    assert_eq!(ask(&mut tables, Method::Get, entity, "").0.status, 404);
    assert_eq!(
        ask(&mut tables, Method::Post, "none", &row(7)).0.status,
        404
    );
}

fn batch(rows: &[u32]) -> String {
    let parts = rows.iter().map(|key| {
        format!(
            "--changeset_rows\r\nContent-Type: application/http\r\n\r\n\
             POST http://127.0.0.1:1/{ACCOUNT}/box HTTP/1.1\r\nA: b\r\n\r\n{}\r\n",
            row(*key)
        )
    });
    let parts: String = parts.collect();
    format!("--batch_rows\r\nX: y\r\n\r\n{parts}--changeset_rows--\r\n--batch_rows--\r\n")
}

#[test]
fn a_transaction_inserts_all_or_nothing() {
    let mut tables = with_box(Habit::default());
    let (response, change) = ask(&mut tables, Method::Post, "$batch", &batch(&[1, 2]));
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    assert_eq!(
        (response.status, text.matches("HTTP/1.1 204").count()),
        (202, 2)
    );
    assert!(matches!(change.unwrap().effect, Effect::Stored(rows) if rows.len() == 2));
    let (response, change) = ask(&mut tables, Method::Post, "$batch", &batch(&[3, 2]));
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    assert!(text.contains("HTTP/1.1 409") && text.contains("EntityAlreadyExists"));
    assert_eq!(change, None);
    assert_eq!(tables.all["box"].rows.len(), 2);
    let habit = Habit {
        batches: Batches::Nobody,
        ..Habit::default()
    };
    let mut tables = with_box(habit);
    let (response, _) = ask(&mut tables, Method::Post, "$batch", &batch(&[1, 2]));
    assert_eq!(response.status, 501);
}

#[test]
fn rows_of_a_stream_may_be_seen_late() {
    let mut tables = with_box(Habit {
        page: 1_000,
        late_rows: 10 * SECOND,
        ..Habit::default()
    });
    for key in 1..40 {
        ask(&mut tables, Method::Post, "box", &row(key));
    }
    let (keys, _) = page(&mut tables, "");
    assert_ne!(keys, ["000000001", "000000002"], "there are gaps");
    assert_eq!(ask(&mut tables, Method::Post, "box", &row(1)).0.status, 409);
}
