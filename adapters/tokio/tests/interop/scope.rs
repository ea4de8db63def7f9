//! What the grants of a session allow: that session, and neither deletion nor anybody else's.

use crate::Emulator;
use crate::go::config;
use std::time::{SystemTime, UNIX_EPOCH};
use stillwire_azure::blob::{BlobStore, Exchange, Limits, Names};
use stillwire_azure::{Sas, Step};
use stillwire_core::aznet::{Config, Connected, Dialer, DialerEvent, DialerSecurity};
use stillwire_core::{Input, Instant, Machine, Output, UnixTime};

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::from_millis(since.as_millis() as u64)
}

async fn run(client: &reqwest::Client, mut exchange: Exchange) -> stillwire_core::store::Reply {
    loop {
        match exchange.step() {
            Step::Send(request) => {
                let method = request.method().as_str().parse().unwrap();
                let mut call = client.request(method, request.url().as_str());
                for (name, value) in request.headers().iter() {
                    call = call.header(name.as_str(), value.as_str());
                }
                if let azure_core::http::Body::Bytes(body) = request.body() {
                    call = call.body(body.clone());
                }
                let response = call.send().await.unwrap();
                let status = azure_core::http::StatusCode::from(response.status().as_u16());
                let mut headers = azure_core::http::headers::Headers::new();
                for (name, value) in response.headers() {
                    let value = value.to_str().unwrap().to_owned();
                    headers.insert(name.as_str().to_owned(), value);
                }
                let body = response.bytes().await.unwrap();
                exchange.handle(Ok((status, headers, body)));
            }
            Step::Done(result) => return result.unwrap(),
        }
    }
}

/// Another one each time: the seed makes the connection's id, which one emulator takes only once.
fn seed() -> [u8; 32] {
    let nanos = UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let mut seed = [9; 32];
    seed[..16].copy_from_slice(&nanos.to_le_bytes());
    seed
}

/// Dials by hand, to get at the grants that the listener gives.
async fn connect(url: &str, names: Names) -> Connected {
    let parsed = stillwire_core::aznet::wire::url::ConnectionUrl::parse_named(
        url,
        names.handshake(),
        names.token(),
    )
    .unwrap();
    let endpoint: azure_core::http::Url = parsed.endpoint.parse().unwrap();
    let store = BlobStore::dialer(
        &endpoint,
        Sas::parse(&parsed.handshake).unwrap(),
        Sas::parse(&parsed.token).unwrap(),
        names,
        Limits::default(),
    )
    .unwrap();
    let client = reqwest::Client::new();
    let start = std::time::Instant::now();
    let clock = || Instant::from_micros(start.elapsed().as_micros() as u64);
    let security = DialerSecurity::Nn;
    let mut dialer = Dialer::new(
        Config::default(),
        store.profile(),
        &security,
        seed(),
        clock(),
    );
    loop {
        match dialer.poll(clock()) {
            Output::Store(request) => {
                let reply = run(&client, store.begin(&request, now()).unwrap()).await;
                dialer
                    .handle(clock(), Input::Reply(request.id, Ok(reply)))
                    .unwrap();
            }
            Output::Event(DialerEvent::Connected(connected)) => return *connected,
            Output::Event(DialerEvent::Failed(error)) => panic!("{error}"),
            Output::Wait(until) => {
                let pause = until.unwrap().since(clock());
                tokio::time::sleep(pause).await;
            }
            _ => unreachable!(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_can_neither_delete_nor_touch_another_session() {
    let Some(emulator) = Emulator::open("grant_scope") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let names = || Names::new(emulator.handshake(), emulator.token()).unwrap();
    let first = connect(&url, names()).await;
    let _first_end = listener.accept().await.unwrap();
    let mut second_dialer = emulator.dial(&url, config()).await;
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
    let parsed = stillwire_core::aznet::wire::url::ConnectionUrl::parse_named(
        &url,
        names().handshake(),
        names().token(),
    )
    .unwrap();
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

    // Nothing of it disturbed the other session.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    second_dialer.write_all(b"still here").await.unwrap();
    second_dialer.flush().await.unwrap();
    let mut second = second;
    let mut buffer = [0; 10];
    second.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"still here");
}
