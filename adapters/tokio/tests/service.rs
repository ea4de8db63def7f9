//! What a listener that is left running meets: keys that change, applications that do not let go,
//! logs in which sessions must be found.
#![cfg(feature = "azure")]

mod common;

use azure_core::http::headers::{AUTHORIZATION, HeaderName, HeaderValue, Headers};
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request as HttpRequest, StatusCode};
use common::{config, memory, pair};
use futures_util::StreamExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stillwire_azure::blob::{self, BlobStore};
use stillwire_azure::queue::{self, QueueStore};
use stillwire_azure::shared_key::authorization;
use stillwire_azure::table::{self, TableStore};
use stillwire_azure::{AccountKey, AzureStore, Credential, Names, Service};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{FailureKind, Operation, Reply, Request, RequestId, Role};
use stillwire_futures::{Azure, Carrier, Options, Perform, Platform, Store};
use stillwire_tokio::{Config, Error, TokioRuntime};
use tokio::io::AsyncReadExt;

const ACCOUNT: &str = "acc";
const OLD: &str = "b2xkIGtleQ==";
const NEW: &str = "bmV3IGtleQ==";

const SERVICES: [Service; 3] = [Service::Blob, Service::Queue, Service::Table];

/// How tables refuse a credential, whatever was asked for, and with no header that says so.
const REFUSED_BY_TABLES: &str = "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\
     <m:error xmlns:m=\"http://schemas.microsoft.com/ado/2007/08/dataservices/metadata\">\
     <m:code>AuthenticationFailed</m:code><m:message xml:lang=\"en-US\">Server failed to \
     authenticate the request.</m:message></m:error>";

/// A service in a few lines: it lets in whoever signs with its present key, and says yes.
#[derive(Debug)]
struct Account {
    service: Service,
    key: Mutex<&'static str>,
    listed: AtomicU64,
    refused: AtomicU64,
    /// Path and body of each request, with what it says it is about.
    about: Mutex<Vec<(String, Option<String>)>>,
}

impl Account {
    fn new(service: Service) -> Arc<Self> {
        Arc::new(Self {
            service,
            key: Mutex::new(OLD),
            listed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            about: Mutex::default(),
        })
    }

    fn answer(&self, request: &HttpRequest) -> (u16, Vec<(&'static str, &'static str)>, String) {
        let mut signed = Headers::new();
        let mut shown = None;
        for (name, value) in request.headers().iter() {
            if *name == AUTHORIZATION {
                shown = Some(value.as_str().to_owned());
            } else {
                signed.insert(name.clone(), value.clone());
            }
        }
        let Body::Bytes(body) = request.body() else {
            panic!("bodies are bytes");
        };
        let key = AccountKey::parse(*self.key.lock().unwrap()).unwrap();
        let expected = authorization(
            self.service,
            ACCOUNT,
            &key,
            request.method(),
            request.url(),
            &signed,
            body.len() as u64,
        );
        let about = HeaderName::from_static("x-ms-client-request-id");
        let about = request
            .headers()
            .get_optional_str(&about)
            .map(str::to_owned);
        let path = request.url().path();
        let what = format!("{path} {}", String::from_utf8_lossy(body));
        self.about.lock().unwrap().push((what, about));
        if shown != Some(expected) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            let code = ("x-ms-error-code", "AuthenticationFailed");
            return match self.service {
                Service::Table => (403, Vec::new(), REFUSED_BY_TABLES.to_owned()),
                _ => (403, vec![code], String::new()),
            };
        }
        let reads = request.method() == azure_core::http::Method::Get;
        let (lists, none) = match self.service {
            Service::Blob => (
                request
                    .url()
                    .query()
                    .is_some_and(|q| q.contains("comp=list")),
                "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>",
            ),
            Service::Queue => (reads && path.ends_with("/messages"), "<QueueMessagesList/>"),
            Service::Table => (reads, "{\"value\":[]}"),
        };
        if lists {
            self.listed.fetch_add(1, Ordering::SeqCst);
            return (200, Vec::new(), none.to_owned());
        }
        let status = match request.method() {
            azure_core::http::Method::Get => 200,
            azure_core::http::Method::Delete if self.service == Service::Blob => 202,
            azure_core::http::Method::Delete => 204,
            // It knows no transactions.
            _ if path.ends_with("/$batch") => 501,
            _ => 201,
        };
        (status, Vec::new(), String::new())
    }
}

