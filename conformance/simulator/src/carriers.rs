//! Scenarios over queues and tables, and of many dialers at once.

use crate::faults::Faults;
use crate::rng::Rng;
use crate::scenario::{
    Attack, Driver, Leave, MILLI, Plan, SECOND, Scenario, Trust, config, profile,
};
use crate::service::blob::Habit;
use crate::service::table::Batches;
use crate::service::{queue, table};
use std::time::Duration;
use stillwire_azure::queue::{LARGEST_CHUNK, Limits as QueueLimits};
use stillwire_azure::table::Limits as TableLimits;
use stillwire_core::aznet::{Config, Policy};
use stillwire_core::store::{Profile, Role};

impl Scenario {
    /// Over queues.
    pub(crate) fn of_queue(rng: &mut Rng) -> Self {
        let gentle = rng.chance(700);
        let (profile, driver) = queues(rng);
        let mut scenario = Self::plan(rng, gentle, profile, driver).poisoned(rng);
        // Messages have no names, and an id that is sealed names none.
        scenario.trust = Trust::Nn;
        // Room for whole batches, as there is with a queue's own chunks.
        if rng.chance(600) {
            let room = scenario.profile.bytes_per_read;
            let config = &mut scenario.config;
            config.receive_buffer = config.receive_buffer.max(room);
        }
        // What a lost answer hides comes late: a peer that is still reading is waited for.
        if gentle {
            let config = &mut scenario.config;
            config.close_timeout = Duration::from_secs(rng.range(120, 240));
        }
        // A reader that deletes nothing waits out what it hides for long: no place for losses.
        if gentle && scenario.profile.releases_in_flight == 0 {
            scenario.faults.until = 0;
        }
        scenario
    }

    /// Over tables.
    pub(crate) fn of_table(rng: &mut Rng) -> Self {
        let gentle = rng.chance(700);
        let (mut profile, driver) = tables(rng);
        // A stream that uses its row keys up ends, with an error that says so.
        if !gentle && rng.chance(200) {
            profile.sequences = Some(rng.range(3, 300));
        }
        Self::plan(rng, gentle, profile, driver).poisoned(rng)
    }

    fn poisoned(mut self, rng: &mut Rng) -> Self {
        for _ in 0..rng.pick(&[0, 0, 1, 3]) {
            let whom = rng.below(self.dials.len() as u64) as usize;
            let role = rng.pick(&[Role::Dialer, Role::Listener]);
            let when = rng.range(0, 20 * SECOND);
            self.attacks.push((when, Attack::Poison(whom, role)));
        }
        self
    }
}

impl Scenario {
    /// One dialer that never shows that it holds the key, and a listener that stays.
    fn abandoned(mut self) -> Self {
        let mut dialer = Plan::idle();
        dialer.leave = Some((0, Leave::Vanish));
        self.config = Config::default();
        self.dials = vec![(SECOND, dialer, Plan::idle())];
        self.skews = vec![0; 2];
        self.attacks.clear();
        self.jumps.clear();
        self.faults.until = 0;
        self.faults.late_blobs = 0;
        self.gentle = true;
        self.memory = false;
        self.linger = 3_600 * SECOND;
        self.end = 4 * 3_600 * SECOND;
        self
    }

    pub(crate) fn of_abandoned(rng: &mut Rng) -> Self {
        Self::of(rng).abandoned()
    }

    pub(crate) fn of_abandoned_queue(rng: &mut Rng) -> Self {
        Self::of_queue(rng).abandoned()
    }

    pub(crate) fn of_abandoned_table(rng: &mut Rng) -> Self {
        Self::of_table(rng).abandoned()
    }
}

fn chunk(rng: &mut Rng, largest: usize) -> usize {
    match rng.below(10) {
        0 => largest,
        1..=3 => rng.range(2_048, 16_384) as usize,
        _ => rng.range(128, 2_048) as usize,
    }
}

fn queues(rng: &mut Rng) -> (Profile, Driver) {
    let largest_chunk = chunk(rng, LARGEST_CHUNK);
    let base = if rng.chance(150) {
        QueueLimits::leaving()
    } else {
        QueueLimits {
            deletes_in_flight: rng.pick(&[1, 4, 16, 32, 32]),
            visibility: Duration::from_secs(rng.range(1, 10)),
            ..QueueLimits::default()
        }
    };
    let limits = QueueLimits {
        writes_in_flight: rng.pick(&[1, 4, 16, 16, 64, 256]),
        ..base
    };
    let habit = queue::Habit {
        passed_over: rng.pick(&[0, 20, 200, 500]),
        twice: rng.pick(&[0, 0, 20, 200]),
        page: rng.pick(&[1, 3, 5_000]),
    };
    let batch = rng.pick(&[1, 2, 8, 32]);
    let profile = queue_profile(largest_chunk, batch, &limits);
    (profile, Driver::Queue(limits, habit))
}

fn queue_profile(largest_chunk: usize, batch: usize, limits: &QueueLimits) -> Profile {
    Profile {
        name: "azqueue",
        largest_chunk,
        bytes_per_write: largest_chunk,
        bytes_per_read: LARGEST_CHUNK * batch,
        writes_in_flight: limits.writes_in_flight,
        releases_in_flight: limits.deletes_in_flight,
        writes_before_rotation: None,
        sequences: None,
        tokens_in_sight: None,
        shortest_poll: Duration::from_millis(10),
    }
}

