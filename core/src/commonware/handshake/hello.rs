//! Hello and Confirmation: era a.

use super::{Keys, Terms, wrong_size};
use crate::commonware::identity::{PublicKey, Signature};
use crate::commonware::wire::{put_frame, put_varint, varint};
use crate::crypto::{ChaCha20Poly1305, Secret, sha256, x25519};
use crate::error::{Class, Error};
use crate::time::UnixTime;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a confirmation, and of message 3.
pub(super) const CONFIRMATION: usize = 16;
/// Shortest Hello: a time of one byte and no tag.
const SHORTEST: usize = 32 + 32 + 1 + 1 + 32 + 64;
/// Longest Hello: a time of ten bytes and a tag.
const LONGEST: usize = SHORTEST + 9 + 32;
/// Sizes of message 1.
pub(super) const FIRST: RangeInclusive<usize> = SHORTEST..=LONGEST;
/// Sizes of message 2: a Hello and a confirmation.
pub(super) const ANSWER: RangeInclusive<usize> = SHORTEST + CONFIRMATION..=LONGEST + CONFIRMATION;

/// A Hello, parsed. `info` is the part that is signed.
struct Hello {
    recipient: PublicKey,
    ephemeral: [u8; 32],
    sent: UnixTime,
    tag: Option<[u8; 32]>,
    signer: PublicKey,
    signature: Signature,
    /// Bytes of the signed part.
    info: usize,
}

impl Hello {
    /// Parses the Hello at the start of `bytes` and gives what follows it. A time or an option
    /// byte in another form is [`Class::Encoding`], too few bytes are [`Class::Length`].
    fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (recipient, rest) = chunk(bytes)?;
        let (ephemeral, rest) = chunk(rest)?;
        let (time, used) = varint(rest, u64::BITS)?.ok_or_else(wrong_size)?;
        let rest = rest.get(used..).unwrap_or_default();
        let (option, rest) = rest.split_first().ok_or_else(wrong_size)?;
        let (tag, rest) = match option {
            0 => (None, rest),
            1 => {
                let (tag, rest) = chunk(rest)?;
                (Some(tag), rest)
            }
            _ => {
                return Err(Error::peer(
                    Class::Encoding,
                    "a Hello has an option byte that is neither 0 nor 1",
                ));
            }
        };
        let info = bytes.len().saturating_sub(rest.len());
        let (signer, rest) = chunk(rest)?;
        let (signature, rest) = chunk(rest)?;
        let hello = Self {
            recipient,
            ephemeral,
            sent: UnixTime::from_millis(time),
            tag,
            signer,
            signature,
            info,
        };
        Ok((hello, rest))
    }

    /// Whom it is for, who says it, and when.
    fn judge(&self, terms: &Terms, now: UnixTime) -> Result<(), Error> {
        if self.recipient != terms.identity.public() {
            return Err(Error::peer(
                Class::Identity,
                "a Hello is meant for another identity; check the key that was dialed",
            ));
        }
        terms.admit(&self.signer)?;
        terms.window.check(terms.profile, self.sent, now)
    }

    fn verify(&self, terms: &Terms, bytes: &[u8]) -> Result<(), Error> {
        let info = bytes.get(..self.info).unwrap_or_default();
        let message = signed_bytes(&terms.namespace, info);
        let identity = &terms.identity;
        identity.verify(&self.signer, &message, &self.signature)
    }
}

fn chunk<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Error> {
    let (chunk, rest) = bytes.split_first_chunk().ok_or_else(wrong_size)?;
    Ok((*chunk, rest))
}

fn signed_bytes(namespace: &[u8], info: &[u8]) -> Vec<u8> {
    let length = namespace.len().saturating_add(info.len());
    let mut message = Vec::with_capacity(length.saturating_add(10));
    put_varint(namespace.len() as u64, &mut message);
    message.extend_from_slice(namespace);
    message.extend_from_slice(info);
    message
}

/// Emits a Hello of ours.
fn emit(
    terms: &Terms,
    recipient: &PublicKey,
    ephemeral: &Secret,
    now: UnixTime,
    tag: Option<&[u8; 32]>,
) -> Result<Vec<u8>, Error> {
    let mut hello = Vec::with_capacity(LONGEST + CONFIRMATION);
    hello.extend_from_slice(recipient);
    hello.extend_from_slice(&x25519::public(ephemeral));
    put_varint(now.as_millis(), &mut hello);
    hello.push(u8::from(tag.is_some()));
    hello.extend_from_slice(tag.map_or(&[][..], |tag| tag));
    let message = signed_bytes(&terms.namespace, &hello);
    let signature = terms.identity.sign(&message)?;
    hello.extend_from_slice(&terms.identity.public());
    hello.extend_from_slice(&signature);
    Ok(hello)
}

/// Everything that follows from both Hellos and the agreed secret.
struct Schedule {
    keys: Keys,
    confirm_d2l: Secret,
    confirm_l2d: Secret,
}

fn schedule(terms: &Terms, hellos: &[u8], shared: &Secret) -> Result<Schedule, Error> {
    let salt = [b"commonware-stream/KDF/v1/", &terms.namespace[..], hellos].concat();
    let kdf = Hkdf::<Sha256>::new(Some(&sha256::digest(&salt)), shared.as_bytes());
    let derive = |info: &[u8]| {
        let mut key = Zeroizing::new([0; 32]);
        kdf.expand(info, key.as_mut_slice())
            .map_err(|_| Error::Misuse("a key is too long for HKDF"))?;
        Ok(Secret::from(*key))
    };
    Ok(Schedule {
        keys: Keys {
            d2l: derive(b"d2l/traffic")?,
            l2d: derive(b"l2d/traffic")?,
        },
        confirm_d2l: derive(b"d2l/confirmation")?,
        confirm_l2d: derive(b"l2d/confirmation")?,
    })
}

