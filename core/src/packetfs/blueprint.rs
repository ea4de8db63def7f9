//! Blueprints: an object described by references to the blob and by literals. Wire page
//! `packetfs`, "Offset-only flow".
//!
//! A decoded blueprint keeps its bytes and nothing besides: what it holds in memory is what
//! arrived, however many descriptors are in it.

use super::blob::{Blob, inside};
use crate::crypto::blake3;
use crate::error::{Class, Error};
use alloc::vec::Vec;
use bytes::{Buf, Bytes};

/// Bytes of a window, each of which has a digest of its own; the last window may be shorter.
pub const WINDOW: usize = 65_536;

/// Bytes of a digest.
pub const DIGEST: usize = 32;

const LITERAL: u8 = 0;
const REFERENCE: u8 = 1;

/// Object size and descriptor count.
const HEAD: usize = 12;

/// What is done to every byte of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// Nothing.
    None,
    /// XOR with this byte.
    Xor(u8),
    /// This byte is added, modulo 256.
    Add(u8),
}

impl Transform {
    /// The two bytes on the wire.
    const fn encode(self) -> [u8; 2] {
        match self {
            Self::None => [0, 0],
            Self::Xor(value) => [1, value],
            Self::Add(value) => [2, value],
        }
    }

    /// [`Class::Type`] for an unknown one, [`Class::Encoding`] for none with a value.
    fn decode(kind: u8, value: u8) -> Result<Self, Error> {
        match (kind, value) {
            (0, 0) => Ok(Self::None),
            (0, _) => Err(Error::peer(
                Class::Encoding,
                "a reference without a transform has a value",
            )),
            (1, value) => Ok(Self::Xor(value)),
            (2, value) => Ok(Self::Add(value)),
            _ => Err(Error::peer(
                Class::Type,
                "no such transform: there are none, XOR and add",
            )),
        }
    }

    /// Transforms bytes of the blob in place.
    pub fn apply(self, bytes: &mut [u8]) {
        match self {
            Self::None => {}
            Self::Xor(value) => bytes.iter_mut().for_each(|byte| *byte ^= value),
            Self::Add(value) => {
                for byte in bytes {
                    *byte = byte.wrapping_add(value);
                }
            }
        }
    }
}

/// One piece of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// Bytes of the blob. A length of 0 is allowed.
    Reference {
        /// Where they begin.
        offset: u64,
        /// How many they are.
        length: u32,
        /// What is done to them.
        transform: Transform,
    },
    /// The bytes themselves.
    Literal(Bytes),
}

impl Descriptor {
    /// Bytes of the object that it stands for.
    pub fn length(&self) -> u64 {
        match self {
            Self::Reference { length, .. } => u64::from(*length),
            Self::Literal(bytes) => bytes.len() as u64,
        }
    }

    /// Takes a descriptor off the start of `bytes`.
    fn take(bytes: &mut Bytes) -> Result<Self, Error> {
        let truncated = |_| Error::peer(Class::Truncated, "the blueprint ends early");
        match bytes.try_get_u8().map_err(truncated)? {
            LITERAL => {
                let length = bytes.try_get_u32().map_err(truncated)? as usize;
                if length > bytes.len() {
                    return Err(Error::peer(Class::Truncated, "a literal ends early"));
                }
                Ok(Self::Literal(bytes.split_to(length)))
            }
            REFERENCE => {
                let offset = bytes.try_get_u64().map_err(truncated)?;
                let length = bytes.try_get_u32().map_err(truncated)?;
                let kind = bytes.try_get_u8().map_err(truncated)?;
                let value = bytes.try_get_u8().map_err(truncated)?;
                Ok(Self::Reference {
                    offset,
                    length,
                    transform: Transform::decode(kind, value)?,
                })
            }
            _ => Err(Error::peer(
                Class::Type,
                "no such descriptor: 0 is a literal, 1 a reference",
            )),
        }
    }
}

/// A blueprint whose bytes are sound. Its references may still lie outside a blob: see
/// [`Blueprint::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blueprint {
    bytes: Bytes,
    size: u64,
    count: u32,
    digests: Bytes,
}

