//! The connection as the application sees it: an ordered byte stream in both directions.

use super::{Connection, Phase};
use crate::error::Error;
use crate::machine::{Channel, Read};
use crate::time::Instant;

impl Channel for Connection {
    fn write(&mut self, now: Instant, data: &[u8]) -> Result<usize, Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.phase != Phase::Open {
            return Err(Error::Closed);
        }
        let (profile, config) = (&self.profile, &self.config);
        let outcome = self
            .outbound
            .write(now, data, profile, config, &mut self.stats);
        if let Err(error @ Error::Limit { .. }) = &outcome {
            self.fail(error.clone());
        }
        outcome
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

    fn read(&mut self, now: Instant, out: &mut [u8]) -> Result<Read, Error> {
        if out.is_empty() {
            return Ok(Read::Data(0));
        }
        let was_full = self.inbound.is_full(&self.config);
        let n = self.inbound.take(out);
        if was_full && !self.inbound.is_full(&self.config) {
            self.heard = self.heard.max(now);
            self.fetch = true;
        }
        if n > 0 {
            return Ok(Read::Data(n));
        }
        match &self.error {
            // A peer that goes on behind its end mark has not ended well.
            Some(error @ Error::Peer { .. }) => Err(error.clone()),
            // An authentic end mark stays one, whatever then happened to our own direction.
            _ if self.inbound.fin => Ok(Read::End),
            Some(error) => Err(error.clone()),
            None if self.phase == Phase::Over => Err(Error::Closed),
            None => Ok(Read::Pending),
        }
    }

    fn is_readable(&self) -> bool {
        self.inbound.buffered() > 0
            || self.inbound.fin
            || self.error.is_some()
            || self.phase == Phase::Over
    }

    fn is_writable(&self) -> bool {
        self.error.is_some()
            || self.phase != Phase::Open
            || self.outbound.is_closing()
            || self.outbound.has_room(&self.profile, &self.config)
    }

    fn has_output(&self) -> bool {
        self.fetch
            || self.phase != Phase::Open
            || self.error.is_some()
            || !self.events.is_empty()
            || self.outbound.has_fresh()
            || self.outbound.may_seal(&self.profile, &self.config)
    }

    fn is_finished(&self) -> bool {
        self.phase == Phase::Over && self.events.is_empty()
    }

    fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}
