//! What the application has yet to take.

use super::config::Config;
use crate::machine::Received;
use alloc::collections::VecDeque;
use bytes::{Buf, Bytes};

/// What a held message costs besides its bytes, so that empty ones are not free.
const COST: usize = 64;

/// Messages of the payload channel.
#[derive(Default)]
pub(super) struct Inbound {
    held: VecDeque<Bytes>,
    /// Plaintext held, and with what the messages cost besides.
    plain: usize,
    size: usize,
    /// The peer's end mark has come.
    pub(super) ended: bool,
}

impl Inbound {
    pub(super) fn is_full(&self, config: &Config) -> bool {
        self.size >= config.receive_buffer
    }

    pub(super) fn has_plaintext(&self) -> bool {
        self.plain > 0
    }

    pub(super) fn push(&mut self, message: Bytes) {
        self.plain = self.plain.saturating_add(message.len());
        self.size = self.size.saturating_add(message.len()).saturating_add(COST);
        self.held.push_back(message);
    }

    /// The next whole message.
    pub(super) fn message(&mut self) -> Received {
        match self.held.pop_front() {
            Some(message) => {
                self.shrink(message.len(), COST);
                Received::Message(message)
            }
            None if self.ended => Received::End,
            None => Received::Pending,
        }
    }

    /// Copies plaintext out; 0 when there is none. Empty messages are passed over: in a byte
    /// stream they would look like its end.
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
