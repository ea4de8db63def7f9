//! Tables full of other people's ideas, and what a grant does not allow.

use crate::Emulator;
use crate::go::{ACCOUNT, KEY, config, echo, exchange};
use base64ct::{Base64, Encoding};
use futures_util::StreamExt;
use std::time::Duration;
use stillwire_azure::shared_key::authorization;
use stillwire_azure::{AccountKey, Sas, Service};
use stillwire_core::aznet::wire::url::ConnectionUrl;
use stillwire_tokio::{ConnectionId, SweepEvent, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn open(test: &str) -> Option<Emulator> {
    Emulator::open_on("aztable", test)
}

/// Sends a request: under the SAS, or signed with the account's key. Status and body.
pub(crate) async fn send(
    emulator: &Emulator,
    method: &str,
    path: &str,
    body: &str,
    sas: Option<&str>,
) -> (u16, String) {
    let mut address = format!("{}/{path}", emulator.endpoint);
    let mut all = azure_core::http::headers::Headers::new();
    let mut headers = vec![
        ("x-ms-date", "Mon, 11 Jan 2027 08:00:27 GMT"),
        ("x-ms-version", "2019-02-02"),
        ("accept", "application/json;odata=nometadata"),
        ("if-match", "*"),
    ];
    if method == "POST" {
        headers.retain(|(name, _)| *name != "if-match");
    }
    if !body.is_empty() {
        headers.push(("content-type", "application/json"));
    }
    if let Some(sas) = sas {
        address.push(if path.contains('?') { '&' } else { '?' });
        address.push_str(sas);
    }
    let url: azure_core::http::Url = address.parse().unwrap();
    let mut call = reqwest::Client::new().request(method.parse().unwrap(), url.as_str());
    for (name, value) in headers {
        all.insert(name.to_owned(), value.to_owned());
        call = call.header(name, value);
    }
    if sas.is_none() {
        let key = AccountKey::parse(KEY).unwrap();
        let verb = method.parse().unwrap();
        let signature = authorization(Service::Table, ACCOUNT, &key, verb, &url, &all, 0);
        call = call.header("authorization", signature);
    }
    let response = call.body(body.to_owned()).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

pub(crate) fn session_tables(id: ConnectionId) -> [String; 2] {
    let id = id.to_string().replace('-', "");
    [format!("req{id}"), format!("res{id}")]
}

fn fresh_id() -> ConnectionId {
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    ConnectionId::from_random(nanos.to_le_bytes())
}

/// Any point of full order, then the id in clear.
fn message_1(id: ConnectionId) -> Vec<u8> {
    let mut message = vec![9_u8];
    message.resize(32, 0);
    message.extend_from_slice(id.to_string().as_bytes());
    message
}

fn entry(emulator: &Emulator, key: &str, data: &str) -> String {
    let partition = emulator.handshake();
    format!("{{\"PartitionKey\":\"{partition}\",\"RowKey\":\"{key}\",{data}}}")
}

fn binary(bytes: &[u8]) -> String {
    let text = Base64::encode_string(bytes);
    format!("\"Data@odata.type\":\"Edm.Binary\",\"Data\":\"{text}\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_20_an_existing_table_is_refused_and_left_as_it_was() {
    let Some(emulator) = open("existing_table") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let handshakes = emulator.handshake();
    // One stranger has the first table, one the second.
    let (first, second) = (fresh_id(), fresh_id());
    let [taken_req, never_res] = session_tables(first);
    let [lone_req, taken_res] = session_tables(second);
    for table in [&taken_req, &taken_res] {
        let body = format!("{{\"TableName\":\"{table}\"}}");
        assert_eq!(send(&emulator, "POST", "Tables", &body, None).await.0, 201);
        let row = "{\"PartitionKey\":\"p\",\"RowKey\":\"r\",\"Mine\":\"yes\"}";
        assert_eq!(send(&emulator, "POST", table, row, None).await.0, 201);
    }
    for id in [first, second] {
        let body = entry(&emulator, &id.to_string(), &binary(&message_1(id)));
        let (status, text) = send(&emulator, "POST", &handshakes, &body, None).await;
        assert_eq!(status, 201, "{text}");
    }
    // Junk of every kind beside them.
    for (key, data) in [
        ("it''s", "\"Data\":7"),
        ("..", "\"Data\":\"\\ud800\""),
        ("0F6D3A52-5F1E-4D0B-9D7E-7C1D1E2F3A4B", "\"Data\":\"@@\""),
        ("handshake", "\"Other\":true"),
        ("\\ud800", "\"Data\":\"AAAA\""),
    ] {
        let (status, text) = send(
            &emulator,
            "POST",
            &handshakes,
            &entry(&emulator, key, data),
            None,
        )
        .await;
        assert!(status == 201 || status == 400, "{key}: {status} {text}");
    }
    for n in 0..150 {
        let body = entry(&emulator, &format!("!junk-{n}"), "\"Data\":\"not base64\"");
        assert_eq!(
            send(&emulator, "POST", &handshakes, &body, None).await.0,
            201
        );
    }

    // An honest Go dialer and an honest one of ours are served all the same.
    let url = listener.ticket().to_string();
    let mut go = emulator.go("dial", &["--mode", "echo", "--bytes", "100000", &url]);
    let served = tokio::spawn(echo(listener.accept().await.unwrap()));
    go.next("done").await;
    served.await.unwrap();
    let ticket = listener.ticket().clone();
    let ours = tokio::spawn(async move { dial(&ticket, config()).await.unwrap() });
    let served = tokio::spawn(echo(listener.accept().await.unwrap()));
    exchange(ours.await.unwrap(), 5, 100_000).await;
    served.await.unwrap();

    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(listener.rejected() >= 2, "{}", listener.rejected());
    for table in [&taken_req, &taken_res] {
        let (status, rows) = send(&emulator, "GET", &format!("{table}()"), "", None).await;
        assert_eq!(status, 200, "{table} is still there");
        assert_eq!(rows.matches("\"RowKey\"").count(), 1, "{rows}");
        assert!(rows.contains("\"Mine\":\"yes\""), "{rows}");
    }
    for table in [&never_res, &lone_req] {
        let (status, _) = send(&emulator, "GET", &format!("{table}()"), "", None).await;
        assert_eq!(status, 404, "{table} is not left behind");
    }
    listener.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_of_tables_can_neither_delete_nor_touch_another_session() {
    let Some(emulator) = open("grants_of_tables") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let mut dialed = emulator.dial(&url, config()).await;
    let mut accepted = listener.accept().await.unwrap();
    let [req, res] = session_tables(accepted.id());
    let parsed =
        ConnectionUrl::parse_named(&url, &emulator.handshake(), &emulator.token()).unwrap();
    for (sas, letters) in [(&parsed.handshake, "a"), (&parsed.token, "r")] {
        let sas = Sas::parse(sas).unwrap();
        assert_eq!(sas.permissions().as_deref(), Some(letters));
    }
    let row = "{\"PartitionKey\":\"data\",\"RowKey\":\"000000007\",\"Data\":\"AAAA\"}";
    for sas in [&parsed.handshake, &parsed.token] {
        for (method, path, body) in [
            ("DELETE", format!("Tables('{req}')"), ""),
            ("DELETE", format!("Tables('{}')", emulator.handshake()), ""),
            ("GET", format!("{req}()"), ""),
            ("GET", format!("{res}()"), ""),
            ("POST", req.clone(), row),
            ("POST", res.clone(), row),
            ("GET", format!("{}()", emulator.handshake()), ""),
            ("POST", emulator.token(), row),
            ("POST", "Tables".to_owned(), "{\"TableName\":\"intruder\"}"),
            (
                "DELETE",
                format!(
                    "{}(PartitionKey='data',RowKey='000000000')",
                    emulator.token()
                ),
                "",
            ),
        ] {
            let (status, text) = send(&emulator, method, &path, body, Some(sas)).await;
            assert_eq!(status, 403, "{method} {path} {text}");
        }
    }
    // Nothing of it disturbed the session.
    dialed.write_all(b"still here").await.unwrap();
    dialed.flush().await.unwrap();
    let mut buffer = [0; 10];
    accepted.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_row_in_the_way_is_a_typed_error_and_harms_no_other_session() {
    let Some(emulator) = open("foreign_row") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let mut victim = emulator.dial(&url, config()).await;
    let mut accepted = listener.accept().await.unwrap();
    let bystander = emulator.dial(&url, config()).await;
    let served = tokio::spawn(echo(listener.accept().await.unwrap()));

    // What came before the foreign row arrives whole.
    victim.write_all(b"before").await.unwrap();
    victim.flush().await.unwrap();
    let mut buffer = [0; 6];
    accepted.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"before");
    let [req, _] = session_tables(accepted.id());
    for sequence in 0..8 {
        let row = format!(
            "{{\"PartitionKey\":\"data\",\"RowKey\":\"{sequence:09}\",\"Data\":\"no chunk\"}}"
        );
        let (status, _) = send(&emulator, "POST", &req, &row, None).await;
        assert!(status == 201 || status == 409);
    }
    let error = accepted.read(&mut buffer).await.unwrap_err();
    assert!(error.to_string().contains("reading table req"), "{error}");
    // Whoever writes there next learns that he is not alone.
    let written = async {
        victim.write_all(b"after").await?;
        victim.flush().await
    };
    let error = written.await.unwrap_err();
    assert!(error.to_string().contains("somebody else wrote"), "{error}");
    exchange(bystander, 3, 100_000).await;
    served.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_finds_what_a_dead_listener_left_in_tables() {
    let Some(emulator) = open("sweep_of_tables") else {
        return;
    };
    // What a listener leaves that is killed: two marked tables, and rows in one of them.
    let id = fresh_id();
    let mark = "{\"PartitionKey\":\"stillwire\",\"RowKey\":\"session\",\
         \"Mark\":\"00112233445566778899aabbccddeeff\",\
         \"Created@odata.type\":\"Edm.Int64\",\"Created\":\"1700000000\"}";
    let [req, res] = session_tables(id);
    for table in [&req, &res] {
        let body = format!("{{\"TableName\":\"{table}\"}}");
        assert_eq!(send(&emulator, "POST", "Tables", &body, None).await.0, 201);
        assert_eq!(send(&emulator, "POST", table, mark, None).await.0, 201);
    }
    for sequence in 0..5 {
        let row = format!(
            "{{\"PartitionKey\":\"data\",\"RowKey\":\"{sequence:09}\",{}}}",
            binary(b"x")
        );
        assert_eq!(send(&emulator, "POST", &req, &row, None).await.0, 201);
    }
    let store = emulator.store(&emulator.options());
    // Told only: other tests have sessions here too.
    let found = async |older| {
        let mut sweep = store.sweep(config(), older, true).unwrap();
        let mut times = 0;
        while let Some(event) = sweep.next().await {
            match event {
                SweepEvent::Found { id: other, still } if other == id => {
                    assert!(still >= older);
                    times += 1;
                }
                SweepEvent::Finished(result) => result.unwrap(),
                _ => {}
            }
        }
        times
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(found(Duration::from_secs(3_600)).await, 0, "it is young");
    assert_eq!(found(Duration::from_secs(1)).await, 1, "once for both");
    for table in [&req, &res] {
        let path = format!("Tables('{table}')");
        assert_eq!(send(&emulator, "DELETE", &path, "", None).await.0, 204);
    }
    assert_eq!(found(Duration::from_secs(1)).await, 0, "it is gone");
}