#[derive(Debug)]
struct Client(Arc<Account>);

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn execute_request(&self, request: &HttpRequest) -> azure_core::Result<AsyncRawResponse> {
        let (status, head, body) = self.0.answer(request);
        let mut headers = Headers::new();
        for (name, value) in head {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let body = futures_util::stream::iter([Ok(body.into())]);
        Ok(AsyncRawResponse::new(
            StatusCode::from(status),
            headers,
            body.boxed(),
        ))
    }
}

fn platform(account: &Arc<Account>) -> Platform {
    let runtime = TokioRuntime::new(tokio::runtime::Handle::current());
    Platform::new(runtime).with_http(Arc::new(Client(account.clone())))
}

/// A store whose key is looked up where `key` is.
fn store(service: Service, key: &Arc<Mutex<&'static str>>) -> Store {
    let key = key.clone();
    let options = Options {
        environment: Arc::new(move |name| match name {
            "AZURE_STORAGE_ACCOUNT" => Some(ACCOUNT.to_owned()),
            "AZURE_STORAGE_KEY" => Some((*key.lock().unwrap()).to_owned()),
            _ => None,
        }),
        ..Options::default()
    };
    Store::from_address(&format!("az{service}+http://127.0.0.1:1/acc"), &options).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_needs_no_restart() {
    for service in SERVICES {
        the_key_is_rotated(service).await;
    }
}

async fn the_key_is_rotated(service: Service) {
    let account = Account::new(service);
    let held = Arc::new(Mutex::new(OLD));
    let store = store(service, &held);
    let platform = platform(&account);
    let listening = store.listen(&platform, Config::default());
    let (mut listener, old_ticket) = listening.await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = account.listed.load(Ordering::SeqCst);
    assert!(before >= 4, "{service}: {before}");

    // First the service's key changes, and some time later the place it is looked up in.
    *account.key.lock().unwrap() = NEW;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(account.listed.load(Ordering::SeqCst), before);
    assert!(account.refused.load(Ordering::SeqCst) >= 5);
    *held.lock().unwrap() = NEW;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = account.listed.load(Ordering::SeqCst);
    assert!(after > before + 5, "{service}: {before}, then {after}");
    let refused = account.refused.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(account.refused.load(Ordering::SeqCst), refused);

    // What is signed from now on is signed with the new key.
    let new_ticket = store.ticket().unwrap().to_string();
    assert_ne!(new_ticket, old_ticket.to_string());
    let accepting = tokio::time::timeout(Duration::from_secs(1), listener.accept());
    assert!(accepting.await.is_err(), "it still listens");
    listener.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_that_stays_refused_ends_the_listener_in_the_end() {
    for service in SERVICES {
        let account = Account::new(service);
        let held = Arc::new(Mutex::new(OLD));
        let (store, platform) = (store(service, &held), platform(&account));
        let listening = store.listen(&platform, Config::default());
        let (mut listener, _) = listening.await.unwrap();
        *account.key.lock().unwrap() = NEW;
        let error = listener.accept().await.unwrap_err();
        let Error::Store(failure) = error else {
            panic!("{error}");
        };
        assert_eq!(failure.kind, FailureKind::Denied, "{service}");
        let told = failure.detail;
        for words in [
            "the key is not that of account",
            "(HTTP 403 AuthenticationFailed)",
        ] {
            assert!(told.contains(words), "{service}: {told}");
        }
    }
}

/// A listener's store, at the end of a client of ours.
fn carrier(account: &Arc<Account>) -> Azure {
    let at = "http://127.0.0.1:1/acc".parse().unwrap();
    let (key, names) = (
        Credential::shared_key(ACCOUNT, OLD).unwrap(),
        Names::default(),
    );
    let store: Arc<dyn AzureStore> = match account.service {
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
    let client = Arc::new(Client(account.clone()));
    let runtime = Arc::new(TokioRuntime::new(tokio::runtime::Handle::current()));
    Azure::new(store, client, runtime).unwrap()
}

#[tokio::test]
async fn every_request_about_a_session_names_it_for_the_logs() {
    for (service, chunks, requests, what) in [
        (Service::Blob, 1, 4, "a container, two blobs, a block"),
        (Service::Queue, 1, 3, "two queues, a message"),
        (
            Service::Table,
            2,
            7,
            "two tables, their marks, a transaction, two rows",
        ),
    ] {
        let account = Account::new(service);
        let carrier = carrier(&account);
        let id = ConnectionId::from_random([7; 16]);
        let request = |operation| Request {
            id: RequestId(1),
            operation,
            may_have_landed: false,
            timeout: Duration::from_secs(5),
        };
        let mark = [1; 16];
        let created = carrier.perform(request(Operation::CreateSession { id, mark }));
        assert!(matches!(created.await, Ok(Reply::Session { .. })));
        let session = carrier.session(id, Role::Listener, None).unwrap();
        let write = Operation::Write {
            sequence: 0,
            chunks: vec![20; chunks],
            bytes: [[0, 0, 0, 16].as_slice(), &[0; 16]]
                .concat()
                .repeat(chunks)
                .into(),
        };
        assert_eq!(session.perform(request(write)).await, Ok(Reply::Done));
        let list = Operation::ListHandshakes {
            after: None,
            limit: 1,
        };
        carrier.perform(request(list)).await.unwrap();
        let about = account.about.lock().unwrap().clone();
        let text = id.to_string();
        let plain = text.replace('-', "");
        let (of_session, others): (Vec<_>, Vec<_>) = about
            .iter()
            .partition(|(place, _)| place.contains(&text) || place.contains(&plain));
        assert_eq!(of_session.len(), requests, "{what}: {about:?}");
        for (place, about) in of_session {
            assert_eq!(about.as_deref(), Some(&*text), "{place}");
        }
        assert_eq!(others.len(), 1, "{service}");
        let about = others[0].1.as_deref();
        assert_ne!(about, Some(&*text), "a listing is about nobody");
        assert_eq!(account.refused.load(Ordering::SeqCst), 0, "{service}");
    }
}

#[tokio::test]
async fn what_a_request_is_about_is_signed_but_over_tables() {
    for service in SERVICES {
        let url = "http://127.0.0.1:1/acc/place".parse().unwrap();
        let key = AccountKey::parse(OLD).unwrap();
        let signature = |about: &'static str| {
            let mut headers = Headers::new();
            headers.insert("x-ms-date", "Mon, 11 Jan 2027 08:00:27 GMT");
            headers.insert("x-ms-client-request-id", about);
            let verb = azure_core::http::Method::Get;
            authorization(service, ACCOUNT, &key, verb, &url, &headers, 0)
        };
        let same = signature("one") == signature("another");
        assert_eq!(same, service == Service::Table, "{service}");
    }
}

#[tokio::test]
async fn stopping_within_a_time_drops_what_is_still_open() {
    let place = memory();
    let mut pair = pair(&place, config()).await;
    let monitor = pair.listener.monitor();
    assert_eq!(monitor.connections(), 1);
    // The application neither ends nor drops its connection.
    let stopping = pair.listener.stop_within(Duration::from_millis(50));
    let stopped = tokio::time::timeout(Duration::from_secs(30), stopping).await;
    stopped
        .expect("it does not wait for the application")
        .unwrap();
    assert_eq!(monitor.connections(), 0);
    let mut rest = Vec::new();
    assert!(pair.accepted.read_to_end(&mut rest).await.is_err());
    assert!(rest.is_empty());
    drop(pair.dialed);
}

#[tokio::test]
async fn a_stop_that_waits_for_a_dialer_ends_when_its_connections_are_cut_off() {
    let place = common::directory();
    let mut pair = pair(&place, config()).await;
    let monitor = pair.listener.monitor();
    pair.accepted.close_write().await.unwrap();
    drop(pair.accepted);
    let mut stopping = std::pin::pin!(pair.listener.stop());
    let waited = tokio::time::timeout(Duration::from_millis(500), &mut stopping).await;
    assert!(waited.is_err(), "the dialer has not ended its direction");
    monitor.cut_off();
    stopping.await.unwrap();
    let mut left = place.store.sweep(config(), Duration::ZERO, true).unwrap();
    let only = left.next().await.unwrap();
    assert_eq!(only, stillwire_tokio::SweepEvent::Finished(Ok(())));
    drop(pair.dialed);
}

#[tokio::test]
async fn stopping_waits_for_what_is_still_open() {
    let place = memory();
    let pair = pair(&place, config()).await;
    let stopping = tokio::time::timeout(Duration::from_secs(1), pair.listener.stop());
    assert!(stopping.await.is_err());
    drop((pair.accepted, pair.dialed));
}

#[tokio::test]
async fn a_listener_that_follows_another_finds_nothing_left() {
    let place = common::directory();
    for _ in 0..2 {
        let pair = pair(&place, config()).await;
        drop((pair.accepted, pair.dialed));
        pair.listener.stop().await.unwrap();
        let mut left = place.store.sweep(config(), Duration::ZERO, true).unwrap();
        let only = left.next().await.unwrap();
        assert_eq!(only, stillwire_tokio::SweepEvent::Finished(Ok(())));
    }
}
