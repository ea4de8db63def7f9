//! The peer's direction: reads into chunks, chunks into frames, frames into plaintext.
//!
//! Chunks are opened where they lie; the application's bytes are slices of what came in.

use super::block::DONE;
use super::config::Config;
use super::news::News;
use super::plain::Plain;
use super::polling::Poller;
use super::release::Releases;
use super::retry::{Ids, Task};
use super::stats::{Stats, add};
use super::wire::chunk::{self, OVERHEAD, Opener, PREFIX};
use super::wire::frame::{self, HEADER, kind};
use crate::error::{Class, Error};
use crate::store::{
    Direction, Failure, FailureKind, Operation, Profile, Reply, Request, RequestId,
};
use crate::time::Instant;
use bytes::{Buf, Bytes, BytesMut};
use core::time::Duration;

/// Bytes that a read which is known to find some is given time for at first.
const LIKELY: usize = 1 << 20;

/// The smallest range asked for, however slow the line.
const LEAST: usize = 1 << 16;

/// A frame whose payload is not all there yet.
#[derive(Clone, Copy)]
struct Current {
    kind: u8,
    left: usize,
}

pub(super) struct Inbound {
    opener: Opener,
    /// A chunk that is not all there, prefix included.
    partial: BytesMut,
    head: [u8; HEADER],
    head_length: usize,
    current: Option<Current>,
    plain: Plain,
    pub(super) fin: bool,
    read: Option<Task>,
    rotation: Option<Task>,
    pub(super) releases: Releases,
    /// What came last comes after something that is missing.
    pub(super) gap: bool,
    places: u32,
    /// A rotate frame came: nothing may follow in this place.
    rotating: bool,
    poller: Poller,
    /// Bytes asked for at once: quartered by a time-out, doubled by success.
    limit: usize,
    /// The last read left something behind.
    more: bool,
    discard: bool,
    /// Since when the place has been missing though it was there before.
    pub(super) missing_since: Option<Instant>,
    seen: bool,
    warned: bool,
    opened_bytes: u64,
}

impl Inbound {
    pub(super) fn new(opener: Opener, poller: Poller, profile: &Profile, config: &Config) -> Self {
        Self {
            opener,
            partial: BytesMut::new(),
            head: [0; HEADER],
            head_length: 0,
            current: None,
            plain: Plain::default(),
            fin: false,
            read: None,
            rotation: None,
            releases: Releases::new(profile),
            gap: false,
            places: 0,
            rotating: false,
            poller,
            limit: Self::most(profile, config),
            more: false,
            discard: false,
            missing_since: None,
            seen: false,
            warned: false,
            opened_bytes: 0,
        }
    }

    fn most(profile: &Profile, config: &Config) -> usize {
        let buffer = config.receive_buffer.max(profile.largest_chunk);
        profile.bytes_per_read.min(buffer)
    }

    /// The longest that passes between two looks.
    pub(super) fn longest_pause(&self) -> Duration {
        self.poller.longest_pause()
    }

    pub(super) fn buffered(&self) -> usize {
        self.plain.length()
    }

