//! What a scenario needs of an adapter, in calls that block.

mod asynchronous;
pub mod blocking;

pub use asynchronous::{async_std, smol, tokio};

use crate::Place;
use azure_core::http::HttpClient;
use futures_util::future::BoxFuture;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use stillwire_futures::{Config, ConnectionId, Error, Outcome, Role, Runtime, Stats, Ticket};

/// A crate that runs Stillwire.
pub trait Adapter: Send + Sync {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Opens the place and listens there.
    fn listen(&self, place: &Place, config: Config) -> Result<Box<dyn Listener>, Error>;

    /// Opens one connection.
    fn dial(&self, ticket: &Ticket, config: Config) -> Result<End, Error>;

    /// Its HTTP client.
    fn http(&self) -> azure_core::Result<Arc<dyn HttpClient>>;

    /// Its runtime.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// Waits for a request, as this adapter does.
    fn wait(&self, request: BoxFuture<'static, Outcome>) -> Outcome;
}

/// All of them.
pub const ALL: [&dyn Adapter; 4] = [&tokio::Runs, &async_std::Runs, &smol::Runs, &blocking::Runs];

/// Accepts connections.
pub trait Listener: Send {
    /// What a dialer needs.
    fn ticket(&self) -> Ticket;

    /// Waits for the next connection.
    fn accept(&mut self) -> Result<End, Error>;

    /// Stops and waits for the end of everything.
    fn stop(self: Box<Self>) -> Result<(), Error>;
}

/// One end of a connection, in its halves.
pub struct End {
    /// For one thread.
    pub read: Box<dyn Reading>,
    /// For another.
    pub write: Box<dyn Writing>,
}

/// Who a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Known by both ends.
    pub id: ConnectionId,
    /// The handshake's hash.
    pub binding: [u8; 32],
    /// Which end.
    pub role: Role,
}

/// The reading half, through the runtime's own trait.
pub trait Reading: Send {
    /// Who we are.
    fn identity(&self) -> Identity;

    /// Counters.
    fn stats(&self) -> Stats;

    /// True once something authentic came.
    fn is_confirmed(&self) -> bool;

    /// Reads; zero bytes are the peer's end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads, and gives up after `limit`: the future is dropped, or the time-out comes.
    fn read_within(&mut self, limit: Duration, buffer: &mut [u8]) -> Option<io::Result<usize>>;

    /// Reads; the future is dropped when it is pending for the `k`-th time. Without futures it is
    /// never given up.
    fn read_to_pending(&mut self, _k: u32, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        Some(self.read(buffer))
    }
}

/// The writing half, through the runtime's own trait.
pub trait Writing: Send {
    /// Counters.
    fn stats(&self) -> Stats;

    /// Writes everything.
    fn write_all(&mut self, data: &[u8]) -> io::Result<()>;

    /// Writes what fits, and gives up after `limit`.
    fn write_within(&mut self, limit: Duration, data: &[u8]) -> Option<io::Result<usize>>;

    /// Waits until everything written is stored.
    fn flush(&mut self) -> io::Result<()>;

    /// Ends our direction.
    fn close_write(&mut self) -> io::Result<()>;

    /// Waits for the end, and says how it was.
    fn closed(&mut self) -> Result<(), Error>;

    /// Writes what fits, as [`Reading::read_to_pending`] reads.
    fn write_to_pending(&mut self, _k: u32, data: &[u8]) -> Option<io::Result<usize>> {
        Some(self.write_all(data).map(|()| data.len()))
    }

    /// Flushes likewise.
    fn flush_to_pending(&mut self, _k: u32) -> Option<io::Result<()>> {
        Some(self.flush())
    }

    /// Ends our direction likewise.
    fn close_to_pending(&mut self, _k: u32) -> Option<io::Result<()>> {
        Some(self.close_write())
    }
}

/// Polls to the end, letting others run in between, or drops the future when it is pending for the
/// `k`-th time. No timer decides.
async fn to_pending<F: Future>(k: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut seen = 0;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            seen += 1;
            if seen >= k {
                return Poll::Ready(None);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

impl End {
    /// Writes, flushes and does not end.
    pub fn say(&mut self, data: &[u8]) {
        self.write.write_all(data).expect("writing");
        self.write.flush().expect("flushing");
    }
}
