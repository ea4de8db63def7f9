//! Runtime-free plumbing between a Stillwire machine and whatever runs it.
//!
//! [`Pump`] holds one machine behind a standard mutex. Two kinds of callers meet there:
//!
//! * the **application** reads, writes, flushes and closes
//!   ([`Pump::poll_read`], [`Pump::poll_write`], [`Pump::poll_flush`], [`Pump::poll_close_write`]);
//! * the **driver** (a task, or a thread) asks what to do next ([`Pump::poll_action`]), performs
//!   it and reports ([`Pump::complete`]).
//!
//! Everything speaks [`std::task::Waker`], so an async runtime hands in its task's waker and a
//! blocking adapter one that unparks a thread. Neither runtime nor `futures` crate is needed.
//!
//! Expensive work (sealing and opening megabytes) happens inside [`Pump::poll_action`] and
//! [`Pump::complete`], on the driver's task. The application's calls only copy bytes.
//!
//! # Driving
//!
//! ```
//! # use std::task::{Context, Poll};
//! # use stillwire_core::{Channel, Instant};
//! # use stillwire_core::store::{Failure, Reply, Request};
//! # use stillwire_pump::{Action, Pump};
//! # fn perform(_: Request) -> Result<Reply, Failure> { unimplemented!() }
//! # fn sleep_until_woken_or(_: Option<Instant>) {}
//! # fn now() -> Instant { Instant::ZERO }
//! /// One driver that performs one request after the other.
//! fn drive<M: Channel + 'static>(pump: &Pump<M>, cx: &mut Context<'_>) {
//!     loop {
//!         match pump.poll_action(cx, now()) {
//!             Poll::Ready(Action::Perform(request)) => {
//!                 let id = request.id;
//!                 let result = perform(request);
//!                 pump.complete(now(), id, result);
//!             }
//!             Poll::Ready(Action::Wait(deadline)) => sleep_until_woken_or(deadline),
//!             Poll::Ready(Action::Finished) => return,
//!             // An event, or bytes for a stream; `Pending` asks to let others run first.
//!             Poll::Ready(_) | Poll::Pending => {}
//!         }
//!     }
//! }
//! ```

mod error;
mod pump;
mod streamed;
mod wakers;

pub use error::{io_error, source_of};
pub use pump::{Action, Pump};
