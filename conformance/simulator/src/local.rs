//! The memory store instead of the blob service: several writes in flight, no HTTP between.

use crate::Violation;
use crate::actor::direction;
use crate::faults::{Fate, Loss};
use crate::streams::Block;
use crate::world::{Event, World};
use std::collections::BTreeMap;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, FailureKind, Operation, Reply, Request, RequestId, Role};
use stillwire_local::{MemorySession, MemoryStore};

/// An operation on its way to the store.
#[derive(Clone)]
pub(crate) struct Errand {
    key: u64,
    request: Request,
    store: MemoryStore,
    session: Option<MemorySession>,
    /// The block it carries, and whose.
    block: Option<(ConnectionId, Role, Block)>,
    fate: Fate,
    /// The second of two equal ones: nobody hears its answer.
    second: bool,
}

/// Errands whose outcome is waited for.
#[derive(Default)]
pub(crate) struct Errands(BTreeMap<u64, (usize, RequestId, Option<Block>)>);

impl Errands {
    pub(crate) fn forget(&mut self, actor: usize) {
        self.0.retain(|_, (of, _, _)| *of != actor);
    }

    pub(crate) fn under_way(&self, actor: usize) -> usize {
        self.0.values().filter(|(of, _, _)| *of == actor).count()
    }
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "simulated").maybe_landed()
}

impl World {
    /// Starts a try of an operation on the memory store.
    pub(crate) fn send_errand(
        &mut self,
        actor: usize,
        owner: Option<(ConnectionId, Role)>,
        (store, session): (&MemoryStore, Option<&MemorySession>),
        request: &Request,
        block: Option<Block>,
    ) {
        let key = self.network.next();
        let (now, rng, faults) = (self.now, &mut self.rng, &self.scenario.faults);
        let mut fate = faults.errand(now, rng);
        let mut there = faults.latency(rng);
        // A read moves its session's place on; a store in memory never hears of one late.
        if matches!(request.operation, Operation::Read { .. }) {
            if matches!(fate, Fate::Duplicate(_)) {
                fate = Fate::Served;
            }
        } else {
            there += faults.delay(now, rng);
        }
        self.audit.note(&[9, key, there]);
        let line = format!("#{key} {fate:?}");
        self.audit.line(now, || line);
        let errand = Errand {
            key,
            request: request.clone(),
            store: store.clone(),
            session: session.cloned(),
            block: owner
                .zip(block.clone())
                .map(|((id, role), block)| (id, role, block)),
            fate,
            second: false,
        };
        self.network
            .errands
            .0
            .insert(key, (actor, request.id, block));
        let timeout = request.timeout.as_micros() as u64;
        self.at(now + timeout, Event::Expire(key));
        match fate {
            Fate::LostRequest(Loss::Silent) => {}
            Fate::LostRequest(_) => {
                let lost = Failure::new(FailureKind::Unreachable, "simulated");
                self.at(now + there, Event::Back(key, Err(lost)));
            }
            Fate::Duplicate(later) => {
                let second = Errand {
                    second: true,
                    ..errand.clone()
                };
                self.at(now + there, Event::Errand(Box::new(errand)));
                self.at(now + there + later, Event::Errand(Box::new(second)));
            }
            _ => self.at(now + there, Event::Errand(Box::new(errand))),
        }
    }

    /// An operation reaches the store.
    pub(crate) fn perform(&mut self, errand: Errand) {
        let Errand {
            key,
            request,
            store,
            session,
            block,
            fate,
            second,
        } = errand;
        let mut result = Err(failure(FailureKind::Busy));
        if !matches!(fate, Fate::Busy { landed: false, .. }) {
            result = store.perform(session.as_ref(), &request);
            self.audit.note(&[10, u64::from(result.is_ok())]);
            if let (Ok(_), Some((id, role, block))) = (&result, &block) {
                self.streams(*id)[direction(*role)].noted(block);
            }
        }
        let result = match fate {
            Fate::LostReply(Loss::Silent) => return,
            Fate::LostReply(_) => Err(failure(FailureKind::Unreachable)),
            Fate::Busy { .. } => Err(failure(FailureKind::Busy)),
            _ => result,
        };
        if !second {
            let back = self.scenario.faults.latency(&mut self.rng);
            self.at(self.now + back, Event::Back(key, result));
        }
    }

    /// The outcome of an errand, if it is still waited for.
    pub(crate) fn errand_back(
        &mut self,
        key: u64,
        result: Result<Reply, Failure>,
    ) -> Result<(), Violation> {
        match self.network.errands.0.remove(&key) {
            Some((actor, id, block)) => self.reply(actor, id, result, block.as_ref()),
            None => Ok(()),
        }
    }

    /// The time of an errand is up.
    pub(crate) fn expire_errand(&mut self, key: u64) -> Result<(), Violation> {
        self.errand_back(key, Err(failure(FailureKind::TimedOut)))
    }
}
