//! Reading a direction: which files are in hand, and what of them is still to come.

use super::bootstrap::absent;
use super::session::Place;
use crate::diagnostics::Journal;
use crate::failure::failure;
use crate::file::{Found, Kind, Opened};
use crate::partial::Partial;
use crate::{limits, name};
use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use stillwire_core::store::{Failure, Reply};

/// How many files one reply may gather: enough for a flood of small ones, and an end to it.
const GATHERED: usize = 1_024;

#[derive(Debug)]
pub(super) struct Reading {
    place: Place,
    /// Files given to the machine, whole or in part, and not yet known to be with it.
    files: VecDeque<InHand>,
    partial: Option<Partial>,
}

#[derive(Clone, Debug)]
struct InHand {
    first: u64,
    /// The sequence number after its last chunk.
    end: u64,
    path: PathBuf,
}

/// What one file added to a reply.
enum Added {
    /// All that there was in it; the file after it begins at this sequence number.
    All(u64),
    /// A part: the rest does not fit.
    Part,
    /// Nothing: its next chunk is larger than a whole reply may be. A piece of it instead.
    Piece(Partial),
    /// Nothing more can be read for now.
    Stop,
}

impl Reading {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            files: VecDeque::new(),
            partial: None,
        }
    }

    pub(super) fn rotate(&mut self, number: u32) -> Result<(), Failure> {
        let number = limits::check_rotation(self.place.number(), number)?;
        self.place.rotate(number);
        Ok(())
    }

    pub(super) fn read(
        &mut self,
        journal: &Journal,
        sequence: u64,
        limit: usize,
        again: bool,
    ) -> Result<Reply, Failure> {
        self.settle(journal, sequence);
        if let Some(partial) = &mut self.partial {
            let bytes = partial.piece(limit, again);
            return Ok(Reply::Data { bytes, more: true });
        }
        if !self.place.check()? {
            return Ok(Reply::Nothing { missing: true });
        }
        let mut out = Vec::new();
        let mut next = sequence;
        let mut more = false;
        for _ in 0..GATHERED {
            match self.add(journal, next, limit, &mut out) {
                Ok(Added::All(following)) => next = following,
                Ok(Added::Part) => {
                    more = true;
                    break;
                }
                Ok(Added::Piece(mut partial)) => {
                    let bytes = partial.piece(limit, false);
                    self.partial = Some(partial);
                    return Ok(Reply::Data { bytes, more: true });
                }
                Ok(Added::Stop) => break,
                // What was read before is good; the error will come again.
                Err(_) if !out.is_empty() => break,
                Err(failure) => return Err(failure),
            }
            more = out.len() >= limit;
            if more {
                break;
            }
        }
        if out.is_empty() {
            let missing = !super::is_directory(self.place.path())?;
            return Ok(Reply::Nothing { missing });
        }
        let bytes = out.into();
        Ok(Reply::Data { bytes, more })
    }

    /// The machine has everything before `sequence`: files that end there are done with.
    fn settle(&mut self, journal: &Journal, sequence: u64) {
        while let Some(file) = self.files.front().filter(|file| file.end <= sequence) {
            if absent(fs::remove_file(&file.path)).is_err() {
                journal.kept(&file.path);
            }
            self.files.pop_front();
        }
        self.partial
            .take_if(|partial| partial.sequence() != sequence);
    }

    /// Adds what follows from the file that holds chunk `sequence`.
    fn add(
        &mut self,
        journal: &Journal,
        sequence: u64,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<Added, Failure> {
        let known = self
            .files
            .iter()
            .find(|file| file.first <= sequence && sequence < file.end)
            .cloned();
        let (first, path) = match &known {
            Some(file) => (file.first, file.path.clone()),
            None => (sequence, self.place.path().join(name::of_chunks(sequence))),
        };
        let found = Opened::open(&path, Kind::Chunks, first, limits::TRANSFER)
            .map_err(|error| failure("read", &path, &error))?;
        let opened = match found {
            Found::Whole(opened) => opened,
            Found::Missing => return Ok(Added::Stop),
            Found::Doubtful(doubt) => {
                journal.doubt(&path, doubt);
                return Ok(Added::Stop);
            }
        };
        let Some(end) = first.checked_add(opened.chunks() as u64) else {
            return Ok(Added::Stop);
        };
        let skip = sequence.saturating_sub(first) as usize;
        let room = limit.saturating_sub(out.len());
        let mut run = opened.fitting(skip, room);
        let piece = run.chunks == 0;
        if piece {
            if !out.is_empty() {
                return Ok(Added::Part);
            }
            run = opened.fitting(skip, opened.length(skip));
        }
        let (good, doubt) = opened
            .append(skip, run, out)
            .map_err(|error| failure("read", &path, &error))?;
        if let Some(doubt) = doubt {
            journal.doubt(&path, doubt);
        }
        if good.chunks == 0 {
            return Ok(Added::Stop);
        }
        if known.is_none() {
            self.files.push_back(InHand { first, end, path });
        }
        let following = sequence.saturating_add(good.chunks as u64);
        Ok(if piece {
            Added::Piece(Partial::new(sequence, std::mem::take(out).into()))
        } else if doubt.is_some() {
            Added::Stop
        } else if following < end {
            Added::Part
        } else {
            Added::All(following)
        })
    }
}
