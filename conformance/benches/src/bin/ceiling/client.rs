//! A bare HTTP client of one container, queue or table.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::SystemTime;

use stillwire_azure::address::account_of;
use stillwire_azure::http::{Method, Request, Url};
use stillwire_azure::sas::Protocol;
use stillwire_azure::{AccountKey, Service, ServiceSas, SharedKeyPolicy};
use stillwire_benches::http::{self, Head, Stream};
use stillwire_core::UnixTime;

pub(crate) type Problem = Box<dyn std::error::Error + Send + Sync>;

/// An account of one service, and its key.
pub(crate) struct Account {
    service: Service,
    endpoint: Url,
    name: String,
    key: AccountKey,
    /// Service version of every request.
    version: &'static str,
}

impl Account {
    pub(crate) fn new(
        service: Service,
        endpoint: &str,
        version: &'static str,
    ) -> Result<Self, Problem> {
        let endpoint: Url = endpoint.parse()?;
        let key = std::env::var("AZURE_STORAGE_KEY").map_err(|_| "AZURE_STORAGE_KEY is not set")?;
        Ok(Self {
            service,
            name: account_of(&endpoint).ok_or("the endpoint names no account")?,
            key: AccountKey::parse(&key)?,
            endpoint,
            version,
        })
    }

    /// The query of a SAS for one resource, good for an hour.
    pub(crate) fn sas(&self, resource: &str, permissions: &str) -> Result<String, Problem> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let sas = ServiceSas {
            service: self.service,
            resource,
            permissions,
            start: None,
            expiry: UnixTime::from_secs(now.as_secs() + 3600),
            protocol: Protocol::HttpsHttp,
            version: "2021-12-02", // what the SAS is signed for; requests may be newer
        };
        Ok(sas.sign(&self.name, &self.key)?.query())
    }

    /// Header lines that sign a request with the account's key. A table's signature does not
    /// cover the body and serves for many requests.
    pub(crate) fn signature(
        &self,
        method: Method,
        below: &str,
        headers: &[(&'static str, &'static str)],
        body: Vec<u8>,
    ) -> Result<String, Problem> {
        let url: Url = format!("{}/{below}", self.endpoint).parse()?;
        let mut request = Request::new(url, method);
        request.insert_header("x-ms-version", self.version);
        for (name, value) in headers {
            request.insert_header(*name, *value);
        }
        request.set_body(body);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let time = UnixTime::from_secs(now.as_secs());
        let key = self.key.clone();
        let name = self.name.clone();
        SharedKeyPolicy::new(self.service, name, key, Arc::new(move || time)).sign(&mut request);
        let mut lines = String::new();
        for (name, value) in request.headers().iter() {
            if name.as_str() != "x-ms-version" {
                lines.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
            }
        }
        Ok(lines)
    }

    pub(crate) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    pub(crate) fn connect(&self) -> Result<Client, Problem> {
        let host = self.endpoint.host_str().ok_or("no host")?;
        let port = self.endpoint.port_or_known_default().ok_or("no port")?;
        Ok(Client {
            stream: http::stream(TcpStream::connect((host, port))?)?,
            host: format!("{host}:{port}"),
            account: self.endpoint.path().to_owned(),
            version: self.version,
        })
    }
}

/// One keep-alive connection.
pub(crate) struct Client {
    stream: Stream,
    host: String,
    account: String,
    version: &'static str,
}

impl Client {
    fn send(
        &mut self,
        method: &str,
        below: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<Head, Problem> {
        let head = format!(
            "{method} {}/{below} HTTP/1.1\r\nhost: {}\r\nx-ms-version: {}\r\n{headers}\
             content-length: {}\r\n\r\n",
            self.account,
            self.host,
            self.version,
            body.len()
        );
        self.stream.get_ref().write_all(head.as_bytes())?;
        self.stream.get_ref().write_all(body)?;
        Ok(Head::read(&mut self.stream)?.ok_or("the emulator hung up")?)
    }

    /// One request, which must end with this status; how many bytes came back.
    pub(crate) fn call(
        &mut self,
        wanted: u16,
        method: &str,
        below: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<u64, Problem> {
        let answer = self.send(method, below, headers, body)?;
        let framing = answer.response_body(method);
        let read = http::relay(framing, &mut self.stream, &mut io::sink())?;
        expect(wanted, method, below, &answer)?;
        Ok(read)
    }

    /// The same, with what came back, as it was framed.
    pub(crate) fn fetch(&mut self, below: &str, headers: &str) -> Result<Vec<u8>, Problem> {
        let answer = self.send("GET", below, headers, &[])?;
        let mut body = Vec::new();
        http::relay(answer.response_body("GET"), &mut self.stream, &mut body)?;
        expect(200, "GET", below, &answer)?;
        Ok(body)
    }
}

fn expect(wanted: u16, method: &str, below: &str, answer: &Head) -> Result<(), Problem> {
    if answer.status() == wanted {
        return Ok(());
    }
    let resource = below.split('?').next().unwrap_or_default();
    Err(format!("{method} {resource}: status {}", answer.status()).into())
}
