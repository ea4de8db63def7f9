//! The protocol in virtual time, its requests counted: the arithmetic of `estimate`.

use super::prices::Class;
use crate::exit::{Code, Fault};
use std::collections::BTreeMap;
use std::time::Duration;
use stillwire_azure::queue::DATED_EVERY;
use stillwire_core::aznet::{
    Config, Connection, Dialer, DialerEvent, DialerSecurity, Listener, ListenerEvent,
    ListenerSecurity,
};
use stillwire_core::store::{Failure, Operation, Profile, Reply, Request, Role};
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
/// Length, tag, and the head of the one frame of a full chunk.
const CHUNK_OVERHEAD: usize = 4 + 16 + 5;
/// Outputs of one machine at one instant, past which it would be spinning.
const SPIN: u32 = 100_000;

/// Requests, by what they are billed as.
pub(super) type Count = BTreeMap<&'static str, u64>;

/// Requests of each part of a connection's life.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Handshake, clean-up and the end: once a connection.
    pub(super) connect: Count,
    /// Carrying the sample, from the dialer to the listener.
    pub(super) carry: Count,
    /// Silence of the sample's length, both ends.
    pub(super) idle: Count,
    /// A listener that waits for so long.
    pub(super) waiting: Count,
}

/// What the two ends plan with: a grant may allow less than the account's key.
#[derive(Clone, Debug)]
pub(super) struct Profiles {
    pub(super) listener: Profile,
    pub(super) dialer: Profile,
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
        // A container and two blobs; or two queues; or two tables, each with its mark.
        Operation::CreateSession { .. } => match service {
            "azblob" => &[(List, 1), (Write, 2)],
            "aztable" => &[(Write, 4)],
            _ => &[(Write, 2)],
        },
        Operation::DeleteSession { .. } if service != "azblob" => &[(Delete, 2)],
        Operation::Rotate { .. } => &[(Write, 1)],
        _ => &[(Delete, 1)],
    }
}

struct World<'a> {
    service: &'a str,
    store: MemoryStore,
    largest_chunk: usize,
    now: Instant,
    /// When the listener's queue was last dated.
    dated: Instant,
    count: Count,
}

