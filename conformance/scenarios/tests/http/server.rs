//! Servers on loopback, one thread each, that answer what they are told to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// What was asked, head and body, in the order of arrival, with the number of its connection.
pub(crate) struct Asked(Receiver<(usize, String)>);

impl Asked {
    /// The next request, lower case, and its connection.
    pub(crate) fn next(&self) -> (usize, String) {
        self.0
            .recv_timeout(Duration::from_secs(20))
            .expect("a request")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// Reads one request; [`None`] at the end of the connection.
pub(crate) fn request(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.split_once("\r\n"))
        .map_or(0, |(length, _)| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head)
}

/// Gives its answers one after the other, each as text and whether the connection goes on after
/// it. The thread ends with the last one.
pub(crate) fn server(answers: Vec<(String, bool)>) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/acc", listener.local_addr().unwrap());
    let (tell, asked) = channel();
    thread::spawn(move || {
        let mut answers = answers.into_iter().peekable();
        let mut number = 0;
        while answers.peek().is_some() {
            let (mut stream, _) = listener.accept().unwrap();
            number += 1;
            while let Some(head) = request(&mut stream) {
                tell.send((number, head)).unwrap();
                let Some((answer, goes_on)) = answers.next() else {
                    return;
                };
                stream.write_all(answer.as_bytes()).unwrap();
                if !goes_on {
                    break;
                }
            }
        }
    });
    (endpoint, Asked(asked))
}

/// An answer with a length.
pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Copies in both directions until both have ended.
pub(crate) fn pipe(one: TcpStream, other: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    };
    let (back_from, back_to) = (other.try_clone().unwrap(), one.try_clone().unwrap());
    let back = thread::spawn(move || copy(back_from, back_to));
    copy(one, other);
    back.join().unwrap();
}
