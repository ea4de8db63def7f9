//! The proxy in front of a server that answers with what is written here.

use super::*;
use std::io::{BufRead, Read};
use std::time::Instant;

/// Serves one connection: for each request reads its body whole and gives the next answer.
fn server(answers: Vec<&'static str>) -> (SocketAddr, thread::JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let mut stream = http::stream(listener.accept().unwrap().0).unwrap();
        let mut seen = Vec::new();
        for answer in answers {
            let head = Head::read(&mut stream).unwrap().unwrap();
            let mut all = head.bytes.clone();
            http::relay(head.request_body(), &mut stream, &mut all).unwrap();
            seen.push(all);
            stream.get_ref().write_all(answer.as_bytes()).unwrap();
        }
        seen
    });
    (address, serving)
}

fn ask(stream: &mut Stream, request: &str, method: &str) -> (Head, Vec<u8>) {
    stream.get_ref().write_all(request.as_bytes()).unwrap();
    let head = Head::read(stream).unwrap().unwrap();
    let mut body = Vec::new();
    http::relay(head.response_body(method), stream, &mut body).unwrap();
    (head, body)
}

#[test]
fn bytes_pass_unchanged_and_are_counted() {
    let put =
        "PUT /a/c/b?comp=appendblock&sig=x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    let get = "GET /a/c/b HTTP/1.1\r\nhost: h\r\nrange: bytes=0-4\r\n\r\n";
    let list = "GET /a/c?restype=container&comp=list HTTP/1.1\r\nhost: h\r\n\r\n";
    let (upstream, serving) = server(vec![
        "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n",
    ]);
    let proxy = Proxy::start(upstream).unwrap();
    let mut stream = http::stream(TcpStream::connect(proxy.address()).unwrap()).unwrap();
    assert_eq!(ask(&mut stream, put, "PUT").0.status(), 201);
    assert_eq!(ask(&mut stream, get, "GET").1, b"hello");
    let chunked = ask(&mut stream, list, "GET").1;
    assert_eq!(chunked, b"3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n");
    drop(stream);
    let seen = serving.join().unwrap();
    assert_eq!(seen, [put.as_bytes(), get.as_bytes(), list.as_bytes()]);
    // The last answer is counted when its last byte is on its way.
    let counted = || proxy.shared.counts.lock().unwrap().statuses.len() == 3;
    let start = Instant::now();
    while !counted() && start.elapsed() < Duration::from_secs(20) {
        thread::yield_now();
    }
    let counts = proxy.take_counts();
    assert_eq!(
        counts.kinds,
        BTreeMap::from([("append", 1), ("list", 1), ("read", 1)])
    );
    assert_eq!(counts.requests(), 3);
    assert_eq!((counts.sent, counts.received), (5, 5 + 13));
    assert_eq!(
        counts.statuses,
        BTreeMap::from([(200, 1), (201, 1), (206, 1)])
    );
    assert_eq!(proxy.take_counts().requests(), 0);
}

#[test]
fn every_request_is_held_back() {
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let (upstream, serving) = server(vec![answer; 3]);
    let proxy = Proxy::start(upstream).unwrap();
    proxy.delay(Duration::from_millis(30));
    let mut stream = http::stream(TcpStream::connect(proxy.address()).unwrap()).unwrap();
    let start = Instant::now();
    for _ in 0..3 {
        let (head, body) = ask(
            &mut stream,
            "HEAD /a/c/b HTTP/1.1\r\nhost: h\r\n\r\n",
            "HEAD",
        );
        assert_eq!((head.status(), body.len()), (204, 0));
    }
    assert!(start.elapsed() >= Duration::from_millis(90));
    serving.join().unwrap();
    assert_eq!(
        proxy.take_counts().kinds,
        BTreeMap::from([("properties", 3)])
    );
}

#[test]
fn a_body_waits_for_the_go_ahead() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let upstream = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let mut stream = http::stream(listener.accept().unwrap().0).unwrap();
        let head = Head::read(&mut stream).unwrap().unwrap();
        stream
            .get_ref()
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .unwrap();
        let mut body = Vec::new();
        http::relay(head.request_body(), &mut stream, &mut body).unwrap();
        stream
            .get_ref()
            .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        body
    });
    let proxy = Proxy::start(upstream).unwrap();
    let mut stream = http::stream(TcpStream::connect(proxy.address()).unwrap()).unwrap();
    let put = "PUT /a/c/b HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    stream.get_ref().write_all(put.as_bytes()).unwrap();
    assert_eq!(Head::read(&mut stream).unwrap().unwrap().status(), 100);
    stream.get_ref().write_all(b"abc").unwrap();
    assert_eq!(Head::read(&mut stream).unwrap().unwrap().status(), 201);
    assert_eq!(serving.join().unwrap(), b"abc");
}

#[test]
fn a_server_that_hangs_up_ends_the_connection() {
    let (upstream, serving) = server(vec!["HTTP/1.1 200 OK\r\n\r\nall until the end"]);
    let proxy = Proxy::start(upstream).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream
        .write_all(b"GET /a/c/b HTTP/1.1\r\nhost: h\r\n\r\n")
        .unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert!(all.ends_with("\r\n\r\nall until the end"));
    serving.join().unwrap();
}

#[test]
fn a_head_without_end_is_refused() {
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], 1))).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    let long = vec![b'a'; 70_000];
    // The proxy may close before it took everything.
    let _ = stream.write_all(&long);
    let mut answer = Vec::new();
    let _ = io::BufReader::new(stream).read_until(b'\n', &mut answer);
    assert!(answer.is_empty());
    assert_eq!(proxy.take_counts().requests(), 0);
}
