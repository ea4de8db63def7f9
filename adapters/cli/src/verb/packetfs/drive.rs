//! A session's machine on a TCP connection: what it transmits is sent, what comes is handed in.

use crate::exit::{Code, Fault};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant as Clock};
use stillwire_core::{Class, Error, Input, Instant, Output, Streamed};

/// Longest wait for the other end between two looks at the time.
const LOOK: Duration = Duration::from_secs(1);

/// A socket with a machine's clock and the bytes that went through.
pub(super) struct Wire {
    socket: TcpStream,
    began: Clock,
    buffer: Vec<u8>,
    /// Bytes sent.
    pub(super) sent: u64,
    /// Bytes received.
    pub(super) received: u64,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            began: Clock::now(),
            buffer: vec![0; 256 << 10],
            sent: 0,
            received: 0,
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Sends everything that is due, and tells events.
    pub(super) fn flush<M: Streamed>(
        &mut self,
        machine: &mut M,
        mut tell: impl FnMut(M::Event),
    ) -> Result<Option<Duration>, Fault> {
        loop {
            let now = self.now();
            match machine.poll(now) {
                Output::Transmit(bytes) => {
                    self.socket
                        .write_all(&bytes)
                        .map_err(|error| Fault::tcp("the connection broke off", &error))?;
                    self.sent += bytes.len() as u64;
                }
                Output::Event(event) => tell(event),
                Output::Wait(until) => return Ok(until.map(|until| until.since(now))),
                _ => return Err(Fault::new(Code::Local, "a session asks for storage")),
            }
        }
    }

    /// Waits for bytes, at the longest until `deadline` is over, and hands them in.
    pub(super) fn wait<M: Streamed>(
        &mut self,
        machine: &mut M,
        deadline: Option<Duration>,
    ) -> Result<(), Error> {
        let patience = deadline
            .unwrap_or(LOOK)
            .clamp(Duration::from_millis(1), LOOK);
        // A socket that has no time-out is waited for longer; nothing else changes.
        let _ = self.socket.set_read_timeout(Some(patience));
        match self.socket.read(&mut self.buffer) {
            Ok(0) => machine.handle(self.now(), Input::End),
            Ok(n) => {
                self.received += n as u64;
                let bytes = self.buffer.get(..n).unwrap_or_default();
                let now = self.now();
                machine.handle(now, Input::Bytes(bytes))
            }
            Err(error) if is_silence(error.kind()) => machine.handle(self.now(), Input::Time),
            Err(_) => machine.handle(self.now(), Input::End),
        }
    }
}

fn is_silence(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// A session's error as a fault.
pub(super) fn fault(error: Error) -> Fault {
    let text = error.to_string();
    match error.class() {
        Some(Class::Auth) => {
            Fault::new(Code::Auth, text).with_hint("give both ends the same key, cipher and blob")
        }
        Some(Class::Downgrade) => Fault::new(Code::Usage, text),
        Some(Class::Length) => {
            Fault::new(Code::Peer, text).with_hint("give both ends the same blob")
        }
        _ => Fault::from(error),
    }
}
