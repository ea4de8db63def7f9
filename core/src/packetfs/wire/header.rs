//! The header of a record: 15 bytes, all of them authenticated.

use super::{ChannelId, TAG};
use crate::error::{Class, Error};

const MAGIC: [u8; 2] = *b"PF";

/// Bytes of a header.
pub const HEADER: usize = 15;

/// Bytes that a record is longer than its plaintext.
pub const OVERHEAD: usize = HEADER + TAG;

/// The largest length field (ciphertext and tag), unless configured otherwise: 1 MiB.
pub const LIMIT: u32 = 1 << 20;

/// The sequence that is never sealed and never accepted.
pub const UNUSABLE: u64 = u64::MAX;

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Position among the records of one direction, channel and epoch, from 0.
    pub sequence: u64,
    /// Bytes of ciphertext and tag.
    pub length: u32,
    /// Channel (bits 0 and 1) and epoch modulo 64 (bits 2 to 7).
    pub flags: u8,
}

/// The flags of a record of `channel` in `epoch`.
pub const fn flags(channel: ChannelId, epoch: u32) -> u8 {
    // Six bits of the epoch; the two that fall out at the top are meant to.
    channel.number() | ((epoch & 0x3f) as u8) << 2
}

impl Header {
    /// The bytes, which are also the additional authenticated data.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        let sequence = self.sequence.to_be_bytes();
        let length = self.length.to_be_bytes();
        let parts = MAGIC.iter().chain(&sequence).chain(&length);
        for (to, from) in out.iter_mut().zip(parts.chain(&[self.flags])) {
            *to = *from;
        }
        out
    }

    /// Reads a header and checks what can be checked before the rest is there: magic
    /// ([`Class::Type`]), a length of at least 16 ([`Class::Length`]) and at most `limit`
    /// ([`Class::Limit`]).
    pub fn parse(bytes: &[u8; HEADER], limit: u32) -> Result<Self, Error> {
        let header = Self::fields(bytes).ok_or(Error::peer(
            Class::Type,
            "a record does not begin with PF: not a record, or the stream lost its place",
        ))?;
        if (header.length as usize) < TAG {
            return Err(Error::peer(
                Class::Length,
                "a record announces fewer bytes than its tag has",
            ));
        }
        if header.length > limit {
            return Err(Error::peer(
                Class::Limit,
                "a record is longer than the configured limit",
            ));
        }
        Ok(header)
    }

    /// The fields, if the magic is right.
    fn fields(bytes: &[u8; HEADER]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<2>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        (*magic == MAGIC).then_some(Self {
            sequence: u64::from_be_bytes(*sequence),
            length: u32::from_be_bytes(*length),
            flags: *rest.first()?,
        })
    }

    /// Splits a datagram, which is one record with nothing behind it, into header and body.
    ///
    /// As [`Header::parse`]; then [`Class::Truncated`] or [`Class::Length`] for too few or too
    /// many bytes.
    pub fn split(record: &mut [u8], limit: u32) -> Result<(Self, [u8; HEADER], &mut [u8]), Error> {
        let truncated = Error::peer(Class::Truncated, "the record is not all there");
        let (bytes, body) = record
            .split_first_chunk_mut::<HEADER>()
            .ok_or_else(|| truncated.clone())?;
        let header = Self::parse(bytes, limit)?;
        if body.len() < header.length as usize {
            return Err(truncated);
        }
        if body.len() > header.length as usize {
            return Err(Error::peer(
                Class::Length,
                "bytes follow the record in its datagram",
            ));
        }
        Ok((header, *bytes, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // packetfs-record-0006: sequence 2^64 - 2, channel 1, epoch 5.
    const BYTES: [u8; HEADER] = [
        0x50, 0x46, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0x19, 0x15,
    ];

    fn class(bytes: &[u8; HEADER], limit: u32) -> Option<Class> {
        Header::parse(bytes, limit).err().and_then(|e| e.class())
    }

    #[test]
    fn bytes_and_fields() {
        let header = Header {
            sequence: u64::MAX - 1,
            length: 25,
            flags: flags(ChannelId::Descriptors, 5),
        };
        assert_eq!(header.encode(), BYTES);
        assert_eq!(Header::parse(&BYTES, LIMIT).unwrap(), header);
    }

    #[test]
    fn the_epoch_wraps_at_64_and_leaves_the_channel_alone() {
        assert_eq!(flags(ChannelId::Repair, 63), 0xff);
        assert_eq!(flags(ChannelId::Repair, 64), 0x03);
        assert_eq!(flags(ChannelId::Control, u32::MAX), 0xfc);
    }

    #[test]
    fn lengths_at_their_edges() {
        assert_eq!(class(&BYTES, 25), None);
        assert_eq!(class(&BYTES, 24), Some(Class::Limit));
        for (length, expected) in [
            (0_u32, Some(Class::Length)),
            (15, Some(Class::Length)),
            (16, None),
            (LIMIT, None),
            (LIMIT + 1, Some(Class::Limit)),
            (u32::MAX, Some(Class::Limit)),
        ] {
            let mut bytes = BYTES;
            bytes[10..14].copy_from_slice(&length.to_be_bytes());
            assert_eq!(class(&bytes, LIMIT), expected, "{length}");
        }
    }

    #[test]
    fn every_bit_of_the_magic_counts() {
        for bit in 0..16 {
            let mut bytes = BYTES;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(class(&bytes, LIMIT), Some(Class::Type), "bit {bit}");
        }
    }

    #[test]
    fn a_datagram_is_one_record_and_nothing_else() {
        let mut datagram = BYTES.to_vec();
        datagram.extend_from_slice(&[0; 25]);
        assert!(Header::split(&mut datagram, LIMIT).is_ok());
        for cut in 0..datagram.len() {
            let fault = Header::split(&mut datagram.clone()[..cut], LIMIT).err();
            let class = fault.and_then(|fault| fault.class());
            assert_eq!(class, Some(Class::Truncated), "{cut}");
        }
        datagram.push(0);
        let fault = Header::split(&mut datagram, LIMIT).err();
        assert_eq!(fault.and_then(|fault| fault.class()), Some(Class::Length));
    }
}
