//! What came out of the queue we read: put into order, each chunk once, and what can be deleted.

use super::messages::Message;
use super::receipts::Receipt;
use super::{LARGEST_CHUNK, WINDOW};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};
use stillwire_core::aznet::wire::{chunk, queue};
use stillwire_core::store::Reply;

/// Looks at a message that does not decode before it is only passed over.
const LOOKS: u8 = 3;
/// Such messages remembered.
const JUNK: usize = 1_024;
/// Deletable messages remembered; past it the oldest are left where they are.
const DELETABLE: usize = 2_048;

#[derive(Default)]
pub(super) struct Inbox {
    /// Chunks from the next one on, at most [`WINDOW`] ahead of it.
    held: BTreeMap<u64, Vec<u8>>,
    /// Messages whose chunks we have.
    deletable: VecDeque<Receipt>,
    /// Message ids that do not decode, and how often they came.
    junk: BTreeMap<String, u8>,
    /// Something that comes later than the next chunk was there, and the next was not.
    gap: bool,
}

impl Inbox {
    /// Takes a batch in. `next` is the chunk the machine wants; `delete`: remember what deletes it.
    pub(super) fn take_in(&mut self, next: u64, messages: &[Message], delete: bool) {
        self.gap = false;
        for message in messages {
            let Some((sequence, chunk)) = self.decode(message) else {
                continue;
            };
            let ahead = sequence.checked_sub(next);
            if ahead.is_some_and(|ahead| ahead >= u64::from(WINDOW)) {
                // Left where it is: it comes again when its turn is near.
                self.gap = true;
                continue;
            }
            if delete && let Some(receipt) = message.receipt() {
                self.deletable(receipt);
            }
            if ahead.is_some() {
                self.held.entry(sequence).or_insert(chunk);
            }
        }
    }

    /// A message that is not exactly one chunk under its number is left, never deleted.
    fn decode(&mut self, message: &Message) -> Option<(u64, Vec<u8>)> {
        if self.junk.get(message.id()).is_some_and(|n| *n >= LOOKS) {
            return None;
        }
        let decoded = queue::decode(message.text()).ok();
        let decoded = decoded.filter(|(_, bytes)| {
            matches!(chunk::split_first(bytes, LARGEST_CHUNK), Ok(Some((_, []))))
        });
        if decoded.is_none() {
            if self.junk.len() >= JUNK && !self.junk.contains_key(message.id()) {
                self.junk.pop_first();
            }
            let looks = self.junk.entry(message.id().to_owned()).or_default();
            *looks = looks.saturating_add(1);
        }
        decoded
    }

    /// Remembers what deletes a message; one that came again has a new pop receipt.
    fn deletable(&mut self, receipt: Receipt) {
        if let Some(known) = self.deletable.iter_mut().find(|r| r.id == receipt.id) {
            *known = receipt;
            return;
        }
        if self.deletable.len() >= DELETABLE {
            self.deletable.pop_front();
        }
        self.deletable.push_back(receipt);
    }

    /// Gives out the chunks from `next` on that are there, as many as `limit` bytes take; [`None`]
    /// when the next is missing.
    pub(super) fn give(&mut self, next: u64, limit: usize) -> Option<(Bytes, bool)> {
        // What the machine has, it needs no more.
        self.held = self.held.split_off(&next);
        let mut sequence = next;
        let mut run: Vec<Vec<u8>> = Vec::new();
        let mut length = 0_usize;
        while let Some(chunk) = self.held.get(&sequence) {
            let sum = length.saturating_add(chunk.len());
            if !run.is_empty() && sum > limit {
                break;
            }
            length = sum;
            run.extend(self.held.remove(&sequence));
            sequence = sequence.saturating_add(1);
        }
        let more = self.held.contains_key(&sequence);
        match run.len() {
            0 => None,
            1 => run.pop().map(|chunk| (Bytes::from(chunk), more)),
            _ => {
                let mut bytes = BytesMut::with_capacity(length);
                for chunk in &run {
                    bytes.extend_from_slice(chunk);
                }
                Some((bytes.freeze(), more))
            }
        }
    }

    /// The reply to a read for which there is nothing to give out, after a batch of `got` messages
    /// of the `asked` ones.
    pub(super) fn empty(&self, got: usize, asked: usize) -> Reply {
        let gap = self.gap || !self.held.is_empty();
        if got == 0 && !gap {
            return Reply::Nothing { missing: false };
        }
        // Old messages that come again must not hold up what is behind them.
        let more = got >= asked;
        Reply::NotYet { gap, more }
    }

    /// Takes out what deletes one message.
    pub(super) fn next_deletable(&mut self) -> Option<Receipt> {
        self.deletable.pop_front()
    }

    /// Puts back what could not be deleted, unless the message came again meanwhile.
    pub(super) fn put_back(&mut self, receipt: Receipt) {
        let known = self.deletable.iter().any(|r| r.id == receipt.id);
        if !known && self.deletable.len() < DELETABLE {
            self.deletable.push_front(receipt);
        }
    }

    /// Messages that can be deleted.
    pub(super) fn left(&self) -> u32 {
        u32::try_from(self.deletable.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        (self.held.len(), self.deletable.len(), self.junk.len())
    }
}
