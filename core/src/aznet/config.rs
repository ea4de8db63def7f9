//! What a user may tune, with the defaults of the wire page.

use core::time::Duration;

/// How eagerly to look for new data: money against latency.
///
/// Pauses are multiples of the carrier's shortest sensible pause: 10 ms for Azure, 1 ms for a
/// directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Azure: 1 ms doubling to 50 ms, 250 ms after a silent minute.
    Latency,
    /// The default. Azure: 10 ms doubling to 500 ms, 2 s after a silent minute.
    #[default]
    Balanced,
    /// Azure: 250 ms doubling to 10 s, 15 s after a silent minute.
    Thrift,
}

/// The pauses of a policy on one carrier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
    /// Longest after a silent minute.
    pub(crate) silent: Duration,
}

impl Policy {
    pub(crate) fn pauses(self, carrier: Duration) -> Pauses {
        let (shortest, longest, silent) = match self {
            Self::Latency => (carrier.checked_div(10).unwrap_or_default(), 5, 25),
            Self::Balanced => (carrier, 50, 200),
            Self::Thrift => (carrier.saturating_mul(25), 1_000, 1_500),
        };
        Pauses {
            shortest,
            longest: carrier.saturating_mul(longest),
            silent: carrier.saturating_mul(silent),
        }
    }
}

/// Settings of a dialer, a listener and their connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How eagerly to poll.
    pub policy: Policy,
    /// How long a dialer waits for message 2, and a listener keeps trying to answer one dialer.
    /// The Go listener may hide a handshake for 60 s while it serves others: give it 90 s then.
    pub connect_timeout: Duration,
    /// No frame from the peer for this long ends the connection.
    pub idle_timeout: Duration,
    /// Silence after which we send a ping.
    pub ping_interval: Duration,
    /// A dialer that has not written by then sends a ping, so that the listener knows that
    /// the dialer holds the key.
    pub confirm_after: Duration,
    /// How long a dropped connection that has sent its end waits for the peer's, and how long a
    /// listener leaves a finished session in place for a dialer that does not say it has read all.
    pub close_timeout: Duration,
    /// Pause between two looks at the waiting handshakes.
    pub accept_poll: Duration,
    /// Longest pause between two looks for message 2.
    pub token_poll: Duration,
    /// Time of one try of a request; large bodies get a second more for every 64 KiB.
    pub request_timeout: Duration,
    /// How long one operation is tried again before the connection fails.
    pub retry_window: Duration,
    /// Received plaintext held for the application at the most, in bytes; the bytes of one more
    /// read can come on top.
    pub receive_buffer: usize,
    /// Bytes one write gathers at the most; the carrier's own limit when larger than that.
    pub send_buffer: usize,
    /// Bytes one key may seal or open before the connection is closed (AES-GCM: about 2^34.5
    /// blocks of 16 bytes).
    pub data_limit: u64,
    /// Handshakes a listener works on at once.
    pub handshakes: usize,
    /// Connections a listener has out at once; past it dialers wait in storage.
    pub connections: usize,
    /// Of these, connections whose dialer has not yet shown that it holds the key; past it the
    /// oldest gives way, once it had `confirm_timeout`.
    pub half_open: usize,
    /// How long a dialer has at the least to show that it holds the key, however many others
    /// wait. Nobody is given up for it while there is room.
    pub confirm_timeout: Duration,
    /// How long a handshake is remembered so that a replay makes no second session. At least the
    /// lifetime of a ticket.
    pub replay_memory: Duration,
    /// Handshakes remembered at the most; past it new ones are refused until old ones expire.
    pub replay_entries: usize,
    /// Remove the bootstrap on `stop` if this listener made it.
    pub remove_bootstrap: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(300),
            ping_interval: Duration::from_secs(30),
            confirm_after: Duration::from_millis(200),
            close_timeout: Duration::from_secs(30),
            accept_poll: Duration::from_secs(1),
            token_poll: Duration::from_millis(300),
            request_timeout: Duration::from_secs(30),
            retry_window: Duration::from_secs(60),
            receive_buffer: 16 << 20,
            send_buffer: 16 << 20,
            data_limit: 380_000_000_000,
            handshakes: 32,
            connections: 1_024,
            half_open: 256,
            confirm_timeout: Duration::from_secs(5),
            replay_memory: Duration::from_secs(24 * 3600),
            replay_entries: 100_000,
            remove_bootstrap: false,
        }
    }
}

impl Config {
    /// Time of one try that moves `bytes` bytes.
    pub(crate) fn try_timeout(&self, bytes: usize) -> Duration {
        let extra = u64::try_from(bytes / 65_536).unwrap_or(u64::MAX);
        self.request_timeout
            .saturating_add(Duration::from_secs(extra))
    }
}
