//! A bootstrap full of other people's ideas.

use crate::Emulator;
use crate::go::{ACCOUNT, KEY, config, echo, exchange};
use std::time::Duration;
use stillwire_azure::AccountKey;
use stillwire_azure::shared_key::authorization;
use stillwire_tokio::{ConnectionId, dial};

/// A request signed with the account's key: what whoever owns the account can do.
pub(crate) async fn signed(
    emulator: &Emulator,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> reqwest::Response {
    let url: azure_core::http::Url = format!("{}/{path}", emulator.endpoint).parse().unwrap();
    let mut all = azure_core::http::headers::Headers::new();
    let dated = [
        ("x-ms-date", "Mon, 11 Jan 2027 08:00:27 GMT"),
        ("x-ms-version", "2021-12-02"),
    ];
    let client = reqwest::Client::new();
    let mut call = client.request(method.parse().unwrap(), url.as_str());
    for (name, value) in dated.iter().chain(headers) {
        all.insert((*name).to_owned(), (*value).to_owned());
        call = call.header(*name, *value);
    }
    let key = AccountKey::parse(KEY).unwrap();
    let verb = method.parse().unwrap();
    let length = body.len() as u64;
    let authorization = authorization(emulator.service(), ACCOUNT, &key, verb, &url, &all, length);
    call.header("authorization", authorization)
        .header("content-length", body.len())
        .body(body.to_vec())
        .send()
        .await
        .unwrap()
}

async fn plant(emulator: &Emulator, name: &str, payload: &str) -> u16 {
    let path = format!("{}/{name}", emulator.handshake());
    let headers = [
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-meta-payload", payload),
    ];
    let response = signed(emulator, "PUT", &path, &headers, b"").await;
    let status = response.status().as_u16();
    if status != 201 {
        println!("{name}: {status} {}", response.text().await.unwrap());
    }
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_20_an_existing_container_is_refused_and_left_as_it_was() {
    let Some(emulator) = Emulator::open("existing_container") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let name = &ConnectionId::from_random(nanos.to_le_bytes()).to_string();
    let created = signed(
        &emulator,
        "PUT",
        &format!("{name}?restype=container"),
        &[],
        b"",
    )
    .await;
    assert_eq!(created.status().as_u16(), 201);
    // Message 1: any point of full order, then the id in clear.
    let mut message = vec![9_u8];
    message.resize(32, 0);
    message.extend_from_slice(name.as_bytes());
    assert_eq!(plant(&emulator, name, &base64(&message)).await, 201);

    for hostile in [
        "..%2Fx",
        "a%2Fb%3Fc",
        "handshake",
        "token",
        "%24root",
        // (A control character makes the emulator answer listings with HTTP 500; the real service
        // encodes such names, which the driver's own tests cover.)
        "0F6D3A52-5F1E-4D0B-9D7E-7C1D1E2F3A4B",
    ] {
        let planted = plant(&emulator, hostile, &base64(&message)).await;
        assert!(planted == 201 || planted == 400, "{hostile}: {planted}");
    }
    for n in 0..200 {
        plant(&emulator, &format!("!junk-{n}"), "not base64").await;
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
    assert!(listener.rejected() >= 1, "{}", listener.rejected());
    let list = format!("{name}?restype=container&comp=list");
    let listing = signed(&emulator, "GET", &list, &[], b"").await;
    assert_eq!(
        listing.status().as_u16(),
        200,
        "the container is still there"
    );
    let listing = listing.text().await.unwrap();
    assert!(
        !listing.contains("<Blob>"),
        "nothing was put into it: {listing}"
    );
    listener.stop().await.unwrap();
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(bytes)
}