impl World<'_> {
    fn perform(
        &mut self,
        session: Option<(&MemorySession, Role)>,
        request: &Request,
    ) -> Result<Reply, Failure> {
        for (class, n) in billed(self.service, &request.operation) {
            self.add(*class, *n);
        }
        let role = session.map(|(_, role)| role);
        let outcome = self.answer(session.map(|(its, _)| its), request);
        if self.service == "azqueue" {
            match &request.operation {
                Operation::CreateSession { .. } => self.dated = self.now,
                Operation::Write { chunks, .. } => {
                    // A message in a queue has to be deleted by who has read it.
                    self.add(Class::Delete, chunks.len() as u64);
                    // Before a write of the listener, its queue's date is renewed when it is old.
                    if role == Some(Role::Listener) && self.now.since(self.dated) >= DATED_EVERY {
                        self.dated = self.now;
                        self.add(Class::Write, 1);
                    }
                }
                _ => {}
            }
        }
        outcome
    }

    /// What the store says; a read brings as much as it may, which memory gives in small pieces.
    fn answer(&self, session: Option<&MemorySession>, request: &Request) -> Result<Reply, Failure> {
        let outcome = self.store.perform(session, request);
        let (Operation::Read { sequence, limit }, Ok(Reply::Data { bytes, more: true })) =
            (&request.operation, &outcome)
        else {
            return outcome;
        };
        let (mut all, mut next) = (bytes.to_vec(), *sequence);
        let (mut piece, mut more) = (bytes.clone(), true);
        // A chunk in parts is gone on with by the machine.
        while let Some(chunks) = chunks(&piece) {
            next += chunks;
            let room = limit.saturating_sub(all.len());
            if !more || room < self.largest_chunk {
                break;
            }
            let mut again = request.clone();
            again.operation = Operation::Read {
                sequence: next,
                limit: room,
            };
            let Reply::Data { bytes, more: on } = self.store.perform(session, &again)? else {
                more = false;
                break;
            };
            (piece, more) = (bytes, on);
            all.extend_from_slice(&piece);
        }
        let bytes = all.into();
        Ok(Reply::Data { bytes, more })
    }

    fn add(&mut self, class: Class, n: u64) {
        *self.count.entry(class.name()).or_default() += n;
    }

    /// Polls a machine until it waits, each time after it was fed; hands out its events.
    fn drive<M: Machine>(
        &mut self,
        machine: &mut M,
        session: Option<(&MemorySession, Role)>,
        mut feed: impl FnMut(&mut M, Instant),
        mut tell: impl FnMut(M::Event),
    ) -> Result<Option<Instant>, Fault> {
        for _ in 0..SPIN {
            feed(machine, self.now);
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

/// How many chunks these are, if they are whole ones.
fn chunks(mut bytes: &[u8]) -> Option<u64> {
    let mut count = 0;
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        bytes = rest.get(usize::try_from(u32::from_be_bytes(*length)).ok()?..)?;
        count += 1;
    }
    Some(count)
}

fn broken() -> Fault {
    Fault::new(Code::Local, "the model does not come to its end").with_hint("please report this")
}

struct End {
    connection: Connection,
    session: MemorySession,
    role: Role,
    got: u64,
}

impl End {
    fn new(connection: Connection, store: &MemoryStore, role: Role) -> Self {
        Self {
            session: store.session(connection.id(), role),
            role,
            connection,
            got: 0,
        }
    }

    /// Does all that can be done now, reads what is there, and says when to look again.
    fn drive(&mut self, world: &mut World<'_>) -> Result<Option<Instant>, Fault> {
        self.drive_fed(world, |_, _| {})
    }

    /// The same, while `feed` writes what there is room for.
    fn drive_fed(
        &mut self,
        world: &mut World<'_>,
        mut feed: impl FnMut(&mut Connection, Instant),
    ) -> Result<Option<Instant>, Fault> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let session = Some((&self.session, self.role));
            let until = world.drive(&mut self.connection, session, &mut feed, |_| {})?;
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
    profiles: &Profiles,
    config: &Config,
    bytes: u64,
    idle: bool,
) -> Result<Counts, Fault> {
    let mut world = World {
        service,
        store: MemoryStore::new(),
        largest_chunk: profiles.dialer.largest_chunk,
        now: Instant::from_millis(1),
        dated: Instant::from_millis(1),
        count: Count::new(),
    };
    let mut counts = Counts::default();
    let security = ListenerSecurity::Nn;
    // Nothing that is sealed here goes anywhere: the seeds are no secret.
    let mut listener = Listener::new(
        config.clone(),
        profiles.listener.clone(),
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
    world.drive(&mut listener, None, |_, _| {}, &mut take)?;
    world.taken();

    // A dialer comes in the middle between two looks.
    let mut dialer = Dialer::new(
        config.clone(),
        profiles.dialer.clone(),
        &DialerSecurity::Nn,
        [2; 32],
        world.now,
    );
    let mut connected = None;
    for _ in 0..SPIN {
        let there = world.drive(
            &mut dialer,
            None,
            |_, _| {},
            |event| {
                if let DialerEvent::Connected(new) = event {
                    connected = Some(new.connection);
                }
            },
        )?;
        let here = world.drive(&mut listener, None, |_, _| {}, &mut take)?;
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

    // The sample, as fast as it goes: whole writes, as many as may be in flight, between two looks.
    // One frame for each chunk: pieces that cross their borders would leave a remainder.
    let chunk = profiles.dialer.largest_chunk.saturating_sub(CHUNK_OVERHEAD);
    let round = vec![0x5a; round(profiles)];
    let mut left = bytes.min(SAMPLE);
    let total = left;
    for _ in 0..SPIN {
        let most = usize::try_from(left).map_or(round.len(), |left| left.min(round.len()));
        let mut rest = round.get(..most).unwrap_or_default();
        let feed = |connection: &mut Connection, now| {
            let taken = connection.write(now, rest).unwrap_or(0);
            left -= taken as u64;
            rest = rest.get(taken..).unwrap_or_default();
            // What did not fit any more is no write of its own, unless it is the last.
            if rest.len() < chunk && left > rest.len() as u64 {
                rest = &[];
            }
        };
        let until = [there.drive_fed(&mut world, feed)?, here.drive(&mut world)?];
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
    world.drive(&mut listener, None, |_, _| {}, |_| {})?;
    add(&mut counts.connect, &world.taken());

    let until = world.now.after(SAMPLE_TIME);
    while let Some(next) = world.drive(&mut listener, None, |_, _| {}, |_| {})? {
        if next > until {
            break;
        }
        world.now = next.max(world.now);
    }
    counts.waiting = world.taken();
    Ok(counts)
}

/// What full writes carry: as many as go out at once, and no fewer than fill a read.
fn round(profiles: &Profiles) -> usize {
    let profile = &profiles.dialer;
    let out = (profile.bytes_per_write).saturating_mul(usize::from(profile.writes_in_flight));
    let most = out.max(profiles.listener.bytes_per_read);
    let chunks = most.checked_div(profile.largest_chunk).unwrap_or(1).max(1);
    chunks.saturating_mul(profile.largest_chunk.saturating_sub(CHUNK_OVERHEAD))
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

    fn profiles() -> Profiles {
        let limits = Limits::default();
        let profile = Profile {
            largest_chunk: LARGEST_CHUNK,
            bytes_per_write: limits.bytes_per_write,
            bytes_per_read: limits.bytes_per_read,
            writes_before_rotation: Some(limits.writes_before_rotation),
            shortest_poll: Duration::from_millis(10),
            ..MemoryStore::new().profile()
        };
        Profiles {
            listener: profile.clone(),
            dialer: profile,
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
            let counts = count("azblob", &profiles(), &config, 0, true).unwrap();
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
        let counts = count("azblob", &profiles(), &Config::default(), 64 << 20, false).unwrap();
        let writes = of(&counts.carry, Class::Write);
        assert!((4..=7).contains(&writes), "{counts:?}");
        assert!(of(&counts.carry, Class::Read) >= 4, "{counts:?}");
        assert_eq!(of(&counts.carry, Class::Delete), 0);
        assert!(of(&counts.connect, Class::Write) >= 4, "{counts:?}");
        assert!(of(&counts.connect, Class::Delete) >= 3, "{counts:?}");
        assert!(counts.idle.is_empty());
    }
}
