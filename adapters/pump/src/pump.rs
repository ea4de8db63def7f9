//! One machine, shared between an application and a driver.

use crate::error::io_error;
use crate::wakers::{Due, Until, Waiting, register};
use bytes::Bytes;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use stillwire_core::store::{Failure, Reply, Request, RequestId};
use stillwire_core::{Channel, Error, Input, Instant, Machine, Output, Read};

/// Outputs and replies a driver may work through before it lets others run.
const BUDGET: u32 = 32;

/// What the driver is to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action<E> {
    /// Perform this request and report it with [`Pump::complete`]; ask for more meanwhile.
    Perform(Request),
    /// Send these bytes on the ordered stream, and say so with [`Pump::transmitted`] (no protocol
    /// over storage ever asks for it).
    Transmit(Bytes),
    /// Tell the application.
    Event(E),
    /// Nothing to do until the waker fires, a request completes, or this instant.
    Wait(Option<Instant>),
    /// The machine is done; there is nothing more to drive.
    Finished,
}

/// What a machine allows right now.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) receivable: bool,
    pub(crate) established: bool,
    pub(crate) writable: bool,
    pub(crate) flushed: bool,
    pub(crate) finished: bool,
    /// It wants bytes of its carrier.
    pub(crate) hungry: bool,
}

/// A machine behind a mutex, with the wakers of everybody who waits for it.
///
/// The mutex is held while the machine runs and for nothing else: wakers fire after it.
///
/// One reader, one writer, one who flushes, one waiter for the end and one driver are remembered at a
/// time; a later poll of the same kind replaces the earlier waker, as usual for a stream.
pub struct Pump<M: Machine> {
    state: Mutex<State<M>>,
    ready: Box<dyn Fn(&M) -> Ready + Send + Sync>,
}

pub(crate) struct State<M> {
    pub(crate) machine: M,
    pub(crate) waiting: Waiting,
    deadline: Option<Instant>,
    pub(crate) spent: u32,
    pub(crate) closing: bool,
    pub(crate) ended: bool,
    /// The application has read to the peer's end.
    pub(crate) peer_ended: bool,
    /// Bytes that the driver has and the carrier has not.
    pub(crate) in_transit: bool,
    /// The driver leaves the carrier alone until the machine wants bytes again.
    pub(crate) sated: bool,
    /// The carrier takes nothing more.
    pub(crate) cut: bool,
    /// The application has gone.
    pub(crate) abandoned: bool,
}

