//! A session on datagrams: whole messages that may be lost, doubled or late, and never altered.
//!
//! One record per datagram. A bad datagram is dropped and counted; it never ends the session.

use super::config::Config;
use super::epochs::{Opened, Receiving, Sending};
use super::handshake::{Psk, Schedule};
use super::inbound::Inbound;
use super::link::blank;
use super::wire::control::{Control, END, announcement};
use super::wire::header::{HEADER, Header};
use super::wire::preface::MAGIC;
use super::wire::{ChannelId, Direction, TAG};
use crate::crypto::Rng;
use crate::error::{Class, Error, Timer};
use crate::machine::{Datagrammed, Input, Machine, Messages, Output, Received};
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};
use candidates::Candidates;

mod candidates;

pub use super::connection::Event;

/// How often an announcement is repeated: with each of the first records of the new epoch, and
/// an end mark at once.
const REPEATS: u8 = 4;

/// Bytes of the longest message unless the path is known to carry more: a record of 1,232 bytes,
/// which every IPv6 path takes.
pub const LONGEST: usize = 1_201;

/// What arrived and what was made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that were not authentic, or malformed.
    pub refused: u64,
    /// Authentic in form, but seen before or too old for the window.
    pub replayed: u64,
    /// Authentic messages that the application did not take in time.
    pub overflowed: u64,
}

const NOT_OPEN: Error = Error::Misuse("the session is not open yet");

enum Phase {
    /// Nobody has proved itself.
    Seeking(Candidates),
    /// With the peer's preface and ours.
    Open(Schedule, Vec<u8>, Bytes),
    Over,
}

/// One session. Keeps the contracts of [`Machine`] and [`Messages`].
///
/// Forged prefaces end nothing: the eight that spoke last are held until a record proves one of
/// them. Messages are taken from then on.
pub struct Datagrams {
    config: Config,
    longest: usize,
    phase: Phase,
    sending: Sending,
    receiving: Receiving,
    inbound: Inbound,
    out: VecDeque<Bytes>,
    queued: usize,
    /// The announcement of our epoch, sealed anew under the epoch before as often as this says.
    announce: Option<(Sending, u8)>,
    events: VecDeque<Event>,
    counters: Counters,
    /// When the peer proved itself.
    established: Option<Instant>,
    closing: bool,
    ended: bool,
    closed: bool,
    error: Option<Error>,
    started: Instant,
    heard: Instant,
    spoke: Instant,
    /// When our preface was last sent without a new one having come.
    repeated: Instant,
}

impl Datagrams {
    /// The side that speaks first; its preface is repeated until it is answered.
    pub fn initiator(config: Config, psk: Psk, mut rng: Rng, now: Instant) -> Self {
        let candidates = Candidates::of_initiator(&config, psk, &mut rng);
        let mut made = Self::new(config, candidates, Direction::InitiatorToResponder, now);
        made.repeat(now);
        made
    }

    /// The side that answers.
    pub fn responder(config: Config, psk: Psk, mut rng: Rng, now: Instant) -> Self {
        let candidates = Candidates::of_responder(&config, psk, &mut rng);
        Self::new(config, candidates, Direction::ResponderToInitiator, now)
    }

    fn new(config: Config, candidates: Candidates, ours: Direction, now: Instant) -> Self {
        Self {
            longest: LONGEST.min(config.longest()),
            phase: Phase::Seeking(candidates),
            sending: Sending::at(ours, 0),
            receiving: Receiving::at(ours.reverse(), 0, false, config.grace),
            inbound: Inbound::default(),
            out: VecDeque::new(),
            queued: 0,
            announce: None,
            events: VecDeque::new(),
            counters: Counters::default(),
            established: None,
            closing: false,
            ended: false,
            closed: false,
            error: None,
            started: now,
            heard: now,
            spoke: now,
            repeated: now,
            config,
        }
    }

    /// What was dropped so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The epoch of what we send.
    pub const fn epoch(&self) -> u32 {
        self.sending.epoch()
    }

    /// Longest message, when the path is known to carry it whole.
    pub fn set_longest(&mut self, bytes: usize) {
        self.longest = bytes.min(self.config.longest());
    }

    /// Advances our epoch now, before its budget is used up. Misuse before the peer has proved
    /// itself, and while the epoch before is still being announced: a peer that hears of neither
    /// could not follow.
    pub fn rekey(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if !matches!(self.phase, Phase::Open(..)) {
            return Err(NOT_OPEN);
        }
        if self.announce.is_some() {
            return Err(Error::Misuse("the epoch before is still being announced"));
        }
        let epoch = self.sending.following()?;
        let next = Sending::at(self.sending.direction(), epoch);
        let old = core::mem::replace(&mut self.sending, next);
        self.announce = Some((old, REPEATS));
        Ok(())
    }

