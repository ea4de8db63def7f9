//! The hardened profile: three messages instead of two, and sealed frames. Its bytes are specified
//! in the book, page `protocols/asoc`, "The hardened profile".
//!
//! ```text
//! client                                            server
//!   HELLO   suite, UUID, time, nonce, key share, MAC ──>
//!   <── ACCEPT   UUID, time, nonce, key share, MAC over it and the HELLO
//!   PROOF   MAC over both ──>
//!   <── sealed frames ──>
//! ```

use super::discovery::check_time;
use super::event::{Fresh, Identity};
use super::handshake::{refuse_own, sub};
use super::key::KeyId;
use super::node_id::NodeId;
use crate::crypto::{Aes256Gcm, ChaCha20Poly1305, Secret, sha256, x25519};
use crate::error::{Class, Error};
use crate::time::UnixTime;
use alloc::vec::Vec;
use schedule::mac_key;

mod schedule;

pub use schedule::Schedule;

/// Payload bytes of the hardened HELLO.
pub const HELLO: usize = 121;
/// Payload bytes of the hardened ACCEPT.
pub const ACCEPT: usize = 120;
/// Payload bytes of PROOF.
pub const PROOF: usize = 32;
/// What sealing adds to a payload.
pub const TAG: usize = 16;

/// The cipher of sealed frames. The client chooses; a server takes either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-256-GCM: the faster one where the processor helps.
    #[default]
    Aes256Gcm,
    /// ChaCha20-Poly1305: the faster one where it does not.
    ChaCha20Poly1305,
}

impl Suite {
    /// Its number in a HELLO.
    pub const fn number(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::ChaCha20Poly1305 => 2,
        }
    }

    /// The suite of a HELLO's first byte; any other number is [`Class::Type`].
    pub fn from_number(number: u8) -> Result<Self, Error> {
        match number {
            1 => Ok(Self::Aes256Gcm),
            2 => Ok(Self::ChaCha20Poly1305),
            _ => Err(Error::peer(
                Class::Type,
                "the client wants a cipher that this version does not have",
            )),
        }
    }
}

