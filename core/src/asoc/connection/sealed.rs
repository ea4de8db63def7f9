//! Sealed frames: sealed when their turn comes, and read straight to where they are opened.

use super::{Body, Connection, Out, Stage};
use crate::asoc::event::ConnectionEvent;
use crate::asoc::hardened::{Nonce, TAG};
use crate::asoc::spares::Spares;
use crate::asoc::wire::{Header, kind};
use crate::error::Error;
use crate::time::Instant;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// Bytes of a header, in the only dialect of the hardened profile.
const HEAD: usize = 14;

/// A payload of so many bytes is worth a buffer that is used again, and a read of its own.
const LARGE: usize = 16 << 10;

/// Where a sealed payload is read to and opened; see [`Connection::place`].
pub struct Place {
    buffer: BytesMut,
    filled: usize,
    length: usize,
}

impl Place {
    /// Room for the rest of the payload and for the header behind it. Never empty.
    pub fn room(&mut self) -> &mut [u8] {
        let end = self.length.saturating_add(HEAD).min(self.buffer.len());
        let room = self.buffer.get_mut(self.filled..end);
        room.unwrap_or_default()
    }

    /// Takes over the payload's next bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let end = self.filled.saturating_add(bytes.len());
        if let Some(room) = self.buffer.get_mut(self.filled..end) {
            room.copy_from_slice(bytes);
            self.filled = end;
        }
    }
}

impl Connection {
    /// Where the rest of a large sealed payload may be read to, so that it is not copied before it
    /// is opened; [`None`] when something else comes next, for [`Connection::receive`]. Until it
    /// has come back through [`Connection::placed`] no other bytes may be handed in.
    pub fn place(&mut self) -> Option<Place> {
        let place = self.place.as_ref()?;
        let worth = place.length.saturating_sub(place.filled) >= LARGE;
        worth.then(|| self.place.take()).flatten()
    }

    /// Takes a place back, with so many bytes more in it, from the beginning of its room on.
    pub fn placed(&mut self, now: Instant, mut place: Place, read: usize) -> Result<(), Error> {
        self.alive()?;
        if !self.is_lent() {
            return Err(Error::Misuse("no place was lent out"));
        }
        let read = read.min(place.room().len());
        if read == 0 {
            self.place = Some(place);
            return Ok(());
        }
        self.heard = now;
        place.filled = place.filled.saturating_add(read);
        let behind = place.buffer.get(place.length..place.filled);
        let behind = Bytes::copy_from_slice(behind.unwrap_or_default());
        self.place = Some(place);
        let Some((header, rest)) = self.reader.read_past(read) else {
            return Ok(());
        };
        let Body::Sealed(head) = self.body else {
            return Ok(());
        };
        if rest > 0 {
            return Ok(());
        }
        if let Err(fault) = self.unseal(&header, &head) {
            return Err(self.fail(fault));
        }
        self.take(now, behind)
    }

    /// Whether a place is with the owner.
    pub(super) fn is_lent(&self) -> bool {
        let sealed = matches!((&self.stage, &self.body), (Stage::Open, Body::Sealed(_)));
        sealed && self.place.is_none() && self.reader.is_in_body()
    }

    /// Makes the place of a payload that begins.
    pub(super) fn make_place(&mut self, length: usize) {
        let buffer = buffer(&mut self.spares, length, HEAD);
        self.place = Some(Place {
            buffer,
            filled: 0,
            length,
        });
    }

    /// A sealed payload is complete.
    pub(super) fn unseal(&mut self, header: &Header, head: &[u8]) -> Result<(), Error> {
        let (Some(mut place), Some(keys)) = (self.place.take(), &mut self.seal) else {
            return Ok(());
        };
        let sealed = place.buffer.get_mut(..place.length).unwrap_or_default();
        let plain = keys.receive.open_in_place(head, sealed)?;
        match header.kind {
            kind::DATA => {
                let whole = place.buffer.freeze();
                if place.length >= LARGE {
                    self.spares.keep(&whole);
                }
                self.events.push_back(ConnectionEvent::Data {
                    stream: header.stream,
                    bytes: whole.slice(..plain),
                    rest: 0,
                });
            }
            kind::END => self.ended(header.stream),
            kind::CONTROL => self.noticed(place.buffer.get(..plain).unwrap_or_default()),
            _ => {}
        }
        Ok(())
    }

