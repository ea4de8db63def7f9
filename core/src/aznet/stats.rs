//! Counters of one connection, and of one listener: what they moved and what they cost.

use crate::store::{Operation, Request};

/// Figures since the connection began. Every store request is one billable transaction or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Application bytes taken by `write`.
    pub bytes_written: u64,
    /// Application bytes that the carrier has stored.
    pub bytes_stored: u64,
    /// Application bytes received and authenticated.
    pub bytes_received: u64,
    /// Chunks sealed.
    pub chunks_sealed: u64,
    /// Chunks opened.
    pub chunks_opened: u64,
    /// Write requests, tries included.
    pub writes: u64,
    /// Read requests that brought data.
    pub reads: u64,
    /// Read requests that found nothing.
    pub empty_reads: u64,
    /// Requests that removed what was read, where a carrier needs that.
    pub deletes: u64,
    /// Requests of the handshake, rotation and clean-up.
    pub other_requests: u64,
    /// Tries after the first.
    pub retries: u64,
    /// Pings sent.
    pub pings: u64,
    /// Places moved on to, both directions.
    pub rotations: u64,
}

impl Stats {
    /// All store requests.
    pub const fn requests(&self) -> u64 {
        self.writes
            .saturating_add(self.reads)
            .saturating_add(self.empty_reads)
            .saturating_add(self.deletes)
            .saturating_add(self.other_requests)
    }
}

/// Figures since a listener began. Those of its connections are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Looks at the waiting handshakes.
    pub listings: u64,
    /// Requests that prepare, answer a handshake or clean up.
    pub other_requests: u64,
    /// Of all requests, those that repeat one that may have taken effect.
    pub repeats: u64,
    /// Connections given out.
    pub accepted: u64,
    /// Handshakes refused.
    pub rejected: u64,
    /// Half-open connections that had to give way.
    pub overdue: u64,
}

impl ListenerStats {
    /// All store requests.
    pub const fn requests(&self) -> u64 {
        self.listings.saturating_add(self.other_requests)
    }

    pub(crate) fn count(&mut self, request: &Request) {
        let counter = match request.operation {
            Operation::ListHandshakes { .. } => &mut self.listings,
            _ => &mut self.other_requests,
        };
        add(counter, 1);
        add(&mut self.repeats, u64::from(request.may_have_landed));
    }
}

/// Adds to a counter; it stops at its end instead of wrapping.
pub(crate) fn add(counter: &mut u64, more: u64) {
    *counter = counter.saturating_add(more);
}
