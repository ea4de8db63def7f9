//! From a host to a connection that HTTP requests can be sent on: TCP, a proxy's tunnel, TLS.

use crate::pool::Sender;
use crate::{Network, Origin, Stream};
use azure_core::error::{Error, ErrorKind};
use futures_rustls::TlsConnector;
use futures_rustls::pki_types::ServerName;
use futures_rustls::rustls::{ClientConfig, crypto::aws_lc_rs};
use futures_util::future::{Either, select};
use futures_util::{AsyncReadExt, AsyncWriteExt};
use hyper::Uri;
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls_platform_verifier::BuilderVerifierExt;
use smol_hyper::rt::FuturesIo;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use stillwire_futures::Runtime;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer of a proxy to `CONNECT`.
const LARGEST_ANSWER: usize = 8 << 10;

type Io = Box<dyn Stream>;

pub(crate) struct Connector {
    runtime: Arc<dyn Runtime>,
    network: Arc<dyn Network>,
    tls: TlsConnector,
    proxies: Matcher,
}

impl Connector {
    pub(crate) fn new(
        runtime: Arc<dyn Runtime>,
        network: Arc<dyn Network>,
    ) -> azure_core::Result<Self> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(|error| Error::new(ErrorKind::Other, error))?
            .with_no_client_auth();
        Ok(Self {
            runtime,
            network,
            tls: Arc::new(config).into(),
            proxies: Matcher::from_env(),
        })
    }

    /// Opens a connection, within the time for it.
    pub(crate) async fn connect(&self, origin: &Origin) -> io::Result<Sender> {
        let time = self.runtime.sleep(CONNECT_TIMEOUT);
        match select(pin!(self.open(origin)), time).await {
            Either::Left((sender, _)) => sender,
            Either::Right(_) => {
                let secs = CONNECT_TIMEOUT.as_secs();
                let detail = format!("no connection within {secs} s");
                Err(io::Error::new(io::ErrorKind::TimedOut, detail))
            }
        }
    }

    async fn open(&self, origin: &Origin) -> io::Result<Sender> {
        let stream = if origin.tls {
            let through = match self.proxy(origin)? {
                Some(proxy) => self.tunnel(&proxy, origin).await?,
                None => self.network.connect(&origin.host, origin.port).await?,
            };
            self.secure(through, &origin.host).await?
        } else {
            self.network.connect(&origin.host, origin.port).await?
        };
        let (sender, connection) = http1::handshake(FuturesIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        self.runtime.spawn(Box::pin(async move {
            // Whoever waits for an answer on it is told of its error.
            let _ = connection.await;
        }));
        Ok(sender)
    }

    fn proxy(&self, origin: &Origin) -> io::Result<Option<Intercept>> {
        let target: Uri = format!("https://{}/", origin.authority())
            .parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host is no URL's"))?;
        Ok(self.proxies.intercept(&target))
    }

    async fn secure(&self, stream: Io, host: &str) -> io::Result<Io> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "no name for TLS"))?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }

    async fn tunnel(&self, proxy: &Intercept, origin: &Origin) -> io::Result<Io> {
        let uri = proxy.uri();
        let (tls, port) = match uri.scheme_str() {
            Some("http") | None => (false, 80),
            Some("https") => (true, 443),
            Some(_) => {
                let detail = "the proxy is neither http:// nor https://: set HTTPS_PROXY to one";
                return Err(io::Error::new(io::ErrorKind::Unsupported, detail));
            }
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(port);
        let mut stream = self.network.connect(host, port).await?;
        if tls {
            stream = self.secure(stream, host).await?;
        }
        ask(&mut stream, &origin.authority(), proxy.basic_auth()).await?;
        Ok(stream)
    }
}

/// Asks a proxy for a tunnel.
pub(crate) async fn ask(
    stream: &mut (impl Stream + ?Sized),
    to: &str,
    auth: Option<&HeaderValue>,
) -> io::Result<()> {
    let mut head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
    if let Some(auth) = auth {
        head.extend_from_slice(b"Proxy-Authorization: ");
        head.extend_from_slice(auth.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).await?;
    stream.flush().await?;
    // Byte by byte: what follows the answer is the tunnel's.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if answer.len() == LARGEST_ANSWER || stream.read(&mut byte).await? == 0 {
            return Err(refused("the proxy's answer has no end"));
        }
        answer.extend_from_slice(&byte);
    }
    // `HTTP/1.1 200 …`
    let code = answer.get(9..12).unwrap_or_default();
    match code {
        [b'2', _, _] if answer.starts_with(b"HTTP/1.") => Ok(()),
        b"407" => Err(refused(
            "the proxy wants a user and a password: put them into HTTPS_PROXY",
        )),
        _ => {
            let code = code.escape_ascii();
            Err(refused(&format!("the proxy refused the tunnel: {code}")))
        }
    }
}

fn refused(detail: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, detail)
}