    /// Copies plaintext out.
    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        self.plain.take(out)
    }

    /// From now on bytes are authenticated, counted and dropped: nobody will read them.
    pub(super) fn discard(&mut self) {
        self.discard = true;
        self.plain = Plain::default();
    }

    /// True when the application holds us back from fetching.
    pub(super) fn is_full(&self, config: &Config) -> bool {
        !self.fin && self.buffered() > config.receive_buffer / 2
    }

    /// We sent something, which took so long: look sooner.
    pub(super) fn expect(&mut self, now: Instant, took: Duration) {
        self.poller.expect(now, took);
    }

    /// Only a farewell is to come.
    pub(super) fn linger(&mut self, now: Instant) {
        self.poller.linger(now);
    }

    /// The next request; `sending` while our own direction carries a bulk stream.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        sending: bool,
        profile: &Profile,
        config: &Config,
        ids: &mut Ids,
        stats: &mut Stats,
    ) -> Option<Request> {
        if let Some(task) = &mut self.rotation {
            let request = task.start(now, ids, config.request_timeout);
            add(&mut stats.other_requests, u64::from(request.is_some()));
            return request;
        }
        if self.read.is_none() && !self.is_held_back(config) && self.poller.due() <= now {
            let operation = Operation::Read {
                sequence: self.opener.sequence(),
                limit: self.limit,
            };
            self.read = Some(Task::new(operation, now));
            self.poller.looking(now, sending);
        }
        let tries = self.read.as_ref().map_or(0, |task| task.tries);
        let timeout = self.patience(tries, profile, config);
        if let Some(task) = &mut self.read
            && let Some(request) = task.start(now, ids, timeout)
        {
            add(&mut stats.retries, u64::from(task.tries > 1));
            return Some(request);
        }
        let sequence = self.opener.sequence();
        self.releases.poll(now, sequence, config, ids, stats)
    }

    /// True when nothing more is fetched for now.
    fn is_held_back(&self, config: &Config) -> bool {
        self.is_full(config) || self.releases.is_behind()
    }

    /// A read that probably finds nothing should not hang for as long as a full one may take;
    /// one that timed out may have had more to bring than we thought.
    fn patience(&self, tries: u32, profile: &Profile, config: &Config) -> Duration {
        let full = config.try_timeout(profile.bytes_per_read);
        let first = if self.more {
            config.try_timeout(LIKELY)
        } else {
            config.request_timeout
        };
        let grown = 1_u32.checked_shl(tries.min(8)).unwrap_or(1);
        // Several tries must fit into the idle time: an answer may be lost without a sound.
        let most = full.min(config.idle_timeout.checked_div(4).unwrap_or_default());
        first
            .saturating_mul(grown)
            .min(most)
            .max(config.request_timeout)
    }

    pub(super) fn deadline(&self, config: &Config) -> Option<Instant> {
        if let Some(task) = &self.rotation {
            return task.deadline();
        }
        let read = match &self.read {
            Some(task) => task.deadline(),
            None if self.is_held_back(config) => None,
            None => Some(self.poller.due()),
        };
        [read, self.releases.deadline()].into_iter().flatten().min()
    }

    pub(super) fn owns(&self, id: RequestId) -> bool {
        [&self.rotation, &self.read]
            .into_iter()
            .flatten()
            .any(|task| task.is(id))
    }

    pub(super) fn reply(
        &mut self,
        now: Instant,
        reply: Reply,
        profile: &Profile,
        config: &Config,
        stats: &mut Stats,
    ) -> Result<News, Error> {
        match reply {
            Reply::Done => {
                self.rotation = None;
                self.rotating = false;
                self.seen = false;
                add(&mut stats.rotations, 1);
                self.poller.soon(now);
                Ok(News::default())
            }
            Reply::Data { bytes, more } => {
                self.read = None;
                self.gap = false;
                self.seen = true;
                self.missing_since = None;
                add(&mut stats.reads, 1);
                self.more = more;
                let most = Self::most(profile, config);
                let asked = self.limit;
                self.limit = asked.saturating_mul(2).min(most);
                let length = bytes.len();
                let before = stats.chunks_opened;
                let news = self.bytes(now, bytes, profile, config, stats)?;
                self.releases
                    .taken_in(now, stats.chunks_opened.saturating_sub(before));
                if news.frames || more {
                    self.poller.found(now, length, asked, more);
                } else {
                    // A ping tells that the peer lives, not that data is coming.
                    self.poller.missed(now);
                }
                Ok(news)
            }
            Reply::NotYet { gap, more } => {
                self.read = None;
                self.more = more;
                self.gap = gap;
                self.seen = true;
                self.missing_since = None;
                add(&mut stats.empty_reads, 1);
                if more {
                    self.poller.soon(now);
                } else {
                    self.poller.missed(now);
                }
                Ok(News::default())
            }
            Reply::Nothing { missing } => {
                self.read = None;
                self.gap = false;
                self.more = false;
                add(&mut stats.empty_reads, 1);
                if !missing {
                    self.seen = true;
                    self.missing_since = None;
                } else if self.seen && self.missing_since.is_none() {
                    self.missing_since = Some(now);
                }
                self.poller.missed(now);
                Ok(News::default())
            }
            _ => Err(Error::Misuse("the reply does not answer the request")),
        }
    }

    pub(super) fn failed(
        &mut self,
        now: Instant,
        failure: &Failure,
        profile: &Profile,
        config: &Config,
    ) -> Result<(), Error> {
        if failure.kind == FailureKind::TimedOut {
            // A slow line: ask for less, so that an answer fits into the time of a try.
            let least = match profile.writes_before_rotation {
                Some(_) => LEAST.min(profile.largest_chunk),
                // Queue and table give out whole chunks only.
                None => profile.largest_chunk,
            };
            let most = Self::most(profile, config);
            self.limit = (self.limit / 4).max(least).min(most);
            if let Some(task) = &mut self.read {
                task.limit_read(self.limit);
            }
        }
        let Some(task) = self.rotation.as_mut().or(self.read.as_mut()) else {
            return Ok(());
        };
        task.failed(now, config, failure.clone())
            .map_err(Error::Store)
    }

    /// Takes stored bytes in, in any split.
    fn bytes(
        &mut self,
        now: Instant,
        mut bytes: Bytes,
        profile: &Profile,
        config: &Config,
        stats: &mut Stats,
    ) -> Result<News, Error> {
        let mut news = News::default();
        self.plain.reading(bytes.len());
        // First the rest of a chunk that began earlier, so that only that one is copied.
        while !self.partial.is_empty() {
            let wanted = match self.partial.first_chunk::<PREFIX>() {
                Some(prefix) => {
                    chunk::declared(*prefix, profile.largest_chunk)?.saturating_add(PREFIX)
                }
                None => PREFIX,
            };
            // Not before: a prefix is judged when its last byte is there.
            if bytes.is_empty() {
                break;
            }
            let missing = wanted.saturating_sub(self.partial.len());
            self.partial.reserve(missing);
            let taken = bytes.split_to(missing.min(bytes.len()));
            self.partial.extend_from_slice(&taken);
            if wanted > PREFIX && self.partial.len() == wanted {
                let whole = core::mem::take(&mut self.partial);
                self.chunk(now, whole, profile, config, stats, &mut news)?;
            }
        }
        let mut rest = bytes
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&*shared));
        while let Some(prefix) = rest.first_chunk::<PREFIX>() {
            let whole = chunk::declared(*prefix, profile.largest_chunk)?.saturating_add(PREFIX);
            if rest.len() < whole {
                break;
            }
            let this = rest.split_to(whole);
            self.chunk(now, this, profile, config, stats, &mut news)?;
        }
        if !rest.is_empty() {
            if self.rotating {
                return Err(AFTER_ROTATE);
            }
            news.frames = true;
            // A copy, so that a few bytes do not keep a large buffer alive.
            self.partial = BytesMut::from(&*rest);
        }
        Ok(news)
    }

    fn chunk(
        &mut self,
        now: Instant,
        mut whole: BytesMut,
        profile: &Profile,
        config: &Config,
        stats: &mut Stats,
        news: &mut News,
    ) -> Result<(), Error> {
        if self.rotating {
            return Err(AFTER_ROTATE);
        }
        whole.advance(PREFIX);
        let length = self.opener.open(&mut whole)?;
        whole.truncate(length);
        news.opened = true;
        add(&mut stats.chunks_opened, 1);
        add(&mut self.opened_bytes, length as u64);
        if self.opened_bytes > config.data_limit {
            return Err(Error::limit(
                Class::DataLimit,
                "the peer's key has carried all the bytes it may; open a new connection",
            ));
        }
        self.frames(now, whole, profile, stats, news)
    }

    /// True once when seven eighths of the peer's key budget are used.
    pub(super) fn budget_warning(&mut self, config: &Config) -> bool {
        let line = config.data_limit.saturating_sub(config.data_limit / 8);
        let warn = !self.warned && self.opened_bytes >= line;
        self.warned |= warn;
        warn
    }

    fn frames(
        &mut self,
        now: Instant,
        mut plain: BytesMut,
        profile: &Profile,
        stats: &mut Stats,
        news: &mut News,
    ) -> Result<(), Error> {
        let limit = profile.largest_chunk.saturating_sub(OVERHEAD + HEADER);
        loop {
            let current = match self.current {
                Some(current) => current,
                None => match self.frame_header(&mut plain, limit)? {
                    Some(current) => current,
                    None => return Ok(()),
                },
            };
            let payload = plain.split_to(current.left.min(plain.len()));
            let left = current.left.saturating_sub(payload.len());
            if current.kind == kind::DATA && !payload.is_empty() {
                add(&mut stats.bytes_received, payload.len() as u64);
                if !self.discard {
                    self.plain.keep(payload);
                }
            }
            if left > 0 {
                news.frames = true;
                self.current = Some(Current { left, ..current });
                return Ok(());
            }
            self.current = None;
            let first = stats.chunks_opened == 1 && !news.frames;
            news.greeted |= first && current.kind == kind::PING;
            news.frames |= !matches!(current.kind, kind::PING | kind::ROTATE);
            match current.kind {
                kind::FIN => {
                    self.fin = true;
                    self.releases.stop();
                    news.fin = true;
                }
                kind::ROTATE => {
                    if !plain.is_empty() {
                        return Err(AFTER_ROTATE);
                    }
                    if profile.writes_before_rotation.is_none() {
                        return Err(Error::peer(
                            Class::State,
                            "a rotate frame on a carrier that does not rotate",
                        ));
                    }
                    self.turn(now);
                }
                DONE => news.done = true,
                _ => {}
            }
        }
    }

    /// Reads a header, perhaps over several chunks, and judges it before its payload is there.
    fn frame_header(
        &mut self,
        plain: &mut BytesMut,
        limit: usize,
    ) -> Result<Option<Current>, Error> {
        let missing = HEADER.saturating_sub(self.head_length);
        let taken = plain.split_to(missing.min(plain.len()));
        if let Some(to) = self.head.get_mut(self.head_length..)
            && let Some(to) = to.get_mut(..taken.len())
        {
            to.copy_from_slice(&taken);
        }
        self.head_length = self.head_length.saturating_add(taken.len());
        if self.head_length < HEADER {
            return Ok(None);
        }
        self.head_length = 0;
        let header = frame::parse_header(self.head, limit)?;
        if self.fin && matches!(header.kind, kind::DATA | kind::FIN | kind::ROTATE) {
            return Err(Error::peer(
                Class::State,
                "the peer went on after it had ended its stream",
            ));
        }
        Ok(Some(Current {
            kind: header.kind,
            left: header.length,
        }))
    }

    fn turn(&mut self, now: Instant) {
        self.rotating = true;
        self.places = self.places.saturating_add(1);
        let operation = Operation::Rotate {
            direction: Direction::Inbound,
            number: self.places,
        };
        self.rotation = Some(Task::new(operation, now));
    }
}

const AFTER_ROTATE: Error = Error::peer(Class::State, "bytes follow a rotate frame in its blob");
