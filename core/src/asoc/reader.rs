//! Cuts the byte stream into headers and pieces of payload, without copying payloads.

use super::wire::{Dialect, Header};
use crate::error::Error;
use bytes::{Buf, Bytes};

/// What was cut off.
pub(crate) enum Item {
    /// A header; its payload follows, if only as an empty piece.
    Header(Header),
    /// A piece of the payload, with the number of bytes that are still to come.
    Piece {
        header: Header,
        bytes: Bytes,
        rest: usize,
    },
}

pub(crate) struct Reader {
    dialect: Dialect,
    head: [u8; 14],
    have: usize,
    body: Option<(Header, usize)>,
}

impl Reader {
    pub(crate) const fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            head: [0; 14],
            have: 0,
            body: None,
        }
    }

    /// Whether a frame has begun and not ended.
    pub(crate) const fn is_inside(&self) -> bool {
        self.have > 0 || self.body.is_some()
    }

    /// Whether a header has come whose payload is not complete.
    pub(crate) const fn is_in_body(&self) -> bool {
        self.body.is_some()
    }

    /// Counts payload that did not come through here; gives its frame and how much is still to come.
    pub(crate) fn read_past(&mut self, bytes: usize) -> Option<(Header, usize)> {
        let (header, left) = self.body?;
        let rest = left.saturating_sub(bytes);
        self.body = (rest > 0).then_some((header, rest));
        Some((header, rest))
    }

    /// The next item of `input`; [`None`] when that is used up.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Result<Option<Item>, Error> {
        if let Some((header, left)) = self.body {
            if input.is_empty() && left > 0 {
                return Ok(None);
            }
            let bytes = input.split_to(left.min(input.len()));
            let rest = left.saturating_sub(bytes.len());
            self.body = (rest > 0).then_some((header, rest));
            return Ok(Some(Item::Piece {
                header,
                bytes,
                rest,
            }));
        }
        let wanted = self.dialect.header();
        let Some(room) = self.head.get_mut(self.have..wanted) else {
            return Err(Error::Misuse("the header is longer than it is"));
        };
        let taken = room.len().min(input.len());
        for (to, from) in room.iter_mut().zip(input.iter()) {
            *to = *from;
        }
        input.advance(taken);
        self.have = self.have.saturating_add(taken);
        if self.have < wanted {
            return Ok(None);
        }
        self.have = 0;
        let head = self.head.get(..wanted).unwrap_or_default();
        let header = Header::decode(head, self.dialect)?;
        self.body = Some((header, header.size()));
        Ok(Some(Item::Header(header)))
    }
}
