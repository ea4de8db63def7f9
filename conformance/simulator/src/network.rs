//! Requests on their way: faults, time-outs, and the driver at each end.

use crate::actor::Carrier;
use crate::faults::{Fate, Loss};
use crate::local::Errands;
use crate::service::ACCOUNT;
use crate::service::call::{Call, Response};
use crate::service::sas::Caller;
use crate::streams::Block;
use crate::world::{EPOCH, Event, World};
use crate::{Violation, watch};
use azure_core::http::StatusCode;
use azure_core::http::headers::Headers;
use bytes::Bytes;
use std::collections::BTreeMap;
use stillwire_azure::{AzureExchange, Step, TransportError};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{FailureKind, Operation, Request, RequestId, Role};

/// A request on the wire.
#[derive(Clone)]
pub(crate) struct Message {
    flight: u64,
    step: u32,
    party: usize,
    call: Call,
    fate: Fate,
    /// The block it carries, and whose.
    block: Option<(ConnectionId, Role, Block)>,
    /// The second of two equal ones: nobody hears its answer.
    second: bool,
}

/// A try under way.
struct Flight {
    actor: usize,
    id: RequestId,
    exchange: Box<dyn AzureExchange>,
    step: u32,
    block: Option<Block>,
    /// It makes a session.
    creates: bool,
}

/// Tries under way.
#[derive(Default)]
pub(crate) struct Network {
    flights: BTreeMap<u64, Flight>,
    pub(crate) errands: Errands,
    last: u64,
}

impl Network {
    fn add(&mut self, flight: Flight) -> u64 {
        let key = self.next();
        self.flights.insert(key, flight);
        key
    }

    /// A number that no other try has.
    pub(crate) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Gives up everything that an actor has under way; what is on the wire stays there.
    pub(crate) fn forget(&mut self, actor: usize) {
        self.flights.retain(|_, flight| flight.actor != actor);
        self.errands.forget(actor);
    }

    /// True while a session is being made.
    pub(crate) fn creates(&self) -> bool {
        self.flights.values().any(|flight| flight.creates)
    }

    pub(crate) fn in_flight(&self, actor: usize) -> usize {
        let flights = self.flights.values().filter(|f| f.actor == actor);
        flights.count() + self.errands.under_way(actor)
    }
}

impl World {
    /// Starts a try of an operation.
    pub(crate) fn launch(
        &mut self,
        actor: usize,
        host: usize,
        carrier: &Carrier,
        request: &Request,
        block: Option<Block>,
    ) {
        let begun = match carrier {
            Carrier::Store(store) => store.begin(request, self.unix(host)),
            Carrier::Session(session) => session.begin(request, self.unix(host)),
            Carrier::Memory(..) => return,
        };
        let id = request.id;
        match begun {
            Err(failure) => {
                let result = Err(failure);
                self.at(
                    self.now,
                    Event::Reply {
                        actor,
                        id,
                        result,
                        block,
                    },
                );
            }
            Ok(exchange) => {
                let flight = Flight {
                    actor,
                    id,
                    exchange,
                    step: 0,
                    block,
                    creates: matches!(request.operation, Operation::CreateSession { .. }),
                };
                let key = self.network.add(flight);
                let timeout = request.timeout.as_micros() as u64;
                self.at(self.now + timeout, Event::Expire(key));
                self.at(self.now, Event::Proceed(key));
            }
        }
    }

    /// Sends the next request of a try, or reports its end.
    pub(crate) fn proceed(&mut self, key: u64) -> Result<(), Violation> {
        let Some(flight) = self.network.flights.get(&key) else {
            return Ok(());
        };
        let request = match flight.exchange.step() {
            Step::Send(request) => request,
            Step::Done(result) => {
                let Some(Flight {
                    actor, id, block, ..
                }) = self.network.flights.remove(&key)
                else {
                    return Ok(());
                };
                return self.reply(actor, id, result, block.as_ref());
            }
        };
        let (actor, step) = (flight.actor, flight.step);
        let Some(actor) = self.actors[actor].as_ref() else {
            self.network.flights.remove(&key);
            return Ok(());
        };
        let party = actor.host;
        let block = flight.block.clone();
        let block = block.and_then(|block| actor.connection().map(|(id, role)| (id, role, block)));
        let Some(call) = Call::of(&request, ACCOUNT) else {
            let detail = format!("{:?}", request.url().path());
            return Err(Violation::new("requests go to the account", detail));
        };
        let sort = self.service.sort(&call);
        watch::attempt(party, &sort, &call)?;
        let (now, rng) = (self.now, &mut self.rng);
        let faults = &self.scenario.faults;
        let fate = faults.fate(now, &sort, party > 0, rng);
        let there = faults.latency(rng) + faults.delay(now, rng);
        self.audit.note(&[1, key, u64::from(step), there]);
        self.audit.line(now, || {
            let (verb, name) = (sort.verb, &call.container);
            format!(
                "#{key}.{step} host {party}: {verb} {name}/{} {} bytes, {fate:?}",
                call.blob,
                call.body.len()
            )
        });
        let message = Message {
            flight: key,
            step,
            party,
            call,
            fate,
            block,
            second: false,
        };
        match fate {
            Fate::LostRequest(Loss::Silent) => {}
            Fate::LostRequest(loss) => {
                let answer = Err(loss);
                self.at(
                    now + there,
                    Event::Answer {
                        flight: key,
                        step,
                        answer,
                    },
                );
            }
            Fate::Duplicate(later) => {
                let second = Message {
                    second: true,
                    ..message.clone()
                };
                self.at(now + there, Event::Arrive(Box::new(message)));
                self.at(now + there + later, Event::Arrive(Box::new(second)));
            }
            _ => self.at(now + there, Event::Arrive(Box::new(message))),
        }
        Ok(())
    }

