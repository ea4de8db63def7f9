//! What a seed means: sizes, limits, habits of the applications, faults and attacks.

use crate::faults::Faults;
use crate::rng::Rng;
use crate::service::blob::Habit;
use crate::service::{queue, table};
use std::time::Duration;
use stillwire_azure::queue::Limits as QueueLimits;
use stillwire_azure::table::Limits as TableLimits;
use stillwire_core::aznet::{Config, DialerSecurity, ListenerSecurity, Policy};
use stillwire_core::crypto::x25519;
use stillwire_core::store::{Profile, Role};

pub(crate) const MILLI: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000_000;

/// How an application leaves before its stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Drops its connection.
    Abort,
    /// Its process dies.
    Vanish,
}

/// When an application ends its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// When all is written.
    AtOnce,
    /// When all is written and the peer has ended its own.
    AfterPeer,
}

/// What one application does with its connection. Times in µs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Bytes to send; an echo sends what it gets instead.
    pub(crate) total: u64,
    pub(crate) echo: bool,
    pub(crate) piece: (u64, u64),
    pub(crate) write_gap: u64,
    pub(crate) write_delay: u64,
    pub(crate) read_size: usize,
    pub(crate) read_gap: u64,
    pub(crate) read_delay: u64,
    pub(crate) close: Close,
    pub(crate) leave: Option<(u64, Leave)>,
}

/// A party that means harm, or a broken service. Connections are named by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Somebody else appends to a direction.
    Append(usize, Role),
    /// The session's container goes away.
    DeleteSession(usize),
    /// A stored byte changes.
    Corrupt(usize, Role),
    /// Message 2 is replaced.
    ForgeToken(usize),
    /// A handshake that was there before is left again.
    Replay(usize),
    /// The same under another name.
    ReplayRenamed(usize),
    /// An entry that is none.
    Junk(u8),
    /// What is no part of a stream is put among it: readers of queues and tables pass it by.
    Poison(usize, Role),
}

/// Which driver, and how its service behaves.
#[derive(Clone, Debug)]
pub(crate) enum Driver {
    Blob,
    Queue(QueueLimits, queue::Habit),
    Table(TableLimits, table::Habit),
}

/// How the two know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Nn,
    NnPsk0([u8; 32]),
    /// The listener's private key.
    Nk([u8; 32]),
}

impl Trust {
    pub(crate) fn dialer(self) -> DialerSecurity {
        match self {
            Self::Nn => DialerSecurity::Nn,
            Self::NnPsk0(psk) => DialerSecurity::NnPsk0 { psk: psk.into() },
            Self::Nk(key) => DialerSecurity::Nk {
                listener: x25519::public(&key.into()),
            },
        }
    }

    pub(crate) fn listener(self) -> ListenerSecurity {
        match self {
            Self::Nn => ListenerSecurity::Nn,
            Self::NnPsk0(psk) => ListenerSecurity::NnPsk0 { psk: psk.into() },
            Self::Nk(key) => ListenerSecurity::Nk { secret: key.into() },
        }
    }
}

/// Everything that a seed decides before the run.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) profile: Profile,
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    /// The memory store carries it all instead of the blob service.
    pub(crate) memory: bool,
    pub(crate) driver: Driver,
    /// Of the blob service, as is `page`: the most entries of a listing's page.
    pub(crate) habit: Habit,
    pub(crate) page: usize,
    /// The bootstrap belongs to somebody else.
    pub(crate) shared_bootstrap: bool,
    /// Nothing happens that a connection may not survive.
    pub(crate) gentle: bool,
    pub(crate) faults: Faults,
    /// For each dialer: when it dials, its application and the listener's.
    pub(crate) dials: Vec<(u64, Plan, Plan)>,
    pub(crate) attacks: Vec<(u64, Attack)>,
    /// When, on which host, how far a clock jumps.
    pub(crate) jumps: Vec<(u64, usize, u64)>,
    /// Seconds that each host's calendar is off; the listener is host 0.
    pub(crate) skews: Vec<i64>,
    /// Extra polls and time inputs, in thousandths of all steps.
    pub(crate) pokes: u32,
    /// How long the listener stays when everybody else is done (µs).
    pub(crate) linger: u64,
    /// Past this instant the run has failed.
    pub(crate) end: u64,
}

