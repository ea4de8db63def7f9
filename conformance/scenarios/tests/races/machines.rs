//! Connections of every protocol, with small and crooked buffers.

use crate::pipe::Pipe;
use crate::{Dice, Halves, Reads, Writes};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join};
use std::sync::Arc;
use stillwire_core::commonware::{self, Admission, Door, Ed25519, Identity};
use stillwire_core::crypto::{Rng, Secret};
use stillwire_core::store::Role;
use stillwire_core::{Error, Instant, UnixTime, packetfs, ziti};
use stillwire_futures::secure::{Secure, SecureReader, SecureStream, SecureWriter};
use stillwire_futures::{self as futures, Options, Platform, Runtime};

/// Both ends of a connection that is established.
pub(crate) struct Ends {
    pub(crate) halves: [Halves; 2],
    /// The protocol has an end mark.
    pub(crate) marked: bool,
    /// Whoever drops an end without one is only silent from then on: its peer waits for minutes.
    pub(crate) silent: bool,
}

/// Opens one.
pub(crate) type Opening =
    Box<dyn FnOnce(Arc<dyn Runtime>, Dice) -> BoxFuture<'static, Result<Ends, Error>> + Send>;

impl<M: Secure> Reads for SecureReader<M> {}

impl<M: Secure> Writes for SecureWriter<M> {
    fn over(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        self.closed().boxed()
    }
}

impl Reads for futures::ReadHalf {}

impl Writes for futures::WriteHalf {
    fn over(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        self.closed().boxed()
    }
}

fn rng(role: Role) -> Rng {
    Rng::from_seed([side(role); 32])
}

fn side(role: Role) -> u8 {
    match role {
        Role::Dialer => 1,
        Role::Listener => 2,
    }
}

fn over_pipe<M: Secure>(
    marked: bool,
    make: fn(Role, Instant, &mut Dice) -> Result<M, Error>,
) -> Opening {
    Box::new(move |runtime, mut dice| {
        async move {
            let [one, other] = Pipe::pair(&mut dice);
            let mut open = |role, pipe| {
                let machine = make(role, runtime.now(), &mut dice);
                let runtime = runtime.clone();
                async move { SecureStream::open(runtime, pipe, machine?).await }
            };
            let opened = join(open(Role::Dialer, one), open(Role::Listener, other));
            let (one, other) = opened.await;
            let halves = [one?, other?].map(|stream| -> Halves {
                let (read, write) = stream.split();
                (Box::new(read), Box::new(write))
            });
            Ok(Ends {
                halves,
                marked,
                silent: false,
            })
        }
        .boxed()
    })
}

pub(crate) fn ziti() -> Opening {
    over_pipe(true, |role, now, dice| {
        let config = ziti::Config {
            message: 100 + dice.size(16),
            receive_buffer: 100 + dice.size(16),
            send_buffer: 100 + dice.size(16),
            ..ziti::Config::default()
        };
        ziti::Connection::new(role, ziti::Exchange::Fresh, None, config, rng(role), now)
    })
}

pub(crate) fn commonware() -> Opening {
    over_pipe(false, |role, now, dice| {
        let config = commonware::Config {
            stream_record: 100 + dice.size(16),
            receive_buffer: 100 + dice.size(16),
            send_buffer: 100 + dice.size(16),
            ..commonware::Config::default()
        };
        let who = |role| Arc::new(Ed25519::new(&Secret::from([side(role); 32])));
        let (identity, seed) = (who(role), [side(role); 32]);
        let unix = UnixTime::from_secs(1_780_000_000);
        match role {
            Role::Dialer => {
                let listener = who(Role::Listener).public();
                commonware::Connection::dial(config, identity, &listener, seed, now, unix)
            }
            Role::Listener => {
                let door = Door {
                    admission: Admission::Anyone,
                    seen: None,
                };
                let made = commonware::Connection::listen(config, identity, door, seed, now, unix);
                Ok(made)
            }
        }
    })
}

pub(crate) fn packetfs() -> Opening {
    over_pipe(true, |role, now, dice| {
        let config = packetfs::Config {
            record: 100 + dice.size(16),
            receive_buffer: 100 + dice.size(16),
            send_buffer: 100 + dice.size(16),
            epoch_records: 10 + dice.below(100) as u64,
            ..packetfs::Config::default()
        };
        let psk = packetfs::Psk::new(vec![6; 32])?;
        Ok(match role {
            Role::Dialer => packetfs::Connection::initiator(config, psk, rng(role), now),
            Role::Listener => packetfs::Connection::responder(config, psk, rng(role), now),
        })
    })
}

pub(crate) fn aznet() -> Opening {
    Box::new(|runtime, _| {
        async move {
            let platform = Platform::new(Handle(runtime));
            let store = futures::Store::from_address("memory:", &Options::default());
            let store = store.expect("an address");
            let config = futures::Config::default();
            let (mut listener, ticket) = store.listen(&platform, config.clone()).await?;
            let dialer = futures::Dialer::new(&ticket, &platform, config)?;
            let (one, other) = join(dialer.dial(), listener.accept()).await;
            let halves = [one?, other?].map(|connection| -> Halves {
                let (read, write) = connection.split();
                (Box::new(read), Box::new(write))
            });
            Ok(Ends {
                halves,
                marked: true,
                silent: true,
            })
        }
        .boxed()
    })
}

/// A runtime behind a pointer is one too.
struct Handle(Arc<dyn Runtime>);

impl Runtime for Handle {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }

    fn sleep(&self, duration: std::time::Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn unblock(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        self.0.unblock(work)
    }
}
