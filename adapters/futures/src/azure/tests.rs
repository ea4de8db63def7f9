//! What follows from a key that is refused.

use super::{Reload, Sender, http};
use crate::runtime::Runtime;
use azure_core::http::{AsyncRawResponse, HttpClient, Request as HttpRequest};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use stillwire_azure::{AzureExchange, Outcome, Step};
use stillwire_core::Instant;
use stillwire_core::store::{Failure, FailureKind, Operation, Request, RequestId};

struct AtOnce;

impl Runtime for AtOnce {
    fn spawn(&self, _: BoxFuture<'static, ()>) {}

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        pending().boxed()
    }

    fn now(&self) -> Instant {
        Instant::ZERO
    }

    fn unblock(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        work();
        ready(()).boxed()
    }
}

#[derive(Debug)]
struct Offline;

#[async_trait::async_trait]
impl HttpClient for Offline {
    async fn execute_request(&self, _: &HttpRequest) -> azure_core::Result<AsyncRawResponse> {
        pending().await
    }
}

/// An exchange of several steps, the last of which was refused.
struct Refused;

impl AzureExchange for Refused {
    fn step(&self) -> Step {
        Step::Done(Err(
            Failure::new(FailureKind::Denied, "another key").maybe_landed()
        ))
    }

    fn body_limit(&self) -> usize {
        0
    }

    fn handle(&mut self, _: Outcome) {}
}

fn sender(again: impl Fn(&AtomicU64) + Send + Sync + 'static) -> Sender {
    let changes = Arc::new(AtomicU64::new(0));
    let counted = changes.clone();
    Sender {
        pipeline: Arc::new(http::pipeline(Arc::new(Offline), Vec::new())),
        runtime: Arc::new(AtOnce),
        reload: Some(Reload {
            again: Arc::new(move || again(&counted)),
            changes,
        }),
    }
}

fn begin(sender: &Sender) -> BoxFuture<'static, crate::carrier::Outcome> {
    let request = Request {
        id: RequestId(1),
        operation: Operation::Prepare,
        may_have_landed: false,
        timeout: Duration::from_secs(1),
    };
    sender.perform(Ok(Box::new(Refused)), request, None)
}

fn end(begun: BoxFuture<'static, crate::carrier::Outcome>) -> Failure {
    begun.now_or_never().unwrap().unwrap_err()
}

#[test]
fn all_that_a_changed_key_refused_are_tried_again_not_only_the_first() {
    // It is found changed once.
    let sender = sender(|changes| {
        let _ = changes.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
    });
    let (first, second) = (begin(&sender), begin(&sender));
    for begun in [first, second] {
        let failure = end(begun);
        assert_eq!(failure.kind, FailureKind::Busy);
        assert!(failure.may_have_landed, "its earlier steps may have");
    }
    // With the new key there is nothing more to hope for.
    assert_eq!(end(begin(&sender)).kind, FailureKind::Denied);
}

#[test]
fn a_key_that_is_the_same_as_before_is_refused_for_good() {
    let sender = sender(|_| {});
    assert_eq!(end(begin(&sender)).kind, FailureKind::Denied);
}
