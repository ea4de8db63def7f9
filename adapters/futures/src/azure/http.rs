//! One HTTP exchange through `azure_core`'s pipeline: no retries, no secrets in errors, bodies
//! bounded.

use azure_core::error::{Error as HttpError, ErrorKind};
use azure_core::http::headers::{CONTENT_LENGTH, Headers};
use azure_core::http::policies::Policy;
use azure_core::http::{
    AsyncRawResponse, ClientOptions, Context, HttpClient, Pipeline, PipelineStreamOptions, Request,
    RetryOptions, Transport,
};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use std::io;
use std::sync::Arc;
use stillwire_azure::redact;
use stillwire_azure::{Outcome, TransportError};
use stillwire_core::store::FailureKind;

/// A pipeline that tries once; `per_try` signs.
pub(crate) fn pipeline(client: Arc<dyn HttpClient>, per_try: Vec<Arc<dyn Policy>>) -> Pipeline {
    let options = ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(Redacting(client)))),
        ..ClientOptions::default()
    };
    let (name, version) = (
        option_env!("CARGO_PKG_NAME"),
        option_env!("CARGO_PKG_VERSION"),
    );
    Pipeline::new(name, version, options, Vec::new(), per_try, None)
}

/// Sends one request and reads its answer, of the body at most `limit` bytes.
pub(crate) async fn send(pipeline: &Pipeline, mut request: Request, limit: usize) -> Outcome {
    let options = PipelineStreamOptions {
        // The driver judges status codes itself.
        skip_checks: true,
        ..PipelineStreamOptions::default()
    };
    let context = Context::new();
    let response = pipeline.stream(&context, &mut request, Some(options)).await;
    let (status, headers, body) = response.map_err(|e| classify(&e))?.deconstruct();
    let mut body = body.fuse();
    let mut bytes = match body.next().await {
        None => return Ok((status, headers, Bytes::new())),
        Some(part) => part.map_err(|e| classify(&e))?,
    };
    // A body that arrives in one piece is not copied.
    if bytes.len() < limit
        && let Some(part) = body.next().await
    {
        let mut part = part.map_err(|e| classify(&e))?;
        let expected = announced(&headers).unwrap_or(0).min(limit);
        let mut whole = BytesMut::with_capacity(expected.max(bytes.len()));
        whole.extend_from_slice(&bytes);
        loop {
            part.truncate(limit.saturating_sub(whole.len()));
            whole.extend_from_slice(&part);
            if whole.len() >= limit {
                break;
            }
            match body.next().await {
                None => break,
                Some(next) => part = next.map_err(|e| classify(&e))?,
            }
        }
        bytes = whole.freeze();
    }
    bytes.truncate(limit);
    // The connection can be used again only when its answer was read to the end.
    if announced(&headers).is_some_and(|length| length == bytes.len()) {
        let _ = body.next().now_or_never();
    }
    Ok((status, headers, bytes))
}

fn announced(headers: &Headers) -> Option<usize> {
    headers.get_optional_str(&CONTENT_LENGTH)?.parse().ok()
}

/// What a transport error means. Only a connection that never came about cannot have landed.
fn classify(error: &HttpError) -> TransportError {
    let never_sent = *error.kind() == ErrorKind::Connection;
    match Trouble::find(error) {
        Some(Trouble { kind, detail }) if never_sent => TransportError::unsent(*kind, detail),
        Some(Trouble { kind, detail }) => TransportError::sent(*kind, detail),
        // A policy failed before the transport was reached.
        None => TransportError::unsent(FailureKind::Io, redact(&error.to_string())),
    }
}

/// A transport's error without its secrets: clients like to quote whole URLs, in their text, in
/// their `Debug` output and in those of their sources.
#[derive(Clone, Debug)]
struct Trouble {
    kind: FailureKind,
    detail: String,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    /// Reads a chain of errors, the outermost first.
    fn of(error: &HttpError) -> Self {
        let mut kind = FailureKind::Unreachable;
        let mut lines: Vec<String> = Vec::new();
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = next {
            let mut wrapped = error.downcast_ref::<io::Error>();
            while let Some(io) = wrapped {
                match io.kind() {
                    // How rustls says that it does not trust the other side.
                    io::ErrorKind::InvalidData => kind = FailureKind::Tls,
                    io::ErrorKind::TimedOut => kind = FailureKind::TimedOut,
                    _ => {}
                }
                // An `io::Error` is not the source of the one it is wrapped in.
                wrapped = io.get_ref().and_then(|inner| inner.downcast_ref());
            }
            let line = redact(&error.to_string().replace(['\n', '\r'], " "));
            // Some errors repeat their source's text.
            if !line.is_empty() && !lines.iter().any(|known| known.contains(&line)) {
                lines.push(line);
            }
            next = error.source();
        }
        Self {
            kind,
            detail: lines.join(": "),
        }
    }

    fn find(error: &HttpError) -> Option<&Self> {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(trouble) = error.downcast_ref() {
                return Some(trouble);
            }
            next = error.source();
        }
        None
    }

    fn clean(error: &HttpError) -> HttpError {
        let kind = match error.kind() {
            ErrorKind::Connection => ErrorKind::Connection,
            _ => ErrorKind::Io,
        };
        HttpError::new(kind, Self::of(error))
    }
}

/// Somebody's HTTP client, with secrets taken out of its errors before anybody sees them.
#[derive(Debug)]
struct Redacting(Arc<dyn HttpClient>);

#[async_trait::async_trait]
impl HttpClient for Redacting {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let response = self.0.execute_request(request).await;
        let (status, headers, body) = response.map_err(|e| Trouble::clean(&e))?.deconstruct();
        let body = body.map(|part| part.map_err(|e| Trouble::clean(&e)));
        Ok(AsyncRawResponse::new(status, headers, body.boxed()))
    }
}
