//! One end and its application.

use super::line::Line;
use crate::Violation;
use crate::rng::Rng;
use std::collections::BTreeSet;
use stillwire_core::ziti::{Connection, Event};
use stillwire_core::{
    Channel, Error, Input, Instant, Machine, Messages, Output, Read, Received, Streamed,
};

/// What an application finds when it listens.
enum Found {
    Some(Vec<u8>),
    Nothing,
    End,
}

/// Bytes of keystream that no two messages of a run may share.
const SAMPLE: usize = 16;

pub(super) struct End {
    pub(super) machine: Connection,
    /// What the application wants to say; one message each, where it speaks in messages.
    to_say: Vec<Vec<u8>>,
    in_messages: bool,
    pub(super) said: Vec<Vec<u8>>,
    pub(super) heard: Vec<Vec<u8>>,
    /// The plaintext of all frames, as far as one was seen.
    framed: usize,
    pub(super) ended: bool,
    pub(super) closed: Option<bool>,
    error: Option<Error>,
}

impl End {
    pub(super) fn new(machine: Connection, in_messages: bool, rng: &mut Rng) -> Self {
        let count = rng.pick(&[0, 1, 5, 40]);
        let mut to_say: Vec<Vec<u8>> = Vec::new();
        for _ in 0..count {
            let mut message = vec![0; rng.pick(&[0, 1, 20, 300, 2_000])];
            message.fill_with(|| rng.next() as u8);
            to_say.push(message);
        }
        to_say.reverse();
        Self {
            machine,
            to_say,
            in_messages,
            said: Vec::new(),
            heard: Vec::new(),
            framed: 0,
            ended: false,
            closed: None,
            error: None,
        }
    }

    /// The application speaks; true if it did.
    fn say(&mut self, now: Instant, rng: &mut Rng) -> bool {
        let Some(mut message) = self.to_say.pop() else {
            let _ = self.machine.close_write(now);
            return false;
        };
        if rng.chance(50) {
            // Misuse unless new keys are agreed on.
            let _ = self.machine.rekey();
        }
        let taken = if self.in_messages {
            if self.machine.send(now, &message) != Ok(true) {
                self.to_say.push(message);
                return false;
            }
            message.len()
        } else {
            self.machine.write(now, &message).unwrap_or(0)
        };
        let rest = message.split_off(taken);
        // An empty message is said as well.
        let whole = rest.is_empty();
        if !whole {
            self.to_say.push(rest);
        }
        self.said.push(message);
        taken > 0 || whole
    }

    /// The application listens; true if it heard something.
    fn listen(&mut self, now: Instant, rng: &mut Rng) -> Result<bool, Violation> {
        let found = if self.in_messages {
            self.machine.receive(now).map(|found| match found {
                Received::Message(message) => Found::Some(message.to_vec()),
                Received::End => Found::End,
                Received::Pending => Found::Nothing,
            })
        } else {
            let mut buffer = vec![0; rng.pick(&[1, 300, 70_000])];
            self.machine.read(now, &mut buffer).map(|read| match read {
                Read::Data(n) => Found::Some(buffer[..n].to_vec()),
                Read::End => Found::End,
                Read::Pending => Found::Nothing,
            })
        };
        match found {
            Ok(Found::Nothing) => Ok(false),
            Ok(Found::Some(message)) => {
                if self.ended {
                    let what = format!("{} bytes", message.len());
                    return Err(Violation::new("nothing comes after the end", what));
                }
                self.heard.push(message);
                Ok(true)
            }
            Ok(Found::End) => Ok(!std::mem::replace(&mut self.ended, true)),
            Err(error) => {
                self.is_final(&error, now)?;
                Ok(false)
            }
        }
    }

    /// An error is the first one, and every call says so.
    fn is_final(&mut self, error: &Error, now: Instant) -> Result<(), Violation> {
        let first = self.error.get_or_insert_with(|| error.clone()).clone();
        let again = [
            self.machine.handle(now, Input::Time).err(),
            self.machine.handle(now, Input::Bytes(b"more")).err(),
            self.machine.write(now, b"more").err(),
            self.machine.close_write(now).err(),
            Some(error.clone()),
        ];
        match again.iter().find(|again| again.as_ref() != Some(&first)) {
            None => Ok(()),
            Some(other) => Err(Violation::new(
                "an error repeats",
                format!("{first} {other:?}"),
            )),
        }
    }

