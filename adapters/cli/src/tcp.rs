//! TCP connections as the other end of a relay.

use crate::exit::Fault;
use crate::relay::{Joins, Local, relay};
use crate::run::Run;
use std::time::Duration;
use tokio::net::TcpStream;

/// Pause after a failed accept.
pub(crate) const BREATH: Duration = Duration::from_millis(100);

/// How long connecting to a forwarded address may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Opens the TCP connection of `--forward HOST:PORT`.
pub(crate) async fn connect(address: &str) -> Result<TcpStream, Fault> {
    let cannot =
        |error: std::io::Error| Fault::tcp(&format!("cannot connect to {address}"), &error);
    tokio::time::timeout(CONNECT, TcpStream::connect(address))
        .await
        .map_err(|_| cannot(std::io::ErrorKind::TimedOut.into()))?
        .map_err(cannot)
}

/// Joins a TCP connection to one of ours. One that fails resets the TCP connection, so that its
/// other end does not take a part for the whole.
pub(crate) async fn join(
    run: &Run,
    connection: impl Joins,
    mut tcp: TcpStream,
) -> Result<(), Fault> {
    // Without it TCP is only slower.
    let _ = tcp.set_nodelay(true);
    let (source, sink) = tcp.split();
    let local = Local {
        source,
        sink,
        ends_with_peer: false,
        fault: Fault::tcp,
    };
    let result = relay(run, connection, local).await;
    if result.is_err() {
        let _ = tcp.set_zero_linger();
    }
    result
}
