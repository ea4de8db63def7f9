//! Bare inserts of the largest rows, one by one and in transactions, and queries.

use std::fmt::Write as _;
use std::thread;

use crate::client::{Account, Client, Problem};
use crate::{MIB, timed};
use serde_json::json;
use stillwire_azure::Service;
use stillwire_azure::http::Method;
use stillwire_azure::table::{LARGEST_CHUNK, VERSION};
use stillwire_benches::pattern::Pattern;
use stillwire_core::aznet::wire::table;

/// Payload of a row: what a chunk holds besides its own prefix, tag and frame header.
const PAYLOAD: u64 = LARGEST_CHUNK as u64 - 25;
/// Rows that one transaction of 4 MiB takes.
const ROWS: u64 = 3;
/// Rows of a query: what the driver asks for, and what 16 MiB hold. The better of the two counts.
const PAGES: [u64; 2] = [4, 17];
const JSON: &str = "content-type: application/json\r\naccept: application/json;odata=nometadata\r\n\
                    prefer: return-no-content\r\ndataserviceversion: 3.0\r\n";
const QUERY: &str = "accept: application/json;odata=nometadata\r\ndataserviceversion: 3.0\r\n";
const MIXED: &str = "multipart/mixed; boundary=batch_rows";

struct Table<'a> {
    account: &'a Account,
    name: String,
    sas: String,
    client: Client,
    /// What every row holds, as JSON behind its keys.
    data: &'a str,
}

impl<'a> Table<'a> {
    fn create(account: &'a Account, name: String, data: &'a str) -> Result<Self, Problem> {
        let mut client = account.connect()?;
        let body = format!("{{\"TableName\":\"{name}\"}}").into_bytes();
        let headers = [("content-type", "application/json")];
        let signature = account.signature(Method::Post, "Tables", &headers, body.clone())?;
        let rest = "accept: application/json;odata=nometadata\r\nprefer: return-no-content\r\n";
        client.call(204, "POST", "Tables", &format!("{signature}{rest}"), &body)?;
        Ok(Self {
            sas: account.sas(&name, "ra")?,
            account,
            name,
            client,
            data,
        })
    }

    fn row(&self, number: u64) -> String {
        format!(
            "{{\"PartitionKey\":\"data\",\"RowKey\":\"{number:09}\"{}}}",
            self.data
        )
    }

    fn insert(&mut self, rows: u64) -> Result<(), Problem> {
        let path = format!("{}?{}", self.name, self.sas);
        for number in 0..rows {
            let row = self.row(number);
            self.client.call(204, "POST", &path, JSON, row.as_bytes())?;
        }
        Ok(())
    }

    /// The same rows, several to a transaction, which takes the account's key.
    fn transact(&mut self, rows: u64) -> Result<(), Problem> {
        let headers = [("content-type", MIXED)];
        let signature = self
            .account
            .signature(Method::Post, "$batch", &headers, Vec::new())?;
        let url = format!("{}/{}", self.account.endpoint(), self.name);
        let mut number = 0;
        while number < rows {
            let end = (number + ROWS).min(rows);
            let mut body = "--batch_rows\r\nContent-Type: multipart/mixed; boundary=changeset_rows\
                            \r\n\r\n"
                .to_owned();
            for number in number..end {
                write!(
                    body,
                    "--changeset_rows\r\nContent-Type: application/http\r\n\
                     Content-Transfer-Encoding: binary\r\n\r\nPOST {url} HTTP/1.1\r\n\
                     Content-Type: application/json\r\n\
                     Accept: application/json;odata=minimalmetadata\r\n\
                     Prefer: return-no-content\r\nDataServiceVersion: 3.0\r\n\r\n{}\r\n",
                    self.row(number)
                )?;
            }
            body.push_str("--changeset_rows--\r\n--batch_rows--\r\n");
            self.client
                .call(202, "POST", "$batch", &signature, body.as_bytes())?;
            number = end;
        }
        Ok(())
    }

