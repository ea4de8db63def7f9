//! The connection as whoever runs it sees it.

use super::{Connection, Event, Phase};
use crate::error::{Class, Error, Timer};
use crate::machine::{Input, Machine, Output, Streamed};
use crate::time::Instant;
use bytes::Bytes;

const SHAKING_HANDS: Error = Error::peer(
    Class::Eof,
    "the stream ended before the handshake did; is the peer's key or profile another?",
);
const NO_FINAL: Error = Error::peer(
    Class::Eof,
    "the stream ended without a final message: its end is not authentic",
);

impl Connection {
    fn tick(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if !self.is_established() && self.deadline <= now {
            return Err(self.fail(Error::Timeout(Timer::Connect)));
        }
        Ok(())
    }

    /// What goes out next, sealed now.
    fn transmit(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.out.pop_front() {
            return Some(bytes);
        }
        let Phase::Open(push, _) = &mut self.phase else {
            return None;
        };
        let sealed = self.outbound.next(push);
        let bytes = sealed.unwrap_or_else(|error| {
            self.fail(error);
            None
        });
        self.settle();
        bytes
    }

    fn end(&mut self) -> Result<(), Error> {
        if !self.is_established() {
            return Err(self.fail(SHAKING_HANDS));
        }
        if self.inbound.ended && self.inbound.is_between_frames() {
            return Ok(());
        }
        Err(self.fail(NO_FINAL))
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
                // Bytes behind the final message spoil an end that is not told yet.
                self.feed(bytes).map_err(|error| self.fail(error))?;
                self.settle();
                Ok(())
            }
            Input::End => self.end(),
            Input::Time => Ok(()),
            Input::Datagram(_) | Input::Reply(..) => {
                Err(Error::Misuse("this protocol runs on an ordered stream"))
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
        let waiting = self.error.is_none() && !self.is_established();
        Output::Wait(waiting.then_some(self.deadline))
    }
}

impl Streamed for Connection {
    fn wants_bytes(&self) -> bool {
        self.error.is_none() && !self.closed && !self.inbound.is_full(&self.config)
    }

    fn is_established(&self) -> bool {
        self.transcript.is_some()
    }

    fn has_sent_all(&self) -> bool {
        self.out.is_empty() && (self.error.is_some() || self.outbound.has_ended())
    }
}
