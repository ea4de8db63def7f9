//! A proxy between a client and the emulator that changes no byte: it counts every
//! request by its kind and holds each back for a while, as distance would.
//!
//! SharedKey and SAS sign the path, not the host, so an endpoint with the proxy's
//! port works like the emulator's own. One thread serves one connection; HTTP/1.1
//! has one request at a time on it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::http::{self, Head, Stream};

mod kind;

use kind::kind;

/// What passed since the last reset.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Requests by kind, such as `append` or `read`.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Answers by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of request bodies.
    pub sent: u64,
    /// Bytes of answer bodies.
    pub received: u64,
}

impl Counts {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.kinds.values().sum()
    }
}

/// A proxy that serves until the process ends.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    latency_us: AtomicU64,
    counts: Mutex<Counts>,
}

impl Shared {
    fn count(&self, with: impl FnOnce(&mut Counts)) {
        with(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Proxy {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            latency_us: AtomicU64::new(0),
            counts: Mutex::default(),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = serving.clone();
                // An error ends this connection; its client sees that and so is told.
                thread::spawn(move || serve(&shared, client));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long each request is held back from now on.
    pub fn delay(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.shared.latency_us.store(micros, Ordering::Relaxed);
    }

    /// Hands over the counts and begins anew.
    pub fn take_counts(&self) -> Counts {
        let mut taken = Counts::default();
        self.shared.count(|counts| taken = std::mem::take(counts));
        taken
    }
}

fn serve(shared: &Shared, client: TcpStream) -> io::Result<()> {
    let mut client = http::stream(client)?;
    let mut upstream: Option<Stream> = None;
    while let Some(request) = Head::read(&mut client)? {
        shared.count(|counts| *counts.kinds.entry(kind(&request)).or_default() += 1);
        let latency = shared.latency_us.load(Ordering::Relaxed);
        if latency > 0 {
            thread::sleep(Duration::from_micros(latency));
        }
        // The emulator closes idle connections; a client would see that and open another.
        if upstream.as_ref().is_some_and(|upstream| !is_open(upstream)) {
            upstream = None;
        }
        let server = match &mut upstream {
            Some(server) => server,
            none => none.insert(http::stream(TcpStream::connect(shared.upstream)?)?),
        };
        if !exchange(shared, &request, &mut client, server)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Passes one request and its answer; false when the connection is over.
fn exchange(
    shared: &Shared,
    request: &Head,
    client: &mut Stream,
    server: &mut Stream,
) -> io::Result<bool> {
    server.get_ref().write_all(&request.bytes)?;
    let waits = request.header("expect").is_some();
    if !waits {
        let sent = http::relay(request.request_body(), client, &mut server.get_ref())?;
        shared.count(|counts| counts.sent += sent);
    }
    loop {
        let Some(response) = Head::read(server)? else {
            return Ok(false);
        };
        client.get_ref().write_all(&response.bytes)?;
        if response.status() == 100 {
            let sent = http::relay(request.request_body(), client, &mut server.get_ref())?;
            shared.count(|counts| counts.sent += sent);
            continue;
        }
        let body = response.response_body(request.method());
        let received = http::relay(body, server, &mut client.get_ref())?;
        shared.count(|counts| {
            counts.received += received;
            *counts.statuses.entry(response.status()).or_default() += 1;
        });
        // An answer without a length ends with its connection.
        return Ok(!response.closes() && !request.closes() && body != http::Body::UntilClose);
    }
}

/// Whether the peer still holds the connection open. Between two messages there is
/// nothing to read but its end.
fn is_open(stream: &Stream) -> bool {
    let socket = stream.get_ref();
    if socket.set_nonblocking(true).is_err() {
        return false;
    }
    let nothing =
        matches!(socket.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    socket.set_nonblocking(false).is_ok() && nothing
}

#[cfg(test)]
mod tests;
