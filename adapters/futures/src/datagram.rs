//! Any protocol that rides datagrams, over any UDP socket.
//!
//! [`DatagramSession::open`] takes a socket and a machine that is [`Datagrammed`], runs the
//! handshake, and sends and receives whole messages. One socket carries one session. One piece for
//! all: it knows no protocol.
//!
//! # Whom it talks to
//!
//! Whoever opens a session names the peer's address. Whoever waits for one may name none: until the
//! machine is established, answers go to whoever last sent something that it answers, and from
//! then on to whoever sent what established it. What comes from elsewhere then is dropped and
//! counted ([`DatagramSession::strangers`]): the machine decides what is authentic, the address
//! only spares it work.
//!
//! # Ending
//!
//! [`DatagramSession::close`] says our end, as well as datagrams can. Dropping says none; the peer
//! hears silence.

use crate::asoc::Datagrams;
use crate::runtime::Runtime;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use stillwire_core::{Datagrammed, Error, Input, Instant, Output, Received};
use stillwire_pump::io_error;

/// The longest datagram that UDP has.
const LONGEST: usize = 65_535;
/// How long to wait after the socket said that it cannot receive, which some systems do for
/// somebody else's fault.
const BREATH: Duration = Duration::from_millis(20);
/// Datagrams taken before others get a turn.
const BUDGET: u32 = 32;
/// Answers held while the socket takes none; more are as good as lost on their way.
const ANSWERS: usize = 256;

/// What a machine must be to ride datagrams; implemented for all that are.
pub trait OverDatagrams: Datagrammed + Send + 'static {}

impl<M: Datagrammed + Send + 'static> OverDatagrams for M {}

struct State<M> {
    machine: M,
    /// Whom we answer.
    peer: Option<SocketAddr>,
    /// That it may no longer change.
    settled: bool,
    /// Answers to those who may not be the peer.
    answers: VecDeque<(Bytes, SocketAddr)>,
    strangers: u64,
    /// The application has gone.
    abandoned: bool,
    /// Nobody drives any more.
    ended: bool,
    driver: Option<Waker>,
    waiting: Vec<Waker>,
}

struct Shared<M> {
    state: Mutex<State<M>>,
    runtime: Arc<dyn Runtime>,
}

/// What the driver does next.
enum Next {
    Send(Bytes, SocketAddr),
    Wait(Option<Instant>),
    End,
}

impl<M: OverDatagrams> Shared<M> {
    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody whom a change may concern; wakers run foreign code, so after the lock.
    fn tell(mut state: MutexGuard<'_, State<M>>) {
        let waiting = std::mem::take(&mut state.waiting);
        let driver = state.driver.take();
        drop(state);
        waiting.into_iter().chain(driver).for_each(Waker::wake);
    }

    fn arrived(&self, now: Instant, datagram: &[u8], from: SocketAddr) {
        let mut state = self.lock();
        if state.settled && state.peer != Some(from) {
            state.strangers = state.strangers.saturating_add(1);
            return;
        }
        // A final error stays in the machine and is told to whoever sends or receives.
        let _ = state.machine.handle(now, Input::Datagram(datagram));
        if !state.settled {
            // Whoever gets an answer may be the peer; whoever gets none changes nothing.
            loop {
                match state.machine.poll(now) {
                    Output::Transmit(answer) => {
                        state.peer = Some(from);
                        if state.answers.len() < ANSWERS {
                            state.answers.push_back((answer, from));
                        }
                    }
                    Output::Event(_) => {}
                    _ => break,
                }
            }
            if state.machine.is_established() {
                state.settled = true;
                state.peer = Some(from);
            }
        }
        Self::tell(state);
    }

    fn next(&self, now: Instant) -> Next {
        let mut state = self.lock();
        let mut told = false;
        if let Some((answer, to)) = state.answers.pop_front() {
            return Next::Send(answer, to);
        }
        loop {
            match state.machine.poll(now) {
                Output::Transmit(datagram) => {
                    let to = state.peer;
                    let waiting = std::mem::take(&mut state.waiting);
                    drop(state);
                    waiting.into_iter().for_each(Waker::wake);
                    match to {
                        Some(to) => return Next::Send(datagram, to),
                        // It speaks before it knows to whom: as good as lost.
                        None => state = self.lock(),
                    }
                }
                Output::Event(_) => told = true,
                Output::Wait(deadline) => {
                    let over = state.machine.is_finished() || state.abandoned;
                    if told {
                        let waiting = std::mem::take(&mut state.waiting);
                        drop(state);
                        waiting.into_iter().for_each(Waker::wake);
                    }
                    return if over {
                        Next::End
                    } else {
                        Next::Wait(deadline)
                    };
                }
                _ => unreachable!("a machine on datagrams asks no store"),
            }
        }
    }

