//! The handshake of a connection, in both profiles.

use super::{Asker, Connection, Role, Stage};
use crate::asoc::config::Profile;
use crate::asoc::event::{ConnectionEvent, Established};
use crate::asoc::handshake::{self, Accept, Hello, refuse_own};
use crate::asoc::hardened::{Initiator, Responder};
use crate::asoc::key::{ApiKey, KeyId};
use crate::asoc::node_id::NodeId;
use crate::asoc::wire::{self, kind};
use crate::error::Error;
use crate::time::{Instant, UnixTime};
use alloc::boxed::Box;
use bytes::Bytes;

impl Connection {
    /// A client speaks first.
    pub(super) fn greet(&mut self) -> Result<(), Error> {
        let frame = if let Profile::Hardened(suite) = self.config.profile {
            let initiator = Initiator::start(&self.identity, &self.fresh, suite)?;
            let frame = self.hand_frame(kind::SEALED_HELLO, initiator.hello())?;
            self.stage = Stage::Initiated(Box::new(initiator));
            frame
        } else {
            let hello = Hello {
                node: self.identity.node,
                challenge: self.fresh.challenge,
            };
            let key = self.identity.keys.first();
            let key = key.ok_or(Error::Misuse("a connection needs a key"))?;
            self.hand_frame(kind::HELLO, &hello.encode(key))?
        };
        self.push(frame);
        Ok(())
    }

    fn hand_frame(&self, kind: u8, payload: &[u8]) -> Result<Bytes, Error> {
        handshake::frame(kind, payload, self.config.dialect).map(Bytes::from)
    }

    /// The owner lets the peer in: ACCEPT goes out.
    pub fn admit(&mut self, now: Instant) -> Result<(), Error> {
        self.alive()?;
        self.expire_handshake(now)?;
        let asker = match core::mem::replace(&mut self.stage, Stage::Waiting) {
            Stage::Asked(asker) => asker,
            other => {
                self.stage = other;
                return Err(Error::Misuse("no HELLO waits for an answer"));
            }
        };
        if let Err(fault) = self.answer(now, asker) {
            return Err(self.fail(fault));
        }
        let held = core::mem::take(&mut self.held);
        self.take(now, held)
    }

    fn answer(&mut self, now: Instant, asker: Asker) -> Result<(), Error> {
        match asker {
            Asker::Plain { peer, key } => {
                let token = self.fresh.token;
                let payload = Accept { token }.encode(&key);
                let frame = self.hand_frame(kind::ACCEPT, &payload)?;
                self.push(frame);
                self.check.arm(payload);
                self.open_up(now, Some(peer), token, key.id());
            }
            Asker::Hardened(responder) => {
                let unix = self.unix(now);
                let (accept, proving) = responder.answer(self.identity.node, &self.fresh, unix)?;
                let frame = self.hand_frame(kind::SEALED_ACCEPT, &accept)?;
                self.push(frame);
                self.stage = Stage::Proving(Box::new(proving));
            }
        }
        Ok(())
    }

    /// The owner does not let the peer in: the connection ends with `reason` and without a reply.
    pub fn refuse(&mut self, reason: Error) -> Result<(), Error> {
        self.alive()?;
        if !matches!(self.stage, Stage::Asked(_)) {
            return Err(Error::Misuse("no HELLO waits for an answer"));
        }
        self.fail(reason);
        Ok(())
    }

    /// The wall clock at `now`.
    fn unix(&self, now: Instant) -> UnixTime {
        self.fresh.unix.after(now.since(self.started))
    }

    fn open_up(&mut self, now: Instant, peer: Option<NodeId>, token: [u8; 8], key: KeyId) {
        self.stage = Stage::Open;
        self.identity.keys.clear();
        self.heard = now;
        self.keep_alive_at = now.after(self.config.keep_alive);
        self.events
            .push_back(ConnectionEvent::Established(Established {
                peer,
                token,
                key,
                proven: self.seal.is_some(),
            }));
    }

    /// The payload of a handshake frame is complete.
    pub(super) fn handshake(&mut self, now: Instant) -> Result<(), Error> {
        let payload = core::mem::take(&mut self.gathered);
        match core::mem::replace(&mut self.stage, Stage::Waiting) {
            Stage::Initiated(initiator) => {
                let done = initiator.finish(exactly(&payload)?, self.unix(now))?;
                let frame = self.hand_frame(kind::SEALED_PROOF, &done.proof)?;
                self.push(frame);
                self.seal = Some(Box::new(done.keys));
                self.open_up(now, Some(done.server), done.token, done.key);
            }
            Stage::Proving(proving) => {
                let (peer, token, key) = (proving.client, proving.token, proving.key);
                self.seal = Some(Box::new(proving.finish(&payload)?));
                self.open_up(now, Some(peer), token, key);
            }
            _ if self.role == Role::Client => {
                let payload = exactly(&payload)?;
                let key = self.identity.keys.first().ok_or_else(Error::auth)?;
                let (accept, key) = (Accept::verify(payload, key)?, key.id());
                self.check.arm(*payload);
                self.open_up(now, None, accept.token, key);
            }
            _ => self.hello(now, &payload)?,
        }
        Ok(())
    }

    fn hello(&mut self, now: Instant, payload: &[u8]) -> Result<(), Error> {
        let (peer, challenge, key, asker) = match self.config.profile {
            Profile::Default => {
                let payload = exactly(payload)?;
                let (hello, key) = self.authentic(|key| Hello::verify(payload, key))?;
                refuse_own(hello.node, self.identity.node)?;
                let (peer, id) = (hello.node, key.id());
                let asker = Asker::Plain { peer, key };
                (peer, u64::from(hello.challenge), id, asker)
            }
            Profile::Hardened(_) => {
                let unix = self.unix(now);
                let responder = Responder::accept(exactly(payload)?, &self.identity, unix)?;
                let (peer, challenge) = (responder.client, responder.challenge);
                let key = responder.key;
                (peer, challenge, key, Asker::Hardened(Box::new(responder)))
            }
        };
        self.events.push_back(ConnectionEvent::Hello {
            peer,
            challenge,
            key,
        });
        self.stage = Stage::Asked(asker);
        Ok(())
    }

    /// What `verify` makes of the first of our keys that fits. All are tried, fit or not.
    fn authentic<T>(
        &self,
        verify: impl Fn(&ApiKey) -> Result<T, Error>,
    ) -> Result<(T, ApiKey), Error> {
        let mut found = Err(Error::auth());
        for key in &self.identity.keys {
            let tried = verify(key);
            if let (Ok(value), true) = (tried, found.is_err()) {
                found = Ok((value, key.clone()));
            }
        }
        found
    }
}

fn exactly<const N: usize>(payload: &[u8]) -> Result<&[u8; N], Error> {
    payload.try_into().map_err(|_| wire::wrong_length())
}
