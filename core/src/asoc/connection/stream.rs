//! Our own streams.

use super::Connection;
use crate::asoc::wire::kind;
use crate::error::Error;
use bytes::Bytes;

impl Connection {
    /// Opens a stream: ids 1, 3, 5 … for a client, 2, 4, 6 … for a server. Nothing is sent yet.
    pub fn open(&mut self) -> Result<u32, Error> {
        self.ready()?;
        self.outgoing.open()
    }

    /// Sends bytes on a stream, in DATA frames of at most `chunk` and `max_frame` bytes, and says
    /// how many it took; 0 means that the send buffer is full. The bytes are not copied.
    pub fn write(&mut self, stream: u32, data: &Bytes) -> Result<usize, Error> {
        self.ready()?;
        self.outgoing.check(stream)?;
        let chunk = self.config.chunk.min(self.config.max_frame);
        let mut rest = data.slice(..data.len().min(self.room()));
        let taken = rest.len();
        while !rest.is_empty() {
            let part = rest.split_to(chunk.min(rest.len()));
            let Ok(sequence) = self.outgoing.data(stream) else {
                // The numbers of the stream are used up: what went before was taken.
                return Ok(taken.saturating_sub(rest.len()).saturating_sub(part.len()));
            };
            match self.check.send() {
                Some(token) => {
                    let length = part.len().saturating_add(token.len());
                    self.send_parts(kind::DATA, stream, sequence, length, &[token, part])?;
                }
                None => self.send(kind::DATA, stream, sequence, part)?,
            }
        }
        Ok(taken)
    }

    /// Ends a stream. It cannot be opened again.
    pub fn end(&mut self, stream: u32) -> Result<(), Error> {
        self.ready()?;
        let sequence = self.outgoing.end(stream)?;
        self.send(kind::END, stream, sequence, Bytes::new())
    }

    /// Bytes that [`Connection::write`] would take now.
    pub fn room(&self) -> usize {
        self.config.send_buffer.saturating_sub(self.queued)
    }

    /// Bytes that wait to be polled as [`Output::Transmit`](crate::Output::Transmit).
    pub const fn queued(&self) -> usize {
        self.queued
    }

    fn ready(&self) -> Result<(), Error> {
        self.alive()?;
        if self.is_open() {
            Ok(())
        } else {
            Err(Error::Misuse("the handshake is not done"))
        }
    }
}
