//! Key rotation over CONTROL (wire page `asoc`, "Timeouts, reconnection, limits"). No key travels:
//! a notice names a key that the operator has installed already.

use super::handshake::sub;
use super::key::KeyId;
use crate::time::UnixTime;
use alloc::vec;
use alloc::vec::Vec;

/// The payload of a CONTROL frame that speaks of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `01` ‖ key id ‖ Unix seconds: from then on everybody speaks under this key.
    Announce {
        /// Name of the new key.
        key: KeyId,
        /// When it becomes the one to speak under; whole seconds.
        activation: UnixTime,
    },
    /// `02` ‖ key id: the sender has the key.
    Acknowledge {
        /// Name of the new key.
        key: KeyId,
    },
}

impl Notice {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Announce { key, activation } => {
                let mut out = vec![1];
                out.extend_from_slice(&key.0);
                out.extend_from_slice(&activation.as_secs().to_be_bytes());
                out
            }
            Self::Acknowledge { key } => {
                let mut out = vec![2];
                out.extend_from_slice(&key.0);
                out
            }
        }
    }

    /// Reads a payload; [`None`] for everything that is not exactly a notice: keep-alives and what
    /// others may one day say.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        match payload.split_first()? {
            (1, rest) => {
                let rest: &[u8; 16] = rest.try_into().ok()?;
                Some(Self::Announce {
                    key: KeyId(sub(rest, 0)),
                    activation: UnixTime::from_secs(u64::from_be_bytes(sub(rest, 8))),
                })
            }
            (2, rest) => Some(Self::Acknowledge {
                key: KeyId(rest.try_into().ok()?),
            }),
            _ => None,
        }
    }
}
