//! The task of one connection: moves bytes between its machine and its socket.

use super::net::Socket;
use super::shared::{Shared, State};
use crate::runtime::Runtime;
use bytes::{Buf, Bytes, BytesMut};
use futures_io::{AsyncRead as _, AsyncWrite as _};
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use stillwire_core::asoc::{ConnectionEvent, Place, Spares, Verdict};
use stillwire_core::store::{Failure, FailureKind};
use stillwire_core::{Error, Input, Instant, Machine, Output, Streamed, Timer};

/// Bytes asked of the socket at once: by a connection that is quiet, and at the most.
const READ: [usize; 2] = [4 << 10, 256 << 10];

/// Slices of one vectored write.
const SLICES: usize = 32;

/// Bytes that are taken from the machine ahead of the socket: what is sealed goes out while it is
/// still in the processor's cache.
const AHEAD: usize = 1 << 20;

/// Reads and writes before others may run, and the bytes of them.
const BUDGET: (u32, usize) = (16, 1 << 20);

/// Who judges a connection's events.
pub(super) trait Judge: Send {
    fn hear(&self, now: Instant, event: &ConnectionEvent) -> Verdict;

    /// Bytes of frames went out.
    fn sent(&self, bytes: usize);

    /// The socket is gone.
    fn lost(&self, now: Instant);
}

pub(super) struct Driver {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) shared: Arc<Shared>,
    pub(super) judge: Option<Box<dyn Judge>>,
    socket: Box<dyn Socket>,
    send_timeout: Duration,
    batch: VecDeque<Bytes>,
    /// Where the next bytes are read to, unless the machine has a place for them.
    buffer: BytesMut,
    place: Option<Place>,
    /// How much the next buffer holds.
    reading: usize,
    spares: Spares,
    /// Bytes moved since others could run.
    moved: usize,
    /// Since when the socket has taken nothing though there was something.
    stalled: Option<Instant>,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
    /// The application is slow: the socket is left alone.
    paused: bool,
    /// Nothing more comes from the socket.
    ended: bool,
    closing: bool,
    /// Our direction of the socket has ended.
    shut: bool,
}

impl Driver {
    pub(super) fn new(
        runtime: Arc<dyn Runtime>,
        shared: Arc<Shared>,
        socket: Box<dyn Socket>,
        judge: Option<Box<dyn Judge>>,
        send_timeout: Duration,
    ) -> Self {
        Self {
            runtime,
            shared,
            judge,
            socket,
            send_timeout,
            batch: VecDeque::new(),
            buffer: BytesMut::new(),
            place: None,
            reading: READ[0],
            spares: Spares::default(),
            moved: 0,
            stalled: None,
            timer: None,
            paused: false,
            ended: false,
            closing: false,
            shut: false,
        }
    }

    /// Drains the machine; gives its deadline.
    fn drain(&mut self, state: &mut State, now: Instant) -> Option<Instant> {
        if state.machine.deadline().is_some_and(|at| at <= now) {
            // An error comes as an event as well.
            let _ = state.machine.handle(now, Input::Time);
            self.rest();
        }
        loop {
            while let Some(event) = state.machine.poll_event() {
                self.event(state, now, event);
            }
            if state.unsent >= AHEAD {
                return state.machine.deadline();
            }
            match state.machine.poll(now) {
                Output::Transmit(bytes) => {
                    state.unsent += bytes.len();
                    self.batch.push_back(bytes);
                }
                Output::Event(event) => self.event(state, now, event),
                Output::Wait(at) => return at,
                _ => {}
            }
        }
    }

    fn event(&self, state: &mut State, now: Instant, event: ConnectionEvent) {
        let verdict = match &self.judge {
            Some(judge) => judge.hear(now, &event),
            None => Verdict::Go,
        };
        state.take(event);
        // What goes wrong here ends the connection and comes as an event.
        let _ = match verdict {
            Verdict::Go => Ok(()),
            Verdict::Admit => state.machine.admit(now),
            Verdict::Refuse(reason) => state.machine.refuse(reason),
            Verdict::Notify(notice) => state.machine.notify(notice),
            Verdict::Close(reason) => {
                state.end(Err(reason));
                state.machine.close()
            }
        };
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.batch) {
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        let slices = slices.get(..used).unwrap_or_default();
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn written(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let Some(front) = self.batch.front_mut() else {
                return;
            };
            let part = bytes.min(front.len());
            front.advance(part);
            bytes -= part;
            if front.is_empty() {
                self.batch.pop_front();
            }
        }
    }

