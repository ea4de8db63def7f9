//! A real store full of what dead dialers and others have left.

use crate::Emulator;
use crate::go::{ACCOUNT, KEY, config, echo, exchange};
use bytes::Bytes;
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use stillwire_azure::blob::{BlobStore, Limits};
use stillwire_azure::{Credential, Names};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{FailureKind, Operation, Reply, Request, RequestId};
use stillwire_futures::{Azure, Perform};
use stillwire_tokio::{Config, TokioRuntime, http_client};

fn carrier(emulator: &Emulator) -> Arc<Azure> {
    let endpoint = emulator.endpoint.parse().unwrap();
    let credential = Credential::shared_key(ACCOUNT, KEY).unwrap();
    let names = Names::new(emulator.handshake(), emulator.token()).unwrap();
    let store = BlobStore::listener(&endpoint, credential, names, Limits::default()).unwrap();
    let runtime = Arc::new(TokioRuntime::new(tokio::runtime::Handle::current()));
    Arc::new(Azure::new(Arc::new(store), http_client().unwrap(), runtime).unwrap())
}

fn request(operation: Operation) -> Request {
    Request {
        id: RequestId(1),
        operation,
        may_have_landed: false,
        timeout: Duration::from_secs(60),
    }
}

fn id(n: u32) -> ConnectionId {
    let mut random = [0x5a; 16];
    random[..4].copy_from_slice(&n.wrapping_mul(0x9E37_79B9).to_be_bytes());
    random[4..8].copy_from_slice(&std::process::id().to_be_bytes());
    ConnectionId::from_random(random)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_junk_handshakes_keep_no_honest_dialer_out() {
    let Some(emulator) = Emulator::open("junk") else {
        return;
    };
    let store = emulator.store(&emulator.options());
    store.prepare(config()).await.unwrap();
    let carrier = carrier(&emulator);
    // One in ten is well-formed, from a dialer that is no more: it makes a session.
    let knocks = (0..1_000_u32).map(|n| {
        let id = id(n);
        let mut message = vec![9; 32];
        message[..4].copy_from_slice(&n.to_be_bytes());
        if n % 10 == 0 {
            message.extend_from_slice(id.to_string().as_bytes());
        }
        let message = Bytes::from(message);
        let carrier = carrier.clone();
        async move {
            let knock = Operation::PutHandshake { id, message };
            carrier.perform(request(knock)).await.unwrap();
        }
    });
    futures_util::stream::iter(knocks)
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
    let patient = Config {
        connect_timeout: Duration::from_secs(120),
        ..config()
    };
    let mut listener = emulator.listen(&emulator.options(), patient.clone()).await;
    let url = listener.ticket().to_string();
    let monitor = listener.monitor();
    let serving = tokio::spawn(async move {
        while let Ok(connection) = listener.accept().await {
            tokio::spawn(echo(connection));
        }
        listener
    });
    for seed in 1..=3 {
        let connection = emulator.dial(&url, patient.clone()).await;
        exchange(connection, seed, 50_000).await;
    }
    assert!(monitor.stats().accepted >= 3);
    assert!(monitor.half_open() <= config().half_open);
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_bears_our_mark_is_found_and_swept() {
    let Some(emulator) = Emulator::open("swept") else {
        return;
    };
    let carrier = carrier(&emulator);
    let (ours, foreign) = (id(2_000_001), id(2_000_002));
    let mark = [3; 16];
    let create = Operation::CreateSession { id: ours, mark };
    carrier.perform(request(create)).await.unwrap();
    // Somebody else's container, with the name of a session.
    let names = Names::new(foreign.to_string(), emulator.token()).unwrap();
    let endpoint = emulator.endpoint.parse().unwrap();
    let credential = Credential::shared_key(ACCOUNT, KEY).unwrap();
    let other = BlobStore::listener(&endpoint, credential, names, Limits::default()).unwrap();
    let runtime = Arc::new(TokioRuntime::new(tokio::runtime::Handle::current()));
    let other = Azure::new(Arc::new(other), http_client().unwrap(), runtime).unwrap();
    other.perform(request(Operation::Prepare)).await.unwrap();

    // Another process: it remembers nothing of what was made.
    let carrier = self::carrier(&emulator);
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = Operation::ListSessions { after, limit: 7 };
        let Ok(Reply::Sessions { sessions, next }) = carrier.perform(request(page)).await else {
            panic!("no page");
        };
        found.extend(sessions.into_iter().map(|session| session.id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert!(found.contains(&ours), "{found:?}");
    assert!(!found.contains(&foreign));
    let age = |id| carrier.perform(request(Operation::SessionAge { id }));
    let Ok(Reply::Age(Some(still))) = age(ours).await else {
        panic!("no age");
    };
    assert!(still < Duration::from_secs(600), "{still:?}");
    assert_eq!(age(foreign).await, Ok(Reply::Age(None)));
    let sweep = |id| carrier.perform(request(Operation::SweepSession { id }));
    assert_eq!(sweep(ours).await, Ok(Reply::Done));
    assert_eq!(sweep(ours).await, Ok(Reply::Done), "gone already is fine");
    assert_eq!(age(ours).await, Ok(Reply::Age(None)));
    let refused = sweep(foreign).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Exists);
}
