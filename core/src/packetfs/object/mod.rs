//! Objects by reference: a session on an ordered stream that carries blueprints one way and
//! repairs as they are asked for, one object at a time.
//!
//! ```text
//! sender                                receiver
//!   blueprint (channel 1, in parts)  ->   rebuilds, window by window
//!   window (channel 3)               <-   asks for each that failed or is missing
//!                                    ->
//!   next object, or the end mark     <-   "complete" (control 3)
//! ```
//!
//! "Complete" and the end mark are additions to the wire page: it names neither.

mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub use receiver::{Receiver, Window};
pub use sender::Sender;

use super::config::Config;
use super::handshake::Psk;
use super::link::Link;
use super::wire::header::LIMIT;
use super::wire::repair::ANSWER_HEAD;
use super::{blueprint, wire};
use crate::crypto::Rng;
use crate::error::{Class, Error};
use crate::time::Instant;
use alloc::collections::VecDeque;

/// The smallest [`Config::limit`] with which objects travel: a repaired window is one record.
pub const SMALLEST_LIMIT: u32 = (blueprint::WINDOW + ANSWER_HEAD + wire::TAG) as u32;
const _: () = assert!(SMALLEST_LIMIT <= LIMIT);

/// Which side of the stream we are on; either may send objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that opened the stream.
    Initiator,
    /// The side to which it was opened.
    Responder,
}

/// What the application of an object session is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something authentic came: the peer holds the pre-shared key.
    Established,
    /// Receiver: an object of this size is coming. Take its windows.
    Announced {
        /// Bytes of the object.
        size: u64,
    },
    /// The object is whole at the receiver.
    Complete,
    /// It is over: cleanly, or with this error.
    Closed(Result<(), Error>),
}

/// What sender and receiver share.
struct Session {
    link: Link,
    events: VecDeque<Event>,
    error: Option<Error>,
    established: bool,
    closed: bool,
}

impl Session {
    fn new(role: Role, config: Config, psk: Psk, rng: Rng, now: Instant) -> Result<Self, Error> {
        if config.limit < SMALLEST_LIMIT {
            return Err(Error::Misuse("objects need a record limit of 65,557 bytes"));
        }
        let link = match role {
            Role::Initiator => Link::initiator(config, psk, rng, now),
            Role::Responder => Link::responder(config, psk, rng, now),
        };
        Ok(Self {
            link,
            events: VecDeque::new(),
            error: None,
            established: false,
            closed: false,
        })
    }

    fn fail(&mut self, error: Error) -> Error {
        if let Some(first) = &self.error {
            return first.clone();
        }
        self.error = Some(error.clone());
        self.link.shut();
        self.events.push_back(Event::Closed(Err(error.clone())));
        error
    }

    fn tick(&mut self, now: Instant) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None => self.link.check_time(now).map_err(|error| self.fail(error)),
        }
    }

    fn note_established(&mut self) {
        if self.link.is_confirmed() && !self.established {
            self.established = true;
            self.events.push_back(Event::Established);
        }
    }

    /// The stream ended.
    fn end(&mut self) -> Result<(), Error> {
        if self.closed {
            return Ok(());
        }
        Err(self.fail(Error::peer(
            Class::Eof,
            "the stream ended in the middle of a session",
        )))
    }

    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.events.push_back(Event::Closed(Ok(())));
        }
    }

    fn is_finished(&self) -> bool {
        let over = self.error.is_some() || self.closed;
        over && !self.link.has_output() && self.events.is_empty()
    }
}

/// The start of a blueprint's part: more follow, or it is the last.
const MORE: u8 = 1;
const LAST: u8 = 0;

fn out_of_place() -> Error {
    Error::peer(
        Class::State,
        "a record came that has no place at this point of an object",
    )
}
