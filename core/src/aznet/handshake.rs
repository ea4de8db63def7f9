//! The Noise handshake, in steps that consume their state (wire page `aznet`, "Noise").
//!
//! `Noise_NN_25519_AESGCM_SHA256` by default; `NNpsk0` and `NK` harden it. The initiator is the
//! dialer, the prologue is empty. Handshake messages are at most 65,535 bytes, both ways.

use super::ConnectionId;
use super::wire::tokens::Grants;
use crate::crypto::noise::Resolver;
use crate::crypto::{Secret, x25519};
use crate::error::{Class, Error};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

/// Largest handshake message in bytes.
pub const LARGEST_MESSAGE: usize = 65_535;

const KEY: usize = 32;
const TAG: usize = 16;

/// Who the dialer wants at the other end.
#[derive(Clone, Default)]
pub enum DialerSecurity {
    /// Anybody who can write to the storage (`NN`).
    #[default]
    Nn,
    /// Somebody who holds the same secret (`NNpsk0`).
    NnPsk0 {
        /// The shared secret.
        psk: Secret,
    },
    /// The holder of this listener's private key (`NK`).
    Nk {
        /// The listener's static public key.
        listener: [u8; 32],
    },
}

/// Whom the listener takes, and how it proves who it is.
#[derive(Clone, Default)]
pub enum ListenerSecurity {
    /// Anybody who can write to the storage (`NN`).
    #[default]
    Nn,
    /// Somebody who holds the same secret (`NNpsk0`).
    NnPsk0 {
        /// The shared secret.
        psk: Secret,
    },
    /// Anybody who knows our public key; we prove to hold the private one (`NK`).
    Nk {
        /// Our static private key.
        secret: Secret,
    },
}

impl DialerSecurity {
    const fn pattern(&self) -> Pattern {
        match self {
            Self::Nn => Pattern::Nn,
            Self::NnPsk0 { .. } => Pattern::NnPsk0,
            Self::Nk { .. } => Pattern::Nk,
        }
    }
}

impl ListenerSecurity {
    const fn pattern(&self) -> Pattern {
        match self {
            Self::Nn => Pattern::Nn,
            Self::NnPsk0 { .. } => Pattern::NnPsk0,
            Self::Nk { .. } => Pattern::Nk,
        }
    }
}

impl fmt::Debug for DialerSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pattern().name())
    }
}

impl fmt::Debug for ListenerSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pattern().name())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pattern {
    Nn,
    NnPsk0,
    Nk,
}

impl Pattern {
    const fn name(self) -> &'static str {
        match self {
            Self::Nn => "Noise_NN_25519_AESGCM_SHA256",
            Self::NnPsk0 => "Noise_NNpsk0_25519_AESGCM_SHA256",
            Self::Nk => "Noise_NK_25519_AESGCM_SHA256",
        }
    }

    /// What message 1 adds to its payload.
    const fn overhead1(self) -> usize {
        match self {
            Self::Nn => KEY,
            Self::NnPsk0 | Self::Nk => KEY + TAG,
        }
    }

    fn builder(self, ephemeral: Secret) -> Result<Builder<'static>, Error> {
        let parameters = self.name().parse().map_err(|error| map(&error))?;
        let resolver = Box::new(Resolver::new(ephemeral));
        Ok(Builder::with_resolver(parameters, resolver))
    }
}

/// What both ends hold after the handshake.
pub struct Split {
    /// The handshake hash: a channel binding, equal at both ends and public.
    pub hash: [u8; 32],
    /// Key of the dialer→listener direction.
    pub i2r: Secret,
    /// Key of the listener→dialer direction.
    pub r2i: Secret,
}

impl Split {
    fn take(mut state: HandshakeState) -> Result<Self, Error> {
        let hash = state.get_handshake_hash().first_chunk::<32>().copied();
        let hash = hash.ok_or(Error::Misuse("the handshake hash has another size"))?;
        let (i2r, r2i) = state.dangerously_get_raw_split();
        let (i2r, r2i) = (Zeroizing::new(i2r), Zeroizing::new(r2i));
        Ok(Self {
            hash,
            i2r: Secret::from(*i2r),
            r2i: Secret::from(*r2i),
        })
    }
}

/// Faults of the peer as their classes; the rest cannot come from the peer.
fn map(error: &snow::Error) -> Error {
    match error {
        snow::Error::Dh => Error::peer(
            Class::WeakKey,
            "a public key of low order gives no shared secret",
        ),
        snow::Error::Decrypt => Error::auth(),
        snow::Error::Input => Error::peer(Class::Length, "a handshake message has a wrong size"),
        _ => Error::Misuse("the handshake is not set up for this step"),
    }
}

/// Refuses a message by its length, before anything is allocated for it.
fn check_length(message: &[u8], overhead: usize) -> Result<(), Error> {
    if message.len() > LARGEST_MESSAGE {
        return Err(Error::peer(
            Class::Limit,
            "a handshake message is longer than 65,535 bytes",
        ));
    }
    if message.len() < overhead {
        return Err(Error::peer(
            Class::Truncated,
            "a handshake message ends before its key and tag",
        ));
    }
    Ok(())
}

