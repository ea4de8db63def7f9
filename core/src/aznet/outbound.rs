//! Our direction: application bytes into frames, frames into chunks, chunks into writes.
//!
//! While a write is in flight, later bytes gather in the open block, so there is at most one write
//! per round trip however small the application's writes are. Where a carrier takes several writes
//! at once, only a full block joins those in flight, or one that ends the stream. A chunk is sealed
//! once; a retry sends the same bytes under the same sequence number.

use super::block::{Block, DONE};
use super::config::Config;
use super::polling::BULK;
use super::retry::{Ids, Task};
use super::stats::{Stats, add};
use super::window::Window;
use super::wire::chunk::Sealer;
use super::wire::frame::kind;
use crate::error::{Class, Error};
use crate::store::{Direction, Failure, FailureKind, Operation, Profile, Request, RequestId, Role};
use crate::time::Instant;
use alloc::collections::VecDeque;
use core::time::Duration;

/// How far our end mark has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    Open,
    /// Asked for; goes out behind the last byte.
    Wanted,
    Sealed,
    Stored,
}

struct Flight {
    task: Task,
    /// Nothing was stored when its last try went out: the place may not have been there yet.
    early: bool,
    /// Application bytes in it.
    data: u64,
    fin: bool,
    /// Carries the farewell.
    done: bool,
    rotate: bool,
}

pub(super) struct Outbound {
    role: Role,
    sealer: Sealer,
    block: Block,
    flights: VecDeque<Flight>,
    window: Window,
    rotation: Option<Task>,
    /// Writes stored in, or on their way to, the present place.
    writes_in_place: u32,
    places: u32,
    fin: Fin,
    ping: bool,
    /// The farewell behind our end mark: all of the peer's stream was read.
    done: bool,
    done_sealed: bool,
    any_stored: bool,
    warned: bool,
    pub(super) last_sealed: Instant,
}

impl Outbound {
    pub(super) fn new(role: Role, sealer: Sealer, now: Instant) -> Self {
        Self {
            role,
            sealer,
            block: Block::default(),
            flights: VecDeque::new(),
            window: Window::default(),
            rotation: None,
            writes_in_place: 0,
            places: 0,
            fin: Fin::Open,
            ping: false,
            done: false,
            done_sealed: false,
            any_stored: false,
            warned: false,
            last_sealed: now,
        }
    }

    pub(super) fn write(
        &mut self,
        now: Instant,
        data: &[u8],
        profile: &Profile,
        config: &Config,
        stats: &mut Stats,
    ) -> Result<usize, Error> {
        if self.fin != Fin::Open {
            return Err(Error::Misuse("this direction was already closed"));
        }
        let used = self
            .sealer
            .sealed_bytes()
            .saturating_add(self.block.open_bytes() as u64);
        let left = config.data_limit.saturating_sub(used);
        let fits = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        let data = data.get(..fits).unwrap_or_default();
        if fits == 0 && left == 0 {
            return Err(Error::limit(
                Class::DataLimit,
                "this key has sealed all the bytes it may; open a new connection",
            ));
        }
        if self.sequences_left(profile) == 0 {
            return Err(Error::limit(
                Class::NonceLimit,
                "all sequence numbers are used; open a new connection",
            ));
        }
        if self.role == Role::Dialer && !self.any_sealed() && self.block.is_empty() {
            // The greeting: a Go dialer's first frame is never a ping.
            let limit = profile.bytes_per_write;
            let sealer = &mut self.sealer;
            self.block.control(kind::PING, profile, limit, sealer)?;
        }
        let mut taken = self.block.write(data, profile, config, &mut self.sealer)?;
        // A full block goes in flight here and makes room for the next, where several may be.
        while self.window.size(profile, config) > 1
            && let Some(rest) = data.get(taken..).filter(|rest| !rest.is_empty())
            && self.sequences_left(profile) > 0
            && self.may_seal(profile, config)
            && self.seal(now, profile, stats)?
        {
            let more = self.block.write(rest, profile, config, &mut self.sealer)?;
            taken = taken.saturating_add(more);
        }
        add(&mut stats.bytes_written, taken as u64);
        Ok(taken)
    }

    /// Sequence numbers that data may still use; a few are kept for the end mark.
    fn sequences_left(&self, profile: &Profile) -> u64 {
        let all = profile.sequences.unwrap_or(u64::MAX);
        all.saturating_sub(self.sealer.sequence()).saturating_sub(8)
    }

    pub(super) fn has_room(&self, profile: &Profile, config: &Config) -> bool {
        self.fin == Fin::Open && self.block.has_room(profile, config)
    }

