//! A session on an ordered byte stream that carries the application's own bytes or messages, on
//! the payload channel.

mod stream;
#[cfg(test)]
mod tests;

use super::config::Config;
use super::handshake::Psk;
use super::inbound::Inbound;
use super::link::{Incoming, Link};
use super::outbound::Outbound;
use super::wire::ChannelId;
use super::wire::control::END;
use crate::crypto::Rng;
use crate::error::{Class, Error};
use crate::machine::{Input, Machine, Output, Streamed};
use crate::time::Instant;
use alloc::collections::VecDeque;
use bytes::Bytes;

/// What the application of a session is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something authentic came: the peer holds the pre-shared key.
    Established,
    /// The peer ended its direction; what it sent before is complete.
    PeerFinished,
    /// It is over: cleanly, or with this error.
    Closed(Result<(), Error>),
}

const SHAKING_HANDS: Error = Error::peer(
    Class::Eof,
    "the stream ended before the peer proved itself; are key, algorithm and flags the same?",
);
const NO_END: Error = Error::peer(
    Class::Eof,
    "the stream ended without an end mark: its end is not authentic",
);

/// One session. Keeps the contracts of [`Machine`], [`Streamed`],
/// [`Channel`](crate::Channel) and [`Messages`](crate::Messages).
///
/// Holds at most `send_buffer` bytes and a record to be sent, `receive_buffer` bytes, a record and
/// one reading of the carrier received; 72 bytes before prefaces are exchanged.
pub struct Connection {
    link: Link,
    outbound: Outbound,
    inbound: Inbound,
    events: VecDeque<Event>,
    error: Option<Error>,
    established: bool,
    closed: bool,
    /// The application made room since the last poll.
    fetch: bool,
}

impl Connection {
    /// The side that opened the stream: its preface goes first.
    pub fn initiator(config: Config, psk: Psk, rng: Rng, now: Instant) -> Self {
        Self::new(Link::initiator(config, psk, rng, now))
    }

    /// The side to which it was opened: it answers a preface that is sound.
    pub fn responder(config: Config, psk: Psk, rng: Rng, now: Instant) -> Self {
        Self::new(Link::responder(config, psk, rng, now))
    }

    fn new(link: Link) -> Self {
        Self {
            link,
            outbound: Outbound::default(),
            inbound: Inbound::default(),
            events: VecDeque::new(),
            error: None,
            established: false,
            closed: false,
            fetch: false,
        }
    }

    /// The epoch of what we send.
    pub fn epoch(&self) -> u32 {
        self.link.epoch()
    }

    /// Advances our epoch now, before its budget is used up. Before prefaces are exchanged, and once
    /// our end mark is out, it is misuse; after the last epoch [`Class::DataLimit`].
    pub fn rekey(&mut self) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err(error.clone()),
            // The carrier may have ended with the end mark: nothing goes out behind it.
            None if self.outbound.ended => Err(Error::Misuse(
                "our direction is closed; nothing is sent under another key",
            )),
            None => self.link.rekey(),
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        if let Some(first) = &self.error {
            return first.clone();
        }
        self.error = Some(error.clone());
        self.link.shut();
        self.outbound.forget();
        self.events.push_back(Event::Closed(Err(error.clone())));
        error
    }

    fn tick(&mut self, now: Instant) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None => self.link.check_time(now).map_err(|error| self.fail(error)),
        }
    }

    fn feed(&mut self, now: Instant, mut bytes: &[u8]) -> Result<(), Error> {
        loop {
            let incoming = self.link.feed(now, &mut bytes)?;
            if self.link.is_confirmed() && !self.established {
                self.established = true;
                self.events.push_back(Event::Established);
            }
            match incoming {
                None => return Ok(()),
                Some(Incoming::End | Incoming::Record(ChannelId::Payload, _))
                    if self.inbound.ended =>
                {
                    return Err(Error::peer(Class::State, "data came after the end mark"));
                }
                Some(Incoming::Record(ChannelId::Payload, message)) => self.inbound.push(message),
                Some(Incoming::End) => {
                    self.inbound.ended = true;
                    self.events.push_back(Event::PeerFinished);
                }
                Some(Incoming::Record(..) | Incoming::Complete) => {
                    return Err(Error::peer(
                        Class::State,
                        "the peer sends an object where a byte stream is expected",
                    ));
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        if !self.established {
            return Err(self.fail(SHAKING_HANDS));
        }
        if self.inbound.ended && self.link.is_between() {
            return Ok(());
        }
        Err(self.fail(NO_END))
    }

    /// Seals what goes next, if the carrier has taken everything before.
    fn seal(&mut self) -> Result<(), Error> {
        if !self.link.is_open() || self.link.has_output() {
            return Ok(());
        }
        if let Some(record) = self.outbound.next() {
            return self.link.send_record(ChannelId::Payload, record);
        }
        if self.outbound.closing && !self.outbound.ended {
            self.link.send(ChannelId::Control, &END)?;
            self.outbound.ended = true;
            self.settle();
        }
        Ok(())
    }

    /// Both directions have ended.
    fn settle(&mut self) {
        if !self.closed && self.inbound.ended && self.outbound.ended {
            self.closed = true;
            self.events.push_back(Event::Closed(Ok(())));
        }
    }

    fn transmit(&mut self) -> Option<Bytes> {
        if let Err(error) = self.seal() {
            self.fail(error);
        }
        self.link.transmit()
    }
}

impl Machine for Connection {
    type Event = Event;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        self.tick(now)?;
        match input {
            Input::Bytes(_) if !self.wants_bytes() => Err(Error::Misuse(
                "the application must read before more bytes are handed in",
            )),
            Input::Bytes(bytes) => {
                // Bytes behind the end mark spoil an end that is not told yet.
                self.feed(now, bytes).map_err(|error| self.fail(error))?;
                self.settle();
                Ok(())
            }
            Input::End => self.end(),
            Input::Time => Ok(()),
            Input::Datagram(_) | Input::Reply(..) => {
                Err(Error::Misuse("this session runs on an ordered stream"))
            }
        }
    }

    fn poll(&mut self, now: Instant) -> Output<Event> {
        // An error comes as an event.
        let _ = self.tick(now);
        self.fetch = false;
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(bytes) = self.transmit() {
            return Output::Transmit(bytes);
        }
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        Output::Wait(self.link.deadline())
    }
}

impl Streamed for Connection {
    fn wants_bytes(&self) -> bool {
        self.error.is_none() && !self.closed && !self.inbound.is_full(&self.link.config)
    }

    fn is_established(&self) -> bool {
        self.established
    }

    fn has_sent_all(&self) -> bool {
        !self.link.has_output() && (self.error.is_some() || self.outbound.ended)
    }
}
