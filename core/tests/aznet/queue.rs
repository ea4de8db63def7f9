//! A carrier like a queue: one chunk per message, several under way at once, messages that are
//! hidden when they are got, come in any order and twice, and are removed by request.

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stillwire_core::aznet::handshake::Split;
use stillwire_core::aznet::{Config, Connection, ConnectionEvent, ConnectionId};
use stillwire_core::store::{Failure, FailureKind, Operation, Profile, Reply, Request, Role};
use stillwire_core::{Channel, Error, Input, Instant, Machine, Output, Read};

pub(crate) const CHUNK: usize = 1_024;
const BATCH: usize = 32;
const VISIBILITY: Duration = Duration::from_secs(5);

pub(crate) fn profile() -> Profile {
    Profile {
        name: "queue",
        largest_chunk: CHUNK,
        bytes_per_write: CHUNK,
        bytes_per_read: BATCH * CHUNK,
        writes_in_flight: 16,
        releases_in_flight: 8,
        writes_before_rotation: None,
        sequences: None,
        tokens_in_sight: None,
        shortest_poll: Duration::from_millis(10),
    }
}

struct Message {
    sequence: u64,
    bytes: Bytes,
    hidden_until: Instant,
}

/// A request on its way.
pub(crate) struct Going {
    pub(crate) request: Request,
    due: Instant,
}

pub(crate) struct End {
    pub(crate) conn: Connection,
    pub(crate) going: Vec<Going>,
    pub(crate) received: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) events: Vec<ConnectionEvent>,
    held: BTreeMap<u64, Bytes>,
    removable: BTreeSet<u64>,
    next: Option<Instant>,
    /// Every try of every write, for comparison.
    pub(crate) tries: Vec<(u64, Bytes)>,
    /// Bytes of the writes in flight, at their most.
    pub(crate) most_in_flight: usize,
}

impl End {
    pub(crate) fn closed(&self) -> Option<&Result<(), Error>> {
        self.events.iter().find_map(|event| match event {
            ConnectionEvent::Closed(how) => Some(how),
            _ => None,
        })
    }

    pub(crate) fn writes(&self) -> Vec<&Request> {
        let requests = self.going.iter().map(|going| &going.request);
        requests
            .filter(|request| matches!(request.operation, Operation::Write { .. }))
            .collect()
    }
}

/// Two connected ends, their two queues, and what goes wrong, in thousandths.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) ends: [End; 2],
    /// What the dialer writes, what the listener writes.
    queues: [Vec<Message>; 2],
    pub(crate) removed: bool,
    rng: u64,
    pub(crate) lost_requests: u64,
    pub(crate) lost_replies: u64,
    /// Releases fail with this.
    pub(crate) unreleasable: Option<FailureKind>,
}

