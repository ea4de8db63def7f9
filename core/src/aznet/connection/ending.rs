//! How a connection ends: by both directions, by being dropped, or because there is no time left.

use super::{Connection, Phase, Task};
use crate::error::Error;
use crate::store::{Operation, Role};
use crate::time::Instant;
use core::time::Duration;

impl Connection {
    /// The application has dropped the connection. What it wrote is still delivered, within the
    /// close time-out; an end mark goes out only if it was asked for, so that the peer never takes
    /// a broken-off stream for a whole one.
    pub fn abort(&mut self, now: Instant) {
        if self.phase == Phase::Open {
            let until = now.after(self.config.close_timeout);
            self.phase = Phase::Leaving { until };
            self.inbound.discard();
        }
    }

    /// There is no time left: what storage has not taken by now is lost, and a farewell is not waited
    /// for. The last resort of a listener that has to end; its janitor removes what a connection that
    /// had not ended leaves behind.
    pub fn cut(&mut self, now: Instant) {
        match self.phase {
            Phase::Open | Phase::Leaving { .. } => self.fail(Error::Closed),
            Phase::Parting { .. } => self.clean_up(now),
            Phase::Cleaning | Phase::Over => {}
        }
    }

    /// Both directions are ending.
    pub(super) fn part(&mut self, now: Instant, fin_both: bool) {
        if self.role == Role::Dialer {
            self.outbound.say_done();
            if fin_both && self.outbound.said_done() {
                self.clean = true;
                self.phase = Phase::Cleaning;
                self.advance(now);
            }
        } else if fin_both {
            // The dialer may still be reading (wire page, trap 18). One that greeted us says when
            // it has read everything, and pings while it has not.
            let patience = if self.greeted {
                self.heard.after(self.ping_patience())
            } else {
                now
            };
            let until = now.after(self.config.close_timeout).max(patience);
            self.phase = Phase::Parting { until };
            self.inbound.linger(now);
        }
    }

    /// How long a peer that is alive can go unheard: its ping may be late, and our look at it.
    pub(super) fn ping_patience(&self) -> Duration {
        let pings = self.config.ping_interval.saturating_mul(3).checked_div(2);
        pings
            .unwrap_or_default()
            .saturating_add(self.inbound.longest_pause())
    }

    pub(super) fn clean_up(&mut self, now: Instant) {
        self.clean = true;
        self.phase = Phase::Cleaning;
        let operation = Operation::DeleteSession { id: self.id };
        self.chores.push_back(Task::new(operation, now));
    }
}