    /// A request reaches the service.
    pub(crate) fn arrive(&mut self, message: Message) -> Result<(), Violation> {
        let Message {
            flight,
            step,
            party,
            call,
            fate,
            block,
            second,
        } = message;
        let served = match fate {
            Fate::Absurd(..) => false,
            Fate::Busy { landed, .. } => landed,
            _ => true,
        };
        let waited_for = self
            .network
            .flights
            .get(&flight)
            .is_some_and(|f| f.step == step);
        let mut response = Response::new(0);
        if served {
            let caller = if party == 0 {
                Caller::Owner
            } else {
                Caller::Stranger
            };
            let creator = self.service.creator(&self.service.sort(&call).place);
            let now = EPOCH * 1_000_000 + self.now;
            let (given, change) = self.service.serve(party, caller, &call, now);
            self.audit
                .note(&[2, u64::from(given.status), given.body.len() as u64]);
            response = given;
            if let Some(change) = change {
                self.strays |= !waited_for || second;
                watch::effect(self, party, creator, &call, &change, block.as_ref())?;
            }
        }
        self.audit.line(self.now, || {
            format!(
                "#{flight}.{step} served: {served}, {} {}",
                response.status,
                response.body.len()
            )
        });
        let answer = match fate {
            Fate::LostReply(loss) => Err(loss),
            Fate::Absurd(status, code) => Ok(self.service.error(status, code)),
            Fate::Busy {
                status,
                code,
                retry_after,
                ..
            } => {
                let busy = self.service.error(status, code);
                Ok(if retry_after {
                    busy.with("retry-after", "1")
                } else {
                    busy
                })
            }
            Fate::Truncated(permille) => {
                let keep = response.body.len() * permille as usize / 1000;
                response.body.truncate(keep);
                Ok(response)
            }
            _ => Ok(response),
        };
        if second || answer == Err(Loss::Silent) {
            return Ok(());
        }
        let back = self.scenario.faults.latency(&mut self.rng);
        self.at(
            self.now + back,
            Event::Answer {
                flight,
                step,
                answer,
            },
        );
        Ok(())
    }

    /// An answer, or the news that there will be none, reaches its asker.
    pub(crate) fn answer(
        &mut self,
        key: u64,
        step: u32,
        answer: Result<Response, Loss>,
    ) -> Result<(), Violation> {
        let Some(flight) = self.network.flights.get_mut(&key) else {
            return Ok(());
        };
        if flight.step != step {
            return Ok(());
        }
        flight.step += 1;
        flight.exchange.handle(match answer {
            Ok(response) => Ok(to_driver(&response)),
            Err(Loss::Refused) => Err(TransportError::unsent(
                FailureKind::Unreachable,
                "connection refused",
            )),
            Err(_) => Err(TransportError::sent(
                FailureKind::Unreachable,
                "connection reset",
            )),
        });
        self.proceed(key)
    }

    /// The time of a try is up.
    pub(crate) fn expire(&mut self, key: u64) -> Result<(), Violation> {
        let Some(flight) = self.network.flights.get_mut(&key) else {
            return self.expire_errand(key);
        };
        flight.step += 1;
        let error = TransportError::sent(FailureKind::TimedOut, "no answer in time");
        flight.exchange.handle(Err(error));
        self.audit.note(&[3, key]);
        self.proceed(key)
    }
}

fn to_driver(response: &Response) -> (StatusCode, Headers, Bytes) {
    let mut headers = Headers::new();
    for (name, value) in &response.headers {
        headers.insert(name.clone(), value.clone());
    }
    (response.status.into(), headers, response.body.clone())
}