impl Pair {
    pub(crate) fn new(config: &Config, profile: &Profile, seed: u64) -> Self {
        let now = Instant::from_millis(1_000);
        let end = |role| {
            let split = Split {
                hash: [3; 32],
                i2r: [1; 32].into(),
                r2i: [2; 32].into(),
            };
            let id = ConnectionId::from_random([7; 16]);
            let (profile, config) = (profile.clone(), config.clone());
            End {
                conn: Connection::new(role, id, split, profile, config, now),
                going: Vec::new(),
                received: Vec::new(),
                ended: false,
                events: Vec::new(),
                held: BTreeMap::new(),
                removable: BTreeSet::new(),
                next: None,
                tries: Vec::new(),
                most_in_flight: 0,
            }
        };
        Self {
            now,
            ends: [end(Role::Dialer), end(Role::Listener)],
            queues: [Vec::new(), Vec::new()],
            removed: false,
            rng: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            lost_requests: 0,
            lost_replies: 0,
            unreleasable: None,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        (self.rng >> 11) % below
    }

    /// Polls one end until *wait*; its requests take between 1 and 60 ms.
    pub(crate) fn poll(&mut self, at: usize) {
        loop {
            match self.ends[at].conn.poll(self.now) {
                Output::Store(request) => {
                    let delay = Duration::from_millis(1 + self.random(60));
                    if let Operation::Write {
                        sequence,
                        bytes,
                        chunks,
                    } = &request.operation
                    {
                        assert_eq!(chunks[..], [bytes.len() as u32], "one chunk per write");
                        self.ends[at].tries.push((*sequence, bytes.clone()));
                    }
                    let due = self.now.after(delay);
                    self.ends[at].going.push(Going { request, due });
                }
                Output::Event(event) => self.ends[at].events.push(event),
                Output::Wait(next) => {
                    self.ends[at].next = next;
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        let length = |request: &&Request| match &request.operation {
            Operation::Write { bytes, .. } => bytes.len(),
            _ => 0,
        };
        let flying = self.ends[at].writes().iter().map(length).sum();
        self.ends[at].most_in_flight = self.ends[at].most_in_flight.max(flying);
    }

    /// Ends one request of an end as told.
    pub(crate) fn answer(&mut self, at: usize, which: usize, result: Result<Reply, Failure>) {
        let going = self.ends[at].going.remove(which);
        let input = Input::Reply(going.request.id, result);
        let _ = self.ends[at].conn.handle(self.now, input);
        self.poll(at);
    }

    /// Performs one request of an end and answers it, unless something is lost.
    pub(crate) fn perform(&mut self, at: usize, which: usize) {
        let request = self.ends[at].going[which].request.clone();
        let lost = || Failure::new(FailureKind::Unreachable, "lost").maybe_landed();
        if self.random(1_000) < self.lost_requests {
            return self.answer(at, which, Err(lost()));
        }
        let lose = self.random(1_000) < self.lost_replies;
        let result = self.act(at, &request, lose);
        self.answer(at, which, if lose { Err(lost()) } else { result });
    }

    fn act(&mut self, at: usize, request: &Request, lost: bool) -> Result<Reply, Failure> {
        let gone = || Failure::new(FailureKind::NotFound, "the queue is gone");
        match &request.operation {
            Operation::DeleteToken { .. } => Ok(Reply::Done),
            Operation::DeleteSession { .. } => {
                self.removed = true;
                Ok(Reply::Done)
            }
            Operation::Write { .. } if self.removed => Err(gone()),
            Operation::Write {
                sequence, bytes, ..
            } => {
                self.queues[at].push(Message {
                    sequence: *sequence,
                    bytes: bytes.clone(),
                    hidden_until: self.now,
                });
                Ok(Reply::Done)
            }
            Operation::Read { .. } if self.removed => Ok(Reply::Nothing { missing: true }),
            Operation::Read { sequence, .. } => Ok(self.read(at, *sequence, lost)),
            Operation::Release { .. } => {
                if let Some(kind) = self.unreleasable {
                    return Err(Failure::new(kind, "no"));
                }
                let first = self.ends[at].removable.pop_first();
                if let Some(first) = first {
                    self.queues[1 - at].retain(|message| message.sequence != first);
                }
                Ok(Reply::Released {
                    removed: u32::from(first.is_some()),
                    left: self.ends[at].removable.len() as u32,
                })
            }
            other => panic!("{other:?}"),
        }
    }

    /// Up to a batch of what can be seen, not quite in order. What is `lost` is only hidden.
    fn read(&mut self, at: usize, next: u64, lost: bool) -> Reply {
        let mut taken = 0;
        let start = self.random(3) as usize;
        for index in start..self.queues[1 - at].len() {
            let now = self.now;
            let message = &mut self.queues[1 - at][index];
            if message.hidden_until > now || taken == BATCH {
                continue;
            }
            taken += 1;
            message.hidden_until = now.after(VISIBILITY);
            if lost {
                continue;
            }
            let (sequence, bytes) = (message.sequence, message.bytes.clone());
            self.ends[at].removable.insert(sequence);
            if sequence >= next {
                self.ends[at].held.insert(sequence, bytes);
            }
        }
        if lost {
            return Reply::Nothing { missing: false };
        }
        let end = &mut self.ends[at];
        end.held = end.held.split_off(&next);
        let (mut bytes, mut sequence) = (Vec::new(), next);
        while bytes.len() < (BATCH - 1) * CHUNK
            && let Some(chunk) = end.held.remove(&sequence)
        {
            bytes.extend_from_slice(&chunk);
            sequence += 1;
        }
        match (bytes.is_empty(), end.held.is_empty()) {
            (false, _) => Reply::Data {
                bytes: bytes.into(),
                more: taken == BATCH || end.held.contains_key(&sequence),
            },
            (true, true) if taken == 0 => Reply::Nothing { missing: false },
            (true, empty) => Reply::NotYet {
                gap: !empty,
                more: taken == BATCH,
            },
        }
    }

    /// Reads all there is at both ends.
    pub(crate) fn drain(&mut self) {
        for at in 0..2 {
            let mut buffer = [0; 3_000];
            let end = &mut self.ends[at];
            loop {
                match end.conn.read(self.now, &mut buffer) {
                    Ok(Read::Data(n)) => end.received.extend_from_slice(&buffer[..n]),
                    Ok(Read::End) => {
                        end.ended = true;
                        break;
                    }
                    _ => break,
                }
            }
            self.poll(at);
        }
    }

    /// Lets time pass from one event to the next; stops early when `until` says so.
    pub(crate) fn run(&mut self, time: Duration, until: impl Fn(&Self) -> bool) {
        let end = self.now.after(time);
        self.drain();
        while !until(self) {
            let requests = self.ends.iter().flat_map(|end| &end.going);
            let due = requests.map(|going| going.due);
            let deadlines = self.ends.iter().filter_map(|end| end.next);
            let Some(next) = due.chain(deadlines).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = next.max(self.now);
            for at in 0..2 {
                let now = self.now;
                let ready = |going: &Going| going.due <= now;
                while let Some(which) = self.ends[at].going.iter().position(ready) {
                    self.perform(at, which);
                    self.drain();
                    if until(self) {
                        return;
                    }
                    if self.ends[at].going.is_empty() {
                        break;
                    }
                }
                self.poll(at);
            }
            self.drain();
        }
        self.now = self.now.max(if until(self) { self.now } else { end });
    }
}
