//! reqwest as `azure_core`'s HTTP client.

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// Connections kept open to one host: all that a connection over queues has under way.
const IDLE_CONNECTIONS: usize = 64;
/// Below the emulator's keep-alive of 5 s, so that a request rarely meets a closing connection.
const IDLE_TIME: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// An HTTP client as Stillwire wants it: HTTP/1.1 over rustls and the system's roots, no
/// redirects, no decompression, `HTTPS_PROXY`, `NO_PROXY` and `SSL_CERT_FILE` honoured.
///
/// # Errors
/// When TLS cannot be set up, mostly for want of root certificates.
pub fn http_client() -> azure_core::Result<Arc<dyn HttpClient>> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIME)
        .build()
        .map_err(|error| Error::new(ErrorKind::Other, error.without_url()))?;
    Ok(Arc::new(Client(client)))
}

#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let method = reqwest::Method::from_bytes(request.method().as_ref().as_bytes())
            .map_err(|error| Error::new(ErrorKind::Other, error))?;
        let mut builder = self.0.request(method, request.url().clone());
        let body = match request.body() {
            Body::Bytes(bytes) => bytes.clone(),
            Body::SeekableStream(_) => {
                return Err(Error::with_message(
                    ErrorKind::Other,
                    "bodies are sent whole, not streamed",
                ));
            }
        };
        for (name, value) in request.headers().iter() {
            // With a body, its length is the client's to say.
            if body.is_empty() || name.as_str() != "content-length" {
                builder = builder.header(name.as_str(), value.as_str());
            }
        }
        if !body.is_empty() {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(transport_error)?;
        let status = response.status().as_u16().into();
        let headers = headers(response.headers());
        let parts = futures_util::stream::unfold(Some(response), |response| async move {
            let mut response = response?;
            match response.chunk().await {
                Ok(part) => part.map(|part| (Ok(part), Some(response))),
                Err(error) => Some((Err(transport_error(error)), None)),
            }
        });
        Ok(AsyncRawResponse::new(status, headers, parts.boxed()))
    }
}

/// Without the URL, which holds the SAS. [`ErrorKind::Connection`]: certainly never sent.
fn transport_error(error: reqwest::Error) -> Error {
    let kind = if error.is_connect() || error.is_builder() {
        ErrorKind::Connection
    } else {
        ErrorKind::Io
    };
    Error::new(kind, error.without_url())
}

fn headers(map: &reqwest::header::HeaderMap) -> Headers {
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
