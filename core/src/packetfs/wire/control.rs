//! Payloads of the control channel.

use crate::error::{Class, Error};

const EPOCH: u8 = 1;

/// `02`: the sender ends its direction of the payload channel. An addition to the wire page.
pub const END: [u8; 1] = [2];

/// `03`: the object has arrived whole. An addition to the wire page.
pub const COMPLETE: [u8; 1] = [3];

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// `01`: the sender's records are of this epoch from here on, on every channel.
    Epoch(u32),
    /// [`END`].
    End,
    /// [`COMPLETE`].
    Complete,
    /// Anything else means nothing; an empty one proves that its sender holds the key.
    Ignored,
}

impl Control {
    /// Reads a payload. An epoch that is not 4 bytes is [`Class::Length`].
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        if let Some((&EPOCH, epoch)) = payload.split_first() {
            let epoch = <[u8; 4]>::try_from(epoch).map_err(|_| {
                Error::peer(
                    Class::Length,
                    "an announced epoch has four bytes, no others",
                )
            })?;
            return Ok(Self::Epoch(u32::from_be_bytes(epoch)));
        }
        Ok(match payload {
            payload if payload == END => Self::End,
            payload if payload == COMPLETE => Self::Complete,
            _ => Self::Ignored,
        })
    }
}

/// The payload that announces `epoch`.
pub const fn announcement(epoch: u32) -> [u8; 5] {
    let [a, b, c, d] = epoch.to_be_bytes();
    [EPOCH, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        let read = |payload: &[u8]| Control::decode(payload).unwrap();
        assert_eq!(read(&[1, 0, 0, 1, 2]), Control::Epoch(258));
        assert_eq!(announcement(258), [1, 0, 0, 1, 2]);
        assert_eq!(read(&[2]), Control::End);
        assert_eq!(read(&[3]), Control::Complete);
        for ignored in [&[][..], &[0], &[4], &[2, 0], &[0xff; 40]] {
            assert_eq!(read(ignored), Control::Ignored);
        }
        for bad in [&[1][..], &[1, 0, 0, 1], &[1, 0, 0, 0, 1, 0]] {
            let class = Control::decode(bad).err().and_then(|e| e.class());
            assert_eq!(class, Some(Class::Length));
        }
    }
}
