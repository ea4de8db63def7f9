//! Records of one direction, channel and epoch, sealed and opened in place. Wire page `packetfs`,
//! "Record".

use super::handshake::Key;
use super::window::usable;
use super::wire::header::{HEADER, Header, OVERHEAD, flags};
use super::wire::{Algorithm, ChannelId, TAG};
use crate::crypto::{Aes256Gcm, XChaCha20Poly1305};
use crate::error::{Class, Error};
use zeroize::Zeroizing;

enum Cipher {
    Aes(Aes256Gcm),
    XChaCha(XChaCha20Poly1305),
}

/// A cipher with its nonces and the flags that its records must carry.
struct Cell {
    cipher: Cipher,
    base: Zeroizing<[u8; 24]>,
    flags: u8,
}

impl Cell {
    fn new(algorithm: Algorithm, key: &Key, channel: ChannelId, epoch: u32) -> Self {
        let cipher = match algorithm {
            Algorithm::Aes256Gcm => Cipher::Aes(Aes256Gcm::new(&key.key)),
            Algorithm::XChaCha20Poly1305 => Cipher::XChaCha(XChaCha20Poly1305::new(&key.key)),
        };
        Self {
            cipher,
            base: key.nonce.clone(),
            flags: flags(channel, epoch),
        }
    }

    /// The base with its last 8 bytes XORed with the sequence.
    fn nonce<const N: usize>(&self, sequence: u64) -> [u8; N] {
        let mut nonce = self.base.first_chunk::<N>().copied().unwrap_or([0; N]);
        for (byte, bits) in nonce.iter_mut().rev().zip(sequence.to_le_bytes()) {
            *byte ^= bits;
        }
        nonce
    }

    fn seal(&self, sequence: u64, aad: &[u8], buf: &mut [u8]) -> Result<[u8; TAG], Error> {
        match &self.cipher {
            Cipher::Aes(cipher) => cipher.seal_in_place(&self.nonce(sequence), aad, buf),
            Cipher::XChaCha(cipher) => cipher.seal_in_place(&self.nonce(sequence), aad, buf),
        }
    }

    fn open(&self, header: &[u8; HEADER], sequence: u64, body: &mut [u8]) -> Result<usize, Error> {
        let (buf, tag) = body.split_last_chunk_mut::<TAG>().ok_or(Error::peer(
            Class::Length,
            "a record is shorter than its tag",
        ))?;
        match &self.cipher {
            Cipher::Aes(cipher) => {
                cipher.open_in_place(&self.nonce(sequence), header, buf, tag)?;
            }
            Cipher::XChaCha(cipher) => {
                cipher.open_in_place(&self.nonce(sequence), header, buf, tag)?;
            }
        }
        Ok(buf.len())
    }
}

/// Seals the records of one direction, channel and epoch, each under a sequence of its own.
pub struct Sealer {
    cell: Cell,
    next: u64,
}

impl Sealer {
    /// Starts at sequence 0.
    pub fn new(algorithm: Algorithm, key: &Key, channel: ChannelId, epoch: u32) -> Self {
        Self::at(algorithm, key, channel, epoch, 0)
    }

    /// Starts at `sequence`. Whoever calls this answers for it that no record was sealed there.
    pub fn at(
        algorithm: Algorithm,
        key: &Key,
        channel: ChannelId,
        epoch: u32,
        sequence: u64,
    ) -> Self {
        Self {
            cell: Cell::new(algorithm, key, channel, epoch),
            next: sequence,
        }
    }

    /// The sequence of the next record.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Seals `record` in place: 15 spare bytes, the plaintext, 16 spare bytes.
    ///
    /// [`Class::Limit`] when the length field would exceed `limit`; [`Class::NonceLimit`] after
    /// sequence 2^64 - 2. Nothing changes then.
    pub fn seal(&mut self, record: &mut [u8], limit: u32) -> Result<(), Error> {
        let sequence = self.next;
        usable(sequence).map_err(|_| {
            Error::limit(
                Class::NonceLimit,
                "every sequence of this epoch is used up: advance the epoch or close",
            )
        })?;
        let length = record
            .len()
            .checked_sub(HEADER)
            .filter(|length| *length >= TAG);
        let length = length.ok_or(Error::Misuse("a record has 31 bytes besides its plaintext"))?;
        let length = u32::try_from(length)
            .ok()
            .filter(|length| *length <= limit)
            .ok_or(Error::limit(
                Class::Limit,
                "the record would be longer than the configured limit",
            ))?;
        let header = Header {
            sequence,
            length,
            flags: self.cell.flags,
        };
        let header = header.encode();
        // Before sealing: whatever happens, this sequence is never used again.
        self.next = sequence.saturating_add(1);
        let (start, body) = record
            .split_first_chunk_mut::<HEADER>()
            .ok_or(Error::Misuse("a record has 31 bytes besides its plaintext"))?;
        let (plain, tag) = body
            .split_last_chunk_mut::<TAG>()
            .ok_or(Error::Misuse("a record has 31 bytes besides its plaintext"))?;
        *tag = self.cell.seal(sequence, &header, plain)?;
        *start = header;
        Ok(())
    }
}

/// Length of the record of a plaintext, bytes.
pub const fn sealed_length(plain: usize) -> usize {
    plain.saturating_add(OVERHEAD)
}

/// Opens the records of one direction, channel and epoch. It keeps no order: streams and datagrams
/// have rules of their own.
pub struct Opener(Cell);

impl Opener {
    /// For the records of this key.
    pub fn new(algorithm: Algorithm, key: &Key, channel: ChannelId, epoch: u32) -> Self {
        Self(Cell::new(algorithm, key, channel, epoch))
    }

    /// Opens a record's `body` (ciphertext and tag) in place and says how long the plaintext at
    /// its start is.
    ///
    /// Flags that are not those of this key are [`Class::Auth`], as is a tag that does not verify:
    /// then the ciphertext is overwritten with zeros. Sequence 2^64 - 1 is [`Class::NonceLimit`].
    pub fn open(&self, bytes: &[u8; HEADER], body: &mut [u8]) -> Result<usize, Error> {
        let header = Header::parse(bytes, u32::MAX)?;
        usable(header.sequence)?;
        // The additional data alone would accept a header that names another channel.
        if header.flags != self.0.flags {
            return Err(Error::auth());
        }
        self.0.open(bytes, header.sequence, body)
    }
}

/// The rule of ordered streams: sequences strictly increase by one.
///
/// A smaller one is [`Class::Replay`], a larger one [`Class::State`], 2^64 - 1
/// [`Class::NonceLimit`].
pub fn in_order(sequence: u64, expected: u64) -> Result<(), Error> {
    usable(sequence)?;
    if sequence < expected {
        return Err(Error::peer(Class::Replay, "a record came a second time"));
    }
    if sequence > expected {
        return Err(Error::peer(
            Class::State,
            "a record is missing before this one",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
