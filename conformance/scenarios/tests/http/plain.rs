//! Over plain HTTP.

use crate::server::{answer, server};
use crate::{SAS, assert_clean, each, perform, read, request, session, write};
use azure_core::http::Url;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use stillwire_azure::blob::{BlobStore, Limits};
use stillwire_azure::{Credential, Names};
use stillwire_core::store::{FailureKind, Operation, Reply};
use stillwire_futures::{Azure, Config, Error, Options, Perform};
use stillwire_scenarios::{Adapter, Place};

each!(
    it_sends_what_the_driver_says,
    a_body_has_its_length_once,
    a_key_signs_and_an_empty_body_has_a_length,
    it_follows_no_redirect,
    nobody_listens,
    a_peer_that_hangs_up_may_have_taken_the_write,
    a_body_that_breaks_off_is_a_failure,
    chunked_bodies_arrive_and_stay_within_their_limit,
    a_connection_is_kept_and_a_closed_one_replaced,
    a_server_that_speaks_no_tls_is_a_tls_failure,
    a_server_that_never_answers_costs_its_time_and_no_more,
);

const PARTIAL: &str = "206 Partial Content";

fn assert_data(outcome: stillwire_futures::Outcome, expected: &[u8]) {
    match outcome {
        Ok(Reply::Data { bytes, .. }) => assert!(&bytes[..] == expected, "{} bytes", bytes.len()),
        other => panic!("{other:?}"),
    }
}

