//! The application at one end of a connection.

use crate::Violation;
use crate::audit::Audit;
use crate::rng::Rng;
use crate::scenario::{Close, Plan};
use crate::streams::{Stream, fill};
use stillwire_core::aznet::Connection;
use stillwire_core::{Channel, Error, Instant, Read};

/// Reads and writes as its plan says. Times are the world's, in µs.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) plan: Plan,
    next_write: u64,
    next_read: u64,
    closed: bool,
    /// The peer's end was read.
    pub(crate) ended: bool,
    /// A call failed; nothing more is tried.
    pub(crate) failed: Option<Error>,
    buffer: Vec<u8>,
}

impl App {
    pub(crate) fn new(plan: Plan, now: u64) -> Self {
        Self {
            next_write: now + plan.write_delay,
            next_read: now + plan.read_delay,
            plan,
            closed: false,
            ended: false,
            failed: None,
            buffer: Vec::new(),
        }
    }

    /// Has read to the end, or cannot.
    pub(crate) fn is_done(&self) -> bool {
        self.ended || self.failed.is_some()
    }

    /// Does what is due; true when it touched the connection.
    pub(crate) fn step(
        &mut self,
        now: u64,
        time: Instant,
        connection: &mut Connection,
        (out, inbound): (&mut Stream, &mut Stream),
        rng: &mut Rng,
        audit: &mut Audit,
    ) -> Result<bool, Violation> {
        let mut touched = false;
        while !self.is_done() && self.next_read <= now && connection.is_readable() {
            touched = true;
            self.next_read = now + self.plan.read_gap;
            self.read(time, connection, inbound, audit)?;
        }
        while !self.closed && self.failed.is_none() && self.next_write <= now {
            let left = self.left(out, inbound);
            if left == 0 {
                break;
            }
            // Now and then without asking first whether there is room.
            let writable = connection.is_writable();
            if !writable && !rng.chance(100) {
                break;
            }
            let piece = rng.range(self.plan.piece.0, self.plan.piece.1).min(left);
            touched = true;
            if !self.write(time, connection, out, piece, writable, audit)? {
                break;
            }
            self.next_write = now + self.plan.write_gap;
        }
        if self.may_close(out, inbound) {
            self.closed = true;
            touched = true;
            audit.note(&[30]);
            match connection.close_write(time) {
                Ok(()) => out.closed = true,
                Err(error) => self.failed = Some(error),
            }
            Self::misuse(time, connection)?;
        }
        Ok(touched)
    }

    /// When it wants to act again, if only time has to pass.
    pub(crate) fn next(
        &self,
        connection: &Connection,
        out: &Stream,
        inbound: &Stream,
    ) -> Option<u64> {
        if self.failed.is_some() {
            return None;
        }
        let read = (!self.ended && connection.is_readable()).then_some(self.next_read);
        let wants = !self.closed && self.left(out, inbound) > 0 && connection.is_writable();
        let write = wants.then_some(self.next_write);
        [read, write].into_iter().flatten().min()
    }

    fn left(&self, out: &Stream, inbound: &Stream) -> u64 {
        let total = if self.plan.echo {
            inbound.read
        } else {
            self.plan.total
        };
        total - out.written.min(total)
    }

    fn may_close(&self, out: &Stream, inbound: &Stream) -> bool {
        let over = !self.plan.echo && self.plan.close == Close::AtOnce || self.ended;
        !self.closed && self.failed.is_none() && over && self.left(out, inbound) == 0
    }

    fn read(
        &mut self,
        time: Instant,
        connection: &mut Connection,
        inbound: &mut Stream,
        audit: &mut Audit,
    ) -> Result<(), Violation> {
        self.buffer.resize(self.plan.read_size, 0);
        match connection.read(time, &mut self.buffer) {
            Ok(Read::Data(n)) => {
                audit.note(&[31, n as u64]);
                if n == 0 {
                    return Err(Violation::new("a readable connection reads", "0 bytes"));
                }
                inbound.delivered(&self.buffer[..n])
            }
            Ok(Read::Pending) => Err(Violation::new("a readable connection reads", "pending")),
            Ok(Read::End) => {
                audit.note(&[32]);
                self.ended = true;
                inbound.ended()
            }
            Err(error) => {
                audit.note(&[33]);
                self.failed = Some(error);
                Ok(())
            }
        }
    }

    fn write(
        &mut self,
        time: Instant,
        connection: &mut Connection,
        out: &mut Stream,
        piece: u64,
        writable: bool,
        audit: &mut Audit,
    ) -> Result<bool, Violation> {
        self.buffer.resize(piece as usize, 0);
        fill(out.key, out.written, &mut self.buffer);
        match connection.write(time, &self.buffer) {
            Ok(0) if writable => Err(Violation::new("a writable connection writes", "0 bytes")),
            Ok(n) => {
                audit.note(&[34, n as u64]);
                out.written += n as u64;
                Ok(n > 0)
            }
            Err(error) => {
                audit.note(&[35]);
                // What was received may still be read; only writing is over.
                self.closed = true;
                if matches!(error, Error::Misuse(_)) {
                    return Err(Violation::new(
                        "errors are typed",
                        "a legal write is misuse",
                    ));
                }
                Ok(false)
            }
        }
    }

    /// Writing after the end is misuse, or the connection's own error; it changes nothing.
    fn misuse(time: Instant, connection: &mut Connection) -> Result<(), Violation> {
        let before = connection.stats().bytes_written;
        match connection.write(time, b"late") {
            Err(_) if connection.stats().bytes_written == before => Ok(()),
            other => {
                let detail = format!("a write after close_write gave {other:?}");
                Err(Violation::new("misuse changes nothing", detail))
            }
        }
    }
}
