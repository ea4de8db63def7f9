//! One direction of the carrier: ordered bytes, in pieces, late, and perhaps struck once.

use super::end::End;
use crate::rng::Rng;
use std::collections::VecDeque;
use std::time::Duration;
use stillwire_core::Instant;

/// What goes wrong, at a byte of the whole stream.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    Flip { at: u64, bit: u8 },
    Drop { at: u64, count: u64 },
    Repeat { at: u64 },
    Insert { at: u64, byte: u8 },
    Cut { at: u64 },
}

impl Fault {
    /// None in a third of the runs. Handshakes are short, so half of all faults strike there.
    pub(super) fn draw(rng: &mut Rng) -> Option<Self> {
        let at = if rng.chance(500) {
            rng.below(240)
        } else {
            rng.below(20_000)
        };
        Some(match rng.below(9) {
            0 | 1 => Self::Flip {
                at,
                bit: rng.below(8) as u8,
            },
            2 => Self::Drop {
                at,
                count: rng.range(1, 300),
            },
            3 => Self::Repeat { at },
            4 => Self::Insert {
                at,
                byte: rng.next() as u8,
            },
            5 => Self::Cut { at },
            _ => return None,
        })
    }
}

pub(super) struct Line {
    /// Pieces on their way, and when they arrive.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    latency: u64,
    fault: Option<Fault>,
    struck: bool,
    only_lost: bool,
    /// Bytes that were put in.
    position: u64,
    carried: Vec<u8>,
    ended: bool,
    told: bool,
}

impl Line {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            pieces: VecDeque::new(),
            latency: rng.pick(&[0, 1, 40, 700, 3_000]),
            fault: None,
            struck: false,
            only_lost: false,
            position: 0,
            carried: Vec::new(),
            ended: false,
            told: false,
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    pub(super) fn struck(&self) -> bool {
        self.struck
    }

    /// True when bytes are missing and none is another: at the very end that looks like an end.
    pub(super) fn only_lost(&self) -> bool {
        self.only_lost
    }

    /// What was put in before anything struck it, as far as a handshake reaches.
    pub(super) fn carried(&self) -> &[u8] {
        &self.carried
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn put(&mut self, bytes: &[u8], now: Instant, rng: &mut Rng) {
        if bytes.is_empty() || self.ended {
            return;
        }
        let room = 300_usize.saturating_sub(self.carried.len());
        self.carried
            .extend_from_slice(&bytes[..room.min(bytes.len())]);
        let bytes = self.altered(bytes);
        let mut rest = &bytes[..];
        let largest = rng.pick(&[1, 50, 2_000, 100_000]);
        while !rest.is_empty() {
            let (piece, behind) =
                rest.split_at(rng.range(1, largest).min(rest.len() as u64) as usize);
            let late = Duration::from_millis(self.latency);
            let at = now
                .after(late)
                .max(self.pieces.back().map_or(now, |(at, _)| *at));
            self.pieces.push_back((at, piece.to_vec()));
            rest = behind;
        }
    }

    fn altered(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let start = self.position;
        self.position += bytes.len() as u64;
        let inside = |at: u64| at.checked_sub(start).filter(|at| *at < bytes.len() as u64);
        match self.fault.take() {
            Some(Fault::Flip { at, bit }) if inside(at).is_some() => {
                bytes[(at - start) as usize] ^= 1 << bit;
                self.struck = true;
            }
            Some(Fault::Drop { at, count }) if inside(at).is_some() => {
                let first = (at - start) as usize;
                let last = (first + count as usize).min(bytes.len());
                bytes.drain(first..last);
                (self.struck, self.only_lost) = (true, true);
            }
            Some(Fault::Repeat { at }) if inside(at).is_some() => {
                let again = bytes[..=(at - start) as usize].to_vec();
                bytes.splice(..0, again);
                self.struck = true;
            }
            Some(Fault::Insert { at, byte }) if inside(at).is_some() => {
                bytes.insert((at - start) as usize, byte);
                self.struck = true;
            }
            Some(Fault::Cut { at }) if inside(at).is_some() => {
                bytes.truncate((at - start) as usize);
                self.ended = true;
                (self.struck, self.only_lost) = (true, true);
            }
            other => self.fault = other,
        }
        bytes
    }

    /// Hands over what has arrived and is wanted.
    pub(super) fn deliver(
        &mut self,
        to: &mut End,
        now: Instant,
        rng: &mut Rng,
    ) -> Result<bool, String> {
        let mut moved = false;
        while let Some((at, piece)) = self.pieces.front()
            && *at <= now
            && to.wants_bytes()
        {
            to.bytes(now, piece)?;
            self.pieces.pop_front();
            moved = true;
            if rng.chance(300) {
                break;
            }
        }
        if to.is_closed() {
            moved |= !self.pieces.is_empty();
            self.pieces.clear();
        }
        if self.ended && self.pieces.is_empty() && !self.told {
            self.told = true;
            to.end(now);
            moved = true;
        }
        Ok(moved)
    }

    /// When the next piece arrives.
    pub(super) fn next(&self) -> Option<Instant> {
        self.pieces.front().map(|(at, _)| *at)
    }
}
