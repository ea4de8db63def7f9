//! The protocol in virtual time, its requests counted: the arithmetic of `estimate`.

use super::prices::Class;
use crate::exit::{Code, Fault};
use std::collections::BTreeMap;
use std::time::Duration;
use stillwire_core::aznet::{
    Config, Connection, Dialer, DialerEvent, DialerSecurity, Listener, ListenerEvent,
    ListenerSecurity,
};
use stillwire_core::store::{Operation, Profile, Reply, Role};
use stillwire_core::{Channel, Input, Instant, Machine, Output, Read};
use stillwire_local::{MemorySession, MemoryStore};

/// More bytes than this are scaled up from it.
pub(super) const SAMPLE: u64 = 64 << 20;
/// The same for silence.
pub(super) const SAMPLE_TIME: Duration = Duration::from_secs(3_600);
/// How long a finished connection is given.
const ENDING: Duration = Duration::from_secs(300);
/// By then a dialer has sent its first ping.
const CONFIRMED: Duration = Duration::from_secs(1);
/// Outputs of one machine at one instant, past which it would be spinning.
const SPIN: u32 = 100_000;

/// Requests, by what they are billed as.
pub(super) type Count = BTreeMap<&'static str, u64>;

/// Requests of each part of a connection's life.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Handshake, clean-up and the end: once a connection.
    pub(super) connect: Count,
    /// Carrying the sample, one way.
    pub(super) carry: Count,
    /// Silence of the sample's length, both ends.
    pub(super) idle: Count,
    /// A listener that waits for so long.
    pub(super) waiting: Count,
}

/// How a request of the machine is billed: HTTP requests of each class.
fn billed(service: &str, operation: &Operation) -> &'static [(Class, u64)] {
    use Class::{Delete, List, Read, Write};
    match operation {
        // Removals are counted with what was put: memory has nothing to remove.
        Operation::Prepare | Operation::RemoveBootstrap | Operation::Release { .. } => &[],
        Operation::PutHandshake { .. } | Operation::PutToken { .. } | Operation::Write { .. } => {
            &[(Write, 1)]
        }
        Operation::ListHandshakes { .. } | Operation::ListSessions { .. } => &[(List, 1)],
        Operation::GetToken { .. } | Operation::Read { .. } | Operation::SessionAge { .. } => {
            &[(Read, 1)]
        }
        // A container and two blobs; or two queues, or two tables.
        Operation::CreateSession { .. } if service == "azblob" => &[(List, 1), (Write, 2)],
        Operation::CreateSession { .. } => &[(Write, 2)],
        Operation::DeleteSession { .. } if service != "azblob" => &[(Delete, 2)],
        Operation::Rotate { .. } => &[(Write, 1)],
        _ => &[(Delete, 1)],
    }
}

struct World<'a> {
    service: &'a str,
    store: MemoryStore,
    now: Instant,
    count: Count,
}

impl World<'_> {
    fn perform(
        &mut self,
        session: Option<&MemorySession>,
        request: &stillwire_core::store::Request,
    ) -> Result<Reply, stillwire_core::store::Failure> {
        for (class, n) in billed(self.service, &request.operation) {
            *self.count.entry(class.name()).or_default() += n;
        }
        let outcome = self.store.perform(session, request);
        // A message in a queue has to be deleted by who has read it.
        if self.service == "azqueue"
            && let Operation::Write { chunks, .. } = &request.operation
        {
            *self.count.entry(Class::Delete.name()).or_default() += chunks.len() as u64;
        }
        outcome
    }

    /// Polls a machine until it waits; hands out its events.
    fn drive<M: Machine>(
        &mut self,
        machine: &mut M,
        session: Option<&MemorySession>,
        mut tell: impl FnMut(M::Event),
    ) -> Result<Option<Instant>, Fault> {
        for _ in 0..SPIN {
            match machine.poll(self.now) {
                Output::Store(request) => {
                    let outcome = self.perform(session, &request);
                    // A final error shows as one that never gets anywhere.
                    let _ = machine.handle(self.now, Input::Reply(request.id, outcome));
                }
                Output::Event(event) => tell(event),
                Output::Wait(until) => return Ok(until),
                _ => break,
            }
        }
        Err(broken())
    }

    fn taken(&mut self) -> Count {
        std::mem::take(&mut self.count)
    }
}

