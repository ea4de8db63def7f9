//! The HTTP clients of all adapters: what they send, what their errors become, and that no secret
//! is in any of it.

mod plain;
mod server;
mod tls;

use azure_core::http::Url;
use std::sync::Arc;
use std::time::Duration;
use stillwire_azure::blob::{BlobStore, Limits};
use stillwire_azure::{Names, Sas};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, Operation, Request, RequestId, Role};
use stillwire_futures::{Azure, Carrier, Error, Grants, Outcome, Perform, io_error};
use stillwire_scenarios::Adapter;

const SAS: &str = "sv=2021-12-02&sp=racw&sig=SECRET%3D";

/// Each test for each adapter.
macro_rules! each {
    ($($name:ident),* $(,)?) => {
        each! { @ tokio [$($name)*] }
        each! { @ async_std [$($name)*] }
        each! { @ smol [$($name)*] }
        each! { @ blocking [$($name)*] }
    };
    (@ $adapter:ident [$($name:ident)*]) => {
        mod $adapter {
            $(#[test]
            fn $name() {
                super::$name(&stillwire_scenarios::adapters::$adapter::Runs);
            })*
        }
    };
}
pub(crate) use each;

/// The carrier of a dialer's store, and its session.
fn session(adapter: &dyn Adapter, endpoint: &str) -> Arc<dyn Perform> {
    let sas = || Sas::parse(SAS).unwrap();
    let endpoint = Url::parse(endpoint).unwrap();
    let store =
        BlobStore::dialer(&endpoint, sas(), sas(), Names::default(), Limits::default()).unwrap();
    let client = adapter.http().unwrap();
    let carrier = Azure::new(Arc::new(store), client, adapter.runtime()).unwrap();
    let grants = Grants {
        req: SAS.into(),
        res: SAS.into(),
    };
    let id = ConnectionId::from_random([5; 16]);
    carrier.session(id, Role::Dialer, Some(&grants)).unwrap()
}

fn request(operation: Operation) -> Request {
    Request {
        id: RequestId(1),
        operation,
        may_have_landed: false,
        timeout: Duration::from_secs(30),
    }
}

fn read(limit: usize) -> Request {
    request(Operation::Read { sequence: 0, limit })
}

fn write() -> Request {
    request(Operation::Write {
        sequence: 0,
        chunks: vec![20],
        bytes: vec![1; 20].into(),
    })
}

fn perform(adapter: &dyn Adapter, session: &Arc<dyn Perform>, request: Request) -> Outcome {
    let (session, request) = (session.clone(), request);
    adapter.wait(Box::pin(async move { session.perform(request).await }))
}

/// Nothing that can be printed of it holds the secret.
fn assert_clean(failure: &Failure) {
    let error = io_error(Error::Store(failure.clone()));
    let mut texts = format!("{failure} {failure:?} {error} {error:?}");
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = next {
        texts = format!("{texts} {error} {error:?}");
        next = error.source();
    }
    assert!(
        !texts.contains("SECRET") && !texts.contains("sig="),
        "{texts}"
    );
    assert!(!failure.detail.contains('\n'), "one line: {texts}");
}
