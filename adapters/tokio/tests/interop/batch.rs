//! Transactions of rows on a real table: several rows in one request, or one each where they are
//! refused.

use crate::Emulator;
use crate::carrier::{carrier_at, request};
use azure_core::http::{AsyncRawResponse, HttpClient, Request as HttpRequest};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;
use stillwire_azure::Names;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Operation, Reply, Role};
use stillwire_futures::{Carrier, Perform};
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

fn chunk(fill: u8, length: u32) -> Vec<u8> {
    let mut chunk = length.to_be_bytes().to_vec();
    chunk.resize(4 + length as usize, fill);
    chunk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_writes_three_of_the_largest_rows_with_one_request() {
    let Some(emulator) = Emulator::open_on("aztable", "transactions") else {
        return;
    };
    let client = Arc::new(Noting {
        client: http_client().unwrap(),
        seen: Mutex::default(),
    });
    let names = Names::new(emulator.handshake(), emulator.token()).unwrap();
    let carrier = carrier_at(&emulator, names, client.clone());
    let id = ConnectionId::from_random(UNIX_EPOCH.elapsed().unwrap().as_nanos().to_le_bytes());
    let mark = [1; 16];
    let create = Operation::CreateSession { id, mark };
    carrier.perform(request(create)).await.unwrap();
    let ours = carrier.session(id, Role::Listener, None).unwrap();

    let largest = 983_040 - 4;
    let mut all = Vec::new();
    for (round, sizes) in [[largest; 3], [1, 70_000, 0]].into_iter().enumerate() {
        client.seen.lock().unwrap().clear();
        let chunks: Vec<_> = (0..).zip(sizes).map(|(n, size)| chunk(n, size)).collect();
        let write = Operation::Write {
            sequence: 3 * round as u64,
            chunks: chunks.iter().map(|chunk| chunk.len() as u32).collect(),
            bytes: chunks.concat().into(),
        };
        assert_eq!(ours.perform(request(write)).await, Ok(Reply::Done));
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
