//! Moves bytes between one machine and one byte stream.

use crate::runtime::Runtime;
use bytes::{Buf, Bytes};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use stillwire_core::{Channel, Instant, Machine, Messages, Streamed};
use stillwire_pump::{Action, Pump};

/// Bytes read from the carrier at a time.
const READING: usize = 64 << 10;
/// Readings before others get a turn.
const BUDGET: u32 = 32;

/// A task: ready when the connection is over, or nobody wants it any more.
pub(super) struct Carry<M: Channel + Messages + Streamed + 'static, T> {
    pub(super) pump: Arc<Pump<M>>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) carrier: T,
    buffer: Box<[u8]>,
    out: Bytes,
    /// Bytes were written and not flushed.
    dirty: bool,
    /// The machine is done, or has said that it sends no more.
    sending: Sending,
    reading: bool,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
    /// When the machine wants to be asked again.
    deadline: Option<Instant>,
    linger: Duration,
    leaving: Option<Instant>,
    /// The carrier takes nothing more: until when it is read all the same.
    muted: Option<Instant>,
    on_event: OnEvent<M>,
}

/// What is done with what the machine tells.
pub(super) type OnEvent<M> = Box<dyn FnMut(<M as Machine>::Event) + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    Closing,
    Closed,
}

impl<M: Channel + Messages + Streamed + 'static, T> Carry<M, T> {
    pub(super) fn new(
        pump: Arc<Pump<M>>,
        runtime: Arc<dyn Runtime>,
        carrier: T,
        linger: Duration,
        on_event: OnEvent<M>,
    ) -> Self {
        Self {
            pump,
            runtime,
            carrier,
            buffer: vec![0; READING].into(),
            out: Bytes::new(),
            dirty: false,
            sending: Sending::Open,
            reading: true,
            timer: None,
            deadline: None,
            linger,
            leaving: None,
            muted: None,
            on_event,
        }
    }

    /// Ready when `deadline` has come.
    fn poll_timer(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else {
            self.timer = None;
            return Poll::Pending;
        };
        let now = self.runtime.now();
        if deadline <= now {
            self.timer = None;
            return Poll::Ready(());
        }
        let timer = match &mut self.timer {
            Some((at, timer)) if *at == deadline => timer,
            slot => {
                let sleep = self.runtime.sleep(deadline.since(now));
                &mut slot.insert((deadline, sleep)).1
            }
        };
        ready!(timer.poll_unpin(cx));
        self.timer = None;
        Poll::Ready(())
    }
}

