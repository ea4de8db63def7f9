//! Records: one sealed message each (wire page `commonware`, "V0", "V1" and the eras).
//!
//! | Profile | Wire | Nonce, 96 bits |
//! |---|---|---|
//! | a | u32 BE (length + 16) ‖ sealed | record number, big-endian |
//! | b | u32 BE (length + 16) ‖ sealed | record number, little-endian |
//! | V0 | varint (length + 16) ‖ sealed | record number, little-endian |
//! | V1 | sealed u32 BE length (20 bytes) ‖ sealed | 2n, then 2n + 1, little-endian |

use super::Profile;
use super::wire::Prefix;
use crate::crypto::{ChaCha20Poly1305, Secret};
use crate::error::{Class, Error};
use alloc::vec::Vec;
use bytes::BytesMut;

/// Bytes of the tag.
pub const TAG: usize = 16;
/// Bytes of the sealed header of V1.
pub const HEADER: usize = 4 + TAG;
/// The most that a record adds to its plaintext.
pub const OVERHEAD: usize = HEADER + TAG;
/// The longest plaintext that every profile can carry.
pub const LONGEST: usize = u32::MAX as usize - TAG;

const NONCES: u128 = 1 << 96;

const USED_UP: Error = Error::limit(
    Class::NonceLimit,
    "the nonces of this key are used up; open a new connection",
);
const TOO_SHORT: Error = Error::peer(Class::Length, "a record is too short for a tag");
const TOO_LONG: Error = Error::peer(Class::Limit, "a record is larger than our limit");

/// The nonces of one direction. Each is given out once.
struct Nonces {
    big_endian: bool,
    next: u128,
}

impl Nonces {
    /// Starts at a record number; V1 uses two nonces for each.
    fn at(profile: Profile, record: u128) -> Self {
        let nonces = if profile == Profile::V1 { 2 } else { 1 };
        Self {
            big_endian: profile == Profile::A,
            next: record.saturating_mul(nonces),
        }
    }

    /// Whether `count` more can be given out.
    fn has(&self, count: u128) -> bool {
        self.next
            .checked_add(count)
            .is_some_and(|end| end <= NONCES)
    }

    fn take(&mut self) -> Result<[u8; 12], Error> {
        if !self.has(1) {
            return Err(USED_UP);
        }
        let counter = self.next;
        self.next = counter.saturating_add(1);
        let mut nonce = [0; 12];
        if self.big_endian {
            if let Some(bytes) = counter.to_be_bytes().last_chunk() {
                nonce = *bytes;
            }
        } else if let Some(bytes) = counter.to_le_bytes().first_chunk() {
            nonce = *bytes;
        }
        Ok(nonce)
    }
}

/// Seals the records of one direction in order.
pub struct Sealer {
    profile: Profile,
    key: ChaCha20Poly1305,
    nonces: Nonces,
    limit: usize,
}

impl Sealer {
    /// Starts at record 0. `limit`: the longest plaintext, at most [`LONGEST`].
    pub fn new(profile: Profile, key: Secret, limit: usize) -> Self {
        Self::at(profile, key, 0, limit)
    }

    /// Starts at a record number. Whoever calls this knows that nothing was sealed from there on.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a key that seals is used up: nobody else may seal with it"
    )]
    pub fn at(profile: Profile, key: Secret, record: u128, limit: usize) -> Self {
        Self {
            profile,
            key: ChaCha20Poly1305::new(&key),
            nonces: Nonces::at(profile, record),
            limit: limit.min(LONGEST),
        }
    }

    /// The longest plaintext.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Appends the record of `plain` to `out`.
    ///
    /// A plaintext over the limit is [`Class::Limit`] and changes nothing; when the nonces are
    /// used up, [`Class::NonceLimit`] comes for ever.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let length = u32::try_from(plain.len())
            .ok()
            .filter(|_| plain.len() <= self.limit)
            .ok_or(Error::limit(
                Class::Limit,
                "a message is larger than a record may be; send it in parts",
            ))?;
        out.reserve(plain.len().saturating_add(OVERHEAD));
        if self.profile == Profile::V1 {
            if !self.nonces.has(2) {
                return Err(USED_UP);
            }
            self.append(&length.to_be_bytes(), out)?;
        } else {
            if !self.nonces.has(1) {
                return Err(USED_UP);
            }
            let prefix = self.profile.prefix();
            prefix.put(length.saturating_add(TAG as u32), out);
        }
        self.append(plain, out)
    }

    fn append(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let nonce = self.nonces.take()?;
        let start = out.len();
        out.extend_from_slice(plain);
        let sealed = out.get_mut(start..).unwrap_or_default();
        let tag = self.key.seal_in_place(&nonce, &[], sealed)?;
        out.extend_from_slice(&tag);
        Ok(())
    }
}

