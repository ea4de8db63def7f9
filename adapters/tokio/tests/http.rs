//! The way through HTTP: what a client's errors become, time-outs, body limits, and that no
//! secret is in any of it.
#![cfg(feature = "azure")]

use azure_core::error::{Error as HttpError, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, HttpClient, Request as HttpRequest, StatusCode, Url};
use futures_util::StreamExt;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use stillwire_azure::blob::{BlobStore, Limits, Names};
use stillwire_azure::{Credential, Sas};
use stillwire_core::aznet::ConnectionId;
use stillwire_core::store::{Failure, FailureKind, Operation, Reply, Request, RequestId, Role};
use stillwire_futures::{Azure, Carrier, Grants, Perform};
use stillwire_tokio::{Error, TokioRuntime, http_client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SAS: &str = "sv=2021-12-02&sp=racw&sig=SECRET%3D";

/// Shouts the URL wherever it can: in its text, its `Debug` and its source.
struct Leaky {
    url: String,
    source: Option<io::Error>,
}

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error sending request for url ({})", self.url)
    }
}

impl fmt::Debug for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Leaky {{ url: {:?}, source: {:?} }}",
            self.url, self.source
        )
    }
}

impl std::error::Error for Leaky {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

#[derive(Clone, Copy, Debug)]
enum Does {
    /// Fails like this, with an `io::Error` of this kind inside.
    Fails(Kind, io::ErrorKind),
    /// Never answers.
    Hangs,
    /// Answers, then the body breaks.
    BreaksOff,
    /// A body that never ends, and counts what was taken of it.
    Endless,
    /// So many bytes, without saying so beforehand, in pieces.
    Pieces(usize),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Connection,
    Io,
}

#[derive(Debug)]
struct Fake {
    does: Does,
    taken: Arc<AtomicU64>,
}

#[async_trait::async_trait]
impl HttpClient for Fake {
    async fn execute_request(&self, request: &HttpRequest) -> azure_core::Result<AsyncRawResponse> {
        let url = request.url().to_string();
        assert!(url.contains("SECRET"), "the secret is where it belongs");
        let leaky = |kind| Leaky {
            source: Some(io::Error::new(kind, format!("in flight: {url}"))),
            url: url.clone(),
        };
        let (status, headers) = (StatusCode::from(206), Headers::new());
        match self.does {
            Does::Fails(kind, io) => {
                let kind = match kind {
                    Kind::Connection => ErrorKind::Connection,
                    Kind::Io => ErrorKind::Io,
                };
                Err(HttpError::with_error(kind, leaky(io), format!("to {url}")))
            }
            Does::Hangs => std::future::pending().await,
            Does::BreaksOff => {
                let error = leaky(io::ErrorKind::ConnectionReset);
                let error = HttpError::new(ErrorKind::Io, error);
                let parts = [Ok("some".into()), Err(error)];
                let body = futures_util::stream::iter(parts);
                Ok(AsyncRawResponse::new(status, headers, body.boxed()))
            }
            Does::Endless => {
                let taken = self.taken.clone();
                let body = futures_util::stream::repeat_with(move || {
                    taken.fetch_add(65_536, Ordering::SeqCst);
                    Ok(vec![7; 65_536].into())
                });
                Ok(AsyncRawResponse::new(status, headers, body.boxed()))
            }
            Does::Pieces(total) => {
                let parts: Vec<_> = (0..total)
                    .collect::<Vec<_>>()
                    .chunks(1_000)
                    .map(|part| Ok(part.iter().map(|&n| n as u8).collect::<Vec<_>>().into()))
                    .collect();
                let body = futures_util::stream::iter(parts);
                Ok(AsyncRawResponse::new(status, headers, body.boxed()))
            }
        }
    }
}

fn carrier_at(endpoint: &str, client: Arc<dyn HttpClient>) -> Azure {
    let sas = || Sas::parse(SAS).unwrap();
    let endpoint = Url::parse(endpoint).unwrap();
    let names = Names::default();
    let store = BlobStore::dialer(&endpoint, sas(), sas(), names, Limits::default()).unwrap();
    let runtime = TokioRuntime::current().unwrap();
    Azure::new(Arc::new(store), client, Arc::new(runtime)).unwrap()
}

fn id() -> ConnectionId {
    ConnectionId::from_random([5; 16])
}

fn session_of(carrier: &Azure) -> Arc<dyn Perform> {
    let grants = Grants {
        req: SAS.into(),
        res: SAS.into(),
    };
    carrier.session(id(), Role::Dialer, Some(&grants)).unwrap()
}

fn session(does: Does) -> (Arc<dyn Perform>, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let fake = Fake {
        does,
        taken: taken.clone(),
    };
    let carrier = carrier_at("https://acc.blob.core.windows.net", Arc::new(fake));
    (session_of(&carrier), taken)
}

fn request(operation: Operation) -> Request {
    Request {
        id: RequestId(1),
        operation,
        may_have_landed: false,
        timeout: Duration::from_millis(100),
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

/// Nothing that can be printed of it holds the secret.
fn assert_clean(failure: &Failure) {
    let error = stillwire_tokio::io_error(Error::Store(failure.clone()));
    let mut texts = format!("{failure} {failure:?} {error} {error:?}");
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = next {
        texts = format!("{texts} {error} {error:?}");
        next = error.source();
    }
    assert!(!texts.contains("SECRET"), "{texts}");
    assert!(!failure.detail.contains('\n'), "one line: {texts}");
}

#[tokio::test]
async fn transport_errors_are_told_apart_and_hold_no_secret() {
    use FailureKind::{TimedOut, Tls, Unreachable};
    for (kind, io, expected, landed) in [
        (
            Kind::Connection,
            io::ErrorKind::ConnectionRefused,
            Unreachable,
            false,
        ),
        (Kind::Connection, io::ErrorKind::InvalidData, Tls, false),
        (Kind::Connection, io::ErrorKind::TimedOut, TimedOut, false),
        (Kind::Io, io::ErrorKind::ConnectionReset, Unreachable, true),
        (Kind::Io, io::ErrorKind::TimedOut, TimedOut, true),
    ] {
        let (session, _) = session(Does::Fails(kind, io));
        let failure = session.perform(write()).await.unwrap_err();
        assert_eq!(failure.kind, expected, "{failure:?}");
        assert_eq!(failure.may_have_landed, landed, "{failure:?}");
        assert!(
            failure.detail.contains("acc.blob.core.windows.net"),
            "{failure}"
        );
        assert_clean(&failure);
        let failure = session.perform(read(1_000)).await.unwrap_err();
        assert_eq!(failure.kind, expected);
        assert_clean(&failure);
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_has_its_time_and_no_more() {
    let (session, _) = session(Does::Hangs);
    let begun = tokio::time::Instant::now();
    let failure = session.perform(write()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(failure.may_have_landed);
    assert_eq!(begun.elapsed().as_millis(), 100);
    assert_clean(&failure);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    let (session, _) = session(Does::BreaksOff);
    let failure = session.perform(read(1_000)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
    assert_clean(&failure);
}

#[tokio::test]
async fn a_body_is_read_no_further_than_its_limit() {
    let (session, taken) = session(Does::Endless);
    let limit = 200_000;
    let outcome = session.perform(read(limit)).await;
    if let Ok(Reply::Data { bytes, .. }) = &outcome {
        assert!(bytes.len() <= limit);
    }
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken <= 200_000 + 2 * 65_536, "{taken} bytes taken");
    let (session, _) = self::session(Does::Pieces(150_000));
    match session.perform(read(limit)).await {
        Ok(Reply::Data { bytes, .. }) => {
            let expected: Vec<u8> = (0..150_000_usize).map(|n| n as u8).collect();
            assert_eq!(bytes.len(), expected.len());
            assert!(bytes == expected);
        }
        other => panic!("{other:?}"),
    }
}

/// Answers every connection with the same text, and gives back what was asked.
async fn server(answer: String) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/acc", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 8_192];
        let n = stream.read(&mut asked).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        asked.truncate(n);
        String::from_utf8_lossy(&asked).into_owned()
    });
    (address, task)
}

#[tokio::test]
async fn our_client_sends_what_the_driver_says() {
    let answer = "HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\n\r\nhello";
    let (address, asked) = server(answer.into()).await;
    let carrier = carrier_at(&address, http_client().unwrap());
    match session_of(&carrier).perform(read(1_000)).await {
        Ok(Reply::Data { bytes, .. }) => assert_eq!(&bytes[..], b"hello"),
        other => panic!("{other:?}"),
    }
    let asked = asked.await.unwrap().to_lowercase();
    assert!(asked.starts_with("get /acc/"), "{asked}");
    assert!(asked.contains("range: bytes=0-999"), "{asked}");
    assert!(!asked.contains("accept-encoding"), "{asked}");
}

#[tokio::test]
async fn our_client_follows_no_redirect() {
    let (elsewhere, untouched) = server("HTTP/1.1 200 OK\r\n\r\n".into()).await;
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n");
    let (address, _asked) = server(answer).await;
    let carrier = carrier_at(&address, http_client().unwrap());
    let failure = session_of(&carrier).perform(read(1_000)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(!untouched.is_finished());
    untouched.abort();
}

#[tokio::test]
async fn nobody_listens() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let carrier = carrier_at(
        &format!("http://127.0.0.1:{port}/acc"),
        http_client().unwrap(),
    );
    let mut request = write();
    request.timeout = Duration::from_secs(10);
    let failure = session_of(&carrier).perform(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
    assert!(!failure.may_have_landed, "{failure:?}");
    assert_clean(&failure);
}

#[tokio::test]
async fn a_client_that_hangs_up_early_may_have_taken_the_write() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/acc", listener.local_addr().unwrap());
    let carrier = carrier_at(&address, http_client().unwrap());
    let session = session_of(&carrier);
    let mut request = write();
    request.timeout = Duration::from_secs(10);
    let serve = async {
        // Every try of the client's, should it try again by itself.
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 8_192]).await;
        }
    };
    let failure = tokio::select! {
        outcome = session.perform(request) => outcome.unwrap_err(),
        () = serve => unreachable!(),
    };
    assert!(failure.may_have_landed, "{failure:?}");
    assert_clean(&failure);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/acc", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1_024]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let carrier = carrier_at(&address, http_client().unwrap());
    let mut request = write();
    request.timeout = Duration::from_secs(10);
    let failure = session_of(&carrier).perform(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Tls, "{failure:?}");
    assert!(!failure.may_have_landed);
    assert_clean(&failure);
    server.await.unwrap();
}

#[tokio::test]
async fn a_key_signs_and_is_never_shown() {
    let (address, asked) =
        server("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".into()).await;
    let endpoint = Url::parse(&address).unwrap();
    let credential = Credential::shared_key("acc", "U0VDUkVU").unwrap();
    let store =
        BlobStore::listener(&endpoint, credential, Names::default(), Limits::default()).unwrap();
    let runtime = Arc::new(TokioRuntime::current().unwrap());
    let carrier = Azure::new(Arc::new(store), http_client().unwrap(), runtime).unwrap();
    let printed = format!("{carrier:?}");
    assert!(
        !printed.contains("U0VDUkVU") && !printed.contains("SECRET"),
        "{printed}"
    );
    let failure = carrier
        .perform(request(Operation::Prepare))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
    assert_clean(&failure);
    let asked = asked.await.unwrap().to_lowercase();
    assert!(asked.contains("authorization: sharedkey acc:"), "{asked}");
    assert!(!asked.contains("u0vdukvu"), "{asked}");
}