impl Scenario {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        let gentle = rng.chance(700);
        let memory = rng.chance(150);
        let mut profile = profile(rng);
        if memory {
            profile.name = "memory";
            // What this store promises: a read brings whole chunks.
            profile.bytes_per_read = profile.bytes_per_read.max(profile.largest_chunk);
            profile.writes_in_flight = rng.pick(&[1, 2, 4, 16, 256]);
            // Real carriers that take several writes at once have one place per direction.
            if profile.writes_in_flight > 1 && rng.chance(500) {
                profile.writes_before_rotation = None;
            }
        }
        let scenario = Self::plan(rng, gentle, profile, Driver::Blob);
        let mut attacks = scenario.attacks;
        if memory {
            attacks.clear();
        }
        Self {
            memory,
            attacks,
            ..scenario
        }
    }

    /// When, on which host, by how many seconds its calendar is off from then on: set forward or
    /// back, as by who keeps it in step. None where every calendar is right.
    pub(crate) fn turns(&self, rng: &mut Rng) -> Vec<(u64, usize, i64)> {
        if self.skews.iter().all(|skew| *skew == 0) {
            return Vec::new();
        }
        let hosts = self.skews.len() as u64;
        (0..rng.pick(&[0, 1, 3]))
            .map(|_| {
                let host = rng.below(hosts) as usize;
                (rng.range(0, 60 * SECOND), host, skew(rng, self.gentle))
            })
            .collect()
    }

    /// Everything but the carrier.
    pub(crate) fn plan(rng: &mut Rng, gentle: bool, profile: Profile, driver: Driver) -> Self {
        let mut config = config(rng, &profile);
        let count = rng.pick(&[1, 1, 1, 1, 2, 3]);
        let dials: Vec<_> = (0..count)
            .map(|_| {
                let start = rng.range(0, 3 * SECOND);
                let (a, b) = plans(rng, &profile, gentle);
                (start, a, b)
            })
            .collect();
        let faults = faults(rng, &config, gentle);
        let attacks = attacks(rng, count, gentle);
        let skews = (0..=count).map(|_| skew(rng, gentle)).collect();
        let longest = if gentle { 4 } else { 600 } * SECOND;
        let jumps = (0..rng.pick(&[0, 0, 1, 3]))
            .map(|_| {
                let host = rng.below(count as u64 + 1) as usize;
                (rng.range(0, 60 * SECOND), host, rng.range(1, longest))
            })
            .collect();
        let end = faults.until + 2 * 3600 * SECOND;
        // A key whose budget is soon used up ends its connection.
        if !gentle && rng.chance(150) {
            config.data_limit = rng.range(1_000, 100_000);
        }
        let trust = match rng.below(8) {
            0 => Trust::NnPsk0(rng.bytes()),
            1 => Trust::Nk(rng.bytes()),
            _ => Trust::Nn,
        };
        Self {
            profile,
            config,
            trust,
            memory: false,
            driver,
            habit: rng.pick(&[Habit::Azure, Habit::Emulator]),
            page: rng.pick(&[1, 2, 5, 5000]),
            shared_bootstrap: rng.chance(300),
            gentle,
            faults,
            dials,
            attacks,
            jumps,
            skews,
            pokes: rng.pick(&[0, 20, 200]),
            linger: 0,
            end,
        }
    }
}

/// Seconds that a calendar is off.
fn skew(rng: &mut Rng, gentle: bool) -> i64 {
    let limit: u64 = if gentle { 200 } else { 3600 };
    rng.range(0, 2 * limit).cast_signed() - limit.cast_signed()
}

pub(crate) fn profile(rng: &mut Rng) -> Profile {
    let largest_chunk = match rng.below(10) {
        0 => 4_194_304,
        1..=3 => rng.range(4_096, 65_536) as usize,
        _ => rng.range(128, 2_048) as usize,
    };
    let chunks = rng.pick(&[1, 1, 2, 4, 16]);
    let bytes_per_write = match rng.below(3) {
        // Not a whole number of chunks.
        0 => largest_chunk * chunks + rng.range(0, largest_chunk as u64 - 1) as usize,
        _ => largest_chunk * chunks,
    };
    let bytes_per_write = bytes_per_write.min(16 << 20);
    let bytes_per_read = match rng.below(4) {
        0 => rng.range(64, 512) as usize,
        1 => largest_chunk,
        _ => bytes_per_write.max(1_024) * rng.range(1, 4) as usize,
    };
    Profile {
        name: "azblob",
        largest_chunk,
        bytes_per_write,
        bytes_per_read: bytes_per_read.max(largest_chunk / 64).min(16 << 20),
        writes_in_flight: 1,
        releases_in_flight: 0,
        writes_before_rotation: Some(rng.pick(&[2, 3, 5, 10, 50, 49_990])),
        sequences: None,
        tokens_in_sight: None,
        shortest_poll: Duration::from_millis(10),
    }
}

pub(crate) fn config(rng: &mut Rng, profile: &Profile) -> Config {
    let seconds = |rng: &mut Rng, low, high| Duration::from_millis(rng.range(low, high) * 1000);
    let base = profile.bytes_per_write as u64;
    Config {
        policy: rng.pick(&[
            Policy::Latency,
            Policy::Balanced,
            Policy::Balanced,
            Policy::Thrift,
        ]),
        connect_timeout: seconds(rng, 100, 200),
        idle_timeout: seconds(rng, 120, 300),
        ping_interval: seconds(rng, 5, 30),
        close_timeout: seconds(rng, 20, 60),
        request_timeout: seconds(rng, 1, 4),
        retry_window: seconds(rng, 60, 90),
        receive_buffer: rng.range(base.min(4_096), 4 * base.max(1_024)) as usize,
        send_buffer: rng.range(256, 4 * base) as usize,
        handshakes: rng.pick(&[1, 2, 32]),
        remove_bootstrap: rng.chance(500),
        ..Config::default()
    }
}

