//! One end and its application.

use crate::rng::Rng;
use stillwire_core::commonware::{Config, Connection, ConnectionEvent, MESSAGE_COST};
use stillwire_core::{
    Channel, Error, Input, Instant, Machine, Messages, Output, Read, Received, Streamed,
};

pub(super) struct End {
    machine: Connection,
    /// Whole messages, or bytes.
    messages: bool,
    /// What the application still has to write, and what it has written.
    to_write: Vec<Vec<u8>>,
    written: Vec<Vec<u8>>,
    read: Vec<Vec<u8>>,
    held: usize,
    events: Vec<ConnectionEvent>,
    largest_input: usize,
    busy: bool,
}

impl End {
    pub(super) fn new(machine: Connection, config: &Config, messages: bool, rng: &mut Rng) -> Self {
        let count = rng.below(40);
        let longest = config.longest_message as u64;
        let to_write = (0..count).map(|_| {
            let length = match rng.below(5) {
                0 => u64::from(!messages),
                1 => longest,
                _ => rng.range(u64::from(!messages), longest),
            };
            let first = rng.next();
            (0..length)
                .map(|at| (first ^ at.wrapping_mul(0x9e37)) as u8)
                .collect()
        });
        Self {
            messages,
            to_write: to_write.collect(),
            written: Vec::new(),
            read: Vec::new(),
            held: config.receive_buffer + config.longest_message + MESSAGE_COST,
            events: Vec::new(),
            largest_input: 0,
            busy: false,
            machine,
        }
    }

    /// The application's turn, and what the machine sends.
    pub(super) fn act(&mut self, now: Instant, rng: &mut Rng) -> Result<Vec<u8>, String> {
        self.busy = false;
        let asked = self.events.iter();
        let asked = asked
            .filter(|event| matches!(event, ConnectionEvent::Asked { .. }))
            .count();
        if asked == 1 && !self.was_answered() {
            let _ = self.machine.accept(now);
            self.events
                .retain(|event| !matches!(event, ConnectionEvent::Asked { .. }));
            self.busy = true;
        }
        self.write(now, rng)?;
        if rng.chance(700) {
            self.take(now, rng)?;
        } else {
            // Not now; but the run must come back.
            self.busy |= self.machine.is_readable() && !self.is_over();
        }
        Ok(self.drain(now))
    }

    fn was_answered(&self) -> bool {
        self.machine.is_established()
    }

    fn write(&mut self, now: Instant, rng: &mut Rng) -> Result<(), String> {
        if self.machine.error().is_some() || !self.machine.is_established() {
            return Ok(());
        }
        if self.to_write.is_empty() {
            if !self.machine.has_sent_all() {
                self.machine
                    .close_write(now)
                    .map_err(|error| format!("cannot close: {error}"))?;
                self.busy = true;
            }
            return Ok(());
        }
        if rng.chance(200) {
            self.busy = true;
            return Ok(());
        }
        let next = self.to_write[0].clone();
        let taken = if self.messages {
            let sent = self.machine.send(now, &next);
            sent.map(|sent| if sent { Some(next.len()) } else { None })
        } else {
            self.machine.write(now, &next).map(|n| (n > 0).then_some(n))
        };
        let taken = taken.map_err(|error| format!("cannot write: {error}"))?;
        let Some(taken) = taken else {
            return Ok(());
        };
        self.busy = true;
        self.written.push(next[..taken].to_vec());
        if taken == next.len() {
            self.to_write.remove(0);
        } else {
            self.to_write[0] = next[taken..].to_vec();
        }
        Ok(())
    }

    fn take(&mut self, now: Instant, rng: &mut Rng) -> Result<(), String> {
        for _ in 0..rng.range(1, 5) {
            let got = if self.messages {
                match self.machine.receive(now) {
                    Ok(Received::Message(message)) => Some(message.to_vec()),
                    _ => None,
                }
            } else {
                let mut buffer = vec![0; rng.range(1, 3_000) as usize];
                match self.machine.read(now, &mut buffer) {
                    Ok(Read::Data(n)) => Some(buffer[..n].to_vec()),
                    _ => None,
                }
            };
            let Some(got) = got else {
                return Ok(());
            };
            if self.machine.peer().is_none() {
                return Err("something was delivered before the peer was known".into());
            }
            self.read.push(got);
            self.busy = true;
        }
        Ok(())
    }