    fn push(&mut self, datagram: Bytes, now: Instant) {
        self.queued = self.queued.saturating_add(datagram.len());
        self.out.push_back(datagram);
        self.spoke = now;
    }

    fn fail(&mut self, error: Error) -> Error {
        if let Some(first) = &self.error {
            return first.clone();
        }
        self.error = Some(error.clone());
        self.phase = Phase::Over;
        self.events.push_back(Event::Closed(Err(error.clone())));
        error
    }

    fn seal(&mut self, channel: ChannelId, payload: &[u8], now: Instant) -> Result<(), Error> {
        let (bytes, records) = (self.config.epoch_bytes, self.config.epoch_records);
        if self.announce.is_none() && self.sending.is_due(bytes, records) {
            self.rekey()?;
        }
        let Phase::Open(schedule, ..) = &self.phase else {
            return Err(NOT_OPEN);
        };
        let limit = self.config.limit;
        let mut datagrams = Vec::with_capacity(2);
        if let Some((old, left)) = &mut self.announce {
            let payload = announcement(self.sending.epoch());
            datagrams.push(sealed(old, schedule, ChannelId::Control, &payload, limit)?);
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.announce = None;
            }
        }
        datagrams.push(sealed(
            &mut self.sending,
            schedule,
            channel,
            payload,
            limit,
        )?);
        for datagram in datagrams {
            self.push(datagram, now);
        }
        Ok(())
    }

    /// Takes a datagram, whatever it is.
    fn take(&mut self, datagram: &[u8], now: Instant) -> Result<(), Error> {
        if datagram.len() > HEADER.saturating_add(self.config.limit as usize) {
            return Err(Error::peer(
                Class::Limit,
                "a datagram is longer than the limit",
            ));
        }
        match &mut self.phase {
            Phase::Seeking(candidates) if datagram.starts_with(&MAGIC) => {
                if !candidates.has_audience() {
                    self.repeated = now;
                }
                for answer in candidates.meet(datagram, &self.config)? {
                    self.push(answer, now);
                }
                Ok(())
            }
            Phase::Seeking(candidates) => {
                let peer = candidates.recognize(datagram, &self.config, now)?;
                self.sending = peer.sending;
                self.receiving = peer.receiving;
                self.phase = Phase::Open(peer.schedule, peer.theirs, peer.ours);
                self.established = Some(now);
                self.events.push_back(Event::Established);
                self.opened(peer.record, &peer.opened, now)
            }
            // The same preface again: its sender has heard nothing authentic from us yet. It may
            // hold others for us by now, and then needs our preface too; but two ends that both
            // know each other must not go on answering each other.
            Phase::Open(_, theirs, ours) if theirs == datagram => {
                let half = self.config.resend.checked_div(2).unwrap_or_default();
                let until = self.established.unwrap_or(self.started);
                let until = until.after(self.config.handshake_timeout);
                if self.repeated.after(half) <= now && now < until {
                    let ours = ours.clone();
                    self.repeated = now;
                    self.push(ours, now);
                }
                self.seal(ChannelId::Control, &[], now)
            }
            Phase::Open(schedule, ..) => {
                let mut record = datagram.to_vec();
                let (header, start, body) = Header::split(&mut record, self.config.limit)?;
                let opened = self.receiving.open(schedule, now, &header, &start, body)?;
                self.opened(record, &opened, now)
            }
            Phase::Over => Ok(()),
        }
    }

    /// Says again who we are, to whoever may be the peer.
    fn repeat(&mut self, now: Instant) {
        let Phase::Seeking(candidates) = &mut self.phase else {
            return;
        };
        self.repeated = now;
        match candidates.repeat(&self.config) {
            Ok(datagrams) => datagrams.into_iter().for_each(|each| self.push(each, now)),
            Err(error) => drop(self.fail(error)),
        }
    }

    /// Takes what an authentic record says.
    fn opened(&mut self, record: Vec<u8>, opened: &Opened, now: Instant) -> Result<(), Error> {
        self.heard = now;
        let mut plain = Bytes::from(record);
        plain.advance(HEADER.min(plain.len()));
        plain.truncate(opened.length);
        match opened.channel {
            ChannelId::Control => match Control::decode(&plain)? {
                Control::Epoch(new) => self.receiving.announced(opened.epoch, new, now)?,
                Control::End if !self.inbound.ended => {
                    self.inbound.ended = true;
                    self.events.push_back(Event::PeerFinished);
                    self.settle();
                }
                Control::End | Control::Complete | Control::Ignored => {}
            },
            ChannelId::Payload if self.inbound.ended => {}
            ChannelId::Payload if self.inbound.is_full(&self.config) => {
                self.counters.overflowed = self.counters.overflowed.saturating_add(1);
            }
            ChannelId::Payload => self.inbound.push(plain),
            // Objects need an ordered stream.
            ChannelId::Descriptors | ChannelId::Repair => {
                return Err(Error::peer(
                    Class::State,
                    "objects do not travel on datagrams",
                ));
            }
        }
        Ok(())
    }

    fn settle(&mut self) {
        if !self.closed && self.ended && self.inbound.ended {
            self.closed = true;
            self.events.push_back(Event::Closed(Ok(())));
        }
    }

    /// What time brings about.
    fn tick(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.closed {
            return Ok(());
        }
        if self.established.is_none() && self.started.after(self.config.handshake_timeout) <= now {
            return Err(self.fail(Error::Timeout(Timer::Connect)));
        }
        if self.established.is_some() && self.heard.after(self.config.idle_timeout) <= now {
            return Err(self.fail(Error::Timeout(Timer::Idle)));
        }
        if self.speak_at().is_some_and(|at| at <= now) && self.out.is_empty() {
            self.repeat(now);
            if matches!(self.phase, Phase::Open(..)) {
                self.seal(ChannelId::Control, &[], now)
                    .map_err(|error| self.fail(error))?;
            }
        }
        self.error.clone().map_or(Ok(()), Err)
    }

    /// When we say something again, having had nothing to say.
    fn speak_at(&self) -> Option<Instant> {
        let third = self.config.idle_timeout.checked_div(3).unwrap_or_default();
        match &self.phase {
            // Answers to others do not put it off.
            Phase::Seeking(candidates) => candidates
                .has_audience()
                .then(|| self.repeated.after(self.config.resend)),
            Phase::Open(..) => Some(self.spoke.after(third)),
            Phase::Over => None,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.error.is_some() || self.closed {
            return None;
        }
        let last = if self.established.is_some() {
            self.heard.after(self.config.idle_timeout)
        } else {
            self.started.after(self.config.handshake_timeout)
        };
        Some(self.speak_at().map_or(last, |at| at.min(last)))
    }
}