/// What of the next record has come.
enum Part {
    /// The prefix or the sealed header, as far as it came.
    Head([u8; HEADER], usize),
    /// The sealed body, as far as it came; it is complete at this length.
    Body(BytesMut, usize),
}

const START: Part = Part::Head([0; HEADER], 0);

/// Opens the records of one direction in order, from bytes cut anywhere.
pub struct Opener {
    profile: Profile,
    key: ChaCha20Poly1305,
    nonces: Nonces,
    limit: usize,
    part: Part,
    failed: Option<Error>,
}

impl Opener {
    /// Starts at record 0. `limit`: the longest plaintext taken, at most [`LONGEST`].
    pub fn new(profile: Profile, key: Secret, limit: usize) -> Self {
        Self::at(profile, key, 0, limit)
    }

    /// Starts at a record number.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the key moves in, so that it is not kept elsewhere"
    )]
    pub fn at(profile: Profile, key: Secret, record: u128, limit: usize) -> Self {
        Self {
            profile,
            key: ChaCha20Poly1305::new(&key),
            nonces: Nonces::at(profile, record),
            limit: limit.min(LONGEST),
            part: START,
            failed: None,
        }
    }

    /// True between two records: nothing of the next one has come.
    pub fn is_between(&self) -> bool {
        matches!(self.part, Part::Head(_, 0))
    }

    /// Takes what it needs off the front of `input` and gives the plaintext of the next record,
    /// or [`None`] when `input` was used up before its end.
    ///
    /// The first error is final and repeats (wire page, trap 5): [`Class::Encoding`],
    /// [`Class::Length`] (no room for a tag), [`Class::Limit`] (before the body is allocated),
    /// [`Class::Auth`], [`Class::NonceLimit`].
    pub fn open(&mut self, input: &mut &[u8]) -> Result<Option<BytesMut>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let opened = self.open_next(input);
        if let Err(error) = &opened {
            self.failed = Some(error.clone());
            self.part = START;
        }
        opened
    }

    fn open_next(&mut self, input: &mut &[u8]) -> Result<Option<BytesMut>, Error> {
        loop {
            match &mut self.part {
                Part::Head(head, have) => {
                    let Some((byte, rest)) = input.split_first() else {
                        return Ok(None);
                    };
                    if let Some(place) = head.get_mut(*have) {
                        *place = *byte;
                    }
                    *input = rest;
                    *have = have.saturating_add(1);
                    let (head, have) = (*head, *have);
                    let head = head.get(..have).unwrap_or_default();
                    if let Some(length) = self.body_length(head)? {
                        self.part = Part::Body(BytesMut::with_capacity(length), length);
                    }
                }
                Part::Body(body, length) => {
                    let missing = length.saturating_sub(body.len());
                    let taken = missing.min(input.len());
                    let (now, rest) = input.split_at_checked(taken).unwrap_or_default();
                    body.extend_from_slice(now);
                    *input = rest;
                    if taken < missing {
                        return Ok(None);
                    }
                    let mut body = core::mem::take(body);
                    self.part = START;
                    self.open_sealed(&mut body)?;
                    return Ok(Some(body));
                }
            }
        }
    }

    /// The length of the sealed body, once the head is complete.
    fn body_length(&mut self, head: &[u8]) -> Result<Option<usize>, Error> {
        if self.profile == Profile::V1 {
            if head.len() < HEADER {
                return Ok(None);
            }
            let mut sealed = BytesMut::from(head);
            self.open_sealed(&mut sealed)?;
            let length = sealed.first_chunk::<4>().copied().unwrap_or_default();
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if length > self.limit {
                return Err(TOO_LONG);
            }
            return Ok(Some(length.saturating_add(TAG)));
        }
        let Some((length, _)) = self.profile.prefix().read(head)? else {
            return Ok(None);
        };
        if length < TAG {
            return Err(TOO_SHORT);
        }
        if length.saturating_sub(TAG) > self.limit {
            return Err(TOO_LONG);
        }
        Ok(Some(length))
    }

    /// Opens in place and takes the tag off.
    fn open_sealed(&mut self, sealed: &mut BytesMut) -> Result<(), Error> {
        let (body, tag) = sealed.split_last_chunk_mut::<TAG>().ok_or(TOO_SHORT)?;
        let nonce = self.nonces.take()?;
        self.key.open_in_place(&nonce, &[], body, tag)?;
        let length = body.len();
        sealed.truncate(length);
        Ok(())
    }
}

#[cfg(test)]
impl Opener {
    /// Room made for a record that is not all there.
    fn room(&self) -> usize {
        match &self.part {
            Part::Head(..) => 0,
            Part::Body(body, _) => body.capacity(),
        }
    }
}

const _: () = assert!(Prefix::LONGEST <= HEADER);

#[cfg(test)]
mod tests;
