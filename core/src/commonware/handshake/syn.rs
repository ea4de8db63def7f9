//! Syn, SynAck, Ack: eras b, V0 and V1.

use super::{Keys, Terms, wrong_size};
use crate::commonware::Profile;
use crate::commonware::identity::{PublicKey, Signature};
use crate::commonware::transcript::{Summary, Transcript};
use crate::commonware::wire::put_frame;
use crate::crypto::{Secret, x25519};
use crate::error::Error;
use crate::time::UnixTime;
use alloc::vec::Vec;

/// Bytes of a confirmation, and of the Ack.
pub(super) const CONFIRMATION: usize = 32;
/// Bytes of the Syn: time, ephemeral key, signature.
pub(super) const FIRST: usize = 8 + 32 + 64;
/// Bytes of the SynAck: the same and a confirmation.
pub(super) const ANSWER: usize = FIRST + CONFIRMATION;

/// Time, ephemeral key and signature: what both ends send.
struct Signed {
    time: [u8; 8],
    ephemeral: [u8; 32],
    signature: Signature,
}

impl Signed {
    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (time, rest) = bytes.split_first_chunk()?;
        let (ephemeral, rest) = rest.split_first_chunk()?;
        let (signature, rest) = rest.split_first_chunk()?;
        let signed = Self {
            time: *time,
            ephemeral: *ephemeral,
            signature: *signature,
        };
        Some((signed, rest))
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time);
        out.extend_from_slice(&self.ephemeral);
        out.extend_from_slice(&self.signature);
    }

    fn sent(&self) -> UnixTime {
        UnixTime::from_millis(u64::from_be_bytes(self.time))
    }
}

/// The transcript before anything was exchanged.
pub(super) fn begin(terms: &Terms) -> Transcript {
    let (profile, namespace) = (terms.profile, &terms.namespace);
    match profile {
        Profile::B => Transcript::new(profile, b"commonware/handshake"),
        Profile::V1 => {
            let namespaced = Transcript::new(profile, namespace);
            let mut transcript = namespaced.fork(b"_COMMONWARE_CRYPTOGRAPHY_SAKE");
            transcript.commit(&[1]);
            transcript
        }
        _ => Transcript::new(profile, namespace).fork(b"_COMMONWARE_CRYPTOGRAPHY_HANDSHAKE"),
    }
}

/// Commits to the Syn, up to what the dialer signs.
pub(super) fn commit_first(
    transcript: &mut Transcript,
    profile: Profile,
    [time, listener, dialer, ephemeral]: [&[u8]; 4],
) {
    transcript.commit(time);
    transcript.commit(listener);
    if profile == Profile::V1 {
        transcript.commit(dialer);
    }
    transcript.commit(ephemeral);
}

/// Commits to the SynAck, up to what the listener signs.
pub(super) fn commit_answer(
    transcript: &mut Transcript,
    profile: Profile,
    [dialer, time, ephemeral]: [&[u8]; 3],
) {
    if profile != Profile::V1 {
        transcript.commit(dialer);
    }
    transcript.commit(time);
    transcript.commit(ephemeral);
}

/// What is signed: the summary behind the length of an empty namespace, or bare in era b.
fn signed_bytes(transcript: &Transcript, profile: Profile) -> Vec<u8> {
    let mut message = Vec::with_capacity(33);
    if profile != Profile::B {
        message.push(0);
    }
    message.extend_from_slice(transcript.summary().as_bytes());
    message
}

pub(super) fn sign(terms: &Terms, transcript: &Transcript) -> Result<Signature, Error> {
    let message = signed_bytes(transcript, terms.profile);
    terms.identity.sign(&message)
}

fn verify(
    terms: &Terms,
    transcript: &Transcript,
    peer: &PublicKey,
    signature: &Signature,
) -> Result<(), Error> {
    let message = signed_bytes(transcript, terms.profile);
    terms.identity.verify(peer, &message, signature)
}

/// What follows from a transcript that holds the agreed secret.
struct Outcome {
    confirm_l2d: Summary,
    confirm_d2l: Summary,
    keys: Keys,
}

fn outcome(transcript: &Transcript, profile: Profile) -> Outcome {
    let confirm_l2d = transcript.fork(b"confirmation_l2d").summary();
    let confirm_d2l = transcript.fork(b"confirmation_d2l").summary();
    let stream;
    let root = if profile == Profile::V1 {
        let mut fork = transcript.fork(b"_COMMONWARE_STREAM_CUPS");
        fork.commit(&[1]);
        stream = fork;
        &stream
    } else {
        transcript
    };
    Outcome {
        confirm_l2d,
        confirm_d2l,
        keys: Keys {
            d2l: root.noise(b"cipher_d2l"),
            l2d: root.noise(b"cipher_l2d"),
        },
    }
}

pub(super) struct Dialer {
    terms: Terms,
    listener: PublicKey,
    ephemeral: Secret,
    transcript: Transcript,
}

