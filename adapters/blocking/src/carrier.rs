//! Requests whose HTTP client blocks, each on a thread that may.

use crate::threads::Threads;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use std::sync::Arc;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, FailureKind, Profile, Request, Role};
use stillwire_futures::{Carrier, Grants, Outcome, Perform, Runtime};

/// A carrier whose futures are ready at their first poll, because everything in them blocks.
pub(crate) struct OnThreads<C: ?Sized> {
    carrier: Arc<C>,
    threads: Threads,
}

impl OnThreads<dyn Carrier> {
    pub(crate) fn new(carrier: Arc<dyn Carrier>, threads: Threads) -> Self {
        Self { carrier, threads }
    }
}

fn perform<C: Perform + ?Sized>(
    carrier: &Arc<C>,
    threads: &Threads,
    request: Request,
) -> BoxFuture<'static, Outcome> {
    let timeout = request.timeout;
    let carrier = carrier.clone();
    let work = threads.call(move || carrier.perform(request).now_or_never());
    let time = threads.sleep(timeout);
    async move {
        let failed = |kind, detail: &str| Err(Failure::new(kind, detail).maybe_landed());
        match select(work, time).await {
            Either::Left((Some(Some(outcome)), _)) => outcome,
            Either::Left((Some(None), _)) => {
                failed(FailureKind::Io, "the HTTP client does not block")
            }
            Either::Left((None, _)) => failed(FailureKind::Io, "no thread did the work"),
            // The thread ends with the client's own time-outs.
            Either::Right(_) => {
                let secs = timeout.as_secs_f32();
                failed(FailureKind::TimedOut, &format!("no answer within {secs} s"))
            }
        }
    }
    .boxed()
}

impl Perform for OnThreads<dyn Carrier> {
    fn perform(&self, request: Request) -> BoxFuture<'static, Outcome> {
        perform(&self.carrier, &self.threads, request)
    }
}

impl Perform for OnThreads<dyn Perform> {
    fn perform(&self, request: Request) -> BoxFuture<'static, Outcome> {
        perform(&self.carrier, &self.threads, request)
    }
}

impl Carrier for OnThreads<dyn Carrier> {
    fn profile(&self) -> Profile {
        self.carrier.profile()
    }

    fn session(
        &self,
        id: ConnectionId,
        role: Role,
        grants: Option<&Grants>,
    ) -> Result<Arc<dyn Perform>, Failure> {
        let session: OnThreads<dyn Perform> = OnThreads {
            carrier: self.carrier.session(id, role, grants)?,
            threads: self.threads.clone(),
        };
        Ok(Arc::new(session))
    }
}