impl<M: Machine + 'static> Pump<M> {
    /// Takes over a machine that is no [`Channel`]; `is_finished` says when there is nothing left
    /// to drive.
    pub fn with_end(machine: M, is_finished: fn(&M) -> bool) -> Self {
        Self::over(machine, move |machine| Ready {
            readable: true,
            receivable: true,
            established: true,
            writable: true,
            flushed: true,
            finished: is_finished(machine),
            hungry: false,
        })
    }

    pub(crate) fn over(machine: M, ready: impl Fn(&M) -> Ready + Send + Sync + 'static) -> Self {
        let state = State {
            machine,
            waiting: Waiting::default(),
            deadline: None,
            spent: 0,
            closing: false,
            ended: false,
            peer_ended: false,
            in_transit: false,
            sated: false,
            cut: false,
            abandoned: false,
        };
        Self {
            state: Mutex::new(state),
            ready: Box::new(ready),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<M>> {
        // A machine never panics; should one, its state is no worse than after an error.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the application's wakers that the machine's present state concerns.
    pub(crate) fn due(&self, state: &mut State<M>) -> Due {
        let ready = (self.ready)(&state.machine);
        let (ended, cut, in_transit) = (state.ended, state.cut, state.in_transit);
        let over = ready.finished || ended;
        state.waiting.due(|until| match until {
            Until::Readable => over || ready.readable,
            Until::Receivable => over || ready.receivable,
            Until::Established => over || ready.established,
            Until::Writable => over || cut || ready.writable,
            Until::Flushed => over || cut || (ready.flushed && !in_transit),
            Until::Ended => ended,
        })
    }

    /// What the driver is to do next.
    ///
    /// [`Poll::Pending`] only asks to let others run: `cx` has been woken already. With
    /// [`Action::Wait`] the waker is kept and fires when the application did something that may
    /// give the driver work.
    pub fn poll_action(&self, cx: &mut Context<'_>, now: Instant) -> Poll<Action<M::Event>> {
        let mut state = self.lock();
        if state.spent >= BUDGET {
            state.spent = 0;
            drop(state);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        state.spent += 1;
        if state.deadline.is_some_and(|deadline| deadline <= now) {
            state.deadline = None;
            // A final error stays in the machine and is told to whoever reads or writes.
            let _ = state.machine.handle(now, Input::Time);
        }
        let mut forget = None;
        let action = match state.machine.poll(now) {
            Output::Transmit(bytes) => {
                state.in_transit = true;
                Action::Transmit(bytes)
            }
            Output::Store(request) => Action::Perform(request),
            Output::Event(event) => Action::Event(event),
            Output::Wait(_) if (self.ready)(&state.machine).finished => Action::Finished,
            Output::Wait(deadline) => {
                state.deadline = deadline;
                forget = register(&mut state.waiting.driver, cx.waker());
                Action::Wait(deadline)
            }
            _ => unreachable!("an output that this version of the adapter does not know"),
        };
        let due = self.due(&mut state);
        drop(state);
        due.wake();
        drop(forget);
        Poll::Ready(action)
    }

    /// Reports how a request ended.
    ///
    /// Only for whoever drives, who asks [`Pump::poll_action`] next: the driver is not woken.
    pub fn complete(&self, now: Instant, id: RequestId, result: Result<Reply, Failure>) {
        let mut state = self.lock();
        state.spent = state.spent.saturating_add(1);
        // As above: the machine keeps its error.
        let _ = state.machine.handle(now, Input::Reply(id, result));
        let due = self.due(&mut state);
        drop(state);
        due.wake();
    }

    /// Looks at the machine.
    pub fn with<R>(&self, look: impl FnOnce(&M) -> R) -> R {
        look(&self.lock().machine)
    }

    /// Calls something of the machine's own, then wakes the driver and everybody it concerns.
    pub fn update<R>(&self, call: impl FnOnce(&mut M) -> R) -> R {
        let mut state = self.lock();
        let result = call(&mut state.machine);
        self.after_call(state);
        result
    }

    pub(crate) fn after_call(&self, mut state: MutexGuard<'_, State<M>>) {
        let mut due = self.due(&mut state);
        due.driver = state.waiting.driver.take();
        drop(state);
        due.wake();
    }

    /// Says that nobody drives this machine any more: its work is done and everybody who had to
    /// know was told, or its runtime went away. Whoever waits is woken; bytes received before can
    /// still be read.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        self.after_call(state);
    }

    /// Ready after [`Pump::end`]: an error when the machine was not finished by then. Errors of
    /// the machine itself are told by it.
    pub fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if state.ended {
            let finished = (self.ready)(&state.machine).finished;
            return Poll::Ready(if finished { Ok(()) } else { Err(Error::Closed) });
        }
        let forget = state.waiting.register(Until::Ended, cx.waker());
        drop(state);
        drop(forget);
        Poll::Pending
    }
}

impl<M: Channel + 'static> Pump<M> {
    /// Takes over a machine.
    pub fn new(machine: M) -> Self {
        Self::over(machine, |machine| {
            let failed = machine.error().is_some();
            Ready {
                readable: failed || machine.is_readable(),
                receivable: true,
                established: true,
                writable: failed || machine.is_writable(),
                flushed: failed || machine.is_flushed(),
                finished: machine.is_finished(),
                hungry: false,
            }
        })
    }

    /// Wakes the driver only when there is something new for it: most bytes of a busy stream
    /// just gather.
    pub(crate) fn after_stream_call(&self, mut state: MutexGuard<'_, State<M>>) {
        let fetch = state.sated && (self.ready)(&state.machine).hungry;
        if fetch || state.machine.has_output() {
            self.after_call(state);
        } else {
            let due = self.due(&mut state);
            drop(state);
            due.wake();
        }
    }

    /// Reads plaintext; `Ok(0)` with a non-empty buffer is the peer's end, as authentic as
    /// [`Read::End`] is.
    ///
    /// Nothing is taken from the machine when this is pending: giving up loses no byte.
    pub fn poll_read(
        &self,
        cx: &mut Context<'_>,
        now: Instant,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut state = self.lock();
        let result = match state.machine.read(now, buffer) {
            Ok(Read::Data(n)) => Ok(n),
            Ok(Read::End) => {
                state.peer_ended = true;
                Ok(0)
            }
            Ok(Read::Pending) => return pending(state, cx, Until::Readable),
            Err(error) => Err(io_error(error)),
        };
        // Room was made: the machine may want to fetch more.
        self.after_stream_call(state);
        Poll::Ready(result)
    }

    /// Writes what fits; the machine owns those bytes from then on.
    ///
    /// Nothing was taken when this is pending or fails.
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        now: Instant,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if let Some(error) = refusal(&state) {
            return Poll::Ready(Err(error));
        }
        let result = match state.machine.write(now, data) {
            Ok(0) if !data.is_empty() => return pending(state, cx, Until::Writable),
            Ok(n) => Ok(n),
            Err(error) => Err(io_error(error)),
        };
        self.after_stream_call(state);
        Poll::Ready(result)
    }

    /// Ready when the carrier has stored everything written so far.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        flush(self.lock(), cx)
    }

    /// Ends our direction; ready when the end and everything before it is stored.
    ///
    /// The end is queued by the first poll, whether or not later ones follow.
    pub fn poll_close_write(&self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if !state.closing {
            if let Err(error) = state.machine.close_write(now) {
                return Poll::Ready(Err(io_error(error)));
            }
            state.closing = true;
            self.after_call(state);
            state = self.lock();
        }
        flush(state, cx)
    }

    /// Ready after [`Pump::end`], with the connection's outcome.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self.poll_ended(cx) {
            Poll::Ready(Ok(())) => {
                let error = self.with(|machine| machine.error().cloned());
                Poll::Ready(error.map_or(Ok(()), Err))
            }
            other => other,
        }
    }
}

