//! `ceiling --endpoint URL [--bytes N] [--block N] [--rounds N]`: how fast the
//! emulator moves what an echo of N bytes must move, with nothing around it: bare
//! appends and ranged reads on keep-alive connections, no encryption, no polling.
//!
//! An echo writes its bytes twice and reads them twice. That work is done over one
//! connection and over two at once; the best round counts. Prints one JSON line.
//! The account key comes from AZURE_STORAGE_KEY.

use std::io::{self, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime};

use serde_json::json;
use stillwire_azure::address::account_of;
use stillwire_azure::http::{Method, Request, Url};
use stillwire_azure::sas::Protocol;
use stillwire_azure::{AccountKey, Service, ServiceSas, SharedKeyPolicy};
use stillwire_benches::http::{self, Head, Stream};
use stillwire_benches::pattern::Pattern;
use stillwire_benches::process::Flags;
use stillwire_core::UnixTime;

const CONTAINER: &str = "ceiling";
/// New enough for blocks over 4 MiB.
const VERSION: &str = "2022-11-02";
const MIB: f64 = 1024.0 * 1024.0;

type Problem = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match measure() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("ceiling: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// A bare client: one keep-alive connection and a container SAS.
struct Client {
    stream: Stream,
    host: String,
    container: String,
    sas: String,
}

impl Client {
    fn call(&mut self, line: &str, headers: &str, body: &[u8]) -> Result<(u16, u64), Problem> {
        let head = format!(
            "{line} HTTP/1.1\r\nhost: {}\r\nx-ms-version: {VERSION}\r\n{headers}content-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.stream.get_ref().write_all(head.as_bytes())?;
        self.stream.get_ref().write_all(body)?;
        let answer = Head::read(&mut self.stream)?.ok_or("the emulator hung up")?;
        let method = line.split(' ').next().unwrap_or_default();
        let read = http::relay(
            answer.response_body(method),
            &mut self.stream,
            &mut io::sink(),
        )?;
        Ok((answer.status(), read))
    }

    fn expect(&self, wanted: u16, what: &str, got: u16) -> Result<(), Problem> {
        if got == wanted {
            Ok(())
        } else {
            Err(format!("{what} in {}: status {got}", self.container).into())
        }
    }

    /// Makes an append blob of these bytes, block by block.
    fn append(&mut self, blob: &str, block: &[u8], total: u64) -> Result<(), Problem> {
        let path = format!("{}/{blob}", self.container);
        let create = format!("PUT {path}?{}", self.sas);
        let (status, _) = self.call(&create, "x-ms-blob-type: AppendBlob\r\n", &[])?;
        self.expect(201, "create blob", status)?;
        let append = format!("PUT {path}?comp=appendblock&{}", self.sas);
        let mut offset = 0;
        while offset < total {
            let n = (total - offset).min(block.len() as u64);
            let position = format!("x-ms-blob-condition-appendpos: {offset}\r\n");
            let (status, _) = self.call(&append, &position, &block[..n as usize])?;
            self.expect(201, "append", status)?;
            offset += n;
        }
        Ok(())
    }

    /// Reads a blob in ranges of this many bytes.
    fn read(&mut self, blob: &str, range: u64, total: u64) -> Result<(), Problem> {
        let get = format!("GET {}/{blob}?{}", self.container, self.sas);
        let mut offset = 0;
        while offset < total {
            let last = (offset + range).min(total) - 1;
            let (status, read) =
                self.call(&get, &format!("range: bytes={offset}-{last}\r\n"), &[])?;
            self.expect(206, "read", status)?;
            if read != last + 1 - offset {
                return Err(format!("read {read} bytes at {offset}").into());
            }
            offset += read;
        }
        Ok(())
    }

    fn delete(&mut self, blob: &str) -> Result<(), Problem> {
        let delete = format!("DELETE {}/{blob}?{}", self.container, self.sas);
        let (status, _) = self.call(&delete, "", &[])?;
        self.expect(202, "delete", status)
    }
}

/// Where and with what right.
struct Target {
    endpoint: Url,
    sas: String,
}

impl Target {
    /// Creates the container and mints a SAS for it.
    fn prepare(endpoint: &str) -> Result<Self, Problem> {
        let endpoint: Url = endpoint.parse()?;
        let account = account_of(&endpoint).ok_or("the endpoint names no account")?;
        let key = std::env::var("AZURE_STORAGE_KEY").map_err(|_| "AZURE_STORAGE_KEY is not set")?;
        let key = AccountKey::parse(&key)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let at = |seconds: u64| UnixTime::from_secs(now.as_secs() + seconds);
        let sas = ServiceSas {
            service: Service::Blob,
            resource: CONTAINER,
            permissions: "racwd",
            start: None,
            expiry: at(3600),
            protocol: Protocol::HttpsHttp,
            version: "2021-12-02", // what the SAS is signed for; requests may be newer
        };
        let sas = sas.sign(&account, &key)?.query();

        let url: Url = format!("{endpoint}/{CONTAINER}?restype=container").parse()?;
        let mut request = Request::new(url, Method::Put);
        request.insert_header("x-ms-version", VERSION);
        let time = at(0);
        let policy = SharedKeyPolicy::new(Service::Blob, account, key, Arc::new(move || time));
        policy.sign(&mut request);
        let mut headers = String::new();
        for (name, value) in request.headers().iter() {
            if name.as_str() != "x-ms-version" {
                headers.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
            }
        }

        let target = Self { endpoint, sas };
        let mut client = target.connect()?;
        let create = format!("PUT {}?restype=container", client.container);
        let (status, _) = client.call(&create, &headers, &[])?;
        client.expect(201, "create container", status)?;
        Ok(target)
    }

    fn connect(&self) -> Result<Client, Problem> {
        let host = self.endpoint.host_str().ok_or("no host")?;
        let port = self.endpoint.port_or_known_default().ok_or("no port")?;
        Ok(Client {
            stream: http::stream(TcpStream::connect((host, port))?)?,
            host: format!("{host}:{port}"),
            container: format!("{}/{CONTAINER}", self.endpoint.path()),
            sas: self.sas.clone(),
        })
    }
}

/// Seconds of one piece of work.
fn timed(work: impl FnOnce() -> Result<(), Problem>) -> Result<f64, Problem> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn measure() -> Result<serde_json::Value, Problem> {
    let known = ["endpoint", "bytes", "block", "rounds"];
    let flags = Flags::parse(std::env::args().skip(1), &known)?;
    let bytes = flags.number("bytes", 100_000_000)?;
    let block = flags.number("block", 16 << 20)?;
    if block == 0 {
        return Err("--block is not zero".into());
    }
    let endpoint = flags.text("endpoint").ok_or("--endpoint is missing")?;
    let target = Target::prepare(endpoint.trim_end_matches('/'))?;
    let mut data = vec![0; usize::try_from(block)?];
    Pattern::new(1).fill(&mut data);
    let data = data.as_slice();

    let (mut append, mut read, mut one, mut two) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..flags.number("rounds", 3)?.max(1) {
        // One connection, one thing at a time.
        let mut client = target.connect()?;
        let mut total = 0.0;
        for blob in ["a", "b"] {
            let appending = timed(|| client.append(blob, data, bytes))?;
            let reading = timed(|| client.read(blob, block, bytes))?;
            append = append.min(appending);
            read = read.min(reading);
            total += appending + reading;
        }
        one = one.min(total);
        // Two connections, each moving half of the same work.
        let both = timed(|| {
            thread::scope(|scope| {
                let half = |blob: &'static str| {
                    let target = &target;
                    scope.spawn(move || {
                        let mut client = target.connect()?;
                        client.append(blob, data, bytes)?;
                        client.read(blob, block, bytes)
                    })
                };
                let (left, right) = (half("c"), half("d"));
                left.join().map_err(|_| "a thread died")??;
                right.join().map_err(|_| "a thread died")?
            })
        })?;
        two = two.min(both);
        for blob in ["a", "b", "c", "d"] {
            client.delete(blob)?;
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
