//! A real store full of what dead dialers and others have left.

use crate::Emulator;
use crate::carrier::{carrier, carrier_at, request};
use crate::go::{config, echo, exchange};
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;
use stillwire_azure::Names;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{FailureKind, Operation, Reply};
use stillwire_futures::Perform;
use stillwire_tokio::{Config, http_client};

const JUNK: u32 = 1_000;

fn id(n: u32) -> ConnectionId {
    let mut random = [0x5a; 16];
    random[..4].copy_from_slice(&n.wrapping_mul(0x9E37_79B9).to_be_bytes());
    random[4..8].copy_from_slice(&std::process::id().to_be_bytes());
    ConnectionId::from_random(random)
}

/// A thousand are at the meeting place before anybody listens, of which so many are well-formed, from
/// dialers that are no more: they make sessions. The dialers here are honest, and wait as long as
/// dialers do.
async fn honest_dialers_in_a_crowd(emulator: Emulator, dead: u32) {
    let store = emulator.store(&emulator.options());
    store.prepare(config()).await.unwrap();
    let carrier = carrier(&emulator);
    let knocks = (0..JUNK).map(|n| {
        let id = id(n);
        let mut message = vec![9; 32];
        message[..4].copy_from_slice(&n.to_be_bytes());
        if n % (JUNK / dead) == 0 {
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
    let usual = Config {
        connect_timeout: Config::default().connect_timeout,
        ..config()
    };
    let mut listener = emulator.listen(&emulator.options(), usual.clone()).await;
    let url = listener.ticket().to_string();
    let monitor = listener.monitor();
    let serving = tokio::spawn(async move {
        while let Ok(connection) = listener.accept().await {
            tokio::spawn(echo(connection));
        }
        listener
    });
    for seed in 1..=3 {
        let connection = emulator.dial(&url, usual.clone()).await;
        exchange(connection, seed, 50_000).await;
    }
    assert!(monitor.stats().accepted >= 3);
    assert!(monitor.half_open() <= usual.half_open);
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_junk_handshakes_keep_no_honest_dialer_out() {
    let Some(emulator) = Emulator::open("junk") else {
        return;
    };
    honest_dialers_in_a_crowd(emulator, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_junk_messages_in_a_queue_keep_no_honest_dialer_out() {
    let Some(emulator) = Emulator::open_on("azqueue", "junk_messages") else {
        return;
    };
    honest_dialers_in_a_crowd(emulator, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_10_more_dead_dialers_than_tokens_are_seen_give_way() {
    let Some(emulator) = Emulator::open_on("azqueue", "dead_dialers") else {
        return;
    };
    // A dialer sees the oldest 32 tokens of a queue, and dead dialers never take theirs.
    honest_dialers_in_a_crowd(emulator, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_junk_rows_in_a_table_keep_no_honest_dialer_out() {
    let Some(emulator) = Emulator::open_on("aztable", "junk_rows") else {
        return;
    };
    honest_dialers_in_a_crowd(emulator, 100).await;
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
    let other = carrier_at(&emulator, names, http_client().unwrap());
    other.perform(request(Operation::Prepare)).await.unwrap();

    // Another process: it remembers nothing of what was made.
    let carrier = crate::carrier::carrier(&emulator);
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
