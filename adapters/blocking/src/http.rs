//! ureq as `azure_core`'s HTTP client: its futures are ready at their first poll.

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use bytes::Bytes;
use futures_util::StreamExt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::header::HeaderMap;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy};

/// Connections kept open to one host: both directions of a connection and some more.
const IDLE_CONNECTIONS: usize = 16;
/// Below the emulator's keep-alive of 5 s, so that a request rarely meets a closing connection.
const IDLE_TIME: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Without a byte moving. The time of a whole try is the machine's, and kept outside.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a body handed on at a time.
const PIECE: usize = 1 << 20;

/// An HTTP client as Stillwire wants it: HTTP/1.1 over rustls and the system's roots, no
/// redirects, no decompression; `HTTPS_PROXY`, `NO_PROXY` and `SSL_CERT_FILE` honoured.
///
/// It blocks the thread that polls it. Errors never hold the URL.
///
/// # Errors
/// None so far: certificates are looked for when the first connection needs them.
pub fn http_client() -> azure_core::Result<Arc<dyn HttpClient>> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build();
    let agent = |proxy| {
        let config = Agent::config_builder()
            .tls_config(tls.clone())
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .max_idle_connections(4 * IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .max_idle_age(IDLE_TIME)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(STALL_TIMEOUT))
            .timeout_per_write(Some(STALL_TIMEOUT));
        config.build().new_agent()
    };
    Ok(Arc::new(Client {
        plain: agent(None),
        secure: agent(Proxy::try_from_env()),
    }))
}

#[derive(Debug)]
struct Client {
    /// For `http`, which is for emulators and never goes through a proxy.
    plain: Agent,
    secure: Agent,
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(
                ErrorKind::Other,
                "bodies are sent whole, not streamed",
            ));
        };
        let method = request.method();
        let method = method.as_ref();
        let mut builder = ureq::http::Request::builder()
            .method(method)
            .uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            // The length is the client's to say.
            if name.as_str() != "content-length" {
                builder = builder.header(name.as_str(), value.as_str());
            }
        }
        let agent = if request.url().scheme() == "https" {
            &self.secure
        } else {
            &self.plain
        };
        let response = if matches!(method, "GET" | "HEAD" | "DELETE") && body.is_empty() {
            let request = builder.body(()).map_err(unusable)?;
            agent.run(request)
        } else {
            let request = builder.body(&body[..]).map_err(unusable)?;
            agent.run(request)
        };
        let (head, body) = response.map_err(transport_error)?.into_parts();
        let status = head.status.as_u16().into();
        let expected = body.content_length();
        let body = body.into_with_config().limit(u64::MAX).reader();
        let pieces = futures_util::stream::unfold(Some((body, expected)), |body| async move {
            let (mut body, left) = body?;
            match piece(&mut body, left) {
                Ok(bytes) if bytes.is_empty() => None,
                Ok(bytes) => {
                    let left = left.map(|left| left.saturating_sub(bytes.len() as u64));
                    Some((Ok(bytes), Some((body, left))))
                }
                Err(error) => Some((Err(transport_error(error.into())), None)),
            }
        });
        Ok(AsyncRawResponse::new(
            status,
            headers(&head.headers),
            pieces.boxed(),
        ))
    }
}

/// The next piece of a body of which `left` bytes are to come, where that is known; empty at its
/// end.
fn piece(body: &mut impl Read, left: Option<u64>) -> io::Result<Bytes> {
    let most = left.map_or(64 << 10, |left| usize::try_from(left).unwrap_or(PIECE));
    // One byte at the least: only a read that finds the end lets the connection be used again.
    let mut bytes = vec![0; most.clamp(1, PIECE)];
    let mut filled = 0;
    while filled < bytes.len() {
        match body.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}

/// Its error quotes nothing.
fn unusable(error: ureq::http::Error) -> Error {
    Error::new(ErrorKind::Other, error)
}

/// Without whatever might hold the URL. [`ErrorKind::Connection`]: certainly never sent.
fn transport_error(error: ureq::Error) -> Error {
    use ureq::Error as E;
    use ureq::Timeout::{Connect, Resolve};
    let (kind, error) = match error {
        E::Io(error) if never_connected(error.kind()) => (ErrorKind::Connection, error),
        E::Io(error) => (ErrorKind::Io, error),
        E::HostNotFound => (
            ErrorKind::Connection,
            told(io::ErrorKind::NotFound, "no such host"),
        ),
        E::ConnectionFailed => (
            ErrorKind::Connection,
            told(io::ErrorKind::NotConnected, "no connection"),
        ),
        E::ConnectProxyFailed(_) => (
            ErrorKind::Connection,
            told(io::ErrorKind::NotConnected, "the proxy refused the tunnel"),
        ),
        E::Timeout(which @ (Connect | Resolve)) => (
            ErrorKind::Connection,
            told(io::ErrorKind::TimedOut, &format!("time-out: {which}")),
        ),
        E::Timeout(which) => (
            ErrorKind::Io,
            told(io::ErrorKind::TimedOut, &format!("time-out: {which}")),
        ),
        // How the layers above know TLS.
        E::Tls(what) => (ErrorKind::Io, told(io::ErrorKind::InvalidData, what)),
        E::Rustls(error) => (
            ErrorKind::Io,
            io::Error::new(io::ErrorKind::InvalidData, error),
        ),
        E::Protocol(error) => (ErrorKind::Io, io::Error::other(error)),
        _ => (ErrorKind::Io, io::Error::other("the HTTP exchange failed")),
    };
    Error::new(kind, error)
}

fn never_connected(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as K;
    matches!(
        kind,
        K::ConnectionRefused | K::HostUnreachable | K::NetworkUnreachable | K::AddrNotAvailable
    )
}

fn told(kind: io::ErrorKind, what: &str) -> io::Error {
    io::Error::new(kind, what)
}

fn headers(map: &HeaderMap) -> Headers {
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
