//! A connection while the handshake goes on.

use super::{Connection, ConnectionEvent, Records};
use crate::commonware::config::Admission;
use crate::commonware::handshake::{
    AwaitAck, AwaitIdentity, AwaitMessage, Claim, Dialer, IDENTITY, Verified,
};
use crate::commonware::identity::PublicKey;
use crate::commonware::wire::{Prefix, frame_size, split_frame};
use crate::error::{Class, Error};
use crate::time::Instant;
use core::ops::RangeInclusive;

/// Bytes that may wait for the application's answer: more than any dialer sends before it has
/// heard from the listener.
pub(super) const MOST_PENDING: usize = 2048;

/// How far a connection is.
pub(super) enum Stage {
    /// The dialer waits for the listener's answer.
    Answer(Dialer),
    Identity(AwaitIdentity),
    /// The application must say whether it talks to the dialer.
    Asking(Asking),
    Message(AwaitMessage),
    Ack(AwaitAck, PublicKey),
    Open(Records),
    Over,
}

pub(super) enum Asking {
    /// Nothing has proven who it is.
    Claimed(AwaitMessage),
    Proven(Verified),
}

pub(super) fn refused() -> Error {
    Error::peer(
        Class::Identity,
        "this dialer is not admitted; add its identity to those that are",
    )
}

fn seen_before() -> Error {
    Error::peer(
        Class::Replay,
        "this handshake came before; the dialer must start a new one",
    )
}

impl Connection {
    fn sizes(&self) -> RangeInclusive<usize> {
        match &self.stage {
            Stage::Answer(dialer) => dialer.sizes(),
            Stage::Message(wait) => wait.sizes(),
            Stage::Ack(ack, _) => ack.sizes(),
            _ => IDENTITY..=IDENTITY,
        }
    }

    /// Takes from `input` what the next frame needs, works on it when it is complete, and gives
    /// the rest back. Nothing is taken beyond the frame, so it is never larger than it may be.
    pub(super) fn handshake<'a>(
        &mut self,
        now: Instant,
        mut input: &'a [u8],
    ) -> Result<&'a [u8], Error> {
        let prefix = self.config.profile.prefix();
        let sizes = self.sizes();
        loop {
            let size = frame_size(prefix, &self.frame, &sizes)?;
            let missing = match size {
                Some(size) => size.saturating_sub(self.frame.len()),
                // A byte at a time: the prefix says how many more.
                None => 1,
            };
            if missing == 0 {
                break;
            }
            if input.is_empty() {
                return Ok(input);
            }
            let (part, rest) = input.split_at(missing.min(input.len()));
            self.frame.extend_from_slice(part);
            input = rest;
        }
        let frame = core::mem::take(&mut self.frame);
        let split = split_frame(prefix, &frame, &sizes)?;
        self.step(now, split.map_or(&[], |(body, _)| body))?;
        Ok(input)
    }

    fn step(&mut self, now: Instant, body: &[u8]) -> Result<(), Error> {
        let unix = self.clock.unix(now);
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Answer(dialer) => {
                let (out, keys) = dialer.finish(body, unix)?;
                self.out.extend_from_slice(&out);
                let peer = self.peer.unwrap_or_default();
                self.establish(keys, true, peer);
            }
            Stage::Identity(wait) => {
                let wait = wait.take(body)?;
                if self.config.prove_first {
                    self.stage = Stage::Message(wait);
                } else {
                    self.decide(wait)?;
                }
            }
            Stage::Message(wait) => {
                // Era a says who it is only in its signed message.
                let decided = wait.dialer().is_some() && !self.config.prove_first;
                let claim = wait.open(body, unix)?;
                let verified = self.verify(now, claim)?;
                if decided {
                    self.answer(now, verified)?;
                } else {
                    self.decide_proven(now, verified)?;
                }
            }
            Stage::Ack(ack, dialer) => {
                let keys = ack.finish(body)?;
                self.establish(keys, false, dialer);
            }
            stage => self.stage = stage,
        }
        Ok(())
    }

    /// Verifies a message that did not come before, and remembers it.
    fn verify(&mut self, now: Instant, claim: Claim) -> Result<Verified, Error> {
        let unix = self.clock.unix(now);
        let (dialer, ephemeral) = (claim.dialer(), claim.ephemeral());
        let until = claim.sent().after(self.config.window.max_age);
        let seen = self.door.seen.clone();
        if let Some(seen) = &seen
            && seen.has(&dialer, &ephemeral, unix)
        {
            return Err(seen_before());
        }
        let verified = claim.verify()?;
        // Only what verified is remembered: nobody else can use up the room, or burn a key.
        if let Some(seen) = &seen
            && !seen.insert(&dialer, &ephemeral, until, unix)
        {
            return Err(seen_before());
        }
        self.peer = Some(dialer);
        Ok(verified)
    }

    /// `None`: the application is to be asked.
    fn judge(&self, dialer: &PublicKey) -> Option<Result<(), Error>> {
        match &self.door.admission {
            Admission::Anyone => Some(Ok(())),
            Admission::Listed(listed) if listed.contains(dialer) => Some(Ok(())),
            Admission::Listed(_) => Some(Err(refused())),
            Admission::Ask => None,
        }
    }

    fn ask(&mut self, asking: Asking, dialer: PublicKey, proven: bool) {
        self.stage = Stage::Asking(asking);
        let event = ConnectionEvent::Asked { dialer, proven };
        self.events.push_back(event);
    }

    fn decide(&mut self, wait: AwaitMessage) -> Result<(), Error> {
        let dialer = wait.dialer().unwrap_or_default();
        if let Some(judged) = self.judge(&dialer) {
            judged?;
            self.stage = Stage::Message(wait);
        } else {
            self.ask(Asking::Claimed(wait), dialer, false);
        }
        Ok(())
    }

    fn decide_proven(&mut self, now: Instant, verified: Verified) -> Result<(), Error> {
        let dialer = verified.dialer();
        if let Some(judged) = self.judge(&dialer) {
            judged?;
            return self.answer(now, verified);
        }
        self.ask(Asking::Proven(verified), dialer, true);
        Ok(())
    }

    pub(super) fn answer(&mut self, now: Instant, verified: Verified) -> Result<(), Error> {
        let dialer = verified.dialer();
        let ephemeral = self
            .ephemeral
            .take()
            .ok_or(Error::Misuse("a listener answers once"))?;
        let (out, ack) = verified.answer(ephemeral, self.clock.unix(now))?;
        self.out.extend_from_slice(&out);
        self.stage = Stage::Ack(ack, dialer);
        Ok(())
    }
}

const _: () = assert!(Prefix::LONGEST + 256 < MOST_PENDING);
