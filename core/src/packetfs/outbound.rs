//! What the application sends: plaintext that gathers, and is sealed when the carrier is ready.

use super::config::Config;
use super::link::blank;
use super::wire::header::HEADER;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What a waiting record costs besides its bytes, so that empty ones are not free.
const COST: usize = 64;

/// Records of the payload channel that wait, each with room for its header in front.
#[derive(Default)]
pub(super) struct Outbound {
    waiting: VecDeque<Vec<u8>>,
    held: usize,
    /// The last one takes more bytes of a written stream.
    gathering: bool,
    pub(super) closing: bool,
    /// The end mark is sealed.
    pub(super) ended: bool,
}

impl Outbound {
    pub(super) fn is_flushed(&self) -> bool {
        self.waiting.is_empty() && (self.ended || !self.closing)
    }

    pub(super) fn has_room(&self, config: &Config) -> bool {
        self.held < config.send_buffer
    }

    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        self.held = 0;
    }

    /// Takes what fits of a byte stream.
    pub(super) fn write(&mut self, data: &[u8], config: &Config) -> usize {
        let longest = config.record.min(config.longest()).max(1);
        let mut rest = data;
        while !rest.is_empty() && self.has_room(config) {
            let room = config.send_buffer.saturating_sub(self.held);
            let last = self.waiting.back_mut().filter(|_| self.gathering);
            let held = last.map_or(longest, |last| last.len().saturating_sub(HEADER));
            if held >= longest {
                self.start(longest.min(rest.len()));
                self.gathering = true;
                continue;
            }
            let take = rest.len().min(longest.saturating_sub(held)).min(room);
            let (taken, later) = rest.split_at(take);
            if let Some(last) = self.waiting.back_mut() {
                last.extend_from_slice(taken);
            }
            self.held = self.held.saturating_add(take);
            rest = later;
        }
        data.len().saturating_sub(rest.len())
    }

    /// Takes a whole message, or says false.
    pub(super) fn send(&mut self, message: &[u8], config: &Config) -> bool {
        if !self.has_room(config) {
            return false;
        }
        self.start(message.len());
        if let Some(last) = self.waiting.back_mut() {
            last.extend_from_slice(message);
        }
        self.held = self.held.saturating_add(message.len());
        self.gathering = false;
        true
    }

    fn start(&mut self, length: usize) {
        self.waiting.push_back(blank(length));
        self.held = self.held.saturating_add(COST);
    }

    pub(super) fn has_next(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The record that goes next, to be sealed.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let record = self.waiting.pop_front()?;
        let plain = record.len().saturating_sub(HEADER);
        self.held = self.held.saturating_sub(plain).saturating_sub(COST);
        self.gathering &= !self.waiting.is_empty();
        Some(record)
    }
}
