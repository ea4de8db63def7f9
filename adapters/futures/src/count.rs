//! Counters for whoever installs a recorder of the `metrics` crate; nothing without that feature.
//!
//! | Name | Labels | |
//! |---|---|---|
//! | `stillwire_requests_total` | `operation`, `outcome` | tries of store requests that have ended |
//! | `stillwire_bytes_written_total` | | sealed bytes that storage has taken |
//! | `stillwire_bytes_read_total` | | sealed bytes fetched |
//! | `stillwire_connections_total` | `role` | connections opened |
//! | `stillwire_connections` | `role` | connections that are not over |
//! | `stillwire_handshakes_rejected_total` | | handshakes refused |

use crate::carrier::Outcome;
use stillwire_core::store::{Operation, Reply, Request, Role};

/// A try under way.
pub(crate) struct Try {
    operation: &'static str,
    bytes: usize,
}

impl Try {
    pub(crate) fn new(request: &Request) -> Self {
        let bytes = match &request.operation {
            Operation::Write { bytes, .. } => bytes.len(),
            _ => 0,
        };
        Self {
            operation: request.operation.name(),
            bytes,
        }
    }

    pub(crate) fn ended(&self, outcome: &Outcome) {
        let (word, written, read) = match outcome {
            Ok(Reply::Data { bytes, .. }) => ("ok", 0, bytes.len()),
            Ok(Reply::Nothing { .. }) => ("nothing", 0, 0),
            Ok(_) => ("ok", self.bytes, 0),
            Err(_) => ("failed", 0, 0),
        };
        #[cfg(feature = "metrics")]
        {
            metrics::counter!(
                "stillwire_requests_total", "operation" => self.operation, "outcome" => word
            )
            .increment(1);
            metrics::counter!("stillwire_bytes_written_total").increment(written as u64);
            metrics::counter!("stillwire_bytes_read_total").increment(read as u64);
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (self.operation, word, written, read);
    }
}

/// A connection that is not over.
pub(crate) struct Open(#[cfg_attr(not(feature = "metrics"), allow(dead_code))] &'static str);

impl Open {
    pub(crate) fn new(role: Role) -> Self {
        let role = match role {
            Role::Dialer => "dialer",
            Role::Listener => "listener",
        };
        #[cfg(feature = "metrics")]
        {
            metrics::counter!("stillwire_connections_total", "role" => role).increment(1);
            metrics::gauge!("stillwire_connections", "role" => role).increment(1.0);
        }
        Self(role)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        #[cfg(feature = "metrics")]
        metrics::gauge!("stillwire_connections", "role" => self.0).decrement(1.0);
    }
}

pub(crate) fn rejected() {
    #[cfg(feature = "metrics")]
    metrics::counter!("stillwire_handshakes_rejected_total").increment(1);
}