    /// Everything the machine has to say goes onto the line; true if there was something.
    fn drain(
        &mut self,
        now: Instant,
        line: &mut Line,
        other: Option<&[u8]>,
        samples: &mut BTreeSet<[u8; SAMPLE]>,
        rng: &mut Rng,
    ) -> Result<bool, Violation> {
        let mut moved = false;
        loop {
            match self.machine.poll(now) {
                Output::Transmit(bytes) => {
                    for frame in line.push(&bytes, other, rng) {
                        self.sample(&frame, samples)?;
                    }
                }
                Output::Event(Event::Closed(how)) => {
                    if self.closed.replace(how.is_ok()).is_some() {
                        return Err(Violation::new("an end is told once", format!("{how:?}")));
                    }
                }
                Output::Event(_) => {}
                _ => return Ok(moved),
            }
            moved = true;
        }
    }

    /// The keystream of a frame, from its plaintext, which only we know: no two may be alike, for
    /// that is what a nonce used twice would look like.
    fn sample(
        &mut self,
        frame: &[u8],
        samples: &mut BTreeSet<[u8; SAMPLE]>,
    ) -> Result<(), Violation> {
        let sealed = &frame[5..frame.len() - 16];
        let plain = self.said.concat();
        let start = self.framed;
        self.framed += sealed.len();
        let Some(plain) = plain.get(start..self.framed) else {
            return Err(Violation::new(
                "only what was said is sealed",
                "a long frame",
            ));
        };
        let mut sample = [0; SAMPLE];
        if sealed.len() < SAMPLE {
            return Ok(());
        }
        for (to, (a, b)) in sample.iter_mut().zip(sealed.iter().zip(plain)) {
            *to = a ^ b;
        }
        if !samples.insert(sample) {
            return Err(Violation::new(
                "no nonce is used twice",
                format!("{sample:02x?}"),
            ));
        }
        Ok(())
    }

    /// One turn: speaks, takes what came, says it, listens. True if anything moved.
    pub(super) fn step(
        &mut self,
        now: Instant,
        lines: [&mut Line; 2],
        peer_gone: bool,
        samples: &mut BTreeSet<[u8; SAMPLE]>,
        rng: &mut Rng,
    ) -> Result<bool, Violation> {
        let [mine, theirs] = lines;
        let mut moved = self.say(now, rng);
        if self.machine.wants_bytes() {
            let bytes = theirs.pull(rng);
            let handled = if !bytes.is_empty() {
                moved = true;
                self.machine.handle(now, Input::Bytes(&bytes))
            } else if theirs.is_empty() && (theirs.cut || peer_gone) {
                moved |= self.machine.error().is_none() && !self.ended;
                self.machine.handle(now, Input::End)
            } else {
                Ok(())
            };
            match handled {
                Err(Error::Misuse(what)) => {
                    return Err(Violation::new("the driver does nothing wrong", what));
                }
                Err(error) => self.is_final(&error, now)?,
                Ok(()) => {}
            }
        }
        moved |= self.drain(now, mine, theirs.first(), samples, rng)?;
        if self.has_sent_all() {
            mine.close(rng);
        }
        if rng.chance(700) {
            moved |= self.listen(now, rng)?;
        } else {
            // Empty messages are receivable, and not readable; reading passes over them.
            let waits = self.machine.is_readable() || self.machine.is_receivable();
            moved |= waits && !self.ended && self.machine.error().is_none();
        }
        // Listening may have made room for what is under way.
        moved |= self.machine.wants_bytes() && !theirs.is_empty();
        Ok(moved)
    }

    /// Our direction of the carrier ends.
    pub(super) fn has_sent_all(&self) -> bool {
        self.machine.has_sent_all()
    }

    pub(super) fn has_said_all(&self) -> bool {
        self.to_say.is_empty()
    }

    /// What was heard is the start of what `other` said; in messages, whole ones.
    pub(super) fn heard_a_prefix_of(&self, other: &Self) -> bool {
        if self.in_messages {
            other.said.starts_with(&self.heard)
        } else {
            other.said.concat().starts_with(&self.heard.concat())
        }
    }

    pub(super) fn heard_all_of(&self, other: &Self) -> bool {
        other.has_said_all() && self.heard.concat() == other.said.concat()
    }

    pub(super) fn delivered(&self) -> u64 {
        self.heard.iter().map(|message| message.len() as u64).sum()
    }
}
