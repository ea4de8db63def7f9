//! What every async runtime shares to run Stillwire.
//!
//! The machines of `stillwire-core` ask for storage requests; this crate performs them on an
//! async runtime described by four methods ([`Runtime`]) and gives the application a
//! [`Dialer`], a [`Listener`] and a [`Connection`] that is `futures` `AsyncRead` and
//! `AsyncWrite`.
//!
//! Applications use the crate of their runtime (`stillwire-tokio`), which fills in the runtime
//! and the HTTP client: the [`Platform`].
//!
//! | Layer | Here |
//! |---|---|
//! | text a user gives | [`Store`], [`Ticket`], [`Options`] |
//! | what the application holds | [`Dialer`], [`Listener`], [`Connection`] and its halves |
//! | who performs a machine's requests | [`Carrier`], [`Perform`] |
//! | the world | [`Platform`], [`Runtime`] |
//! | protocols that ride a byte stream | [`secure`] |
//! | protocols that ride datagrams | [`datagram`] |
#![cfg_attr(
    not(feature = "azure"),
    allow(
        clippy::unnecessary_wraps,
        reason = "what can fail does so only with Azure"
    )
)]

mod address;
pub mod asoc;
#[cfg(feature = "azure")]
mod azure;
mod carrier;
mod connection;
mod count;
pub mod datagram;
mod dialer;
mod driver;
mod listener;
mod local;
mod platform;
mod runtime;
pub mod secure;
mod store;
mod sweep;
mod ticket;

pub use address::{AddressError, Environment, Options};
#[cfg(feature = "azure")]
pub use azure::Azure;
pub use carrier::{Carrier, Outcome, Perform};
pub use connection::{Connection, ReadHalf, WriteHalf};
pub use dialer::Dialer;
pub use listener::{Listener, ListenerMonitor};
pub use platform::Platform;
pub use runtime::Runtime;
pub use stillwire_core::aznet::wire::tokens::Grants;
pub use stillwire_core::aznet::wire::url::Driver;
pub use stillwire_core::aznet::{Config, ConnectionId, ListenerStats, Policy, Stats, SweepEvent};
pub use stillwire_core::store::{Failure, FailureKind, Role};
pub use stillwire_core::{Class, Error, Timer};
pub use stillwire_pump::{io_error, source_of};
pub use store::Store;
pub use sweep::Sweep;
pub use ticket::Ticket;

/// 32 random bytes for a machine.
fn seed() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        let detail = format!("the system gives no randomness: {error}");
        Error::Store(Failure::new(FailureKind::Io, detail))
    })?;
    Ok(seed)
}
