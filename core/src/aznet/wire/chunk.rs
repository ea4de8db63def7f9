//! Chunks: what is stored (wire page `aznet`, "Chunk").
//!
//! `u32 BE length ‖ ciphertext ‖ tag`, where the length counts ciphertext and tag. The nonce is
//! four zero bytes and a big-endian counter that starts at 0; there is no associated data.

use crate::crypto::{Aes256Gcm, Secret};
use crate::error::{Class, Error};

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;
/// Bytes of the tag.
pub const TAG: usize = 16;
/// What a chunk adds to its plaintext.
pub const OVERHEAD: usize = PREFIX + TAG;

const USED_UP: Error = Error::limit(Class::NonceLimit, "the nonces of this key are used up");

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    if let Some(tail) = nonce.last_chunk_mut::<8>() {
        *tail = counter.to_be_bytes();
    }
    nonce
}

/// Length of the body (ciphertext and tag) that a prefix declares.
///
/// `limit` is the largest chunk *with* its prefix: a longer one is [`Class::Limit`], a body too
/// short for a tag is [`Class::Length`].
pub fn declared(prefix: [u8; PREFIX], limit: usize) -> Result<usize, Error> {
    let body = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if body.saturating_add(PREFIX) > limit {
        return Err(Error::peer(
            Class::Limit,
            "a chunk is larger than its carrier allows",
        ));
    }
    if body < TAG {
        return Err(Error::peer(Class::Length, "a chunk is too short for a tag"));
    }
    Ok(body)
}

/// A chunk's body, and the bytes behind it.
pub type BodyAndRest<'a> = (&'a [u8], &'a [u8]);

/// Splits the first chunk's body (ciphertext and tag) off `bytes`, with what follows it; [`None`]
/// when it has not all come yet. Refuses as [`declared`] does, before the body is there.
pub fn split_first(bytes: &[u8], limit: usize) -> Result<Option<BodyAndRest<'_>>, Error> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = declared(*prefix, limit)?;
    Ok(rest.split_at_checked(length))
}

/// Seals the chunks of one direction, each with the next nonce.
pub struct Sealer {
    key: Aes256Gcm,
    counter: u64,
    sealed: u64,
}

impl Sealer {
    /// Starts at sequence 0.
    pub fn new(key: Secret) -> Self {
        Self::at(key, 0)
    }

    /// Starts at `counter`. Whoever calls this knows that nothing was sealed from there on.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a key that seals is used up: nobody else may seal with it"
    )]
    pub fn at(key: Secret, counter: u64) -> Self {
        Self {
            key: Aes256Gcm::new(&key),
            counter,
            sealed: 0,
        }
    }

    /// Sequence number of the next chunk.
    pub fn sequence(&self) -> u64 {
        self.counter
    }

    /// Plaintext and tag bytes sealed so far, towards the budget of the key.
    pub fn sealed_bytes(&self) -> u64 {
        self.sealed
    }

    /// Seals a chunk in place and gives the sequence number it used.
    ///
    /// `chunk` is [`PREFIX`] spare bytes, the plaintext, [`TAG`] spare bytes; afterwards it is what
    /// is to be stored. A chunk without room for the spare bytes, or longer than its prefix can
    /// say, is misuse and changes nothing. Sequence 2^64 − 1 is [`Class::NonceLimit`].
    pub fn seal(&mut self, chunk: &mut [u8]) -> Result<u64, Error> {
        const SHORT: Error = Error::Misuse("a chunk needs room for its prefix and tag");
        let (prefix, body) = chunk.split_first_chunk_mut::<PREFIX>().ok_or(SHORT)?;
        let length = u32::try_from(body.len()).map_err(|_| Error::Misuse("a chunk is too long"))?;
        let (plain, tag) = body.split_last_chunk_mut::<TAG>().ok_or(SHORT)?;
        let sequence = self.counter;
        // Counted up first: whatever happens below, this nonce is gone.
        self.counter = sequence.checked_add(1).ok_or(USED_UP)?;
        self.sealed = self.sealed.saturating_add(u64::from(length));
        *tag = self.key.seal_in_place(&nonce(sequence), &[], plain)?;
        *prefix = length.to_be_bytes();
        Ok(sequence)
    }
}

/// Opens the chunks of one direction in order.
pub struct Opener {
    key: Aes256Gcm,
    counter: u64,
    failed: Option<Error>,
}

impl Opener {
    /// Starts at sequence 0.
    pub fn new(key: Secret) -> Self {
        Self::at(key, 0)
    }

    /// Starts at `counter`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the key moves in, so that it is not kept elsewhere"
    )]
    pub fn at(key: Secret, counter: u64) -> Self {
        Self {
            key: Aes256Gcm::new(&key),
            counter,
            failed: None,
        }
    }

    /// Sequence number of the next chunk.
    pub fn sequence(&self) -> u64 {
        self.counter
    }

    /// Opens a chunk in place: `body` is ciphertext and tag, without the prefix. Gives the length
    /// of the plaintext, which then stands at the start of `body`.
    ///
    /// The counter moves on success only. After a failure `body` holds no plaintext, and the same
    /// error comes for ever: [`Class::Auth`], [`Class::Length`] (no room for a tag) or
    /// [`Class::NonceLimit`] (sequence 2^64 − 1).
    pub fn open(&mut self, body: &mut [u8]) -> Result<usize, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let opened = self.open_next(body);
        if let Err(error) = &opened {
            self.failed = Some(error.clone());
        }
        opened
    }

    fn open_next(&mut self, body: &mut [u8]) -> Result<usize, Error> {
        let (sealed, tag) = body
            .split_last_chunk_mut::<TAG>()
            .ok_or(Error::peer(Class::Length, "a chunk is too short for a tag"))?;
        let next = self.counter.checked_add(1).ok_or(USED_UP)?;
        self.key
            .open_in_place(&nonce(self.counter), &[], sealed, tag)?;
        self.counter = next;
        Ok(sealed.len())
    }
}

#[cfg(test)]
mod tests;
