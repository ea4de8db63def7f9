//! A machine on an ordered byte stream: what its driver hands in, and whole messages.

use crate::error::io_error;
use crate::pump::{Pump, Ready, pending, refusal};
use crate::wakers::{Until, register};
use bytes::Bytes;
use std::io;
use std::task::{Context, Poll};
use stillwire_core::{Channel, Error, Input, Instant, Messages, Received, Streamed};

impl<M: Channel + Messages + Streamed + 'static> Pump<M> {
    /// Takes over a machine whose carrier is a byte stream.
    pub fn streamed(machine: M) -> Self {
        Self::over(machine, |machine| {
            let failed = machine.error().is_some();
            Ready {
                readable: failed || machine.is_readable(),
                receivable: failed || machine.is_receivable(),
                established: failed || machine.is_established(),
                writable: failed || machine.is_writable(),
                flushed: failed || machine.is_flushed(),
                finished: machine.is_finished(),
                hungry: machine.wants_bytes(),
            }
        })
    }

    /// Ready when the machine wants bytes of its carrier; otherwise the driver is woken when that
    /// may have changed. A driver that waits for its carrier to take bytes asks this too: else two
    /// ends that both wait would wait for ever.
    pub fn poll_wants_bytes(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.sated = !state.machine.wants_bytes();
        if !state.sated {
            return Poll::Ready(());
        }
        let forget = register(&mut state.waiting.driver, cx.waker());
        drop(state);
        drop(forget);
        Poll::Pending
    }

    /// Hands in bytes of the carrier. Only for whoever drives, who asks [`Pump::poll_action`] next.
    pub fn receive(&self, now: Instant, bytes: &[u8]) {
        self.input(now, Input::Bytes(bytes));
    }

    /// Says that the carrier ended, or broke: nothing else will come.
    pub fn receive_end(&self, now: Instant) {
        self.input(now, Input::End);
    }

    fn input(&self, now: Instant, input: Input<'_>) {
        let mut state = self.lock();
        state.spent = state.spent.saturating_add(1);
        // A final error stays in the machine and is told to whoever reads or writes.
        let _ = state.machine.handle(now, input);
        let due = self.due(&mut state);
        drop(state);
        due.wake();
    }

    /// Says that the carrier takes nothing more, and may still give: whoever writes is told, and
    /// whoever reads goes on.
    pub fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        self.after_call(state);
    }

    /// Says that the carrier has taken everything that was to be transmitted.
    pub fn transmitted(&self) {
        let mut state = self.lock();
        state.in_transit = false;
        let due = self.due(&mut state);
        drop(state);
        due.wake();
    }

    /// Says that the application has gone: what it wrote is still to be sent, and nothing more.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        self.after_call(state);
    }

    /// Ready after [`Pump::abandon`]; otherwise the driver is woken when the application did
    /// something that may concern it.
    pub fn poll_abandoned(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.abandoned {
            return Poll::Ready(());
        }
        let forget = register(&mut state.waiting.driver, cx.waker());
        drop(state);
        drop(forget);
        Poll::Pending
    }

    /// Tells the machine that time passed; [`Pump::poll_action`] does so by itself.
    pub fn tick(&self, now: Instant) {
        self.input(now, Input::Time);
    }

    /// True after [`Pump::abandon`].
    pub fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Ready when the handshake is complete, or failed.
    pub fn poll_established(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if state.machine.is_established() {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = state.machine.error() {
            return Poll::Ready(Err(error.clone()));
        }
        if state.ended {
            return Poll::Ready(Err(Error::Closed));
        }
        let forget = state.waiting.register(Until::Established, cx.waker());
        drop(state);
        drop(forget);
        Poll::Pending
    }

    /// Whether the peer's end is authentic, once [`Pump::poll_read`] or [`Pump::poll_receive`] has
    /// told it; [`None`] before, and where the connection failed instead.
    pub fn ended_authentically(&self) -> Option<bool> {
        let state = self.lock();
        state.peer_ended.then(|| state.machine.has_authentic_end())
    }

    /// Sends a whole message. Nothing was taken when this is pending or fails.
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        now: Instant,
        message: &[u8],
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if let Some(error) = refusal(&state) {
            return Poll::Ready(Err(error));
        }
        let result = match state.machine.send(now, message) {
            Ok(false) => return pending(state, cx, Until::Writable),
            Ok(true) => Ok(()),
            Err(error) => Err(io_error(error)),
        };
        self.after_stream_call(state);
        Poll::Ready(result)
    }

    /// The next whole message; none after the peer's end, as authentic as [`Received::End`] is.
    /// Nothing was taken when this is pending.
    pub fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<io::Result<Option<Bytes>>> {
        let mut state = self.lock();
        let result = match state.machine.receive(now) {
            Ok(Received::Message(message)) => Ok(Some(message)),
            Ok(Received::End) => {
                state.peer_ended = true;
                Ok(None)
            }
            Ok(Received::Pending) => return pending(state, cx, Until::Receivable),
            Err(error) => Err(io_error(error)),
        };
        self.after_stream_call(state);
        Poll::Ready(result)
    }
}
