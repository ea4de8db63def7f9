//! Azure Storage as a carrier for Stillwire: operation to HTTP request, response to reply.
//!
//! Pure: no socket, no clock, no runtime. [`blob::BlobStore::begin`] and
//! [`blob::BlobSession::begin`] turn one [`stillwire_core::store::Request`] into a
//! [`blob::Exchange`], a small machine that names the HTTP requests to send and is handed the
//! answers. Who sends them, over what and when is the adapter's affair:
//!
//! ```
//! use stillwire_azure::{Outcome, Step, blob::Exchange};
//! use stillwire_azure::http::Request;
//! use stillwire_core::store::{Failure, Reply};
//!
//! fn run(mut exchange: Exchange, mut send: impl FnMut(Request, usize) -> Outcome)
//! -> Result<Reply, Failure> {
//!     loop {
//!         match exchange.step() {
//!             Step::Send(request) => {
//!                 let outcome = send(request, exchange.body_limit());
//!                 exchange.handle(outcome);
//!             }
//!             Step::Done(result) => return result,
//!         }
//!     }
//! }
//! ```
//!
//! Requests that an account key must authorise are signed by [`SharedKeyPolicy`], one try at a
//! time; requests under a SAS carry it in the URL.
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

pub mod address;
pub mod blob;
mod credential;
mod date;
mod encode;
pub mod environment;
mod error;
mod exchange;
mod failure;
mod home;
#[cfg(test)]
mod hostile_xml;
mod names;
pub mod queue;
pub mod sas;
pub mod shared_key;
mod store;
pub mod table;

pub use address::StoreAddress;
pub use azure_core::http;
pub use credential::{AccountKey, Credential, Sas};
pub use date::parse_rfc1123 as parse_date;
pub use encode::redact;
pub use environment::Account;
pub use error::Error;
pub use exchange::{Outcome, Response, Step, TransportError};
pub use names::Names;
pub use sas::ServiceSas;
pub use shared_key::{Clock, SharedKeyPolicy};
pub use store::{AzureExchange, AzureSession, AzureStore, Ticket};

use core::fmt;

/// Which of the storage services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Blob storage.
    Blob,
    /// Queue storage.
    Queue,
    /// Table storage.
    Table,
}

impl Service {
    /// The service's label in host names: `blob`, `queue` or `table`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Queue => "queue",
            Self::Table => "table",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
