//! What happens to a request on its way to the service and back.

use crate::rng::Rng;
use crate::service::Sort;

/// How often what goes wrong, in thousandths, and how long the way is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// From this instant on (µs) nothing goes wrong any more.
    pub(crate) until: u64,
    /// The way there and the way back, each (µs).
    pub(crate) latency: (u64, u64),
    pub(crate) lost_request: u32,
    pub(crate) lost_reply: u32,
    pub(crate) duplicate: u32,
    pub(crate) slow: u32,
    /// How slow (µs).
    pub(crate) slowness: u64,
    pub(crate) busy: u32,
    pub(crate) truncated: u32,
    /// Answers that make no sense at that moment: 403, 404, 409, 412, 416.
    pub(crate) absurd: u32,
    /// Until then (µs) a dialer finds nothing where its session's stream is to be, as with a
    /// listener that posts the token first.
    pub(crate) late_blobs: u64,
}

/// How a request or its reply is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing comes back at all.
    Silent,
    /// No connection could be made: certainly nothing went out.
    Refused,
    /// The connection broke.
    Reset,
}

/// The fate of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Served,
    LostRequest(Loss),
    LostReply(Loss),
    /// Served twice, the second time so much later (µs).
    Duplicate(u64),
    /// 500 or 503, with or without having taken effect.
    Busy {
        status: u16,
        code: &'static str,
        landed: bool,
        retry_after: bool,
    },
    /// A read whose body ends early, at so many thousandths.
    Truncated(u64),
    /// An answer of the service that is not true.
    Absurd(u16, &'static str),
}

impl Faults {
    pub(crate) fn latency(&self, rng: &mut Rng) -> u64 {
        rng.range(self.latency.0, self.latency.1)
    }

    /// Extra time on the way there (µs).
    pub(crate) fn delay(&self, now: u64, rng: &mut Rng) -> u64 {
        if now < self.until && rng.chance(self.slow) {
            rng.range(0, self.slowness)
        } else {
            0
        }
    }

    /// What may happen to any operation on any store.
    pub(crate) fn errand(&self, now: u64, rng: &mut Rng) -> Fate {
        if now >= self.until {
            return Fate::Served;
        }
        let loss = |rng: &mut Rng| rng.pick(&[Loss::Silent, Loss::Reset, Loss::Reset]);
        if rng.chance(self.lost_request) {
            let refused = rng.chance(300);
            return Fate::LostRequest(if refused { Loss::Refused } else { loss(rng) });
        }
        if rng.chance(self.lost_reply) {
            return Fate::LostReply(loss(rng));
        }
        if rng.chance(self.duplicate) {
            return Fate::Duplicate(rng.range(0, self.slowness));
        }
        if rng.chance(self.busy) {
            let (status, code) = rng.pick(&[
                (500, "InternalError"),
                (500, "OperationTimedOut"),
                (503, "ServerBusy"),
            ]);
            return Fate::Busy {
                status,
                code,
                landed: rng.chance(400),
                retry_after: rng.chance(200),
            };
        }
        Fate::Served
    }

    pub(crate) fn fate(&self, now: u64, sort: &Sort, dialer: bool, rng: &mut Rng) -> Fate {
        if dialer && now < self.late_blobs && sort.stream {
            return Fate::Absurd(404, sort.missing);
        }
        if now >= self.until {
            return Fate::Served;
        }
        let common = self.errand(now, rng);
        if common != Fate::Served {
            return common;
        }
        if sort.reads && rng.chance(self.truncated) {
            return Fate::Truncated(rng.below(1000));
        }
        if rng.chance(self.absurd) {
            let (status, code) = rng.pick(sort.absurd);
            return Fate::Absurd(status, code);
        }
        Fate::Served
    }
}
