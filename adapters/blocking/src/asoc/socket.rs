//! A TCP connection whose reads and writes are done by two threads, with the traits of
//! `futures-io`: polling it never blocks.

use bytes::{Buf, Bytes};
use futures_io::{AsyncRead, AsyncWrite};
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// Bytes read or written by one system call.
const PIECE: usize = 256 << 10;

/// Bytes that wait in each direction, at the most by one piece more.
const WAITING: usize = 1 << 20;

/// How long the peer of a socket that nobody holds any more may take nothing.
const STALL: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Lane {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// The end of the stream, or why there is no more.
    end: Option<Result<(), io::ErrorKind>>,
    /// The other side has gone.
    gone: bool,
    /// A piece is with the socket.
    busy: bool,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Half {
    lane: Mutex<Lane>,
    changed: Condvar,
}

impl Half {
    fn lock(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, lane: MutexGuard<'a, Lane>) -> MutexGuard<'a, Lane> {
        self.changed
            .wait(lane)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

pub(crate) struct Socket {
    stream: TcpStream,
    inbound: Arc<Half>,
    outbound: Arc<Half>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        Self::patient(stream, STALL)
    }

    fn patient(stream: TcpStream, stall: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        // Whatever whoever made it had set: the thread that reads waits for as long as it takes.
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(None)?;
        // So that the thread that writes ends some time after the socket was dropped.
        stream.set_write_timeout(Some(stall))?;
        let (reader, writer) = (stream.try_clone()?, stream.try_clone()?);
        let (inbound, outbound) = (Arc::new(Half::default()), Arc::new(Half::default()));
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let half = Arc::clone(&inbound);
        named("stillwire-read").spawn(move || read(reader, &half))?;
        let half = Arc::clone(&outbound);
        named("stillwire-write").spawn(move || write(writer, &half))?;
        Ok(Self {
            stream,
            inbound,
            outbound,
        })
    }
}

fn read(mut stream: TcpStream, half: &Half) {
    loop {
        let mut buffer = vec![0; PIECE];
        let outcome = match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            outcome => outcome,
        };
        let mut lane = half.lock();
        match outcome {
            Ok(0) => lane.end = Some(Ok(())),
            Err(error) => lane.end = Some(Err(error.kind())),
            Ok(length) => {
                buffer.truncate(length);
                if length < PIECE / 2 {
                    buffer.shrink_to_fit();
                }
                lane.push(buffer.into());
            }
        }
        lane.wake();
        while lane.bytes >= WAITING && !lane.gone {
            lane = half.wait(lane);
        }
        if lane.gone || lane.end.is_some() {
            return;
        }
    }
}

fn write(mut stream: TcpStream, half: &Half) {
    let mut lane = half.lock();
    loop {
        while lane.pieces.is_empty() && lane.end.is_none() && !lane.gone {
            lane = half.wait(lane);
        }
        let mut pieces = std::mem::take(&mut lane.pieces);
        if pieces.is_empty() {
            // An end that was asked for, or a socket that nobody holds any more.
            drop(lane);
            let _ = stream.shutdown(Shutdown::Write);
            return;
        }
        lane.busy = true;
        drop(lane);
        let mut outcome = Ok(());
        while !pieces.is_empty() && outcome.is_ok() {
            outcome = write_some(&mut stream, &mut pieces, half);
        }
        lane = half.lock();
        lane.busy = false;
        if let Err(error) = outcome {
            lane.end = Some(Err(error.kind()));
            lane.pieces.clear();
            lane.bytes = 0;
            lane.wake();
            return;
        }
        lane.wake();
    }
}

fn write_some(stream: &mut TcpStream, pieces: &mut VecDeque<Bytes>, half: &Half) -> io::Result<()> {
    let slices: Vec<IoSlice<'_>> = pieces
        .iter()
        .take(64)
        .map(|piece| IoSlice::new(piece))
        .collect();
    let mut written = match stream.write_vectored(&slices) {
        Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
        // A peer that takes nothing is whoever holds the socket's to judge, as long as there is one.
        Err(error) if is_stall(&error) && !half.lock().gone => return Ok(()),
        other => other?,
    };
    let mut lane = half.lock();
    lane.bytes = lane.bytes.saturating_sub(written);
    lane.wake();
    drop(lane);
    while let Some(front) = pieces.front_mut() {
        if written < front.len() {
            front.advance(written);
            return Ok(());
        }
        written -= front.len();
        pieces.pop_front();
    }
    Ok(())
}

fn is_stall(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut lane = self.inbound.lock();
        if let Some(front) = lane.pieces.front_mut() {
            let length = front.len().min(buf.len());
            buf[..length].copy_from_slice(&front[..length]);
            front.advance(length);
            if front.is_empty() {
                lane.pieces.pop_front();
            }
            lane.bytes -= length;
            self.inbound.changed.notify_one();
            return Poll::Ready(Ok(length));
        }
        if let Some(end) = lane.end {
            return Poll::Ready(end.map(|()| 0).map_err(Into::into));
        }
        lane.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut lane = self.outbound.lock();
        match lane.end {
            Some(Err(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Ok(())) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            None => {}
        }
        if lane.bytes >= WAITING {
            lane.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut taken = 0;
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            let room = PIECE - taken;
            let part = &slice[..slice.len().min(room)];
            lane.push(Bytes::copy_from_slice(part));
            taken += part.len();
            if taken == PIECE {
                break;
            }
        }
        self.outbound.changed.notify_one();
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut lane = self.outbound.lock();
        if let Some(Err(kind)) = lane.end {
            return Poll::Ready(Err(kind.into()));
        }
        if lane.bytes == 0 && !lane.busy {
            return Poll::Ready(Ok(()));
        }
        lane.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.as_mut().poll_flush(cx);
        if flushed.is_ready() {
            let mut lane = self.outbound.lock();
            lane.end.get_or_insert(Ok(()));
            self.outbound.changed.notify_one();
        }
        flushed
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        for half in [&self.inbound, &self.outbound] {
            half.lock().gone = true;
            half.changed.notify_all();
        }
        // Ends a read that waits; what is queued for writing still goes out.
        let _ = self.stream.shutdown(Shutdown::Read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::Instant;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialed = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (dialed, listener.accept().unwrap().0)
    }

    /// Writes until the socket takes no more.
    fn fill(socket: &mut Socket) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let data = vec![7; PIECE];
        let (mut taken, mut idle) = (0, 0);
        while idle < 5 {
            match Pin::new(&mut *socket).poll_write(&mut cx, &data) {
                Poll::Ready(n) => (taken, idle) = (taken + n.unwrap(), 0),
                Poll::Pending => {
                    idle += 1;
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
        taken
    }

    #[test]
    fn a_peer_that_takes_nothing_keeps_no_thread_of_a_socket_that_is_gone() {
        let (ours, _theirs) = pair();
        let mut socket = Socket::patient(ours, Duration::from_millis(100)).unwrap();
        fill(&mut socket);
        let lanes = [&socket.inbound, &socket.outbound].map(Arc::downgrade);
        drop(socket);
        let since = Instant::now();
        // Each thread holds its lane.
        while lanes.iter().any(|lane| lane.strong_count() > 0) {
            assert!(since.elapsed() < Duration::from_secs(5), "a thread is left");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_time_out_that_the_stream_came_with_ends_nothing() {
        for nonblocking in [false, true] {
            let (ours, mut theirs) = pair();
            ours.set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            ours.set_nonblocking(nonblocking).unwrap();
            let mut socket = Socket::new(ours).unwrap();
            thread::sleep(Duration::from_millis(50));
            theirs.write_all(b"late").unwrap();
            let mut buffer = [0; 8];
            let read = crate::bell::block_on(std::future::poll_fn(|cx| {
                Pin::new(&mut socket).poll_read(cx, &mut buffer)
            }));
            assert_eq!(&buffer[..read.unwrap()], b"late");
        }
    }

    #[test]
    fn a_peer_that_is_slow_gets_everything() {
        let (ours, mut theirs) = pair();
        let mut socket = Socket::patient(ours, Duration::from_millis(20)).unwrap();
        let written = fill(&mut socket);
        thread::sleep(Duration::from_millis(100));
        let reading = thread::spawn(move || {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).map(|_| all)
        });
        let mut cx = Context::from_waker(Waker::noop());
        while Pin::new(&mut socket).poll_close(&mut cx).is_pending() {
            thread::sleep(Duration::from_millis(5));
        }
        let all = reading.join().unwrap().unwrap();
        assert_eq!(all.len(), written);
    }
}