impl Scenario {
    /// One echo over queues that deliver out of order, with the driver's own limits but for the
    /// visibility. Nothing is lost, so nothing is waited out.
    fn echo_of_queue(rng: &mut Rng, mut limits: QueueLimits) -> Self {
        limits.visibility = ECHO_VISIBILITY;
        let habit = queue::Habit {
            passed_over: rng.pick(&[20, 100, 200]),
            twice: 0,
            page: 5_000,
        };
        let profile = queue_profile(1_024, 32, &limits);
        let base = Plan {
            piece: (1, 50_000),
            read_size: 65_536,
            ..Plan::idle()
        };
        let dialer = Plan {
            total: ECHO_BYTES,
            ..base.clone()
        };
        let listener = Plan { echo: true, ..base };
        let mut scenario = Self::crowd(rng, profile, Driver::Queue(limits, habit));
        scenario.config = Config::default();
        scenario.dials = vec![(SECOND, dialer, listener)];
        scenario.skews = vec![0; 2];
        scenario
    }

    pub(crate) fn of_queue_echo(rng: &mut Rng) -> Self {
        Self::echo_of_queue(rng, QueueLimits::default())
    }

    /// The same for a reader that deletes nothing.
    pub(crate) fn of_leaving_queue_echo(rng: &mut Rng) -> Self {
        Self::echo_of_queue(rng, QueueLimits::leaving())
    }
}

fn tables(rng: &mut Rng) -> (Profile, Driver) {
    let largest_chunk = chunk(rng, 983_040);
    let rows = rng.pick(&[1, 2, 3]);
    let limits = TableLimits {
        rows_in_flight: rng.pick(&[1, 4, 16, 64]),
        transactions_with_grant: rng.chance(500),
        ..TableLimits::default()
    };
    let habit = table::Habit {
        page: rng.pick(&[1, 2, 7, 1_000]),
        empty_first: rng.chance(200),
        empty: rng.pick(&[0, 0, 50, 300]),
        late_rows: rng.pick(&[0, 0, 100 * MILLI, 2 * SECOND]),
        batches: rng.pick(&[Batches::Everybody, Batches::Owner, Batches::Nobody]),
    };
    let profile = Profile {
        name: "aztable",
        largest_chunk,
        // A grant alone takes no more than one row of the largest.
        bytes_per_write: (largest_chunk * rows).min(983_040),
        bytes_per_read: largest_chunk * rng.pick(&[1, 3, 40]),
        writes_in_flight: limits.rows_in_flight,
        releases_in_flight: 0,
        writes_before_rotation: None,
        sequences: Some(1_000_000_000),
        tokens_in_sight: None,
        shortest_poll: Duration::from_millis(10),
    };
    (profile, Driver::Table(limits, habit))
}

/// What an echo sends, each way.
const ECHO_BYTES: u64 = 1_000_000;
/// How long its messages stay out of sight once they were got.
pub(crate) const ECHO_VISIBILITY: Duration = Duration::from_secs(240);

/// Dialers of a crowd.
const CROWD: usize = 50;

impl Scenario {
    /// Many dialers and little room; nothing goes wrong on the way.
    pub(crate) fn of_crowd(rng: &mut Rng) -> Self {
        let mut profile = profile(rng);
        profile.writes_before_rotation = Some(49_990);
        Self::crowd(rng, profile, Driver::Blob)
    }

    /// The same over queues.
    pub(crate) fn of_queue_crowd(rng: &mut Rng) -> Self {
        let (profile, driver) = queues(rng);
        Self::crowd(rng, profile, driver)
    }

    /// The same over tables.
    pub(crate) fn of_table_crowd(rng: &mut Rng) -> Self {
        let (profile, driver) = tables(rng);
        Self::crowd(rng, profile, driver)
    }

    fn crowd(rng: &mut Rng, profile: Profile, driver: Driver) -> Self {
        let config = Config {
            policy: rng.pick(&[Policy::Latency, Policy::Balanced]),
            connections: rng.pick(&[4, 8, 16]),
            half_open: rng.pick(&[2, 4, 8]),
            confirm_timeout: Duration::from_secs(5),
            // The last one waits until all others are through.
            connect_timeout: Duration::from_secs(1_500),
            handshakes: rng.pick(&[1, 4, 32]),
            ..config(rng, &profile)
        };
        let dials = (0..CROWD)
            .map(|number| {
                let brief = |total| Plan {
                    total,
                    piece: (1, 1_000),
                    ..Plan::idle()
                };
                let (mut a, b) = (brief(rng.range(1, 3_000)), brief(rng.range(0, 3_000)));
                if number % 5 == 0 {
                    a.leave = Some((0, Leave::Vanish));
                }
                (rng.range(0, 3 * SECOND), a, b)
            })
            .collect();
        let faults = Faults {
            latency: rng.pick(&[(500, 2 * MILLI), (10 * MILLI, 30 * MILLI)]),
            ..Faults::default()
        };
        Self {
            profile,
            config,
            trust: Trust::Nn,
            memory: false,
            driver,
            habit: rng.pick(&[Habit::Azure, Habit::Emulator]),
            page: rng.pick(&[2, 5, 5000]),
            shared_bootstrap: rng.chance(300),
            gentle: true,
            faults,
            dials,
            attacks: Vec::new(),
            jumps: Vec::new(),
            skews: vec![0; CROWD + 1],
            pokes: rng.pick(&[0, 20]),
            linger: 0,
            end: 4 * 3600 * SECOND,
        }
    }
}