fn broken() -> Fault {
    Fault::new(Code::Local, "the model does not come to its end").with_hint("please report this")
}

struct End {
    connection: Connection,
    session: MemorySession,
    got: u64,
}

impl End {
    fn new(connection: Connection, store: &MemoryStore, role: Role) -> Self {
        Self {
            session: store.session(connection.id(), role),
            connection,
            got: 0,
        }
    }

    /// Does all that can be done now, reads what is there, and says when to look again.
    fn drive(&mut self, world: &mut World<'_>) -> Result<Option<Instant>, Fault> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let until = world.drive(&mut self.connection, Some(&self.session), |_| {})?;
            match self.connection.read(world.now, &mut buffer) {
                Ok(Read::Data(n)) => self.got += n as u64,
                _ => return Ok(until),
            }
        }
    }
}

/// Runs it all once.
pub(super) fn count(
    service: &str,
    profile: &Profile,
    config: &Config,
    bytes: u64,
    idle: bool,
) -> Result<Counts, Fault> {
    let mut world = World {
        service,
        store: MemoryStore::new(),
        now: Instant::from_millis(1),
        count: Count::new(),
    };
    let mut counts = Counts::default();
    let security = ListenerSecurity::Nn;
    // Nothing that is sealed here goes anywhere: the seeds are no secret.
    let mut listener = Listener::new(
        config.clone(),
        profile.clone(),
        security,
        [1; 32],
        world.now,
    );
    let mut accepted = None;
    let mut take = |event| {
        if let ListenerEvent::Accepted(connection) = event {
            accepted = Some(*connection);
        }
    };
    world.drive(&mut listener, None, &mut take)?;
    world.taken();

    // A dialer comes in the middle between two looks.
    let mut dialer = Dialer::new(
        config.clone(),
        profile.clone(),
        &DialerSecurity::Nn,
        [2; 32],
        world.now,
    );
    let mut connected = None;
    for _ in 0..SPIN {
        let there = world.drive(&mut dialer, None, |event| {
            if let DialerEvent::Connected(new) = event {
                connected = Some(new.connection);
            }
        })?;
        let here = world.drive(&mut listener, None, &mut take)?;
        if connected.is_some() {
            break;
        }
        let next = [there, here].into_iter().flatten().min();
        world.now = next.ok_or_else(broken)?.max(world.now);
    }
    let store = world.store.clone();
    let mut here = End::new(accepted.ok_or_else(broken)?, &store, Role::Listener);
    let mut there = End::new(connected.ok_or_else(broken)?, &store, Role::Dialer);
    // Until the dialer has shown that it holds the key, and its token is gone.
    pass(&mut world, &mut [&mut here, &mut there], CONFIRMED)?;
    add(&mut counts.connect, &world.taken());

    // The sample, as fast as it goes.
    let piece = vec![0x5a; 1 << 20];
    let mut left = bytes.min(SAMPLE);
    let total = left;
    for _ in 0..SPIN {
        while left > 0 {
            let n = usize::try_from(left)
                .unwrap_or(piece.len())
                .min(piece.len());
            let part = piece.get(..n).unwrap_or_default();
            let taken = there.connection.write(world.now, part).unwrap_or(0);
            left -= taken as u64;
            if taken < n {
                break;
            }
        }
        let until = [there.drive(&mut world)?, here.drive(&mut world)?];
        if left == 0 && here.got >= total && there.connection.is_flushed() {
            break;
        }
        let next = until.into_iter().flatten().min();
        world.now = next.ok_or_else(broken)?.max(world.now);
    }
    if here.got < total {
        return Err(broken());
    }
    add(&mut counts.carry, &world.taken());

    if idle {
        pass(&mut world, &mut [&mut here, &mut there], SAMPLE_TIME)?;
        add(&mut counts.idle, &world.taken());
    }
    for end in [&mut there, &mut here] {
        let _ = end.connection.close_write(world.now);
    }
    pass(&mut world, &mut [&mut here, &mut there], ENDING)?;
    let clean = here.connection.is_clean();
    listener.connection_ended(world.now, here.connection.id(), clean);
    world.drive(&mut listener, None, |_| {})?;
    add(&mut counts.connect, &world.taken());

    let until = world.now.after(SAMPLE_TIME);
    while let Some(next) = world.drive(&mut listener, None, |_| {})? {
        if next > until {
            break;
        }
        world.now = next.max(world.now);
    }
    counts.waiting = world.taken();
    Ok(counts)
}

