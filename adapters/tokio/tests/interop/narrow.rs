//! The narrowest grants: with less, the unmodified Go dialer fails. The listener here is made by hand,
//! so that it can give less than ours does.

use crate::Emulator;
use crate::go::{ACCOUNT, KEY};
use crate::hostile::signed;
use base64ct::{Base64, Encoding};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stillwire_azure::blob::{
    HANDSHAKE_PERMISSIONS, SESSION_REQ_PERMISSIONS, SESSION_RES_PERMISSIONS, TOKEN_PERMISSIONS,
};
use stillwire_azure::sas::Protocol;
use stillwire_azure::{AccountKey, Service, ServiceSas, queue};
use stillwire_core::UnixTime;
use stillwire_core::aznet::ListenerSecurity;
use stillwire_core::aznet::handshake::Responder;
use stillwire_core::aznet::handshake::Split;
use stillwire_core::aznet::wire;
use stillwire_core::aznet::wire::chunk::Sealer;
use stillwire_core::aznet::wire::url::ConnectionUrl;

/// Permission letters of the four grants.
#[derive(Clone, Copy)]
struct Letters {
    handshake: &'static str,
    token: &'static str,
    req: &'static str,
    res: &'static str,
}

const OURS: Letters = Letters {
    handshake: HANDSHAKE_PERMISSIONS,
    token: TOKEN_PERMISSIONS,
    req: SESSION_REQ_PERMISSIONS,
    res: SESSION_RES_PERMISSIONS,
};

/// What our listener gives over queues.
const QUEUES: Letters = Letters {
    handshake: queue::HANDSHAKE_PERMISSIONS,
    token: queue::TOKEN_PERMISSIONS,
    req: queue::SESSION_REQ_PERMISSIONS,
    res: queue::SESSION_RES_PERMISSIONS,
};

/// A SAS for a container or a queue; [`None`] where there is no such thing.
fn mint(service: Service, resource: &str, permissions: &str) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let sas = ServiceSas {
        service,
        resource,
        permissions,
        start: None,
        expiry: UnixTime::from_secs(now.as_secs() + 3_600),
        protocol: Protocol::HttpsHttp,
        version: "2021-12-02",
    };
    let key = AccountKey::parse(KEY).unwrap();
    Some(sas.sign(ACCOUNT, &key).ok()?.query())
}

async fn put(emulator: &Emulator, path: &str, kind: Option<&str>, body: &[u8]) {
    let headers: Vec<_> = kind
        .map(|kind| ("x-ms-blob-type", kind))
        .into_iter()
        .collect();
    let response = signed(emulator, "PUT", path, &headers, body).await;
    assert_eq!(response.status().as_u16(), 201, "{path}");
}

async fn text(emulator: &Emulator, path: &str) -> String {
    let response = signed(emulator, "GET", path, &[], b"").await;
    assert_eq!(response.status().as_u16(), 200, "{path}");
    response.text().await.unwrap()
}

/// A chunk with one frame, no payload and type 2, which ends the direction.
fn end(split: Split) -> Vec<u8> {
    let mut chunk = [&[0; 4][..], &[0, 0, 0, 0, 2], &[0; 16]].concat();
    Sealer::new(split.r2i).seal(&mut chunk).unwrap();
    chunk
}

/// Reads message 1.
fn respond(message1: &[u8]) -> Responder {
    let ephemeral = *b"any 32 bytes are a key for once!";
    Responder::accept(ephemeral.into(), message1, &ListenerSecurity::Nn).unwrap()
}

