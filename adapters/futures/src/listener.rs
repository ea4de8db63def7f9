//! Accepting connections.

use crate::carrier::{Carrier, Perform};
use crate::connection::{Connection, OnEnd, start};
use crate::driver::Driver;
use crate::platform::Platform;
use crate::runtime::Runtime;
use crate::seed;
use futures_core::Stream;
use futures_util::StreamExt;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use stillwire_core::Error;
use stillwire_core::aznet::{self, Config, ListenerEvent, ListenerSecurity};
use stillwire_core::store::Role;
use stillwire_pump::Pump;

/// What the listener's task has for the application.
#[derive(Default)]
struct Inbox {
    accepted: VecDeque<Connection>,
    ready: bool,
    outcome: Option<Result<(), Error>>,
    rejected: u64,
    stopping: bool,
    waker: Option<Waker>,
}

struct Shared {
    pump: Arc<Pump<aznet::Listener>>,
    runtime: Arc<dyn Runtime>,
    inbox: Mutex<Inbox>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the inbox and wakes whoever looks into it.
    fn tell(&self, change: impl FnOnce(&mut Inbox)) {
        let mut inbox = self.lock();
        change(&mut inbox);
        let waker = inbox.waker.take();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn stop(&self) {
        let mut inbox = self.lock();
        inbox.stopping = true;
        let unclaimed = std::mem::take(&mut inbox.accepted);
        drop(inbox);
        drop(unclaimed);
        let now = self.runtime.now();
        self.pump.update(|listener| listener.stop(now));
    }
}

/// Accepts connections in the background until it is stopped or dropped.
///
/// Also a [`Stream`] of connections, which ends with the listener.
///
/// Dropping it is a [`Listener::stop`] that nobody waits for: no new connection is taken, those
/// handed out go on, and the clean-up runs in the background as long as the runtime does.
pub struct Listener {
    shared: Arc<Shared>,
    told: bool,
}

impl Listener {
    /// Prepares the meeting place; ready when tickets work.
    ///
    /// Given up, the listener is stopped in the background.
    ///
    /// # Errors
    /// [`Error::Store`] when storage refuses or stays out of reach.
    pub async fn bind(
        carrier: Arc<dyn Carrier>,
        security: ListenerSecurity,
        platform: &Platform,
        config: Config,
    ) -> Result<Self, Error> {
        let runtime = &platform.runtime;
        let profile = carrier.profile();
        let machine = aznet::Listener::new(config, profile, security, seed()?, runtime.now());
        let pump = Arc::new(Pump::with_end(machine, aznet::Listener::is_finished));
        let shared = Arc::new(Shared {
            pump: pump.clone(),
            runtime: runtime.clone(),
            inbox: Mutex::new(Inbox::default()),
        });
        let perform: Arc<dyn Perform> = carrier.clone();
        let driver = Driver::new(pump, runtime.clone(), perform);
        runtime.spawn(Box::pin(serve(driver, Ending(shared.clone()), carrier)));
        let listener = Self {
            shared,
            told: false,
        };
        poll_fn(|cx| {
            listener.look(cx, |inbox| match &inbox.outcome {
                Some(Err(error)) => Some(Err(error.clone())),
                Some(Ok(())) => Some(Err(Error::Closed)),
                None => inbox.ready.then_some(Ok(())),
            })
        })
        .await?;
        Ok(listener)
    }

    fn look<T>(&self, cx: &mut Context<'_>, look: impl FnOnce(&mut Inbox) -> Option<T>) -> Poll<T> {
        let mut inbox = self.shared.lock();
        if let Some(found) = look(&mut inbox) {
            return Poll::Ready(found);
        }
        let old = inbox.waker.replace(cx.waker().clone());
        drop(inbox);
        drop(old);
        Poll::Pending
    }

