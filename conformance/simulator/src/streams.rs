//! What was sent, and what may be seen of it: the invariants of bytes and chunks.

use crate::Violation;
use crate::audit::digest;
use crate::rng::mix;
use bytes::Bytes;

/// Fills `out` with the bytes of stream `key` from `offset` on.
pub(crate) fn fill(key: u64, offset: u64, out: &mut [u8]) {
    let mut at = offset;
    let mut rest = out;
    while !rest.is_empty() {
        let word = mix(key ^ (at / 8)).to_le_bytes();
        let from = (at % 8) as usize;
        let n = rest.len().min(8 - from);
        let (now, later) = rest.split_at_mut(n);
        now.copy_from_slice(&word[from..from + n]);
        at += n as u64;
        rest = later;
    }
}

/// A `Write` as the machine asked for it.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) sequence: u64,
    pub(crate) chunks: usize,
    pub(crate) bytes: Bytes,
}

/// One direction of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// Selects its bytes.
    pub(crate) key: u64,
    /// Bytes the writing machine took.
    pub(crate) written: u64,
    /// The writer ended it.
    pub(crate) closed: bool,
    /// Bytes delivered and found right.
    pub(crate) read: u64,
    /// Length and digest of every chunk ever handed out for sending, by sequence number.
    sealed: Vec<(u32, u64)>,
    /// Which chunks are known to be stored.
    landed: Vec<bool>,
    /// Somebody else has put a row where one of ours belongs. A retry that finds it takes it for
    /// its own (wire page `aznet`, aztable): only the reader sees that it is not.
    pub(crate) usurped: bool,
    scratch: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(key: u64) -> Self {
        Self {
            key,
            written: 0,
            closed: false,
            read: 0,
            sealed: Vec::new(),
            landed: Vec::new(),
            usurped: false,
            scratch: Vec::new(),
        }
    }

    /// The reader got these bytes.
    pub(crate) fn delivered(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.scratch.resize(bytes.len(), 0);
        fill(self.key, self.read, &mut self.scratch);
        if self.scratch != bytes {
            let detail = format!("{} bytes at {} are not those sent", bytes.len(), self.read);
            return Err(Violation::new(
                "delivered bytes are a prefix of sent bytes",
                detail,
            ));
        }
        self.read += bytes.len() as u64;
        if self.read > self.written {
            let detail = format!("{} delivered, {} sent", self.read, self.written);
            return Err(Violation::new(
                "delivered bytes are a prefix of sent bytes",
                detail,
            ));
        }
        Ok(())
    }

    /// The reader was told that the stream has ended.
    pub(crate) fn ended(&self) -> Result<(), Violation> {
        if self.closed && self.read == self.written {
            return Ok(());
        }
        let detail = format!(
            "end after {} of {} bytes, writer closed: {}",
            self.read, self.written, self.closed
        );
        Err(Violation::new(
            "end of stream only after an authentic FIN",
            detail,
        ))
    }

    /// The machine hands a block out, as a first try or a later one.
    pub(crate) fn sealed(&mut self, block: &Block, lengths: &[u32]) -> Result<(), Violation> {
        const INVARIANT: &str = "no (key, nonce) is sealed twice";
        let total: usize = lengths.iter().map(|n| *n as usize).sum();
        if total != block.bytes.len() {
            let detail = format!(
                "chunks of {total} bytes in a block of {}",
                block.bytes.len()
            );
            return Err(Violation::new("a block is its chunks back to back", detail));
        }
        let mut rest: &[u8] = &block.bytes;
        for (sequence, length) in (block.sequence..).zip(lengths) {
            let (chunk, later) = rest.split_at(*length as usize);
            rest = later;
            let declared = chunk.first_chunk::<4>().map(|p| u32::from_be_bytes(*p));
            if declared.map(|n| n.saturating_add(4)) != Some(*length) {
                let detail = format!("chunk {sequence}: prefix {declared:?}, length {length}");
                return Err(Violation::new("a block is its chunks back to back", detail));
            }
            let record = (*length, digest(chunk));
            let index = sequence as usize;
            match self.sealed.get(index) {
                Some(known) if *known == record => {}
                Some(_) => {
                    let detail = format!("chunk {sequence} differs from what it was before");
                    return Err(Violation::new(INVARIANT, detail));
                }
                None if index == self.sealed.len() => self.sealed.push(record),
                None => {
                    let detail = format!("chunk {sequence} follows chunk {}", self.sealed.len());
                    return Err(Violation::new("no sequence number is skipped", detail));
                }
            }
        }
        Ok(())
    }

    /// The service has stored this block.
    pub(crate) fn landed(&mut self, block: &Block, body: &Bytes) -> Result<(), Violation> {
        if *body != block.bytes {
            let detail = format!("block {}", block.sequence);
            return Err(Violation::new("what is stored is what was sealed", detail));
        }
        let from = block.sequence as usize;
        if from != self.landed.len() {
            let detail = format!("chunk {from} stored after {} chunks", self.landed.len());
            return Err(Violation::new(
                "chunks are stored once and in order",
                detail,
            ));
        }
        self.noted(block);
        Ok(())
    }

    /// A carrier that keeps chunks apart has stored this one, perhaps again.
    pub(crate) fn stored(&mut self, sequence: u64, chunk: &[u8]) -> Result<(), Violation> {
        let index = sequence as usize;
        let record = (chunk.len() as u32, digest(chunk));
        if self.sealed.get(index) != Some(&record) {
            let detail = format!("chunk {sequence}");
            return Err(Violation::new("what is stored is what was sealed", detail));
        }
        if self.landed.len() <= index {
            self.landed.resize(index + 1, false);
        }
        self.landed[index] = true;
        Ok(())
    }

    /// A carrier that knows sequence numbers has stored this block, perhaps again.
    pub(crate) fn noted(&mut self, block: &Block) {
        let range = block.sequence as usize..block.sequence as usize + block.chunks;
        if self.landed.len() < range.end {
            self.landed.resize(range.end, false);
        }
        self.landed[range].fill(true);
    }

    /// The driver told the machine that this block is stored.
    pub(crate) fn reported(&self, block: &Block) -> Result<(), Violation> {
        let from = block.sequence as usize;
        let landed = self.landed.get(from..from + block.chunks);
        if self.usurped || landed.is_some_and(|landed| landed.iter().all(|one| *one)) {
            return Ok(());
        }
        let detail = format!("chunk {from} is reported stored, and is not");
        Err(Violation::new(
            "a write that is reported done is stored",
            detail,
        ))
    }
}
