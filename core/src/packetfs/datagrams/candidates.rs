//! Who the peer may be, until an authentic record says who it is.
//!
//! A preface proves nothing: whoever can inject a datagram can send a sound one. Each makes a
//! candidate, and the first under whose keys a record opens is the peer.

use super::super::epochs::{Opened, Receiving, Sending};
use super::super::handshake::{Initiator, Psk, Responder, Schedule};
use super::super::link::blank;
use super::super::record::Sealer;
use super::super::wire::header::Header;
use super::super::wire::{ChannelId, Direction, TAG};
use crate::crypto::Rng;
use crate::error::Error;
use crate::packetfs::Config;
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

/// Candidates held at once, of which a newer one displaces the one that spoke longest ago. Each
/// costs some 200 bytes, and each record that comes is tried under every one.
pub(super) const CANDIDATES: usize = 8;

enum Side {
    Initiator(Initiator),
    Responder(Responder),
}

struct Candidate {
    preface: Vec<u8>,
    schedule: Schedule,
}

/// What there is of the peer before it has proved itself.
pub(super) struct Candidates {
    side: Side,
    ours: Bytes,
    held: VecDeque<Candidate>,
    /// The sequence of the next proof. One count for all: a candidate that was displaced and comes
    /// back has the keys that it had, and no sequence may seal under them again.
    proofs: u64,
}

/// The peer, and the record that proved it.
pub(super) struct Peer {
    pub(super) schedule: Schedule,
    /// Its preface.
    pub(super) theirs: Vec<u8>,
    /// Our preface.
    pub(super) ours: Bytes,
    pub(super) sending: Sending,
    pub(super) receiving: Receiving,
    pub(super) opened: Opened,
    /// The record, opened in place.
    pub(super) record: Vec<u8>,
}

impl Candidates {
    pub(super) fn of_initiator(config: &Config, psk: Psk, rng: &mut Rng) -> Self {
        let (algorithm, secrecy) = (config.algorithm, config.forward_secrecy);
        let (initiator, preface) = Initiator::start(psk, algorithm, secrecy, rng);
        Self::new(Side::Initiator(initiator), preface)
    }

    pub(super) fn of_responder(config: &Config, psk: Psk, rng: &mut Rng) -> Self {
        let (algorithm, secrecy) = (config.algorithm, config.forward_secrecy);
        let responder = Responder::new(psk, algorithm, secrecy, rng);
        let preface = responder.preface();
        Self::new(Side::Responder(responder), preface)
    }

    fn new(side: Side, ours: Vec<u8>) -> Self {
        Self {
            side,
            ours: ours.into(),
            held: VecDeque::new(),
            proofs: 0,
        }
    }

    /// True when there is somebody to speak to: for the initiator always.
    pub(super) fn has_audience(&self) -> bool {
        matches!(self.side, Side::Initiator(_)) || !self.held.is_empty()
    }

    fn direction(&self) -> Direction {
        match self.side {
            Side::Initiator(_) => Direction::InitiatorToResponder,
            Side::Responder(_) => Direction::ResponderToInitiator,
        }
    }

    /// Takes a preface; gives the answer: a proof, behind our preface if we are the responder.
    ///
    /// Errors as [`Initiator::finish`]; nothing changes then.
    pub(super) fn meet(&mut self, preface: &[u8], config: &Config) -> Result<Vec<Bytes>, Error> {
        let known = self.held.iter().position(|held| held.preface == preface);
        let candidate = if let Some(candidate) = known.and_then(|at| self.held.remove(at)) {
            candidate
        } else {
            let schedule = match &self.side {
                Side::Initiator(initiator) => initiator.consider(preface)?,
                Side::Responder(responder) => responder.consider(preface)?,
            };
            let preface = preface.to_vec();
            Candidate { preface, schedule }
        };
        let sequence = self.next_proof();
        let proof = prove(&candidate, self.direction(), sequence, config);
        if self.held.len() >= CANDIDATES {
            self.held.pop_front();
        }
        self.held.push_back(candidate);
        let proof = proof?;
        Ok(match self.side {
            Side::Initiator(_) => [proof].into(),
            Side::Responder(_) => [self.ours.clone(), proof].into(),
        })
    }

    /// What is said again while nobody has proved itself: our preface, and a proof for each
    /// candidate.
    pub(super) fn repeat(&mut self, config: &Config) -> Result<Vec<Bytes>, Error> {
        let mut out = Vec::with_capacity(self.held.len().saturating_add(1));
        out.push(self.ours.clone());
        let direction = self.direction();
        for at in 0..self.held.len() {
            let sequence = self.next_proof();
            if let Some(candidate) = self.held.get(at) {
                out.push(prove(candidate, direction, sequence, config)?);
            }
        }
        Ok(out)
    }

    /// A sequence that nothing was sealed under, whatever becomes of this proof.
    fn next_proof(&mut self) -> u64 {
        let sequence = self.proofs;
        self.proofs = sequence.saturating_add(1);
        sequence
    }

    /// Takes a record; gives the candidate that sealed it. [`Class::Auth`] when none did.
    pub(super) fn recognize(
        &mut self,
        datagram: &[u8],
        config: &Config,
        now: Instant,
    ) -> Result<Peer, Error> {
        let direction = self.direction();
        for at in (0..self.held.len()).rev() {
            let Some(candidate) = self.held.get(at) else {
                continue;
            };
            // A record that does not open may be spoiled by the attempt.
            let mut record = datagram.to_vec();
            let (header, start, body) = Header::split(&mut record, config.limit)?;
            let theirs = direction.reverse();
            let mut receiving = Receiving::at(theirs, 0, false, config.grace);
            let schedule = &candidate.schedule;
            let Ok(opened) = receiving.open(schedule, now, &header, &start, body) else {
                continue;
            };
            let sending = Sending::past(schedule, direction, ChannelId::Control, self.proofs)?;
            let Some(candidate) = self.held.remove(at) else {
                continue;
            };
            return Ok(Peer {
                schedule: candidate.schedule,
                theirs: candidate.preface,
                ours: self.ours.clone(),
                sending,
                receiving,
                opened,
                record,
            });
        }
        Err(Error::auth())
    }
}

/// An empty control record: proves that we hold the key, and says nothing.
fn prove(
    candidate: &Candidate,
    direction: Direction,
    sequence: u64,
    config: &Config,
) -> Result<Bytes, Error> {
    let (schedule, channel) = (&candidate.schedule, ChannelId::Control);
    let key = schedule.key(direction, channel, 0)?;
    let mut sealer = Sealer::at(schedule.algorithm(), &key, channel, 0, sequence);
    let mut record = blank(0);
    record.extend_from_slice(&[0; TAG]);
    sealer.seal(&mut record, config.limit)?;
    Ok(record.into())
}
