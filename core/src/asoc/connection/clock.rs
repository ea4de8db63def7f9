//! Deadlines: handshake, silence, sending and keep-alive (wire page `asoc`, "Timeouts,
//! reconnection, limits" and trap 1).

use super::{Connection, Stage};
use crate::asoc::wire::kind;
use crate::error::{Error, Timer};
use crate::time::Instant;
use bytes::Bytes;

impl Connection {
    /// When [`Input::Time`](crate::Input::Time) is due. While a transmit is under way this is the instant by which it
    /// must be done.
    pub fn deadline(&self) -> Option<Instant> {
        let own = match self.stage {
            Stage::Over(_) => None,
            Stage::Open => {
                let silence = self.receive_deadline();
                Some(silence.map_or(self.keep_alive_at, |at| at.min(self.keep_alive_at)))
            }
            _ => Some(self.started.after(self.config.handshake_timeout)),
        };
        [own, self.send_deadline()].into_iter().flatten().min()
    }

    fn receive_deadline(&self) -> Option<Instant> {
        let busy = self.incoming.any_open() || self.reader.is_inside();
        (busy && !self.paused).then(|| self.heard.after(self.config.receive_timeout))
    }

    fn send_deadline(&self) -> Option<Instant> {
        let handed = self.handed.filter(|_| !self.is_over())?;
        Some(handed.after(self.config.send_timeout))
    }

    pub(super) fn expire_handshake(&mut self, now: Instant) -> Result<(), Error> {
        let late = now >= self.started.after(self.config.handshake_timeout);
        if late && !self.is_open() {
            return Err(self.fail(Error::Timeout(Timer::Connect)));
        }
        Ok(())
    }

    pub(super) fn expire(&mut self, now: Instant) -> Result<(), Error> {
        self.alive()?;
        self.expire_handshake(now)?;
        if self.send_deadline().is_some_and(|at| now >= at) {
            return Err(self.fail(Error::Timeout(Timer::Send)));
        }
        if !self.is_open() {
            return Ok(());
        }
        if self.receive_deadline().is_some_and(|at| now >= at) {
            return Err(self.fail(Error::Timeout(Timer::Idle)));
        }
        if now >= self.keep_alive_at {
            self.keep_alive_at = now.after(self.config.keep_alive);
            // What is queued is a sign of life itself, and the queue stays bounded.
            if self.out.is_empty() {
                self.send(kind::CONTROL, 0, 0, Bytes::new())?;
            }
        }
        Ok(())
    }
}
