//! Bytes of the overlay: what is named by number, prefaces and record headers. No state.

pub mod control;
pub mod header;
pub mod preface;
pub mod repair;

use crate::error::{Class, Error};

/// Length of an authentication tag, bytes.
pub const TAG: usize = 16;

/// The AEAD of a session (wire page, "Preface").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// 1: AES-256-GCM, nonces of 12 bytes.
    Aes256Gcm,
    /// 2: XChaCha20-Poly1305, nonces of 24 bytes.
    XChaCha20Poly1305,
}

impl Algorithm {
    /// The byte on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::XChaCha20Poly1305 => 2,
        }
    }

    /// From the byte on the wire; another one is [`Class::Type`].
    pub const fn from_number(number: u8) -> Result<Self, Error> {
        match number {
            1 => Ok(Self::Aes256Gcm),
            2 => Ok(Self::XChaCha20Poly1305),
            _ => Err(Error::peer(
                Class::Type,
                "no such algorithm: 1 is AES-256-GCM, 2 is XChaCha20-Poly1305",
            )),
        }
    }

    /// Bytes of a nonce, and of its base.
    pub const fn nonce(self) -> usize {
        match self {
            Self::Aes256Gcm => 12,
            Self::XChaCha20Poly1305 => 24,
        }
    }
}

/// One of the four channels of a session; each has keys and sequences of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChannelId {
    /// 0: epochs, and the ends of a session.
    Control,
    /// 1: blueprints.
    Descriptors,
    /// 2: the application's own bytes.
    Payload,
    /// 3: windows asked for and sent again.
    Repair,
}

impl ChannelId {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::Control,
        Self::Descriptors,
        Self::Payload,
        Self::Repair,
    ];

    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Descriptors => 1,
            Self::Payload => 2,
            Self::Repair => 3,
        }
    }

    /// From the number on the wire; another one is [`Class::Type`].
    pub const fn from_number(number: u8) -> Result<Self, Error> {
        match number {
            0 => Ok(Self::Control),
            1 => Ok(Self::Descriptors),
            2 => Ok(Self::Payload),
            3 => Ok(Self::Repair),
            _ => Err(Error::peer(
                Class::Type,
                "no such channel: there are four, 0 to 3",
            )),
        }
    }
}

/// Who sends. The initiator is the side that opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `i2r`: from the initiator to the responder.
    InitiatorToResponder,
    /// `r2i`: from the responder to the initiator.
    ResponderToInitiator,
}

impl Direction {
    /// The three ASCII bytes of the key schedule.
    pub const fn label(self) -> &'static str {
        match self {
            Self::InitiatorToResponder => "i2r",
            Self::ResponderToInitiator => "r2i",
        }
    }

    /// From its label; another one is [`Class::Type`].
    pub fn from_label(label: &str) -> Result<Self, Error> {
        match label {
            "i2r" => Ok(Self::InitiatorToResponder),
            "r2i" => Ok(Self::ResponderToInitiator),
            _ => Err(Error::peer(
                Class::Type,
                "no such direction: it is i2r or r2i",
            )),
        }
    }

    /// The other direction.
    pub const fn reverse(self) -> Self {
        match self {
            Self::InitiatorToResponder => Self::ResponderToInitiator,
            Self::ResponderToInitiator => Self::InitiatorToResponder,
        }
    }
}
