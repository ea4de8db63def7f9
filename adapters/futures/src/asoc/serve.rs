//! The tasks of a node: its driver, the accept loop and the receiver of discovery messages.

use super::connection::Connection;
use super::driver::Driver;
use super::net::{Acceptor, Datagrams, Socket, Wrapped};
use super::node::{Inner, Seat, wall_clock};
use super::shared::Shared;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use stillwire_core::asoc::{Connection as Machine, ConnectionId, DialId, NodeEvent, NodeOutput};
use stillwire_core::{Error, Instant};

/// Pause after an error of accept, which may be one of having too many files open.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// How often the wall clock is looked at: it may be set while we run.
const CLOCK: Duration = Duration::from_secs(10);

pub(super) fn start(
    inner: &Arc<Inner>,
    acceptor: Option<Box<dyn Acceptor>>,
    socket: Option<Arc<dyn Datagrams>>,
) {
    let spawn = |task| inner.runtime.spawn(task);
    if let Some(acceptor) = acceptor {
        spawn(accept(Arc::clone(inner), acceptor).boxed());
    }
    if let Some(socket) = &socket {
        spawn(discover(Arc::clone(inner), Arc::clone(socket)).boxed());
    }
    spawn(drive(Arc::clone(inner), socket).boxed());
}

/// `task`, or [`None`] when the node is stopped first.
async fn unless_stopped<T>(inner: &Inner, task: impl Future<Output = T>) -> Option<T> {
    let mut task = pin!(task);
    poll_fn(|cx| {
        {
            let mut state = inner.lock();
            if state.stopped {
                return Poll::Ready(None);
            }
            state.waiting.register(cx);
        }
        task.as_mut().poll(cx).map(Some)
    })
    .await
}

async fn accept(inner: Arc<Inner>, mut acceptor: Box<dyn Acceptor>) {
    loop {
        match unless_stopped(&inner, acceptor.accept()).await {
            None => return,
            Some(Ok((socket, from))) => {
                // Judged before TLS: an address that is locked out costs no handshake.
                let now = inner.runtime.now();
                let accepted = inner.lock().machine.accept(now, from);
                if let Ok((id, machine)) = accepted {
                    let task = accepted_one(Arc::clone(&inner), socket, from, id, machine);
                    inner.runtime.spawn(task.boxed());
                }
                inner.lock().driver.wake();
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "accepting a connection failed");
                let pause = inner.runtime.sleep(AFTER_ERROR);
                if unless_stopped(&inner, pause).await.is_none() {
                    return;
                }
            }
        }
    }
}

async fn accepted_one(
    inner: Arc<Inner>,
    socket: Box<dyn Socket>,
    from: SocketAddr,
    id: ConnectionId,
    machine: Machine,
) {
    let mut seat = Seat {
        inner: Arc::clone(&inner),
        id,
        certified: None,
    };
    let wrapped = match &inner.options.wrap {
        None => Ok(socket.into()),
        Some(wrap) => within(&inner, handshake_time(&inner), wrap.server(socket)).await,
    };
    match wrapped {
        Ok(Wrapped { socket, peer }) => {
            seat.certified = peer;
            link(&inner, socket, from, machine, seat);
        }
        Err(error) => {
            tracing::debug!(%from, %error, "TLS failed");
            super::driver::Judge::lost(&seat, inner.runtime.now());
        }
    }
}

fn handshake_time(inner: &Inner) -> Duration {
    inner.options.config.connection.handshake_timeout
}

