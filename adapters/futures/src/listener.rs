//! Accepting connections.

use crate::carrier::{Carrier, Outcome, Perform};
use crate::connection::{Connection, Milestone, OnMilestone, Remote, start};
use crate::count;
use crate::driver::Driver;
use crate::platform::Platform;
use crate::runtime::Runtime;
use crate::seed;
use futures_core::Stream;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use stillwire_core::aznet::{
    self, Config, ConnectionId, ListenerEvent, ListenerSecurity, ListenerStats,
};
use stillwire_core::store::{Operation, Request, Role};
use stillwire_core::{Error, Instant};
use stillwire_pump::Pump;

/// Connections waiting to be accepted from which on no more handshakes are looked for. What is
/// under way by then still comes on top: one page of the listing, and the handshakes in progress.
const MOST_WAITING: usize = 128;

/// What the listener's task has for the application.
#[derive(Default)]
struct Inbox {
    accepted: VecDeque<Connection>,
    /// All that are not over, accepted or not.
    open: HashMap<ConnectionId, Remote>,
    ready: bool,
    outcome: Option<Result<(), Error>>,
    rejected: u64,
    stopping: bool,
    waker: Option<Waker>,
    /// The listing that waits for room.
    listing: Option<Waker>,
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

    /// Ready when there is room for more connections.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inbox = self.lock();
        if inbox.accepted.len() < MOST_WAITING {
            return Poll::Ready(());
        }
        let old = inbox.listing.replace(cx.waker().clone());
        drop(inbox);
        drop(old);
        Poll::Pending
    }

    /// Others need the room of this one, and nobody seems to be on its other end.
    fn give_way(&self, id: ConnectionId) {
        let mut inbox = self.lock();
        let at = inbox.accepted.iter().position(|c| c.id() == id);
        let unclaimed = at.and_then(|at| inbox.accepted.remove(at));
        let listing = inbox.listing.take_if(|_| unclaimed.is_some());
        let remote = inbox.open.get(&id).cloned();
        drop(inbox);
        tracing::debug!(%id, "gives way: its dialer has not shown that it is alive");
        drop(unclaimed);
        if let Some(remote) = remote {
            remote.abort(self.runtime.now());
        }
        if let Some(listing) = listing {
            listing.wake();
        }
    }

    fn each_open(&self, end: impl Fn(&Remote, Instant)) {
        let open: Vec<_> = self.lock().open.values().cloned().collect();
        let now = self.runtime.now();
        for remote in &open {
            end(remote, now);
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

/// Holds listings back while too many connections wait to be accepted. Everything else passes:
/// handshakes under way come to their end, and the clean-up goes on. Dialers wait in storage,
/// where they cost nobody memory.
struct Gate {
    shared: Arc<Shared>,
    carrier: Arc<dyn Perform>,
}

impl Perform for Gate {
    fn perform(&self, request: Request) -> BoxFuture<'static, Outcome> {
        if !matches!(request.operation, Operation::ListHandshakes { .. }) {
            return self.carrier.perform(request);
        }
        let (shared, carrier) = (self.shared.clone(), self.carrier.clone());
        async move {
            poll_fn(|cx| shared.poll_room(cx)).await;
            carrier.perform(request).await
        }
        .boxed()
    }
}

/// Accepts connections in the background until it is stopped or dropped.
///
/// Also a [`Stream`] of connections, which ends with the listener.
///
/// Some hundred connections may wait to be accepted; until then no further handshakes are taken
/// up, and their dialers wait.
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
        let gate = Arc::new(Gate {
            shared: shared.clone(),
            carrier: carrier.clone(),
        });
        let driver = Driver::new(pump, runtime.clone(), gate);
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
                let room = inbox.accepted.len() < MOST_WAITING;
                let listing = inbox.listing.take_if(|_| room);
                return Some((Ok(connection), listing));
            }
            let outcome = inbox.outcome.clone()?;
            Some((Err(outcome.err().unwrap_or(Error::Closed)), None))
        })
        .map(|(next, listing)| {
            if let Some(listing) = listing {
                listing.wake();
            }
            next
        })
    }

    /// Handshakes refused so far: garbage, replays, wrong keys.
    pub fn rejected(&self) -> u64 {
        self.shared.lock().rejected
    }

    /// A view of this listener that outlives it: counters, and an end to a stop that takes too long.
    pub fn monitor(&self) -> ListenerMonitor {
        ListenerMonitor {
            shared: self.shared.clone(),
        }
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

impl Listener {
    /// As [`Listener::stop`], and connections that are not over after `grace` are dropped: what
    /// was written to them is still delivered within the close time-out, their peers see an error.
    ///
    /// # Errors
    /// The error that ended the listener before.
    pub async fn stop_within(self, grace: Duration) -> Result<(), Error> {
        self.shared.stop();
        let mut time = self.shared.runtime.sleep(grace);
        let mut late = false;
        poll_fn(|cx| {
            if !late && time.poll_unpin(cx).is_ready() {
                late = true;
                self.shared.each_open(Remote::abort);
            }
            self.look(cx, |inbox| inbox.outcome.clone())
        })
        .await
    }
}

/// What a listener is doing, for whoever watches it. Cheap to clone.
#[derive(Clone)]
pub struct ListenerMonitor {
    shared: Arc<Shared>,
}

impl ListenerMonitor {
    /// Counters of the listener's own requests; its connections have theirs.
    pub fn stats(&self) -> ListenerStats {
        self.shared.pump.with(aznet::Listener::stats)
    }

    /// Connections that are not over.
    pub fn connections(&self) -> usize {
        self.shared.pump.with(aznet::Listener::connections)
    }

    /// Of these, how many have a dialer that has not yet shown that it holds the key.
    pub fn half_open(&self) -> usize {
        self.shared.pump.with(aznet::Listener::half_open)
    }

    /// Ends at once every connection that is not over: what storage has not taken by now is lost, and
    /// nobody waits for a peer that still reads. A listener that is being stopped then removes their
    /// sessions and is done. For the end of a stop that must not take longer.
    pub fn cut_off(&self) {
        self.shared.each_open(Remote::cut);
    }

    /// Ends a connection that cannot be served, at once and with its session: the dialer need not wait
    /// for the idle time to learn it. What was written to the connection is lost.
    pub fn refuse(&self, id: ConnectionId) {
        self.shared
            .pump
            .update(|listener| listener.connection_refused(id));
        let remote = self.shared.lock().open.get(&id).cloned();
        if let Some(remote) = remote {
            remote.cut(self.shared.runtime.now());
        }
    }

    /// Of these, how many wait to be accepted by the application.
    pub fn waiting(&self) -> usize {
        self.shared.lock().accepted.len()
    }
}

impl fmt::Debug for ListenerMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerMonitor")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
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
                count::rejected();
                shared.tell(|inbox| inbox.rejected = inbox.rejected.saturating_add(1));
            }
            ListenerEvent::Overdue(id) => shared.give_way(id),
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
    let inbox = Arc::downgrade(shared);
    let tell: OnMilestone = Box::new(move |milestone| match milestone {
        Milestone::Confirmed => pump.update(|listener| listener.connection_confirmed(id)),
        Milestone::Ended { clean } => {
            let now = runtime.now();
            pump.update(|listener| listener.connection_ended(now, id, clean));
            if let Some(shared) = inbox.upgrade() {
                shared.lock().open.remove(&id);
            }
        }
    });
    let (connection, remote) = start(&shared.runtime, session, machine, tell);
    let mut unclaimed = Some(connection);
    shared.tell(|inbox| {
        // It may be over already, and then nobody would take it out again.
        if !remote.is_over() {
            inbox.open.insert(id, remote);
        }
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

#[cfg(test)]
mod tests;