    /// Waits for the next connection. It is unconfirmed until its first chunk opens; see
    /// [`Connection::is_confirmed`].
    ///
    /// Cancel safe: a connection leaves the queue only when this is ready.
    ///
    /// # Errors
    /// The error that ended the listener; from then on always the same.
    pub async fn accept(&mut self) -> Result<Connection, Error> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Polls what [`Listener::accept`] awaits.
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Connection, Error>> {
        self.look(cx, |inbox| {
            if let Some(connection) = inbox.accepted.pop_front() {
                return Some(Ok(connection));
            }
            let outcome = inbox.outcome.clone()?;
            Some(Err(outcome.err().unwrap_or(Error::Closed)))
        })
    }

    /// Handshakes refused so far: garbage, replays, wrong keys.
    pub fn rejected(&self) -> u64 {
        self.shared.lock().rejected
    }

    /// Stops: no new connection is taken, and those not yet accepted are dropped. Waits until
    /// every connection handed out is over (the application ends or drops them) and everything
    /// this listener made for them is removed.
    ///
    /// Given up, it goes on in the background.
    ///
    /// # Errors
    /// The error that ended the listener before.
    pub async fn stop(self) -> Result<(), Error> {
        self.shared.stop();
        poll_fn(|cx| self.look(cx, |inbox| inbox.outcome.clone())).await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl Stream for Listener {
    type Item = Result<Connection, Error>;

    /// Connections, then at most one error, then the end.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.told {
            return Poll::Ready(None);
        }
        self.poll_accept(cx).map(|next| {
            self.told = next.is_err();
            Some(next).filter(|next| !matches!(next, Err(Error::Closed)))
        })
    }
}

/// The listener's background task.
async fn serve(mut driver: Driver<aznet::Listener>, ending: Ending, carrier: Arc<dyn Carrier>) {
    let shared = &ending.0;
    while let Some(event) = driver.next().await {
        match event {
            ListenerEvent::Ready => shared.tell(|inbox| inbox.ready = true),
            ListenerEvent::Accepted(machine) => accept(shared, carrier.as_ref(), *machine),
            ListenerEvent::Rejected { name, error } => {
                tracing::warn!(?name, %error, "a handshake was refused");
                shared.tell(|inbox| inbox.rejected = inbox.rejected.saturating_add(1));
            }
            ListenerEvent::Trouble(failure) => tracing::warn!(%failure, "storage trouble"),
            ListenerEvent::Failed(error) => shared.tell(|inbox| inbox.outcome = Some(Err(error))),
        }
    }
    shared.tell(|inbox| {
        inbox.outcome.get_or_insert(Ok(()));
    });
}

fn accept(shared: &Arc<Shared>, carrier: &dyn Carrier, machine: aznet::Connection) {
    let id = machine.id();
    let session = match carrier.session(id, Role::Listener, None) {
        Ok(session) => session,
        Err(failure) => {
            tracing::warn!(%id, %failure, "the session cannot be opened");
            let now = shared.runtime.now();
            shared
                .pump
                .update(|listener| listener.connection_ended(now, id, false));
            return;
        }
    };
    // Only the machine and the clock: the inbox may hold the connection, and must not be kept by it.
    let (pump, runtime) = (shared.pump.clone(), shared.runtime.clone());
    let on_end: OnEnd = Box::new(move |clean| {
        let now = runtime.now();
        pump.update(|listener| listener.connection_ended(now, id, clean));
    });
    let connection = start(&shared.runtime, session, machine, on_end);
    let mut unclaimed = Some(connection);
    shared.tell(|inbox| {
        if !inbox.stopping {
            inbox.accepted.extend(unclaimed.take());
        }
    });
}

struct Ending(Arc<Shared>);

impl Drop for Ending {
    /// The task is over, or its runtime went away: nobody shall wait for ever.
    fn drop(&mut self) {
        self.0.tell(|inbox| {
            inbox.outcome.get_or_insert(Err(Error::Closed));
        });
        self.0.pump.end();
    }
}
