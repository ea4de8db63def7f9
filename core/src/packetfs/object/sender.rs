//! The side that has the object.

use super::{Event, LAST, MORE, Role, Session, out_of_place};
use crate::crypto::Rng;
use crate::error::{Class, Error};
use crate::machine::{Input, Machine, Output, Streamed};
use crate::packetfs::blob::Blob;
use crate::packetfs::blueprint::{Blueprint, WINDOW};
use crate::packetfs::link::{Incoming, blank};
use crate::packetfs::wire::ChannelId;
use crate::packetfs::wire::control::END;
use crate::packetfs::wire::repair::{Repair, answer};
use crate::packetfs::{Config, Psk};
use crate::time::Instant;
use alloc::collections::VecDeque;

/// Windows that may be asked for and not yet answered.
const REQUESTS: usize = 64;

/// Bytes of a blueprint in one record.
const PART: usize = 256 << 10;

struct Current<S> {
    blueprint: Blueprint,
    /// Bytes of it that are sealed; [`None`] once the last part is.
    sealed: Option<usize>,
    source: S,
    asked: VecDeque<u32>,
}

/// Sends objects, one at a time. `S` is the object itself, asked for windows to be repaired.
///
/// Holds a blueprint, 64 window numbers and one record to be sent.
pub struct Sender<S> {
    session: Session,
    current: Option<Current<S>>,
    closing: bool,
    ended: bool,
    repaired: u64,
}

impl<S: Blob> Sender<S> {
    /// A session that starts with the exchange of prefaces.
    pub fn new(
        role: Role,
        config: Config,
        psk: Psk,
        rng: Rng,
        now: Instant,
    ) -> Result<Self, Error> {
        Ok(Self {
            session: Session::new(role, config, psk, rng, now)?,
            current: None,
            closing: false,
            ended: false,
            repaired: 0,
        })
    }

    /// Sends an object. Misuse while another is under way, after [`Sender::close`], or when the
    /// blueprint is not of this object's size.
    pub fn start(&mut self, blueprint: Blueprint, source: S) -> Result<(), Error> {
        if let Some(error) = &self.session.error {
            return Err(error.clone());
        }
        if self.current.is_some() || self.closing {
            return Err(Error::Misuse(
                "one object at a time, and none after closing",
            ));
        }
        if blueprint.size() != source.size() {
            return Err(Error::Misuse("the blueprint describes another object"));
        }
        if blueprint.bytes().len() > self.session.link.config.blueprint {
            return Err(Error::limit(
                Class::Limit,
                "the blueprint is larger than the configured limit",
            ));
        }
        self.current = Some(Current {
            blueprint,
            sealed: Some(0),
            source,
            asked: VecDeque::new(),
        });
        Ok(())
    }

    /// No more objects: the end mark follows the one under way.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Windows that were asked for and sent again.
    pub const fn repaired(&self) -> u64 {
        self.repaired
    }

    /// True while an object is under way.
    pub const fn is_sending(&self) -> bool {
        self.current.is_some()
    }

    /// True when nothing is left to do or to say.
    pub fn is_finished(&self) -> bool {
        self.session.is_finished()
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
                Some(Incoming::Record(ChannelId::Repair, payload)) => {
                    self.asked(Repair::decode(payload)?)?;
                }
                Some(Incoming::Complete) => {
                    let sent = |current: &Current<S>| current.sealed.is_none();
                    if !self.current.as_ref().is_some_and(sent) {
                        return Err(out_of_place());
                    }
                    self.current = None;
                    self.session.events.push_back(Event::Complete);
                }
                Some(Incoming::End) if self.ended => self.session.close(),
                Some(_) => return Err(out_of_place()),
            }
        }
    }

    fn asked(&mut self, repair: Repair) -> Result<(), Error> {
        let (Repair::Request(index), Some(current)) = (repair, &mut self.current) else {
            return Err(out_of_place());
        };
        if current.sealed.is_some() {
            return Err(out_of_place());
        }
        if u64::from(index) >= current.blueprint.windows() {
            return Err(Error::peer(
                Class::Length,
                "a window was asked for behind the last one",
            ));
        }
        if current.asked.len() >= REQUESTS {
            return Err(Error::peer(
                Class::Limit,
                "more than 64 windows were asked for at once",
            ));
        }
        current.asked.push_back(index);
        Ok(())
    }

    /// Seals what goes next, if the carrier has taken everything before.
    fn seal(&mut self) -> Result<(), Error> {
        let link = &mut self.session.link;
        if !link.is_open() || link.has_output() {
            return Ok(());
        }
        let Some(current) = &mut self.current else {
            if self.closing && !self.ended {
                self.ended = true;
                return link.send(ChannelId::Control, &END);
            }
            return Ok(());
        };
        if let Some(start) = current.sealed {
            let part = PART.min(link.config.longest().saturating_sub(1));
            let rest = current.blueprint.bytes().get(start..).unwrap_or_default();
            let (now, later) = rest.split_at(part.min(rest.len()));
            let mut record = blank(now.len().saturating_add(1));
            record.push(if later.is_empty() { LAST } else { MORE });
            record.extend_from_slice(now);
            let end = start.saturating_add(now.len());
            current.sealed = (!later.is_empty()).then_some(end);
            return link.send_record(ChannelId::Descriptors, record);
        }
        let Some(index) = current.asked.pop_front() else {
            return Ok(());
        };
        let head = answer(index);
        let length = current.blueprint.window_length(index);
        let mut record = blank(length.saturating_add(head.len()));
        record.extend_from_slice(&head);
        let body = record.len();
        record.resize(body.saturating_add(length), 0);
        let offset = u64::from(index).saturating_mul(WINDOW as u64);
        let window = record.get_mut(body..).unwrap_or_default();
        current
            .source
            .read(offset, window)
            .map_err(|_| Error::limit(Class::Eof, "the object could not be read for a repair"))?;
        self.repaired = self.repaired.saturating_add(1);
        link.send_record(ChannelId::Repair, record)
    }
}

impl<S: Blob> Machine for Sender<S> {
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
            && let Err(error) = self.seal()
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

impl<S: Blob> Streamed for Sender<S> {
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
