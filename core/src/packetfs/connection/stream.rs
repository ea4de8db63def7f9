//! The session as the application sees it: a byte stream, or whole messages.

use super::Connection;
use crate::error::Error;
use crate::machine::{Channel, Messages, Read, Received, Streamed};
use crate::time::Instant;

const CLOSED: Error = Error::Misuse("our direction is closed; nothing more can be sent");

impl Connection {
    fn check_open(&self) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.outbound.closing => Err(CLOSED),
            None => Ok(()),
        }
    }
}

impl Channel for Connection {
    fn write(&mut self, _now: Instant, data: &[u8]) -> Result<usize, Error> {
        self.check_open()?;
        Ok(self.outbound.write(data, &self.link.config))
    }

    fn is_flushed(&self) -> bool {
        self.outbound.is_flushed() && !self.link.has_output()
    }

    fn close_write(&mut self, _now: Instant) -> Result<(), Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        self.outbound.closing = true;
        Ok(())
    }

    fn read(&mut self, _now: Instant, out: &mut [u8]) -> Result<Read, Error> {
        if out.is_empty() {
            return Ok(Read::Data(0));
        }
        let wanted = self.wants_bytes();
        let n = self.inbound.read(out);
        self.fetch |= !wanted && self.wants_bytes();
        if n > 0 {
            return Ok(Read::Data(n));
        }
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.inbound.ended => Ok(Read::End),
            None => Ok(Read::Pending),
        }
    }

    fn is_readable(&self) -> bool {
        let full = self.inbound.is_full(&self.link.config);
        full || self.inbound.has_plaintext() || self.inbound.ended || self.error.is_some()
    }

    fn is_writable(&self) -> bool {
        let room = self.outbound.has_room(&self.link.config);
        room || self.error.is_some() || self.outbound.closing
    }

    fn has_output(&self) -> bool {
        let ending = self.outbound.closing && !self.outbound.ended;
        let sealable = self.link.is_open() && (self.outbound.has_next() || ending);
        self.fetch || sealable || self.link.has_output() || !self.events.is_empty()
    }

    fn is_finished(&self) -> bool {
        let over = self.error.is_some() || self.closed;
        over && !self.link.has_output() && self.events.is_empty()
    }

    fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

impl Messages for Connection {
    fn longest_message(&self) -> usize {
        self.link.config.longest()
    }

    fn send(&mut self, _now: Instant, message: &[u8]) -> Result<bool, Error> {
        self.check_open()?;
        if message.len() > self.longest_message() {
            return Err(Error::Misuse("a message is longer than one record holds"));
        }
        Ok(self.outbound.send(message, &self.link.config))
    }

    fn receive(&mut self, _now: Instant) -> Result<Received, Error> {
        let wanted = self.wants_bytes();
        let received = self.inbound.message();
        self.fetch |= !wanted && self.wants_bytes();
        match (received, &self.error) {
            (Received::Pending, Some(error)) => Err(error.clone()),
            (received, _) => Ok(received),
        }
    }
}