impl<M, T> Carry<M, T>
where
    M: Channel + Messages + Streamed + 'static,
    T: AsyncRead + AsyncWrite + Unpin,
{
    /// Ready when everything that was to be transmitted is with the carrier.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let n = ready!(Pin::new(&mut self.carrier).poll_write(cx, &self.out))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(n);
            self.dirty = true;
        }
        if self.sending == Sending::Closing {
            ready!(Pin::new(&mut self.carrier).poll_close(cx))?;
            self.sending = Sending::Closed;
            self.dirty = false;
            self.pump.transmitted();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.dirty {
            ready!(Pin::new(&mut self.carrier).poll_flush(cx))?;
            self.dirty = false;
            self.pump.transmitted();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads while the machine wants bytes; ready when the carrier has ended. Once nobody listens
    /// any more, what comes is thrown away: a carrier closed over unread bytes may lose the last
    /// that were sent.
    fn poll_in(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BUDGET {
            if self.leaving.is_none() {
                ready!(self.pump.poll_wants_bytes(cx));
            }
            let read = Pin::new(&mut self.carrier).poll_read(cx, &mut self.buffer);
            let now = self.runtime.now();
            match ready!(read) {
                Ok(n) if n > 0 => {
                    if self.leaving.is_none()
                        && let Some(bytes) = self.buffer.get(..n)
                    {
                        self.pump.receive(now, bytes);
                        if let Some(until) = &mut self.muted {
                            *until = now.after(self.linger);
                        }
                    }
                }
                ended => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "the carrier broke while reading");
                    }
                    self.reading = false;
                    // Once we leave, the machine has not seen all that came: to it this end would be
                    // one too early, over which it forgets what is still to be sent.
                    if self.leaving.is_none() {
                        self.pump.receive_end(now);
                    }
                    return Poll::Ready(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Nothing more to do but wait.
    fn poll_round(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.muted.is_some() {
            return self.poll_rest(cx).map(Ok);
        }
        loop {
            let read = self.reading && self.poll_in(cx).is_ready();
            let written = self.poll_out(cx)?;
            if written.is_pending() {
                if read {
                    continue;
                }
                // What a handshake says is short, and its deadline must be known.
                if self.pump.with(M::is_established) {
                    return self.poll_blocked(cx);
                }
            }
            let now = self.runtime.now();
            match self.pump.poll_action(cx, now) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Action::Transmit(bytes)) if self.out.is_empty() => self.out = bytes,
                Poll::Ready(Action::Transmit(bytes)) => {
                    self.out = [&*self.out, &*bytes].concat().into();
                }
                Poll::Ready(Action::Event(event)) => (self.on_event)(event),
                Poll::Ready(Action::Finished) => {
                    let ended = self.poll_end(cx)?;
                    return if ended.is_ready() {
                        Poll::Ready(Ok(()))
                    } else {
                        self.poll_blocked(cx)
                    };
                }
                Poll::Ready(Action::Wait(deadline)) => {
                    self.deadline = deadline;
                    if written.is_ready() && self.sending == Sending::Open && self.is_all_sent() {
                        self.sending = Sending::Closing;
                        continue;
                    }
                    if written.is_ready() && self.sending == Sending::Open {
                        let _ = self.poll_flush(cx)?;
                    }
                    if read {
                        continue;
                    }
                    ready!(self.poll_timer(cx, deadline));
                }
                Poll::Ready(_) => unreachable!("a machine on a byte stream asks no store"),
            }
        }
    }

    /// The carrier takes nothing now. Time goes on all the same, and a machine that has failed
    /// does not wait for ever to say so.
    fn poll_blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = self.deadline;
        if self.leaving.is_none() {
            if self.poll_timer(cx, deadline).is_ready() {
                self.pump.tick(self.runtime.now());
                self.deadline = None;
            }
            if self.pump.with(|machine: &M| machine.error().is_some()) {
                self.leave();
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    /// What a peer said before it went may still be with a carrier that takes nothing more. Ready
    /// when all of it was read, or nobody wants it.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unwanted = |machine: &M| machine.error().is_some();
        if self.leaving.is_some() || self.pump.with(unwanted) || self.poll_in(cx).is_ready() {
            return Poll::Ready(());
        }
        ready!(self.poll_timer(cx, self.muted));
        self.pump.receive_end(self.runtime.now());
        Poll::Ready(())
    }

    /// The carrier broke while writing. True when there is nothing to be read either.
    fn mute(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.runtime.now();
        let heard = |machine: &M| machine.is_established() && machine.error().is_none();
        if !self.reading || self.leaving.is_some() || !self.pump.with(heard) {
            self.pump.receive_end(now);
            return true;
        }
        self.muted = Some(now.after(self.linger));
        self.pump.cut();
        self.poll_round(cx).is_ready()
    }

    fn leave(&mut self) {
        self.leaving = Some(self.runtime.now().after(self.linger));
    }

    /// Our direction of the carrier may end: the machine has said all, or the application left.
    fn is_all_sent(&self) -> bool {
        self.leaving.is_some() || self.pump.with(M::has_sent_all)
    }

    /// Ends our direction of the carrier, whatever is left of the other.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sending == Sending::Open {
            self.sending = Sending::Closing;
        }
        self.poll_out(cx)
    }
}

impl<M, T> Future for Carry<M, T>
where
    M: Channel + Messages + Streamed + 'static,
    T: AsyncRead + AsyncWrite + Unpin,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.pump.is_abandoned() {
            if !this.pump.with(M::is_established) {
                return Poll::Ready(());
            }
            if this.leaving.is_none() {
                this.leave();
            }
        }
        let over = match this.poll_round(cx) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "the carrier broke while writing");
                this.mute(cx)
            }
            // Left, all sent, and the peer has ended or had its time.
            Poll::Pending => this.leaving.is_some_and(|until| {
                let gone = this.sending == Sending::Closed && !this.reading;
                gone || this.poll_timer(cx, Some(until)).is_ready()
            }),
        };
        if over {
            return Poll::Ready(());
        }
        let known = this.leaving.is_some() && this.pump.with(M::is_established);
        if this.pump.poll_abandoned(cx).is_ready() && !known {
            // Since it was last asked.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
