//! The handshake, one by-value step after another (wire page `commonware`).
//!
//! | Dialer | Listener |
//! |---|---|
//! | [`Dialer::start`] | [`Listener::start`], in eras b, V0 and V1 [`AwaitIdentity::take`] |
//! | | [`AwaitMessage::open`], [`Claim::verify`], [`Verified::answer`] |
//! | [`Dialer::finish`] | [`AwaitAck::finish`] |
//!
//! What goes out is whole frames; what comes in is the body of one frame, without its prefix.
//! Times are wall-clock times, each that of the step itself.

mod hello;
mod syn;

use super::Profile;
use super::identity::{Identity, PublicKey};
use super::window::Window;
use crate::crypto::Secret;
use crate::error::{Class, Error};
use crate::time::UnixTime;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// Bytes of the identity frame.
pub const IDENTITY: usize = 32;

/// What one end brings to every handshake.
#[derive(Clone)]
pub struct Terms {
    /// The era both ends speak.
    pub profile: Profile,
    /// The application's name, which both ends must share. Era b does not bind it.
    pub namespace: Arc<[u8]>,
    /// Who we are, and how peers are verified.
    pub identity: Arc<dyn Identity>,
    /// Which timestamps are taken.
    pub window: Window,
    /// Refuse our own identity as the peer's in every era (era a always does).
    pub refuse_self: bool,
}

impl Terms {
    /// Refuses a peer that cannot be one.
    fn admit(&self, peer: &PublicKey) -> Result<(), Error> {
        self.identity.check(peer)?;
        if (self.refuse_self || self.profile == Profile::A) && *peer == self.identity.public() {
            return Err(Error::peer(
                Class::Identity,
                "the peer has our own identity; give each end a key of its own",
            ));
        }
        Ok(())
    }
}

/// The keys of the records, one for each direction. Zeroized on drop.
pub struct Keys {
    /// What the dialer seals with.
    pub d2l: Secret,
    /// What the listener seals with.
    pub l2d: Secret,
}

fn wrong_size() -> Error {
    Error::peer(
        Class::Length,
        "a handshake message has the wrong size; the peer may speak another era",
    )
}

/// A dialer that waits for the listener's answer.
pub struct Dialer(Dial);

enum Dial {
    Hello(hello::Dialer),
    Syn(syn::Dialer),
}

impl Dialer {
    /// Starts: gives the frames to send. `ephemeral` is the X25519 scalar (clamped in use), which
    /// must be random and used once.
    ///
    /// A listener that cannot be one (small order, no point, ourselves where that is refused) is
    /// [`Class::Identity`].
    pub fn start(
        terms: &Terms,
        listener: &PublicKey,
        ephemeral: Secret,
        now: UnixTime,
    ) -> Result<(Self, Vec<u8>), Error> {
        terms.admit(listener)?;
        if terms.profile == Profile::A {
            let (dialer, out) = hello::Dialer::start(terms, listener, ephemeral, now)?;
            return Ok((Self(Dial::Hello(dialer)), out));
        }
        let (dialer, out) = syn::Dialer::start(terms, listener, ephemeral, now)?;
        Ok((Self(Dial::Syn(dialer)), out))
    }

    /// Sizes that the answer may have.
    pub fn sizes(&self) -> RangeInclusive<usize> {
        match &self.0 {
            Dial::Hello(_) => hello::ANSWER,
            Dial::Syn(_) => syn::ANSWER..=syn::ANSWER,
        }
    }

    /// Takes the answer: gives the last frame and the keys. The order of the checks is window,
    /// signature, key agreement, confirmation; the window is that of `now` (wire page, trap 3).
    pub fn finish(self, answer: &[u8], now: UnixTime) -> Result<(Vec<u8>, Keys), Error> {
        match self.0 {
            Dial::Hello(dialer) => dialer.finish(answer, now),
            Dial::Syn(dialer) => dialer.finish(answer, now),
        }
    }
}

/// A listener at its start, by what comes first.
pub enum Listener {
    /// Eras b, V0, V1: the dialer's identity in a frame of [`IDENTITY`] bytes.
    Identity(AwaitIdentity),
    /// Era a: the Hello at once.
    Message(AwaitMessage),
}

impl Listener {
    /// A listener before anything came.
    pub fn start(terms: &Terms) -> Self {
        let terms = terms.clone();
        if terms.profile == Profile::A {
            Self::Message(AwaitMessage {
                terms,
                dialer: None,
            })
        } else {
            Self::Identity(AwaitIdentity { terms })
        }
    }
}

/// A listener that waits for the identity frame.
pub struct AwaitIdentity {
    terms: Terms,
}