impl Blueprint {
    /// Reads a blueprint that is exactly `bytes`; nothing is copied.
    ///
    /// [`Class::Truncated`] when it ends early; [`Class::Length`] when bytes follow or the
    /// lengths do not add up to the size; [`Class::Type`] and [`Class::Encoding`] as above.
    pub fn decode(bytes: Bytes) -> Result<Self, Error> {
        let truncated = |_| Error::peer(Class::Truncated, "the blueprint ends early");
        let mut rest = bytes.clone();
        let size = rest.try_get_u64().map_err(truncated)?;
        let count = rest.try_get_u32().map_err(truncated)?;
        let mut total = 0_u64;
        for _ in 0..count {
            total = total.saturating_add(Descriptor::take(&mut rest)?.length());
        }
        if total != size {
            return Err(Error::peer(
                Class::Length,
                "the descriptors do not add up to the size of the object",
            ));
        }
        let digests = windows(size).saturating_mul(DIGEST as u64);
        let held = rest.len() as u64;
        if held < digests {
            return Err(Error::peer(Class::Truncated, "digests are missing"));
        }
        if held > digests {
            return Err(Error::peer(Class::Length, "bytes follow the last digest"));
        }
        Ok(Self {
            bytes,
            size,
            count,
            digests: rest,
        })
    }

    /// The bytes, as they go out sealed.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Bytes of the object.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The descriptors, in order.
    pub fn descriptors(&self) -> Descriptors {
        Descriptors {
            rest: self
                .bytes
                .get(HEAD..)
                .map_or_else(Bytes::new, |rest| self.bytes.slice_ref(rest)),
            left: self.count,
        }
    }

    /// How many windows the object has.
    pub const fn windows(&self) -> u64 {
        windows(self.size)
    }

    /// Bytes of window `index`; 0 behind the last one.
    pub fn window_length(&self, index: u32) -> usize {
        let start = u64::from(index).saturating_mul(WINDOW as u64);
        let left = self.size.saturating_sub(start).min(WINDOW as u64);
        left as usize
    }

    /// The digest of window `index`.
    pub fn digest(&self, index: u32) -> Option<[u8; DIGEST]> {
        let start = (index as usize).checked_mul(DIGEST)?;
        self.digests.get(start..)?.first_chunk().copied()
    }

    /// Every digest, in order.
    pub fn digests(&self) -> impl Iterator<Item = [u8; DIGEST]> + '_ {
        let chunks = self.digests.chunks_exact(DIGEST);
        chunks.filter_map(|chunk| chunk.first_chunk().copied())
    }

    /// Every reference lies inside a blob of `size` bytes, or [`Class::Length`].
    pub fn check(&self, size: u64) -> Result<(), Error> {
        for descriptor in self.descriptors() {
            if let Descriptor::Reference { offset, length, .. } = descriptor {
                inside(size, offset, length)?;
            }
        }
        Ok(())
    }
}

/// How many windows an object of `size` bytes has.
const fn windows(size: u64) -> u64 {
    size.div_ceil(WINDOW as u64)
}

/// The descriptors of a blueprint, in order.
#[derive(Clone, Debug)]
pub struct Descriptors {
    rest: Bytes,
    left: u32,
}

impl Iterator for Descriptors {
    type Item = Descriptor;

    fn next(&mut self) -> Option<Descriptor> {
        self.left = self.left.checked_sub(1)?;
        Descriptor::take(&mut self.rest).ok()
    }
}

/// Writes a blueprint, descriptor by descriptor.
pub struct Builder {
    body: Vec<u8>,
    count: u32,
    size: u64,
    limit: usize,
    referenced: u64,
}

impl Builder {
    /// An empty object. A blueprint of more than `limit` bytes is refused.
    pub fn new(limit: usize) -> Self {
        Self {
            body: alloc::vec![0; HEAD],
            count: 0,
            size: 0,
            limit,
            referenced: 0,
        }
    }

    /// Bytes of the object so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Of those, bytes that are references.
    pub const fn referenced(&self) -> u64 {
        self.referenced
    }

