//! The connection as the application sees it: a byte stream, or whole messages.

use super::Connection;
use crate::error::Error;
use crate::machine::{Channel, Messages, Read, Received, Streamed};
use crate::time::Instant;

const CLOSED: Error = Error::Misuse("our direction is closed; nothing more can be sent");

impl Connection {
    fn check_open(&self) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.outbound.is_closing() => Err(CLOSED),
            None => Ok(()),
        }
    }

    /// Notes whether reading has made the carrier interesting again.
    fn after_reading(&mut self, wanted: bool) {
        self.fetch |= !wanted && self.wants_bytes();
    }
}

impl Channel for Connection {
    fn write(&mut self, _now: Instant, data: &[u8]) -> Result<usize, Error> {
        self.check_open()?;
        self.outbound.write(data, &self.config, self.phase.push())
    }

    fn is_flushed(&self) -> bool {
        self.outbound.is_flushed()
    }

    fn close_write(&mut self, _now: Instant) -> Result<(), Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        self.outbound.close();
        Ok(())
    }

    fn read(&mut self, _now: Instant, out: &mut [u8]) -> Result<Read, Error> {
        if out.is_empty() {
            return Ok(Read::Data(0));
        }
        let wanted = self.wants_bytes();
        let n = self.inbound.read(out);
        self.after_reading(wanted);
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
        let full = self.inbound.is_full(&self.config);
        full || self.inbound.has_plaintext() || self.inbound.ended || self.error.is_some()
    }

    fn is_writable(&self) -> bool {
        self.error.is_some() || self.outbound.is_closing() || self.outbound.has_room(&self.config)
    }

    fn has_output(&self) -> bool {
        let sendable = self.is_established() && self.outbound.has_next();
        self.fetch || sendable || !self.out.is_empty() || !self.events.is_empty()
    }

    fn is_finished(&self) -> bool {
        (self.error.is_some() || self.closed) && self.out.is_empty() && self.events.is_empty()
    }

    fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

impl Messages for Connection {
    fn longest_message(&self) -> usize {
        self.config.largest_message
    }

    fn send(&mut self, _now: Instant, message: &[u8]) -> Result<bool, Error> {
        self.check_open()?;
        if message.len() > self.config.largest_message {
            return Err(Error::Misuse("a message is longer than `largest_message`"));
        }
        self.outbound.send(message, &self.config, self.phase.push())
    }

    fn receive(&mut self, _now: Instant) -> Result<Received, Error> {
        let wanted = self.wants_bytes();
        let message = self.inbound.message();
        self.after_reading(wanted);
        match (message, &self.error) {
            (Some(message), _) => Ok(Received::Message(message)),
            (None, Some(error)) => Err(error.clone()),
            (None, None) if self.inbound.ended => Ok(Received::End),
            (None, None) => Ok(Received::Pending),
        }
    }

    fn is_receivable(&self) -> bool {
        self.inbound.has_message() || self.inbound.ended || self.error.is_some()
    }
}
