//! Stream ids and sequence numbers, by direction (wire page `asoc`, "Streams").
//!
//! The same id in both directions is two streams: running peers use odd ids on every node.

use super::wire::Header;
use crate::error::{Class, Error};
use alloc::collections::BTreeMap;

/// Runs of finished ids that are remembered; past it the peer's ids are too scattered to keep.
const MOST_RUNS: usize = 4096;

/// The peer's streams.
pub(crate) struct Incoming {
    most: usize,
    /// Next sequence of each open stream; [`None`] when its numbers are used up.
    open: BTreeMap<u32, Option<u32>>,
    /// Finished ids, even and odd ones apart because either kind is mostly used alone.
    finished: [Runs; 2],
}

impl Incoming {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            open: BTreeMap::new(),
            finished: [Runs::default(), Runs::default()],
        }
    }

    /// Whether some stream has begun and not ended.
    pub(crate) fn any_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Judges the header of a DATA frame and counts it.
    pub(crate) fn data(&mut self, header: &Header) -> Result<(), Error> {
        self.expect(header)?;
        if !self.open.contains_key(&header.stream) && self.open.len() >= self.most {
            return Err(Error::limit(
                Class::Limit,
                "the peer has more streams open than are allowed",
            ));
        }
        self.open
            .insert(header.stream, header.sequence.checked_add(1));
        Ok(())
    }

    /// Judges the header of an END frame and finishes the id for good.
    pub(crate) fn end(&mut self, header: &Header) -> Result<(), Error> {
        self.expect(header)?;
        self.open.remove(&header.stream);
        self.runs(header.stream).insert(header.stream >> 1)
    }

    fn expect(&mut self, header: &Header) -> Result<(), Error> {
        if header.stream == 0 {
            return Err(Error::peer(
                Class::State,
                "stream 0 never carries DATA or END",
            ));
        }
        let next = if let Some(next) = self.open.get(&header.stream) {
            *next
        } else if self.runs(header.stream).has(header.stream >> 1) {
            return Err(Error::peer(
                Class::State,
                "the stream has ended; its id cannot be used again",
            ));
        } else {
            Some(0)
        };
        if next == Some(header.sequence) {
            return Ok(());
        }
        Err(Error::peer(
            Class::State,
            "a frame of a stream is missing, repeated or out of order",
        ))
    }

    fn runs(&mut self, stream: u32) -> &mut Runs {
        let [even, odd] = &mut self.finished;
        if stream & 1 == 0 { even } else { odd }
    }
}

/// A set of numbers, as runs: first to last.
#[derive(Default)]
struct Runs(BTreeMap<u32, u32>);

impl Runs {
    fn has(&self, id: u32) -> bool {
        let run = self.0.range(..=id).next_back();
        run.is_some_and(|(_, last)| id <= *last)
    }

    fn insert(&mut self, id: u32) -> Result<(), Error> {
        let mut run = (id, id);
        if let Some((first, last)) = self.0.range(..=id).next_back()
            && last.checked_add(1) == Some(id)
        {
            run.0 = *first;
        }
        if let Some(next) = id.checked_add(1)
            && let Some(last) = self.0.remove(&next)
        {
            run.1 = last;
        }
        if !self.0.contains_key(&run.0) && self.0.len() >= MOST_RUNS {
            return Err(Error::limit(
                Class::Limit,
                "the peer's stream ids are scattered over more gaps than are remembered",
            ));
        }
        self.0.insert(run.0, run.1);
        Ok(())
    }
}

/// Our own streams.
pub(crate) struct Outgoing {
    most: usize,
    next: Option<u32>,
    /// Next sequence of each open stream.
    open: BTreeMap<u32, u32>,
}

impl Outgoing {
    /// Ids 1, 3, 5 … from `first` = 1 (client), 2, 4, 6 … from 2 (server).
    pub(crate) fn new(first: u32, most: usize) -> Self {
        Self {
            most,
            next: Some(first),
            open: BTreeMap::new(),
        }
    }

    pub(crate) fn open(&mut self) -> Result<u32, Error> {
        if self.open.len() >= self.most {
            return Err(Error::Misuse("too many streams are open: end one first"));
        }
        let id = self.next.ok_or(Error::Misuse(
            "the stream ids of this connection are used up: make a new connection",
        ))?;
        self.next = id.checked_add(2);
        self.open.insert(id, 0);
        Ok(id)
    }

    /// Whether the stream is open, and DATA can still be sent on it.
    pub(crate) fn check(&self, stream: u32) -> Result<(), Error> {
        match self.open.get(&stream) {
            None => Err(Error::Misuse("the stream is not open")),
            // The last number is kept for END.
            Some(&u32::MAX) => Err(Error::Misuse(
                "the sequence numbers of the stream are used up: end it and open another",
            )),
            Some(_) => Ok(()),
        }
    }