    /// Ready when there is something to send, or nothing ever again.
    fn poll_next(
        &self,
        cx: &mut Context<'_>,
        timer: &mut Option<(Instant, BoxFuture<'static, ()>)>,
    ) -> Poll<Option<(Bytes, SocketAddr)>> {
        loop {
            let mut state = self.lock();
            if !state
                .driver
                .as_ref()
                .is_some_and(|old| old.will_wake(cx.waker()))
            {
                state.driver = Some(cx.waker().clone());
            }
            drop(state);
            let now = self.runtime.now();
            let deadline = match self.next(now) {
                Next::Send(datagram, to) => return Poll::Ready(Some((datagram, to))),
                Next::End => return Poll::Ready(None),
                Next::Wait(None) => {
                    *timer = None;
                    return Poll::Pending;
                }
                Next::Wait(Some(deadline)) => deadline,
            };
            if deadline > now {
                let sleep = match &mut *timer {
                    Some((at, sleep)) if *at == deadline => sleep,
                    slot => {
                        let sleep = self.runtime.sleep(deadline.since(now));
                        &mut slot.insert((deadline, sleep)).1
                    }
                };
                if sleep.poll_unpin(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            *timer = None;
            let mut state = self.lock();
            let _ = state.machine.handle(self.runtime.now(), Input::Time);
            Self::tell(state);
        }
    }

    /// Registers whoever waits, unless nobody is left who could end the wait.
    fn wait<T>(mut state: MutexGuard<'_, State<M>>, cx: &Context<'_>) -> Poll<io::Result<T>> {
        if state.ended || state.machine.is_finished() {
            let error = state.machine.error().cloned().unwrap_or(Error::Closed);
            return Poll::Ready(Err(io_error(error)));
        }
        register(&mut state.waiting, cx);
        Poll::Pending
    }
}

fn register(waiting: &mut Vec<Waker>, cx: &Context<'_>) {
    if !waiting.iter().any(|old| old.will_wake(cx.waker())) {
        waiting.push(cx.waker().clone());
    }
}

/// A session over datagrams: whole messages, which may be lost, doubled on their way or late, and
/// are never altered and never given out twice.
///
/// Any number of tasks may use one at once.
pub struct DatagramSession<M: OverDatagrams> {
    shared: Arc<Shared<M>>,
}

impl<M: OverDatagrams> Drop for DatagramSession<M> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.abandoned = true;
        Shared::tell(state);
    }
}

/// Ends the wait of everybody when the task is gone, even with its runtime.
struct Ending<M: OverDatagrams>(Arc<Shared<M>>);

impl<M: OverDatagrams> Drop for Ending<M> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        Shared::tell(state);
    }
}