fn sealed(
    sending: &mut Sending,
    schedule: &Schedule,
    channel: ChannelId,
    payload: &[u8],
    limit: u32,
) -> Result<Bytes, Error> {
    let mut record = blank(payload.len());
    record.extend_from_slice(payload);
    record.extend_from_slice(&[0; TAG]);
    sending.seal(schedule, channel, &mut record, limit)?;
    Ok(record.into())
}

impl Machine for Datagrams {
    type Event = Event;

    /// A bad datagram is dropped and counted, and no error.
    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        self.tick(now)?;
        match input {
            Input::Datagram(datagram) => {
                if let Err(error) = self.take(datagram, now) {
                    if let Some(fatal) = &self.error {
                        return Err(fatal.clone());
                    }
                    let counter = match error.class() {
                        Some(Class::Replay) => &mut self.counters.replayed,
                        _ => &mut self.counters.refused,
                    };
                    *counter = counter.saturating_add(1);
                }
                Ok(())
            }
            Input::Time => Ok(()),
            Input::Bytes(_) | Input::End | Input::Reply(..) => {
                Err(Error::Misuse("this session runs on datagrams"))
            }
        }
    }

    fn poll(&mut self, now: Instant) -> Output<Event> {
        // An error comes as an event.
        let _ = self.tick(now);
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(datagram) = self.out.pop_front() {
            self.queued = self.queued.saturating_sub(datagram.len());
            return Output::Transmit(datagram);
        }
        Output::Wait(self.deadline())
    }
}

impl Messages for Datagrams {
    fn longest_message(&self) -> usize {
        self.longest
    }

    fn send(&mut self, now: Instant, message: &[u8]) -> Result<bool, Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.closing {
            return Err(Error::Misuse(
                "our direction is closed; nothing more can be sent",
            ));
        }
        if message.len() > self.longest {
            return Err(Error::Misuse("a message is longer than one datagram holds"));
        }
        if !matches!(self.phase, Phase::Open(..)) || self.queued >= self.config.send_buffer {
            return Ok(false);
        }
        match self.seal(ChannelId::Payload, message, now) {
            Ok(()) => Ok(true),
            Err(error) => Err(self.fail(error)),
        }
    }

    fn receive(&mut self, _now: Instant) -> Result<Received, Error> {
        match (self.inbound.message(), &self.error) {
            (Received::Pending, Some(error)) => Err(error.clone()),
            (received, _) => Ok(received),
        }
    }
}

impl Datagrammed for Datagrams {
    fn is_established(&self) -> bool {
        self.established.is_some()
    }

    /// Ends our direction. The end mark is repeated, and may be lost all the same.
    fn close(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if !matches!(self.phase, Phase::Open(..)) {
            return Err(NOT_OPEN);
        }
        if !core::mem::replace(&mut self.closing, true) {
            for _ in 0..REPEATS {
                self.seal(ChannelId::Control, &END, now)?;
            }
            self.ended = true;
            self.settle();
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        (self.closed || self.error.is_some()) && self.out.is_empty() && self.events.is_empty()
    }

    fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

#[cfg(test)]
mod tests;
