//! One direction of an ordered stream: bytes under way, and what somebody on it may do to them.

use crate::rng::Rng;
use std::collections::VecDeque;

/// What happens to a direction, once, at some byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    Flip,
    Cut,
    Drop,
    Repeat,
    Insert,
}

pub(super) struct Line {
    bytes: VecDeque<u8>,
    /// Bytes that went in.
    passed: u64,
    attack: Option<(u64, Attack)>,
    /// The attack has happened.
    pub(super) hit: bool,
    pub(super) cut: bool,
    last: VecDeque<u8>,
}

impl Line {
    pub(super) fn new(attack: Option<(u64, Attack)>) -> Self {
        Self {
            bytes: VecDeque::new(),
            passed: 0,
            attack,
            hit: false,
            cut: false,
            last: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn push(&mut self, bytes: &[u8], rng: &mut Rng) {
        for byte in bytes {
            if self.cut {
                return;
            }
            let mut byte = *byte;
            let here = self.attack.filter(|(at, _)| *at == self.passed);
            self.passed += 1;
            if let Some((_, attack)) = here {
                self.hit = true;
                match attack {
                    Attack::Flip => byte ^= 1 << rng.below(8),
                    Attack::Cut => {
                        self.cut = true;
                        return;
                    }
                    Attack::Drop => continue,
                    Attack::Repeat => self.bytes.extend(self.last.iter()),
                    Attack::Insert => self.bytes.push_back(rng.next() as u8),
                }
            }
            self.bytes.push_back(byte);
            self.last.push_back(byte);
            if self.last.len() > 60 {
                self.last.pop_front();
            }
        }
    }

    /// Some of the bytes, as a reading of the carrier gives them.
    pub(super) fn pull(&mut self, rng: &mut Rng) -> Vec<u8> {
        let most = rng.pick(&[1, 20, 5_000, 1 << 20]);
        let n = self.bytes.len().min(most);
        self.bytes.drain(..n).collect()
    }
}