    fn drain(&mut self, now: Instant) -> Vec<u8> {
        let mut sent = Vec::new();
        loop {
            match self.machine.poll(now) {
                Output::Transmit(bytes) => sent.extend_from_slice(&bytes),
                Output::Event(event) => {
                    self.events.push(event);
                    self.busy = true;
                }
                _ => return sent,
            }
        }
    }

    pub(super) fn bytes(&mut self, now: Instant, piece: &[u8]) -> Result<(), String> {
        self.largest_input = self.largest_input.max(piece.len());
        let before = self.machine.error().cloned();
        match (before, self.machine.handle(now, Input::Bytes(piece))) {
            (_, Err(misuse @ Error::Misuse(_))) => Err(format!("wanted bytes are {misuse}")),
            (Some(before), Err(now)) if before != now => Err("an error did not repeat".into()),
            _ => Ok(()),
        }
    }

    /// All of a recorded stream at once, read by nobody.
    pub(super) fn replayed(&mut self, now: Instant, bytes: &[u8]) {
        for byte in bytes {
            if self.machine.wants_bytes() {
                let _ = self.machine.handle(now, Input::Bytes(&[*byte]));
            }
            self.drain(now);
            if self
                .events
                .iter()
                .any(|event| matches!(event, ConnectionEvent::Asked { .. }))
            {
                let _ = self.machine.accept(now);
                self.events.clear();
            }
        }
    }

    pub(super) fn end(&mut self, now: Instant) {
        let _ = self.machine.handle(now, Input::End);
        self.busy = true;
    }

    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        match self.machine.poll(now) {
            Output::Wait(until) => until,
            _ => Some(now),
        }
    }

    /// What must be true at every moment.
    pub(super) fn check(&self, other: &Self) -> Result<(), String> {
        if self.machine.buffered() > self.held + self.largest_input {
            return Err(format!("{} bytes are held", self.machine.buffered()));
        }
        let in_order = if self.messages {
            other.written.starts_with(&self.read)
        } else {
            other.written.concat().starts_with(&self.read.concat())
        };
        if !in_order {
            return Err("something was delivered that was not written".into());
        }
        let place = |wanted: fn(&ConnectionEvent) -> bool| self.events.iter().position(wanted);
        let established = place(|event| matches!(event, ConnectionEvent::Established { .. }));
        let closed = place(|event| matches!(event, ConnectionEvent::Closed(_)));
        if established.is_some() && closed.is_some() && established > closed {
            return Err("established after it was closed".into());
        }
        if closed.is_some_and(|at| at + 1 != self.events.len()) {
            return Err("something was said after the close".into());
        }
        Ok(())
    }

    pub(super) fn wants_bytes(&self) -> bool {
        self.machine.wants_bytes()
    }

    pub(super) fn has_sent_all(&self) -> bool {
        self.machine.has_sent_all()
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    pub(super) fn is_closed(&self) -> bool {
        let mut events = self.events.iter();
        events.any(|event| matches!(event, ConnectionEvent::Closed(_)))
    }

    /// Closed, and everything that was received has been read.
    pub(super) fn is_over(&self) -> bool {
        self.machine.is_finished() && self.machine.buffered() == 0
    }

    pub(super) fn was_established(&self) -> bool {
        self.machine.is_established()
    }

    pub(super) fn closed_cleanly(&self) -> bool {
        matches!(self.events.last(), Some(ConnectionEvent::Closed(Ok(()))))
    }

    pub(super) fn said_unauthenticated_end(&self) -> bool {
        let mut events = self.events.iter();
        events.any(|event| matches!(event, ConnectionEvent::EndedUnauthenticated))
    }

    pub(super) fn error(&self) -> Option<&Error> {
        self.machine.error()
    }

    pub(super) fn delivered(&self) -> u64 {
        self.read.iter().map(|message| message.len() as u64).sum()
    }

    /// Everything that the other end wrote, to the last byte.
    pub(super) fn has_everything_of(&self, other: &Self) -> bool {
        other.to_write.is_empty() && self.read.concat() == other.written.concat()
    }
}
