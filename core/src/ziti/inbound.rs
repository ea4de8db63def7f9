//! What comes in: frames put together, opened in place, and held for the application.

use super::config::Config;
use super::secretstream::{MAC, PREFIX, Pull, tag};
use super::wire::{self, FRAME_PREFIX};
use crate::error::{Class, Error};
use crate::gather;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};

/// What a held message costs besides its bytes, so that empty ones are not free.
const COST: usize = 64;
/// Room made for a frame before its bytes are there.
const FIRST_ROOM: usize = 64 << 10;

/// A frame that is not all there.
#[derive(Default)]
enum Frame {
    #[default]
    None,
    Prefix([u8; FRAME_PREFIX], usize),
    Body(Vec<u8>, usize),
}

#[derive(Default)]
pub(super) struct Inbound {
    frame: Frame,
    held: VecDeque<Bytes>,
    /// Plaintext held, and with what the messages cost besides.
    plain: usize,
    size: usize,
    /// The final message has come.
    pub(super) ended: bool,
}

impl Inbound {
    pub(super) fn is_full(&self, config: &Config) -> bool {
        self.size >= config.receive_buffer
    }

    pub(super) fn has_message(&self) -> bool {
        !self.held.is_empty()
    }

    pub(super) fn has_plaintext(&self) -> bool {
        self.plain > 0
    }

    /// True inside a frame: an end here would be one too early even after everything else.
    pub(super) fn is_between_frames(&self) -> bool {
        matches!(self.frame, Frame::None)
    }

    /// Takes bytes of the carrier, to the last of them.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        pull: &mut Pull,
        config: &Config,
    ) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.ended {
                return Err(Error::peer(
                    Class::State,
                    "data came after the final message",
                ));
            }
            let (frame, rest) = match core::mem::take(&mut self.frame) {
                Frame::None => prefix([0; FRAME_PREFIX], 0, bytes, config)?,
                Frame::Prefix(part, have) => prefix(part, have, bytes, config)?,
                Frame::Body(part, length) => body(part, length, bytes),
            };
            bytes = rest;
            match frame {
                Frame::Body(message, length) if message.len() == length => {
                    self.open(message, pull)?;
                }
                unfinished => self.frame = unfinished,
            }
        }
        Ok(())
    }

    fn open(&mut self, mut message: Vec<u8>, pull: &mut Pull) -> Result<(), Error> {
        let tag = pull.open(&[], &mut message)?;
        self.ended = tag == tag::FINAL;
        let end = message.len().saturating_sub(MAC);
        message.truncate(end);
        let mut plain = Bytes::from(message);
        plain.advance(PREFIX.min(plain.len()));
        // A final message without a byte is an end mark and nothing more.
        if !(self.ended && plain.is_empty()) {
            self.plain = self.plain.saturating_add(plain.len());
            self.size = self.size.saturating_add(plain.len()).saturating_add(COST);
            self.held.push_back(plain);
        }
        Ok(())
    }

    /// The next whole message.
    pub(super) fn message(&mut self) -> Option<Bytes> {
        let message = self.held.pop_front()?;
        self.shrink(message.len(), COST);
        Some(message)
    }

    /// Copies plaintext out; 0 when there is none. Empty messages are passed over: in a byte
    /// stream they would look like its end (trap 7).
    pub(super) fn read(&mut self, out: &mut [u8]) -> usize {
        let mut written: usize = 0;
        let mut rest = out;
        while let Some(front) = self.held.front_mut() {
            let take = front.len().min(rest.len());
            let (to, later) = rest.split_at_mut(take);
            front.copy_to_slice(to);
            rest = later;
            written = written.saturating_add(take);
            let done = front.is_empty();
            self.shrink(take, 0);
            if !done {
                break;
            }
            self.held.pop_front();
            self.shrink(0, COST);
        }
        written
    }

    fn shrink(&mut self, plain: usize, cost: usize) {
        self.plain = self.plain.saturating_sub(plain);
        self.size = self.size.saturating_sub(plain).saturating_sub(cost);
    }
}

fn prefix<'a>(
    mut part: [u8; FRAME_PREFIX],
    have: usize,
    bytes: &'a [u8],
    config: &Config,
) -> Result<(Frame, &'a [u8]), Error> {
    let missing = part.get_mut(have..).unwrap_or_default();
    let take = missing.len().min(bytes.len());
    let (now, rest) = bytes.split_at(take);
    for (to, from) in missing.iter_mut().zip(now) {
        *to = *from;
    }
    let have = have.saturating_add(take);
    if have < FRAME_PREFIX {
        return Ok((Frame::Prefix(part, have), rest));
    }
    let length = wire::declared(part, config.largest_message)?;
    let frame = Vec::with_capacity(length.min(FIRST_ROOM.max(rest.len())));
    Ok(body(frame, length, rest))
}

fn body(mut part: Vec<u8>, length: usize, bytes: &[u8]) -> (Frame, &[u8]) {
    let take = length.saturating_sub(part.len()).min(bytes.len());
    let (now, rest) = bytes.split_at(take);
    gather::append(&mut part, now, length);
    (Frame::Body(part, length), rest)
}

#[cfg(test)]
mod tests;
