//! The side that rebuilds the object.

use super::{Event, LAST, MORE, Role, Session, out_of_place};
use crate::crypto::{Rng, blake3};
use crate::error::{Class, Error};
use crate::gather;
use crate::machine::{Input, Machine, Output, Streamed};
use crate::packetfs::blob::Blob;
use crate::packetfs::blueprint::{Blueprint, WINDOW};
use crate::packetfs::link::Incoming;
use crate::packetfs::rebuild::Rebuilder;
use crate::packetfs::wire::ChannelId;
use crate::packetfs::wire::control::{COMPLETE, END};
use crate::packetfs::wire::repair::{Repair, request};
use crate::packetfs::{Config, Psk};
use crate::time::Instant;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

/// Windows asked for at once, which is also how many repaired ones are held.
const REQUESTS: usize = 16;

/// A verified window of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where it belongs in the object.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

enum Stage {
    /// Gathers the parts of a blueprint.
    Gathering(Vec<u8>),
    /// Rebuilds.
    Rebuilding(Rebuilder),
}

/// Receives objects, one at a time, and rebuilds them from a blob. Windows that were rebuilt come
/// in order, repaired ones when they arrive.
///
/// Holds a blueprint, one bit of news per failed window, and 16 repaired windows.
pub struct Receiver<B> {
    session: Session,
    blob: B,
    stage: Stage,
    /// Windows that failed and are not asked for yet.
    failed: BTreeSet<u32>,
    /// Windows that are asked for.
    asked: BTreeSet<u32>,
    repaired: VecDeque<Window>,
    repairs: u64,
    ended: bool,
}

impl<B: Blob> Receiver<B> {
    /// A session that starts with the exchange of prefaces.
    pub fn new(
        role: Role,
        config: Config,
        psk: Psk,
        rng: Rng,
        blob: B,
        now: Instant,
    ) -> Result<Self, Error> {
        Ok(Self {
            session: Session::new(role, config, psk, rng, now)?,
            blob,
            stage: Stage::Gathering(Vec::new()),
            failed: BTreeSet::new(),
            asked: BTreeSet::new(),
            repaired: VecDeque::new(),
            repairs: 0,
            ended: false,
        })
    }

    /// The next verified window. [`None`]: nothing now; poll the machine and wait, unless
    /// [`Event::Complete`] has come.
    pub fn window(&mut self) -> Result<Option<Window>, Error> {
        if let Some(window) = self.repaired.pop_front() {
            return Ok(Some(window));
        }
        if let Some(error) = &self.session.error {
            return Err(error.clone());
        }
        let Stage::Rebuilding(rebuilder) = &mut self.stage else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some((index, sound)) = rebuilder.next(&self.blob, &mut bytes) {
            if sound {
                let bytes = Bytes::from(bytes);
                return Ok(Some(window(index, bytes)));
            }
            self.failed.insert(index);
        }
        if !self.failed.is_empty() || !self.asked.is_empty() {
            return Ok(None);
        }
        // Every window was given out.
        self.stage = Stage::Gathering(Vec::new());
        self.session.events.push_back(Event::Complete);
        let said = self.session.link.send(ChannelId::Control, &COMPLETE);
        said.map_err(|error| self.session.fail(error))?;
        Ok(None)
    }

    /// Windows that came again as literals.
    pub const fn repairs(&self) -> u64 {
        self.repairs
    }

    /// True when nothing is left to do or to say.
    pub fn is_finished(&self) -> bool {
        self.session.is_finished() && self.repaired.is_empty()
    }

    /// The error that ended the session, if one did.
    pub const fn error(&self) -> Option<&Error> {
        self.session.error.as_ref()
    }

    fn feed(&mut self, now: Instant, mut bytes: &[u8]) -> Result<(), Error> {
        loop {
            let incoming = self.session.link.feed(now, &mut bytes)?;
            self.session.note_established();
            match incoming {
                None => return Ok(()),
                Some(Incoming::Record(ChannelId::Descriptors, part)) => self.part(&part)?,
                Some(Incoming::Record(ChannelId::Repair, payload)) => {
                    self.answered(Repair::decode(payload)?)?;
                }
                Some(Incoming::End) if self.is_between_objects() && !self.ended => {
                    self.ended = true;
                    self.session.link.send(ChannelId::Control, &END)?;
                    self.session.close();
                }
                Some(_) => return Err(out_of_place()),
            }
        }
    }