    fn read(&mut self, rows: u64, page: u64) -> Result<(), Problem> {
        let mut columns = "RowKey".to_owned();
        for index in 0..table::PROPERTIES {
            columns.push(',');
            columns.push_str(&table::name(index));
        }
        let mut number = 0;
        while number < rows {
            let path = format!(
                "{}()?$filter=PartitionKey%20eq%20%27data%27%20and%20RowKey%20ge%20%27{number:09}%27\
                 &$top={page}&$select={columns}&{}",
                self.name, self.sas
            );
            let read = self.client.call(200, "GET", &path, QUERY, &[])?;
            let came = page.min(rows - number);
            if read < came * self.data.len() as u64 * 9 / 10 {
                return Err(format!("{read} bytes came for {came} rows").into());
            }
            number += came;
        }
        Ok(())
    }

    fn remove(&mut self) -> Result<(), Problem> {
        let path = format!("Tables('{}')", self.name);
        let signature = self
            .account
            .signature(Method::Delete, &path, &[], Vec::new())?;
        let headers = format!("{signature}{QUERY}");
        let removed = self.client.call(204, "DELETE", &path, &headers, &[]);
        removed.map(|_| ())
    }
}

/// The 15 properties of the largest row, with bytes nobody can compress.
fn largest_row() -> Result<String, Problem> {
    let mut bytes = vec![0; LARGEST_CHUNK];
    Pattern::new(1).fill(&mut bytes);
    let mut data = String::new();
    for (name, text) in table::encode(0, &bytes)?.properties {
        write!(
            data,
            ",\"{name}@odata.type\":\"Edm.Binary\",\"{name}\":\"{text}\""
        )?;
    }
    Ok(data)
}

pub(crate) fn measure(
    endpoint: &str,
    bytes: u64,
    rounds: u64,
) -> Result<serde_json::Value, Problem> {
    let account = Account::new(Service::Table, endpoint, VERSION)?;
    let data = largest_row()?;
    let rows = bytes.div_ceil(PAYLOAD);
    let (mut insert, mut transact) = (f64::MAX, f64::MAX);
    let (mut one, mut two) = ([f64::MAX; 2], [f64::MAX; 2]);
    let mut read = [f64::MAX; 2];
    for round in 0..rounds {
        // One connection, one thing at a time; the dialer has no key and inserts row by row.
        let mut there = Table::create(&account, format!("there{round}"), &data)?;
        let mut back = Table::create(&account, format!("back{round}"), &data)?;
        let inserting = timed(|| there.insert(rows))?;
        let transacting = timed(|| back.transact(rows))?;
        insert = insert.min(inserting);
        transact = transact.min(transacting);
        for (index, page) in PAGES.into_iter().enumerate() {
            let reading = timed(|| there.read(rows, page))?;
            let again = timed(|| back.read(rows, page))?;
            read[index] = read[index].min(reading).min(again);
            one[index] = one[index].min(inserting + reading + transacting + again);
        }
        there.remove()?;
        back.remove()?;

        for (index, page) in PAGES.into_iter().enumerate() {
            let mut there = Table::create(&account, format!("over{round}x{page}"), &data)?;
            let mut back = Table::create(&account, format!("under{round}x{page}"), &data)?;
            let both = timed(|| {
                thread::scope(|scope| {
                    let left =
                        scope.spawn(|| there.insert(rows).and_then(|()| there.read(rows, page)));
                    let right =
                        scope.spawn(|| back.transact(rows).and_then(|()| back.read(rows, page)));
                    left.join().map_err(|_| "a thread died")??;
                    right.join().map_err(|_| "a thread died")?
                })
            })?;
            two[index] = two[index].min(both);
            there.remove()?;
            back.remove()?;
        }
    }
    let echo = |index: usize| one[index].min(two[index]);
    let best = usize::from(echo(1) < echo(0));
    let mib = bytes as f64 / MIB;
    Ok(json!({
        "event": "done",
        "bytes": bytes,
        "page_rows": PAGES[best],
        "requests": rows + rows.div_ceil(ROWS) + 2 * rows.div_ceil(PAGES[best]),
        "insert_mib_s": mib / insert,
        "transaction_mib_s": mib / transact,
        "query_mib_s": mib / read[best],
        "echo_one_connection_s": one[best],
        "echo_two_connections_s": two[best],
        "echo_s": echo(best),
    }))
}