fn pass(world: &mut World<'_>, ends: &mut [&mut End], time: Duration) -> Result<(), Fault> {
    let until = world.now.after(time);
    loop {
        let mut next: Option<Instant> = None;
        for end in ends.iter_mut() {
            let its = end.drive(world)?;
            next = [next, its].into_iter().flatten().min();
        }
        match next {
            Some(next) if next <= until => world.now = next.max(world.now),
            _ => break,
        }
    }
    world.now = until;
    Ok(())
}

pub(super) fn add(sum: &mut Count, more: &Count) {
    for (class, n) in more {
        *sum.entry(class).or_default() += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stillwire_azure::blob::{LARGEST_CHUNK, Limits};

    fn profile() -> Profile {
        let limits = Limits::default();
        Profile {
            largest_chunk: LARGEST_CHUNK,
            bytes_per_write: limits.bytes_per_write,
            bytes_per_read: limits.bytes_per_read,
            writes_before_rotation: Some(limits.writes_before_rotation),
            shortest_poll: Duration::from_millis(10),
            ..MemoryStore::new().profile()
        }
    }

    fn of(count: &Count, class: Class) -> u64 {
        count.get(class.name()).copied().unwrap_or_default()
    }

    #[test]
    fn silence_costs_a_look_for_every_pause_and_a_ping_every_half_minute() {
        use stillwire_core::aznet::Policy;
        // Milliseconds between looks after a silent minute, as docs/src/cost.md has them.
        for (policy, pause) in [
            (Policy::Latency, 250),
            (Policy::Balanced, 2_000),
            (Policy::Thrift, 15_000),
        ] {
            let config = Config {
                policy,
                ..Config::default()
            };
            let counts = count("azblob", &profile(), &config, 0, true).unwrap();
            let looks = of(&counts.idle, Class::Read) / 2;
            let least = 3_600_000 / pause;
            // The first minute is dearer, and a look that meets a ping is followed by another.
            assert!(
                (least..least * 3 / 2).contains(&looks),
                "{policy:?}: {looks} looks an hour and side, at the least {least}"
            );
            assert_eq!(
                of(&counts.idle, Class::Write),
                240,
                "two pings a minute each"
            );
            assert_eq!(of(&counts.waiting, Class::List), 3_600, "a look a second");
        }
    }

    #[test]
    fn bulk_takes_one_append_for_sixteen_mebibytes() {
        let counts = count("azblob", &profile(), &Config::default(), 64 << 20, false).unwrap();
        let writes = of(&counts.carry, Class::Write);
        assert!((4..=7).contains(&writes), "{counts:?}");
        assert!(of(&counts.carry, Class::Read) >= 4, "{counts:?}");
        assert_eq!(of(&counts.carry, Class::Delete), 0);
        assert!(of(&counts.connect, Class::Write) >= 4, "{counts:?}");
        assert!(of(&counts.connect, Class::Delete) >= 3, "{counts:?}");
        assert!(counts.idle.is_empty());
    }
}
