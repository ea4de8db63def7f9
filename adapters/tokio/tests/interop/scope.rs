//! What the grants of a session allow: that session, and neither deletion nor anybody else's.

use crate::Emulator;
use crate::carrier::{connect, ticket_of};
use crate::go::config;
use crate::table_hostile::{send, session_tables};
use stillwire_tokio::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What somebody else may have tried did not disturb this session.
async fn still_here(mut dialed: Connection, mut accepted: Connection) {
    dialed.write_all(b"still here").await.unwrap();
    dialed.flush().await.unwrap();
    let mut buffer = [0; 10];
    accepted.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_can_neither_delete_nor_touch_another_session() {
    let Some(emulator) = Emulator::open("grant_scope") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let first = connect(&emulator, &url).await;
    let _first_end = listener.accept().await.unwrap();
    let second_dialer = emulator.dial(&url, config()).await;
    let second = listener.accept().await.unwrap();
    let own = first.connection.id().to_string();
    let other = second.id().to_string();

    let client = reqwest::Client::new();
    let base = &emulator.endpoint;
    let denied = async |method: &str, path: &str, sas: &str, headers: &[(&str, &str)]| {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut call = client
            .request(
                method.parse().unwrap(),
                format!("{base}/{path}{separator}{sas}"),
            )
            .header("x-ms-version", "2021-12-02")
            .header("content-length", "4");
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let status = call.body("junk").send().await.unwrap().status().as_u16();
        assert_eq!(status, 403, "{method} {path}");
    };
    let parsed = ticket_of(&emulator, &url);
    let (req, res) = (first.grants.req.as_str(), first.grants.res.as_str());
    let block = [("x-ms-blob-type", "BlockBlob")];
    for sas in [req, res, &parsed.handshake, &parsed.token] {
        denied("DELETE", &format!("{own}?restype=container"), sas, &[]).await;
        denied("DELETE", &format!("{own}/req-0"), sas, &[]).await;
        denied("DELETE", &format!("{own}/res-0"), sas, &[]).await;
        denied("DELETE", &format!("{other}?restype=container"), sas, &[]).await;
        denied("PUT", &format!("{other}/req-0?comp=appendblock"), sas, &[]).await;
        denied("PUT", &format!("{other}/new"), sas, &block).await;
        denied("GET", &format!("{other}/res-0"), sas, &[]).await;
        denied("PUT", &format!("{own}/res-0"), sas, &block).await;
    }
    // The token's SAS reads, the handshake's creates; neither does the other's work.
    let entry = format!("{}/{other}", emulator.handshake());
    denied("GET", &entry, &parsed.handshake, &[]).await;
    denied(
        "PUT",
        &format!("{}/{other}", emulator.token()),
        &parsed.token,
        &block,
    )
    .await;
    denied("PUT", &format!("{own}/req-0?comp=appendblock"), res, &[]).await;

    still_here(second_dialer, second).await;
}

/// One request to a queue, under a SAS.
async fn ask_queue(emulator: &Emulator, method: &str, path: &str, sas: &str) -> u16 {
    let separator = if path.contains('?') { '&' } else { '?' };
    let url = format!("{}/{path}{separator}{sas}", emulator.endpoint);
    let body = match method {
        "POST" => "<QueueMessage><MessageText>AAAA</MessageText></QueueMessage>",
        _ => "",
    };
    let call = reqwest::Client::new().request(method.parse().unwrap(), url);
    let call = call.header("x-ms-version", "2021-12-02");
    let call = call.header("content-length", body.len());
    call.body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_of_a_queue_session_let_add_to_one_and_take_from_the_other() {
    let Some(emulator) = Emulator::open_on("azqueue", "grants_of_queues") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let first = connect(&emulator, &url).await;
    let _first_end = listener.accept().await.unwrap();
    let second_dialer = emulator.dial(&url, config()).await;
    let second = listener.accept().await.unwrap();
    let (own, other) = (first.connection.id(), second.id());
    let (req, res) = (first.grants.req.as_str(), first.grants.res.as_str());
    let (up, down) = (format!("req-{own}"), format!("res-{own}"));

    // What they are for.
    for (method, path, sas, expected) in [
        ("POST", format!("{up}/messages"), req, 201),
        ("GET", format!("{down}/messages?peekonly=true"), res, 200),
        ("GET", format!("{down}/messages"), res, 200),
    ] {
        let got = ask_queue(&emulator, method, &path, sas).await;
        assert_eq!(got, expected, "{method} {path}");
    }
    let denied = async |method: &str, path: String, sas: &str| {
        let got = ask_queue(&emulator, method, &path, sas).await;
        assert_eq!(got, 403, "{method} {path}");
    };
    for sas in [req, res] {
        let others = [
            format!("req-{other}"),
            format!("res-{other}"),
            emulator.handshake(),
            emulator.token(),
        ];
        for queue in &others {
            denied("POST", format!("{queue}/messages"), sas).await;
            denied("GET", format!("{queue}/messages"), sas).await;
            denied("GET", format!("{queue}/messages?peekonly=true"), sas).await;
            denied("DELETE", format!("{queue}/messages"), sas).await;
        }
        for queue in others.iter().chain([&up, &down]) {
            denied("DELETE", queue.clone(), sas).await;
            denied("PUT", format!("{queue}?comp=metadata"), sas).await;
        }
        for queue in others.iter().chain([&up]) {
            denied("GET", format!("{queue}?comp=metadata"), sas).await;
        }
        denied("PUT", format!("req-{own}x"), sas).await;
        denied("POST", format!("{down}/messages"), sas).await;
        denied("GET", format!("{up}/messages"), sas).await;
        denied("GET", format!("{up}/messages?peekonly=true"), sas).await;
        denied("DELETE", format!("{up}/messages"), sas).await;
    }
    denied("POST", format!("{up}/messages"), res).await;
    denied("GET", format!("{down}/messages"), req).await;
    denied("DELETE", format!("{down}/messages"), req).await;
    still_here(second_dialer, second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_of_a_table_session_let_insert_into_one_and_query_the_other() {
    let Some(emulator) = Emulator::open_on("aztable", "grants_of_a_table_session") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let first = connect(&emulator, &url).await;
    let _first_end = listener.accept().await.unwrap();
    let second_dialer = emulator.dial(&url, config()).await;
    let second = listener.accept().await.unwrap();
    let [up, down] = session_tables(first.connection.id());
    let [other_up, other_down] = session_tables(second.id());
    let (req, res) = (first.grants.req.as_str(), first.grants.res.as_str());
    // Far behind all that the session will write.
    let row = "{\"PartitionKey\":\"data\",\"RowKey\":\"900000000\",\"Data\":\"AAAA\"}";
    let its = |table: &str| format!("{table}(PartitionKey='data',RowKey='900000000')");

    // What they are for.
    let (status, text) = send(&emulator, "POST", &up, row, Some(req)).await;
    assert_eq!(status, 201, "{text}");
    let (status, text) = send(&emulator, "GET", &format!("{down}()"), "", Some(res)).await;
    assert_eq!(status, 200, "{text}");

    let denied = async |method: &str, path: String, body: &str, sas: &str| {
        let (status, text) = send(&emulator, method, &path, body, Some(sas)).await;
        assert_eq!(status, 403, "{method} {path} {text}");
    };
    let (handshake, token) = (emulator.handshake(), emulator.token());
    for sas in [req, res] {
        for table in [&other_up, &other_down, &handshake, &token] {
            denied("POST", table.clone(), row, sas).await;
            denied("GET", format!("{table}()"), "", sas).await;
        }
        for table in [&up, &down, &other_up, &other_down, &handshake, &token] {
            denied("DELETE", format!("Tables('{table}')"), "", sas).await;
            denied("DELETE", its(table), "", sas).await;
            denied("PUT", its(table), row, sas).await;
        }
        let create = "{\"TableName\":\"intruder\"}";
        denied("POST", "Tables".to_owned(), create, sas).await;
        denied("GET", format!("{up}()"), "", sas).await;
        denied("POST", down.clone(), row, sas).await;
    }
    denied("POST", up.clone(), row, res).await;
    denied("GET", format!("{down}()"), "", req).await;
    still_here(second_dialer, second).await;
}
