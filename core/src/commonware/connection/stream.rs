//! The connection as the application sees it: whole messages, or a byte stream.

use super::{Connection, MESSAGE_COST, Stage};
use crate::error::Error;
use crate::machine::{Channel, Messages, Read, Received, Streamed};
use crate::time::Instant;
use bytes::{Buf, Bytes};

impl Connection {
    /// The error that writing meets now, if it meets one.
    fn may_write(&self) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.closing || self.closed => Err(Error::Closed),
            None => Ok(()),
        }
    }

    /// Bytes that fit into the send buffer now.
    fn room_to_send(&self) -> usize {
        if self.is_open() {
            self.config
                .send_buffer
                .max(1)
                .saturating_sub(self.out.len())
        } else {
            0
        }
    }

    fn seal(&mut self, plain: &[u8]) -> Result<(), Error> {
        let Stage::Open(records) = &mut self.stage else {
            return Err(Error::Closed);
        };
        if self.out.capacity() == 0 {
            self.out = self.spare.take();
        }
        let sealed = records.sealer.seal(plain, &mut self.out);
        if let Err(error) = &sealed {
            self.fail(error.clone());
        }
        sealed
    }

    /// What is left to say when nothing is held: nothing now, the end, or the error.
    fn nothing_held(&self) -> Result<bool, Error> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None => Ok(self.ended),
        }
    }

    /// The application took a message out: goes on with what had no room.
    fn made_room(&mut self, now: Instant, cost: usize) {
        self.held = self.held.saturating_sub(cost);
        if self.is_open() && !self.pending.is_empty() && self.has_room() {
            let outcome = self.take_pending(now);
            // The error is kept, and told once what came before it has been given out.
            let _ = self.settle(outcome);
        }
    }

    /// Gives back the cost of messages that have been read to their end.
    fn drop_empty(&mut self, now: Instant) {
        while self.received.front().is_some_and(Bytes::is_empty) {
            self.received.pop_front();
            self.made_room(now, MESSAGE_COST);
        }
    }
}

impl Messages for Connection {
    fn longest_message(&self) -> usize {
        self.config.limit()
    }

    fn send(&mut self, _now: Instant, message: &[u8]) -> Result<bool, Error> {
        self.may_write()?;
        if message.len() > self.config.limit() {
            return Err(Error::Misuse(
                "the message is longer than the configured longest message",
            ));
        }
        if self.room_to_send() == 0 {
            return Ok(false);
        }
        self.seal(message)?;
        Ok(true)
    }

    fn receive(&mut self, now: Instant) -> Result<Received, Error> {
        if let Some(message) = self.received.pop_front() {
            self.made_room(now, message.len().saturating_add(MESSAGE_COST));
            return Ok(Received::Message(message));
        }
        Ok(if self.nothing_held()? {
            Received::End
        } else {
            Received::Pending
        })
    }
}

impl Channel for Connection {
    fn write(&mut self, _now: Instant, data: &[u8]) -> Result<usize, Error> {
        self.may_write()?;
        let record = self
            .config
            .stream_record
            .clamp(1, self.config.limit().max(1));
        let mut rest = data;
        while !rest.is_empty() {
            let fits = self.room_to_send().min(record).min(rest.len());
            let Some((plain, behind)) = rest.split_at_checked(fits).filter(|_| fits > 0) else {
                break;
            };
            self.seal(plain)?;
            rest = behind;
        }
        Ok(data.len().saturating_sub(rest.len()))
    }

    fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// There is no end mark: the carrier's own end, which whoever runs this brings about once
    /// [`Streamed::has_sent_all`], is all that the peer will see.
    fn close_write(&mut self, _now: Instant) -> Result<(), Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        self.closing = true;
        Ok(())
    }

    /// [`Read::End`] is not authenticated here; see [`Connection`].
    fn read(&mut self, now: Instant, out: &mut [u8]) -> Result<Read, Error> {
        if out.is_empty() {
            return Ok(Read::Data(0));
        }
        let mut copied: usize = 0;
        self.drop_empty(now);
        while let Some(message) = self.received.front_mut() {
            let space = out.get_mut(copied..).unwrap_or_default();
            let taken = message.len().min(space.len());
            if taken == 0 {
                break;
            }
            let (space, _) = space.split_at_mut(taken);
            message.copy_to_slice(space);
            copied = copied.saturating_add(taken);
            self.made_room(now, taken);
            self.drop_empty(now);
        }
        if copied > 0 {
            return Ok(Read::Data(copied));
        }
        Ok(if self.nothing_held()? {
            Read::End
        } else {
            Read::Pending
        })
    }

    fn is_readable(&self) -> bool {
        !self.received.is_empty() || self.ended || self.error.is_some()
    }

    fn is_writable(&self) -> bool {
        self.may_write().is_err() || self.room_to_send() > 0
    }

    fn has_output(&self) -> bool {
        !self.out.is_empty()
            || !self.events.is_empty()
            || (self.ended && self.closing && self.is_open())
    }

    fn is_finished(&self) -> bool {
        self.closed && self.events.is_empty() && self.out.is_empty()
    }

    fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

impl Streamed for Connection {
    fn wants_bytes(&self) -> bool {
        self.wants_input()
    }

    fn is_established(&self) -> bool {
        self.established
    }

    fn has_sent_all(&self) -> bool {
        self.out.is_empty() && (self.closed || (self.closing && self.is_open()))
    }

    fn has_authentic_end(&self) -> bool {
        false
    }
}