impl AwaitIdentity {
    /// Takes the identity: [`Class::Identity`] when it cannot be one.
    pub fn take(self, body: &[u8]) -> Result<AwaitMessage, Error> {
        let dialer = PublicKey::try_from(body).map_err(|_| wrong_size())?;
        self.terms.admit(&dialer)?;
        Ok(AwaitMessage {
            terms: self.terms,
            dialer: Some(dialer),
        })
    }
}

/// A listener that waits for the dialer's first signed message.
pub struct AwaitMessage {
    terms: Terms,
    dialer: Option<PublicKey>,
}

impl AwaitMessage {
    /// Who the dialer says it is; nothing has proven it. [`None`] in era a.
    pub fn dialer(&self) -> Option<PublicKey> {
        self.dialer
    }

    /// Sizes that the message may have.
    pub fn sizes(&self) -> RangeInclusive<usize> {
        match self.dialer {
            None => hello::FIRST,
            Some(_) => syn::FIRST..=syn::FIRST,
        }
    }

    /// Takes the message and judges its time, before the costly signature.
    pub fn open(self, body: &[u8], now: UnixTime) -> Result<Claim, Error> {
        Ok(Claim(match self.dialer {
            None => Kind::Hello(hello::Claim::open(self.terms, body, now)?),
            Some(dialer) => Kind::Syn(syn::Claim::open(self.terms, dialer, body, now)?),
        }))
    }
}

enum Kind<H, S> {
    Hello(H),
    Syn(S),
}

/// A message that claims to come from a dialer.
pub struct Claim(Kind<hello::Claim, syn::Claim>);

impl Claim {
    /// Who is said to have sent it.
    pub fn dialer(&self) -> PublicKey {
        match &self.0 {
            Kind::Hello(claim) => claim.dialer(),
            Kind::Syn(claim) => claim.dialer(),
        }
    }

    /// The ephemeral key in it.
    pub fn ephemeral(&self) -> [u8; 32] {
        match &self.0 {
            Kind::Hello(claim) => claim.ephemeral(),
            Kind::Syn(claim) => claim.ephemeral(),
        }
    }

    /// The time in it.
    pub fn sent(&self) -> UnixTime {
        match &self.0 {
            Kind::Hello(claim) => claim.sent(),
            Kind::Syn(claim) => claim.sent(),
        }
    }

    /// Verifies the signature: [`Class::Auth`] when the dialer never signed this for us.
    pub fn verify(self) -> Result<Verified, Error> {
        Ok(Verified(match self.0 {
            Kind::Hello(claim) => Kind::Hello(claim.verify()?),
            Kind::Syn(claim) => Kind::Syn(claim.verify()?),
        }))
    }
}

/// A message that the dialer did sign, now or (within the window) before.
pub struct Verified(Kind<hello::Verified, syn::Verified>);

impl Verified {
    /// Who signed it.
    pub fn dialer(&self) -> PublicKey {
        match &self.0 {
            Kind::Hello(verified) => verified.dialer(),
            Kind::Syn(verified) => verified.dialer(),
        }
    }

    /// Answers: gives the frame to send. `ephemeral` as in [`Dialer::start`].
    ///
    /// A dialer's key that agrees on nothing is [`Class::WeakKey`].
    pub fn answer(self, ephemeral: Secret, now: UnixTime) -> Result<(Vec<u8>, AwaitAck), Error> {
        let (out, ack) = match self.0 {
            Kind::Hello(verified) => {
                let (out, ack) = verified.answer(&ephemeral, now)?;
                (out, Kind::Hello(ack))
            }
            Kind::Syn(verified) => {
                let (out, ack) = verified.answer(&ephemeral, now)?;
                (out, Kind::Syn(ack))
            }
        };
        // Used up: nobody may agree on another key with it.
        drop(ephemeral);
        Ok((out, AwaitAck(ack)))
    }
}

/// A listener that waits for the dialer's confirmation.
pub struct AwaitAck(Kind<hello::AwaitAck, syn::AwaitAck>);

impl AwaitAck {
    /// The size that the confirmation must have.
    pub fn sizes(&self) -> RangeInclusive<usize> {
        match &self.0 {
            Kind::Hello(_) => hello::CONFIRMATION..=hello::CONFIRMATION,
            Kind::Syn(_) => syn::CONFIRMATION..=syn::CONFIRMATION,
        }
    }

    /// Takes the confirmation: the dialer is alive and has the same keys, else [`Class::Auth`].
    pub fn finish(self, body: &[u8]) -> Result<Keys, Error> {
        match self.0 {
            Kind::Hello(ack) => ack.finish(body),
            Kind::Syn(ack) => ack.finish(body),
        }
    }
}

#[cfg(test)]
mod tests;
