//! Pure, sans-IO state machines for encrypted channels.
//!
//! Nothing here moves a byte: sockets, HTTP, clocks and randomness are handed in. The crate is
//! `no_std` with `alloc`, so the compiler itself keeps clocks, threads and I/O out.
//!
//! # The run loop
//!
//! Every protocol keeps one contract, [`Machine`]: hand in what happened, then poll until it says
//! *wait*. This is all it takes to run a connection over any store:
//!
//! ```
//! use stillwire_core::{Channel, Input, Instant, Machine, Output, Read};
//! use stillwire_core::store::{Failure, Reply, Request};
//!
//! /// Runs `machine` until it waits; gives back the instant at which it wants to be polled again.
//! fn run<M: Channel>(
//!     machine: &mut M,
//!     now: Instant,
//!     mut perform: impl FnMut(&Request) -> Result<Reply, Failure>,
//!     mut tell: impl FnMut(M::Event),
//! ) -> Option<Instant> {
//!     loop {
//!         match machine.poll(now) {
//!             // Blocking here is allowed; many requests at once are faster.
//!             Output::Store(request) => {
//!                 let result = perform(&request);
//!                 // An error is final, repeats on every call, and comes as an event too.
//!                 let _ = machine.handle(now, Input::Reply(request.id, result));
//!             }
//!             Output::Event(event) => tell(event),
//!             Output::Wait(until) => return until,
//!             _ => unreachable!("this protocol does not transmit"),
//!         }
//!     }
//! }
//! ```
//!
//! Between two runs the application calls [`Channel::write`], [`Channel::read`] and
//! [`Channel::close_write`], and then runs the loop again.
//!
//! # Invariants
//!
//! 1. After any call, poll until *wait*. Extra polls and extra [`Input::Time`] are harmless.
//! 2. No clock, no randomness, no thread, no I/O, no global: constructors take a seed, calls take
//!    `now`.
//! 3. Any bytes, in any split, at any time: never a panic, never an allocation beyond the
//!    configured limits.
//! 4. Errors of the peer, of authentication and of time are final and repeat. [`Error::Misuse`]
//!    changes nothing. What was already due still drains.
//! 5. A chunk is sealed once. A retry sends the same bytes under the same sequence number.
//! 6. Back-pressure both ways: [`Channel::write`] takes what fits and says how much; a full
//!    receive buffer stops fetching.
//!
//! # Protocols
//!
//! | Module | Carried by |
//! |---|---|
//! | [`aznet`] | storage: blobs, a directory, memory ([`store`]) |
//! | [`asoc`] | TCP, and UDP for discovery |
//! | [`commonware`] | any ordered byte stream |
//! | [`ziti`] | an ordered byte stream; its messages also go over a layer that has messages |
//! | [`packetfs`] | ordered byte streams, and datagrams |
#![no_std]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod asoc;
pub mod aznet;
pub mod commonware;
pub mod crypto;
mod error;
mod gather;
pub mod machine;
pub mod packetfs;
pub mod store;
mod time;
pub mod ziti;

pub use error::{Class, Error, Timer};
pub use machine::{
    Channel, Datagrammed, Input, Machine, Messages, Output, Read, Received, Streamed,
};
pub use time::{Instant, UnixTime};