    pub(super) fn close(&mut self) {
        if self.fin == Fin::Open {
            self.fin = Fin::Wanted;
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.fin != Fin::Open
    }

    pub(super) fn fin_stored(&self) -> bool {
        self.fin == Fin::Stored && self.flights.iter().all(|flight| flight.data == 0)
    }

    pub(super) fn any_sealed(&self) -> bool {
        self.sealer.sequence() > 0
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.block.is_empty()
            && self.flights.is_empty()
            && !matches!(self.fin, Fin::Wanted | Fin::Sealed)
    }

    /// True when a ping could go out now.
    pub(super) fn may_ping(&self) -> bool {
        self.is_flushed() && self.rotation.is_none() && !self.ping
    }

    /// Asks for a ping, unless something is on its way already.
    pub(super) fn ping(&mut self) {
        self.ping = self.block.is_empty();
    }

    /// Says the farewell, once.
    pub(super) fn say_done(&mut self) {
        self.done = !self.done_sealed;
    }

    /// True when the farewell may go: our end mark is out, or goes with it, and all data is stored.
    /// A session that is gone once the farewell went out can then not have taken data with it.
    fn may_say_done(&self) -> bool {
        self.done
            && self.fin != Fin::Open
            && !self.block.has_data()
            && self.flights.iter().all(|flight| flight.data == 0)
    }

    /// True when the farewell was asked for and is stored or was given up.
    pub(super) fn said_done(&self) -> bool {
        self.done_sealed && self.flights.is_empty()
    }

    /// True once when seven eighths of the key's budget are used.
    pub(super) fn budget_warning(&mut self, config: &Config) -> bool {
        let line = config.data_limit.saturating_sub(config.data_limit / 8);
        let warn = !self.warned && self.sealer.sealed_bytes() >= line;
        self.warned |= warn;
        warn
    }

    /// The next request that is due now.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        profile: &Profile,
        config: &Config,
        ids: &mut Ids,
        stats: &mut Stats,
    ) -> Result<Option<Request>, Error> {
        for flight in &mut self.flights {
            let bytes = match flight.task.operation() {
                Operation::Write { bytes, .. } => bytes.len(),
                _ => 0,
            };
            if let Some(request) = flight.task.start(now, ids, config.try_timeout(bytes)) {
                flight.early = !self.any_stored;
                add(&mut stats.writes, 1);
                add(&mut stats.retries, u64::from(flight.task.tries > 1));
                return Ok(Some(request));
            }
        }
        if let Some(task) = &mut self.rotation {
            if !self.flights.is_empty() {
                // An earlier write still belongs into the old place.
                return Ok(None);
            }
            let request = task.start(now, ids, config.request_timeout);
            if request.is_some() {
                add(&mut stats.other_requests, 1);
                add(&mut stats.retries, u64::from(task.tries > 1));
            }
            return Ok(request);
        }
        if !self.may_seal(profile, config) {
            return Ok(None);
        }
        if !self.seal(now, profile, stats)? {
            return Ok(None);
        }
        self.poll(now, profile, config, ids, stats)
    }

    /// True while a bulk stream goes out.
    pub(super) fn is_bulk(&self) -> bool {
        self.block.length() >= BULK || self.flights.iter().any(|f| f.data >= BULK as u64)
    }

    /// True when a write is in flight that nobody has been given to perform.
    pub(super) fn has_fresh(&self) -> bool {
        self.flights.iter().any(|flight| flight.task.tries == 0)
    }

    /// True when a new write can go out now.
    pub(super) fn may_seal(&self, profile: &Profile, config: &Config) -> bool {
        let ending = self.fin == Fin::Wanted || self.may_say_done();
        if self.block.is_empty() && !self.ping && !ending {
            return false;
        }
        if self.rotation.is_some() || self.flights.iter().any(|f| f.rotate) {
            return false;
        }
        let full = || ending || !self.block.has_room(profile, config);
        let most = self.window.size(profile, config);
        self.flights.is_empty() || (self.flights.len() < most && full())
    }