impl Dialer {
    pub(super) fn start(
        terms: &Terms,
        listener: &PublicKey,
        ephemeral: Secret,
        now: UnixTime,
    ) -> Result<(Self, Vec<u8>), Error> {
        let dialer = terms.identity.public();
        let time = now.as_millis().to_be_bytes();
        let public = x25519::public(&ephemeral);
        let mut transcript = begin(terms);
        let parts: [&[u8]; 4] = [&time, listener, &dialer, &public];
        commit_first(&mut transcript, terms.profile, parts);
        let first = Signed {
            time,
            ephemeral: public,
            signature: sign(terms, &transcript)?,
        };
        let mut body = Vec::with_capacity(FIRST);
        first.put(&mut body);
        let prefix = terms.profile.prefix();
        let mut out = Vec::with_capacity(32 + FIRST + 10);
        put_frame(prefix, &dialer, &mut out)?;
        put_frame(prefix, &body, &mut out)?;
        let dialer = Self {
            terms: terms.clone(),
            listener: *listener,
            ephemeral,
            transcript,
        };
        Ok((dialer, out))
    }

    pub(super) fn finish(mut self, body: &[u8], now: UnixTime) -> Result<(Vec<u8>, Keys), Error> {
        let profile = self.terms.profile;
        let (answer, confirmation) = Signed::parse(body).ok_or_else(wrong_size)?;
        if confirmation.len() != CONFIRMATION {
            return Err(wrong_size());
        }
        self.terms.window.check(profile, answer.sent(), now)?;
        let dialer = self.terms.identity.public();
        let parts: [&[u8]; 3] = [&dialer, &answer.time, &answer.ephemeral];
        commit_answer(&mut self.transcript, profile, parts);
        let signature = &answer.signature;
        verify(&self.terms, &self.transcript, &self.listener, signature)?;
        let shared = x25519::dh(&self.ephemeral, &answer.ephemeral)?;
        self.transcript.commit(shared.as_bytes());
        let outcome = outcome(&self.transcript, profile);
        if !outcome.confirm_l2d.is(confirmation) {
            return Err(Error::auth());
        }
        let mut out = Vec::with_capacity(CONFIRMATION + 4);
        put_frame(profile.prefix(), outcome.confirm_d2l.as_bytes(), &mut out)?;
        Ok((out, outcome.keys))
    }
}

pub(super) struct Claim {
    terms: Terms,
    dialer: PublicKey,
    first: Signed,
}

impl Claim {
    pub(super) fn open(
        terms: Terms,
        dialer: PublicKey,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Self, Error> {
        let Some((first, [])) = Signed::parse(body) else {
            return Err(wrong_size());
        };
        terms.window.check(terms.profile, first.sent(), now)?;
        Ok(Self {
            terms,
            dialer,
            first,
        })
    }

    pub(super) fn dialer(&self) -> PublicKey {
        self.dialer
    }

    pub(super) fn ephemeral(&self) -> [u8; 32] {
        self.first.ephemeral
    }

    pub(super) fn sent(&self) -> UnixTime {
        self.first.sent()
    }

    pub(super) fn verify(self) -> Result<Verified, Error> {
        let (terms, first) = (self.terms, self.first);
        let mut transcript = begin(&terms);
        let listener = terms.identity.public();
        let parts: [&[u8]; 4] = [&first.time, &listener, &self.dialer, &first.ephemeral];
        commit_first(&mut transcript, terms.profile, parts);
        verify(&terms, &transcript, &self.dialer, &first.signature)?;
        Ok(Verified {
            terms,
            dialer: self.dialer,
            ephemeral: first.ephemeral,
            transcript,
        })
    }
}

pub(super) struct Verified {
    terms: Terms,
    dialer: PublicKey,
    ephemeral: [u8; 32],
    transcript: Transcript,
}

impl Verified {
    pub(super) fn dialer(&self) -> PublicKey {
        self.dialer
    }

    pub(super) fn answer(
        mut self,
        ephemeral: &Secret,
        now: UnixTime,
    ) -> Result<(Vec<u8>, AwaitAck), Error> {
        let profile = self.terms.profile;
        let shared = x25519::dh(ephemeral, &self.ephemeral)?;
        let time = now.as_millis().to_be_bytes();
        let public = x25519::public(ephemeral);
        let parts: [&[u8]; 3] = [&self.dialer, &time, &public];
        commit_answer(&mut self.transcript, profile, parts);
        let answer = Signed {
            time,
            ephemeral: public,
            signature: sign(&self.terms, &self.transcript)?,
        };
        self.transcript.commit(shared.as_bytes());
        let outcome = outcome(&self.transcript, profile);
        let mut body = Vec::with_capacity(ANSWER);
        answer.put(&mut body);
        body.extend_from_slice(outcome.confirm_l2d.as_bytes());
        let mut out = Vec::with_capacity(ANSWER + 4);
        put_frame(profile.prefix(), &body, &mut out)?;
        let ack = AwaitAck {
            expected: outcome.confirm_d2l,
            keys: outcome.keys,
        };
        Ok((out, ack))
    }
}

pub(super) struct AwaitAck {
    expected: Summary,
    keys: Keys,
}

impl AwaitAck {
    pub(super) fn finish(self, body: &[u8]) -> Result<Keys, Error> {
        if body.len() != CONFIRMATION {
            return Err(wrong_size());
        }
        if !self.expected.is(body) {
            return Err(Error::auth());
        }
        Ok(self.keys)
    }
}