    fn is_between_objects(&self) -> bool {
        matches!(&self.stage, Stage::Gathering(parts) if parts.is_empty())
    }

    /// A part of a blueprint.
    fn part(&mut self, part: &[u8]) -> Result<(), Error> {
        let Stage::Gathering(parts) = &mut self.stage else {
            return Err(Error::peer(
                Class::State,
                "a blueprint came while an object is being rebuilt: one at a time",
            ));
        };
        let (kind, bytes) = part.split_first().ok_or(Error::peer(
            Class::Truncated,
            "a part of a blueprint says whether more follow",
        ))?;
        if *kind != MORE && *kind != LAST {
            return Err(Error::peer(
                Class::Type,
                "a part of a blueprint starts with 1 (more follow) or 0 (last)",
            ));
        }
        let most = self.session.link.config.blueprint;
        if parts.len().saturating_add(bytes.len()) > most {
            return Err(Error::peer(
                Class::Limit,
                "the blueprint is larger than the configured limit",
            ));
        }
        gather::append(parts, bytes, most);
        if *kind == MORE {
            return Ok(());
        }
        let blueprint = Blueprint::decode(core::mem::take(parts).into())?;
        blueprint.check(self.blob.size())?;
        let size = blueprint.size();
        self.stage = Stage::Rebuilding(Rebuilder::new(blueprint));
        self.session.events.push_back(Event::Announced { size });
        Ok(())
    }

    fn answered(&mut self, repair: Repair) -> Result<(), Error> {
        let (Repair::Answer(index, bytes), Stage::Rebuilding(rebuilder)) = (repair, &self.stage)
        else {
            return Err(out_of_place());
        };
        if !self.asked.remove(&index) {
            return Err(out_of_place());
        }
        let blueprint = rebuilder.blueprint();
        if bytes.len() != blueprint.window_length(index) {
            return Err(Error::peer(
                Class::Length,
                "a repaired window has another length than it must",
            ));
        }
        if blueprint.digest(index) != Some(blake3::digest(&bytes)) {
            return Err(Error::peer(
                Class::Auth,
                "a repaired window does not match its digest: the object changed under its sender",
            ));
        }
        self.repairs = self.repairs.saturating_add(1);
        self.repaired.push_back(window(index, bytes));
        Ok(())
    }

    /// Asks for windows, as many as may be under way.
    fn ask(&mut self) -> Result<(), Error> {
        while self.asked.len().saturating_add(self.repaired.len()) < REQUESTS
            && let Some(index) = self.failed.pop_first()
        {
            self.session.link.send(ChannelId::Repair, &request(index))?;
            self.asked.insert(index);
        }
        Ok(())
    }
}

#[cfg(test)]
impl<B> Receiver<B> {
    /// Room held for a blueprint that is not all there.
    pub(super) fn room(&self) -> usize {
        match &self.stage {
            Stage::Gathering(parts) => parts.capacity(),
            Stage::Rebuilding(_) => 0,
        }
    }
}

fn window(index: u32, bytes: Bytes) -> Window {
    Window {
        offset: u64::from(index).saturating_mul(WINDOW as u64),
        bytes,
    }
}

impl<B: Blob> Machine for Receiver<B> {
    type Event = Event;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        self.session.tick(now)?;
        match input {
            Input::Bytes(bytes) => {
                let fed = self.feed(now, bytes);
                fed.map_err(|error| self.session.fail(error))
            }
            Input::End => self.session.end(),
            Input::Time => Ok(()),
            Input::Datagram(_) | Input::Reply(..) => {
                Err(Error::Misuse("objects travel on an ordered stream"))
            }
        }
    }

    fn poll(&mut self, now: Instant) -> Output<Event> {
        // An error comes as an event.
        if self.session.tick(now).is_ok()
            && let Err(error) = self.ask()
        {
            self.session.fail(error);
        }
        if let Some(event) = self.session.events.pop_front() {
            return Output::Event(event);
        }
        match self.session.link.transmit() {
            Some(bytes) => Output::Transmit(bytes),
            None => Output::Wait(self.session.link.deadline()),
        }
    }
}

impl<B: Blob> Streamed for Receiver<B> {
    fn wants_bytes(&self) -> bool {
        self.session.error.is_none() && !self.session.closed
    }

    fn is_established(&self) -> bool {
        self.session.established
    }

    fn has_sent_all(&self) -> bool {
        !self.session.link.has_output() && (self.session.error.is_some() || self.ended)
    }
}