fn it_sends_what_the_driver_says(adapter: &dyn Adapter) {
    let (endpoint, asked) = server(vec![(answer(PARTIAL, "hello"), true)]);
    let session = session(adapter, &endpoint);
    assert_data(perform(adapter, &session, read(1_000)), b"hello");
    let (_, head) = asked.next();
    assert!(head.starts_with("get /acc/"), "{head}");
    assert!(head.contains(&SAS.to_lowercase()), "{head}");
    assert!(head.contains("range: bytes=0-999\r\n"), "{head}");
    let host = endpoint["http://".len()..].trim_end_matches("/acc");
    assert!(head.contains(&format!("host: {host}\r\n")), "{head}");
    for once in ["\r\nhost:", "\r\nuser-agent:", "\r\nx-ms-version:"] {
        assert_eq!(head.matches(once).count(), 1, "{once} {head}");
    }
    assert!(!head.contains("accept-encoding"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
}

fn a_body_has_its_length_once(adapter: &dyn Adapter) {
    let (endpoint, asked) = server(vec![(answer("201 Created", ""), true)]);
    let session = session(adapter, &endpoint);
    let outcome = perform(adapter, &session, write());
    assert!(outcome.is_ok(), "{outcome:?}");
    let (_, head) = asked.next();
    assert!(head.starts_with("put /acc/"), "{head}");
    assert_eq!(head.matches("content-length: 20\r\n").count(), 1, "{head}");
    assert_eq!(head.matches("content-length").count(), 1, "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(!head.contains("expect:"), "{head}");
}

fn a_key_signs_and_an_empty_body_has_a_length(adapter: &dyn Adapter) {
    // Is the bootstrap there? It is not. Then it is to be made.
    let answers = [answer("404 Not Found", ""), answer("403 Forbidden", "")];
    let (endpoint, asked) = server(answers.map(|answer| (answer, true)).to_vec());
    let endpoint = Url::parse(&endpoint).unwrap();
    let credential = Credential::shared_key("acc", "U0VDUkVU").unwrap();
    let store =
        BlobStore::listener(&endpoint, credential, Names::default(), Limits::default()).unwrap();
    let client = adapter.http().unwrap();
    let carrier = Azure::new(Arc::new(store), client, adapter.runtime()).unwrap();
    let carrier: Arc<dyn Perform> = Arc::new(carrier);
    let failure = perform(adapter, &carrier, request(Operation::Prepare)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
    assert_clean(&failure);
    let (_, head) = asked.next();
    assert!(head.starts_with("get "), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    let (_, head) = asked.next();
    assert!(head.starts_with("put "), "{head}");
    assert!(head.contains("authorization: sharedkey acc:"), "{head}");
    assert!(!head.contains("u0vdukvu"), "{head}");
    assert_eq!(head.matches("content-length: 0\r\n").count(), 1, "{head}");
    assert_eq!(head.matches("content-length").count(), 1, "{head}");
}

fn it_follows_no_redirect(adapter: &dyn Adapter) {
    let (elsewhere, untouched) = server(vec![(answer("200 OK", ""), true)]);
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n");
    let (endpoint, _asked) = server(vec![(answer, true)]);
    let session = session(adapter, &endpoint);
    let failure = perform(adapter, &session, read(1_000)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert_clean(&failure);
    assert!(untouched.is_empty());
}

fn nobody_listens(adapter: &dyn Adapter) {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let session = session(adapter, &format!("http://127.0.0.1:{port}/acc"));
    let failure = perform(adapter, &session, write()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
    assert!(!failure.may_have_landed, "{failure:?}");
    assert_clean(&failure);
}

fn a_peer_that_hangs_up_may_have_taken_the_write(adapter: &dyn Adapter) {
    let (endpoint, asked) = server(vec![(String::new(), false)]);
    let session = session(adapter, &endpoint);
    let failure = perform(adapter, &session, write()).unwrap_err();
    assert!(failure.may_have_landed, "{failure:?}");
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
    assert_clean(&failure);
    let (connection, _) = asked.next();
    assert_eq!(connection, 1);
    assert!(asked.is_empty(), "it was tried once");
}

fn a_body_that_breaks_off_is_a_failure(adapter: &dyn Adapter) {
    let short = format!("HTTP/1.1 {PARTIAL}\r\ncontent-length: 100\r\n\r\nhello");
    let (endpoint, _asked) = server(vec![(short, false)]);
    let session = session(adapter, &endpoint);
    let failure = perform(adapter, &session, read(1_000)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure:?}");
    assert_clean(&failure);
}

fn chunked_bodies_arrive_and_stay_within_their_limit(adapter: &dyn Adapter) {
    let chunked = |count: usize| {
        let mut text = format!("HTTP/1.1 {PARTIAL}\r\ntransfer-encoding: chunked\r\n\r\n");
        for n in 0..count {
            let digit = char::from(b'0' + (n % 10) as u8);
            text.push_str("3e8\r\n");
            text.extend(std::iter::repeat_n(digit, 1_000));
            text.push_str("\r\n");
        }
        text + "0\r\n\r\n"
    };
    let expected: Vec<u8> = (0..150).flat_map(|n| [b'0' + n % 10; 1_000]).collect();
    let (endpoint, _asked) = server(vec![(chunked(150), true)]);
    let within = perform(adapter, &session(adapter, &endpoint), read(200_000));
    assert_data(within, &expected);

    // More than was asked for is cut off, and the rest of it is not read for ever.
    let (endpoint, _asked) = server(vec![(chunked(150), false)]);
    let outcome = perform(adapter, &session(adapter, &endpoint), read(100_500));
    if let Ok(Reply::Data { bytes, .. }) = &outcome {
        assert!(bytes.len() <= 100_500 && expected.starts_with(bytes));
    }
}

fn a_connection_is_kept_and_a_closed_one_replaced(adapter: &dyn Adapter) {
    let hello = || answer(PARTIAL, "hello");
    let last = format!("HTTP/1.1 {PARTIAL}\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello");
    let answers = vec![
        (hello(), true),
        (hello(), true),
        // Says that it closes, and does.
        (last, false),
        // Closes without a word.
        (hello(), false),
        (hello(), true),
    ];
    let (endpoint, asked) = server(answers);
    let session = session(adapter, &endpoint);
    let mut connections = Vec::new();
    for _ in 0..5 {
        assert_data(perform(adapter, &session, read(5)), b"hello");
        connections.push(asked.next().0);
        // Until the news of a closed connection is there.
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(connections, [1, 1, 1, 2, 3]);
}

fn a_server_that_speaks_no_tls_is_a_tls_failure(adapter: &dyn Adapter) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}/acc", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1_024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let session = session(adapter, &endpoint);
    let failure = perform(adapter, &session, write()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Tls, "{failure:?}");
    assert_clean(&failure);
    server.join().unwrap();
}

/// Through the whole adapter: whoever blocks meanwhile, the machine has its answer in time.
fn a_server_that_never_answers_costs_its_time_and_no_more(adapter: &dyn Adapter) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/acc", silent.local_addr().unwrap());
    let place = Place::at(
        format!("azblob+{endpoint}"),
        Options {
            environment: Arc::new(|name| match name {
                "AZURE_STORAGE_ACCOUNT" => Some("acc".to_owned()),
                "AZURE_STORAGE_KEY" => Some("U0VDUkVU".to_owned()),
                _ => None,
            }),
            ..Options::default()
        },
    );
    let impatient = Config {
        request_timeout: Duration::from_millis(100),
        retry_window: Duration::from_millis(500),
        ..Config::default()
    };
    match adapter.listen(&place, impatient) {
        Err(Error::Store(failure)) => {
            assert_eq!(failure.kind, FailureKind::TimedOut, "{failure:?}");
            assert_clean(&failure);
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("nobody answered"),
    }
}
