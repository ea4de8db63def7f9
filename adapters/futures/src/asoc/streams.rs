//! The streams of a connection.

use super::shared::{PIECE, Shared};
use crate::io_error;
use bytes::{Buf, Bytes};
use futures_io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use stillwire_core::Error;

/// A stream that we send. [`SendStream::finish`] completes it; dropped before that, it stays
/// incomplete for ever, and the peer never takes it for a whole one.
pub struct SendStream {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u32,
    pub(super) finished: bool,
}

impl SendStream {
    /// The stream's number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sends all of `data` without copying it; ready when it is queued.
    ///
    /// Cancelled, it may have queued a part.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub async fn send(&mut self, mut data: Bytes) -> Result<(), Error> {
        while !data.is_empty() {
            let taken = poll_fn(|cx| self.poll_send(cx, &data)).await?;
            data.advance(taken);
        }
        Ok(())
    }

    fn poll_send(&mut self, cx: &Context<'_>, data: &Bytes) -> Poll<Result<usize, Error>> {
        let mut state = self.shared.lock();
        if let Some(error) = state.why() {
            return Poll::Ready(Err(error));
        }
        let room = state.room(data.len());
        if room == 0 {
            state.writers.register(cx);
            return Poll::Pending;
        }
        let part = data.slice(..room);
        let taken = state.machine.write(self.id, &part);
        state.driver.wake();
        Poll::Ready(match taken {
            Ok(0) => Err(Error::Misuse(
                "the stream's sequence numbers are used up; open another",
            )),
            other => other,
        })
    }

    /// Completes the stream. What was sent goes out all the same when this is dropped.
    ///
    /// # Errors
    /// The error that ended the connection.
    pub fn finish(&mut self) -> Result<(), Error> {
        if self.finished {
            return Ok(());
        }
        let mut state = self.shared.lock();
        if let Some(error) = state.why() {
            return Err(error);
        }
        state.machine.end(self.id)?;
        self.finished = true;
        state.driver.wake();
        Ok(())
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let this = self.get_mut();
        // Room first, so that nothing is copied only to wait.
        let room = this.shared.lock().room(buf.len());
        let part = buf.get(..room.max(1)).unwrap_or(buf);
        let data = Bytes::copy_from_slice(part);
        this.poll_send(cx, &data).map_err(io_error)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if let Some(error) = state.why() {
            return Poll::Ready(Err(io_error(error)));
        }
        if !state.is_flushed() {
            state.writers.register(cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Err(error) = this.finish() {
            return Poll::Ready(Err(io_error(error)));
        }
        Pin::new(this).poll_flush(cx)
    }
}

/// A stream of the peer's. Dropped, its rest is read over.
pub struct ReceiveStream {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u32,
}

impl ReceiveStream {
    /// The stream's number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The next piece, of any length, without a copy; [`None`] at the stream's end.
    ///
    /// # Errors
    /// The error that ended the connection before the stream was complete; [`Error::Closed`] when
    /// the connection was closed on our side.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_chunk(cx, usize::MAX)).await
    }

    /// The whole rest of the stream, of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`ReceiveStream::chunk`]; [`Error::Limit`] for a longer one, of which nothing is kept.
    pub async fn message(mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut message = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if message.len().saturating_add(chunk.len()) > limit {
                return Err(Error::limit(
                    stillwire_core::Class::Limit,
                    "the message is longer than the limit; raise it, or read the stream in pieces",
                ));
            }
            message.extend_from_slice(&chunk);
        }
        Ok(message)
    }

    fn poll_chunk(&mut self, cx: &Context<'_>, most: usize) -> Poll<Result<Option<Bytes>, Error>> {
        let mut state = self.shared.lock();
        let Some(incoming) = state.incoming.get_mut(&self.id) else {
            return Poll::Ready(Ok(None));
        };
        if let Some(front) = incoming.pieces.front_mut() {
            let (piece, cost) = if front.len() > most {
                (front.split_to(most), 0)
            } else {
                (incoming.pieces.pop_front().unwrap_or_default(), PIECE)
            };
            state.consumed(piece.len() + cost, self.shared.receive_buffer);
            return Poll::Ready(Ok(Some(piece)));
        }
        if incoming.complete {
            return Poll::Ready(Ok(None));
        }
        incoming.reader.register(cx);
        match state.why() {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }
}

impl AsyncRead for ReceiveStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let chunk = self.get_mut().poll_chunk(cx, buf.len());
        chunk.map(|chunk| match chunk {
            Ok(None) => Ok(0),
            Ok(Some(piece)) => {
                if let Some(to) = buf.get_mut(..piece.len()) {
                    to.copy_from_slice(&piece);
                }
                Ok(piece.len())
            }
            Err(error) => Err(io_error(error)),
        })
    }
}

impl Drop for ReceiveStream {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Some(incoming) = state.incoming.get_mut(&self.id) else {
            return;
        };
        let pieces = incoming.pieces.drain(..);
        let left = pieces.map(|piece| piece.len() + PIECE).sum();
        if incoming.complete {
            state.incoming.remove(&self.id);
        } else {
            incoming.abandoned = true;
        }
        state.consumed(left, self.shared.receive_buffer);
    }
}
