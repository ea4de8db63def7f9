//! `stillwire_blocking`.

use super::{Adapter, End, Identity, Listener, Reading, Writing};
use crate::Place;
use azure_core::http::HttpClient;
use futures_util::future::BoxFuture;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use stillwire_blocking as krate;
use stillwire_futures::{Config, Error, Outcome, Runtime, Stats, Ticket};

/// Both ends run on it.
pub struct Runs;

impl Adapter for Runs {
    fn name(&self) -> &'static str {
        "blocking"
    }

    fn listen(&self, place: &Place, config: Config) -> Result<Box<dyn Listener>, Error> {
        let store = krate::Store::from_address(&place.address, &place.options);
        let listener = store.expect("an address").listen(config)?;
        Ok(Box::new(Listens(listener)))
    }

    fn dial(&self, ticket: &Ticket, config: Config) -> Result<End, Error> {
        krate::dial(ticket, config).map(halves)
    }

    fn http(&self) -> azure_core::Result<Arc<dyn HttpClient>> {
        krate::http_client()
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(krate::Threads::shared())
    }

    /// On this thread; what blocks is on threads of the adapter's own.
    fn wait(&self, request: BoxFuture<'static, Outcome>) -> Outcome {
        smol::future::block_on(request)
    }
}

fn halves(connection: krate::Connection) -> End {
    let other = connection.try_clone().expect("a clone");
    End {
        read: Box::new(Reads(connection)),
        write: Box::new(Writes(other)),
    }
}

struct Listens(krate::Listener);
struct Reads(krate::Connection);
struct Writes(krate::Connection);

/// A call that gave up, told apart from a connection that died of a time-out.
fn in_time<T>(outcome: io::Result<T>) -> Option<io::Result<T>> {
    match outcome {
        Err(error)
            if error.kind() == io::ErrorKind::TimedOut && krate::source_of(&error).is_none() =>
        {
            None
        }
        outcome => Some(outcome),
    }
}

impl Listener for Listens {
    fn ticket(&self) -> Ticket {
        self.0.ticket().clone()
    }

    fn accept(&mut self) -> Result<End, Error> {
        self.0.accept().map(halves)
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        self.0.stop()
    }
}

impl Reading for Reads {
    fn identity(&self) -> Identity {
        Identity {
            id: self.0.id(),
            binding: self.0.channel_binding(),
            role: self.0.role(),
        }
    }

    fn stats(&self) -> Stats {
        self.0.stats()
    }

    fn is_confirmed(&self) -> bool {
        self.0.is_confirmed()
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    fn read_within(&mut self, limit: Duration, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        self.0.set_read_timeout(Some(limit)).expect("a time-out");
        let outcome = (&self.0).read(buffer);
        self.0.set_read_timeout(None).expect("no time-out");
        in_time(outcome)
    }
}

impl Writing for Writes {
    fn stats(&self) -> Stats {
        self.0.stats()
    }

    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        self.0.write_all(data)
    }

    fn write_within(&mut self, limit: Duration, data: &[u8]) -> Option<io::Result<usize>> {
        self.0.set_write_timeout(Some(limit)).expect("a time-out");
        let outcome = self.0.write(data);
        self.0.set_write_timeout(None).expect("no time-out");
        in_time(outcome)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn close_write(&mut self) -> io::Result<()> {
        self.0.close_write()
    }

    fn closed(&mut self) -> Result<(), Error> {
        self.0.closed()
    }
}
