//! One end of a session on an ordered stream: prefaces, then records both ways. What records of
//! the payload, descriptor and repair channels mean is not known here.

use super::config::Config;
use super::epochs::{Receiving, Sending};
use super::handshake::{Initiator, Psk, Responder, Schedule};
use super::wire::control::{Control, announcement};
use super::wire::header::{HEADER, Header};
use super::wire::preface::{LONG, announced};
use super::wire::{ChannelId, Direction, TAG};
use crate::crypto::Rng;
use crate::error::{Error, Timer};
use crate::gather;
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};

/// Room made for a record before its bytes are there.
const FIRST_ROOM: usize = 64 << 10;

/// What the session waits for. Each step consumes the one before.
enum Phase {
    Initiator(Initiator),
    Responder(Responder),
    Open(Schedule),
    Over,
}

/// What arrived, authentic and in order.
pub(super) enum Incoming {
    /// A record of another channel than control.
    Record(ChannelId, Bytes),
    /// The peer ended its direction of the payload channel.
    End,
    /// The peer has the object.
    Complete,
}

pub(super) struct Link {
    pub(super) config: Config,
    phase: Phase,
    sending: Sending,
    receiving: Receiving,
    /// A preface or record that is not all there.
    piece: Vec<u8>,
    /// The header of the record in `piece`.
    header: Option<Header>,
    out: VecDeque<Bytes>,
    confirmed: bool,
    deadline: Instant,
}

impl Link {
    /// The side that opened the connection.
    pub(super) fn initiator(config: Config, psk: Psk, mut rng: Rng, now: Instant) -> Self {
        let (algorithm, secrecy) = (config.algorithm, config.forward_secrecy);
        let (initiator, preface) = Initiator::start(psk, algorithm, secrecy, &mut rng);
        let phase = Phase::Initiator(initiator);
        let mut link = Self::new(config, phase, Direction::InitiatorToResponder, 0, now);
        link.out.push_back(preface.into());
        link
    }

    /// The side that was connected to.
    pub(super) fn responder(config: Config, psk: Psk, mut rng: Rng, now: Instant) -> Self {
        let (algorithm, secrecy) = (config.algorithm, config.forward_secrecy);
        let responder = Responder::new(psk, algorithm, secrecy, &mut rng);
        let phase = Phase::Responder(responder);
        Self::new(config, phase, Direction::ResponderToInitiator, 0, now)
    }

    fn new(config: Config, phase: Phase, ours: Direction, epoch: u32, now: Instant) -> Self {
        Self {
            phase,
            sending: Sending::at(ours, epoch),
            receiving: Receiving::at(ours.reverse(), epoch, true, config.grace),
            piece: Vec::new(),
            header: None,
            out: VecDeque::new(),
            confirmed: false,
            deadline: now.after(config.handshake_timeout),
            config,
        }
    }

    /// True once prefaces were exchanged: records can be sealed.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// True once an authentic record came: the peer holds the pre-shared key.
    pub(super) const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// The epoch of what we send.
    pub(super) const fn epoch(&self) -> u32 {
        self.sending.epoch()
    }

    /// Nothing is taken or sealed any more; what is due still drains.
    pub(super) fn shut(&mut self) {
        self.phase = Phase::Over;
        self.piece = Vec::new();
        self.header = None;
    }