fn plans(rng: &mut Rng, profile: &Profile, gentle: bool) -> (Plan, Plan) {
    let mut dialer = plan(rng, profile);
    let mut listener = plan(rng, profile);
    match rng.below(8) {
        0 => listener.total = 0,
        1 => dialer.total = 0,
        2 | 3 => {
            listener.echo = true;
            listener.total = 0;
            listener.piece = dialer.piece;
        }
        _ => {}
    }
    // If both waited for the other's end, neither would ever end.
    if listener.echo || dialer.close == Close::AfterPeer {
        listener.close = Close::AtOnce;
    }
    if listener.echo {
        dialer.close = Close::AtOnce;
    }
    if rng.chance(if gentle { 60 } else { 150 }) {
        let leave = rng.pick(&[Leave::Abort, Leave::Vanish]);
        let at = rng.range(0, 20 * SECOND);
        let who = if rng.chance(500) {
            &mut dialer
        } else {
            &mut listener
        };
        who.leave = Some((at, leave));
    }
    (dialer, listener)
}

fn plan(rng: &mut Rng, profile: &Profile) -> Plan {
    let chunk = profile.largest_chunk as u64;
    let most = (chunk * 400).min(3 << 20);
    let total = match rng.below(20) {
        0 | 1 => 0,
        2..=5 => rng.range(1, 100),
        6..=8 => chunk + rng.range(0, 60) - 30,
        9..=17 => rng.range(1, most.min(200_000)),
        _ => rng.range(1, most),
    };
    let pieces = rng.pick(&[1, 3, 40, 200]);
    let piece = (total / pieces).max(1);
    let read_size = rng.range(total / 300 + 1, 70_000) as usize;
    Plan {
        total,
        echo: false,
        piece: (rng.range(1, piece), piece * 2),
        write_gap: rng.pick(&[0, 0, MILLI, 20 * MILLI, 100 * MILLI]),
        write_delay: rng.pick(&[0, 0, 0, SECOND, 40 * SECOND]),
        read_size,
        read_gap: rng.pick(&[0, 0, 0, 10 * MILLI, 200 * MILLI]),
        read_delay: rng.pick(&[0, 0, 0, SECOND, 100 * SECOND]),
        close: rng.pick(&[Close::AtOnce, Close::AtOnce, Close::AfterPeer]),
        leave: None,
    }
}

fn faults(rng: &mut Rng, config: &Config, gentle: bool) -> Faults {
    let timeout = config.request_timeout.as_micros() as u64;
    let latency = match rng.below(3) {
        0 => (500, 2 * MILLI),
        1 => (10 * MILLI, 30 * MILLI),
        _ => (MILLI, 150 * MILLI),
    };
    let mut faults = Faults {
        latency,
        slowness: 3 * timeout,
        ..Faults::default()
    };
    if rng.chance(100) {
        return faults;
    }
    faults.until = rng.pick(&[5, 20, 60]) * SECOND;
    let rate = |rng: &mut Rng| rng.pick(&[0, 0, 10, 50, 100]);
    faults.lost_request = rate(rng);
    faults.lost_reply = rate(rng);
    faults.duplicate = rate(rng);
    faults.slow = rate(rng);
    faults.busy = rate(rng);
    faults.truncated = rng.pick(&[0, 0, 100, 400]);
    if rng.chance(200) {
        faults.late_blobs = rng.range(0, 10 * SECOND);
    }
    if !gentle {
        faults.absurd = rng.pick(&[0, 5, 20]);
    }
    faults
}

fn attacks(rng: &mut Rng, count: usize, gentle: bool) -> Vec<(u64, Attack)> {
    let many = rng.pick(&[0, 0, 1, 4]);
    (0..many)
        .map(|_| {
            let whom = rng.below(count as u64) as usize;
            let role = rng.pick(&[Role::Dialer, Role::Listener]);
            let harmless = [
                Attack::Replay(whom),
                Attack::ReplayRenamed(whom),
                Attack::Junk(rng.below(16) as u8),
                Attack::Junk(rng.below(16) as u8),
            ];
            let harmful = [
                Attack::Append(whom, role),
                Attack::DeleteSession(whom),
                Attack::Corrupt(whom, role),
                Attack::ForgeToken(whom),
            ];
            let attack = if gentle || rng.chance(400) {
                rng.pick(&harmless)
            } else {
                rng.pick(&harmful)
            };
            (rng.range(0, 20 * SECOND), attack)
        })
        .collect()
}

impl Plan {
    /// For a connection that nobody planned: read what comes.
    pub(crate) fn idle() -> Self {
        Self {
            total: 0,
            echo: false,
            piece: (1, 1),
            write_gap: 0,
            write_delay: 0,
            read_size: 1024,
            read_gap: 0,
            read_delay: 0,
            close: Close::AtOnce,
            leave: None,
        }
    }
}
