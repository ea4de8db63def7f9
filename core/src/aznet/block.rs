//! The block being gathered: sealed chunks back to back, and one still open at the end.

use super::config::Config;
use super::wire::chunk::{OVERHEAD, PREFIX, Sealer, TAG};
use super::wire::frame::{self, HEADER, kind};
use crate::error::Error;
use crate::store::Profile;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// Our extension, sent by a dialer behind its own end mark: "I have read all of your stream". A
/// listener may then remove the session at once. Unknown to Go, which skips unknown types.
pub(super) const DONE: u8 = 16;

/// Room kept for the control frames that close a block, each in a chunk of its own at worst.
const SLACK: usize = 4 * (OVERHEAD + HEADER);

/// Buffers smaller than this are not worth keeping.
const WORTH_KEEPING: usize = 1 << 18;

/// A sealed block, ready for the carrier.
pub(super) struct Sealed {
    pub(super) sequence: u64,
    pub(super) chunks: Vec<u32>,
    pub(super) bytes: Bytes,
}

/// Queue and table, which never rotate, take one chunk per write.
fn is_single(profile: &Profile, limit: usize) -> bool {
    profile.writes_before_rotation.is_none() && limit <= profile.largest_chunk
}

#[derive(Default)]
pub(super) struct Block {
    buf: BytesMut,
    /// Where the open chunk begins.
    open: Option<usize>,
    /// Where the header of the open data frame is.
    frame: Option<usize>,
    sequence: u64,
    chunks: Vec<u32>,
    data: u64,
    spare: BytesMut,
}

impl Block {
    pub(super) fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    pub(super) fn length(&self) -> usize {
        self.buf.len()
    }

    /// True when application bytes are in it.
    pub(super) fn has_data(&self) -> bool {
        self.data > 0
    }

    /// Bytes not sealed yet.
    pub(super) fn open_bytes(&self) -> usize {
        self.buf
            .len()
            .saturating_sub(self.open.unwrap_or(self.buf.len()))
    }

    /// Where data must stop.
    fn end(profile: &Profile, config: &Config) -> usize {
        let wanted = config.send_buffer.max(profile.largest_chunk);
        let most = profile.bytes_per_write.min(wanted);
        if is_single(profile, profile.bytes_per_write) {
            // Control frames that do not fit any more take a write of their own.
            return most;
        }
        most.saturating_sub(SLACK)
    }

    /// Payload bytes that fit in the open chunk, or in one that could be opened.
    fn room(&self, profile: &Profile, config: &Config) -> usize {
        let end = Self::end(profile, config);
        let start = self.open.unwrap_or(self.buf.len());
        let end = end.min(start.saturating_add(profile.largest_chunk));
        let mut used = self.buf.len().saturating_add(TAG);
        if self.open.is_none() {
            used = used.saturating_add(PREFIX);
        }
        if self.frame.is_none() {
            used = used.saturating_add(HEADER);
        }
        end.saturating_sub(used)
    }

    pub(super) fn has_room(&self, profile: &Profile, config: &Config) -> bool {
        if self.room(profile, config) > 0 {
            return true;
        }
        // The open chunk is full; a further one may fit.
        let next = self.buf.len().saturating_add(TAG + OVERHEAD + HEADER);
        next < Self::end(profile, config)
    }

    pub(super) fn write(
        &mut self,
        data: &[u8],
        profile: &Profile,
        config: &Config,
        sealer: &mut Sealer,
    ) -> Result<usize, Error> {
        let mut rest = data;
        while !rest.is_empty() {
            let room = self.room(profile, config);
            if room == 0 {
                if self.open.is_none() || !self.has_room(profile, config) {
                    break;
                }
                // Sealing here spreads the work and happens on the writer's thread.
                self.end_chunk(sealer)?;
                continue;
            }
            let Some((now, later)) = rest.split_at_checked(room.min(rest.len())) else {
                break;
            };
            self.begin(sealer, now.len());
            if self.frame.is_none() {
                self.frame = Some(self.buf.len());
                self.buf.extend_from_slice(&frame::header(0, kind::DATA));
            }
            self.buf.extend_from_slice(now);
            self.data = self.data.saturating_add(now.len() as u64);
            rest = later;
        }
        Ok(data.len().saturating_sub(rest.len()))
    }

    /// Adds an empty frame behind everything else; false when it does not fit any more.
    pub(super) fn control(
        &mut self,
        kind: u8,
        profile: &Profile,
        limit: usize,
        sealer: &mut Sealer,
    ) -> Result<bool, Error> {
        self.end_frame();
        if let Some(start) = self.open {
            let length = self.buf.len().saturating_sub(start);
            if length.saturating_add(HEADER + TAG) > profile.largest_chunk {
                self.end_chunk(sealer)?;
            }
        }
        let needed = if self.open.is_some() {
            HEADER + TAG
        } else {
            OVERHEAD + HEADER
        };
        if self.buf.len().saturating_add(needed) > limit {
            return Ok(false);
        }
        if is_single(profile, limit) && self.open.is_none() && !self.chunks.is_empty() {
            return Ok(false);
        }
        self.begin(sealer, HEADER);
        self.buf.extend_from_slice(&frame::header(0, kind));
        Ok(true)
    }

    fn begin(&mut self, sealer: &Sealer, payload: usize) {
        if self.open.is_some() {
            return;
        }
        if self.buf.is_empty() {
            self.sequence = sealer.sequence();
            if self.buf.capacity() == 0 {
                self.buf = core::mem::take(&mut self.spare);
            }
            self.buf.reserve(payload.saturating_add(SLACK));
        }
        self.open = Some(self.buf.len());
        self.buf.extend_from_slice(&[0; PREFIX]);
    }

    fn end_frame(&mut self) {
        let Some(at) = self.frame.take() else { return };
        let Some(frame) = self.buf.get_mut(at..) else {
            return;
        };
        let Some((head, payload)) = frame.split_first_chunk_mut::<HEADER>() else {
            return;
        };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        *head = frame::header(length, kind::DATA);
    }

    /// Seals the open chunk, if there is one.
    pub(super) fn end_chunk(&mut self, sealer: &mut Sealer) -> Result<(), Error> {
        self.end_frame();
        let Some(start) = self.open.take() else {
            return Ok(());
        };
        self.buf.extend_from_slice(&[0; TAG]);
        let Some(chunk) = self.buf.get_mut(start..) else {
            return Ok(());
        };
        let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        sealer.seal(chunk)?;
        self.chunks.push(length);
        Ok(())
    }

    /// Takes the sealed block away, with the application bytes in it.
    pub(super) fn take(&mut self) -> Option<(Sealed, u64)> {
        if self.buf.is_empty() || self.open.is_some() {
            return None;
        }
        let sealed = Sealed {
            sequence: self.sequence,
            chunks: core::mem::take(&mut self.chunks),
            bytes: core::mem::take(&mut self.buf).freeze(),
        };
        Some((sealed, core::mem::take(&mut self.data)))
    }

    /// Keeps a stored block's memory for the next one while the stream is busy.
    pub(super) fn recycle(&mut self, bytes: Bytes) {
        if self.buf.is_empty() {
            self.spare = BytesMut::new();
        } else if let Ok(mut buffer) = bytes.try_into_mut()
            && buffer.capacity() >= WORTH_KEEPING
        {
            buffer.clear();
            self.spare = buffer;
        }
    }
}
