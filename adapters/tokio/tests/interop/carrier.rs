//! Carriers in our own hands: operations that no application makes, and grants that none sees.

use crate::Emulator;
use crate::go::{ACCOUNT, KEY};
use azure_core::http::HttpClient;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use stillwire_azure::blob::{self, BlobStore};
use stillwire_azure::queue::{self, QueueStore};
use stillwire_azure::table::{self, TableStore};
use stillwire_azure::{AzureStore, Credential, Names, Sas, Service};
use stillwire_core::aznet::wire::url::ConnectionUrl;
use stillwire_core::aznet::{Config, Connected, Dialer, DialerEvent, DialerSecurity};
use stillwire_core::store::{Operation, Request, RequestId};
use stillwire_core::{Input, Instant, Machine, Output};
use stillwire_futures::{Azure, Carrier, Perform};
use stillwire_tokio::{TokioRuntime, http_client};

pub(crate) fn request(operation: Operation) -> Request {
    Request {
        id: RequestId(1),
        operation,
        may_have_landed: false,
        timeout: Duration::from_secs(60),
    }
}

pub(crate) fn azure(store: Arc<dyn AzureStore>, client: Arc<dyn HttpClient>) -> Arc<Azure> {
    let runtime = Arc::new(TokioRuntime::new(tokio::runtime::Handle::current()));
    Arc::new(Azure::new(store, client, runtime).unwrap())
}

pub(crate) fn names(emulator: &Emulator) -> Names {
    Names::new(emulator.handshake(), emulator.token()).unwrap()
}

/// A listener's carrier, with the account's key.
pub(crate) fn carrier(emulator: &Emulator) -> Arc<Azure> {
    carrier_at(emulator, names(emulator), http_client().unwrap())
}

/// The same with other names, or over another client.
pub(crate) fn carrier_at(
    emulator: &Emulator,
    names: Names,
    client: Arc<dyn HttpClient>,
) -> Arc<Azure> {
    let at = emulator.endpoint.parse().unwrap();
    let key = Credential::shared_key(ACCOUNT, KEY).unwrap();
    let store: Arc<dyn AzureStore> = match emulator.service() {
        Service::Blob => {
            Arc::new(BlobStore::listener(&at, key, names, blob::Limits::default()).unwrap())
        }
        Service::Queue => {
            Arc::new(QueueStore::listener(&at, key, names, queue::Limits::default()).unwrap())
        }
        Service::Table => {
            Arc::new(TableStore::listener(&at, key, names, table::Limits::default()).unwrap())
        }
    };
    azure(store, client)
}

/// A ticket's pieces.
pub(crate) fn ticket_of(emulator: &Emulator, url: &str) -> ConnectionUrl {
    ConnectionUrl::parse_named(url, &emulator.handshake(), &emulator.token()).unwrap()
}

/// A dialer's carrier, with a ticket's two SAS.
fn dialing(emulator: &Emulator, ticket: &ConnectionUrl) -> Arc<Azure> {
    let at = emulator.endpoint.parse().unwrap();
    let handshake = Sas::parse(&ticket.handshake).unwrap();
    let token = Sas::parse(&ticket.token).unwrap();
    let names = names(emulator);
    let store: Arc<dyn AzureStore> = match emulator.service() {
        Service::Blob => Arc::new(
            BlobStore::dialer(&at, handshake, token, names, blob::Limits::default()).unwrap(),
        ),
        Service::Queue => Arc::new(
            QueueStore::dialer(&at, handshake, token, names, queue::Limits::default()).unwrap(),
        ),
        Service::Table => Arc::new(
            TableStore::dialer(&at, handshake, token, names, table::Limits::default()).unwrap(),
        ),
    };
    azure(store, http_client().unwrap())
}

/// Another one each time: the seed makes the connection's id, which one emulator takes only once.
fn seed() -> [u8; 32] {
    let nanos = UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let mut seed = [9; 32];
    seed[..16].copy_from_slice(&nanos.to_le_bytes());
    seed
}

/// Dials by hand, to get at the grants that the listener gives.
pub(crate) async fn connect(emulator: &Emulator, url: &str) -> Connected {
    let carrier = dialing(emulator, &ticket_of(emulator, url));
    let start = std::time::Instant::now();
    let clock = || Instant::from_micros(start.elapsed().as_micros() as u64);
    let mut dialer = Dialer::new(
        Config::default(),
        carrier.profile(),
        &DialerSecurity::Nn,
        seed(),
        clock(),
    );
    loop {
        match dialer.poll(clock()) {
            Output::Store(request) => {
                let id = request.id;
                let outcome = carrier.perform(request).await;
                dialer.handle(clock(), Input::Reply(id, outcome)).unwrap();
            }
            Output::Event(DialerEvent::Connected(connected)) => return *connected,
            Output::Event(DialerEvent::Failed(error)) => panic!("{error}"),
            Output::Wait(until) => {
                let pause = until.unwrap().since(clock());
                tokio::time::sleep(pause).await;
            }
            _ => unreachable!(),
        }
    }
}