    /// Adds a reference. [`Class::Limit`] when the blueprint would grow over its limit.
    pub fn reference(
        &mut self,
        offset: u64,
        length: u32,
        transform: Transform,
    ) -> Result<(), Error> {
        self.reserve(15, u64::from(length))?;
        self.body.push(REFERENCE);
        self.body.extend_from_slice(&offset.to_be_bytes());
        self.body.extend_from_slice(&length.to_be_bytes());
        self.body.extend_from_slice(&transform.encode());
        self.referenced = self.referenced.saturating_add(u64::from(length));
        Ok(())
    }

    /// Adds a literal. [`Class::Limit`] as above, and for 4 GiB and more.
    pub fn literal(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(bytes.len()).map_err(|_| over())?;
        self.reserve(bytes.len().saturating_add(5), u64::from(length))?;
        self.body.push(LITERAL);
        self.body.extend_from_slice(&length.to_be_bytes());
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds a descriptor.
    pub fn push(&mut self, descriptor: &Descriptor) -> Result<(), Error> {
        match descriptor {
            Descriptor::Reference {
                offset,
                length,
                transform,
            } => self.reference(*offset, *length, *transform),
            Descriptor::Literal(bytes) => self.literal(bytes),
        }
    }

    fn reserve(&mut self, bytes: usize, object: u64) -> Result<(), Error> {
        if self.body.len().saturating_add(bytes) > self.limit {
            return Err(over());
        }
        self.count = self.count.checked_add(1).ok_or_else(over)?;
        self.size = self.size.saturating_add(object);
        Ok(())
    }

    /// The blueprint, with the digests of the object's windows, one behind another.
    ///
    /// Digests that are not those of an object of this size are misuse.
    pub fn finish(mut self, digests: &[[u8; DIGEST]]) -> Result<Blueprint, Error> {
        if digests.len() as u64 != windows(self.size) {
            return Err(Error::Misuse(
                "there is one digest per window of the object",
            ));
        }
        let length = digests.len().saturating_mul(DIGEST);
        if self.body.len().saturating_add(length) > self.limit {
            return Err(over());
        }
        let head = self.size.to_be_bytes().into_iter();
        let head = head.chain(self.count.to_be_bytes());
        for (to, from) in self.body.iter_mut().zip(head) {
            *to = from;
        }
        self.body.extend(digests.iter().flatten());
        Blueprint::decode(Bytes::from(self.body))
    }
}

fn over() -> Error {
    Error::limit(
        Class::Limit,
        "the blueprint is larger than the configured limit",
    )
}

/// Puts an object together from `descriptors`.
///
/// A reference outside the blob is [`Class::Length`], an object of more than `limit` bytes
/// [`Class::Limit`]; both before anything is allocated. Bytes that the blob lacks are
/// [`Class::Eof`].
pub fn rebuild(
    blob: &impl Blob,
    descriptors: &[Descriptor],
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let mut size = 0_u64;
    for descriptor in descriptors {
        if let Descriptor::Reference { offset, length, .. } = descriptor {
            inside(blob.size(), *offset, *length)?;
        }
        size = size.saturating_add(descriptor.length());
    }
    let size = usize::try_from(size).ok().filter(|size| *size <= limit);
    let size = size.ok_or(Error::limit(
        Class::Limit,
        "the object is larger than the configured limit",
    ))?;
    let mut object = Vec::with_capacity(size);
    for descriptor in descriptors {
        match descriptor {
            Descriptor::Literal(bytes) => object.extend_from_slice(bytes),
            Descriptor::Reference {
                offset,
                length,
                transform,
            } => {
                let start = object.len();
                object.resize(start.saturating_add(*length as usize), 0);
                let piece = object.get_mut(start..).unwrap_or_default();
                blob.read(*offset, piece).map_err(|_| {
                    Error::limit(Class::Eof, "the blob could not be read where it is needed")
                })?;
                transform.apply(piece);
            }
        }
    }
    Ok(object)
}

/// The digests of an object's windows.
pub fn digests(object: &[u8]) -> Vec<[u8; DIGEST]> {
    object.chunks(WINDOW).map(blake3::digest).collect()
}

#[cfg(test)]
mod tests;
