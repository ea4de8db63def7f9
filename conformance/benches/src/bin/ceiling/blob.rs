//! Bare appends and ranged reads.

use std::thread;

use crate::client::{Account, Client, Problem};
use crate::{MIB, timed};
use serde_json::json;
use stillwire_azure::Service;
use stillwire_azure::http::Method;
use stillwire_benches::pattern::Pattern;

const CONTAINER: &str = "ceiling";
/// New enough for blocks over 4 MiB.
const VERSION: &str = "2022-11-02";

struct Container {
    account: Account,
    sas: String,
}

impl Container {
    /// Makes an append blob of these bytes, block by block.
    fn append(
        &self,
        client: &mut Client,
        blob: &str,
        block: &[u8],
        total: u64,
    ) -> Result<(), Problem> {
        let path = format!("{CONTAINER}/{blob}");
        let create = format!("{path}?{}", self.sas);
        client.call(201, "PUT", &create, "x-ms-blob-type: AppendBlob\r\n", &[])?;
        let append = format!("{path}?comp=appendblock&{}", self.sas);
        let mut offset = 0;
        while offset < total {
            let n = (total - offset).min(block.len() as u64);
            let position = format!("x-ms-blob-condition-appendpos: {offset}\r\n");
            client.call(201, "PUT", &append, &position, &block[..n as usize])?;
            offset += n;
        }
        Ok(())
    }

    /// Reads a blob in ranges of this many bytes.
    fn read(&self, client: &mut Client, blob: &str, range: u64, total: u64) -> Result<(), Problem> {
        let get = format!("{CONTAINER}/{blob}?{}", self.sas);
        let mut offset = 0;
        while offset < total {
            let last = (offset + range).min(total) - 1;
            let range = format!("range: bytes={offset}-{last}\r\n");
            let read = client.call(206, "GET", &get, &range, &[])?;
            if read != last + 1 - offset {
                return Err(format!("read {read} bytes at {offset}").into());
            }
            offset += read;
        }
        Ok(())
    }
}

pub(crate) fn measure(
    endpoint: &str,
    bytes: u64,
    block: u64,
    rounds: u64,
) -> Result<serde_json::Value, Problem> {
    let account = Account::new(Service::Blob, endpoint, VERSION)?;
    let container = Container {
        sas: account.sas(CONTAINER, "racwd")?,
        account,
    };
    let create = format!("{CONTAINER}?restype=container");
    let signature = container
        .account
        .signature(Method::Put, &create, &[], Vec::new())?;
    let mut client = container.account.connect()?;
    client.call(201, "PUT", &create, &signature, &[])?;

    let mut data = vec![0; usize::try_from(block)?];
    Pattern::new(1).fill(&mut data);
    let data = data.as_slice();

    let (mut append, mut read, mut one, mut two) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..rounds {
        // One connection, one thing at a time.
        let mut client = container.account.connect()?;
        let mut total = 0.0;
        for blob in ["a", "b"] {
            let appending = timed(|| container.append(&mut client, blob, data, bytes))?;
            let reading = timed(|| container.read(&mut client, blob, block, bytes))?;
            append = append.min(appending);
            read = read.min(reading);
            total += appending + reading;
        }
        one = one.min(total);
        // Two connections, each moving half of the same work.
        let both = timed(|| {
            thread::scope(|scope| {
                let half = |blob: &'static str| {
                    let container = &container;
                    scope.spawn(move || {
                        let mut client = container.account.connect()?;
                        container.append(&mut client, blob, data, bytes)?;
                        container.read(&mut client, blob, block, bytes)
                    })
                };
                let (left, right) = (half("c"), half("d"));
                left.join().map_err(|_| "a thread died")??;
                right.join().map_err(|_| "a thread died")?
            })
        })?;
        two = two.min(both);
        for blob in ["a", "b", "c", "d"] {
            let path = format!("{CONTAINER}/{blob}?{}", container.sas);
            client.call(202, "DELETE", &path, "", &[])?;
        }
    }
    Ok(json!({
        "event": "done",
        "bytes": bytes,
        "block": block,
        "append_mib_s": bytes as f64 / MIB / append,
        "read_mib_s": bytes as f64 / MIB / read,
        "echo_one_connection_s": one,
        "echo_two_connections_s": two,
        "echo_s": one.min(two),
    }))
}