    /// When the peer must have proved itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = !self.confirmed && !matches!(self.phase, Phase::Over);
        waits.then_some(self.deadline)
    }

    /// [`Timer::Connect`] when that instant has passed.
    pub(super) fn check_time(&self, now: Instant) -> Result<(), Error> {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            return Err(Error::Timeout(Timer::Connect));
        }
        Ok(())
    }

    /// What is to be transmitted next.
    pub(super) fn transmit(&mut self) -> Option<Bytes> {
        self.out.pop_front()
    }

    pub(super) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Takes the next thing off `bytes`; [`None`] when they are used up.
    pub(super) fn feed(
        &mut self,
        now: Instant,
        bytes: &mut &[u8],
    ) -> Result<Option<Incoming>, Error> {
        while !bytes.is_empty() {
            match &self.phase {
                Phase::Initiator(_) | Phase::Responder(_) => self.preface(bytes)?,
                Phase::Open(_) => {
                    if let Some(incoming) = self.record(now, bytes)? {
                        return Ok(Some(incoming));
                    }
                }
                Phase::Over => *bytes = &[],
            }
        }
        Ok(None)
    }

    /// True inside a preface or record: an end of the stream here cuts something off.
    pub(super) fn is_between(&self) -> bool {
        self.piece.is_empty()
    }

    /// Moves bytes into the piece until it has `size`; true when it has.
    fn gather(&mut self, bytes: &mut &[u8], size: usize) -> bool {
        let missing = size.saturating_sub(self.piece.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at(missing);
        gather::append(&mut self.piece, taken, size);
        *bytes = rest;
        self.piece.len() >= size
    }

    fn preface(&mut self, bytes: &mut &[u8]) -> Result<(), Error> {
        // Byte by byte up to the length, so that nothing behind the preface is taken with it.
        let length = loop {
            match announced(&self.piece)? {
                Some(length) => break length.min(LONG),
                None if bytes.is_empty() => return Ok(()),
                None => {
                    let next = self.piece.len().saturating_add(1);
                    self.gather(bytes, next);
                }
            }
        };
        if !self.gather(bytes, length) {
            return Ok(());
        }
        let piece = core::mem::take(&mut self.piece);
        let schedule = match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Initiator(initiator) => initiator.finish(&piece)?,
            Phase::Responder(responder) => {
                let (schedule, preface) = responder.accept(&piece)?;
                self.out.push_back(preface.into());
                schedule
            }
            other => {
                self.phase = other;
                return Ok(());
            }
        };
        self.phase = Phase::Open(schedule);
        // Proves at once that we hold the key, whether or not there is anything to say.
        self.send(ChannelId::Control, &[])
    }

    fn record(&mut self, now: Instant, bytes: &mut &[u8]) -> Result<Option<Incoming>, Error> {
        if !self.gather(bytes, HEADER) {
            return Ok(None);
        }
        let header = if let Some(header) = self.header {
            header
        } else {
            let start = self.piece.first_chunk::<HEADER>();
            let start = start.ok_or(Error::Misuse("a header is gathered first"))?;
            let header = Header::parse(start, self.config.limit)?;
            let room = (header.length as usize).min(FIRST_ROOM.max(bytes.len()));
            self.piece.reserve_exact(room);
            *self.header.insert(header)
        };
        if !self.gather(bytes, HEADER.saturating_add(header.length as usize)) {
            return Ok(None);
        }
        self.header = None;
        let mut record = core::mem::take(&mut self.piece);
        let Phase::Open(schedule) = &self.phase else {
            return Ok(None);
        };
        let Some((start, body)) = record.split_first_chunk_mut::<HEADER>() else {
            return Ok(None);
        };
        let opened = self.receiving.open(schedule, now, &header, start, body)?;
        self.confirmed = true;
        let mut plain = Bytes::from(record);
        plain.advance(HEADER.min(plain.len()));
        plain.truncate(opened.length);
        if opened.channel != ChannelId::Control {
            return Ok(Some(Incoming::Record(opened.channel, plain)));
        }
        match Control::decode(&plain)? {
            Control::Epoch(new) => {
                self.receiving.announced(opened.epoch, new, now)?;
                Ok(None)
            }
            Control::End => Ok(Some(Incoming::End)),
            Control::Complete => Ok(Some(Incoming::Complete)),
            Control::Ignored => Ok(None),
        }
    }

    /// Seals a payload and queues the record.
    pub(super) fn send(&mut self, channel: ChannelId, payload: &[u8]) -> Result<(), Error> {
        let mut record = blank(payload.len());
        record.extend_from_slice(payload);
        self.send_record(channel, record)
    }

    /// Seals a record made with [`blank`], its payload behind, and queues it. Advances the epoch
    /// first when its budget is used up.
    pub(super) fn send_record(&mut self, channel: ChannelId, record: Vec<u8>) -> Result<(), Error> {
        let (bytes, records) = (self.config.epoch_bytes, self.config.epoch_records);
        if self.sending.is_due(bytes, records) {
            self.rekey()?;
        }
        self.push(channel, record)
    }

    /// Advances our epoch: an announcement, and new keys on every channel.
    pub(super) fn rekey(&mut self) -> Result<(), Error> {
        let payload = announcement(self.sending.following()?);
        let mut record = blank(payload.len());
        record.extend_from_slice(&payload);
        self.push(ChannelId::Control, record)?;
        self.sending.advance()
    }

    fn push(&mut self, channel: ChannelId, mut record: Vec<u8>) -> Result<(), Error> {
        let Phase::Open(schedule) = &self.phase else {
            return Err(Error::Misuse("the session is not open"));
        };
        record.extend_from_slice(&[0; TAG]);
        let limit = self.config.limit;
        self.sending.seal(schedule, channel, &mut record, limit)?;
        self.out.push_back(record.into());
        Ok(())
    }
}

#[cfg(test)]
impl Link {
    /// Room held for a record that is not all there.
    pub(super) fn room(&self) -> usize {
        self.piece.capacity()
    }

    /// As if this many epochs had gone by: their number is out of reach of a test.
    pub(super) fn skip_to_epoch(&mut self, epoch: u32) {
        self.sending = Sending::at(self.sending.direction(), epoch);
    }
}

/// A record with room for its header, to which a payload of `length` bytes is appended.
pub(super) fn blank(length: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(super::record::sealed_length(length));
    record.extend_from_slice(&[0; HEADER]);
    record
}