async fn receive<M: OverDatagrams>(shared: &Shared<M>, socket: &dyn Datagrams) {
    let mut buffer = vec![0; LONGEST];
    let mut taken: u32 = 0;
    loop {
        if taken == BUDGET {
            taken = 0;
            yield_once().await;
        }
        match socket.receive(&mut buffer).await {
            Ok((length, from)) => {
                taken += 1;
                let datagram = buffer.get(..length).unwrap_or_default();
                shared.arrived(shared.runtime.now(), datagram, from);
            }
            Err(error) => {
                tracing::debug!(%error, "nothing could be received");
                shared.runtime.sleep(BREATH).await;
            }
        }
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn send<M: OverDatagrams>(shared: &Shared<M>, socket: &dyn Datagrams) {
    let mut timer = None;
    while let Some((datagram, to)) = poll_fn(|cx| shared.poll_next(cx, &mut timer)).await {
        if let Err(error) = socket.send_to(&datagram, to).await {
            // As good as lost on its way.
            tracing::debug!(%error, "a datagram could not be sent");
        }
    }
}

impl<M: OverDatagrams> DatagramSession<M> {
    /// Runs the machine over this socket in a background task; ready when it is established.
    /// `peer`: whom to talk to; [`None`] for whoever proves to be the peer.
    ///
    /// Given up, the socket is closed. How long it may take is the machine's setting.
    ///
    /// # Errors
    /// What ended the handshake: time, mostly.
    pub async fn open(
        runtime: Arc<dyn Runtime>,
        socket: Arc<dyn Datagrams>,
        peer: Option<SocketAddr>,
        machine: M,
    ) -> Result<Self, Error> {
        let state = State {
            machine,
            peer,
            settled: peer.is_some(),
            answers: VecDeque::new(),
            strangers: 0,
            abandoned: false,
            ended: false,
            driver: None,
            waiting: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            runtime: runtime.clone(),
        });
        let session = Self {
            shared: shared.clone(),
        };
        let ending = Ending(shared.clone());
        runtime.spawn(Box::pin(async move {
            let _ending = ending;
            let receiving = pin!(receive(&shared, &*socket));
            let sending = pin!(send(&shared, &*socket));
            select(receiving, sending).await;
        }));
        poll_fn(|cx| session.poll_established(cx)).await?;
        Ok(session)
    }

    fn poll_established(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.shared.lock();
        if let Some(error) = state.machine.error() {
            return Poll::Ready(Err(error.clone()));
        }
        if state.machine.is_established() {
            return Poll::Ready(Ok(()));
        }
        if state.ended {
            return Poll::Ready(Err(Error::Closed));
        }
        register(&mut state.waiting, cx);
        Poll::Pending
    }

    /// Looks at the machine: its counters, its error.
    pub fn with<R>(&self, look: impl FnOnce(&M) -> R) -> R {
        look(&self.shared.lock().machine)
    }

    /// Calls something of the machine's own; what it then wants to send is sent.
    pub fn update<R>(&self, call: impl FnOnce(&mut M) -> R) -> R {
        let mut state = self.shared.lock();
        let result = call(&mut state.machine);
        Shared::tell(state);
        result
    }

    /// Where the peer is.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.shared.lock().peer
    }

    /// Datagrams that came from elsewhere and were dropped.
    pub fn strangers(&self) -> u64 {
        self.shared.lock().strangers
    }

    /// Bytes of the longest message that can be sent.
    pub fn longest_message(&self) -> usize {
        self.with(M::longest_message)
    }

    /// Sends a whole message; pending while the socket cannot follow. It may be lost on its way.
    ///
    /// Cancel safe: given up while pending, nothing of it was taken.
    ///
    /// # Errors
    /// `InvalidInput` for a message that is too long or comes after [`close`](Self::close); what
    /// ended the session otherwise.
    pub async fn send(&self, message: &[u8]) -> io::Result<()> {
        poll_fn(|cx| self.poll_send(cx, message)).await
    }

    /// Polls what [`send`](Self::send) awaits.
    pub fn poll_send(&self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        let sent = state.machine.send(self.shared.runtime.now(), message);
        match sent {
            Ok(false) => return Shared::wait(state, cx),
            Ok(true) if state.ended => return Poll::Ready(Err(io_error(Error::Closed))),
            Ok(true) => {}
            Err(error) => return Poll::Ready(Err(io_error(error))),
        }
        let driver = state.driver.take();
        drop(state);
        driver.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }

    /// The next message, in the order in which they came; none after the peer's end.
    ///
    /// Cancel safe: given up while pending, nothing was taken.
    ///
    /// # Errors
    /// What ended the session.
    pub async fn receive(&self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// Polls what [`receive`](Self::receive) awaits.
    pub fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let mut state = self.shared.lock();
        match state.machine.receive(self.shared.runtime.now()) {
            Ok(Received::Message(message)) => Poll::Ready(Ok(Some(message))),
            Ok(Received::End) => Poll::Ready(Ok(None)),
            Ok(Received::Pending) => Shared::wait(state, cx),
            Err(error) => Poll::Ready(Err(io_error(error))),
        }
    }

    /// Ends our direction after everything sent so far. Receiving goes on. The end can be lost,
    /// however often the machine repeats it.
    ///
    /// # Errors
    /// What ended the session.
    pub fn close(&self) -> Result<(), Error> {
        let now = self.shared.runtime.now();
        self.update(|machine| machine.close(now))
    }

    /// Waits until the session is over, and says how it ended: well only when both ends were
    /// heard. Cancel safe.
    ///
    /// # Errors
    /// What ended the session.
    pub async fn closed(&self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_closed(cx)).await
    }

    /// Polls what [`closed`](Self::closed) awaits.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.shared.lock();
        if !state.ended {
            register(&mut state.waiting, cx);
            return Poll::Pending;
        }
        Poll::Ready(match state.machine.error() {
            Some(error) => Err(error.clone()),
            None if state.machine.is_finished() => Ok(()),
            None => Err(Error::Closed),
        })
    }
}

impl<M: OverDatagrams> fmt::Debug for DatagramSession<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramSession").finish_non_exhaustive()
    }
}
