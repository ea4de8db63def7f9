//! Answers that come after their request was given up.

use crate::bell::block_on;
use crate::{Failure, FailureKind, Threads, http_client};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use stillwire_azure::blob::{BlobStore, Limits};
use stillwire_azure::{Credential, Names};
use stillwire_core::store::{Operation, Reply, Request, RequestId, Role};
use stillwire_futures::{Azure, Carrier, ConnectionId, Perform};

const LATE: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_millis(100);

/// The heads of the requests that came.
type Heads = Arc<Mutex<Vec<String>>>;

/// A service that answers the first request late.
fn service(answer: fn(bool, &str) -> &'static str) -> (String, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Heads::default();
    let seen = heads.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let seen = seen.clone();
            thread::spawn(move || serve(stream.unwrap(), &seen, answer));
        }
    });
    (format!("http://{address}/account"), heads)
}

fn serve(stream: TcpStream, heads: &Heads, answer: fn(bool, &str) -> &'static str) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return;
        }
    }
    let head = head.to_lowercase();
    let length = head.split_once("content-length: ").map_or(0, |(_, rest)| {
        let (digits, _) = rest.split_once("\r\n").unwrap();
        digits.parse().unwrap()
    });
    reader.read_exact(&mut vec![0; length]).unwrap();
    let first = {
        let mut heads = heads.lock().unwrap();
        heads.push(head.clone());
        heads.len() == 1
    };
    if first {
        thread::sleep(LATE);
    }
    let answer = format!("HTTP/1.1 {}", answer(first, &head));
    let _ = reader.into_inner().write_all(answer.as_bytes());
}

fn session(endpoint: &str) -> Arc<dyn Perform> {
    let credential = Credential::shared_key("account", "a2V5").unwrap();
    let endpoint = azure_core::http::Url::parse(endpoint).unwrap();
    let store = BlobStore::listener(&endpoint, credential, Names::default(), Limits::default());
    let runtime = Arc::new(Threads::shared());
    let azure = Azure::new(Arc::new(store.unwrap()), http_client().unwrap(), runtime).unwrap();
    let id = ConnectionId::from_random([5; 16]);
    azure.session(id, Role::Listener, None).unwrap()
}

fn perform(
    session: &Arc<dyn Perform>,
    operation: &Operation,
    may_have_landed: bool,
    timeout: Duration,
) -> Result<Reply, Failure> {
    block_on(session.perform(Request {
        id: RequestId(1),
        operation: operation.clone(),
        may_have_landed,
        timeout,
    }))
}

/// Gives an operation up, lets its answer come, and asks again.
fn twice(operation: &Operation, answer: fn(bool, &str) -> &'static str) -> (Reply, Vec<String>) {
    let (endpoint, heads) = service(answer);
    let session = session(&endpoint);
    let failure = perform(&session, operation, false, PATIENCE).unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    thread::sleep(LATE);
    let reply = perform(&session, operation, true, Duration::from_secs(20)).unwrap();
    let heads = heads.lock().unwrap().clone();
    (reply, heads)
}

#[test]
fn what_a_read_brings_too_late_is_read_again() {
    let read = Operation::Read {
        sequence: 0,
        limit: 1_024,
    };
    let (reply, heads) = twice(&read, |_, _| {
        "206 Partial Content\r\nConnection: close\r\nContent-Length: 3\r\n\
         Content-Range: bytes 0-2/3\r\n\r\nabc"
    });
    assert_eq!(heads.len(), 2);
    assert!(heads[1].contains("\r\nrange: bytes=0-"), "{}", heads[1]);
    let Reply::Data { bytes, .. } = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(bytes, "abc");
}

#[test]
fn a_write_that_lands_too_late_is_not_written_again() {
    let write = Operation::Write {
        sequence: 0,
        chunks: vec![3],
        bytes: "abc".into(),
    };
    // As the service has it: the bytes are there after the first request.
    let (reply, heads) = twice(&write, |first, head| {
        if head.starts_with("head ") {
            "200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
        } else if first {
            "201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        } else {
            "412 Precondition Failed\r\nConnection: close\r\nContent-Length: 0\r\n\
             x-ms-error-code: AppendPositionConditionNotMet\r\n\r\n"
        }
    });
    assert_eq!(reply, Reply::Done);
    assert_eq!(heads.len(), 3);
    for append in &heads[..2] {
        assert!(append.contains("x-ms-blob-condition-appendpos: 0\r\n"));
    }
}

#[test]
fn a_large_answer_comes_whole_and_its_connection_is_used_again() {
    const SIZE: usize = (5 << 19) + 7;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/account", listener.local_addr().unwrap());
    // It takes one connection and no other.
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        for start in [0, SIZE] {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
            }
            let end = start + SIZE - 1;
            let answer = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {SIZE}\r\n\
                 Content-Range: bytes {start}-{end}/{}\r\n\r\n",
                2 * SIZE
            );
            stream.write_all(answer.as_bytes()).unwrap();
            stream
                .write_all(&vec![b'0' + u8::from(start > 0); SIZE])
                .unwrap();
        }
    });
    let session = session(&endpoint);
    let read = Operation::Read {
        sequence: 0,
        limit: SIZE,
    };
    for expected in [b'0', b'1'] {
        let reply = perform(&session, &read, false, Duration::from_secs(20)).unwrap();
        let Reply::Data { bytes, .. } = reply else {
            panic!("{reply:?}");
        };
        assert_eq!(bytes.len(), SIZE);
        assert!(bytes.iter().all(|byte| *byte == expected));
    }
    serving.join().unwrap();
}