/// The tag of an empty plaintext: proof of a key over what both ends said.
fn confirmation(key: &Secret, said: &[u8]) -> Result<[u8; CONFIRMATION], Error> {
    ChaCha20Poly1305::new(key).seal_in_place(&[0; 12], said, &mut [])
}

/// Compares in constant time, as opening does.
fn confirmed(key: &Secret, said: &[u8], confirmation: &[u8]) -> Result<(), Error> {
    let tag = confirmation.try_into().map_err(|_| wrong_size())?;
    ChaCha20Poly1305::new(key).open_in_place(&[0; 12], said, &mut [], tag)
}

pub(super) struct Dialer {
    terms: Terms,
    listener: PublicKey,
    ephemeral: Secret,
    hello: Vec<u8>,
}

impl Dialer {
    pub(super) fn start(
        terms: &Terms,
        listener: &PublicKey,
        ephemeral: Secret,
        now: UnixTime,
    ) -> Result<(Self, Vec<u8>), Error> {
        let hello = emit(terms, listener, &ephemeral, now, None)?;
        let mut out = Vec::with_capacity(LONGEST);
        put_frame(terms.profile.prefix(), &hello, &mut out)?;
        let dialer = Self {
            terms: terms.clone(),
            listener: *listener,
            ephemeral,
            hello,
        };
        Ok((dialer, out))
    }

    pub(super) fn finish(self, body: &[u8], now: UnixTime) -> Result<(Vec<u8>, Keys), Error> {
        let (answer, theirs) = Hello::parse(body)?;
        if theirs.len() != CONFIRMATION {
            return Err(wrong_size());
        }
        answer.judge(&self.terms, now)?;
        answer.verify(&self.terms, body)?;
        if answer.tag != Some(sha256::digest(&self.hello)) {
            return Err(Error::auth());
        }
        if answer.signer != self.listener {
            return Err(Error::peer(
                Class::Identity,
                "another identity answered than the one that was dialed",
            ));
        }
        let shared = x25519::dh(&self.ephemeral, &answer.ephemeral)?;
        let (hello, _) = body
            .split_last_chunk::<CONFIRMATION>()
            .ok_or_else(wrong_size)?;
        let hellos = [&self.hello[..], hello].concat();
        let schedule = schedule(&self.terms, &hellos, &shared)?;
        confirmed(&schedule.confirm_l2d, &hellos, theirs)?;
        let said = [&self.hello[..], body].concat();
        let ours = confirmation(&schedule.confirm_d2l, &said)?;
        let mut out = Vec::with_capacity(CONFIRMATION + 4);
        put_frame(self.terms.profile.prefix(), &ours, &mut out)?;
        Ok((out, schedule.keys))
    }
}

pub(super) struct Claim {
    terms: Terms,
    bytes: Vec<u8>,
    hello: Hello,
}

impl Claim {
    pub(super) fn open(terms: Terms, body: &[u8], now: UnixTime) -> Result<Self, Error> {
        // A tag in the dialer's Hello is not looked at.
        let (hello, []) = Hello::parse(body)? else {
            return Err(wrong_size());
        };
        hello.judge(&terms, now)?;
        Ok(Self {
            terms,
            bytes: body.to_vec(),
            hello,
        })
    }

    pub(super) fn dialer(&self) -> PublicKey {
        self.hello.signer
    }

    pub(super) fn ephemeral(&self) -> [u8; 32] {
        self.hello.ephemeral
    }

    pub(super) fn sent(&self) -> UnixTime {
        self.hello.sent
    }

    pub(super) fn verify(self) -> Result<Verified, Error> {
        self.hello.verify(&self.terms, &self.bytes)?;
        Ok(Verified {
            terms: self.terms,
            bytes: self.bytes,
            dialer: self.hello.signer,
            ephemeral: self.hello.ephemeral,
        })
    }
}

pub(super) struct Verified {
    terms: Terms,
    bytes: Vec<u8>,
    dialer: PublicKey,
    ephemeral: [u8; 32],
}

impl Verified {
    pub(super) fn dialer(&self) -> PublicKey {
        self.dialer
    }

    pub(super) fn answer(
        self,
        ephemeral: &Secret,
        now: UnixTime,
    ) -> Result<(Vec<u8>, AwaitAck), Error> {
        let shared = x25519::dh(ephemeral, &self.ephemeral)?;
        let tag = sha256::digest(&self.bytes);
        let hello = emit(&self.terms, &self.dialer, ephemeral, now, Some(&tag))?;
        let mut said = [&self.bytes[..], &hello].concat();
        let schedule = schedule(&self.terms, &said, &shared)?;
        let ours = confirmation(&schedule.confirm_l2d, &said)?;
        said.extend_from_slice(&ours);
        let body = said.get(self.bytes.len()..).unwrap_or_default();
        let mut out = Vec::with_capacity(body.len().saturating_add(4));
        put_frame(self.terms.profile.prefix(), body, &mut out)?;
        let ack = AwaitAck {
            said,
            key: schedule.confirm_d2l,
            keys: schedule.keys,
        };
        Ok((out, ack))
    }
}

pub(super) struct AwaitAck {
    said: Vec<u8>,
    key: Secret,
    keys: Keys,
}

impl AwaitAck {
    pub(super) fn finish(self, body: &[u8]) -> Result<Keys, Error> {
        confirmed(&self.key, &self.said, body)?;
        Ok(self.keys)
    }
}
