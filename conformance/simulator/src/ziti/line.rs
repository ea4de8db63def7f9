//! One direction of an ordered stream, and somebody who sits on it: changes bytes, or moves whole
//! messages about, whose lengths are in clear.

use crate::rng::Rng;
use std::collections::VecDeque;

/// What somebody does to a direction, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    /// One bit of this byte is another.
    Flip(u64),
    /// This byte is missing.
    Lose(u64),
    /// Another byte comes before this one.
    Insert(u64),
    /// Nothing comes from this byte on; the stream ends.
    Cut(u64),
    /// As a cut, and what was under way is lost, too.
    Reset(u64),
    /// This message comes after the next one.
    Swap(usize),
    /// This message never comes.
    Drop(usize),
    /// This message comes twice.
    Repeat(usize),
    /// The first message comes again in place of this one.
    Replay(usize),
    /// A message of the other direction comes in place of this one.
    Reflect(usize),
}

impl Attack {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        // Half of all strike in the handshake, if they strike at bytes.
        let reach = rng.pick(&[170, 30_000]);
        let at = rng.below(reach);
        let message = rng.pick(&[0, 1, 2, 7]);
        match rng.below(10) {
            0 => Self::Lose(at),
            1 => Self::Insert(at),
            2 => Self::Cut(at),
            3 => Self::Reset(at),
            4 => Self::Swap(message),
            5 => Self::Drop(message),
            6 => Self::Repeat(message),
            7 => Self::Replay(message + 1),
            8 => Self::Reflect(message),
            _ => Self::Flip(at),
        }
    }
}

pub(super) struct Line {
    /// Bytes of the handshake that are still to come.
    handshake: usize,
    /// A frame that is not all there.
    piece: Vec<u8>,
    /// Whole frames so far.
    messages: usize,
    first: Option<Vec<u8>>,
    held: Option<Vec<u8>>,
    under_way: VecDeque<u8>,
    /// Bytes that went in.
    passed: u64,
    attack: Option<Attack>,
    /// The attack has happened.
    pub(super) hit: bool,
    pub(super) cut: bool,
}

impl Line {
    pub(super) fn new(handshake: usize, attack: Option<Attack>) -> Self {
        Self {
            handshake,
            piece: Vec::new(),
            messages: 0,
            first: None,
            held: None,
            under_way: VecDeque::new(),
            passed: 0,
            attack,
            hit: false,
            cut: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The first message that went this way.
    pub(super) fn first(&self) -> Option<&[u8]> {
        self.first.as_deref()
    }

    /// Takes what an end says. Gives the frames in it that are whole, as they were said.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        other: Option<&[u8]>,
        rng: &mut Rng,
    ) -> Vec<Vec<u8>> {
        let (start, rest) = bytes.split_at(self.handshake.min(bytes.len()));
        self.handshake -= start.len();
        self.carry(start, rng);
        self.piece.extend_from_slice(rest);
        let mut frames = Vec::new();
        while let Some(length) = self.piece.first_chunk::<4>() {
            let size = 4 + u32::from_be_bytes(*length) as usize;
            if self.piece.len() < size {
                break;
            }
            let frame: Vec<u8> = self.piece.drain(..size).collect();
            self.first.get_or_insert_with(|| frame.clone());
            self.message(frame.clone(), other, rng);
            frames.push(frame);
        }
        frames
    }

    fn message(&mut self, frame: Vec<u8>, other: Option<&[u8]>, rng: &mut Rng) {
        let index = self.messages;
        self.messages += 1;
        let here = |at: usize| at == index;
        match self.attack {
            Some(Attack::Swap(at)) if here(at) => {
                self.held = Some(frame);
                return;
            }
            Some(Attack::Drop(at)) if here(at) => {
                self.hit = true;
                return;
            }
            Some(Attack::Repeat(at)) if here(at) => {
                self.hit = true;
                self.carry(&frame, rng);
            }
            Some(Attack::Replay(at)) if here(at) => {
                self.hit = true;
                let first = self.first.clone().unwrap_or_default();
                self.carry(&first, rng);
                return;
            }
            Some(Attack::Reflect(at)) if here(at) => {
                if let Some(other) = other {
                    self.hit = true;
                    self.carry(other, rng);
                    return;
                }
            }
            _ => {}
        }
        self.carry(&frame, rng);
        if let Some(held) = self.held.take() {
            self.hit = true;
            self.carry(&held, rng);
        }
    }

    /// The end that says all this has ended: a message that waits for the next one goes now.
    pub(super) fn close(&mut self, rng: &mut Rng) {
        if let Some(held) = self.held.take() {
            self.carry(&held, rng);
        }
    }

    fn carry(&mut self, bytes: &[u8], rng: &mut Rng) {
        for byte in bytes {
            if self.cut {
                return;
            }
            let mut byte = *byte;
            let at = self.passed;
            self.passed += 1;
            match self.attack {
                Some(Attack::Flip(here)) if here == at => {
                    self.hit = true;
                    byte ^= 1 << rng.below(8);
                }
                Some(Attack::Lose(here)) if here == at => {
                    self.hit = true;
                    continue;
                }
                Some(Attack::Insert(here)) if here == at => {
                    self.hit = true;
                    self.under_way.push_back(rng.next() as u8);
                }
                Some(Attack::Cut(here)) if here == at => {
                    (self.hit, self.cut) = (true, true);
                    return;
                }
                Some(Attack::Reset(here)) if here == at => {
                    (self.hit, self.cut) = (true, true);
                    self.under_way.clear();
                    return;
                }
                _ => {}
            }
            self.under_way.push_back(byte);
        }
    }

    /// Some of the bytes, as a reading of the carrier gives them.
    pub(super) fn pull(&mut self, rng: &mut Rng) -> Vec<u8> {
        let most = rng.pick(&[1, 20, 5_000, 1 << 20]);
        let n = self.under_way.len().min(most);
        self.under_way.drain(..n).collect()
    }
}
