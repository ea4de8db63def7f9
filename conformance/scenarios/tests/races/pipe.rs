//! A byte stream in memory that is as inconvenient as the contract allows.

use crate::Dice;
use futures_util::{AsyncRead, AsyncWrite};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// One direction.
#[derive(Default)]
struct Lane {
    bytes: VecDeque<u8>,
    /// Nothing more is written.
    ended: bool,
    /// The end that was to read closed over bytes that came: as with TCP, all is lost.
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Lane {
    fn wakers(&mut self) -> [Option<Waker>; 2] {
        [self.reader.take(), self.writer.take()]
    }
}

fn wake(wakers: [Option<Waker>; 2]) {
    wakers.into_iter().flatten().for_each(Waker::wake);
}

/// One end. Takes and gives few bytes at a time, and sometimes none at first.
pub(crate) struct Pipe {
    inbound: Arc<Mutex<Lane>>,
    outbound: Arc<Mutex<Lane>>,
    capacity: usize,
    dice: Dice,
}

fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipe {
    pub(crate) fn pair(dice: &mut Dice) -> [Self; 2] {
        let lanes = [Arc::default(), Arc::default()];
        let capacity = 20 + dice.size(18);
        let mut end = |inbound: &Arc<_>, outbound: &Arc<_>| Self {
            inbound: Arc::clone(inbound),
            outbound: Arc::clone(outbound),
            capacity,
            dice: dice.fork(),
        };
        [end(&lanes[0], &lanes[1]), end(&lanes[1], &lanes[0])]
    }

    /// True when a call is to come again at once.
    fn stumbles(&mut self, cx: &Context<'_>) -> bool {
        let stumbles = self.dice.below(8) == 0;
        if stumbles {
            cx.waker().wake_by_ref();
        }
        stumbles
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        let mut lane = lock(&self.inbound);
        if lane.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let n = lane.bytes.len().min(buffer.len());
        if n == 0 {
            if lane.ended {
                return Poll::Ready(Ok(0));
            }
            lane.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for (to, from) in buffer.iter_mut().zip(lane.bytes.drain(..n)) {
            *to = from;
        }
        let writer = lane.writer.take();
        drop(lane);
        wake([writer, None]);
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        let mut lane = lock(&self.outbound);
        if lane.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = self
            .capacity
            .saturating_sub(lane.bytes.len())
            .min(data.len());
        if n == 0 {
            lane.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        lane.bytes.extend(&data[..n]);
        let reader = lane.reader.take();
        drop(lane);
        wake([reader, None]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        let mut lane = lock(&self.outbound);
        lane.ended = true;
        let wakers = lane.wakers();
        drop(lane);
        wake(wakers);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut inbound = lock(&self.inbound);
        let unread = !inbound.bytes.is_empty();
        inbound.ended = true;
        let wakers = inbound.wakers();
        drop(inbound);
        wake(wakers);
        let mut outbound = lock(&self.outbound);
        outbound.ended = true;
        outbound.reset |= unread;
        let wakers = outbound.wakers();
        drop(outbound);
        wake(wakers);
    }
}