fn said(label: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut out = label.to_vec();
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// The keys of both directions.
pub(crate) struct Keys {
    pub(crate) send: Sealer,
    pub(crate) receive: Sealer,
}

impl Keys {
    fn of(suite: Suite, schedule: &Schedule, client: bool) -> Self {
        let to_server = Sealer::at(suite, &schedule.client_to_server, 0, 0);
        let to_client = Sealer::at(suite, &schedule.server_to_client, 0, 0);
        let (send, receive) = if client {
            (to_server, to_client)
        } else {
            (to_client, to_server)
        };
        Self { send, receive }
    }
}

/// A client that has said HELLO.
pub(crate) struct Initiator {
    suite: Suite,
    node: NodeId,
    mac: Secret,
    key: KeyId,
    ephemeral: Secret,
    hello: [u8; HELLO],
}

/// What a client has in the end.
pub(crate) struct Finished {
    pub(crate) keys: Keys,
    pub(crate) server: NodeId,
    pub(crate) token: [u8; 8],
    pub(crate) key: KeyId,
    pub(crate) proof: [u8; PROOF],
}

impl Initiator {
    /// Says HELLO under the first key.
    pub(crate) fn start(identity: &Identity, fresh: &Fresh, suite: Suite) -> Result<Self, Error> {
        let key = identity.keys.first();
        let key = key.ok_or(Error::Misuse("a connection needs a key"))?;
        let mac = mac_key(key, &identity.community)?;
        let mut hello = Vec::with_capacity(HELLO);
        hello.push(suite.number());
        hello.extend_from_slice(identity.node.as_bytes());
        hello.extend_from_slice(&fresh.unix.as_secs().to_be_bytes());
        hello.extend_from_slice(&fresh.nonce);
        hello.extend_from_slice(&x25519::public(&fresh.ephemeral));
        let tag = sha256::hmac(mac.as_bytes(), &said(b"hello", &[&hello]));
        hello.extend_from_slice(&tag);
        Ok(Self {
            suite,
            node: identity.node,
            mac,
            key: key.id(),
            ephemeral: fresh.ephemeral.clone(),
            hello: hello.as_slice().try_into().map_err(|_| SIZE)?,
        })
    }

    /// The payload of HELLO.
    pub(crate) const fn hello(&self) -> &[u8; HELLO] {
        &self.hello
    }

    /// Judges an ACCEPT: MAC, own UUID, time, key share.
    pub(crate) fn finish(self, accept: &[u8; ACCEPT], now: UnixTime) -> Result<Finished, Error> {
        let (fields, tag) = accept.split_at(ACCEPT.saturating_sub(32));
        let digest = sha256::digest(&self.hello);
        if !sha256::verify(
            self.mac.as_bytes(),
            &said(b"accept", &[&digest, fields]),
            tag,
        ) {
            return Err(Error::auth());
        }
        let server = NodeId::from_bytes(sub(accept, 0));
        refuse_own(server, self.node)?;
        check_time(u64::from_be_bytes(sub(accept, 16)), now)?;
        let shared = x25519::dh(&self.ephemeral, &sub(accept, 56))?;
        let schedule = Schedule::of(self.mac, &self.hello, accept, &shared)?;
        let proof = schedule.proof();
        Ok(Finished {
            keys: Keys::of(self.suite, &schedule, true),
            server,
            token: sub(accept, 24),
            key: self.key,
            proof,
        })
    }
}

/// A server that has an authentic HELLO.
pub(crate) struct Responder {
    suite: Suite,
    mac: Secret,
    share: [u8; 32],
    hello: [u8; HELLO],
    /// Who is there, as far as the HELLO tells.
    pub(crate) client: NodeId,
    /// Begins the client's nonce: what tells one HELLO from another.
    pub(crate) challenge: u64,
    pub(crate) key: KeyId,
}

/// A server that waits for the PROOF.
pub(crate) struct Proving {
    mac: Secret,
    /// What the PROOF is a MAC over.
    proof: Vec<u8>,
    keys: Keys,
    pub(crate) client: NodeId,
    pub(crate) token: [u8; 8],
    pub(crate) key: KeyId,
}

impl Responder {
    /// Judges a HELLO: MAC, own UUID, time, cipher.
    pub(crate) fn accept(
        hello: &[u8; HELLO],
        identity: &Identity,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let (fields, tag) = hello.split_at(HELLO.saturating_sub(32));
        let said = said(b"hello", &[fields]);
        let mut found = None;
        for key in &identity.keys {
            let mac = mac_key(key, &identity.community)?;
            if sha256::verify(mac.as_bytes(), &said, tag) && found.is_none() {
                found = Some((mac, key.id()));
            }
        }
        let (mac, key) = found.ok_or_else(Error::auth)?;
        let client = NodeId::from_bytes(sub(hello, 1));
        refuse_own(client, identity.node)?;
        check_time(u64::from_be_bytes(sub(hello, 17)), now)?;
        let [suite] = sub(hello, 0);
        Ok(Self {
            suite: Suite::from_number(suite)?,
            mac,
            share: sub(hello, 57),
            hello: *hello,
            client,
            challenge: u64::from_be_bytes(sub(hello, 25)),
            key,
        })
    }

    /// Answers with ACCEPT.
    pub(crate) fn answer(
        self,
        own: NodeId,
        fresh: &Fresh,
        now: UnixTime,
    ) -> Result<([u8; ACCEPT], Proving), Error> {
        let mut accept = own.as_bytes().to_vec();
        accept.extend_from_slice(&now.as_secs().to_be_bytes());
        accept.extend_from_slice(&fresh.nonce);
        accept.extend_from_slice(&x25519::public(&fresh.ephemeral));
        let digest = sha256::digest(&self.hello);
        let tag = sha256::hmac(self.mac.as_bytes(), &said(b"accept", &[&digest, &accept]));
        accept.extend_from_slice(&tag);
        let accept: [u8; ACCEPT] = accept.as_slice().try_into().map_err(|_| SIZE)?;
        let shared = x25519::dh(&fresh.ephemeral, &self.share)?;
        let schedule = Schedule::of(self.mac, &self.hello, &accept, &shared)?;
        let proving = Proving {
            keys: Keys::of(self.suite, &schedule, false),
            proof: schedule.said(),
            mac: schedule.mac,
            client: self.client,
            token: sub(&accept, 24),
            key: self.key,
        };
        Ok((accept, proving))
    }
}

impl Proving {
    /// Judges the PROOF.
    pub(crate) fn finish(self, proof: &[u8]) -> Result<Keys, Error> {
        if proof.len() == PROOF && sha256::verify(self.mac.as_bytes(), &self.proof, proof) {
            Ok(self.keys)
        } else {
            Err(Error::auth())
        }
    }
}

const SIZE: Error = Error::Misuse("a handshake message has another size");

enum Cipher {
    Aes(Aes256Gcm),
    ChaCha(ChaCha20Poly1305),
}

/// Says who may seal one frame, and is used up by that.
pub(crate) struct Nonce([u8; 12]);

/// Seals or opens the frames of one direction, in order. No `Debug`: it holds a key.
pub struct Sealer {
    cipher: Cipher,
    next: u64,
    bytes: u64,
}

/// Bytes that one key may seal, tags included: far below what AES-GCM stands.
const MOST_BYTES: u64 = 1 << 38;

impl Sealer {
    /// A direction whose next frame has the number `next`, and whose key has sealed `bytes` bytes,
    /// tags included. A connection begins at 0 and 0; other places are for whoever checks another
    /// implementation. Two sealers with one key must never seal the same number.
    pub fn at(suite: Suite, key: &Secret, next: u64, bytes: u64) -> Self {
        let cipher = match suite {
            Suite::Aes256Gcm => Cipher::Aes(Aes256Gcm::new(key)),
            Suite::ChaCha20Poly1305 => Cipher::ChaCha(ChaCha20Poly1305::new(key)),
        };
        Self {
            cipher,
            next,
            bytes,
        }
    }

    /// The nonce of the next frame of `plain` bytes, which is used up by this.
    pub(crate) fn number(&mut self, plain: usize) -> Result<Nonce, Error> {
        let bytes = u64::try_from(plain.saturating_add(TAG)).unwrap_or(u64::MAX);
        let total = self.bytes.saturating_add(bytes);
        if total > MOST_BYTES {
            return Err(Error::limit(
                Class::DataLimit,
                "the byte budget of this connection's key is used up: make a new connection",
            ));
        }
        self.bytes = total;
        let number = self.next;
        self.next = number.checked_add(1).ok_or(Error::limit(
            Class::NonceLimit,
            "the nonces of this connection's key are used up: make a new connection",
        ))?;
        let mut nonce = [0; 12];
        if let Some(tail) = nonce.last_chunk_mut::<8>() {
            *tail = number.to_be_bytes();
        }
        Ok(Nonce(nonce))
    }

    /// Seals `buf` in place and appends the tag. `header` is the frame's, 14 bytes, with the length
    /// that the sealed payload will have. Past 2^38 bytes [`Class::DataLimit`].
    pub fn seal(&mut self, header: &[u8], buf: &mut Vec<u8>) -> Result<(), Error> {
        let nonce = self.number(buf.len())?;
        let tag = self.seal_as(nonce, header, buf)?;
        buf.extend_from_slice(&tag);
        Ok(())
    }

    /// Seals `buf` in place and gives the tag.
    pub(crate) fn seal_as(
        &self,
        Nonce(nonce): Nonce,
        header: &[u8],
        buf: &mut [u8],
    ) -> Result<[u8; TAG], Error> {
        match &self.cipher {
            Cipher::Aes(key) => key.seal_in_place(&nonce, header, buf),
            Cipher::ChaCha(key) => key.seal_in_place(&nonce, header, buf),
        }
    }

    /// Opens `buf` in place and takes the tag off. Whatever does not fit is [`Class::Auth`].
    pub fn open(&mut self, header: &[u8], buf: &mut Vec<u8>) -> Result<(), Error> {
        let plain = self.open_in_place(header, buf)?;
        buf.truncate(plain);
        Ok(())
    }

    /// Opens `buf`, which ends in its tag, in place, and says how much of it is plaintext.
    pub(crate) fn open_in_place(&mut self, header: &[u8], buf: &mut [u8]) -> Result<usize, Error> {
        let plain = buf.len().checked_sub(TAG).ok_or_else(Error::auth)?;
        let Nonce(nonce) = self.number(plain)?;
        let (body, tag) = buf.split_at_mut_checked(plain).ok_or_else(Error::auth)?;
        let tag: &[u8; TAG] = (&*tag).try_into().map_err(|_| Error::auth())?;
        match &self.cipher {
            Cipher::Aes(key) => key.open_in_place(&nonce, header, body, tag)?,
            Cipher::ChaCha(key) => key.open_in_place(&nonce, header, body, tag)?,
        }
        Ok(plain)
    }
}
