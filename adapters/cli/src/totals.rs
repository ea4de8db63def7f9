//! The counters of all connections of a run, for `--stats`.

use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use stillwire_tokio::{ListenerMonitor, ListenerStats, Stats};

/// Sums, added to as connections end, and the listeners there were.
#[derive(Debug, Default)]
pub(crate) struct Totals(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    connections: u64,
    stats: Stats,
    listeners: Vec<ListenerMonitor>,
}

impl Totals {
    /// Counts what a listener asks of its store as well.
    pub(crate) fn watch(&self, listener: ListenerMonitor) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.listeners.push(listener);
    }

    pub(crate) fn add(&self, more: &Stats) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.connections += 1;
        let sum = &mut totals.stats;
        for (sum, more) in [
            (&mut sum.bytes_written, more.bytes_written),
            (&mut sum.bytes_stored, more.bytes_stored),
            (&mut sum.bytes_received, more.bytes_received),
            (&mut sum.chunks_sealed, more.chunks_sealed),
            (&mut sum.chunks_opened, more.chunks_opened),
            (&mut sum.writes, more.writes),
            (&mut sum.reads, more.reads),
            (&mut sum.empty_reads, more.empty_reads),
            (&mut sum.deletes, more.deletes),
            (&mut sum.other_requests, more.other_requests),
            (&mut sum.retries, more.retries),
            (&mut sum.pings, more.pings),
            (&mut sum.rotations, more.rotations),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// A connection over TCP, where only its bytes count.
    pub(crate) fn carried(&self, sent: u64, received: u64) {
        self.add(&Stats {
            bytes_stored: sent,
            bytes_received: received,
            ..Stats::default()
        });
    }

    /// The line of `--stats`.
    pub(crate) fn json(&self, time: Duration) -> Value {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Sums {
            connections,
            stats,
            listeners,
        } = &*totals;
        let mut listening = ListenerStats::default();
        for listener in listeners {
            let more = listener.stats();
            listening.listings += more.listings;
            listening.other_requests += more.other_requests;
            listening.repeats += more.repeats;
            listening.rejected += more.rejected;
        }
        json!({
            "event": "stats",
            "connections": connections,
            "bytes_sent": stats.bytes_stored,
            "bytes_received": stats.bytes_received,
            "chunks_sent": stats.chunks_sealed,
            "chunks_received": stats.chunks_opened,
            "transactions": {
                "total": stats.requests() + listening.requests(),
                "write": stats.writes,
                "read": stats.reads,
                "read_empty": stats.empty_reads,
                "delete": stats.deletes,
                "listing": listening.listings,
                "other": stats.other_requests + listening.other_requests,
            },
            "retries": stats.retries + listening.repeats,
            "rejected": listening.rejected,
            "pings": stats.pings,
            "rotations": stats.rotations,
            "seconds": (time.as_secs_f64() * 1e6).round() / 1e6,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_add_up() {
        let totals = Totals::default();
        let one = Stats {
            bytes_stored: 5,
            writes: 2,
            empty_reads: 1,
            ..Stats::default()
        };
        totals.add(&one);
        totals.add(&one);
        totals.carried(7, 3);
        let json = totals.json(Duration::from_millis(1500));
        assert_eq!(json["connections"], 3);
        assert_eq!(json["bytes_sent"], 17);
        assert_eq!(json["bytes_received"], 3);
        assert_eq!(json["transactions"]["total"], 6);
        assert_eq!(json["seconds"], 1.5);
    }
}