    /// Queues a frame and gives it its nonce; it is sealed when it is polled.
    pub(super) fn send_sealed(&mut self, head: &[u8], payload: Bytes) -> Result<(), Error> {
        let Some(keys) = &mut self.seal else {
            return Err(Error::Misuse("the handshake is not done"));
        };
        let nonce = match keys.send.number(payload.len()) {
            Ok(nonce) => nonce,
            Err(fault) => return Err(self.fail(fault)),
        };
        let head = head
            .try_into()
            .map_err(|_| Error::Misuse("a sealed frame has an octet header"))?;
        let size = payload.len().saturating_add(HEAD).saturating_add(TAG);
        self.queued = self.queued.saturating_add(size);
        self.out.push_back(Out::Open {
            head,
            nonce,
            payload,
        });
        Ok(())
    }

    /// What is to be transmitted next. A fault in sealing ends the connection.
    pub(super) fn next_out(&mut self) -> Option<Bytes> {
        match self.out.pop_front()? {
            Out::Ready(bytes) => Some(bytes),
            Out::Open {
                head,
                nonce,
                payload,
            } => match self.seal_one(&head, nonce, payload) {
                Ok(bytes) => Some(bytes),
                Err(fault) => {
                    // What is queued behind it would not open without it.
                    self.out.clear();
                    self.queued = 0;
                    self.fail(fault);
                    None
                }
            },
        }
    }

    /// Seals a frame. Gives its first bytes, and queues the others in front.
    fn seal_one(
        &mut self,
        head: &[u8; HEAD],
        nonce: Nonce,
        payload: Bytes,
    ) -> Result<Bytes, Error> {
        let keys = self.seal.as_ref();
        let keys = keys.ok_or(Error::Misuse("the handshake is not done"))?;
        let length = payload.len();
        if length < LARGE {
            let mut frame = Vec::with_capacity(length.saturating_add(HEAD).saturating_add(TAG));
            frame.extend_from_slice(head);
            frame.extend_from_slice(&payload);
            let tag = keys
                .send
                .seal_as(nonce, head, frame.get_mut(HEAD..).unwrap_or_default())?;
            frame.extend_from_slice(&tag);
            return Ok(frame.into());
        }
        let shared = match payload.try_into_mut() {
            Ok(mut own) => {
                // Nobody else looks at it: it is sealed where it is.
                let tag = keys.send.seal_as(nonce, head, &mut own)?;
                let tag = Bytes::copy_from_slice(&tag);
                self.out.push_front(Out::Ready(tag));
                self.out.push_front(Out::Ready(own.freeze()));
                return Ok(Bytes::copy_from_slice(head));
            }
            Err(shared) => shared,
        };
        let mut frame = buffer(&mut self.spares, length, TAG);
        let (body, rest) = frame
            .split_at_mut_checked(length)
            .ok_or(Error::Misuse("a buffer is shorter than was asked for"))?;
        body.copy_from_slice(&shared);
        let tag = keys.send.seal_as(nonce, head, body)?;
        for (to, from) in rest.iter_mut().zip(&tag) {
            *to = *from;
        }
        let frame = frame.freeze();
        self.spares.keep(&frame);
        let sealed = frame.slice(..length.saturating_add(TAG));
        self.out.push_front(Out::Ready(sealed));
        Ok(Bytes::copy_from_slice(head))
    }
}

/// A buffer of `length` bytes and `more`, from the spares if it is large.
fn buffer(spares: &mut Spares, length: usize, more: usize) -> BytesMut {
    let size = length.saturating_add(more);
    if length >= LARGE {
        spares.take(size)
    } else {
        BytesMut::zeroed(size)
    }
}
