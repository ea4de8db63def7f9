//! Pure, sans-IO state machines for encrypted channels.
//!
//! Nothing here moves a byte: sockets, HTTP, clocks and randomness are handed in. The crate is
//! `no_std` with `alloc`, so the compiler itself keeps clocks, threads and I/O out.
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

pub mod aznet;
pub mod crypto;
mod error;
pub mod machine;
pub mod store;
mod time;

pub use error::{Class, Error, Timer};
pub use machine::{Channel, Input, Machine, Output, Read};
pub use time::{Instant, UnixTime};
