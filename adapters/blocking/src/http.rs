//! ureq as `azure_core`'s HTTP client: what blocks is on a thread of its own.
//!
//! Only the sending and the receiving are. What an answer means is found out by whoever polls the
//! future: an answer that comes when nobody waits any more changes nothing.

use crate::Threads;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::header::HeaderMap;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, BodyReader, Proxy};

/// Connections kept open to one host: all that a connection over queues has under way.
const IDLE_CONNECTIONS: usize = 64;
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
/// It blocks threads of [`Threads`], never the one that polls it. Errors never hold the URL.
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
        threads: Threads::shared(),
    }))
}

#[derive(Debug)]
struct Client {
    /// For `http`, which is for emulators and never goes through a proxy.
    plain: Agent,
    secure: Agent,
    threads: Threads,
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
        let mut builder = ureq::http::Request::builder()
            .method(method.as_ref())
            .uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            // The length is the client's to say.
            if name.as_str() != "content-length" {
                builder = builder.header(name.as_str(), value.as_str());
            }
        }
        let agent = if request.url().scheme() == "https" {
            self.secure.clone()
        } else {
            self.plain.clone()
        };
        let bare = matches!(method.as_ref(), "GET" | "HEAD" | "DELETE") && body.is_empty();
        let body = body.clone();
        // The first piece comes with the head: mostly it is all there is.
        let sent = self.threads.call(move || {
            let response = if bare {
                agent.run(builder.body(()).map_err(unusable)?)
            } else {
                agent.run(builder.body(&body[..]).map_err(unusable)?)
            };
            let (head, body) = response.map_err(transport_error)?.into_parts();
            let left = body.content_length();
            let reader = body.into_with_config().limit(u64::MAX).reader();
            Ok::<_, Error>((head, Answer { reader, left }.piece()))
        });
        let (head, first) = sent.await.unwrap_or_else(|| Err(no_thread()))?;
        let threads = self.threads.clone();
        let next: Next = std::future::ready(first).boxed();
        let pieces = futures_util::stream::unfold(Some(next), move |next| {
            let threads = threads.clone();
            async move {
                match next?.await {
                    Ok((bytes, _)) if bytes.is_empty() => None,
                    Ok((bytes, rest)) => {
                        let next = rest.map(|rest| rest.next(&threads));
                        Some((Ok(bytes), next))
                    }
                    Err(error) => Some((Err(error), None)),
                }
            }
        });
        let status = head.status.as_u16().into();
        Ok(AsyncRawResponse::new(
            status,
            headers(&head.headers),
            pieces.boxed(),
        ))
    }
}

/// A piece of a body, and what is left of it.
type Piece = azure_core::Result<(Bytes, Option<Answer>)>;
type Next = BoxFuture<'static, Piece>;

/// A body that is being read, with the bytes to come where that is known.
struct Answer {
    reader: BodyReader<'static>,
    left: Option<u64>,
}

impl Answer {
    fn next(self, threads: &Threads) -> Next {
        let read = threads.call(move || self.piece());
        read.map(|read| read.unwrap_or_else(|| Err(no_thread())))
            .boxed()
    }

    fn piece(mut self) -> Piece {
        let read = piece(&mut self.reader, self.left);
        let (bytes, ended) = read.map_err(|error| transport_error(error.into()))?;
        self.left = self
            .left
            .map(|left| left.saturating_sub(bytes.len() as u64));
        Ok((bytes, (!ended).then_some(self)))
    }
}

fn no_thread() -> Error {
    Error::with_message(ErrorKind::Io, "there is no thread for it")
}

/// The next piece of a body of which `left` bytes are to come, where that is known, and whether it
/// was the last.
fn piece(body: &mut impl Read, left: Option<u64>) -> io::Result<(Bytes, bool)> {
    let most = left.map_or(64 << 10, |left| usize::try_from(left).unwrap_or(PIECE));
    // One byte more: only a read that finds the end lets the connection be used again.
    let mut bytes = vec![0; most.saturating_add(1).min(PIECE)];
    let mut filled = 0;
    let mut ended = false;
    while filled < bytes.len() && !ended {
        match body.read(&mut bytes[filled..]) {
            Ok(0) => ended = true,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok((bytes.into(), ended))
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

#[cfg(test)]
mod tests;