fn write(state: &mut HandshakeState, payload: &[u8], overhead: usize) -> Result<Vec<u8>, Error> {
    if payload.len().saturating_add(overhead) > LARGEST_MESSAGE {
        return Err(Error::limit(
            Class::Limit,
            "the handshake message would be longer than 65,535 bytes",
        ));
    }
    // snow asks for the room of a tag, even in a message that has none.
    let mut message = vec![0; payload.len().saturating_add(KEY + TAG)];
    let length = state
        .write_message(payload, &mut message)
        .map_err(|error| map(&error))?;
    message.truncate(length);
    Ok(message)
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut payload = Zeroizing::new(vec![0; message.len().saturating_sub(KEY)]);
    let length = state
        .read_message(message, &mut payload)
        .map_err(|error| map(&error))?;
    payload.truncate(length);
    Ok(payload)
}

/// The dialer between message 1 and message 2.
pub struct Initiator {
    state: HandshakeState,
}

impl Initiator {
    /// Begins a handshake; gives message 1, which holds the connection id.
    ///
    /// `ephemeral` is 32 random bytes, used for this handshake only. A low-order listener key is
    /// [`Class::WeakKey`].
    pub fn start(
        id: &ConnectionId,
        ephemeral: Secret,
        security: &DialerSecurity,
    ) -> Result<(Self, Vec<u8>), Error> {
        Self::start_with_payload(&id.text(), ephemeral, security)
    }

    /// As [`Initiator::start`] with any payload in place of the id. A listener refuses it unless
    /// it is an id. A message above 65,535 bytes is [`Class::Limit`].
    pub fn start_with_payload(
        payload: &[u8],
        ephemeral: Secret,
        security: &DialerSecurity,
    ) -> Result<(Self, Vec<u8>), Error> {
        let pattern = security.pattern();
        let builder = pattern.builder(ephemeral)?;
        let builder = match security {
            DialerSecurity::Nn => Ok(builder),
            DialerSecurity::NnPsk0 { psk } => builder.psk(0, psk.as_bytes()),
            DialerSecurity::Nk { listener } => builder.remote_public_key(listener),
        };
        let mut state = builder
            .and_then(Builder::build_initiator)
            .map_err(|error| map(&error))?;
        let message = write(&mut state, payload, pattern.overhead1())?;
        Ok((Self { state }, message))
    }

    /// Reads message 2.
    ///
    /// Under 48 bytes is [`Class::Truncated`], over 65,535 [`Class::Limit`], a low-order key
    /// [`Class::WeakKey`], a wrong tag [`Class::Auth`], bad tokens [`Class::Encoding`].
    pub fn finish(self, message2: &[u8]) -> Result<(Grants, Split), Error> {
        let Self { mut state } = self;
        check_length(message2, KEY + TAG)?;
        let payload = read(&mut state, message2)?;
        let grants = Grants::parse(&payload)?;
        Ok((grants, Split::take(state)?))
    }
}

/// The listener between message 1 and message 2.
pub struct Responder {
    state: HandshakeState,
    id: ConnectionId,
}

impl Responder {
    /// Reads message 1.
    ///
    /// Under 32 bytes (`NN`) or 48 is [`Class::Truncated`], over 65,535 [`Class::Limit`], a wrong
    /// tag [`Class::Auth`], anything but a canonical id [`Class::Name`]. A low-order key is
    /// [`Class::WeakKey`] here already, where `NN` itself would only notice in
    /// [`Responder::finish`], so that nothing is created for such a dialer.
    pub fn accept(
        ephemeral: Secret,
        message1: &[u8],
        security: &ListenerSecurity,
    ) -> Result<Self, Error> {
        let pattern = security.pattern();
        check_length(message1, pattern.overhead1())?;
        if let Some(public) = message1.first_chunk::<KEY>() {
            x25519::dh(&ephemeral, public)?;
        }
        let builder = pattern.builder(ephemeral)?;
        let builder = match security {
            ListenerSecurity::Nn => Ok(builder),
            ListenerSecurity::NnPsk0 { psk } => builder.psk(0, psk.as_bytes()),
            ListenerSecurity::Nk { secret } => builder.local_private_key(secret.as_bytes()),
        };
        let mut state = builder
            .and_then(Builder::build_responder)
            .map_err(|error| map(&error))?;
        let payload = read(&mut state, message1)?;
        let id = ConnectionId::parse(&payload)?;
        Ok(Self { state, id })
    }

    /// The connection id in message 1. In `NN` nothing proves who sent it.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Gives message 2 with `tokens_json` sealed in it, byte for byte (see [`Grants::to_json`]). A
    /// message above 65,535 bytes is [`Class::Limit`].
    pub fn finish(self, tokens_json: &[u8]) -> Result<(Vec<u8>, Split), Error> {
        let Self { mut state, .. } = self;
        let message = write(&mut state, tokens_json, KEY + TAG)?;
        Ok((message, Split::take(state)?))
    }
}

#[cfg(test)]
mod tests;