/// `task`, for so long at the most.
async fn within<T>(
    inner: &Inner,
    time: Duration,
    task: impl Future<Output = io::Result<T>> + Unpin,
) -> io::Result<T> {
    match select(task, inner.runtime.sleep(time)).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Starts a connection's task and remembers it.
fn link(
    inner: &Arc<Inner>,
    socket: Box<dyn Socket>,
    address: SocketAddr,
    machine: Machine,
    seat: Seat,
) {
    let shared = Arc::new(Shared::new(machine, inner.options.receive_buffer));
    // Known before its task runs: the task may bring it up at once.
    shared.lock().certified = seat.certified;
    let known = (Arc::downgrade(&shared), address);
    let stopped = {
        let mut state = inner.lock();
        state.links.insert(seat.id, known);
        state.stopped
    };
    if stopped {
        shared.close_unless_given();
    }
    let runtime = Arc::clone(&inner.runtime);
    let send_timeout = inner.options.config.connection.send_timeout;
    let driver = Driver::new(runtime, shared, socket, Some(Box::new(seat)), send_timeout);
    inner.runtime.spawn(driver.boxed());
}

async fn discover(inner: Arc<Inner>, socket: Arc<dyn Datagrams>) {
    // Longer than any message of the protocol: a longer one must not look like one.
    let mut buffer = [0; 64];
    loop {
        match unless_stopped(&inner, socket.receive(&mut buffer)).await {
            None => return,
            Some(Ok((length, from))) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                let mut state = inner.lock();
                // What is wrong with it is counted and reported.
                let _ = state
                    .machine
                    .datagram(inner.runtime.now(), from.ip(), datagram);
                state.driver.wake();
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "receiving a discovery message failed");
                let pause = inner.runtime.sleep(AFTER_ERROR);
                if unless_stopped(&inner, pause).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// What the driver does outside the lock.
enum Work {
    Broadcast(bytes::Bytes),
    Dial(DialId, SocketAddr),
    /// With how often the driver had been woken by then.
    Wait(Option<Instant>, u64),
    Stop,
}

async fn drive(inner: Arc<Inner>, socket: Option<Arc<dyn Datagrams>>) {
    let mut looked = inner.runtime.now();
    loop {
        match next(&inner, &mut looked) {
            Work::Broadcast(datagram) => {
                if let Some(socket) = &socket
                    && let Err(error) = socket.send_to(&datagram, inner.options.discovery_to).await
                {
                    tracing::debug!(%error, "sending a discovery message failed");
                }
            }
            Work::Dial(dial, address) => {
                let task = dial_one(Arc::clone(&inner), dial, address);
                inner.runtime.spawn(task.boxed());
            }
            Work::Wait(until, calls) => wait(&inner, until, calls).await,
            Work::Stop => return,
        }
    }
}

/// Drains the node's machine up to the next thing that is done outside the lock.
fn next(inner: &Arc<Inner>, looked: &mut Instant) -> Work {
    loop {
        let now = inner.runtime.now();
        let mut state = inner.lock();
        if state.stopped {
            return Work::Stop;
        }
        if now.since(*looked) >= CLOCK {
            *looked = now;
            state.machine.set_clock(now, wall_clock());
        }
        match state.machine.poll(now) {
            NodeOutput::Broadcast(datagram) => return Work::Broadcast(datagram),
            NodeOutput::Dial { dial, address } => return Work::Dial(dial, address),
            NodeOutput::Notify { connection, notice } => {
                let shared = state.links.get(&connection).cloned();
                drop(state);
                if let Some(shared) = shared.and_then(|(shared, _)| shared.upgrade()) {
                    let mut link = shared.lock();
                    // It may be over by now.
                    let _ = link.machine.notify(notice);
                    link.driver.wake();
                }
            }
            NodeOutput::Audit(event) => {
                drop(state);
                if let Some(sink) = &inner.options.audit {
                    sink(&event);
                } else {
                    tracing::info!(
                        event = event.kind.as_str(),
                        node = event.node.map(tracing::field::display),
                        address = event.address.map(tracing::field::display),
                        "asoc"
                    );
                }
            }
            NodeOutput::Event(event) => {
                let link = match &event {
                    NodeEvent::Up { connection, .. } => state.links.get(connection).cloned(),
                    _ => None,
                };
                drop(state);
                // A connection's lock is never taken under the node's: its task takes them the
                // other way round.
                let connection = link.and_then(|(shared, address)| {
                    let shared = shared.upgrade()?;
                    let established = {
                        let mut link = shared.lock();
                        let established = link.established?;
                        link.given = true;
                        established
                    };
                    Some(Connection::new(shared, address, established))
                });
                let late = inner.lock().tell(event, connection);
                drop(late);
            }
            NodeOutput::Wait(until) => return Work::Wait(until, state.driver.calls()),
            // A dial that took too long is told so when it reports.
            _ => {}
        }
    }
}

/// Until the machine's deadline, or until somebody wakes the driver, be it before this began.
async fn wait(inner: &Inner, until: Option<Instant>, calls: u64) {
    let now = inner.runtime.now();
    let time = until.map_or(CLOCK, |at| at.since(now)).min(CLOCK);
    let mut sleep = inner.runtime.sleep(time);
    poll_fn(|cx| {
        let mut state = inner.lock();
        if state.driver.calls() != calls {
            return Poll::Ready(());
        }
        state.driver.register(cx);
        drop(state);
        sleep.as_mut().poll(cx)
    })
    .await;
}

async fn dial_one(inner: Arc<Inner>, dial: DialId, address: SocketAddr) {
    let connecting = async {
        let socket = inner.net.connect(address).await?;
        match &inner.options.wrap {
            Some(wrap) => wrap.client(socket, address).await,
            None => Ok(socket.into()),
        }
    };
    let time = inner.options.config.connect_timeout;
    let socket = within(&inner, time, Box::pin(connecting)).await;
    let now = inner.runtime.now();
    let mut state = inner.lock();
    let reported: Result<(), Error> = match socket {
        Ok(Wrapped { socket, peer }) => state.machine.dialed(now, dial).map(|(id, machine)| {
            drop(state);
            let seat = Seat {
                inner: Arc::clone(&inner),
                id,
                certified: peer,
            };
            link(&inner, socket, address, machine, seat);
        }),
        Err(error) => {
            tracing::debug!(%address, %error, "a peer cannot be reached");
            state.machine.dial_failed(now, dial)
        }
    };
    // An error says that the attempt was given up meanwhile.
    let _ = reported;
    inner.lock().driver.wake();
}

#[cfg(test)]
mod tests;