/// The same over queues.
async fn serve_queue(emulator: &Emulator, letters: Letters) {
    let text_of = async |path: &str| loop {
        let list = text(emulator, path).await;
        if let Some((_, rest)) = list.split_once("<MessageText>") {
            break rest.split_once('<').unwrap().0.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let post = async |queue: &str, text: String| {
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        let path = format!("{queue}/messages");
        let response = signed(emulator, "POST", &path, &[], body.as_bytes()).await;
        assert_eq!(response.status().as_u16(), 201, "{path}");
    };
    let message1 = text_of(&format!("{}/messages", emulator.handshake())).await;
    let responder = respond(&Base64::decode_vec(&message1).unwrap());
    let id = responder.id();
    let [req, res] = ["req", "res"].map(|way| format!("{way}-{id}"));
    for queue in [&req, &res] {
        put(emulator, queue, None, b"").await;
    }
    let grants = [(&req, letters.req), (&res, letters.res)]
        .map(|(queue, letters)| mint(Service::Queue, queue, letters).unwrap());
    let tokens = format!(r#"{{"req":"{}","res":"{}"}}"#, grants[0], grants[1]);
    let (message2, split) = responder.finish(tokens.as_bytes()).unwrap();
    let token = format!("{id}:{}", Base64::encode_string(&message2));
    post(&emulator.token(), token).await;
    text_of(&format!("{req}/messages?peekonly=true")).await;
    post(&res, wire::queue::encode(0, &end(split))).await;
}

/// Serves the one dialer: reads nothing but that something came, and then ends its own direction.
async fn serve(emulator: &Emulator, letters: Letters) {
    let list = format!(
        "{}?restype=container&comp=list&include=metadata",
        emulator.handshake()
    );
    let message1 = loop {
        let list = text(emulator, &list).await;
        // The name as whoever wrote it spells it.
        if let Some(at) = list.to_ascii_lowercase().find("<payload>") {
            let rest = &list[at + "<payload>".len()..];
            break Base64::decode_vec(rest.split_once('<').unwrap().0).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let responder = respond(&message1);
    let id = responder.id().to_string();
    put(emulator, &format!("{id}?restype=container"), None, b"").await;
    for blob in ["req-0", "res-0"] {
        put(emulator, &format!("{id}/{blob}"), Some("AppendBlob"), b"").await;
    }
    let [req, res] =
        [letters.req, letters.res].map(|letters| mint(Service::Blob, &id, letters).unwrap());
    let tokens = format!(r#"{{"req":"{req}","res":"{res}"}}"#);
    let (message2, split) = responder.finish(tokens.as_bytes()).unwrap();
    let token = format!("{}/{id}", emulator.token());
    put(emulator, &token, Some("BlockBlob"), &message2).await;
    while text(emulator, &format!("{id}/req-0")).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let chunk = end(split);
    put(
        emulator,
        &format!("{id}/res-0?comp=appendblock"),
        None,
        &chunk,
    )
    .await;
}

/// Whether the Go dialer sends a little and sees our end, with these grants.
async fn go_gets_through(driver: &'static str, letters: Letters) -> Option<bool> {
    let emulator = Emulator::open_on(driver, "narrow_grants")?;
    let queues = emulator.service() == Service::Queue;
    let kind = if queues { "" } else { "?restype=container" };
    for container in [emulator.handshake(), emulator.token()] {
        put(&emulator, &format!("{container}{kind}"), None, b"").await;
    }
    let url = ConnectionUrl {
        endpoint: emulator.endpoint.clone(),
        handshake: mint(emulator.service(), &emulator.handshake(), letters.handshake).unwrap(),
        handshake_name: emulator.handshake(),
        token: mint(emulator.service(), &emulator.token(), letters.token).unwrap(),
        token_name: emulator.token(),
        extras: Vec::new(),
    };
    let url = url.format();
    let arguments = [
        "--mode",
        "send",
        "--bytes",
        "1000",
        "--connect-timeout",
        "5s",
        "--idle",
        "5s",
    ];
    let mut go = emulator.go("dial", &[&arguments[..], &[&url]].concat());
    let serving = async {
        if queues {
            serve_queue(&emulator, letters).await;
        } else {
            serve(&emulator, letters).await;
        }
        std::future::pending::<bool>().await
    };
    tokio::select! {
        done = go.is_done() => Some(done),
        never = serving => Some(never),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_fewer_letters_than_ours_the_go_dialer_fails() {
    let Some(ours) = go_gets_through("azblob", OURS).await else {
        return;
    };
    assert!(ours, "with what our listener gives it works");
    // One letter each, and less than that is no grant at all.
    for letters in [OURS.handshake, OURS.token, OURS.res] {
        assert_eq!(letters.len(), 1);
    }
    assert_eq!(mint(Service::Blob, "container", ""), None);
    let less = [
        // Any other letter in the place of the one.
        (
            "knocking",
            Letters {
                handshake: "r",
                ..OURS
            },
        ),
        (
            "knocking",
            Letters {
                handshake: "a",
                ..OURS
            },
        ),
        ("fetching the token", Letters { token: "l", ..OURS }),
        ("reading", Letters { req: "ac", ..OURS }),
        ("writing", Letters { req: "rc", ..OURS }),
    ];
    for (what, letters) in less {
        assert_eq!(
            go_gets_through("azblob", letters).await,
            Some(false),
            "{what}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_queues_the_go_dialer_cannot_read_without_p() {
    let Some(ours) = go_gets_through("azqueue", QUEUES).await else {
        return;
    };
    assert!(ours, "with what our listener gives it works");
    // The others have one letter each, as all have over tables.
    for letters in [QUEUES.handshake, QUEUES.token, QUEUES.req] {
        assert_eq!(letters.len(), 1);
    }
    let peeking = Letters { res: "r", ..QUEUES };
    assert_eq!(go_gets_through("azqueue", peeking).await, Some(false));
    // The other letter would do without: it is given as Go gives it, and lets nobody see more.
    let taking = Letters { res: "p", ..QUEUES };
    assert_eq!(go_gets_through("azqueue", taking).await, Some(true));
}

/// What a dialer does after 49,990 blocks, by hand: the next blob is its own to create.
#[tokio::test(flavor = "multi_thread")]
async fn without_c_no_blob_can_follow_the_first() {
    let Some(emulator) = Emulator::open("narrow_rotation") else {
        return;
    };
    let container = emulator.handshake();
    put(
        &emulator,
        &format!("{container}?restype=container"),
        None,
        b"",
    )
    .await;
    for (letters, expected) in [("ra", 403), (OURS.req, 201)] {
        let sas = mint(Service::Blob, &container, letters).unwrap();
        let call = reqwest::Client::new()
            .put(format!("{}/{container}/req-1?{sas}", emulator.endpoint))
            .header("x-ms-version", "2021-12-02")
            .header("x-ms-blob-type", "AppendBlob")
            .header("content-length", "0");
        let status = call.send().await.unwrap().status().as_u16();
        assert_eq!(status, expected, "{letters}");
    }
}