    /// The sequence of the stream's next DATA frame.
    pub(crate) fn data(&mut self, stream: u32) -> Result<u32, Error> {
        self.check(stream)?;
        let next = self
            .open
            .get_mut(&stream)
            .ok_or(Error::Misuse("the stream is not open"))?;
        let sequence = *next;
        *next = sequence.saturating_add(1);
        Ok(sequence)
    }

    /// The sequence of the stream's END frame.
    pub(crate) fn end(&mut self, stream: u32) -> Result<u32, Error> {
        self.open
            .remove(&stream)
            .ok_or(Error::Misuse("the stream is not open"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asoc::wire::kind;

    fn header(stream: u32, sequence: u32) -> Header {
        Header {
            kind: kind::DATA,
            stream,
            sequence,
            length: 0,
        }
    }

    fn state(result: Result<(), Error>) {
        assert_eq!(result.unwrap_err().class(), Some(Class::State));
    }

    #[test]
    fn an_id_is_finished_by_its_end_for_good() {
        let mut incoming = Incoming::new(4);
        incoming.data(&header(1, 0)).unwrap();
        assert!(incoming.any_open());
        incoming.end(&header(1, 1)).unwrap();
        assert!(!incoming.any_open());
        for sequence in [0, 1, 2] {
            state(incoming.data(&header(1, sequence)));
            state(incoming.end(&header(1, sequence)));
        }
        incoming.data(&header(3, 0)).unwrap();
    }

    #[test]
    fn gaps_repeats_and_wrong_starts_are_refused() {
        let mut incoming = Incoming::new(4);
        state(incoming.data(&header(1, 1)));
        incoming.data(&header(1, 0)).unwrap();
        state(incoming.data(&header(1, 0)));
        state(incoming.data(&header(1, 2)));
        state(incoming.end(&header(1, 0)));
        state(incoming.end(&header(1, 2)));
        state(incoming.data(&header(0, 0)));
        state(incoming.end(&header(0, 0)));
    }

    #[test]
    fn no_number_follows_the_last_one() {
        let mut incoming = Incoming::new(4);
        incoming.open.insert(1, Some(u32::MAX));
        incoming.data(&header(1, u32::MAX)).unwrap();
        state(incoming.data(&header(1, 0)));
        state(incoming.end(&header(1, u32::MAX)));
        let mut outgoing = Outgoing::new(1, 4);
        let stream = outgoing.open().unwrap();
        outgoing.open.insert(stream, u32::MAX);
        assert!(matches!(outgoing.data(stream), Err(Error::Misuse(_))));
        assert_eq!(outgoing.end(stream).unwrap(), u32::MAX);
        outgoing.next = Some(u32::MAX);
        assert_eq!(outgoing.open().unwrap(), u32::MAX);
        assert!(matches!(outgoing.open(), Err(Error::Misuse(_))));
    }

    #[test]
    fn open_streams_and_runs_of_finished_ones_are_bounded() {
        let mut incoming = Incoming::new(2);
        incoming.data(&header(1, 0)).unwrap();
        incoming.data(&header(2, 0)).unwrap();
        let fault = incoming.data(&header(3, 0)).unwrap_err();
        assert_eq!(fault.class(), Some(Class::Limit));
        incoming.data(&header(1, 1)).unwrap();
        let mut incoming = Incoming::new(2);
        // In order, any number of streams is one run.
        for id in 0..20_000 {
            incoming.end(&header(id * 2 + 1, 0)).unwrap();
            incoming.end(&header(id * 2 + 2, 0)).unwrap();
        }
        assert_eq!(incoming.finished[0].0.len(), 1);
        state(incoming.end(&header(20_001, 0)));
        // Scattered, they are refused in the end.
        let mut incoming = Incoming::new(2);
        let refused = (0..=u32::MAX >> 4)
            .find_map(|id| incoming.end(&header(id * 6 + 1, 0)).err())
            .unwrap();
        assert_eq!(refused.class(), Some(Class::Limit));
        assert_eq!(incoming.finished[1].0.len(), MOST_RUNS);
    }

    #[test]
    fn runs_agree_with_a_plain_set() {
        let mut runs = Runs::default();
        let mut set = std::collections::BTreeSet::new();
        let mut rng = crate::crypto::Rng::from_seed([3; 32]);
        for _ in 0..2_000 {
            let id = u32::from(rng.array::<1>()[0]) | (u32::from(rng.array::<1>()[0]) & 1) << 31;
            if !runs.has(id) {
                runs.insert(id).unwrap();
            }
            set.insert(id);
            for probe in [id, id.wrapping_add(1), id.wrapping_sub(1)] {
                assert_eq!(runs.has(probe), set.contains(&probe));
            }
        }
    }
}