fn flush<M: Channel>(
    state: MutexGuard<'_, State<M>>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if let Some(error) = state.machine.error() {
        return Poll::Ready(Err(io_error(error.clone())));
    }
    if state.machine.is_flushed() && !state.in_transit {
        return Poll::Ready(Ok(()));
    }
    if state.cut {
        return Poll::Ready(Err(io_error(Error::Closed)));
    }
    // A machine may be finished while its last bytes are on their way to the carrier.
    if state.in_transit && !state.ended {
        return wait(state, cx, Until::Flushed);
    }
    pending(state, cx, Until::Flushed)
}

/// Why nothing can be written now, before the machine is asked.
pub(crate) fn refusal<M: Channel>(state: &State<M>) -> Option<io::Error> {
    if state.closing {
        return Some(io::ErrorKind::BrokenPipe.into());
    }
    // Nobody would carry it.
    (state.ended || state.cut).then(|| {
        let error = state.machine.error().cloned();
        io_error(error.unwrap_or(Error::Closed))
    })
}

/// Waits, unless nobody is left who could end the wait.
pub(crate) fn pending<M: Channel, T>(
    state: MutexGuard<'_, State<M>>,
    cx: &mut Context<'_>,
    until: Until,
) -> Poll<io::Result<T>> {
    if state.ended || state.machine.is_finished() {
        let error = state.machine.error().cloned().unwrap_or(Error::Closed);
        return Poll::Ready(Err(io_error(error)));
    }
    wait(state, cx, until)
}

fn wait<M: Machine, T>(
    mut state: MutexGuard<'_, State<M>>,
    cx: &mut Context<'_>,
    until: Until,
) -> Poll<io::Result<T>> {
    let forget = state.waiting.register(until, cx.waker());
    drop(state);
    drop(forget);
    Poll::Pending
}

impl<M: Machine> fmt::Debug for Pump<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}
