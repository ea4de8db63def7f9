//! aznet: an encrypted byte stream carried by storage (wire page `aznet`).
//!
//! Noise NN between a *listener* that owns the storage and a *dialer* that holds a connection
//! URL; then sealed chunks in one append-only place per direction.
//!
//! | Who | Machine | Becomes |
//! |---|---|---|
//! | the side with a ticket | [`Dialer`] | one [`Connection`] |
//! | the side that owns the storage | [`Listener`] | many [`Connection`]s |
//! | the same, without listening | [`Prepare`] | a place to meet |
//! | whoever cleans up after dead listeners | [`Sweep`] | room |
//!
//! The bytes are in [`wire`], the key exchange in [`handshake`].

mod block;
mod candidate;
mod config;
mod connection;
mod dialer;
pub mod handshake;
mod id;
mod inbound;
mod janitor;
mod listener;
mod memory;
mod news;
mod outbound;
mod plain;
mod polling;
mod prepare;
mod release;
mod retry;
mod stats;
mod sweep;
mod window;
pub mod wire;

pub use config::{Config, Policy};
pub use connection::{Connection, ConnectionEvent};
pub use dialer::{Connected, Dialer, DialerEvent};
pub use handshake::{DialerSecurity, ListenerSecurity};
pub use id::ConnectionId;
pub use listener::{Listener, ListenerEvent};
pub use prepare::{Prepare, PrepareEvent};
pub use stats::{ListenerStats, Stats};
pub use sweep::{Sweep, SweepEvent};
