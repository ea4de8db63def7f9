//! The dialing side, up to the connection.

use super::ConnectionId;
use super::config::Config;
use super::connection::Connection;
use super::handshake::{DialerSecurity, Initiator};
use super::retry::{Ids, Task};
use super::wire::tokens::Grants;
use crate::crypto::{Rng, Secret};
use crate::error::{Error, Timer};
use crate::machine::{Input, Machine, Output};
use crate::store::{Failure, FailureKind, Operation, Profile, Reply, RequestId, Role};
use crate::time::Instant;
use alloc::boxed::Box;
use bytes::Bytes;
use core::time::Duration;

/// First pause between two looks for message 2; it doubles up to `token_poll`.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// A store that cannot be reached for this long, and never was, is given up: the address is wrong
/// or the network is not there.
const FIRST_CONTACT: Duration = Duration::from_secs(5);

/// A connection as the dialer gets it.
pub struct Connected {
    /// The connection.
    pub connection: Connection,
    /// What the listener lets us use, for the driver.
    pub grants: Grants,
}

/// How dialing ended.
pub enum DialerEvent {
    /// The handshake is complete.
    Connected(Box<Connected>),
    /// It failed for good.
    Failed(Error),
}

enum State {
    /// Leaving message 1.
    Calling(Initiator),
    /// Looking for message 2.
    Waiting(Initiator),
    Connected(Box<Connected>),
    Failed(Error),
    Over(Option<Error>),
}

/// Dials one connection: leaves message 1, looks for message 2, gives the connection out.
pub struct Dialer {
    id: ConnectionId,
    profile: Profile,
    config: Config,
    ids: Ids,
    task: Task,
    pause: Duration,
    deadline: Instant,
    state: State,
    last_failure: Option<Failure>,
    /// The store has answered once, whatever it said.
    reached: bool,
}

impl Dialer {
    /// A dialer that starts at once. `seed`: 32 random bytes, used for nothing else.
    pub fn new(
        config: Config,
        profile: Profile,
        security: &DialerSecurity,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut rng = Rng::from_seed(seed);
        let id = ConnectionId::from_random(rng.array());
        let ephemeral = Secret::from(rng.array::<32>());
        let (state, message) = match Initiator::start(&id, ephemeral, security) {
            Ok((initiator, message)) => (State::Calling(initiator), Bytes::from(message)),
            Err(error) => (State::Failed(error), Bytes::new()),
        };
        Self {
            id,
            profile,
            ids: Ids::default(),
            task: Task::new(Operation::PutHandshake { id, message }, now),
            pause: FIRST_LOOK,
            deadline: now.after(config.connect_timeout),
            config,
            state,
            last_failure: None,
            reached: false,
        }
    }

    /// The id this dialer made for its connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// True when the outcome was given out.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    fn expire(&mut self, now: Instant) {
        if self.deadline <= now && matches!(self.state, State::Calling(_) | State::Waiting(_)) {
            // Say what kept failing rather than that time went by.
            self.state = State::Failed(match self.last_failure.take() {
                Some(failure) => Error::Store(failure),
                None => Error::Timeout(Timer::Connect),
            });
        }
    }

    fn reply(&mut self, now: Instant, result: Result<Reply, Failure>) {
        let state = core::mem::replace(&mut self.state, State::Over(None));
        self.state = match (state, result) {
            (state @ (State::Calling(_) | State::Waiting(_)), Err(failure)) => {
                self.last_failure = Some(failure.clone());
                let unreachable = failure.kind == FailureKind::Unreachable;
                if unreachable && !self.reached && self.task.since_start(now) >= FIRST_CONTACT {
                    self.state = State::Failed(Error::Store(failure));
                    return;
                }
                self.reached |= !unreachable;
                match self.task.failed(now, &self.config, failure) {
                    Ok(()) => state,
                    Err(failure) => State::Failed(Error::Store(failure)),
                }
            }
            (State::Calling(initiator), Ok(Reply::Done)) => {
                self.last_failure = None;
                self.reached = true;
                self.task = Task::new(Operation::GetToken { id: self.id }, now);
                self.task.repeat(now, self.pause);
                State::Waiting(initiator)
            }
            (State::Waiting(initiator), Ok(Reply::Nothing { .. })) => {
                self.last_failure = None;
                self.pause = self.pause.saturating_mul(2).min(self.config.token_poll);
                self.task = Task::new(Operation::GetToken { id: self.id }, now);
                self.task.repeat(now, self.pause);
                State::Waiting(initiator)
            }
            (State::Waiting(initiator), Ok(Reply::Token(message))) => {
                match initiator.finish(&message) {
                    Ok((grants, split)) => State::Connected(Box::new(Connected {
                        connection: Connection::new(
                            Role::Dialer,
                            self.id,
                            split,
                            self.profile.clone(),
                            self.config.clone(),
                            now,
                        ),
                        grants,
                    })),
                    Err(error) => State::Failed(error),
                }
            }
            (State::Calling(_) | State::Waiting(_), Ok(_)) => {
                State::Failed(Error::Misuse("the reply does not answer the request"))
            }
            (other, _) => other,
        };
    }

    fn owns(&self, id: RequestId) -> bool {
        self.task.is(id)
    }
}

impl Machine for Dialer {
    type Event = DialerEvent;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        match input {
            Input::Reply(id, result) if self.owns(id) => self.reply(now, result),
            Input::Reply(..) | Input::Time => {}
            _ => return Err(Error::Misuse("a dialer is fed by store replies")),
        }
        self.expire(now);
        match &self.state {
            State::Failed(error) | State::Over(Some(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn poll(&mut self, now: Instant) -> Output<DialerEvent> {
        self.expire(now);
        match core::mem::replace(&mut self.state, State::Over(None)) {
            State::Connected(connected) => {
                return Output::Event(DialerEvent::Connected(connected));
            }
            State::Failed(error) => {
                self.state = State::Over(Some(error.clone()));
                return Output::Event(DialerEvent::Failed(error));
            }
            State::Over(error) => {
                self.state = State::Over(error);
                return Output::Wait(None);
            }
            state => self.state = state,
        }
        let timeout = self.config.request_timeout;
        if let Some(request) = self.task.start(now, &mut self.ids, timeout) {
            return Output::Store(request);
        }
        let next = self.task.deadline();
        Output::Wait(Some(next.map_or(self.deadline, |at| at.min(self.deadline))))
    }
}
