//! One handshake on its way to becoming a connection.
//!
//! The session's places are made first and the token is posted last, so that a dialer that has its
//! token finds its places (wire page, trap 6).

use super::ConnectionId;
use super::config::Config;
use super::handshake::{ListenerSecurity, Responder, Split};
use super::retry::{Ids, Task};
use super::wire::tokens::Grants;
use crate::crypto::{Secret, sha256};
use crate::error::{Class, Error};
use crate::store::{Failure, FailureKind, Handshake, Operation, Reply, Request, RequestId};
use crate::time::Instant;
use alloc::boxed::Box;
use bytes::Bytes;
use core::time::Duration;

enum Stage {
    Creating(Box<Responder>),
    Posting(Split),
}

pub(super) struct Candidate {
    id: ConnectionId,
    digest: [u8; 32],
    task: Task,
    stage: Stage,
}

/// How far a candidate has come.
pub(super) enum Step {
    Going(Candidate),
    Done(Split),
}

impl Candidate {
    pub(super) fn new(
        entry: &Handshake,
        ephemeral: Secret,
        mark: [u8; 16],
        security: &ListenerSecurity,
        now: Instant,
    ) -> Result<Self, Error> {
        let id = ConnectionId::parse(entry.name.as_bytes())?;
        let message = entry.message.as_ref().ok_or(Error::peer(
            Class::Encoding,
            "the handshake entry holds no decodable message",
        ))?;
        let responder = Responder::accept(ephemeral, message, security)?;
        if responder.id() != id {
            return Err(Error::peer(
                Class::Name,
                "the entry's name is not the id in its message",
            ));
        }
        Ok(Self {
            id,
            digest: sha256::digest(message),
            task: Task::new(Operation::CreateSession { id, mark }, now),
            stage: Stage::Creating(Box::new(responder)),
        })
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.id
    }

    /// SHA-256 of message 1.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// True when the session's places are certainly ours.
    pub(super) fn has_session(&self) -> bool {
        matches!(self.stage, Stage::Posting(_))
    }

    pub(super) fn is(&self, id: RequestId) -> bool {
        self.task.is(id)
    }

    pub(super) fn start(
        &mut self,
        now: Instant,
        ids: &mut Ids,
        timeout: Duration,
    ) -> Option<Request> {
        self.task.start(now, ids, timeout)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.task.deadline()
    }

    pub(super) fn reply(
        mut self,
        now: Instant,
        result: Result<Reply, Failure>,
        config: &Config,
    ) -> Result<Step, Error> {
        let reply = match result {
            Ok(reply) => reply,
            Err(failure) if failure.kind == FailureKind::Exists => {
                return Err(Error::peer(
                    Class::Name,
                    "a resource with this connection id exists already; it was left untouched",
                ));
            }
            Err(failure) => {
                if self.task.since_start(now) > config.connect_timeout {
                    return Err(Error::Store(failure));
                }
                return match self.task.failed(now, config, failure) {
                    Ok(()) => Ok(Step::Going(self)),
                    Err(failure) => Err(Error::Store(failure)),
                };
            }
        };
        match (self.stage, reply) {
            (Stage::Creating(responder), Reply::Session { req, res }) => {
                let tokens = Grants { req, res }.to_json();
                let (message, split) = responder.finish(tokens.as_bytes())?;
                let operation = Operation::PutToken {
                    id: self.id,
                    message: Bytes::from(message),
                };
                Ok(Step::Going(Self {
                    task: Task::new(operation, now),
                    stage: Stage::Posting(split),
                    ..self
                }))
            }
            (Stage::Posting(split), Reply::Done) => Ok(Step::Done(split)),
            _ => Err(Error::Misuse("the reply does not answer the request")),
        }
    }
}
