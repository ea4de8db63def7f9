//! What we send: plaintext that gathers, and is sealed when the carrier is ready for it.

use super::config::{Config, Rekeying};
use super::secretstream::{MAC, PREFIX, Push, tag};
use super::wire::FRAME_PREFIX;
use crate::error::{Class, Error};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

const BEFORE: usize = FRAME_PREFIX + PREFIX;
/// What a waiting message costs besides its bytes, so that empty ones are not free.
const COST: usize = 64;

/// Messages that wait, each with room for its length and tag byte in front.
pub(super) struct Outbound {
    waiting: VecDeque<Vec<u8>>,
    held: usize,
    /// The last one takes more bytes of a written stream.
    gathering: bool,
    rekeying: Rekeying,
    rekey: bool,
    closing: bool,
    ended: bool,
}

impl Outbound {
    pub(super) fn new(rekeying: Rekeying) -> Self {
        Self {
            waiting: VecDeque::new(),
            held: 0,
            gathering: false,
            rekeying,
            rekey: false,
            closing: false,
            ended: false,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.waiting.is_empty() && (self.ended || !self.closing)
    }

    pub(super) fn has_room(&self, config: &Config) -> bool {
        self.held < config.send_buffer
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// The next message will ask for a new key.
    pub(super) fn rekey(&mut self) {
        self.rekey = true;
    }

    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        self.held = 0;
    }

    /// One number is kept back, so that the end can always be said.
    fn check_numbers(&self, push: Option<&Push>) -> Result<(), Error> {
        let Some(remaining) = push.and_then(Push::remaining) else {
            return Ok(());
        };
        let spoken_for = self.waiting.len().saturating_add(1);
        if usize::try_from(remaining).is_ok_and(|remaining| remaining <= spoken_for) {
            return Err(Error::limit(
                Class::NonceLimit,
                "the numbers of this key are used up; close, and open a new connection",
            ));
        }
        Ok(())
    }

    /// Takes what fits of a byte stream.
    pub(super) fn write(
        &mut self,
        data: &[u8],
        config: &Config,
        push: Option<&Push>,
    ) -> Result<usize, Error> {
        let longest = config.message.min(config.largest_message).max(1);
        let mut rest = data;
        while !rest.is_empty() && self.has_room(config) {
            let room = config.send_buffer.saturating_sub(self.held);
            let gathered = self.waiting.back_mut().filter(|_| self.gathering);
            let free = gathered.as_ref().map_or(0, |message| {
                longest.saturating_sub(message.len().saturating_sub(BEFORE))
            });
            let new = free == 0;
            let free = if new { longest } else { free };
            let take = rest.len().min(free).min(room);
            let Some((now, later)) = rest.split_at_checked(take) else {
                break;
            };
            if let Some(message) = gathered.filter(|_| !new) {
                message.extend_from_slice(now);
                self.held = self.held.saturating_add(take);
            } else {
                if let Err(error) = self.check_numbers(push) {
                    // What was taken before stays taken.
                    if rest.len() < data.len() {
                        break;
                    }
                    return Err(error);
                }
                self.start(now);
                self.gathering = true;
            }
            rest = later;
        }
        Ok(data.len().saturating_sub(rest.len()))
    }

    /// Takes a whole message, or says false.
    pub(super) fn send(
        &mut self,
        message: &[u8],
        config: &Config,
        push: Option<&Push>,
    ) -> Result<bool, Error> {
        if !self.has_room(config) {
            return Ok(false);
        }
        self.check_numbers(push)?;
        self.start(message);
        self.gathering = false;
        Ok(true)
    }

    fn start(&mut self, plain: &[u8]) {
        let size = plain.len().saturating_add(BEFORE + MAC);
        let mut message = Vec::with_capacity(size);
        message.extend_from_slice(&[0; BEFORE]);
        message.extend_from_slice(plain);
        self.waiting.push_back(message);
        self.held = self.held.saturating_add(plain.len()).saturating_add(COST);
    }

    /// True when [`Outbound::next`] gives something, once there is a session.
    pub(super) fn has_next(&self) -> bool {
        !self.waiting.is_empty() || (self.closing && !self.ended)
    }

    /// Seals what goes next.
    pub(super) fn next(&mut self, push: &mut Push) -> Result<Option<Bytes>, Error> {
        let (mut message, tag) = match self.waiting.pop_front() {
            Some(message) => {
                let plain = message.len().saturating_sub(BEFORE);
                self.held = self.held.saturating_sub(plain).saturating_sub(COST);
                let every = self.rekeying == Rekeying::EveryMessage;
                let rekey = core::mem::take(&mut self.rekey) || every;
                (message, if rekey { tag::REKEY } else { tag::MESSAGE })
            }
            None if self.closing && !self.ended => {
                self.ended = true;
                (Vec::from([0; BEFORE]), tag::FINAL)
            }
            None => return Ok(None),
        };
        self.gathering &= !self.waiting.is_empty();
        message.resize(message.len().saturating_add(MAC), 0);
        let Some((prefix, sealed)) = message.split_first_chunk_mut::<FRAME_PREFIX>() else {
            return Ok(None);
        };
        *prefix = u32::try_from(sealed.len())
            .map_err(|_| Error::Misuse("a message is longer than 4 GiB"))?
            .to_be_bytes();
        push.seal(tag, &[], sealed)?;
        Ok(Some(message.into()))
    }
}