    /// Reads once, and hands over what came. True when something has.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        if let Some(mut place) = self.place.take() {
            let read = Pin::new(&mut self.socket).poll_read(cx, place.room());
            let Some(n) = self.came(now, read) else {
                self.place = Some(place);
                return self.ended;
            };
            // What is wrong with it ends the connection and comes as an event.
            let _ = self.shared.lock().machine.placed(now, place, n);
            return true;
        }
        if self.buffer.is_empty() {
            self.buffer = self.spares.take(self.reading);
        }
        let read = Pin::new(&mut self.socket).poll_read(cx, &mut self.buffer);
        let Some(n) = self.came(now, read) else {
            return self.ended;
        };
        if n >= self.buffer.len() {
            self.reading = (self.reading * 4).min(READ[1]);
        }
        let bytes = if n < self.buffer.len() / 4 {
            // Few bytes hold no large buffer.
            Bytes::copy_from_slice(self.buffer.get(..n).unwrap_or_default())
        } else {
            let whole = std::mem::take(&mut self.buffer).freeze();
            self.spares.keep(&whole);
            whole.slice(..n)
        };
        let _ = self.shared.lock().machine.receive(now, bytes);
        true
    }

    /// What a read gave, unless it was nothing, the end or an error.
    fn came(&mut self, now: Instant, read: Poll<io::Result<usize>>) -> Option<usize> {
        match read {
            Poll::Pending => return None,
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                let _ = self.shared.lock().machine.handle(now, Input::End);
            }
            Poll::Ready(Ok(n)) => {
                self.moved += n;
                return Some(n);
            }
            Poll::Ready(Err(error)) => self.broken(now, &error),
        }
        None
    }

    /// A quiet connection holds no memory for what it once moved.
    fn rest(&mut self) {
        self.spares.rest();
        if self.moved == 0 {
            self.buffer = BytesMut::new();
            self.reading = READ[0];
        }
    }

    /// The socket failed: the machine hears of an end, and whoever waits hears why.
    fn broken(&mut self, now: Instant, error: &io::Error) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let failure = Failure::new(
            FailureKind::Unreachable,
            format!("the connection broke off: {error}"),
        );
        self.ended = true;
        self.batch.clear();
        state.unsent = 0;
        // Between streams a connection that breaks off has ended well enough, unless it was taken
        // from us.
        let taken = error.kind() == io::ErrorKind::PermissionDenied;
        if taken {
            state.end(Err(Error::Store(failure.clone())));
        }
        let _ = state.machine.handle(now, Input::End);
        self.drain(&mut state, now);
        state.end(Err(Error::Store(failure)));
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, at: Option<Instant>, now: Instant) -> bool {
        let Some(at) = at else {
            self.timer = None;
            return false;
        };
        // One that fires early is set again: cheaper than to move it with every read.
        if self.timer.as_ref().is_none_or(|(set, _)| at < *set) {
            self.timer = Some((at, self.runtime.sleep(at.since(now))));
        }
        let fired = self
            .timer
            .as_mut()
            .is_some_and(|(_, timer)| timer.as_mut().poll(cx).is_ready());
        if fired {
            self.timer = None;
        }
        fired
    }

    /// One round; true when there may be more to do at once.
    fn round(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let now = self.runtime.now();
        let shared = Arc::clone(&self.shared);
        let (deadline, reading, over) = {
            let mut state = shared.lock();
            state.driver.register(cx);
            let deadline = self.drain(&mut state, now);
            let over = state.machine.is_over();
            let full = state.buffered >= shared.receive_buffer;
            if full != self.paused {
                self.paused = full;
                state.machine.pause(now, full);
            }
            if self.place.is_none() {
                self.place = state.machine.place();
            }
            (
                deadline,
                !self.ended && !full && state.machine.wants_bytes(),
                over,
            )
        };
        let mut again = false;
        if !self.batch.is_empty() {
            match self.poll_write(cx) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.written(n);
                    self.moved += n;
                    if let Some(judge) = &self.judge {
                        judge.sent(n);
                    }
                    let mut state = shared.lock();
                    state.sent(n);
                    self.stalled = None;
                    again = true;
                }
                Poll::Ready(Ok(_)) => self.broken(now, &io::ErrorKind::WriteZero.into()),
                Poll::Ready(Err(error)) => self.broken(now, &error),
                Poll::Pending => {
                    let since = *self.stalled.get_or_insert(now);
                    if now >= since.after(self.send_timeout) {
                        self.ended = true;
                        self.batch.clear();
                        let mut state = shared.lock();
                        state.end(Err(Error::Timeout(Timer::Send)));
                        let _ = state.machine.close();
                        return Poll::Ready(true);
                    }
                }
            }
        } else if over {
            self.closing = true;
            self.place = None;
            // Whoever failed is not listened to any more.
            self.ended |= shared.lock().machine.error().is_some();
            return Poll::Ready(false);
        }
        if reading {
            again |= self.read(cx, now);
        }
        let stall = self.stalled.map(|since| since.after(self.send_timeout));
        let next = [deadline, stall].into_iter().flatten().min();
        again |= self.poll_timer(cx, next, now);
        if again {
            Poll::Ready(true)
        } else {
            Poll::Pending
        }
    }

    /// Ends our direction, then reads over what comes up to the peer's end: a socket that is closed
    /// over unread bytes may lose the last that were sent.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.socket).poll_close(cx))?;
            self.shut = true;
        }
        if self.buffer.is_empty() {
            self.buffer = self.spares.take(READ[0]);
        }
        for _ in 0..BUDGET.0 {
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            let n = ready!(Pin::new(&mut self.socket).poll_read(cx, &mut self.buffer))?;
            self.ended = n == 0;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.moved = 0;
        for _ in 0..BUDGET.0 {
            if this.moved >= BUDGET.1 {
                break;
            }
            if this.closing {
                // A socket that does not close in good order, or in time, is closed by being dropped.
                let closed = this.poll_leave(cx).is_ready();
                let now = this.runtime.now();
                let until = this.stalled.get_or_insert(now).after(this.send_timeout);
                if closed || now >= until {
                    return Poll::Ready(());
                }
                if this.poll_timer(cx, Some(until), now) {
                    continue;
                }
                return Poll::Pending;
            }
            if this.round(cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let now = self.runtime.now();
        if let Some(judge) = &self.judge {
            judge.lost(now);
        }
        self.shared.lock().end(Err(Error::Closed));
    }
}
