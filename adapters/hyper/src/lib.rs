//! hyper 1 as `azure_core`'s HTTP client, for runtimes whose sockets speak `futures-io`.
//!
//! A runtime's adapter hands in how to open a TCP connection ([`Network`]) and its
//! [`Runtime`]; [`http_client`] does the rest:
//!
//! * HTTP/1.1 only: the storage services and their emulator speak nothing else over plain TCP.
//! * Connections are kept for 4 s, 16 to one host. A request is written to the network once; only
//!   one that certainly was not goes to a fresh connection instead.
//! * TLS by rustls with aws-lc, against the system's roots; `SSL_CERT_FILE` and `SSL_CERT_DIR`
//!   replace them.
//! * `https` goes through `HTTPS_PROXY` or `ALL_PROXY` unless `NO_PROXY` names the host; both
//!   `http://` and `https://` proxies, with a user and a password if need be. SOCKS is refused with
//!   an error. Plain `http`, which is for emulators, never goes through a proxy.
//! * 20 s to connect, everything before the request included. The time of a whole try is the
//!   machine's, and `stillwire-futures` keeps it.
//! * No redirects, no retries, no decompression.
//!
//! Errors name the host and the port, never the URL.

mod connect;
mod pool;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request, Url};
use bytes::Bytes;
use connect::Connector;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header;
use pool::{Pool, Sender};
use std::fmt;
use std::io;
use std::sync::Arc;
use stillwire_futures::Runtime;

/// A connection of the runtime's own.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How a runtime opens TCP connections.
pub trait Network: Send + Sync + 'static {
    /// Resolves `host` (a name, or an address without brackets) and connects to it, with
    /// `TCP_NODELAY` set.
    fn connect(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Stream>>>;
}

/// An HTTP client over a runtime's sockets.
///
/// # Errors
/// When TLS cannot be set up, mostly for want of root certificates.
pub fn http_client(
    runtime: Arc<dyn Runtime>,
    network: impl Network,
) -> azure_core::Result<Arc<dyn HttpClient>> {
    let connector = Connector::new(runtime.clone(), Arc::new(network))?;
    Ok(Arc::new(Client {
        connector,
        pool: Arc::new(Pool::new(runtime)),
    }))
}

/// Where a connection leads: those of one key can stand in for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    fn of(url: &Url) -> Option<Self> {
        let host = url.host_str()?;
        Some(Self {
            tls: url.scheme() == "https",
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// Host and port, as `CONNECT` wants them.
    pub(crate) fn authority(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

struct Client {
    connector: Connector,
    pool: Arc<Pool>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let origin = Origin::of(request.url())
            .ok_or_else(|| Error::with_message(ErrorKind::Other, "the URL has no host"))?;
        let (sender, response) = self.exchange(&origin, encode(request)?).await?;
        let (head, body) = response.into_parts();
        let body = Answer {
            body,
            lease: Some((self.pool.clone(), origin, sender)),
        };
        let status = head.status.as_u16().into();
        Ok(AsyncRawResponse::new(
            status,
            decode(&head.headers),
            body.pieces().boxed(),
        ))
    }
}

impl Client {
    /// Sends a request on a kept connection or a fresh one.
    async fn exchange(
        &self,
        origin: &Origin,
        mut request: hyper::Request<Full<Bytes>>,
    ) -> azure_core::Result<(Sender, hyper::Response<Incoming>)> {
        loop {
            let kept = self.pool.take(origin);
            let fresh = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connector.connect(origin).await.map_err(|error| {
                    let to = format!("no connection to {}", origin.authority());
                    Error::with_error(ErrorKind::Connection, error, to)
                })?,
            };
            match sender.ready().await {
                Ok(()) => {}
                Err(error) if fresh => return Err(Error::new(ErrorKind::Connection, error)),
                // It was closed while nobody used it.
                Err(_) => continue,
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, response)),
                Err(mut error) => match error.take_message() {
                    // Not a byte of it was written.
                    Some(unsent) if !fresh => request = unsent,
                    Some(_) => return Err(Error::new(ErrorKind::Connection, error.into_error())),
                    None => return Err(Error::new(ErrorKind::Io, error.into_error())),
                },
            }
        }
    }
}

/// The body of an answer. Its connection is kept when it was read to the end, else closed.
struct Answer {
    body: Incoming,
    lease: Option<(Arc<Pool>, Origin, Sender)>,
}

impl Answer {
    fn finish(&mut self) {
        if let Some((pool, origin, sender)) = self.lease.take() {
            pool.give(origin, sender);
        }
    }

    fn pieces(mut self) -> impl futures_util::Stream<Item = azure_core::Result<Bytes>> {
        if self.body.is_end_stream() {
            self.finish();
        }
        futures_util::stream::unfold(Some(self), |answer| async move {
            let mut answer = answer?;
            loop {
                match answer.body.frame().await {
                    None => {
                        answer.finish();
                        return None;
                    }
                    Some(Err(error)) => return Some((Err(Error::new(ErrorKind::Io, error)), None)),
                    Some(Ok(frame)) => {
                        if answer.body.is_end_stream() {
                            answer.finish();
                        }
                        // Trailers say nothing that we need.
                        if let Ok(data) = frame.into_data() {
                            return Some((Ok(data), Some(answer)));
                        }
                    }
                }
            }
        })
    }
}

fn encode(request: &Request) -> azure_core::Result<hyper::Request<Full<Bytes>>> {
    let body = match request.body() {
        Body::Bytes(bytes) => bytes.clone(),
        Body::SeekableStream(_) => {
            return Err(Error::with_message(
                ErrorKind::Other,
                "bodies are sent whole, not streamed",
            ));
        }
    };
    let url = request.url();
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut builder = hyper::Request::builder()
        .method(request.method().as_ref())
        .uri(target);
    for (name, value) in request.headers().iter() {
        let name = name.as_str();
        // With a body, its length is the client's to say.
        if name != "host" && (body.is_empty() || name != "content-length") {
            builder = builder.header(name, value.as_str());
        }
    }
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    builder
        .header(header::HOST, host)
        .body(Full::new(body))
        // Its error quotes nothing.
        .map_err(|error| Error::new(ErrorKind::Other, error))
}

fn decode(map: &header::HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in map {
        // Nothing we read is anything but ASCII.
        if let Ok(value) = value.to_str() {
            headers.insert(
                HeaderName::from(name.as_str().to_owned()),
                HeaderValue::from(value.to_owned()),
            );
        }
    }
    headers
}
