//! hyper over async-std's sockets.

use crate::AsyncStdRuntime;
use async_std::net::TcpStream;
use azure_core::http::HttpClient;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use stillwire_hyper::{Network, Stream};

/// An HTTP client as Stillwire wants it; what it honours and what it does not is on the front
/// page of `stillwire-hyper`.
///
/// # Errors
/// When TLS cannot be set up, mostly for want of root certificates.
pub fn http_client() -> azure_core::Result<Arc<dyn HttpClient>> {
    stillwire_hyper::http_client(Arc::new(AsyncStdRuntime::new()), Sockets)
}

struct Sockets;

impl Network for Sockets {
    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>> {
        let host = host.to_owned();
        Box::pin(async move {
            let stream = TcpStream::connect((&*host, port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