    /// Closes the block, with the control frames that are wanted, and puts it in flight.
    fn seal(&mut self, now: Instant, profile: &Profile, stats: &mut Stats) -> Result<bool, Error> {
        let limit = profile.bytes_per_write;
        let mut fin = false;
        if self.role == Role::Dialer && !self.any_sealed() && self.block.is_empty() {
            self.block
                .control(kind::PING, profile, limit, &mut self.sealer)?;
            self.ping = false;
            add(&mut stats.pings, 1);
        }
        if self.fin == Fin::Wanted {
            fin = self
                .block
                .control(kind::FIN, profile, limit, &mut self.sealer)?;
            if fin {
                self.fin = Fin::Sealed;
            }
        }
        let fin_out = matches!(self.fin, Fin::Sealed | Fin::Stored);
        let mut done = false;
        if fin_out && self.may_say_done() {
            done = self.block.control(DONE, profile, limit, &mut self.sealer)?;
            self.done_sealed |= done;
            self.done = !done;
        }
        if self.ping {
            self.ping = false;
            if self.block.is_empty() {
                self.block
                    .control(kind::PING, profile, limit, &mut self.sealer)?;
                add(&mut stats.pings, 1);
            }
        }
        let last_in_place = profile
            .writes_before_rotation
            .is_some_and(|most| self.writes_in_place.saturating_add(1) >= most.max(2));
        let mut rotate = false;
        if last_in_place && !fin_out {
            self.block.end_chunk(&mut self.sealer)?;
            rotate = self
                .block
                .control(kind::ROTATE, profile, limit, &mut self.sealer)?;
        }
        self.block.end_chunk(&mut self.sealer)?;
        let Some((sealed, data)) = self.block.take() else {
            return Ok(false);
        };
        add(&mut stats.chunks_sealed, sealed.chunks.len() as u64);
        let operation = Operation::Write {
            sequence: sealed.sequence,
            chunks: sealed.chunks,
            bytes: sealed.bytes,
        };
        self.writes_in_place = self.writes_in_place.saturating_add(1);
        self.last_sealed = now;
        self.flights.push_back(Flight {
            task: Task::new(operation, now),
            early: false,
            data,
            fin,
            done,
            rotate,
        });
        Ok(true)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let flights = self.flights.iter().filter_map(|f| f.task.deadline());
        let rotation = self.rotation.as_ref().and_then(Task::deadline);
        let rotation = rotation.filter(|_| self.flights.is_empty());
        flights.chain(rotation).min()
    }

    /// A request succeeded. If that may make the peer answer: how long the request took.
    pub(super) fn done(
        &mut self,
        now: Instant,
        id: RequestId,
        profile: &Profile,
        config: &Config,
        stats: &mut Stats,
    ) -> Option<Duration> {
        if self.rotation.as_ref().is_some_and(|task| task.is(id)) {
            self.rotation = None;
            self.writes_in_place = 0;
            add(&mut stats.rotations, 1);
            return None;
        }
        let at = self.flights.iter().position(|f| f.task.is(id))?;
        let flight = self.flights.remove(at)?;
        if self.flights.is_empty() {
            // An idle connection holds no room for what it may have in flight later.
            self.flights = VecDeque::new();
        }
        let took = flight.task.since_start(now);
        self.any_stored = true;
        add(&mut stats.bytes_stored, flight.data);
        if flight.rotate {
            self.places = self.places.saturating_add(1);
            let operation = Operation::Rotate {
                direction: Direction::Outbound,
                number: self.places,
            };
            self.rotation = Some(Task::new(operation, now));
        }
        if let Operation::Write { bytes, .. } = flight.task.into_operation() {
            if bytes.len() > profile.bytes_per_write / 2 {
                self.window.stored(took, profile, config);
            }
            self.block.recycle(bytes);
        }
        if flight.fin {
            self.fin = Fin::Stored;
        }
        (flight.fin || flight.data > 0).then_some(took)
    }

    /// A try failed. An error is final.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        id: RequestId,
        failure: &Failure,
        config: &Config,
    ) -> Result<(), Error> {
        if let Some(task) = self.rotation.as_mut().filter(|task| task.is(id)) {
            let outcome = task.failed(now, config, failure.clone());
            return outcome.map_err(Error::Store);
        }
        // With our end mark and the farewell in storage, the peer may have read all and cleaned up.
        let all_said = self.done_sealed
            && self.flights.iter().all(|flight| {
                let end = flight.fin || flight.done;
                !end || flight.task.may_have_landed
            });
        let fin_stored = self.fin == Fin::Stored;
        let Some(at) = self.flights.iter().position(|f| f.task.is(id)) else {
            return Ok(());
        };
        let Some(flight) = self.flights.get_mut(at) else {
            return Ok(());
        };
        let gone = failure.kind == FailureKind::NotFound;
        if all_said && gone && flight.data == 0 && flight.task.may_have_landed {
            // The listener removes the session once it has read everything up to the farewell.
            if flight.fin {
                self.fin = Fin::Stored;
            }
            self.flights.remove(at);
            return Ok(());
        }
        let farewell_only = self.done_sealed && fin_stored && !flight.fin && flight.data == 0;
        if farewell_only && !failure.is_retryable() {
            // The farewell is a courtesy: the peer may have cleaned up already.
            self.flights.remove(at);
            return Ok(());
        }
        let waited = flight.task.since_start(now);
        let early = flight.early && self.role == Role::Dialer;
        if gone && early && waited < config.connect_timeout {
            // The Go listener posts the token before it creates the blobs (wire page, trap 6).
            flight.task.again(now, failure, Duration::from_millis(100));
            return Ok(());
        }
        match flight.task.failed(now, config, failure.clone()) {
            Ok(()) => Ok(()),
            Err(_) if farewell_only => {
                self.flights.remove(at);
                Ok(())
            }
            Err(failure) => Err(Error::Store(failure)),
        }
    }

    /// Drops what was not sealed yet.
    pub(super) fn forget(&mut self) {
        self.block = Block::default();
        self.ping = false;
        self.done = false;
    }
}
