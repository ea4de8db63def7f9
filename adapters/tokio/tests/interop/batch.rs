//! Transactions of rows on a real table: several rows in one request, or one each where they are
//! refused.

use crate::Emulator;
use crate::carrier::{azure, carrier_at, names, request};
use azure_core::http::{AsyncRawResponse, HttpClient, Request as HttpRequest};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;
use stillwire_azure::Sas;
use stillwire_azure::table::{self, TableStore};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::wire::tokens::Grants;
use stillwire_core::store::{Operation, Reply, Request, Role};
use stillwire_futures::{Azure, Carrier, Perform};
use stillwire_tokio::http_client;

/// Passes requests on and notes where they went, and how they ended.
#[derive(Debug)]
struct Noting {
    client: Arc<dyn HttpClient>,
    seen: Mutex<Vec<(String, u16)>>,
}

#[async_trait::async_trait]
impl HttpClient for Noting {
    async fn execute_request(&self, request: &HttpRequest) -> azure_core::Result<AsyncRawResponse> {
        let response = self.client.execute_request(request).await?;
        let last = request.url().path().rsplit('/').next().unwrap().to_owned();
        let mut seen = self.seen.lock().unwrap();
        seen.push((last, response.status().into()));
        drop(seen);
        Ok(response)
    }
}

fn noting() -> Arc<Noting> {
    Arc::new(Noting {
        client: http_client().unwrap(),
        seen: Mutex::default(),
    })
}

fn chunk(fill: u8, length: u32) -> Vec<u8> {
    let mut chunk = length.to_be_bytes().to_vec();
    chunk.resize(4 + length as usize, fill);
    chunk
}

fn write(sequence: u64, chunks: &[Vec<u8>]) -> Request {
    request(Operation::Write {
        sequence,
        chunks: chunks.iter().map(|chunk| chunk.len() as u32).collect(),
        bytes: chunks.concat().into(),
    })
}

/// A new session, and what its dialer is granted.
async fn session(carrier: &Azure) -> (ConnectionId, Grants) {
    let id = ConnectionId::from_random(UNIX_EPOCH.elapsed().unwrap().as_nanos().to_le_bytes());
    let mark = [1; 16];
    let create = Operation::CreateSession { id, mark };
    match carrier.perform(request(create)).await {
        Ok(Reply::Session { req, res }) => (id, Grants { req, res }),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_writes_three_of_the_largest_rows_with_one_request() {
    let Some(emulator) = Emulator::open_on("aztable", "transactions") else {
        return;
    };
    let client = noting();
    let carrier = carrier_at(&emulator, names(&emulator), client.clone());
    let (id, _) = session(&carrier).await;
    let ours = carrier.session(id, Role::Listener, None).unwrap();

    let largest = 983_040 - 4;
    let mut all = Vec::new();
    for (round, sizes) in [[largest; 3], [1, 70_000, 0]].into_iter().enumerate() {
        client.seen.lock().unwrap().clear();
        let chunks: Vec<_> = (0..).zip(sizes).map(|(n, size)| chunk(n, size)).collect();
        let written = ours.perform(write(3 * round as u64, &chunks)).await;
        assert_eq!(written, Ok(Reply::Done));
        let seen = client.seen.lock().unwrap().clone();
        assert_eq!(seen, [("$batch".to_owned(), 202)], "one request, taken");
        all.extend(chunks.concat());
    }

    // They are there, each under its number.
    let theirs = carrier.session(id, Role::Dialer, None).unwrap();
    let (mut back, mut sequence) = (Vec::new(), 0);
    while sequence < 6 {
        let read = Operation::Read {
            sequence,
            limit: 4 << 20,
        };
        let Ok(Reply::Data { bytes, .. }) = theirs.perform(request(read)).await else {
            panic!("nothing at {sequence}");
        };
        let mut rest = &bytes[..];
        while let Some((length, after)) = rest.split_first_chunk() {
            rest = &after[u32::from_be_bytes(*length) as usize..];
            sequence += 1;
        }
        back.extend_from_slice(&bytes);
    }
    assert!(back == all, "{} bytes came back", back.len());
    let delete = Operation::DeleteSession { id };
    carrier.perform(request(delete)).await.unwrap();
}

/// The emulator refuses transactions under a SAS; the real service may not.
#[tokio::test(flavor = "multi_thread")]
async fn a_dialer_whose_transaction_is_refused_writes_row_by_row_from_then_on() {
    let Some(emulator) = Emulator::open_on("aztable", "refused_transactions") else {
        return;
    };
    let carrier = carrier_at(&emulator, names(&emulator), http_client().unwrap());
    let (id, grants) = session(&carrier).await;
    let (client, limits) = (
        noting(),
        table::Limits {
            transactions_with_grant: true,
            ..table::Limits::default()
        },
    );
    // A ticket is not needed: the SAS of the session stand in for its two.
    let (up, down) = (
        Sas::parse(&grants.req).unwrap(),
        Sas::parse(&grants.res).unwrap(),
    );
    let at = emulator.endpoint.parse().unwrap();
    let store = TableStore::dialer(&at, up, down, names(&emulator), limits).unwrap();
    let dialing = azure(Arc::new(store), client.clone());
    let ours = dialing.session(id, Role::Dialer, Some(&grants)).unwrap();
    let chunks: Vec<_> = (0..3).map(|n| chunk(n, 5_000)).collect();
    for (sequence, requests) in [(0, 4), (3, 3)] {
        client.seen.lock().unwrap().clear();
        let written = ours.perform(write(sequence, &chunks)).await;
        assert_eq!(written, Ok(Reply::Done));
        let seen = client.seen.lock().unwrap().clone();
        assert_eq!(seen.len(), requests, "{seen:?}");
        let refused: Vec<_> = seen.iter().filter(|(_, status)| *status >= 400).collect();
        assert_eq!(refused.len(), requests - 3, "{seen:?}");
        assert!(refused.iter().all(|(last, _)| last == "$batch"), "{seen:?}");
    }
    let delete = Operation::DeleteSession { id };
    carrier.perform(request(delete)).await.unwrap();
}
