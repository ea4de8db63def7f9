//! Runs one machine on an async runtime.

use crate::carrier::{Outcome, Perform};
use crate::count;
use crate::runtime::Runtime;
use futures_core::Stream;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use stillwire_core::store::RequestId;
use stillwire_core::{Instant, Machine};
use stillwire_pump::{Action, Pump};

/// Performs what a machine asks for, as many requests at once as it asks for, and yields its
/// events. Ends when the machine is finished. Performs nothing unless polled.
pub(crate) struct Driver<M: Machine + 'static> {
    pump: Arc<Pump<M>>,
    runtime: Arc<dyn Runtime>,
    carrier: Arc<dyn Perform>,
    in_flight: FuturesUnordered<BoxFuture<'static, (RequestId, Outcome)>>,
    timer: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl<M: Machine + 'static> Driver<M> {
    pub(crate) fn new(
        pump: Arc<Pump<M>>,
        runtime: Arc<dyn Runtime>,
        carrier: Arc<dyn Perform>,
    ) -> Self {
        Self {
            pump,
            runtime,
            carrier,
            in_flight: FuturesUnordered::new(),
            timer: None,
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
        // A timer that fires a little early is armed again by the caller's next round.
        let fired = timer.poll_unpin(cx);
        if fired.is_ready() {
            self.timer = None;
        }
        fired
    }
}

impl<M: Machine + 'static> Stream for Driver<M> {
    type Item = M::Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M::Event>> {
        loop {
            let now = self.runtime.now();
            let deadline = match self.pump.poll_action(cx, now) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Action::Perform(request)) => {
                    let id = request.id;
                    let counted = count::Try::new(&request);
                    let try_ = self.carrier.perform(request);
                    let try_ = try_.map(move |outcome| {
                        counted.ended(&outcome);
                        (id, outcome)
                    });
                    self.in_flight.push(try_.boxed());
                    continue;
                }
                Poll::Ready(Action::Event(event)) => return Poll::Ready(Some(event)),
                Poll::Ready(Action::Wait(deadline)) => deadline,
                Poll::Ready(Action::Finished) => return Poll::Ready(None),
                Poll::Ready(_) => unreachable!("a machine over storage only performs requests"),
            };
            if let Poll::Ready(Some((id, outcome))) = self.in_flight.poll_next_unpin(cx) {
                self.pump.complete(self.runtime.now(), id, outcome);
                continue;
            }
            if self.poll_timer(cx, deadline).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
