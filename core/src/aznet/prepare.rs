//! The meeting place, made without listening: tickets work from then on, for a listener to come.

use super::config::Config;
use super::retry::{Ids, Task};
use crate::error::Error;
use crate::machine::{Input, Machine, Output};
use crate::store::{Operation, Reply};
use crate::time::Instant;

/// How it went: the only event there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrepareEvent {
    /// The bootstrap is in place.
    Ready {
        /// True when it was not there before.
        created: bool,
    },
    /// It could not be made.
    Failed(Error),
}

/// Makes the bootstrap, over as many tries as it takes within the retry window.
pub struct Prepare {
    config: Config,
    ids: Ids,
    task: Option<Task>,
    event: Option<PrepareEvent>,
}

impl Prepare {
    /// Starts at once.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            config,
            ids: Ids::default(),
            task: Some(Task::new(Operation::Prepare, now)),
            event: None,
        }
    }

    /// True when its event was given out.
    pub fn is_finished(&self) -> bool {
        self.task.is_none() && self.event.is_none()
    }
}

impl Machine for Prepare {
    type Event = PrepareEvent;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        let (id, result) = match input {
            Input::Reply(id, result) => (id, result),
            Input::Time => return Ok(()),
            _ => return Err(Error::Misuse("preparing is fed by store replies")),
        };
        let Some(mut task) = self.task.take_if(|task| task.is(id)) else {
            return Ok(());
        };
        self.event = Some(match result {
            Ok(Reply::Prepared { created }) => PrepareEvent::Ready { created },
            Ok(_) => PrepareEvent::Failed(Error::Misuse("the reply does not answer the request")),
            Err(failure) => match task.failed(now, &self.config, failure) {
                Ok(()) => {
                    self.task = Some(task);
                    return Ok(());
                }
                Err(failure) => PrepareEvent::Failed(Error::Store(failure)),
            },
        });
        Ok(())
    }

    fn poll(&mut self, now: Instant) -> Output<PrepareEvent> {
        if let Some(event) = self.event.take() {
            return Output::Event(event);
        }
        let timeout = self.config.request_timeout;
        let Some(task) = &mut self.task else {
            return Output::Wait(None);
        };
        match task.start(now, &mut self.ids, timeout) {
            Some(request) => Output::Store(request),
            None => Output::Wait(task.deadline()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Failure, FailureKind, Request};

    fn asked(machine: &mut Prepare, now: Instant) -> Request {
        match machine.poll(now) {
            Output::Store(request) => request,
            output => panic!("{output:?}"),
        }
    }

    fn answer(machine: &mut Prepare, now: Instant, result: Result<Reply, Failure>) {
        let id = asked(machine, now).id;
        machine.handle(now, Input::Reply(id, result)).unwrap();
    }

    #[test]
    fn a_busy_store_is_asked_again_and_told_that_a_try_may_have_landed() {
        let mut now = Instant::ZERO;
        let mut machine = Prepare::new(Config::default(), now);
        let busy = Failure::new(FailureKind::Busy, "503").maybe_landed();
        answer(&mut machine, now, Err(busy));
        let Output::Wait(Some(next)) = machine.poll(now) else {
            panic!("no pause");
        };
        assert!(next > now);
        now = next;
        let request = asked(&mut machine, now);
        assert!(request.may_have_landed);
        let reply = Ok(Reply::Prepared { created: false });
        machine
            .handle(now, Input::Reply(request.id, reply))
            .unwrap();
        let ready = PrepareEvent::Ready { created: false };
        assert!(matches!(machine.poll(now), Output::Event(event) if event == ready));
        assert!(machine.is_finished());
        assert!(matches!(machine.poll(now), Output::Wait(None)));
    }

    #[test]
    fn a_refusal_is_final() {
        let now = Instant::ZERO;
        let mut machine = Prepare::new(Config::default(), now);
        let denied = Failure::new(FailureKind::Denied, "403");
        answer(&mut machine, now, Err(denied.clone()));
        let failed = PrepareEvent::Failed(Error::Store(denied));
        assert!(matches!(machine.poll(now), Output::Event(event) if event == failed));
        assert!(machine.is_finished());
    }

    #[test]
    fn a_reply_to_nothing_and_misuse_change_nothing() {
        let now = Instant::ZERO;
        let mut machine = Prepare::new(Config::default(), now);
        let id = asked(&mut machine, now).id;
        let other = crate::store::RequestId(id.0 + 1);
        machine
            .handle(now, Input::Reply(other, Ok(Reply::Done)))
            .unwrap();
        assert!(machine.handle(now, Input::Bytes(b"x")).is_err());
        assert!(matches!(machine.poll(now), Output::Wait(None)));
        assert!(!machine.is_finished());
    }
}
